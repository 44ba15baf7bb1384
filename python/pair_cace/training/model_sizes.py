"""Shapes of models with freely mixed channels and messages of scalars and vectors, in three sizes."""

from __future__ import annotations

from typing import Any, Literal

SizeName = Literal["small", "medium", "large"]

_ALL = {
    "mixing": "free",
    "radial": "stretched_bessel",
    "cutoff_exponent": 4,
    "n_atom_basis": 4,
    "nu_max": 3,
    "n_layers": 1,
    "messages": ("M", "scalars", "vectors"),
}

# Product channels P = n_radial n_atom_basis²: 32, 96 and 160.
SIZES: dict[str, dict[str, Any]] = {
    "small": _ALL
    | {"l_max": 2, "n_rbf": 6, "n_radial": 2, "message_channels": 16, "message_radial": 1}
    | {"readout_hidden": (64, 32)},
    "medium": _ALL
    | {"l_max": 3, "n_rbf": 8, "n_radial": 6, "message_channels": 32, "message_radial": 2}
    | {"readout_hidden": (128, 64)},
    "large": _ALL
    | {"l_max": 4, "n_rbf": 10, "n_radial": 10, "message_channels": 64, "message_radial": 2}
    | {"readout_hidden": (256, 128)},
}


def filled_in(given: Any) -> Any:
    """The keys of a size, where ``given`` names one and has no others for them."""
    size = given.get("size") if isinstance(given, dict) else None
    return SIZES[size] | given if isinstance(size, str) and size in SIZES else given
