"""A model as the compiled kernels run it, by the door that `pair_style cace` uses as well."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..operations import Potential, has_cuda_kernels

# Attributes of modules that kernels ask for; a term that has others keeps them in buffers.
NUMBERS = ("cutoff", "exponent", "nu_max", "norm", "n_degrees", "kind", "length")


def runs_compiled(tensor: Tensor) -> bool:
    """Whether there are compiled operations where ``tensor`` is."""
    return tensor.device.type == "cpu" or (tensor.device.type == "cuda" and has_cuda_kernels())


def has_kernels_at(vectors: Tensor, model: nn.Module) -> bool:
    """Whether there are kernels for ``model``, whose terms all have some, where ``vectors`` are.

    Freely mixed channels have them on a CPU only.
    """
    if model.atomic_basis.mixing_weight.dim() == 3:
        return vectors.device.type == "cpu"
    return runs_compiled(vectors)


def named_weights(model: nn.Module) -> dict[str, Tensor]:
    """Weights, buffers and numbers of ``model``, by the names that exported files have for them."""
    found = dict(model.named_parameters()) | dict(model.named_buffers())
    for path, module in model.named_modules():
        for name in NUMBERS:
            value = getattr(module, name, None)
            if isinstance(value, (int, float)):  # others mean something else by that name
                found[f"{path}.{name}" if path else name] = torch.tensor(value, dtype=torch.float64)
    return found


def potential_of(model: nn.Module):
    """A ``torch.classes.pair_cace.Potential`` with the weights that ``model``, a CACE in Python or
    TorchScript, has now. Its ``evaluate`` is that of the model (src/pair_cace/ops/loaded_potential.h)."""
    return Potential(named_weights(model))
