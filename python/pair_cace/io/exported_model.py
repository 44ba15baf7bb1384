"""An exported model in Python."""

from __future__ import annotations

import io

import torch
from torch import Tensor, nn
from torch.jit import ScriptModule

from ..nn.by_kernels import has_kernels_at, potential_of


class ExportedModel(nn.Module):
    """Has what ``pair_cace.nn.CACE`` has to predict.

    As in `pair_style cace`, energies and gradients come from the kernels if they know all terms of the model,
    with the weights read once, and else from its TorchScript; everything else is TorchScript.
    """

    def __init__(self, module: ScriptModule, has_kernels: bool):
        super().__init__()
        self.module = module
        self.has_kernels = has_kernels
        self.potential = None

    def forward(self, *edges) -> Tensor:
        return self.module(*edges)

    def evaluate(self, vectors: Tensor, *edges) -> tuple[Tensor, Tensor]:
        if not (self.has_kernels and has_kernels_at(vectors, self.module)):
            return self.module.evaluate(vectors, *edges)
        if self.potential is None:
            self.potential = potential_of(self.module)
        return self.potential.evaluate(vectors, *edges)

    def atom_outputs(self, *edges) -> dict[str, Tensor]:
        exports_of_old_have_none = not hasattr(self.module, "atom_outputs")
        return {} if exports_of_old_have_none else self.module.atom_outputs(*edges)

    def features(self, *edges) -> Tensor:
        return self.module.features(*edges)

    def _apply(self, fn, recurse: bool = True):
        self.potential = None
        return super()._apply(fn, recurse)

    def __getstate__(self):
        """For other processes, which need not find the file."""
        stream = io.BytesIO()
        torch.jit.save(self.module, stream)
        return stream.getvalue(), self.has_kernels

    def __setstate__(self, state):
        content, has_kernels = state
        self.__init__(torch.jit.load(io.BytesIO(content)).eval(), has_kernels)
