"""The linear readout by least squares."""

import copy

import pytest
import torch
from helpers import assert_close
from pair_cace.cli.train import train_from_file
from pair_cace.data.graph import Graph
from pair_cace.data.labels import Labels
from pair_cace.errors import CaceError
from pair_cace.io.checkpoint import load_checkpoint
from pair_cace.nn import CACE, Hyperparameters
from pair_cace.nn.derivatives import predict
from pair_cace.training.config import LossSection, PhaseSection, load_config
from pair_cace.training.data import load_data
from pair_cace.training.distributed import Processes
from pair_cace.training.groups import dealt, groups_of, members
from pair_cace.training.loss import ErrorSums, error_sums
from pair_cace.training.normal_equations import NormalEquations, directions
from pair_cace.training.refit import parts_of
from pair_cace.training.ridge_search import RIDGES, search
from pair_cace.training.run import train
from pair_cace.training.watcher import Watcher
from tolerances import ROUNDING, SAME_MODEL
from training_helpers import cace_train, labelled, mean_energy_error

PHASE = PhaseSection(epochs=1, energy_weight=10, force_weight=100, stress_weight=1000)


def small_model(n_layers=1):
    settings = Hyperparameters(
        elements=("Cu", "Au"), cutoff=4.0, n_rbf=3, n_radial=2, n_atom_basis=1, l_max=2,
        n_layers=n_layers, readout_hidden=(4,), avg_num_neighbors=20.0,
    )  # fmt: skip
    return CACE(settings).double()


def labels_of(prediction, weights=None):
    n = len(prediction.energies)
    weights = torch.ones(n, dtype=torch.float64) if weights is None else weights
    return Labels(
        prediction.energies.clone(), prediction.forces.clone(), prediction.stresses.clone(), weights
    )


def taught(model):
    """A model that differs from ``model`` in its linear readout alone."""
    teacher = copy.deepcopy(model)
    with torch.no_grad():
        teacher.readout.linear.weight += 0.1 * torch.randn_like(teacher.readout.linear.weight)
        teacher.readout.linear.bias += 0.7
    return teacher


def equations_for(model, graph, labels, scales=(10.0, 100.0, 1000.0), n_directions=100, loss=None):
    n_features = model.readout.linear.in_features
    scales = torch.tensor(scales, dtype=torch.float64)
    equations = NormalEquations(n_features, 1, scales, loss or LossSection(), torch.device("cpu"))
    equations.add(0, model, graph, labels, n_directions, torch.Generator().manual_seed(0))
    return equations


def errors(model, graph, labels):
    n_atoms = torch.bincount(graph.structure).double()
    found = error_sums(predict(model, graph), labels, n_atoms, graph.structure, LossSection())
    return ErrorSums.from_tensor(found.as_tensor().detach())


def test_a_run_ends_with_the_constant_that_fits(config_file, tmp_path):
    wrong = {"E0": {"Cu": -0.3, "Au": -0.5}}
    slow = {"phases": [{"epochs": 1, "energy_weight": 1000}]}
    rate = {"learning_rate": 1e-6, "ema_decay": 0.0}
    config = load_config(config_file(data=wrong, training=slow, optimizer=rate))
    said = []
    watcher = Watcher()
    watcher.say = said.append
    train(config, watcher=watcher)
    assert abs(mean_energy_error(tmp_path / "run" / "best.cace.pt", config)) < SAME_MODEL
    assert (tmp_path / "run" / "last.cace.pt").exists()
    assert any(text.startswith("energies moved by ") for text in said)
    forces_alone = {"phases": [{"epochs": 1, "energy_weight": 0}]}
    config = load_config(
        config_file(data=wrong, training=forces_alone, optimizer=rate, folder=str(tmp_path / "f"))
    )
    train(config)
    assert abs(mean_energy_error(tmp_path / "f" / "best.cace.pt", config)) > 0.01


