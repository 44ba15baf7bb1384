"""Three ways to the same numbers, side by side: energy and forces, and a training step.

python benchmarks/step.py train.xyz --template water --frames 2
python benchmarks/step.py train.xyz --template molecule --frames 5 --threads 2
python benchmarks/step.py train.xyz --model water.cace.pt --memory

The ways are tensors of every edge and feature (edge_features.py, as the first implementations do
it), our plain torch, and the compiled operations. The model is a checkpoint, or that of a template of
`cace train` with random weights. Every repetition runs all ways, one after the other; ratios are medians of ratios. With
--memory every way runs once more in a process of its own, which tells how much its memory grew.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import pathlib
import statistics
import time
from collections.abc import Callable

import ase.io
import torch
import yaml
from edge_features import edge_features
from pair_cace.cli.train import TEMPLATES, template_text
from pair_cace.data.graph import Graph
from pair_cace.io.loading import load_model
from pair_cace.nn import CACE, Hyperparameters
from pair_cace.nn.derivatives import predict
from pair_cace.operations import keep_freed_memory
from pair_cace.training.config import ModelSection
from pair_cace.training.initialization import fit_scales

WAYS = {  # compiled or not, and what it runs in
    "edge × feature": (False, edge_features),
    "plain": (False, contextlib.nullcontext),
    "compiled": (True, contextlib.nullcontext),
}


def settings_of(template: str, frames: list[ase.Atoms]) -> Hyperparameters:
    """Of a model of the template that knows the elements of ``frames``."""
    section = ModelSection.model_validate(yaml.safe_load(template_text(template))["model"])
    elements = {symbol for atoms in frames for symbol in atoms.symbols}
    return section.hyperparameters(elements, mean_neighbors=20.0)


def new_model(template: str, frames: list[ase.Atoms]) -> tuple[CACE, Graph]:
    """A model of the template with random weights, and ``frames`` as one graph."""
    settings = settings_of(template, frames)
    graph = Graph.joined([Graph.of(atoms, settings.cutoff) for atoms in frames])
    torch.manual_seed(0)
    model = CACE(settings)
    fit_scales(model, graph)
    return model, graph


def model_and_graph(options: argparse.Namespace) -> tuple[CACE, Graph]:
    frames = ase.io.read(options.data, index=f":{options.frames}")
    if options.model is None:
        return new_model(options.template, frames)
    model, info = load_model(options.model)
    model = model.to(torch.float32).requires_grad_(True)
    return model, Graph.joined([Graph.of(atoms, info.cutoff) for atoms in frames])


def evaluate(model: CACE, graph: Graph) -> None:
    """Energies and forces."""
    predict(model, graph)


def training_step(model: CACE, graph: Graph) -> None:
    """Gradient of a loss of energies and forces by all parameters."""
    prediction = predict(model, graph, create_graph=True)
    loss = prediction.forces.square().mean() + prediction.energies.square().mean()
    loss.backward(inputs=[p for p in model.parameters() if p.requires_grad])


TASKS = {"energy and forces": evaluate, "training step": training_step}


def seconds(task: Callable, model: CACE, graph: Graph, way: str) -> float:
    compiled, context = WAYS[way]
    model.choose(compiled)
    with context():
        started = time.perf_counter()
        task(model, graph)
        return time.perf_counter() - started


def memory(key: str) -> int:
    """VmRSS or VmHWM (the most so far) of this process, in bytes."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return 1024 * int(line.split()[1])
    raise KeyError(key)


def growth(options: argparse.Namespace, task: str, way: str, answer: multiprocessing.Queue) -> None:
    """Puts the largest resident memory in a task, less that before it, in bytes (Linux)."""
    torch.set_num_threads(options.threads)
    model, graph = model_and_graph(options)
    seconds(TASKS[task], model, graph, way)
    before = memory("VmRSS")
    model.zero_grad()
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew
    seconds(TASKS[task], model, graph, way)
    answer.put(memory("VmHWM") - before)


def grown(options: argparse.Namespace, task: str, way: str) -> int:
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=growth, args=(options, task, way, answer))
    process.start()
    process.join()
    return answer.get()


def table(title: str, rows: dict[str, list[float]]) -> None:
    """One row per task, one column per way, and the ratios of the last to the others."""
    names = list(WAYS)
    head = "".join(f"{name:>16s}" for name in names)
    ratios = "".join(f"{f'{name} / {names[-1]}':>28s}" for name in names[:-1])
    print(f"\n{title:26s}{head}{ratios}")
    for task, values in rows.items():
        numbers = "".join(f"{value:16.1f}" for value in values[: len(names)])
        print(f"{task:26s}{numbers}" + "".join(f"{r:28.1f}" for r in values[len(names) :]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=pathlib.Path, help="structures, in a format that ASE reads")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--template", choices=TEMPLATES)
    which.add_argument("--model", type=pathlib.Path, help="a checkpoint, used in float32")
    parser.add_argument("--frames", type=int, default=2, help="structures in the batch")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    keep_freed_memory(2**31 - 1)
    model, graph = model_and_graph(options)
    print(
        f"{options.template or options.model.name}: {graph.n_atoms} atoms, {len(graph.senders)} "
        f"edges, {options.threads} thread(s), {torch.ops.pair_cace.instructions()}"
    )
    rows = {}
    for name, task in TASKS.items():
        times = [
            [seconds(task, model, graph, way) for way in WAYS] for _ in range(options.repeats + 1)
        ][1:]  # the first is for warming up
        rows[name] = [1e6 / graph.n_atoms * statistics.median(column) for column in zip(*times)]
        for k in range(len(WAYS) - 1):
            rows[name].append(statistics.median(row[k] / row[-1] for row in times))
    table("µs per atom, medians", rows)
    if options.memory:
        rows = {}
        for name in TASKS:
            sizes = [grown(options, name, way) / graph.n_atoms / 1024 for way in WAYS]
            rows[name] = sizes + [size / sizes[-1] for size in sizes[:-1]]
        table("kB per atom, at most", rows)


if __name__ == "__main__":
    main()
