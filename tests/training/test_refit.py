"""The linear readout by least squares."""

import copy

import pytest
import torch
from pair_cace.cli.train import train_from_file
from pair_cace.data.graph import Graph
from pair_cace.data.labels import Labels
from pair_cace.errors import CaceError
from pair_cace.nn import CACE, Hyperparameters
from pair_cace.nn.derivatives import predict
from pair_cace.training.config import PhaseSection, load_config
from pair_cace.training.refit import NormalEquations, refit_linear_readout
from pair_cace.training.run import train
from pair_cace.training.watcher import Watcher
from training_helpers import labelled, mean_energy_error

PHASE = PhaseSection(epochs=1, energy_weight=10, force_weight=100)


def test_a_run_ends_with_the_constant_that_fits(config_file, tmp_path):
    wrong = {"E0": {"Cu": -0.3, "Au": -0.5}}
    slow = {"phases": [{"epochs": 1, "energy_weight": 1000}]}
    rate = {"learning_rate": 1e-6, "ema_decay": 0.0}
    config = load_config(config_file(data=wrong, training=slow, optimizer=rate))
    said = []
    watcher = Watcher()
    watcher.say = said.append
    train(config, watcher=watcher)
    assert abs(mean_energy_error(tmp_path / "run" / "best.cace.pt", config)) < 1e-9
    assert (tmp_path / "run" / "last.cace.pt").exists()
    assert any(text.startswith("energies moved by ") for text in said)
    forces_alone = {"phases": [{"epochs": 1, "energy_weight": 0}]}
    config = load_config(
        config_file(data=wrong, training=forces_alone, optimizer=rate, folder=str(tmp_path / "f"))
    )
    train(config)
    assert abs(mean_energy_error(tmp_path / "f" / "best.cace.pt", config)) > 0.01


@pytest.mark.parametrize("repeat", [(1, 1, 1), (2, 2, 1)], ids=["every axis", "random directions"])
def test_weights_of_a_teacher_are_found(repeat):
    """Data of a model that differs in its linear readout alone; 8 or 32 atoms a structure."""
    torch.manual_seed(0)
    settings = Hyperparameters(
        elements=("Cu", "Au"), cutoff=4.0, n_rbf=3, n_radial=2, n_atom_basis=1, l_max=2,
        n_layers=1, readout_hidden=(4,), avg_num_neighbors=20.0,
    )  # fmt: skip
    model = CACE(settings).double()
    teacher = copy.deepcopy(model)
    with torch.no_grad():
        teacher.readout.linear.weight += 0.1 * torch.randn_like(teacher.readout.linear.weight)
        teacher.readout.linear.bias += 0.7
    graphs = [Graph.of(atoms.repeat(repeat), 4.0) for atoms in labelled(4, seed=2)]
    graph = Graph.joined(graphs)
    truth = predict(teacher, graph)
    labels = Labels(
        energies=truth.energies.clone(), forces=truth.forces.clone(), stresses=truth.stresses,
        weights=torch.tensor([1.0, 0.5, 2.0, 0.0], dtype=torch.float64),
    )  # fmt: skip
    labels.energies[1] = torch.nan
    labels.forces[3] = torch.nan
    equations = NormalEquations.zero(model.readout.linear.in_features, torch.device("cpu"))
    equations.add(model, graph, labels, torch.Generator().manual_seed(0))

    def score():
        return float((predict(model, graph).forces - truth.forces).square().mean())

    before = score()
    assert refit_linear_readout(model, equations, PHASE, score) is not None
    found = predict(model, graph)
    assert score() < 1e-8 * before
    torch.testing.assert_close(found.energies, truth.energies, rtol=1e-4, atol=1e-3)


def test_what_does_not_help_is_not_kept():
    torch.manual_seed(0)
    settings = Hyperparameters(elements=("Cu", "Au"), cutoff=4.0, n_rbf=2, n_radial=2, l_max=1)
    model = CACE(settings).double()
    weights = model.readout.linear.weight.detach().clone()
    equations = NormalEquations.zero(weights.numel(), torch.device("cpu"))
    equations.force_matrix += torch.eye(weights.numel() + 1)
    equations.force_vector += 1.0
    changes = iter([1.0] + [2.0] * 20)
    assert refit_linear_readout(model, equations, PHASE, lambda: next(changes)) is None
    torch.testing.assert_close(model.readout.linear.weight.detach(), weights)


def test_a_run_ends_with_it(config_file, tmp_path, capsys):
    config = config_file(training={"refit_readout": True})
    train_from_file(config, (), resume=False)
    printed = capsys.readouterr().out
    assert "validation loss" in printed
    before, after = printed.split("validation loss ")[1].split(" after")[0].split(" before, ")
    assert float(after) < float(before)
    # Resuming a finished run does it again, from the same weights.
    train_from_file(config, (), resume=True)
    again = capsys.readouterr().out.split("validation loss ")[1]
    assert again.startswith(f"{before} before, {after} after")


def test_it_needs_a_linear_readout(config_file):
    config = config_file(training={"refit_readout": True}, model={"readout_linear": False})
    with pytest.raises(CaceError, match="refit_readout needs model.readout_linear"):
        load_config(config)