@pytest.mark.parametrize(
    "scales, n_directions",
    [
        ((10.0, 100.0, 1000.0), 100),
        ((10.0, 100.0, 1000.0), 12),  # of 24 components of forces
        ((10.0, 0.0, 1000.0), 100),
        ((0.0, 100.0, 0.0), 100),
    ],
    ids=["all", "some directions", "no forces", "forces alone"],
)
def test_weights_of_a_teacher_are_found(scales, n_directions):
    torch.manual_seed(0)
    model = small_model()
    graph = Graph.joined([Graph.of(atoms, 4.0) for atoms in labelled(12, seed=2)])
    truth = predict(taught(model), graph)
    weights = torch.ones(12, dtype=torch.float64)
    weights[:4] = torch.tensor([1.0, 0.5, 2.0, 0.0])
    labels = labels_of(truth, weights)
    labels.energies[1] = torch.nan
    labels.forces[:20] = torch.nan
    labels.stresses[5] = torch.nan
    equations = equations_for(model, graph, labels, scales, n_directions)
    energy, force, stress = scales
    phase = PhaseSection(epochs=1, energy_weight=energy, force_weight=force, stress_weight=stress)

    def found():
        return {"all": errors(model, graph, labels)}

    before = found()["all"]
    assert search(model, equations, phase, found, lambda k: found()["all"]).ridge == RIDGES[-1]
    after = found()["all"]
    for name in ("energy", "force", "stress"):
        if getattr(phase, f"{name}_weight"):
            ratio = after[name].loss / before[name].loss
            assert ratio < 1e-6, name


def test_the_equations_have_the_slope_of_the_loss():
    """−2 × the vector is the derivative of the weighted loss by the weights, of Huber's too."""
    torch.manual_seed(0)
    model = small_model()
    graph = Graph.joined([Graph.of(atoms, 4.0) for atoms in labelled(3, seed=2)])
    noise = torch.Generator().manual_seed(1)
    prediction = predict(model, graph)
    labels = labels_of(prediction, torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64))
    for values in (labels.energies, labels.forces, labels.stresses):
        values += 0.1 * torch.randn(values.shape, dtype=torch.float64, generator=noise)
    scales = (2.0, 3.0, 5.0)
    for loss in (LossSection(), LossSection(kind="huber", huber_delta=0.03)):
        equations = equations_for(model, graph, labels, scales, loss=loss)
        n_atoms = torch.bincount(graph.structure).double()
        prediction = predict(model, graph, create_graph=True)
        sums = error_sums(prediction, labels, n_atoms, graph.structure, loss)
        value = sum(
            scale * sums[name].loss for scale, name in zip(scales, ("energy", "force", "stress"))
        )
        linear = model.readout.linear
        slopes = torch.autograd.grad(value, [linear.weight, linear.bias])
        expected = torch.cat([slopes[0][0], slopes[1]])
        torch.testing.assert_close(
            -2.0 * equations.vectors[0], expected, rtol=SAME_MODEL, atol=SAME_MODEL
        )


def test_directions_count_every_component_once():
    n_atoms = torch.tensor([3, 1, 4])
    drawn = directions(n_atoms, 100, torch.Generator().manual_seed(0))
    assert drawn.shape == (12, 8, 3)
    vectors = torch.randn(8, 3, dtype=torch.float64)
    along = (drawn * vectors).sum((1, 2))
    for atoms in (slice(0, 3), slice(3, 4), slice(4, 8)):
        part = (drawn[:, atoms] * vectors[atoms]).sum((1, 2))
        assert_close(part.square().sum(), vectors[atoms].square().sum(), within=ROUNDING)
    assert along.shape == (12,)
    few = [directions(n_atoms, 5, torch.Generator().manual_seed(k)) for k in range(400)]
    squares = [(one[:, :3] * vectors[:3]).sum((1, 2)).square().sum() for one in few]
    assert few[0].shape == (5, 8, 3)
    torch.testing.assert_close(
        torch.stack(squares).mean(), vectors[:3].square().sum(), rtol=0.05, atol=0.0
    )


def sums(energy, force=1.0):
    errors = [(energy**2, energy**2, energy, 1.0), (force**2, force**2, force, 1.0), 4 * (0.0,)]
    return ErrorSums.from_tensor(torch.tensor(errors, dtype=torch.float64))


def searched(valid, parts=lambda model, k: sums(1.0), n_parts=1):
    """A search with errors that depend on the first weight alone, which least squares want at 1."""
    torch.manual_seed(0)
    model = small_model(n_layers=0)
    n_features = model.readout.linear.in_features
    equations = NormalEquations(
        n_features, n_parts, torch.ones(3).double(), LossSection(), torch.device("cpu")
    )
    equations.matrices += torch.eye(n_features + 1) / n_parts
    equations.vectors[:, 0] = 1.0 / n_parts
    with torch.no_grad():
        model.readout.linear.weight.zero_()
    weight = model.readout.linear.weight[0]
    found = search(
        model, equations, PhaseSection(epochs=1, energy_weight=1, force_weight=1),
        lambda: valid(weight[0].item()), lambda k: parts(weight[0].item(), k),
    )  # fmt: skip
    return found, weight[0].item()


