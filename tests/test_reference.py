"""Published models against outputs of the original implementation, in float64 and float32."""

import ase
import numpy as np
import pytest
import torch
from pair_cace.data.graph import Graph
from pair_cace.errors import CaceError
from pair_cace.io.published import read_published
from pair_cace.nn.derivatives import predict
from tolerances import FLOAT32_ENERGY, FLOAT32_FORCE, ORIGINAL_CODE, SAME_MODEL

models = pytest.mark.parametrize("name", ["water", "bpa3"])
structures = pytest.mark.parametrize("structure", range(5))


@pytest.fixture(scope="module")
def published(shared):
    """{name: (model, settings, arrays)}, read once."""
    found = {}
    for name in ("water", "bpa3"):
        model, settings = read_published(shared / "reference" / f"{name}.pth")
        found[name] = (model, settings, np.load(shared / "reference" / f"{name}.npz"))
    return found


def graph_and_reference(published, name, structure):
    model, settings, arrays = published[name]
    reference = {
        key.partition("_")[2]: arrays[key]
        for key in arrays.files
        if key.startswith(f"s{structure}_")
    }
    atoms = ase.Atoms(
        numbers=reference["numbers"], positions=reference["positions"], cell=reference["cell"],
        pbc=reference["pbc"],
    )  # fmt: skip
    return model, Graph.of(atoms, settings.cutoff), reference


@models
@structures
def test_double_precision(published, name, structure):
    model, graph, reference = graph_and_reference(published, name, structure)
    model = model.to(torch.float64)
    assert graph.senders.shape[0] == reference["n_edges"]
    with torch.no_grad():
        features = model.features(
            graph.vectors, graph.senders, graph.receivers, graph.species, graph.n_atoms
        ).numpy()
    # Relative to the largest value that the feature takes in the structure.
    scale = np.abs(reference["node_feats"]).max(axis=0)
    assert (np.abs(features - reference["node_feats"]) <= SAME_MODEL * scale).all()

    prediction = predict(model, graph)
    assert float(prediction.energies[0]) == pytest.approx(
        float(reference["energy"]), abs=ORIGINAL_CODE
    )
    for found, key in [
        (prediction.atom_energies, "atom_energies"),
        (prediction.forces, "forces"),
        (prediction.stresses[0], "stress"),
    ]:
        np.testing.assert_allclose(found.numpy(), reference[key], rtol=0, atol=ORIGINAL_CODE)


@models
@structures
def test_single_precision(published, name, structure):
    model, graph, reference = graph_and_reference(published, name, structure)
    prediction = predict(model.to(torch.float32), graph)
    np.testing.assert_allclose(
        prediction.forces.numpy(), reference["forces"], rtol=0, atol=FLOAT32_FORCE
    )
    per_atom = (float(prediction.energies[0]) - float(reference["energy"])) / graph.n_atoms
    assert abs(per_atom) < FLOAT32_ENERGY


# Of the package of today: Preprocess, CombinePotential of one potential, numbers of numpy.
@pytest.mark.parametrize("name", ["licl_gaf3", "electrolyte_mp1", "lode_aa"])
def test_models_in_the_wrappers_of_today(shared, name):
    folder = shared / "reference" / "published"
    model, settings = read_published(folder / f"{name}.pth")
    model = model.to(torch.float64)
    with np.load(folder / f"{name}.npz") as arrays:
        for k in range(int(arrays["n_structs"])):
            numbers, positions, cell, pbc, energy, forces = (
                arrays[f"s{k}_{key}"]
                for key in ("numbers", "positions", "cell", "pbc", "energy", "forces")
            )
            atoms = ase.Atoms(numbers=numbers, positions=positions, cell=cell, pbc=pbc)
            prediction = predict(model, Graph.of(atoms, settings.cutoff))
            assert float(prediction.energies[0]) == pytest.approx(float(energy), abs=ORIGINAL_CODE)
            np.testing.assert_allclose(
                prediction.forces.numpy(), forces, rtol=0, atol=ORIGINAL_CODE
            )


@pytest.mark.parametrize(
    "name, reason",
    [
        ("lode_aa_lr", "it has a long-range part"),
        ("ag_cluster", "it depends on charge states or spins: its readout has feature_key="),
    ],
)
def test_models_without_a_counterpart_are_refused_by_name(shared, name, reason):
    with pytest.raises(CaceError, match=reason) as caught:
        read_published(shared / "reference" / "published" / f"{name}.pth")
    assert "Do not open this file" not in str(caught.value)
