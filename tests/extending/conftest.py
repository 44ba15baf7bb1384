"""Helpers that run `lmp` lie with the tests of the pair style."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lammps"))
