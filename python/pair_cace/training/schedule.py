"""Optimizer, learning rate and averaged weights."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel

from .config import OptimizerSection, PhaseSection, ScheduleSection


def make_optimizer(
    parameters: Iterable[nn.Parameter], section: OptimizerSection
) -> torch.optim.Optimizer:
    """The optimizer that the config asks for."""
    kind = torch.optim.Adam if section.kind == "adam" else torch.optim.AdamW
    return kind(
        parameters,
        lr=section.learning_rate,
        betas=section.betas,
        weight_decay=section.weight_decay,
    )


def start_phase(
    optimizer: torch.optim.Optimizer,
    phase: PhaseSection,
    schedule: ScheduleSection,
    default_rate: float,
) -> lr_scheduler.LRScheduler:
    """Set the learning rate with which a phase starts; returns what changes it after each epoch."""
    rate = phase.learning_rate or default_rate
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] = rate
    lowest = min(1.0, schedule.minimum / rate)
    if schedule.kind == "plateau":
        return lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=schedule.factor, patience=schedule.patience, min_lr=schedule.minimum
        )
    if schedule.kind == "cosine":
        return lr_scheduler.CosineAnnealingLR(optimizer, phase.epochs, eta_min=schedule.minimum)
    if schedule.kind == "step":
        return lr_scheduler.LambdaLR(
            optimizer,
            lambda epoch: max(lowest, schedule.factor ** (epoch // schedule.step_epochs)),
        )
    return lr_scheduler.LambdaLR(optimizer, lambda epoch: 1.0)


def advance(scheduler: lr_scheduler.LRScheduler, score: float) -> None:
    """End of an epoch with the validation score ``score``."""
    if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
        scheduler.step(score)
    else:
        scheduler.step()


def warmup_factor(step: int, schedule: ScheduleSection) -> float:
    """By what the learning rate of step 0, 1, … is multiplied."""
    return min(1.0, (step + 1) / (schedule.warmup_steps + 1))


def averaged(model: nn.Module, decay: float) -> AveragedModel:
    """Exponential moving average of the weights, for validation and for what is kept.

    The average starts short, over the last tenth or so of all steps, until it is as long as
    ``decay`` says: a new model would otherwise be judged by its random weights for hundreds of
    steps.
    """

    def average(old: Tensor, new: Tensor, n_averaged: Tensor | int) -> Tensor:
        n = float(n_averaged)
        return torch.lerp(new, old, min(decay, (1 + n) / (10 + n)))

    return AveragedModel(model, avg_fn=average)
