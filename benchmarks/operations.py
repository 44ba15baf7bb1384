"""Each compiled operation alone: counted FLOPs and bytes, time, and share of the machine's limit.

python benchmarks/operations.py --template water train.xyz --frames 8
python benchmarks/operations.py --template molecule train.xyz --frames 40 --training

The operations are those that a model of the template calls for these structures, with the same
tensors. The limit is the larger of FLOPs / (speed of a large matrix product) and bytes / (speed of
copying), both measured in the same run.

Counted are multiply-adds as 2 FLOPs; sine and cosine together as 40, an exponential as 20. Bytes are
those of all tensors read and written once, and of one row of the sender per edge.
"""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple
from unittest import mock

import ase.io
import torch
from pair_cace.cli.train import TEMPLATES
from pair_cace.nn import messages as messages_module
from pair_cace.nn import model as model_module
from pair_cace.nn.angular import triples_up_to
from pair_cace.nn.derivatives import predict
from pair_cace.nn.invariants import invariants_of_order
from pair_cace.operations import keep_freed_memory
from step import new_model

OPERATIONS = {
    "neighbor_sum": model_module,
    "mixed_basis": model_module,
    "mixed_invariants": model_module,
    "radial_message": messages_module,
}


class Call(NamedTuple):
    """One call of an operation by the model."""

    name: str
    operation: Callable
    arguments: list

    @property
    def wanted(self) -> list[int]:
        """Arguments that the gradient is wanted for."""
        return [
            k
            for k, value in enumerate(self.arguments)
            if isinstance(value, torch.Tensor) and value.requires_grad
        ]


def calls_of(model, graph, training: bool) -> list[Call]:
    """What the model calls for this graph."""
    for parameter in model.parameters():
        parameter.requires_grad_(training)
    calls = []

    def recording(name: str, operation: Callable) -> Callable:
        def record(*arguments):
            calls.append(Call(name, operation, list(arguments)))
            return operation(*arguments)

        return record

    with contextlib.ExitStack() as stack:
        for name, module in OPERATIONS.items():
            patch = mock.patch.object(module, name, recording(name, getattr(module, name)))
            stack.enter_context(patch)
        predict(model, graph, create_graph=True)
    for call in calls:
        for k, value in enumerate(call.arguments):
            if isinstance(value, torch.Tensor):
                call.arguments[k] = value.detach().requires_grad_(value.requires_grad)
    return calls


def counted(call: Call, output: torch.Tensor, gradient: bool) -> tuple[float, float]:
    """FLOPs and bytes of the values, or of the gradient."""
    a = call.arguments
    tensors = [x for x in a if isinstance(x, torch.Tensor)] + [output]
    size = sum(x.numel() * x.element_size() for x in tensors)
    if gradient:
        size += sum(a[k].numel() * a[k].element_size() for k in call.wanted)
    if call.name == "neighbor_sum":
        n_edges, (_, n_angular, n_rbf, n_weights) = len(a[0]), output.shape
        products = (n_angular - n_following(call)) * n_rbf
        basis = 40 * n_rbf + 2 * n_angular + products
        size += n_edges * a[3][0].numel() * a[3].element_size()
        n_terms = len({0, 3} & set(call.wanted)) if gradient else 1
        return n_edges * (
            basis + (4 * products if gradient else 0) + 2 * n_terms * products * n_weights
        ), size
    if call.name == "radial_message":
        n_edges, (_, n_radial, n_angular, n_channels) = len(a[0]), output.shape
        n_factors = a[4].numel()
        size += n_edges * a[3][0].numel() * a[3].element_size()
        n_terms = 2 if gradient else 1
        return n_edges * (22 * n_factors + 2 * n_terms * n_radial * n_angular * n_channels), size
    n_atoms, n_radial = output.shape[:2]
    columns = n_atoms * n_radial * output.shape[-1]
    flops = 0
    # Mixing: Σ_n raw W, times θ; again in the gradient, and one or two times back.
    if a[0] is not None:
        n_angular, n_rbf = a[0].shape[1:3]
        n_terms = 1 if not gradient else 2 + (1 in call.wanted)
        flops += columns * (2 * n_angular * n_rbf + 2 * n_angular) * n_terms
    if call.name == "mixed_invariants":
        flops += columns * flops_of_invariants(call, gradient)
    return flops, size


def n_following(call: Call) -> int:
    """Angular functions whose sums follow from others (src/pair_cace/ops/kernels/lower_degrees.h)."""
    vectors, weights, l_max = call.arguments[0], call.arguments[3], call.arguments[8]
    follow = vectors.dtype == torch.float32 and not vectors.is_cuda and weights.shape[1] == 1
    return len(triples_up_to(l_max - 2)) if follow and l_max >= 2 else 0


