"""What several test files need."""

from __future__ import annotations

import ase
import numpy as np
import torch
from pair_cace.data.graph import Graph
from pair_cace.io.training_extent import TrainingExtent
from pair_cace.nn import CACE, Hyperparameters
from pair_cace.nn.derivatives import Prediction, predict
from systems import CUTOFF
from tolerances import FLOAT32_MODEL, SAME_MODEL

SMALL = dict(
    elements=("H", "O"), cutoff=CUTOFF, n_rbf=4, n_radial=3, n_atom_basis=2, l_max=2, nu_max=3,
    readout_hidden=(8,), avg_num_neighbors=10.0,
)  # fmt: skip

# One model of every kind; the names are test ids.
KINDS = {
    "T0": {},
    "L0": dict(l_max=0),
    "nu1": dict(nu_max=1),
    "nu2": dict(nu_max=2, n_layers=1),
    "nu4": dict(l_max=4, nu_max=4),
    "M": dict(n_layers=1, messages=("M",)),
    "Ar": dict(n_layers=1, messages=("Ar",)),
    "Bchi": dict(n_layers=1, messages=("Bchi",)),
    "Bchi-one-l": dict(n_layers=1, bchi_per_l=False),
    "Bchi-one-channel": dict(n_layers=1, bchi_per_channel=False),
    "Bchi-one-weight": dict(n_layers=1, bchi_per_l=False, bchi_per_channel=False),
    "Bchi-hidden": dict(n_layers=1, bchi_hidden=(7,)),
    "T2-Bchi": dict(n_layers=2, bchi_hidden=(7, 5), n_radial=5),
    "T2-all": dict(n_layers=2, messages=("M", "Ar", "Bchi"), l_max=3),
    "one-embedding": dict(n_layers=1, embed_receiver_nodes=False, messages=("M", "Ar", "Bchi")),
    "zbl": dict(zbl_cutoff=2.0),
    "stretched": dict(radial="stretched_bessel", n_layers=1),
    "free": dict(mixing="free", n_radial=2),
    "tensors": dict(
        mixing="free",
        n_layers=1,
        messages=("M", "scalars", "vectors"),
        n_radial=2,
        l_max=3,
        message_channels=4,
    ),
    "T2-tensors": dict(
        n_layers=2, messages=("scalars", "vectors"), message_channels=3, message_radial=1
    ),
    "T2-free": dict(
        mixing="free",
        n_layers=2,
        messages=("M", "scalars", "vectors"),
        message_channels=5,
        message_radial=3,
        radial="stretched_bessel",
        radial_length=1.3,
    ),
    "no-linear-readout": dict(readout_linear=False, trainable_rbf=False, cutoff_exponent=2),
}

# Those that are CACE as it was published.
PUBLISHED = [kind for kind in KINDS if not set(kind.split("-")) & {"free", "tensors", "stretched"}]


def settings_of(kind: str = "T0", **changes) -> Hyperparameters:
    return Hyperparameters(**(SMALL | KINDS[kind] | changes))


def random_model(settings: Hyperparameters, seed: int = 0, dtype=torch.float64) -> CACE:
    """A model with random weights that gives energies and forces of order one."""
    torch.manual_seed(seed)
    model = CACE(settings)
    with torch.no_grad():
        model.atomic_basis.mixing_weight *= 0.2
        for k in range(len(settings.elements)):
            model.elements.E0[k] = -1.5 * (k + 1)
        for layer in model.layers:
            if "memory" in layer:
                layer.memory.weight += 0.1 * torch.randn_like(layer.memory.weight)
    return model.to(dtype).eval()


def predict_atoms(model: CACE, atoms: ase.Atoms, cutoff: float = CUTOFF) -> Prediction:
    return predict(model, Graph.of(atoms, cutoff))


def assert_close(found, expected, dtype=torch.float64, within: float | None = None) -> None:
    """Equal ``within`` a bound, relative to the largest expected value, plus as much absolutely.

    Without a bound, that of one model by two routes in ``dtype``.
    """
    found, expected = np.asarray(found), np.asarray(expected)
    scale = np.abs(expected).max() if expected.size else 0.0
    if within is None:
        within = FLOAT32_MODEL if dtype == torch.float32 else SAME_MODEL
    np.testing.assert_allclose(found, expected, rtol=0, atol=within * (1.0 + scale))


def extent_of_water(**changes) -> TrainingExtent:
    """As if trained on some water: closest distances in Å, and nearly all densities unless changed."""
    everything = {"H": [(1e-6, 10.0)], "O": [(1e-6, 10.0)]}
    content = dict(
        cutoff=CUTOFF, n_structures=7, n_atoms=84, elements=("H", "O"),
        closest={"H-H": 1.2, "H-O": 0.9, "O-O": 2.1},
        densities=everything, mean_densities=everything, cell_densities=[(0.05, 0.11)],
    )  # fmt: skip
    return TrainingExtent.model_validate(content | changes)
