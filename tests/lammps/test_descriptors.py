"""`compute cace/descriptors` against the invariants of the model in Python."""

import numpy as np
import pytest
from helpers import assert_close, random_model, settings_of
from pair_cace.data.graph import Graph
from run_lmp import lmp, write_data
from systems import CUTOFF, SYSTEMS

KIND = {"T0": "T0", "T2": "T2-all", "tensors": "tensors"}

DESCRIPTORS = """\
units metal
read_data atoms.data
{pair}
group oxygen type 1
compute descriptors {arguments}
run 0
write_dump all custom atoms.dump id c_descriptors[*] modify sort id format float %.17g
"""


def run(folder, models, model="T0", arguments="all cace/descriptors", ranks=1, pair=None):
    atoms = SYSTEMS["liquid"]()
    write_data(folder / "atoms.data", atoms, ["O", "H"])
    pair = pair or f"pair_style cace\npair_coeff * * {models / model}.pt O H"
    script = DESCRIPTORS.format(pair=pair, arguments=arguments)
    result = lmp(folder, script, ranks)
    return atoms, result


def invariants(atoms, model):
    graph = Graph.of(atoms, CUTOFF)
    features = random_model(settings_of(KIND[model])).features(
        graph.vectors, graph.senders, graph.receivers, graph.species, graph.n_atoms
    )
    return features.flatten(1).detach().numpy()


@pytest.mark.parametrize("model", KIND)
@pytest.mark.parametrize("ranks", [1, 3])
def test_invariants(tmp_path, models, model, ranks):
    atoms, result = run(tmp_path, models, model, ranks=ranks)
    assert result.returncode == 0, result.output
    assert_close(np.loadtxt(tmp_path / "atoms.dump", skiprows=9)[:, 1:], invariants(atoms, model))


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("empty_at_first", [False, True])
def test_principal_components_of_a_group(tmp_path, models, ranks, empty_at_first):
    arguments = "oxygen cace/descriptors components 3"
    if empty_at_first:
        arguments = "late cace/descriptors components 3\nrun 0\n"
        arguments += "write_dump all custom first.dump c_descriptors[1]\ngroup late type 1"
    first = "group late empty\n" if empty_at_first else ""
    pair = f"pair_style cace\npair_coeff * * {models / 'T2.pt'} O H\n{first}"
    atoms, result = run(tmp_path, models, "T2", arguments, ranks, pair)
    assert result.returncode == 0, result.output
    found = np.loadtxt(tmp_path / "atoms.dump", skiprows=9)[:, 1:]
    oxygen = atoms.symbols == "O"
    expected = invariants(atoms, "T2")[oxygen]
    expected -= expected.mean(axis=0)
    scores = expected @ np.linalg.svd(expected, full_matrices=False)[2][:3].T
    signs = np.sign((scores * found[oxygen]).sum(axis=0))
    assert_close(found[oxygen], scores * signs)
    assert not found[~oxygen].any()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            "all cace/descriptors pca 3",
            "expected nothing or 'components N' behind the style, got 'pca'",
        ),
        ("all cace/descriptors components 0", "expected 1 to 48 components, got 0"),
        ("all cace/descriptors components 100", "expected 1 to 48 components, got 100"),
    ],
)
def test_wrong_arguments(tmp_path, models, arguments, message):
    _, result = run(tmp_path, models, arguments=arguments)
    assert result.returncode != 0
    assert message in result.error


def test_a_compute_without_a_model(tmp_path, models):
    _, result = run(tmp_path, models, pair="pair_style lj/cut 3\npair_coeff * * 1 1")
    assert "expected one pair style cace with its pair_coeff before this" in result.error