def flops_of_invariants(call: Call, gradient: bool) -> int:
    """Of one column, as kernels/invariants.h takes them, without products with coefficients that terms share.

    Of three factors and more, terms with the same last factor are added up before they are multiplied
    by it, and slopes by the same factor before they are multiplied by the gradient by the feature.
    """
    weight, extra, nu_max = call.arguments[1], call.arguments[3], call.arguments[4]
    l_max = weight.shape[0] - 1 if weight is not None else 0
    while weight is None and len(triples_up_to(l_max)) < extra.shape[2]:
        l_max += 1
    flops = 0
    for nu in range(1, nu_max + 1):
        for terms in invariants_of_order(nu, l_max):
            if nu <= 2:
                flops += (3 if nu == 2 else 1) * len(terms)
            elif gradient:
                flops += sum(2 * (nu - 2) * len(set(term)) for term in terms)
                flops += 2 * len({factor for term in terms for factor in term})
            else:
                flops += 2 * (nu - 2) * len(terms) + 2 * len({term[-1] for term in terms})
    return flops


def dense_flops(model) -> float:
    """Of the readout and the message networks and their gradients, per atom."""
    networks = [model.readout] + [layer.bchi for layer in model.layers if "bchi" in layer]
    return 4.0 * sum(
        p.numel() for network in networks for p in network.parameters() if p.dim() == 2
    )


def seconds(task: Callable, repeats: int) -> float:
    """Median time of a call, after one for warming up."""
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        task()
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def limits() -> tuple[float, float]:
    """FLOP/s of a large matrix product, and bytes/s of copying (read and written)."""
    a, b = torch.rand(1024, 1024), torch.rand(1024, 1024)
    source, target = torch.rand(32 << 20), torch.rand(32 << 20)
    return 2 * 1024**3 / seconds(lambda: a @ b, 9), 2 * 4 * len(source) / seconds(
        lambda: target.copy_(source), 5
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=pathlib.Path, help="structures, in a format that ASE reads")
    parser.add_argument("--template", choices=TEMPLATES, required=True)
    parser.add_argument("--frames", type=int, default=8, help="structures in the batch")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--training", action="store_true", help="gradients by the parameters too")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    keep_freed_memory(2**31 - 1)
    frames = ase.io.read(options.data, index=f":{options.frames}")
    model, graph = new_model(options.template, frames)
    model.choose(compiled=True)
    peak, bandwidth = limits()
    print(
        f"{options.template}: {graph.n_atoms} atoms, {len(graph.senders)} edges, "
        f"{options.threads} thread(s), {torch.ops.pair_cace.instructions()}; matrix product "
        f"{1e-9 * peak:.0f} GFLOP/s, copy {1e-9 * bandwidth:.0f} GB/s"
    )
    print(
        f"{'':26s} {'kFLOP/atom':>10s} {'kB/atom':>8s} {'µs/atom':>8s} {'GFLOP/s':>8s} "
        f"{'of limit':>8s}  bound by"
    )
    total, all_flops = 0.0, 0.0
    for call in calls_of(model, graph, options.training):
        output = call.operation(*call.arguments)
        inputs = [call.arguments[k] for k in call.wanted]
        tasks = [("", False, lambda: call.operation(*[detached(x) for x in call.arguments]))]
        if inputs:
            direction = torch.randn_like(output)
            tasks.append(
                (
                    " gradient",
                    True,
                    lambda: torch.autograd.grad(output, inputs, direction, retain_graph=True),
                )
            )
        for suffix, gradient, task in tasks:
            flops, size = counted(call, output, gradient)
            time_needed = seconds(task, options.repeats)
            total += time_needed
            all_flops += flops / graph.n_atoms
            by_flops, by_bytes = flops / peak, size / bandwidth
            n = graph.n_atoms
            print(
                f"{call.name + suffix:26s} {1e-3 * flops / n:10.1f} {1e-3 * size / n:8.1f} "
                f"{1e6 * time_needed / n:8.2f} {1e-9 * flops / time_needed:8.1f} "
                f"{100 * max(by_flops, by_bytes) / time_needed:7.0f}%  "
                f"{'FLOPs' if by_flops > by_bytes else 'bytes'}"
            )
    print(f"{'sum':26s} {'':10s} {'':8s} {1e6 * total / graph.n_atoms:8.2f}")
    if not options.training:
        all_flops += dense_flops(model)
        edges = (graph.vectors, graph.senders, graph.receivers, graph.species, graph.n_atoms)
        time_needed = seconds(lambda: model.evaluate(*edges), options.repeats) / graph.n_atoms
        print(
            f"{'evaluate, with readout':26s} {1e-3 * all_flops:10.1f} {'':8s} {1e6 * time_needed:8.2f} "
            f"{1e-9 * all_flops / time_needed:8.1f} {100 * all_flops / peak / time_needed:7.0f}%  FLOPs"
        )


def detached(value):
    return value.detach() if isinstance(value, torch.Tensor) else value


if __name__ == "__main__":
    main()
