"""What the errors of a run mean, in sentences that say what to do next.

Whatever is found is one sentence or two with the threshold from which on it is named, so that a
reader can judge it. Thresholds are constants below.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from ..checking.finding import listed
from ..error_table import digits, percent
from .data import unused_stress
from .outcome import Outcome

OVERFITTED = {"energy": 2.0, "force": 1.5, "stress": 1.5}  # validation over training errors
FARTHER = {"energy": 2.0, "force": 1.5, "stress": 1.5}  # test over validation errors
ALIKE = 1.2  # validation over training errors of forces, below
STILL_FALLING = 0.05  # of the error, in the last fifth of the last phase
RISEN = 0.1  # the error at the end above the lowest one
COARSE = 0.1  # error of forces over their rms
ENERGIES_POOR = 1.5  # share of the energies over that of the forces
FORCES_POOR = 10.0  # the other way round
FEW = 20  # validation frames
GROUP_STANDS_OUT = 2.0  # error of a group over that of its part
FRAME_STANDS_OUT = 5.0  # error of a frame over that of its part
LISTED = 3  # groups or frames in a sentence


def verdict(outcome: Outcome) -> list[str]:
    """Sentences, the most important first: the errors, what is wrong with them, what to do."""
    found = [sentence for look in FINDINGS for sentence in look(outcome)]
    if not found:
        found = [
            "Nothing else stands out. Smaller errors come from more frames, from a larger model, "
            "or from more epochs; compare such runs with cace compare."
        ]
    return [*_summary(outcome), *found]


# ---- what is looked at ---------------------------------------------------------------------------


def _summary(outcome: Outcome) -> Iterator[str]:
    within = outcome.spread_is_within_compositions("valid")
    of_what = {
        "energy": "of their spread " + ("within compositions" if within else "after E0"),
        "force": "of their root mean square",
    }
    said = []
    for quantity in outcome.quantities:
        error = outcome.error(quantity.name, "valid")
        if error:
            of = of_what.get(quantity.name, "of their spread")
            share = f" ({percent(error.share)} {of})" if math.isfinite(error.share) else ""
            with_unit = f"{digits(error.rmse)} {quantity.scales[-1][0]}".strip()
            said.append(f"{quantity.plural} {with_unit}{share}")
    yield f"RMSE of the best model on the validation frames: {'; '.join(said)}."
    force = outcome.error("force", "valid")
    if force and math.isfinite(force.share):
        grade = next(word for limit, word in GRADES if force.share < limit)
        yield f"{grade} As a rule of thumb: good below 5 %, fair below 10 %, coarse below 20 %."


GRADES = (
    (0.05, "The forces are good."),
    (0.1, "The forces are fair: enough for structures and most dynamics."),
    (0.2, "The forces are coarse: look at what comes out before you trust it."),
    (math.inf, "The forces are poor: do not run dynamics with this model."),
)


def _unused_labels(outcome: Outcome) -> Iterator[str]:
    if sentence := unused_stress(outcome.data["train"], outcome.config):
        yield sentence


def _few_validation_frames(outcome: Outcome) -> Iterator[str]:
    n_frames = len(outcome.data["valid"].structures)
    if n_frames < FEW:
        yield (
            f"Only {n_frames} validation frames: their errors of energies are known to about "
            f"{percent(1 / math.sqrt(2 * n_frames))}, and so is which epoch is best (named below "
            f"{FEW}). Raise data.valid, or give it a file."
        )


def _skipped_steps(outcome: Outcome) -> Iterator[str]:
    skipped = outcome.rows[-1]["skipped_steps"]
    if skipped:
        yield (
            f"{skipped:.0f} steps were skipped, since their loss was not finite: lower "
            "optimizer.learning_rate, add schedule.warmup_steps, look for frames with huge forces."
        )


def _overfitting(outcome: Outcome) -> Iterator[str]:
    if not (ratios := _overfitted(outcome)):
        return
    course = ""
    best, lowest, last = _scores(outcome)
    if last > (1 + RISEN) * lowest:
        course = (
            f" The validation error was lowest in epoch {best + 1} of {len(outcome.rows)} and has "
            f"risen by {percent(last / lowest - 1)} since: end earlier, with fewer epochs or "
            "training.early_stopping."
        )
    yield (
        f"Overfitting: validation errors are {ratios} those of training (named from "
        f"{_thresholds(OVERFITTED)} times on).{course} More training frames help most; then a "
        "smaller model (model.n_radial, model.n_atom_basis, model.readout_hidden), or "
        "optimizer.weight_decay with kind: muon or adamw."
    )


def _course(outcome: Outcome) -> Iterator[str]:
    if _overfitted(outcome):
        return
    fall = _late_fall(outcome)
    phases = outcome.config.training.phases
    force, train = outcome.error("force", "valid"), outcome.error("force", "train")
    if fall is not None and fall > STILL_FALLING:
        yield (
            f"Not finished: the validation error fell by {percent(fall)} within the last fifth of "
            f"the last phase (named from {percent(STILL_FALLING)} on), and training frames err "
            f"about as much: more epochs (training.phases.{len(phases) - 1}.epochs, now "
            f"{phases[-1].epochs})."
        )
    elif force and train and force.rmse < ALIKE * train.rmse and force.share > COARSE:
        yield (
            f"Training and validation frames err alike (named if forces differ by less than a "
            f"factor of {ALIKE}) and the curve is flat, but forces err by {percent(force.share)} "
            "of their rms: the model is too small for the data, or the labels are noisy. Try a "
            "larger cutoff, model.n_radial, model.n_atom_basis, model.l_max, or model.n_layers: 1."
        )


def _balance(outcome: Outcome) -> Iterator[str]:
    """Energies beside forces."""
    energy, force = outcome.error("energy", "valid"), outcome.error("force", "valid")
    last = outcome.config.training.phases[-1]
    number = len(outcome.config.training.phases) - 1
    if not energy or not force or not (energy.share > 0 and force.share > 0):
        return
    if last.force_weight > 0 and energy.share > ENERGIES_POOR * force.share:
        relative = (
            "" if outcome.config.loss.energies == "relative" else ", or set loss.energies: relative"
        )
        yield (
            f"Energies are poor beside forces: {percent(energy.share)} of their spread against "
            f"{percent(force.share)} (named from {ENERGIES_POOR} times on). Raise "
            f"training.phases.{number}.energy_weight (now {last.energy_weight:g}, with "
            f"{last.force_weight:g} for forces){relative}."
        )
    elif (
        last.energy_weight >= last.force_weight
        and force.share > COARSE
        and force.share > FORCES_POOR * energy.share
    ):
        yield (
            f"Forces are poor beside energies: {percent(force.share)} of their rms against "
            f"{percent(energy.share)} (named from {FORCES_POOR:g} times on). Lower "
            f"training.phases.{number}.energy_weight (now {last.energy_weight:g}, with "
            f"{last.force_weight:g} for forces)."
        )


def _test_beside_valid(outcome: Outcome) -> Iterator[str]:
    if "test" not in outcome.found:
        return
    if ratios := _ratios(outcome, "test", "valid", FARTHER):
        drawn = (
            " Validation frames were drawn from the training files and resemble them."
            if isinstance(outcome.config.data.valid, float)
            else ""
        )
        yield (
            f"Test errors are {ratios} those of validation (named from {_thresholds(FARTHER)} "
            f"times on): test frames are of another kind. Add such ones to the training.{drawn}"
        )


def _groups(outcome: Outcome) -> Iterator[str]:
    found = []
    for name, of_group in outcome.by_group().items():
        for part in ("valid", "test"):
            here, whole = of_group.get(part), outcome.found.get(part)
            if here and here.n_frames >= LISTED and here.force and whole.force:
                ratio = here.force.rmse / whole.force.rmse
                if ratio > GROUP_STANDS_OUT:
                    found.append((ratio, f"{name} ({part}, {digits(ratio)} times)"))
    if found:
        kind = outcome.grouping[0]
        worst = ", ".join(text for _, text in sorted(found, reverse=True)[:LISTED])
        yield (
            f"By {kind}, forces err most, against those of all frames, on {worst} (named from "
            f"{GROUP_STANDS_OUT:g} times on): more such frames, or a larger config_weight for them."
        )


def _frames(outcome: Outcome) -> Iterator[str]:
    found = []
    for part, evaluation in outcome.found.items():
        if not evaluation.force:
            continue
        ratios = evaluation.force_rmse_of_frames / evaluation.force.rmse
        for k in np.flatnonzero(ratios > FRAME_STANDS_OUT):
            name = outcome.frame_name(part, k)
            found.append((ratios[k], f"{name} ({part}, {digits(ratios[k])} times)"))
    if found:
        worst = listed([text for _, text in sorted(found, reverse=True)], LISTED)
        yield (
            f"Frames whose forces err far more than those of their part: {worst} (named "
            f"from {FRAME_STANDS_OUT:g} times on). See whether their labels are right "
            "(convergence, overlapping atoms); if they are, more frames of that kind are needed."
        )


# What else is to be said of a run is a function here: from its outcome to sentences.
FINDINGS: tuple[Callable[[Outcome], Iterator[str]], ...] = (
    _unused_labels,
    _skipped_steps,
    _overfitting,
    _course,
    _balance,
    _test_beside_valid,
    _groups,
    _frames,
    _few_validation_frames,
)


# ---- numbers -----------------------------------------------------------------------------------


def _ratios(outcome: Outcome, part: str, other: str, limits: dict[str, float]) -> str:
    """ "2.1 (energies), 1.7 (forces) and 3.0 (stresses) times"; empty if none is above its limit."""
    said, plurals = [], {quantity.name: quantity.plural for quantity in outcome.quantities}
    for quantity, limit in limits.items():
        here, there = outcome.error(quantity, part), outcome.error(quantity, other)
        if here and there and here.rmse > limit * there.rmse:
            ratio = digits(here.rmse / there.rmse) if there.rmse > 0 else "infinitely many"
            said.append(f"{ratio} ({plurals[quantity]})")
    *others, last = said or [""]
    return f"{', '.join(others)} and {last} times" if others else last and f"{last} times"


def _overfitted(outcome: Outcome) -> str:
    """Ratios of validation to training errors of what has a weight in some phase."""
    phases = outcome.config.training.phases
    learned = {
        quantity: limit
        for quantity, limit in OVERFITTED.items()
        if any(phase.weight_of(quantity) for phase in phases)
    }
    return _ratios(outcome, "valid", "train", learned)


def _thresholds(limits: dict[str, float]) -> str:
    return f"{limits['force']:g}, for energies {limits['energy']:g},"


def _scores(outcome: Outcome) -> tuple[int, float, float]:
    """Epoch of the lowest validation error, that error, and the last one; roots of the losses."""
    scores = np.sqrt([row["score"] for row in outcome.rows])
    best = int(np.argmin(scores))
    return best, float(scores[best]), float(scores[-1])


def _late_fall(outcome: Outcome) -> float | None:
    """By what share the error fell in the last fifth of the last phase; None if that is short."""
    rows = [row for row in outcome.rows if row["phase"] == outcome.rows[-1]["phase"]]
    scores = np.sqrt([row["score"] for row in rows])
    late = max(1, round(len(rows) / 5))
    if len(rows) < 3:
        return None
    return max(0.0, 1.0 - float(scores[-late:].min() / scores[:-late].min()))
