"""Files that earlier versions wrote load, and give what they gave then.

``formats`` has one file of every format, named for its number, and what the version that wrote it found for
``liquid.xyz``. A new format adds its file; none is ever taken away.
"""

import json
import pathlib

import ase.io
import pytest
from helpers import assert_close

from pair_cace import CACECalculator

FORMATS = pathlib.Path(__file__).parent / "formats"


@pytest.fixture
def atoms():
    return ase.io.read(FORMATS / "liquid.xyz")


@pytest.fixture(scope="module")
def expected():
    return json.loads((FORMATS / "expected.json").read_text())


@pytest.mark.parametrize("file", sorted(path.name for path in FORMATS.glob("*.pt")))
def test_a_file_of_every_format_in_ase(file, atoms, expected):
    atoms.calc = CACECalculator(FORMATS / file, outside="ignore")
    assert_close(atoms.get_potential_energy(), expected["energy"])
    assert_close(atoms.get_forces(), expected["forces"])
    assert_close(atoms.get_stress(), expected["stress"])
