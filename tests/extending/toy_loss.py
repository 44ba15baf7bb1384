"""A loss of one's own: log cosh, which grows like a square and then like a line."""

import math

import torch
from pair_cace.extending import LOSSES
from torch import Tensor


@LOSSES.register("toy log cosh")
def log_cosh(errors: Tensor, settings) -> Tensor:
    size = (errors / settings.huber_delta).abs()
    log_of_cosh = size + torch.nn.functional.softplus(-2.0 * size) - math.log(2.0)
    return 2.0 * settings.huber_delta**2 * log_of_cosh
