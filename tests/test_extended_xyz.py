"""Extended XYZ: what is written in other ways is read as it is meant, or refused by name."""

import bz2
import gzip
import lzma
import pathlib
import re

import numpy as np
import pytest
from pair_cace.data.extended_xyz import is_extended_xyz
from pair_cace.data.reading import Keys, read_frames
from pair_cace.errors import CaceError
from tolerances import ROUNDING

CELL = 'Lattice="4.0 0.0 0.0 0.0 5.0 0.0 1.0 0.0 6.0"'
COLUMNS = "Properties=species:S:1:pos:R:3:forces:R:3"
ATOMS = ["O 0.1 0.2 0.3 1.0 2.0 3.0", "H 1.1 0.2 0.3 -1.0 -2.0 -3.0"]
USUAL = f"{CELL} {COLUMNS} energy=-5.5"


def frame(comment=USUAL, atoms=ATOMS, count=None):
    return "\n".join([str(len(atoms) if count is None else count), comment, *atoms]) + "\n"


def read(tmp_path, text, name="data.xyz", **options):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_frames(path, **({"require": ()} | options))


def refused(tmp_path, text, expected, **options):
    with pytest.raises(CaceError) as error:
        read(tmp_path, text, **options)
    assert re.search(expected, str(error.value)), error.value


# ---- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "comment",
    [
        USUAL,
        USUAL.replace("Lattice", "lattice"),
        USUAL.replace("Lattice", "LATTICE"),
        USUAL.replace("Properties", "properties"),
        USUAL.replace("energy", "Energy"),
        USUAL.replace("energy", "ENERGY"),
        USUAL.replace("forces", "force"),
        USUAL.replace("forces", "Forces"),
        USUAL + ' Pbc="T T T"',
        USUAL + " PBC=true",
        USUAL.replace("energy=-5.5", "energy = -5.5"),
        USUAL.replace("energy=-5.5", 'energy="-5.5"'),
        USUAL.replace('"', "'"),
    ],
)
def test_names_and_spellings_that_mean_the_same(tmp_path, comment):
    (found,) = read(tmp_path, frame(comment))
    assert found.energy == -5.5
    assert found.forces.tolist() == [[1.0, 2.0, 3.0], [-1.0, -2.0, -3.0]]
    assert found.atoms.cell.array.tolist() == [[4, 0, 0], [0, 5, 0], [1, 0, 6]]
    assert found.atoms.pbc.all()


def test_directions_that_are_not_periodic(tmp_path):
    for pbc in ('pbc="T F T"', "PBC=[T,F,T]", 'Pbc="1 0 1"'):
        (found,) = read(tmp_path, frame(f"{USUAL} {pbc}"))
        assert found.atoms.pbc.tolist() == [True, False, True]


@pytest.mark.parametrize(
    "comment, expected",
    [
        (
            USUAL.replace("Lattice", "cell"),
            "frame 0, line 2: expected the cell as Lattice=.*'cell'",
        ),
        (USUAL.replace("Lattice", "Unit_Cell"), "found 'Unit_Cell'"),
        (USUAL.replace("Lattice", "box"), "found 'box'"),
        (f'{USUAL} periodic="F F F"', "expected periodic directions as pbc=.*'periodic'"),
        (f"{USUAL} pbc=T T F", "expected one word behind 'pbc', found more; put them in quotes"),
        (f'{USUAL} pbc="T T"', "expected pbc=\"T T T\".*found 'T T'"),
        (f'{USUAL} pbc="yes"', "found 'yes'"),
        (USUAL.replace(CELL, 'Lattice="4 5 6"'), "expected nine numbers in quotes for Lattice"),
        (USUAL.replace(CELL, "Lattice=4 0 0 0 5 0 0 0 6"), "expected nine numbers in quotes"),
        (USUAL.replace("4.0", "4.0D0"), "for 'Lattice', found '4.0D0'; that is Fortran's exponent"),
        (f'{USUAL} lattice="1 0 0 0 1 0 0 0 1"', "expected 'Lattice' once, found it twice"),
        (f"{USUAL} energy=-6.5", "expected 'energy' once, found it twice"),
        (
            f"{USUAL.replace('energy', 'Energy')} ENERGY=-6.5",
            "expected one label 'energy', found ENERGY",
        ),
        (USUAL.replace(COLUMNS, "Properties=species:S:1:pos:R"), "expected Properties of the form"),
        (USUAL.replace("species", "element"), "expected 'species' .or Z. and 'pos' in Properties"),
        (USUAL.replace("energy=-5.5", "energy"), "expected a value for 'energy', found the name"),
        (USUAL.replace("energy=-5.5", "Energy"), "expected a value for 'Energy'"),
        (USUAL.replace("energy=-5.5", "energy=T"), "expected a number for 'energy', found True"),
        (USUAL.replace("energy=-5.5", "energy=low"), "expected a number for 'energy', found 'low'"),
        (USUAL.replace("-5.5", "-5.5D+00"), "found '-5.5D.00'; that is Fortran's exponent"),
        (USUAL.replace("-5.5", "*****"), "too little room for the number"),
        (USUAL.replace("-5.5", '"1 2"'), r"expected shape \(\) for 'energy', found \(2,\)"),
        (f"{USUAL} config_weight", "expected a value for 'config_weight'"),
        (f"{USUAL} config_weight=T", "expected a number for 'config_weight', found True"),
        (f"{USUAL} stress", "expected a value for 'stress'"),
        (f"{USUAL} virial", "expected a value for 'virial'"),
        (f'{USUAL} stress="1 2 3"', "expected nine numbers for 'stress', or six .* found 3"),
        (f'{USUAL} stress="1 2 3 4 5 x"', "expected numbers for 'stress', found 'x'"),
        (f'{USUAL} stress="1 9 0 0 1 0 0 0 1"', "expected a symmetric tensor for 'stress'"),
    ],
)
def test_comment_lines_that_are_refused(tmp_path, comment, expected):
    refused(
        tmp_path, frame() + frame(comment), expected.replace("frame 0, line 2", "frame 1, line 6")
    )


