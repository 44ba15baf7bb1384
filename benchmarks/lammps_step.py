"""A step of molecular dynamics in `lmp`: pair_style cace beside SNAP and POD, in the same box of water.

python benchmarks/lammps_step.py water.cace.pt liquid-64.xyz
python benchmarks/lammps_step.py water.cace.pt liquid-64.xyz --repeat 4 --cores 2 --edge-features

Prints µs per atom and step (NVE, all that `lmp` does) and their ratio to that of cace, as medians
over repetitions in which all run one after the other; what share of the speed of a large matrix
product the counted FLOPs of cace are; and the memory per atom above that of `lmp` with the same atoms
and no potential. SNAP (twojmax 6) and POD (two- to four-body) have random coefficients and the cutoff
of the model. With --cores 2, cace has two threads (with --ranks, as the others, two MPI ranks), and
runs on one core as well. --edge-features adds plain torch over tensors of every edge and feature
(edge_features.py), in float32, outside of `lmp`.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile

import ase
import ase.io
import torch
from operations import calls_of, counted, dense_flops, limits
from pair_cace.data.graph import Graph
from pair_cace.io.loading import load_model
from step import evaluate, seconds

BIN = pathlib.Path(sys.executable).parent
INPUT = """units metal
read_data atoms.data
{pair}
velocity all create 300 12345 mom yes rot yes dist gaussian
fix 1 all nve
timestep 0.0001
thermo {steps}
run 2
run {steps}
"""
POD = """species {elements}
pbc 1 1 1
rin 0.5
rcut {cutoff}
bessel_polynomial_degree 4
inverse_polynomial_degree 8
onebody 1
twobody_number_radial_basis_functions 8
threebody_number_radial_basis_functions 6
threebody_angular_degree 5
fourbody_number_radial_basis_functions 4
fourbody_angular_degree 3
fivebody_number_radial_basis_functions 0
fivebody_angular_degree 0
sixbody_number_radial_basis_functions 0
sixbody_angular_degree 0
sevenbody_number_radial_basis_functions 0
sevenbody_angular_degree 0
"""


class Folder:
    """A working folder of `lmp` with the atoms and all potentials."""

    def __init__(self, path: pathlib.Path, model: pathlib.Path, atoms: ase.Atoms, ranks: bool):
        self.path = path
        self.ranks = ranks
        self.elements = sorted(set(atoms.symbols))
        self.cutoff = load_model(model)[1].cutoff
        ase.io.write(
            path / "atoms.data", atoms, format="lammps-data", specorder=self.elements, masses=True
        )
        subprocess.run(
            [BIN / "cace", "export", model.resolve(), "-o", "model.pt", "--dtype", "float32"],
            cwd=path, check=True, capture_output=True,
        )  # fmt: skip
        names = " ".join(self.elements)
        self.pairs = {
            "cace": f"pair_style cace\npair_coeff * * model.pt {names}",
            "snap": f"pair_style snap\npair_coeff * * snap.coeff snap.param {names}",
            "pod": f"pair_style pod\npair_coeff * * pod.param pod.coeff {names}",
            "none": f"pair_style zero {self.cutoff}\npair_coeff * *",
        }
        self._write_snap()
        self._write_pod()

    def _write_snap(self) -> None:
        draw = random.Random(1)
        lines = [f"{len(self.elements)} 31"]
        for element in self.elements:
            lines.append(f"{element} 0.5 1.0")
            lines += [str(draw.uniform(-1e-4, 1e-4)) for _ in range(31)]
        (self.path / "snap.coeff").write_text("\n".join(lines) + "\n")
        (self.path / "snap.param").write_text(
            f"rcutfac {self.cutoff}\ntwojmax 6\nrfac0 0.99363\nrmin0 0\n"
        )

    def _write_pod(self) -> None:
        text = POD.format(elements=" ".join(self.elements), cutoff=self.cutoff)
        (self.path / "pod.param").write_text(text)
        (self.path / "pod.coeff").write_text("model_coefficients: 1 0 0\n0.0\n")
        said = self.lmp("pod", 1, 1, check=False).stdout  # how many coefficients it wants
        n = int(re.search(r"number of global descriptors: (\d+)", said).group(1))
        draw = random.Random(2)
        values = "\n".join(str(draw.uniform(-1e-5, 1e-5)) for _ in range(n))
        (self.path / "pod.coeff").write_text(f"model_coefficients: {n} 0 0\n{values}\n")

    def lmp(
        self, name: str, cores: int, steps: int, check: bool = True
    ) -> subprocess.CompletedProcess:
        threads = name in ("cace", "none") and not self.ranks
        command = [] if threads or cores == 1 else [BIN / "mpiexec", "-n", str(cores)]
        return self._run(command, name, steps, cores if threads else 1, check)

    def _run(
        self, prefix: list, name: str, steps: int, threads: int, check: bool = True
    ) -> subprocess.CompletedProcess:
        """Runs `lmp` behind the command ``prefix``."""
        (self.path / "in.lmp").write_text(INPUT.format(pair=self.pairs[name], steps=steps))
        result = subprocess.run(
            [*prefix, BIN / "lmp", "-in", "in.lmp"],
            cwd=self.path, env=os.environ | {"OMP_NUM_THREADS": str(threads)},
            capture_output=True, text=True,
        )  # fmt: skip
        if check and result.returncode != 0:
            sys.exit(result.stdout + result.stderr)
        return result

    def seconds_per_step(self, name: str, cores: int, steps: int) -> float:
        times = re.findall(r"Loop time of (\S+)", self.lmp(name, cores, steps).stdout)
        return float(times[-1]) / steps

    def peak_memory(self, name: str) -> int:
        """Bytes, of a run of three steps on one core."""
        script = (  # a small process: its own memory counts as well until it has become `lmp`
            "import resource, subprocess, sys\n"
            "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)\n"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        return 1024 * int(self._run([sys.executable, "-c", script], name, 3, 1).stdout)


def counted_flops(checkpoint: pathlib.Path, atoms: ase.Atoms) -> float:
    """Of a step of the model, per atom: its operations, their gradients, and the dense layers."""
    model, info = load_model(checkpoint)
    model = model.to(torch.float32)
    graph = Graph.of(atoms, info.cutoff)
    total = 0.0
    for call in calls_of(model, graph, training=False):
        output = call.operation(*call.arguments)
        total += counted(call, output, False)[0] + counted(call, output, True)[0]
    return total / len(atoms) + dense_flops(model)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=pathlib.Path, help="a checkpoint")
    parser.add_argument("start", type=pathlib.Path, help="periodic structure that ASE reads")
    parser.add_argument("--repeat", type=int, default=2, help="times the cell in each direction")
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--ranks", action="store_true", help="MPI ranks, not threads, for cace")
    parser.add_argument("--steps", type=int, default=20, help="of cace; slower styles take fewer")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--styles", nargs="*", default=["snap", "pod"])
    parser.add_argument("--edge-features", action="store_true")
    options = parser.parse_args()

    cell = ase.io.read(options.start)
    atoms = cell.repeat(options.repeat)
    torch.set_num_threads(options.cores)
    styles = ["cace", *options.styles]
    with tempfile.TemporaryDirectory() as folder:
        lammps = Folder(pathlib.Path(folder), options.model, atoms, options.ranks)
        model = graph = None
        if options.edge_features:
            model, info = load_model(options.model)
            model, graph = model.to(torch.float32), Graph.of(atoms, info.cutoff)
        times: list[dict[str, float]] = []
        peaks: list[float] = []
        for _ in range(options.repeats):
            found = {
                style: lammps.seconds_per_step(
                    style,
                    options.cores,
                    options.steps if style == "cace" else max(2, options.steps // 8),
                )
                for style in styles
            }
            if options.cores > 1:
                found["cace, one core"] = lammps.seconds_per_step("cace", 1, options.steps)
            if model is not None:
                found["edge × feature"] = seconds(evaluate, model, graph, "edge × feature")
            times.append(found)
            peaks.append(limits()[0])
        memory = lammps.peak_memory("cace") - lammps.peak_memory("none")
    flops = counted_flops(options.model, cell)

    print(f"{len(atoms)} atoms, {options.cores} core(s), {torch.ops.pair_cace.instructions()}")
    print(f"{'':16s}{'µs/atom/step':>14s}{'ratio to cace':>16s}")
    for name in times[0]:
        median = 1e6 / len(atoms) * statistics.median(row[name] for row in times)
        ratio = statistics.median(row[name] / row["cace"] for row in times)
        print(f"{name:16s}{median:14.1f}{ratio:16.2f}")
    share = statistics.median(
        flops * len(atoms) / row["cace"] / peak for row, peak in zip(times, peaks)
    )
    print(
        f"cace: {1e-3 * flops:.0f} kFLOP per atom and step, {100 * share:.0f} % of the "
        f"{1e-9 * statistics.median(peaks):.0f} GFLOP/s of a matrix product; "
        f"{memory / len(atoms) / 1024:.1f} kB per atom"
    )


if __name__ == "__main__":
    main()
