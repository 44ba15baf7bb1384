"""Optimizer, learning rate and averaged weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel

from .config import OptimizerSection, PhaseSection, ScheduleSection
from .muon import Muon

MANY_INPUTS = 16  # of a linear layer; with more, its learning rate is reduced
WIDE = 200  # inputs; layers with more take the invariants, and those of Muon its steps
MUON_FACTOR = 2.0  # learning rate of an orthogonal step, against that of Adam
TABLE_FACTOR = 4.0  # beside Muon: of the tables that make the invariants, against other weights


def make_optimizer(model: nn.Module, section: OptimizerSection) -> torch.optim.Optimizer:
    """The optimizer that the config asks for, of the parameters of ``model`` that are trained.

    Adam moves every weight by about the learning rate, whatever its gradient. In a layer with many
    inputs these moves add up: the rate of its weights is divided by the root of n_inputs / 16.
    With "muon", the layers with many inputs and several outputs take its steps, and weight decay
    is of layers with many inputs alone: that of the radial functions would shrink the invariants.
    The tables that make the invariants (embeddings, radial mixing, messages M and Ar) then learn faster
    than the networks that take them. Stacks of matrices, as of free mixing, take Muon's steps one by one.
    """
    inputs = {
        module.weight: module.in_features
        for module in model.modules()
        if isinstance(module, nn.Linear)
    }
    muon = section.kind == "muon"
    stacks = {
        getattr(module, name): getattr(module, name).shape[axis]
        for module in model.modules()
        for name, axis in getattr(module, "stacks", {}).items()
    }
    groups: dict[tuple[float, float, bool], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            n_inputs = stacks.get(parameter) or inputs.get(parameter, 1)
            wide = n_inputs > WIDE
            orthogonal = muon and (parameter in stacks or (wide and parameter.shape[0] > 1))
            factor = MUON_FACTOR if orthogonal else min(1.0, (MANY_INPUTS / n_inputs) ** 0.5)
            if muon and not orthogonal and parameter not in inputs and parameter.dim() > 1:
                factor = TABLE_FACTOR
            decay = section.weight_decay if wide or not muon else 0.0
            groups.setdefault((factor, decay, orthogonal), []).append(parameter)
    settings = [
        {"params": group, "factor": factor, "weight_decay": decay}
        | ({"orthogonal": orthogonal} if muon else {})
        for (factor, decay, orthogonal), group in sorted(groups.items(), key=lambda item: item[0])
    ][::-1]
    if muon:
        return Muon(settings, section.learning_rate, section.betas)
    kind = torch.optim.Adam if section.kind == "adam" else torch.optim.AdamW
    return kind(settings, lr=section.learning_rate, betas=section.betas)


def start_phase(
    optimizer: torch.optim.Optimizer,
    phase: PhaseSection,
    schedule: ScheduleSection,
    default_rate: float,
) -> lr_scheduler.LRScheduler:
    """Set the learning rate with which a phase starts; returns what changes it after each epoch."""
    rate = phase.learning_rate or default_rate
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] = rate * group["factor"]
    lowest = min(1.0, schedule.minimum / rate)
    if schedule.kind == "plateau":
        return lr_scheduler.ReduceLROnPlateau(
            optimizer,
            factor=schedule.factor,
            patience=schedule.patience,
            min_lr=[lowest * group["lr"] for group in optimizer.param_groups],
        )
    factors = {
        "constant": lambda epoch: 1.0,
        "step": lambda epoch: max(lowest, schedule.factor ** (epoch // schedule.step_epochs)),
        "cosine": lambda epoch: (
            lowest + (1.0 - lowest) * 0.5 * (1.0 + math.cos(math.pi * epoch / phase.epochs))
        ),
    }
    return lr_scheduler.LambdaLR(optimizer, factors[schedule.kind])


def begin_at(scheduler: lr_scheduler.LRScheduler, epoch: int) -> None:
    """The learning rates of a phase that is ``epoch`` epochs old; those of "plateau" stay as they are."""
    if isinstance(scheduler, lr_scheduler.LambdaLR):
        scheduler.last_epoch = epoch
        scheduler._last_lr = scheduler.get_lr()
        for group, rate in zip(scheduler.optimizer.param_groups, scheduler._last_lr):
            group["lr"] = rate


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
