"""Exported models of earlier versions run in `lmp` and give what they gave then; see ../test_formats.py."""

import json
import pathlib

import ase.io
import pytest
from helpers import assert_close
from run_lmp import single_point

FORMATS = pathlib.Path(__file__).parents[1] / "formats"


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("neighbors", ["lammps", "own"])
@pytest.mark.parametrize("file", sorted(path.name for path in FORMATS.glob("exported-*.pt")))
def test_a_file_of_every_format_in_lmp(tmp_path, file, neighbors, ranks):
    expected = json.loads((FORMATS / "expected.json").read_text())
    found = single_point(
        tmp_path,
        ase.io.read(FORMATS / "liquid.xyz"),
        f"pair_style cace neighbors {neighbors} outside ignore\npair_coeff * * {FORMATS / file} O H",
        ranks=ranks,
    )
    assert_close(found.energy, expected["energy"])
    assert_close(found.forces, expected["forces"])
    assert_close(found.virial_stress, expected["stress"])