def test_what_does_not_help_is_not_kept():
    found, weight = searched(lambda x: {"all": sums(1.0 + x)})
    assert found.ridge is None and weight == 0.0
    assert found.reason == "no solution is better on the validation data"


def test_the_best_of_all_ridges_is_taken():
    found, weight = searched(lambda x: {"all": sums(1.0 + abs(x - 0.5))})
    assert found.ridge == 1.0 and weight == pytest.approx(0.5, abs=1e-3)
    assert float(found.before["all"]["energy"].loss) == 1.5**2
    assert float(found.after["all"]["energy"].loss) == pytest.approx(1.0, abs=1e-2)


def test_no_group_gets_worse_in_anything():
    """Also if the sum gets better."""
    found, weight = searched(lambda x: {"all": sums(2.0 - x), "a": sums(1.0 - x / 2, 1.0 + x)})
    assert found.ridge is None and weight == 0.0
    found, weight = searched(lambda x: {"all": sums(2.0 - x), "a": sums(1.0, 1.0 + 0.015 * x)})
    assert 0.3 < weight < 0.7  # up to one per cent


def test_what_is_left_out_bounds_the_move():
    """A solution must not do harm where it was not fitted."""

    def harmed_beyond(bound):
        return lambda x, k: sums(1.0 if k == 0 or x < bound else 1.1)

    def valid(x):
        return {"all": sums(2.0 - x)}

    assert searched(valid, harmed_beyond(2.0), n_parts=3)[1] == pytest.approx(1.0, abs=1e-3)
    assert searched(valid, harmed_beyond(0.6), n_parts=3)[1] == pytest.approx(0.5, abs=1e-2)
    found, weight = searched(valid, harmed_beyond(1e-9), n_parts=3)
    assert found.ridge is None and weight == 0.0
    assert found.reason == "solutions do harm where something is new"


def test_structures_are_told_apart_by_group(config_file):
    config = load_config(config_file())
    store = load_data(config, 4.0, Processes(), Watcher())["train"].store
    every = list(range(len(store)))
    assert set(groups_of(store, every)) == {"Cu-Au"}
    assert parts_of(store, every, 10) == [every]
    store.config_types = ["bulk"] * 10 + ["surface"] * 6 + ["gas", None, None, None]
    groups = members(groups_of(store, every), every)
    assert {name: len(group) for name, group in groups.items()} == {
        "bulk": 10, "surface": 6, "(no config_type)": 3, "gas": 1,
    }  # fmt: skip
    assert dealt(groups, 2) == [["bulk"], ["surface", "(no config_type)", "gas"]]
    assert sorted(sum(parts_of(store, every, 10), [])) == every
    assert parts_of(store, every, 50_000) == [every]  # no memory for more than one matrix


@pytest.mark.slow
def test_a_run_ends_with_it(config_file, tmp_path, capsys):
    config = config_file(training={"refit_readout": True})
    train_from_file(config, (), resume=False)
    printed = capsys.readouterr().out
    assert "took the solution with ridge" in printed and "will take about" in printed
    (line,) = [line for line in printed.splitlines() if line.startswith("  all: ")]
    for quantity in line.removeprefix("  all: ").split(", "):
        name, before, _, after, _ = quantity.split()
        assert float(after) <= 1.01 * float(before), name
    # The model before is kept, and what was taken is the best.
    folder = tmp_path / "run"
    assert f"{folder / 'before-refit.cace.pt'}: the model before the least squares" in printed
    weights = {
        name: load_checkpoint(folder / f"{name}.cace.pt")[0].readout.linear.weight
        for name in ("before-refit", "best", "last")
    }
    assert torch.equal(weights["best"], weights["last"])
    assert not torch.equal(weights["best"], weights["before-refit"])
    # Resuming a finished run does it again, from the same weights.
    train_from_file(config, (), resume=True)
    assert line in capsys.readouterr().out


@pytest.mark.slow
def test_two_processes_find_what_one_finds(config_file, tmp_path, capsys):
    refit = {"training": {"refit_readout": True}}
    train_from_file(config_file(**refit), (), resume=False)
    outputs = [capsys.readouterr().out]
    outputs.append(
        cace_train(config_file(folder=str(tmp_path / "two"), **refit), processes=2).stdout
    )
    lines = [[line for line in text.splitlines() if line.startswith("  all: ")] for text in outputs]
    assert len(lines[0]) == 1 and lines[0] == lines[1]


def test_it_needs_a_linear_readout(config_file):
    config = config_file(training={"refit_readout": True}, model={"readout_linear": False})
    with pytest.raises(CaceError, match="refit_readout needs model.readout_linear"):
        load_config(config)