def test_a_comment_without_keys_is_free_text(tmp_path):
    (found,) = read(tmp_path, frame("energy of water", ["O 0 0 0", "H 0 0 1"]))
    assert found.energy is None and not found.atoms.pbc.any()


# ---- stress --------------------------------------------------------------------------------------


def test_a_stress_of_six_numbers_is_in_the_order_of_voigt(tmp_path):
    expected = [[1, 6, 5], [6, 2, 4], [5, 4, 3]]
    (found,) = read(tmp_path, frame(f'{USUAL} stress="1 2 3 4 5 6"'))
    assert found.stress.tolist() == expected
    (found,) = read(tmp_path, frame(f'{USUAL} Stress="1 6 5 6 2 4 5 4 3"'))
    assert found.stress.tolist() == expected


@pytest.mark.parametrize("name", ["virial", "virials", "Virial", "VIRIALS"])
def test_virials_under_similar_names(tmp_path, name):
    for numbers in ("1 2 3 4 5 6", "1 6 5 6 2 4 5 4 3"):
        (found,) = read(tmp_path, frame(f'{USUAL} {name}="{numbers}"'))
        expected = -np.array([[1, 6, 5], [6, 2, 4], [5, 4, 3]]) / 120.0
        np.testing.assert_allclose(found.stress, expected, rtol=ROUNDING)


@pytest.mark.parametrize(
    "comment, label, name",
    [
        (f'{USUAL} REF_stress="1 2 3 4 5 6"', "stress", "REF_stress"),
        (f'{USUAL} dft_virial="1 6 5 6 2 4 5 4 3"', "stress", "dft_virial"),
        (USUAL.replace("energy", "REF_energy"), "energy", "REF_energy"),
        (USUAL.replace("energy", "free_energy"), "energy", "free_energy"),
        (USUAL.replace("energy", "TotEnergy"), "energy", "TotEnergy"),
        (USUAL.replace("forces", "dft_force"), "forces", "dft_force"),
    ],
)
def test_a_label_under_another_name_is_named_where_it_is_missed(tmp_path, comment, label, name):
    refused(
        tmp_path, frame(comment), rf"expected the label '{label}' \({label}\), found {name} instead"
    )
    (found,) = read(tmp_path, frame(comment), keys=Keys(**{label: "none"}))
    assert getattr(found, label) is None
    assert found.remarks == (f"not read: {name}",) or name == "free_energy"


def test_labels_beside_those_that_are_read_are_remarked(tmp_path):
    (found,) = read(tmp_path, frame(f"{USUAL} REF_energy=-7 config_energy_weight=2 dipole=3"))
    assert found.energy == -5.5
    assert found.remarks == ("not read: REF_energy, config_energy_weight",)


def test_which_energy_is_read_beside_a_free_energy(tmp_path):
    (found,) = read(tmp_path, frame(f"{USUAL} free_energy=-5.6"))
    assert found.energy == -5.5 and "extrapolated to σ → 0" in found.remarks[0]
    (found,) = read(tmp_path, frame(f"{USUAL} free_energy=-5.5"))
    assert found.remarks == (
        "the energy is the free energy, the one that forces are derivatives of",
    )
    (found,) = read(tmp_path, frame(f"{USUAL} free_energy=-5.6"), keys=Keys(energy="free_energy"))
    assert found.energy == -5.6 and found.remarks == ("not read: energy",)


