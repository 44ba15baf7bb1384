"""`compute cace/atom` against the outputs of the model in Python."""

import numpy as np
import pytest
from helpers import assert_close, random_model, settings_of
from pair_cace.cli.export import export_checkpoint
from pair_cace.data.graph import Graph
from pair_cace.io.checkpoint import save_checkpoint
from run_lmp import lmp, write_data
from systems import CUTOFF, SYSTEMS

OUTPUTS = {"charge": {"unit": "e"}, "spin": {"hidden": [5]}}
MODELS = {
    "T0": ("T0", 0, {}),
    "T2": ("T2-all", 1, {}),
    "plain": ("T2-all", 2, {"compiled": "no"}),
    "another": ("T0", 3, {}),
    "charges_only": ("T0", 4, {"outputs": {"charge": {"unit": "e"}}}),
}

SCRIPT = """\
units metal
read_data atoms.data
pair_style cace {keywords}
pair_coeff * * {files} O H
group oxygen type 1
compute outputs {arguments}
run 0
write_dump all custom atoms.dump id c_outputs{columns} modify sort id format float %.17g
"""


def settings_for(name):
    kind, _, changes = MODELS[name]
    return settings_of(kind, **({"outputs": OUTPUTS} | changes))


def model_of(name):
    return random_model(settings_for(name), MODELS[name][1])


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outputs")
    for name in MODELS:
        save_checkpoint(folder / "model.cace.pt", model_of(name), settings_for(name), {})
        export_checkpoint(folder / "model.cace.pt", folder / f"{name}.pt", "float64")
    return folder


def run(folder, exported, names, arguments, columns="", ranks=1, keywords="outside ignore"):
    atoms = SYSTEMS["liquid"]()
    write_data(folder / "atoms.data", atoms, ["O", "H"])
    files = " ".join(str(exported / f"{name}.pt") for name in names)
    script = SCRIPT.format(files=files, arguments=arguments, columns=columns, keywords=keywords)
    return atoms, lmp(folder, script, ranks)


def outputs(atoms, name):
    graph = Graph.of(atoms, CUTOFF)
    return {
        output: values.detach().numpy()
        for output, values in model_of(name)
        .atom_outputs(graph.vectors, graph.senders, graph.receivers, graph.species, graph.n_atoms)
        .items()
    }


def in_dump(folder):
    return np.loadtxt(folder / "atoms.dump", skiprows=9)[:, 1:]


def test_outputs_where_nobody_asks_for_forces(tmp_path, exported):
    keywords = "outside ignore\npair_modify compute no"
    atoms, result = run(tmp_path, exported, ["T2"], "all cace/atom charge", keywords=keywords)
    assert result.returncode == 0, result.output
    assert_close(in_dump(tmp_path)[:, 0], outputs(atoms, "T2")["charge"])


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("neighbors", ["lammps", "own"])
@pytest.mark.parametrize("model", ["T0", "T2", "plain"])
def test_outputs_of_all_atoms(tmp_path, exported, model, neighbors, ranks):
    keywords = f"outside ignore neighbors {neighbors}"
    arguments = "all cace/atom spin charge"
    atoms, result = run(tmp_path, exported, [model], arguments, "[*]", ranks, keywords)
    assert result.returncode == 0, result.output
    expected = outputs(atoms, model)
    assert np.ptp(expected["charge"]) > 0.01
    assert_close(in_dump(tmp_path), np.stack([expected["spin"], expected["charge"]], axis=1))


def test_one_output_of_a_group_is_a_vector(tmp_path, exported):
    atoms, result = run(tmp_path, exported, ["T0"], "oxygen cace/atom charge")
    assert result.returncode == 0, result.output
    charges = np.where(atoms.symbols == "O", outputs(atoms, "T0")["charge"], 0.0)
    assert_close(in_dump(tmp_path)[:, 0], charges)


@pytest.mark.parametrize("committee", ["mean", "first"])
def test_a_committee_gives_what_drives_it(tmp_path, exported, committee):
    names, keywords = ["T2", "another", "T0"], f"outside ignore committee {committee}"
    atoms, result = run(tmp_path, exported, names, "all cace/atom charge", keywords=keywords)
    assert result.returncode == 0, result.output
    of_models = [outputs(atoms, name)["charge"] for name in names]
    expected = of_models[0] if committee == "first" else np.mean(of_models, axis=0)
    assert_close(in_dump(tmp_path)[:, 0], expected)


@pytest.mark.parametrize(
    "names, arguments, message",
    [
        (["T0"], "all cace/atom", "expected the name of an output of the model behind the style"),
        (["T0"], "all cace/atom dipole", "an output of the model (charge spin), got 'dipole'"),
        (
            ["T0", "charges_only"],
            "all cace/atom spin",
            "an output of the model (charge), got 'spin'",
        ),
    ],
)
def test_wrong_names(tmp_path, exported, names, arguments, message):
    _, result = run(tmp_path, exported, names, arguments)
    assert result.returncode != 0
    assert message in result.error


def test_a_model_without_outputs(tmp_path, models):
    write_data(tmp_path / "atoms.data", SYSTEMS["liquid"](), ["O", "H"])
    script = SCRIPT.format(
        files=models / "T0.pt", arguments="all cace/atom charge", columns="", keywords=""
    )
    result = lmp(tmp_path, script)
    assert result.returncode != 0
    assert "expected an output of the model (it has none), got 'charge'" in result.error
