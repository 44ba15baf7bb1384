"""Runs random LAMMPS scripts with `pair_style cace`: each agrees with Python or ends in a known error.

    python tests/lammps/fuzz/run.py --scripts 500 --seed 0
    python tests/lammps/fuzz/run.py --only 123     # one script again; its folder is kept

A crash, more than a minute, a result that is not a number, wrong numbers and unknown errors are failures.
Their scripts, data files and output are kept.
"""

from __future__ import annotations

import argparse
import collections
import pathlib
import subprocess
import sys
import tempfile
import time

LAMMPS_TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(LAMMPS_TESTS), str(LAMMPS_TESTS.parent)]

from grammar import Script, random_script  # noqa: E402
from judge import Verdict, judge  # noqa: E402
from models import Model, export_models  # noqa: E402
from run_lmp import Run, lmp  # noqa: E402

TIME_LIMIT = 60  # s
UNTIDY_MEMORY = {"MALLOC_PERTURB_": "165"}  # glibc fills memory, so that forgotten values show
LAUNCHES = 6  # until an error has a message


def run_script(seed: int, models: dict[str, Model], folder: pathlib.Path) -> Verdict:
    """Write, run and judge one script in ``folder``."""
    script = random_script(seed, models)
    folder.mkdir(parents=True)
    script.write(folder)
    _write_broken_models(folder, models)
    try:
        for _ in range(LAUNCHES):
            run = lmp(
                folder, script.text, script.ranks, timeout=TIME_LIMIT, variables=UNTIDY_MEMORY
            )
            if not message_is_lost(script, run):
                break
    except subprocess.TimeoutExpired as late:
        (folder / "output.txt").write_bytes((late.stdout or b"") + (late.stderr or b""))
        return Verdict(False, f"still running after {TIME_LIMIT} s")
    (folder / "output.txt").write_text(run.output)
    return judge(script, run, models)


def message_is_lost(script: Script, run: Run) -> bool:
    """A rank ended all others by MPI_Abort, and mpiexec was faster than the text on its way to us."""
    return script.ranks > 1 and run.returncode == 1 and "ERROR" not in run.output


def _write_broken_models(folder: pathlib.Path, models: dict[str, Model]) -> None:
    good = models["T0"].path.read_bytes()
    (folder / "empty.pt").write_bytes(b"")
    (folder / "short.pt").write_bytes(good[: len(good) // 3])
    (folder / "noise.pt").write_bytes(bytes(k * k % 251 for k in range(5000)))


def failures_of(seeds, models: dict[str, Model], folder: pathlib.Path, report=print) -> list[str]:
    """Run the scripts of all ``seeds``; a line for each failure, whose folders are kept."""
    counts: collections.Counter[str] = collections.Counter()
    failures = []
    for seed in seeds:
        verdict = run_script(seed, models, folder / f"script{seed}")
        if verdict.good:
            counts[verdict.text] += 1
            _remove(folder / f"script{seed}")
        else:
            failures.append(f"script {seed}: {verdict.text}")
            report(failures[-1] + f"\n    {folder / f'script{seed}'}; again: run.py --only {seed}")
    for text, count in counts.most_common():
        report(f"{count:5d}  {text}")
    report(f"{len(failures):5d}  failures")
    return failures


def _remove(folder: pathlib.Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--scripts", type=int, default=500, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of the first; the next has one more")
    parser.add_argument(
        "--only", type=int, metavar="SEED", help="run this script alone, keep all files"
    )
    parser.add_argument(
        "--keep", type=pathlib.Path, help="folder for failures (default: a new one)"
    )
    options = parser.parse_args()
    folder = options.keep or pathlib.Path(tempfile.mkdtemp(prefix="fuzz-"))
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as for_models:
        models = export_models(pathlib.Path(for_models) if options.only is None else folder)
        if options.only is not None:
            verdict = run_script(options.only, models, folder / f"script{options.only}")
            print(f"{'good' if verdict.good else 'FAILURE'}: {verdict.text}\n{folder}")
            sys.exit(not verdict.good)
        seeds = range(options.seed, options.seed + options.scripts)
        failures = failures_of(seeds, models, folder)
    print(f"{time.monotonic() - start:.0f} s")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