# ---- units ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "declared, expected",
    [
        (
            "energy-unit=hartree",
            "expected eV, found energy-unit=hartree; .*1 hartree = 27.211386 eV",
        ),
        ("energy_unit=kcal/mol", "1 kcal/mol = 0.043364104 eV"),
        ("Energy_Units=Ry", "1 rydberg"),
        ("energy_unit=eV/atom", "expected eV, found energy_unit=eV/atom"),
        ("stress-unit=GPa", "expected eV/Å³, found stress-unit=GPa; .*1 GPa = 0.0062415091"),
        ("stress_unit=kbar", "1 kbar"),
        ("virial_unit=Ha", "expected eV, found virial_unit=Ha"),
        ("force_unit=Ha/Bohr", "expected eV/Å, .*1 hartree.*1 bohr"),
        ("forces-unit=au", "1 bohr = 0.52917721 Å"),
        ("length_unit=bohr", "expected Å, found length_unit=bohr"),
        ("pos_unit=nm", "1 nm = 10 Å"),
        ("units=atomic", "expected eV and Å, found units=atomic"),
        ("unit=Hartree", "1 hartree"),
    ],
)
def test_other_units_are_refused_by_name(tmp_path, declared, expected):
    refused(tmp_path, frame(f"{USUAL} {declared}"), expected)


@pytest.mark.parametrize(
    "declared",
    [
        "energy-unit=eV", "energy_unit=electronvolt", "force_unit=eV/Ang", "forces_units=eV/Angstrom",
        "length_unit=Angstrom", "pos_unit=Å", "stress_unit=eV/Ang^3", "stress-unit=eV/A**3",
        "units=metal", 'units="eV Angstrom"', "dipole_unit=Debye", "time_units=fs",
    ],
)  # fmt: skip
def test_our_units_and_those_of_other_things_pass(tmp_path, declared):
    assert read(tmp_path, frame(f"{USUAL} {declared}"))[0].energy == -5.5


@pytest.mark.parametrize("label, name", [("energy", "energy_Ha"), ("stress", "stress_GPa")])
def test_a_name_that_says_another_unit_is_refused(label, name):
    with pytest.raises(CaceError, match=f"the name '{name}' of the {label} says"):
        Keys(**{label: name})
    assert Keys(energy="energy_Au").energy == "energy_Au"  # of gold


# ---- frames --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["data.xyz", "data.XYZ", "data.extxyz", "data.xyz.gz", "data", "data.dat", "data.XYZ.BZ2",
             "data.xyz.xz", "data.gz"],
)  # fmt: skip
def test_no_frame_is_lost_behind_a_blank_line(tmp_path, name):
    content = ("\n" + frame() + "\n \n" + frame() + frame() + "\n\n").encode()
    kind = name.lower().rpartition(".")[2]
    packed = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}.get(kind, bytes)(
        content
    )
    found = read(tmp_path, packed, name)
    assert [one.energy for one in found] == 3 * [-5.5]
    assert [one.name.rpartition(" ")[2] for one in found] == ["0", "1", "2"]


def test_what_a_file_is_compressed_with_is_seen_from_its_content(tmp_path):
    assert len(read(tmp_path, gzip.compress(frame().encode()), "data.xyz")) == 1


def test_frames_keep_their_numbers(tmp_path):
    names = [one.name for one in read(tmp_path, 6 * frame())]
    path = tmp_path / "data.xyz"
    from pair_cace.data.reading import iter_frames

    for index, numbers in (("::2", [0, 2, 4]), ("-1", [5]), ("3", [3]), ("1:3", [1, 2])):
        found = list(iter_frames(path, require=(), index=index))
        assert [one.name for one in found] == [names[k] for k in numbers]


