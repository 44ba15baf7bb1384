"""Plain torch against the compiled operations, side by side: energy and forces, and a training step.

python benchmarks/step.py --template water train.xyz --frames 2
python benchmarks/step.py --template molecule train.xyz --frames 5 --threads 2

The model is that of a template of `cace train`, with random weights. Every repetition runs both ways, one
after the other; the ratio is the median of their ratios.
"""

from __future__ import annotations

import argparse
import pathlib
import statistics
import time
from collections.abc import Callable

import ase.io
import torch
import yaml
from pair_cace.cli.train import TEMPLATES, template_text
from pair_cace.data.graph import Graph
from pair_cace.nn import CACE
from pair_cace.nn.derivatives import predict
from pair_cace.training.config import ModelSection
from pair_cace.training.initialization import fit_scales
from pair_cace.training.memory import keep_freed_memory


def new_model(template: str, frames: list[ase.Atoms]) -> tuple[CACE, Graph]:
    """A model of the template that knows the elements of ``frames``, and these as one graph."""
    section = ModelSection.model_validate(yaml.safe_load(template_text(template))["model"])
    elements = {symbol for atoms in frames for symbol in atoms.symbols}
    settings = section.hyperparameters(elements, mean_neighbors=20.0)
    graph = Graph.joined([Graph.of(atoms, settings.cutoff) for atoms in frames])
    torch.manual_seed(0)
    model = CACE(settings)
    fit_scales(model, graph)
    return model, graph


def evaluate(model: CACE, graph: Graph) -> None:
    """Energies and forces."""
    predict(model, graph)


def training_step(model: CACE, graph: Graph) -> None:
    """Gradient of a loss of energies and forces by all parameters."""
    prediction = predict(model, graph, create_graph=True)
    loss = prediction.forces.square().mean() + prediction.energies.square().mean()
    loss.backward(inputs=list(model.parameters()))


def seconds(task: Callable, model: CACE, graph: Graph, compiled: bool) -> float:
    model.choose(compiled)
    started = time.perf_counter()
    task(model, graph)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=pathlib.Path, help="structures, in a format that ASE reads")
    parser.add_argument("--template", choices=TEMPLATES, required=True)
    parser.add_argument("--frames", type=int, default=2, help="structures in the batch")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    keep_freed_memory()
    frames = ase.io.read(options.data, index=f":{options.frames}")
    model, graph = new_model(options.template, frames)
    print(
        f"{options.template}: {graph.n_atoms} atoms, {len(graph.senders)} edges, "
        f"{options.threads} thread(s), {torch.ops.pair_cace.instructions()}"
    )
    print(f"{'':20s} {'plain':>12s} {'compiled':>12s} {'ratio':>7s}   (µs per atom, medians)")
    for name, task in (("energy and forces", evaluate), ("training step", training_step)):
        pairs = [
            (seconds(task, model, graph, False), seconds(task, model, graph, True))
            for _ in range(options.repeats + 1)
        ][1:]  # the first is for warming up
        plain, compiled = (statistics.median(times) for times in zip(*pairs))
        ratio = statistics.median(a / b for a, b in pairs)
        scale = 1e6 / graph.n_atoms
        print(f"{name:20s} {scale * plain:12.0f} {scale * compiled:12.0f} {ratio:7.1f}")


if __name__ == "__main__":
    main()
