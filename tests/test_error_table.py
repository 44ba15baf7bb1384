"""Errors of frames, and what they are compared with."""

import ase.units
import numpy as np
import pytest
from pair_cace.composition import compositions, energies_after_E0, systems
from pair_cace.error_table import digits, error_rows, errors_as_json, percent
from pair_cace.evaluation import Evaluation
from pair_cace.plotting import COLOURS, _colours, plot_learning_curves, plot_parity
from pair_cace.quantities import TO_GPA
from pair_cace.spread import spreads_of
from tolerances import ROUNDING

WATER, ICE, METHANE = [8, 1, 1], [1, 8, 1, 8, 1, 1], [6, 1, 1, 1, 1]
E0 = {"H": -1.0, "C": -5.0, "O": -10.0}


def evaluation_of(frames, energies, errors=0.0, force_errors=0.0, stress=None):
    """Frames (lists of atomic numbers) with total energies, and predictions off by ``errors``."""
    n_atoms = np.array([len(frame) for frame in frames])
    of_atoms = np.repeat(np.broadcast_to(force_errors, len(frames)), n_atoms)[:, None]
    energies = np.asarray(energies, float)
    forces = np.random.default_rng(0).normal(size=(n_atoms.sum(), 3))
    stresses = np.full((len(frames), 3, 3), np.nan) if stress is None else stress
    return Evaluation(
        n_atoms,
        np.concatenate(frames),
        {"energies": energies, "forces": forces, "stresses": stresses},
        {
            "energies": energies + errors,
            "forces": forces + of_atoms,
            "stresses": stresses + 0.01,
        },
    )


def test_compositions_do_not_depend_on_size_or_order():
    one = evaluation_of([WATER, ICE, METHANE], [0, 0, 0])
    assert compositions(one) == ["H2O", "H2O", "CH4"] and systems(one) == ["H-O", "H-O", "C-H"]


def test_energies_after_E0_are_what_is_left_per_atom():
    pairs = energies_after_E0(evaluation_of([WATER, METHANE], [-15.0, -19.0], 0.3), E0)
    np.testing.assert_allclose(pairs.reference, [(-15 + 12) / 3, (-19 + 9) / 5], rtol=ROUNDING)
    np.testing.assert_allclose(pairs.errors, [0.1, 0.06], rtol=ROUNDING)
    one = evaluation_of([WATER, METHANE], [np.nan, -19.0])
    np.testing.assert_allclose(energies_after_E0(one, E0).reference, [-2.0], rtol=ROUNDING)


def test_errors_of_frames():
    one = evaluation_of([WATER, METHANE], [-15.0, -19.0], [0.3, -0.5], [0.2, np.nan])
    np.testing.assert_allclose(one.energy_errors_of_frames, [0.1, -0.1], rtol=ROUNDING)
    np.testing.assert_allclose(one.force_rmse_of_frames, [0.2, np.nan], rtol=ROUNDING)


def test_the_spread_of_energies_is_within_compositions():
    spreads = spreads_of(evaluation_of([WATER] * 3 + [METHANE] * 3, [0, 3, 6, 50, 55, 60]), E0)
    assert spreads.within_compositions
    assert spreads.energy == pytest.approx(
        1.0, rel=ROUNDING
    )  # both have a standard deviation of 1 eV/atom


def test_the_spread_of_energies_of_unlike_compositions_is_that_of_all():
    frames = [WATER, METHANE, [1, 1], [8, 8], [6, 6]]
    energies = [-12 + 3, -9, -2, -20, -10]  # one of them 1 eV/atom above E0
    spreads = spreads_of(evaluation_of(frames, energies), E0)
    assert not spreads.within_compositions
    assert spreads.energy == pytest.approx(np.std([1, 0, 0, 0, 0], ddof=1), rel=ROUNDING)


