"""loss.energies: relative, energies up to the mean error of a batch."""

import dataclasses

import pytest
import torch
from pair_cace.data.labels import Labels
from pair_cace.errors import CaceError
from pair_cace.nn.derivatives import Prediction
from pair_cace.training.config import LossSection, PhaseSection, load_config
from pair_cace.training.loss import energy_error_sums, error_sums, mean_error, total_loss
from pair_cace.training.run import train
from tolerances import ROUNDING
from training_helpers import mean_energy_error, rows_of

N_ATOMS = torch.tensor([2.0, 3.0, 5.0, 4.0], dtype=torch.float64)


def batch(weights):
    """Four structures; the last has no energy."""
    generator = torch.Generator().manual_seed(3)
    energies = torch.randn(4, dtype=torch.float64, generator=generator)
    labels = Labels(
        energies=torch.tensor([1.0, -2.0, 0.5, torch.nan], dtype=torch.float64),
        forces=torch.full((14, 3), torch.nan, dtype=torch.float64),
        stresses=torch.full((4, 3, 3), torch.nan, dtype=torch.float64),
        weights=torch.tensor(weights, dtype=torch.float64),
    )
    return energies, labels


def relative_loss(energies, labels, kind="mse"):
    structure = torch.repeat_interleave(torch.arange(4), N_ATOMS.long())
    prediction = Prediction(
        energies.new_zeros(14), energies, energies.new_zeros(14, 3), energies.new_zeros(4, 3, 3)
    )
    offset = mean_error(energy_error_sums(energies, labels, N_ATOMS))
    sums = error_sums(
        prediction, labels, N_ATOMS, structure, LossSection(kind=kind, huber_delta=0.2), offset
    )
    phase = PhaseSection(epochs=1, energy_weight=1, force_weight=0)
    return total_loss(sums, sums.counts(), phase)


@pytest.mark.parametrize("kind", ["mse", "huber"])
def test_a_constant_per_atom_does_not_count(kind):
    energies, labels = batch([1.0, 1.0, 1.0, 1.0])
    moved = relative_loss(energies + 7.0 * N_ATOMS, labels, kind)
    assert float(moved) == pytest.approx(float(relative_loss(energies, labels, kind)), rel=ROUNDING)


@pytest.mark.parametrize("weights", [[1.0, 1.0, 1.0, 1.0], [0.5, 3.0, 1.0, 2.0]])
def test_no_gradient_goes_into_the_constant(weights):
    energies, labels = batch(weights)
    energies.requires_grad_(True)
    relative_loss(energies, labels).backward()
    assert float(energies.grad.abs().max()) > 0.01
    assert abs(float((energies.grad * N_ATOMS).sum())) < 1e-14


def test_the_loss_is_the_variance_of_the_errors():
    energies, labels = batch([1.0, 1.0, 1.0, 1.0])
    errors = ((energies - labels.energies) / N_ATOMS)[:3]
    assert float(relative_loss(energies, labels)) == pytest.approx(
        float(errors.var(unbiased=False)), rel=ROUNDING
    )


def test_a_batch_without_energies_has_no_offset():
    energies, labels = batch([1.0, 1.0, 1.0, 1.0])
    labels = dataclasses.replace(labels, energies=torch.full_like(labels.energies, torch.nan))
    assert float(mean_error(energy_error_sums(energies, labels, N_ATOMS))) == 0.0


def test_energies_have_their_constant_after_every_epoch(config_file, tmp_path):
    # E0 are wrong by 3 eV and the rate is small: nothing but the fit can bring the constant.
    config = load_config(
        config_file(
            data={"E0": {"Cu": -0.3, "Au": -0.5}},
            loss={"energies": "relative"},
            training={"phases": [{"epochs": 3, "energy_weight": 1000}]},
            optimizer={"learning_rate": 1e-6},
        )
    )
    train(config)
    rows = rows_of(tmp_path / "run")
    assert all(row["valid_energy_rmse (eV/atom)"] < 0.5 for row in rows)
    assert abs(mean_energy_error(tmp_path / "run" / "best.cace.pt", config)) < 0.1


def test_batches_of_one_structure_are_refused(config_file):
    config = load_config(
        config_file(loss={"energies": "relative"}, training={"batch_size": None, "batch_atoms": 1})
    )
    with pytest.raises(
        CaceError, match="every batch has one structure; raise training.batch_atoms"
    ):
        train(config)