@pytest.mark.parametrize(
    "text, expected",
    [
        (frame() + frame(count=3), "frame 1, line 5: expected 3 atoms, found 2 and the end"),
        (
            frame(count=1) + frame(),
            r"frame 1, line 4: expected the number of atoms .* found 'H 1.1",
        ),
        (
            frame(count=3) + frame(),
            "frame 0, line 5: .* found '2', as if the next frame began here",
        ),
        (
            frame(count="two"),
            "frame 0, line 1: expected the number of atoms of a frame, found 'two'",
        ),
        (frame(atoms=[ATOMS[0], ""]), "frame 0, line 4: expected 7 columns .* found a blank line"),
        (frame(atoms=[ATOMS[0], ATOMS[1] + " 7.0"]), "line 4: expected 7 columns .* found 8 in"),
        (frame(atoms=[ATOMS[0], "H 1 2 3 4 5"]), "line 4: expected 7 columns .* found 6 in"),
        (frame("no keys"), "expected 4 columns .species, pos., found 7; say what the others are"),
        (
            frame(atoms=[ATOMS[0].replace("O", "Ow"), ATOMS[1]]),
            "line 3: .*'Ow'; if it is O, write O",
        ),
        (
            frame(atoms=[ATOMS[0].replace("O", "CU"), ATOMS[1]]),
            "line 3: .*'CU'; if it is Cu, write Cu",
        ),
        (frame(atoms=[ATOMS[0].replace("O", "o"), ATOMS[1]]), "line 3: .*'o'; if it is O, write O"),
        (frame(atoms=[ATOMS[0], ATOMS[1].replace("H", "D")]), "line 4: .*'D'; hydrogen's isotopes"),
        (frame(atoms=[ATOMS[0], ATOMS[1].replace("H", "29")]), "line 4: .*'29'; write Cu, or name"),
        (frame(atoms=[ATOMS[0], ATOMS[1].replace("0.2", "2D-1")]), "line 4: .*'pos' .*Fortran's"),
        (
            frame(atoms=[ATOMS[0], ATOMS[1].replace("0.2", "****")]),
            "line 4: .*'pos' .*too little room",
        ),
        (
            frame(atoms=[ATOMS[0], ATOMS[1].replace("-2.0", "x")]),
            "line 4: .*for 'forces' of atom 1",
        ),
        (
            frame(atoms=[ATOMS[0], ATOMS[1].replace("-2.0", "nan")]),
            "frame 0: .*finite numbers for 'f",
        ),
        (
            frame().replace("O 0", "O\xa0").encode("latin1"),
            "frame 0, line 3: expected text in UTF-8",
        ),
        (frame(USUAL + " by=Ångström").encode("latin1"), "frame 0, line 2: .* found the byte 0xc5"),
        (frame().encode("utf-16"), "expected text in UTF-8, found text in UTF-16"),
        (gzip.compress(5000 * frame().encode())[:-20], "the file is damaged or was cut short"),
    ],
)
def test_frames_that_are_refused(tmp_path, text, expected):
    refused(tmp_path, text, expected)


def test_a_byte_order_mark_and_windows_line_ends_are_no_content(tmp_path):
    text = b"\xef\xbb\xbf" + (2 * frame()).replace("\n", "\r\n").encode()
    assert len(read(tmp_path, text)) == 2


def test_atomic_numbers_instead_of_symbols(tmp_path):
    text = frame(USUAL.replace("species:S:1", "Z:I:1"), ["8" + ATOMS[0][1:], "1" + ATOMS[1][1:]])
    assert read(tmp_path, text)[0].atoms.get_chemical_symbols() == ["O", "H"]


def test_cell_vectors_behind_the_atoms(tmp_path):
    vectors = "VEC1 9.0 0.0 0.0\nVEC2 0.0 9.0 0.0\nVEC3 0.0 0.0 9.0\n"
    plain = frame("a comment", ["O 0 0 0", "H 0 0 1"]) + vectors
    found = read(tmp_path, 2 * plain)
    assert len(found) == 2 and found[1].atoms.cell.lengths().tolist() == [9, 9, 9]


def test_files_of_other_formats_are_not_taken_for_xyz(tmp_path):
    for content in ("ITEM: TIMESTEP\n0\n", "12\nnot\natoms\n", "3\n", ""):
        (tmp_path / "file").write_text(content)
        assert not is_extended_xyz(tmp_path / "file")


# ---- files that users tripped over ---------------------------------------------------------------

CASES = {
    "io02_lattice_lowercase/data.xyz": 2,
    "io03_gz_blank/data.xyz.gz": 4,
    "io06_latin1/data.xyz": "frame 0, line 2: expected text in UTF-8, found the byte 0xc5",
    "io09_deuterium/data.xyz": "frame 0, line 4: expected a chemical symbol for atom 1, found 'D'",
    "io12_stress6/data.xyz": 2,
    "io13_virials/data.xyz": 2,
    "io26_energy_bool/data.xyz": "frame 0: expected a value for 'energy', found the name alone",
}


@pytest.mark.parametrize("case", CASES)
def test_cases(shared, case):
    path, expected = shared / "cases" / case, CASES[case]
    if isinstance(expected, str):
        with pytest.raises(CaceError, match=expected):
            read_frames(path)
        return
    found = read_frames(path)
    assert len(found) == expected
    assert all(
        one.atoms.cell.volume == pytest.approx(4.0 * 4.3 * 4.6, rel=ROUNDING) for one in found
    )
    if "io02" not in case:
        reference = read_frames(shared / "cases" / "io03_gz_blank" / "data.xyz.gz")
        np.testing.assert_allclose(found[1].stress, reference[1].stress, rtol=0, atol=ROUNDING)


def test_a_label_that_is_none_in_one_frame(shared):
    path: pathlib.Path = shared / "cases" / "tr20_None_label" / "train.xyz"
    with pytest.raises(CaceError, match="frame 2: expected a value for 'REF_energy'"):
        read_frames(path, Keys(energy="REF_energy"))
