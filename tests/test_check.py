"""`cace check` finds the usual mistakes in data, names them rightly, and accuses nothing that is right."""

import dataclasses
import functools
import itertools

import ase
import labelled_sets as sets
import numpy as np
import pytest
from ase import units
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from pair_cace.checking.energies import two_groups
from pair_cace.checking.inspection import inspect, survey_of
from pair_cace.checking.linear_potential import LinearPotential
from pair_cace.checking.record import record_of
from pair_cace.checking.slopes import STRESS_FACTORS, explanations, slope_of
from pair_cace.data.reading import iter_frames
from tolerances import DIFFERENCES, FLOAT32_ROUNDING

MAKERS = {
    "alloy": sets.alloy, "metal": sets.metal, "ethanol": sets.ethanol,
    "slabs and bulk": sets.slabs_and_bulk, "argon": sets.argon,
}  # fmt: skip
every_set = pytest.mark.parametrize("kind", ["alloy", "metal", "ethanol"])
with_stress = pytest.mark.parametrize("kind", ["alloy", "metal"])


@functools.cache
def right(kind):
    return tuple(MAKERS[kind]())


def findings(frames, cutoff=5.0):
    """{code: finding} of frames, which may be named by their part."""
    if not isinstance(frames, dict):
        frames = {"data.xyz": frames}
    named = [(part, frame) for part, some in frames.items() for frame in some]
    return {finding.code: finding for finding in inspect(survey_of(named, cutoff)).findings}


def warnings(frames, cutoff=5.0):
    return {c: f.text for c, f in findings(frames, cutoff).items() if f.severity == "warning"}


@pytest.mark.parametrize("kind", MAKERS)
def test_nothing_is_said_of_data_that_are_right(kind):
    assert warnings(right(kind), cutoff=6.0) == {}


# ---- the ten mistakes ----------------------------------------------------------------------------


@every_set
@pytest.mark.parametrize(
    "unit, factor", [("Hartree", 1 / units.Hartree), ("kcal/mol", units.mol / units.kcal)]
)
def test_energies_in_other_units_are_named(kind, unit, factor):
    found = warnings(sets.energies_times(right(kind), factor))
    assert list(found) == ["energy-unit"]
    assert f"probably energies in {unit}" in found["energy-unit"]


@every_set
def test_forces_with_the_wrong_sign_are_named(kind):
    found = warnings(sets.forces_times(right(kind), -1.0))
    assert list(found) == ["force-sign"]
    assert "multiply forces by -1" in found["force-sign"]


@every_set
@pytest.mark.parametrize("with_cell", [True, False])
def test_positions_in_bohr_are_named(kind, with_cell):
    found = warnings(sets.in_bohr(right(kind), with_cell))
    assert list(found) == ["length-unit"]
    assert "Bohr" in found["length-unit"] and "0.52918" in found["length-unit"]


@every_set
def test_an_offset_of_half_of_the_frames_is_named(kind):
    frames = sets.half_offset(right(kind))
    found = findings(frames)
    warned = [code for code, finding in found.items() if finding.severity == "warning"]
    assert warned == ["energy-offset"]
    finding = found["energy-offset"]
    assert "by about 5 eV" in finding.text or "by about 4.9 eV" in finding.text
    moved = {f.name for f, before in zip(frames, right(kind)) if f.energy != before.energy}
    named = set(finding.frames)
    assert len(named) > 0.8 * len(frames) / 2
    # Of a composition, either those that were moved or the others are named.
    assert kind == "alloy" or named in (moved, {f.name for f in frames} - moved)


@every_set
def test_one_frame_with_large_forces_is_named(kind):
    frames = sets.one_large_force(right(kind))
    found = findings(frames)
    assert found["large-force"].frames == (frames[5].name,)
    text = found["large-force"].text
    assert "350 eV/Å" in text and "did not converge" in text


@with_stress
def test_stress_with_the_wrong_sign_is_named(kind):
    found = warnings(sets.stress_times(right(kind), -1.0))
    assert list(found) == ["stress-sign"]


@with_stress
@pytest.mark.parametrize("unit", ["GPa", "kbar"])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_stress_in_other_units_is_named(kind, unit, sign):
    found = warnings(sets.stress_times(right(kind), sign * STRESS_FACTORS[unit]))
    assert set(found) == ({"stress-unit"} if sign > 0 else {"stress-unit", "stress-sign"})
    assert f"in {unit}" in found["stress-unit"]


@with_stress
def test_stress_that_goes_with_forces_of_the_wrong_sign_is_not_accused(kind):
    assert list(warnings(sets.forces_times(right(kind), -1.0))) == ["force-sign"]


@pytest.mark.parametrize("kind, cutoff", [("metal", 2.4), ("ethanol", 1.7)])
def test_a_cutoff_that_sees_few_neighbours_is_named(kind, cutoff):
    found = warnings(right(kind), cutoff)
    assert "few-neighbors" in found and "fewer than six" in found["few-neighbors"]