def test_where_labels_do_not_differ_there_is_no_share():
    one = evaluation_of([WATER] * 3, [-15.0] * 3, 0.3, 0.1, np.full((3, 3, 3), 0.5))
    (energy, _, force, *_, stress, in_GPa) = error_rows({"valid": one}, E0)
    assert np.isnan(energy.errors["valid"].share) and np.isnan(stress.errors["valid"].share)
    assert energy.errors["valid"].text == "100"
    assert force.errors["valid"].share == pytest.approx(
        0.1 / np.sqrt(np.mean(one.labels["forces"] ** 2)), rel=ROUNDING
    )
    assert errors_as_json([energy], "valid")["energy"]["share_of_spread"] is None
    assert (stress.unit, in_GPa.unit) == ("meV/Å³", "GPa")


def test_a_stress_in_GPa():
    stress = np.random.default_rng(1).normal(size=(4, 3, 3))
    rows = error_rows({"test": evaluation_of([WATER] * 4, range(4), stress=stress)}, E0)
    (row,) = [row for row in rows if row.unit == "GPa"]
    assert (
        row.errors["test"].rmse
        == pytest.approx(0.01 / ase.units.GPa, rel=ROUNDING)
        == 0.01 * TO_GPA
    )
    content = errors_as_json(rows, "test")
    assert content["stress"]["rmse"] == pytest.approx(0.01, rel=ROUNDING)
    assert content["stress in GPa"]["rmse"] == pytest.approx(1.6021766208, rel=ROUNDING)
    assert content["stress"]["share_of_spread"] == pytest.approx(
        0.01 / np.sqrt(stress.var(axis=0, ddof=1).mean()), rel=ROUNDING
    )


def test_sets_stand_side_by_side():
    found = {
        "train": evaluation_of([WATER] * 2, [0, 1]), "test": evaluation_of([METHANE] * 2, [0, 1])
    }  # fmt: skip
    rows = error_rows(found, E0)
    assert [row.quantity for row in rows] == [
        "energy", "energy, shifted", "force", "force on H", "force on O", "force on C"
    ]  # fmt: skip
    assert rows[0].errors.keys() == {"train", "test"} and rows[-1].errors.keys() == {"test"}


@pytest.mark.parametrize(
    "value, text",
    [
        (0.0, "0"), (1234.5, "1230"), (99.96, "100"), (12.34, "12.3"), (0.12345, "0.123"),
        (0.00001, "0.000"), (-0.71249, "-0.712"), (float("nan"), "nan"),
    ],
)  # fmt: skip
def test_digits(value, text):
    assert digits(value) == text


@pytest.mark.parametrize("share, text", [(0.0312, "3.1 %"), (0.31, "31 %"), (1.234, "123 %")])
def test_percent(share, text):
    assert percent(share) == text


def test_common_compositions_have_a_colour_and_all_others_share_one():
    names = np.array([f"X{k}" for k in range(12) for _ in range(20 - k)])
    colours = _colours(names)
    assert list(colours) == [f"X{k}" for k in range(10)] + ["other"]
    assert [colour for colour, _ in colours.values()] == [*COLOURS, "0.6"]
    assert sum(chosen.sum() for _, chosen in colours.values()) == len(names)
    assert list(_colours(np.array(["H2O"] * 3))) == ["H2O"]


def test_plots_of_whatever_labels_there_are(tmp_path):
    one = evaluation_of([WATER, METHANE], [np.nan, -19.0], stress=np.ones((2, 3, 3)))
    plot_parity(one, tmp_path / "a.png", "title", E0)
    plot_parity(evaluation_of([WATER], [np.nan]), tmp_path / "b.svg", "title")
    columns = [
        f"{part}_{column}"
        for part in ("train", "valid")
        for column in ("energy_rmse (eV/atom)", "force_rmse (eV/A)")
    ]
    rows = [{"epoch": k} | dict.fromkeys(columns, 1.0 / (k + 1)) for k in range(3)]
    plot_learning_curves({"first": rows, "second": rows[:1]}, tmp_path / "c.pdf")
    starts = [(tmp_path / name).read_bytes()[:4] for name in ("a.png", "b.svg", "c.pdf")]
    assert starts == [b"\x89PNG", b"<?xm", b"%PDF"]
