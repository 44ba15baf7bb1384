"""pair_style cace on a GPU: atom-steps per second in `lmp` and of the model alone, and what bounds them.

python benchmarks/gpu.py --model water.cace.pt --json results/gpu.json
python benchmarks/gpu.py --sizes 192 12288 --device cpu        # tries the script without a GPU

Water of 192 atoms is repeated to about the sizes asked for. Without --model it is a model of the
template `water` with random weights, which costs the same. Printed are, for each size: steps per second
and atom-steps per second of `lmp` (NVE, skin 1 Å, all that it does), of the model alone, and of the
plain-torch model as TorchScript and with tensors of every edge and feature, where they fit; memory per
atom. Then the time of a step by kind of work (profiler of torch), counted FLOPs and bytes against a
large matrix product and a large copy on the same device, and a training step against the plain one.
Everything is repeated; figures are medians.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable

import ase
import ase.io
import torch
from operations import calls_of, counted, dense_flops
from pair_cace.cli.export import export_checkpoint
from pair_cace.data.device_neighbors import DeviceNeighborList
from pair_cace.data.graph import Graph
from pair_cace.io.checkpoint import save_checkpoint
from pair_cace.io.loading import load_model
from pair_cace.nn import CACE
from step import TASKS, WAYS, new_model, settings_of
from torch.autograd import DeviceType

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(sys.executable).parent
SIZES = [192, 1536, 12288, 98304, 786432, 10536000]
INPUT = """units metal
read_data atoms.data
replicate {n} {n} {n}
pair_style cace device {device}
pair_coeff * * model.pt O H
neighbor 1.0 bin
neigh_modify every 1 delay 0 check yes
velocity all create 300 12345 mom yes rot yes dist gaussian
fix 1 all nve
timestep 0.0005
thermo 100
run {warm}
run {steps}
"""
KINDS = {  # parts of the names of kernels
    "neighbor list": ("search_kernel", "select_kernel", "pad_kernel", "sort", "scan", "radix"),
    "forces": ("forces_kernel",),
    "neighbor sum": ("neighbor_sum",),
    "mixing and invariants": ("mixing",),
    "messages": ("radial_message",),
    "matrix products": ("gemm", "cutlass", "cublas", "ampere_", "sm90_", "addmm"),
    "transfer": ("Memcpy", "Memset"),
}


class Bench:
    """A model and its water on one device."""

    def __init__(self, options: argparse.Namespace, folder: pathlib.Path):
        self.device = torch.device(options.device)
        self.repeats = options.repeats
        self.folder = folder
        self.lmp_command = [options.lmp]
        script = ROOT / "examples" / "lammps" / "make_water_data.py"
        start = [options.start] if options.start else []
        subprocess.run([sys.executable, script, *start, "-o", folder / "atoms.data"], check=True)
        self.cell = ase.io.read(
            folder / "atoms.data", format="lammps-data", Z_of_type={1: 8, 2: 1}, atom_style="atomic"
        )
        checkpoint = options.model or folder / "random.cace.pt"
        if options.model is None:
            model, _ = new_model("water", [self.cell])
            save_checkpoint(checkpoint, model, settings_of("water", [self.cell]), {})
        export_checkpoint(checkpoint, folder / "model.pt", "float32")
        export_checkpoint(checkpoint, folder / "plain.pt", "float32", portable=True)
        model, self.info = load_model(checkpoint)
        self.model: CACE = model.to(torch.float32).to(self.device)

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def seconds(self, task: Callable) -> float:
        """Median time of a call, after one for warming up."""
        times = []
        for _ in range(self.repeats + 1):
            self.wait()
            started = time.perf_counter()
            task()
            self.wait()
            times.append(time.perf_counter() - started)
        return statistics.median(times[1:])

    def graph(self, n: int) -> Graph:
        """Of the cell repeated n times each way."""
        atoms = self.cell.repeat(n)
        positions = torch.from_numpy(atoms.positions).to(self.device)
        edges = DeviceNeighborList(self.info.cutoff).edges(positions, atoms.cell.array, atoms.pbc)
        return Graph.of_edges(atoms, *edges)

    # ---- what is measured ------------------------------------------------------------------------

    def lmp(self, n: int) -> float:
        """Seconds per step."""
        n_atoms = len(self.cell) * n**3
        steps = max(10, min(2000, int(2e7 / n_atoms)))
        text = INPUT.format(n=n, device=self.device.type, warm=max(2, steps // 10), steps=steps)
        (self.folder / "in.lmp").write_text(text)
        times = []
        for _ in range(self.repeats if n_atoms < 2e6 else 1):
            run = subprocess.run(
                [*self.lmp_command, "-in", "in.lmp"],
                cwd=self.folder, capture_output=True, text=True,
            )  # fmt: skip
            if run.returncode != 0:
                raise RuntimeError(run.stdout[-8000:] + run.stderr[-8000:])
            times.append(float(re.findall(r"Loop time of (\S+)", run.stdout)[-1]) / steps)
        return statistics.median(times)

    def model_alone(self, graph: Graph) -> tuple[float, float]:
        """Seconds per evaluation, and bytes per atom at most."""
        vectors = graph.vectors.to(torch.float32)
        edges = (vectors, graph.senders, graph.receivers, graph.species, graph.n_atoms)
        self.model.choose(compiled=True)
        self.model.evaluate(*edges)
        peak = 0.0
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        found = self.seconds(lambda: self.model.evaluate(*edges))
        if self.device.type == "cuda":
            peak = torch.cuda.max_memory_allocated() / graph.n_atoms
        return found, peak

    def plain(self, graph: Graph) -> float:
        """Seconds per evaluation of the exported model that calls torch alone."""
        model = torch.jit.load(self.folder / "plain.pt", map_location=self.device)
        edges = (graph.vectors, graph.senders, graph.receivers, graph.species, graph.n_atoms)
        with torch.jit.optimized_execution(False):
            return self.seconds(lambda: model.evaluate(*edges))

    def way(self, task: str, graph: Graph, way: str) -> float:
        """Seconds of a task of step.py."""
        compiled, context = WAYS[way]
        self.model.requires_grad_(True)
        self.model.choose(compiled)
        with context():
            found = self.seconds(lambda: TASKS[task](self.model, graph))
        self.model.requires_grad_(False)
        return found

    def shares(self, n: int) -> dict[str, float]:
        """Share of the time on the device of a new list and an evaluation, by kind of work."""
        graph = self.graph(n)
        self.model.choose(compiled=True)
        edges = (graph.vectors, graph.senders, graph.receivers, graph.species, graph.n_atoms)
        self.model.evaluate(*edges)
        activities = [torch.profiler.ProfilerActivity.CPU]
        if self.device.type == "cuda":
            activities.append(torch.profiler.ProfilerActivity.CUDA)
        with torch.profiler.profile(activities=activities) as profile:
            self.graph(n)
            self.model.evaluate(*edges)
            self.wait()
        times: dict[str, float] = defaultdict(float)
        for event in profile.key_averages():
            if self.device.type == "cuda" and event.device_type != DeviceType.CUDA:
                continue  # what launches kernels has their times as well
            spent = getattr(
                event, f"self_{'device' if self.device.type == 'cuda' else 'cpu'}_time_total"
            )
            kind = next(
                (k for k, parts in KINDS.items() if any(p in event.key for p in parts)), "rest"
            )
            times[kind] += spent
        total = sum(times.values()) or 1.0
        return {kind: spent / total for kind, spent in sorted(times.items(), key=lambda x: -x[1])}

    def limits(self) -> tuple[float, float]:
        """FLOP/s of a large matrix product in float32, and bytes/s of copying (read and written)."""
        n = 8192 if self.device.type == "cuda" else 1024
        a, b = (torch.rand(n, n, device=self.device) for _ in range(2))
        source, target = (torch.rand(32 * n * 1024, device=self.device) for _ in range(2))
        return (
            2 * n**3 / self.seconds(lambda: a @ b),
            8 * len(source) / self.seconds(lambda: target.copy_(source)),
        )

    def counted(self, graph: Graph) -> tuple[float, float]:
        """FLOPs and bytes of the operations and their gradients, and FLOPs of the dense layers, per atom."""
        self.model.choose(compiled=True)
        flops = dense_flops(self.model) * graph.n_atoms
        size = 0.0
        for call in calls_of(self.model, graph, training=False):
            output = call.operation(*call.arguments)
            for gradient in (False, True):
                more = counted(call, output, gradient)
                flops += more[0]
                size += more[1]
        return flops / graph.n_atoms, size / graph.n_atoms


def attempt(task: Callable):
    """What `task` gives, or None if memory does not suffice."""
    try:
        return task()
    except (RuntimeError, torch.OutOfMemoryError) as error:
        if "out of memory" not in str(error) and "is too small for" not in str(error):
            raise
    give_memory_back()  # when the exception and what it holds are gone
    return None


def give_memory_back() -> None:
    """To the device, for `lmp`."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def measure(bench: Bench, sizes: list[int], rows: list[dict]) -> None:
    """A row for every size, printed as it comes."""
    head = [
        "atoms",
        "lmp steps/s",
        "lmp atom-steps/s",
        "model",
        "plain",
        "edge × feature",
        "B/atom",
    ]
    print("".join(f"{name:>18s}" for name in head), flush=True)
    for wanted in sizes:
        n = max(1, round((wanted / len(bench.cell)) ** (1 / 3)))
        n_atoms = len(bench.cell) * n**3
        graph = None
        give_memory_back()
        row = {"atoms": n_atoms, "lmp": attempt(lambda: bench.lmp(n))}
        graph = attempt(lambda: bench.graph(n)) if n_atoms < 2e6 else None
        alone = attempt(lambda: bench.model_alone(graph)) if graph else None
        row["model"], row["bytes per atom"] = alone or (None, None)
        if graph and n_atoms <= 1e5:
            row["plain"] = attempt(lambda: bench.plain(graph))
            row["edge × feature"] = attempt(
                lambda: bench.way("energy and forces", graph, "edge × feature")
            )
        rows.append(row)
        numbers = [n_atoms, row["lmp"] and 1 / row["lmp"]]
        numbers += [
            row.get(k) and n_atoms / row[k] for k in ("lmp", "model", "plain", "edge × feature")
        ]
        numbers.append(row["bytes per atom"])
        print("".join(f"{'-' if x is None else f'{x:,.0f}':>18s}" for x in numbers), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=pathlib.Path, help="a checkpoint of water")
    parser.add_argument("--start", type=pathlib.Path, help="periodic water that ASE reads")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--lmp", default=str(BIN / "lmp"), help="the program")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=pathlib.Path, help="file for all figures")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("expected a GPU, and torch sees none; see nvidia-smi")

    result: dict = {
        "date": datetime.date.today().isoformat(),
        "device": torch.cuda.get_device_name() if options.device == "cuda" else "cpu",
        "torch": torch.__version__,
        "model": options.model.name if options.model else "template water, random weights",
        "sizes": [],
    }
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options, pathlib.Path(folder))
        peak, bandwidth = bench.limits()
        print(f"{result['device']}: {1e-12 * peak:.2f} TFLOP/s, {1e-12 * bandwidth:.2f} TB/s")
        measure(bench, options.sizes, result["sizes"])
        largest = max(
            (r["atoms"] for r in result["sizes"] if r["model"] and r["atoms"] <= 1e5), default=0
        )
        n = round((largest / len(bench.cell)) ** (1 / 3))
        graph = bench.graph(1)
        flops, size = bench.counted(graph)
        result |= {
            "FLOP/s": peak, "bytes/s": bandwidth, "FLOP per atom": flops, "bytes per atom": size,
            "shares": bench.shares(n) if n else {},
            "training step": {way: bench.way("training step", bench.graph(2), way) for way in WAYS},
        }  # fmt: skip
    bound = 1 / max(flops / peak, size / bandwidth)
    print(
        f"counted: {1e-3 * flops:.0f} kFLOP and {1e-3 * size:.0f} kB per atom and step: at most {bound:,.0f} atom-steps/s"
    )
    for kind, share in result["shares"].items():
        print(f"{kind:24s}{100 * share:6.1f} %")
    steps = result["training step"]
    print(
        "training step, ratio to compiled: "
        + ", ".join(f"{w} {t / steps['compiled']:.1f}" for w, t in steps.items())
    )
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