@pytest.mark.parametrize("box", [None, 15.0])
def test_a_small_molecule_has_few_neighbours_at_any_cutoff(box):
    atoms = molecule("H2O")
    if box:
        atoms.set_cell([box] * 3)
        atoms.pbc = True
    rng = np.random.default_rng(0)
    frames = []
    for k in range(5):
        atoms.rattle(0.05, rng=rng)
        frames.append(sets.frame_of(atoms, EMT(), f"frame {k}"))
    assert "few-neighbors" not in warnings(frames)


@every_set
def test_the_same_frames_in_two_files_are_named(kind):
    frames = right(kind)
    both = {"train.xyz": frames[:30], "test.xyz": frames[25:40]}
    found = findings(both)
    assert found["shared-frames"].frames == tuple(f.name for f in frames[25:30])
    assert "5 of the 15 frames of test.xyz are in train.xyz, too" in found["shared-frames"].text


# ---- duplicates ----------------------------------------------------------------------------------


def test_a_duplicate_is_found_moved_turned_and_reordered():
    frames = list(right("ethanol")[:20])
    atoms = frames[3].atoms.copy()
    atoms.rotate(57, (1, 2, 3))
    atoms.translate((4.0, 0.0, -1.0))
    order = np.random.default_rng(0).permutation(len(atoms))
    again = dataclasses.replace(frames[3], name="again", atoms=atoms[order])
    found = findings([*frames, again])
    assert found["duplicates"].frames == ("again",)
    assert found["duplicates"].severity == "note"


def test_alloys_that_differ_by_the_order_of_elements_alone_are_not_duplicates():
    frames = []
    for k, gold in enumerate(itertools.combinations(range(6), 2)):
        atoms = bulk("Cu", cubic=True).repeat((1, 1, 4))
        atoms.symbols[list(gold)] = "Au"
        frames.append(sets.frame_of(atoms, EMT(), f"frame {k}"))
    survey = survey_of((("a", frame) for frame in frames), 5.0)
    prints = survey.column("fingerprints")
    energies = survey.column("energies")
    for a, b in itertools.combinations(range(len(frames)), 2):
        same = np.allclose(prints[a], prints[b], rtol=FLOAT32_ROUNDING)
        assert same <= (abs(energies[a] - energies[b]) < FLOAT32_ROUNDING)


def test_the_same_structure_with_another_energy_is_named():
    frames = list(right("metal")[:20])
    again = dataclasses.replace(frames[3], name="again", energy=frames[3].energy + 2.0)
    found = findings([*frames, again])
    assert "contradicting-energies" in found and found["contradicting-energies"].frames == (
        "again",
    )


# ---- single frames, boundaries, labels -----------------------------------------------------------


@pytest.mark.parametrize("kind", ["metal", "ethanol"])
def test_one_energy_far_from_the_rest_is_named(kind):
    frames = list(right(kind))
    frames[7] = dataclasses.replace(frames[7], energy=frames[7].energy - 20.0)
    found = findings(frames)
    assert found["far-energy"].frames == (frames[7].name,)


def test_a_cell_that_the_atoms_fill_without_pbc_is_named():
    frames = []
    for frame in right("metal")[:10]:
        atoms = frame.atoms.copy()
        atoms.pbc = False
        frames.append(dataclasses.replace(frame, atoms=atoms))
    assert "cell-without-pbc" in warnings(frames)
    assert "cell-without-pbc" in warnings([*right("metal")[10:30], *frames])


def test_a_molecule_in_a_large_box_without_pbc_is_fine():
    frames = []
    for frame in right("ethanol"):
        atoms = frame.atoms.copy()
        atoms.set_cell([20.0] * 3)
        frames.append(dataclasses.replace(frame, atoms=atoms))
    assert findings(frames) == {}


def test_mixed_periodicity_is_noted():
    found = findings([*right("metal"), *right("ethanol")[:3]])
    assert found["mixed-periodicity"].frames == tuple(f.name for f in right("ethanol")[:3])


def test_isolated_atoms_do_not_disturb():
    atoms = [
        sets.frame_of(ase.Atoms(symbol), EMT(), f"isolated {symbol}") for symbol in ("Cu", "Au")
    ]
    assert warnings([*right("alloy"), *atoms]) == {}


def test_labels_that_are_all_alike_are_named():
    frames = [dataclasses.replace(f, energy=0.0) for f in right("metal")]
    assert "constant-energy" in warnings(frames)
    assert "zero-forces" in warnings(sets.forces_times(right("metal"), 0.0))


def test_forces_that_do_not_sum_to_zero_are_named():
    frames = [dataclasses.replace(f, forces=f.forces + 1.0) for f in right("metal")]
    assert "net-force" in warnings(frames)


def test_data_without_forces_or_energies_are_described():
    bare = [dataclasses.replace(f, energy=None, forces=None, stress=None) for f in right("metal")]
    assert findings(bare) == {}


