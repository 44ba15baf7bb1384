"""What fine-tuning does to a model: errors on what is new to it, and on what it knew.

    python benchmarks/fine_tune.py runs/alloy/best.cace.pt --new new.xyz --known binaries.xyz
    python benchmarks/fine_tune.py runs/alloy/best.cace.pt --new new.xyz --known binaries.xyz \\
        --frames 8 --seeds 0,1,2 fine_tune.replay.share=0.8

Trains with the template `finetune` on some frames of the first file, spread over its energies per atom
and drawn by seed, and prints root-mean-square errors of the model before and after, on the other frames
of that file and on those of the second. With `--draw random` hot frames may be missing among those that
it learns, and what it finds for them is extrapolated. Frames of the first training are replayed from the files that the model names, or from
those in fine_tune.replay.data=FILE; any key of the config can be given in this way.
"""

from __future__ import annotations

import argparse
import pathlib
import subprocess
import sys
import tempfile

import ase.io
import numpy as np
from pair_cace.cli.train import template_text
from pair_cace.data.reading import read_frames
from pair_cace.evaluation import evaluate, graphs_of
from pair_cace.io.checkpoint import load_checkpoint

ATOMS = 500  # in a graph that is evaluated


def errors(model_file: pathlib.Path, data_file: pathlib.Path) -> dict[str, tuple[float, str]]:
    """Root-mean-square error and unit of every quantity that has labels."""
    model, info = load_checkpoint(model_file)
    found = evaluate(model, graphs_of(read_frames(data_file), info.cutoff, ATOMS))
    return {
        quantity: (factor * pairs.rmse, unit)
        for quantity, unit, factor, pairs in found.rows()
        if quantity in ("energy", "force", "stress")
    }


def drawn(frames: list[ase.Atoms], n: int, seed: int, draw: str) -> list[int]:
    """``n`` of the frames: at random, or one of every part of them in order of energy per atom."""
    rng = np.random.default_rng(seed)
    if draw == "random":
        return list(rng.permutation(len(frames))[:n])
    order = np.argsort([atoms.get_potential_energy() / len(atoms) for atoms in frames])
    return [int(rng.choice(part)) for part in np.array_split(order, n)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=pathlib.Path, help="checkpoint to start from")
    parser.add_argument("--new", type=pathlib.Path, required=True, help="frames to learn")
    parser.add_argument("--known", type=pathlib.Path, required=True, help="frames not to forget")
    parser.add_argument("--frames", type=int, default=8, help="of --new, to train on")
    parser.add_argument(
        "--draw", choices=("spread", "random"), default="spread", help="these frames"
    )
    parser.add_argument("--seeds", default="0", help="of these frames, as 0,1,2")
    arguments, overrides = parser.parse_known_args()
    frames = ase.io.read(arguments.new, ":")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        config = folder / "config.yaml"
        config.write_text(template_text("finetune"), encoding="utf-8")
        for seed in map(int, arguments.seeds.split(",")):
            chosen = drawn(frames, arguments.frames, seed, arguments.draw)
            new, rest = folder / "new.xyz", folder / "rest.xyz"
            ase.io.write(new, [frames[k] for k in chosen], format="extxyz")
            others = [atoms for k, atoms in enumerate(frames) if k not in chosen]
            ase.io.write(rest, others, format="extxyz")
            run = folder / f"run-{seed}"
            command = [
                sys.executable, "-m", "pair_cace", "train", config, f"folder={run}",
                f"data.train={new}", f"fine_tune.init_from={arguments.model.resolve()}",
                f"training.seed={seed}", *overrides,
            ]  # fmt: skip
            result = subprocess.run(map(str, command), capture_output=True, text=True)
            if result.returncode != 0:
                sys.exit(result.stdout + result.stderr)
            for title, file in (("new frames", rest), ("known frames", arguments.known)):
                before, after = errors(arguments.model, file), errors(run / "best.cace.pt", file)
                for quantity, (old, unit) in before.items():
                    value = after[quantity][0]
                    print(
                        f"seed {seed}, {title:12s} {quantity:6s} {old:9.3f} -> {value:9.3f} {unit:8s} "
                        f"({value / old:.2f})",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
