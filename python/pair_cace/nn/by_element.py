"""Linear maps that every element has its own of."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class ElementLinear(nn.Module):
    """y = U_z x + b_z, z the element of an atom; between two elements, U and b are interpolated."""

    stacks = {
        "weight": -1
    }  # of matrices, which the optimizer takes one by one: the axis of their inputs

    def __init__(self, n_elements: int, n_in: int, n_out: int, bias: bool = True):
        super().__init__()
        self.n_out = n_out
        self.weight = nn.Parameter(torch.randn(n_elements, n_out, n_in) * n_in**-0.5)
        self.bias = nn.Parameter(torch.zeros(n_elements, n_out)) if bias else None

    def forward(self, x: Tensor, composition: Tensor) -> Tensor:
        """(N, …, n_in) to (N, …, n_out); composition (N, n_elements) as ``Elements`` gives it."""
        result = x.new_zeros(list(x.shape[:-1]) + [self.n_out])
        share_shape = [-1] + [1] * (x.dim() - 1)
        for z, weight in enumerate(self.weight.unbind()):
            # Also where there are none: an MPI rank without atoms takes part in what others tell, and in its way back.
            atoms = composition[:, z].nonzero().squeeze(1)
            y = functional.linear(x.index_select(0, atoms), weight)
            if self.bias is not None:
                y = y + self.bias[z]
            share = composition[:, z].index_select(0, atoms).to(x.dtype).view(share_shape)
            result = result.index_add(0, atoms, y * share)
        return result

    @torch.no_grad()
    def standardize(self, x: Tensor, composition: Tensor, sizes: Tensor) -> None:
        """Scale the weights of a new model so that every output varies by ``sizes`` (n_out,), around zero if
        there are biases."""
        y = self.forward(x, composition)
        axes = list(range(y.dim() - 1))
        spread = (
            y.std(axes, correction=0) if self.bias is not None else y.square().mean(axes).sqrt()
        )
        # What is the same in all of the sample, or nothing but rounding, stays as it is.
        factor = torch.where(spread > 1e-6, sizes / spread, torch.ones_like(spread))
        self.weight *= factor.unsqueeze(1)
        if self.bias is not None:
            self.bias -= self.forward(x, composition).mean(axes)