# ---- parts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shared", [False, True])
def test_forces_and_stress_of_the_linear_potential_are_derivatives(shared):
    frame = right("alloy")[0]
    potential = LinearPotential([29, 79])
    if shared:  # as with many elements
        potential = LinearPotential([21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 39, 40, 79])
    assert potential.shared == shared

    def row(atoms):
        return potential.energy_row(record_of(dataclasses.replace(frame, atoms=atoms), "", 5.0))

    _, forces, stress = potential.rows(record_of(frame, "", 5.0))
    step = 1e-4
    moved = [frame.atoms.copy() for _ in range(2)]
    for sign, atoms in zip((1, -1), moved):
        atoms.positions[1, 2] += sign * step
    expected = -(row(moved[0]) - row(moved[1])) / (2 * step)
    np.testing.assert_allclose(
        forces[5], expected, rtol=0, atol=DIFFERENCES * np.abs(expected).max()
    )

    strained = []
    for sign in (1, -1):
        atoms = frame.atoms.copy()
        strain = np.eye(3)
        strain[0, 1] += sign * step
        strain[1, 0] += sign * step
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        strained.append(row(atoms))
    expected = (strained[0] - strained[1]) / (4 * step) / frame.atoms.cell.volume
    scale = 4 * np.abs(expected).max()  # the strain moves atoms by more than the step
    np.testing.assert_allclose(stress[1], expected, rtol=0, atol=DIFFERENCES * scale)


def test_a_slope_is_between_both_regressions():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=500)
    slope = slope_of(160.2 * truth + 30 * rng.normal(size=500), truth + 0.3 * rng.normal(size=500))
    low, high = slope.interval
    assert low < 160.2 < high and slope.is_certain
    assert explanations(slope, STRESS_FACTORS, 1.5) == ["GPa"]


def test_a_poor_model_accuses_nobody():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=500)
    slope = slope_of(truth, 3.0 * rng.normal(size=500) + truth)
    assert explanations(slope, STRESS_FACTORS, 1.5) == []
    assert not slope_of(truth, rng.normal(size=500)).is_certain


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n", [10, 50, 1000])
def test_one_group_is_not_two(n, seed):
    rng = np.random.default_rng(seed)
    for values in (rng.normal(size=n), rng.uniform(size=n), rng.exponential(size=n),
                   rng.standard_t(2, size=n)):  # fmt: skip
        assert two_groups(values) is None


def test_two_groups_are_two():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0, 0.3, 40), rng.normal(5, 0.3, 20)])
    offset = two_groups(values)
    assert offset.size == pytest.approx(5, abs=0.2) and offset.upper.sum() == 20


# ---- real data -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, step", [("3bpa/train_300K", 3), ("water/train", 6), ("ethanol/train", 6),
                   ("nbmotaw/train", 6), ("hea25/train", 1)]
)  # fmt: skip
@pytest.mark.slow
def test_nothing_is_said_of_first_principles_data(shared, name, step):
    path = shared / "data" / f"{name}.xyz"
    if not path.is_file():
        pytest.skip(f"needs {path}")
    frames = list(itertools.islice(iter_frames(path, require=()), 0, None, step))
    assert warnings(frames) == {}


MISTAKES = {
    "energies in Hartree": (lambda f: sets.energies_times(f, 1 / units.Hartree), "energy-unit"),
    "energies in kcal/mol": (
        lambda f: sets.energies_times(f, units.mol / units.kcal),
        "energy-unit",
    ),
    "forces have the wrong sign": (lambda f: sets.forces_times(f, -1.0), "force-sign"),
    "lengths in Bohr": (sets.in_bohr, "length-unit"),
    "positions in Bohr": (lambda f: sets.in_bohr(f, with_cell=False), "length-unit"),
    "two groups of frames": (sets.half_offset, "energy-offset"),
    "a force of 350 eV/Å": (sets.one_large_force, "large-force"),
    "stress has the wrong sign": (lambda f: sets.stress_times(f, -1.0), "stress-sign"),
    "GPa": (lambda f: sets.stress_times(f, STRESS_FACTORS["GPa"]), "stress-unit"),
    "kbar": (lambda f: sets.stress_times(f, STRESS_FACTORS["kbar"]), "stress-unit"),
}


@pytest.mark.parametrize("name, step", [("ethanol/train", 5), ("nbmotaw/train", 5)])
@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.slow
def test_mistakes_in_first_principles_data_are_named(shared, name, step, mistake):
    path = shared / "data" / f"{name}.xyz"
    if not path.is_file():
        pytest.skip(f"needs {path}")
    frames = list(itertools.islice(iter_frames(path, require=()), 0, None, step))
    spoil, code = MISTAKES[mistake]
    if code.startswith("stress") and frames[0].stress is None:
        pytest.skip(f"{name} has no stress")
    found = set(warnings(spoil(frames)))
    if code == "energy-offset":  # alloys have structures twice, one of which may have been moved
        found.discard("contradicting-energies")
    assert found == {code}
