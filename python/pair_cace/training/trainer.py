"""The training loop."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import CaceError
from ..nn import CACE
from ..nn.derivatives import predict, predict_energies
from .batching import batches, share, shuffled
from .config import Config, PhaseSection
from .data import Part
from .dataset import GraphStore
from .distributed import Processes
from .labels_of_outputs import with_scales
from .loss import ErrorSums, energy_error_sums, error_sums, mean_error, total_loss
from .refit import refit_readout
from .replay import Mixture
from .run_folder import RunFolder
from .schedule import advance, averaged, begin_at, make_optimizer, start_phase, warmup_factor
from .watcher import Watcher


class Trainer:
    """A model, its data, and the state of its training."""

    def __init__(
        self,
        config: Config,
        model: CACE,
        train: Part,
        valid: Part,
        processes: Processes,
        folder: RunFolder,
        save_checkpoint,
        replay_valid: Part | None = None,
    ):
        """``save_checkpoint(path, model)`` writes a checkpoint of the averaged model.

        replay_valid   validation structures of a first training, if some of that are replayed
        """
        self.config = config
        self.model = model
        self.trained = [p for p in model.parameters() if p.requires_grad]
        self.average = averaged(model, config.optimizer.ema_decay)
        self.optimizer = make_optimizer(model, config.optimizer)
        self.train, self.valid, self.replay_valid = train, valid, replay_valid
        self.processes, self.folder, self.save_checkpoint = processes, folder, save_checkpoint
        self.device = next(model.parameters()).device
        self.relative = config.loss.energies == "relative"
        self.quantities = with_scales(config.model.quantities, train)

        self.epoch = 0  # finished ones
        self.phase = 0  # the one that is running, and
        self.epoch_in_phase = 0  # how many epochs of it are finished
        self.step = 0
        self.bad_steps = 0  # in all
        self.bad_in_a_row = 0
        self.best_score = float("inf")
        self.best_in_phase = float("inf")
        self.stale_epochs = 0  # since best_in_phase
        self.seconds = 0.0
        self.scheduler = self._start_phase()

    # ---- the course of a run ------------------------------------------------------------------

    def run(self, watcher: Watcher) -> None:
        """Train to the end. Raises CaceError if steps keep failing."""
        while self.phase < len(self.config.training.phases):
            started = time.monotonic()
            phase = self.config.training.phases[self.phase]
            group = self.optimizer.param_groups[0]
            rate = group["lr"] / group["factor"]
            train = self._train_epoch(phase, watcher)
            if self.relative:
                self._fit_constant(self._some_for_training())
            valid = self.validate()
            self.seconds += time.monotonic() - started
            self._finish_epoch(phase, rate, train, valid, watcher)
        refitted = self.config.training.refit_readout and self._refit_readout(watcher)
        if not refitted and self.config.training.phases[-1].energy_weight > 0:
            self._center_energies(watcher)

    def validate(self) -> dict[str, ErrorSums]:
        """Errors of the averaged model on the validation structures, "valid", each counted once, and
        on those of a first training, "replay", if some of that are replayed."""
        parts = {"valid": self.valid, "replay": self.replay_valid}
        return {
            name: self.errors_of(part.store, {name: part.structures.tolist()})[name]
            for name, part in parts.items()
            if part is not None
        }

    def errors_of(self, store: GraphStore, groups: dict[str, list[int]]) -> dict[str, ErrorSums]:
        """Errors of the averaged model on the structures of every group."""
        total = torch.stack([self._no_sums() for _ in groups])
        for sums, structures in zip(total, groups.values()):
            mine = share(structures, self.processes.rank, self.processes.count)
            for batch in batches(mine, store, self.config.training):
                found = self._errors(self.average.module, store, batch, False)
                sums += found.as_tensor().detach()
        total = self.processes.add(total)
        return {
            name: ErrorSums.from_tensor(sums, self.quantities) for name, sums in zip(groups, total)
        }

    def _no_sums(self) -> Tensor:
        """Zeros of the shape of ``ErrorSums.as_tensor``."""
        return torch.zeros(len(self.quantities), 4, dtype=torch.float64, device=self.device)

    def _train_epoch(self, phase: PhaseSection, watcher: Watcher) -> ErrorSums:
        order = self.train.order(self.config.training.seed, self.epoch)
        joint = batches(order, self.train.store, self.config.training)
        if self.relative and all(len(batch) == 1 for batch in joint):
            raise CaceError(
                "loss.energies: relative compares the structures of a batch, but every batch has "
                "one structure; raise training.batch_atoms or training.batch_edges"
            )
        total = self._no_sums()
        for done, batch in enumerate(joint, start=1):
            total += self._train_step(batch, phase)
            watcher.step(self.epoch, done, len(joint))
        return ErrorSums.from_tensor(self.processes.add(total), self.quantities)

    def _train_step(self, batch: list[int], phase: PhaseSection) -> Tensor:
        """One step of the optimizer; returns the error sums of this process' share."""
        self.optimizer.zero_grad(set_to_none=True)
        sums = self.accumulate_gradients(batch, phase)
        self.processes.add_gradients(self.trained)
        norm = nn.utils.clip_grad_norm_(self.trained, self.config.optimizer.clip_gradient_norm)
        if bool(torch.isfinite(norm)):
            self._optimizer_step()
            self.bad_in_a_row = 0
            return sums
        self._skip_step(phase)
        return torch.zeros_like(sums)

    def accumulate_gradients(self, batch: list[int], phase: PhaseSection) -> Tensor:
        """Gradients of this process' share of the loss of a joint batch, and its error sums.

        The sum of the gradients over all processes is the gradient of the joint batch: every share
        is divided by the joint number of labels.
        """
        mine = share(batch, self.processes.rank, self.processes.count)
        if not mine:  # only the sums that other processes wait for
            if self.relative:
                self.processes.add(torch.zeros(2, dtype=torch.float64, device=self.device))
            self.processes.add(self._no_sums()[:, 0])
            return self._no_sums()
        sums = self._errors(self.model, self.train.store, mine, True)
        loss = total_loss(sums, self.processes.add(sums.counts()), phase)
        # By the parameters only: second derivatives by edge vectors are not wanted, and cost.
        loss.backward(inputs=self.trained)
        return sums.as_tensor().detach()

    def _errors(
        self, model: nn.Module, store: GraphStore, batch: list[int], training: bool
    ) -> ErrorSums:
        """Of this process' share of a batch; in a training, of energies as ``loss.energies`` says."""
        graph, labels = store.batch(batch)
        graph, labels = graph.to(self.device), labels.to(self.device)
        n_atoms = torch.bincount(graph.structure, minlength=graph.n_structures).double()
        prediction = predict(model, graph, create_graph=training)
        offset = None
        if training and self.relative:
            sums = energy_error_sums(prediction.energies, labels, n_atoms)
            offset = mean_error(self.processes.add(sums))
        return error_sums(
            prediction, labels, n_atoms, graph.structure, self.config.loss, offset, self.quantities
        )

    def _optimizer_step(self) -> None:
        factor = warmup_factor(self.step, self.config.schedule)
        rates = [group["lr"] for group in self.optimizer.param_groups]
        for group in self.optimizer.param_groups:
            group["lr"] *= factor
        self.optimizer.step()
        for group, rate in zip(self.optimizer.param_groups, rates):
            group["lr"] = rate
        self.average.update_parameters(self.model)
        self.step += 1

    def _skip_step(self, phase: PhaseSection) -> None:
        self.bad_steps += 1
        self.bad_in_a_row += 1
        if self.bad_in_a_row >= self.config.training.max_bad_steps:
            raise CaceError(
                f"{self.bad_in_a_row} steps in a row gave a loss that is not finite (phase "
                f"{self.phase + 1}, epoch {self.epoch + 1}). Lower optimizer.learning_rate (now "
                f"{phase.learning_rate or self.config.optimizer.learning_rate:g}), add "
                "schedule.warmup_steps, and look for frames with huge forces; the last finished "
                f"epoch is kept in {self.folder.path}"
            )

    # ---- between epochs -----------------------------------------------------------------------

    def _start_phase(self):
        phases = self.config.training.phases
        phase = phases[min(self.phase, len(phases) - 1)]
        return start_phase(
            self.optimizer, phase, self.config.schedule, self.config.optimizer.learning_rate
        )

    def _finish_epoch(
        self,
        phase: PhaseSection,
        rate: float,
        train: ErrorSums,
        valid: dict[str, ErrorSums],
        watcher: Watcher,
    ) -> None:
        score = self._score(valid, phase)
        if not math.isfinite(score):
            raise CaceError(
                f"epoch {self.epoch + 1}: the loss on the validation data is not finite; lower "
                f"optimizer.learning_rate (now {rate:g}) or add schedule.warmup_steps. The epochs "
                f"before are kept in {self.folder.path}"
            )
        # Phases weigh differently; "best" is by the weights of the last one throughout.
        final_score = self._final_score(valid)
        self._keep_if_best(final_score)
        self._write_checkpoint(self.folder.last)
        row = self._row(rate, train, valid, final_score)
        advance(self.scheduler, score)
        self.stale_epochs = 0 if score < self.best_in_phase else self.stale_epochs + 1
        self.best_in_phase = min(score, self.best_in_phase)
        self.epoch += 1
        self.epoch_in_phase += 1
        patience = self.config.training.early_stopping
        if self.epoch_in_phase >= phase.epochs or (patience and self.stale_epochs >= patience):
            self.phase += 1
            self.best_in_phase, self.stale_epochs, self.epoch_in_phase = float("inf"), 0, 0
            self.scheduler = self._start_phase()
        if self.processes.is_first:
            self.folder.add_row(row)
            self.folder.save_state(self.state())
        watcher.epoch(row, self.seconds / self.epoch * self._epochs_left())

    def _epochs_left(self) -> int:
        phases = self.config.training.phases[self.phase :]
        return sum(phase.epochs for phase in phases) - self.epoch_in_phase

    def _refit_readout(self, watcher: Watcher) -> bool:
        """Least squares for the linear readout of the averaged model, see ``refit``; whether they are
        taken. The model before them is kept."""
        self._write_checkpoint(self.folder.before_refit)
        found = refit_readout(
            self.average.module, self.config, self.train, self._all_for_validation(),
            self.errors_of, self.processes, watcher,
        )  # fmt: skip
        if found.ridge is None:
            if self.processes.is_first:
                self.folder.before_refit.unlink()
            return False
        self._write_checkpoint(self.folder.last)
        watcher.say(f"{self.folder.before_refit}: the model before the least squares")
        self._keep_if_best(self._final_score(self.validate()))
        return True

    def _all_for_validation(self) -> Part:
        if self.replay_valid is None:
            return self.valid
        return Mixture.of(self.valid, self.replay_valid, self.config.fine_tune.replay.share)

    def _some_for_training(self) -> list[int]:
        """As many structures for training as there are for validation; others in every epoch."""
        order = shuffled(self.train.structures, self.config.training.seed, self.epoch)
        return order[: len(self.valid.structures)].tolist()

    def _fit_constant(self, structures: list[int]) -> float:
        """Least squares for the constant of the averaged model's energies; returns the change.

        It is per atom, in eV. ``structures`` are some of those for training.
        """
        model, store = self.average.module, self.train.store
        total = torch.zeros(2, dtype=torch.float64, device=self.device)
        mine = share(structures, self.processes.rank, self.processes.count)
        for batch in batches(mine, store, self.config.training):
            graph, labels = store.batch(batch)
            graph, labels = graph.to(self.device), labels.to(self.device)
            n_atoms = torch.bincount(graph.structure, minlength=graph.n_structures)
            total += energy_error_sums(predict_energies(model, graph), labels, n_atoms)
        change = -float(mean_error(self.processes.add(total)))
        model.readout.network[-1].bias.data += change
        return change

    def _center_energies(self, watcher: Watcher) -> None:
        """Fit the constant of the energies to all training data, if validation says it is better.

        Forces are most of the loss and do not depend on it, so that steps leave it where noise does.
        """
        bias = self.average.module.readout.network[-1].bias.data
        before = bias.clone()
        change = self._fit_constant(self.train.structures.tolist())
        best_before, score = self.best_score, self._final_score(self.validate())
        if not self._keep_if_best(score):
            bias.copy_(before)
            return
        self._write_checkpoint(self.folder.last)
        watcher.say(
            f"energies moved by {1e3 * change:.3f} meV/atom, their mean error on the training data: "
            f"validation loss {best_before:.6g} before, {score:.6g} after"
        )

    def _final_score(self, valid: dict[str, ErrorSums]) -> float:
        """The loss with the weights of the last phase, by which models are compared."""
        return self._score(valid, self.config.training.phases[-1])

    def _score(self, valid: dict[str, ErrorSums], phase: PhaseSection) -> float:
        """The loss of validation data; those of a first training have their share of it."""
        losses = {
            name: float(total_loss(sums, sums.counts(), phase)) for name, sums in valid.items()
        }
        if "replay" not in losses:
            return losses["valid"]
        share_of_replay = self.config.fine_tune.replay.share
        return (1.0 - share_of_replay) * losses["valid"] + share_of_replay * losses["replay"]

    def _keep_if_best(self, score: float) -> bool:
        """Whether the averaged model, of this score, is the best so far; then it is written."""
        if score >= self.best_score:
            return False
        self.best_score = score
        self._write_checkpoint(self.folder.best)
        return True

    def _write_checkpoint(self, path) -> None:
        if self.processes.is_first:
            self.save_checkpoint(path, self.average.module)

    def _row(
        self, rate: float, train: ErrorSums, valid: dict[str, ErrorSums], score: float
    ) -> dict[str, Any]:
        row: dict[str, Any] = {
            "epoch": self.epoch, "phase": self.phase + 1, "learning_rate": rate, "score": score,
        }  # fmt: skip
        for name, sums in ({"train": train} | valid).items():
            for quantity in self.quantities:
                for kind in ("rmse", "mae"):
                    row[f"{name}_{quantity.metric(kind)}"] = getattr(sums[quantity.name], kind)
        row["skipped_steps"] = self.bad_steps
        row["seconds"] = round(self.seconds, 3)
        return row

    # ---- interruption -------------------------------------------------------------------------

    _COUNTERS = (
        "epoch", "phase", "epoch_in_phase", "step", "bad_steps", "bad_in_a_row", "best_score",
        "best_in_phase", "stale_epochs", "seconds",
    )  # fmt: skip

    def state(self) -> dict[str, Any]:
        """Everything that ``restore`` needs to go on as if nothing had happened."""
        return {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": {
                key: value for key, value in self.scheduler.state_dict().items()
                if not callable(value) and key != "lr_lambdas"
            },
        } | {name: getattr(self, name) for name in self._COUNTERS}  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to where ``state`` was taken."""
        for name in self._COUNTERS:
            setattr(self, name, state[name])
        self.scheduler = self._start_phase()
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        if state["scheduler"] is not None:
            self.scheduler.__dict__.update(state["scheduler"])
        elif self.phase < len(self.config.training.phases):  # another schedule than before
            self.scheduler = self._start_phase()
            begin_at(self.scheduler, self.epoch_in_phase)
