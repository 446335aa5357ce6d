"""Training: Adam over batches of users, early stopping, and checkpoints that resume to the same bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from math import cos, isfinite, pi
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from conv4rec.batches import Cells, CellsByUser, ProfileBatch
from conv4rec.checkpoint import TrainingState, load_state, save_state
from conv4rec.draws import Draws
from conv4rec.errors import InputError
from conv4rec.loss import ScoredLosses, joint_loss, log_probabilities
from conv4rec.memory import chosen_threads
from conv4rec.network import Network
from conv4rec.options import TrainingOptions

if TYPE_CHECKING:
    from conv4rec.interactions import Interactions
    from conv4rec.splits import Split

__all__ = ["train"]

Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Record = dict[str, float | None]

PARTS = ("joint", "implicit", "explicit")


class _Trainer:
    """One training in progress: the network, its optimiser and the state that a checkpoint holds."""

    def __init__(self, network: Network, split: Split, options: TrainingOptions) -> None:
        self.network = network
        self.split = split
        self.options = options
        self.draws = Draws(split, options)
        self.weights = torch.from_numpy(self.draws.weights(options.balance))
        self.seen = CellsByUser.of(*_read_by_validation(split, options))
        self.hides_seen = options.redraw and self.draws.hides_profile
        self.start_bias = network.cell_bias.detach().clone()
        self.parameters = dict(network.named_parameters())
        decayed = [network.encode, network.decode]
        others = [value for name, value in self.parameters.items() if name not in ("encode", "decode")]
        groups: list[dict[str, Any]] = [
            {"params": decayed, "weight_decay": options.weight_decay},
            {"params": others},
        ]
        self.optimizer = torch.optim.Adam(groups, lr=options.learning_rate, fused=True)
        self.epoch = 0
        self.best_epoch = 0
        self.best = self._copy()
        self.history: list[Record] = []

    @cached_property
    def fingerprint(self) -> str:
        """A digest of what decides the bits of an epoch: the number of epochs too, if the step size falls with it."""
        constant = self.options.schedule == "constant"
        options = replace(self.options, epochs=0 if constant else self.options.epochs, patience=1)
        split, data = self.split, self.split.interactions
        plain = (self.network.architecture, options, split.protocol, split.seed, split.coin, data.levels)
        digest = sha256(repr(plain).encode())
        for array in (data.user, data.item, data.level, split.part):
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(self.start_bias.cpu().numpy().tobytes())
        return digest.hexdigest()

    def finished(self) -> bool:
        """Whether the epochs are used up, or patience with the validation loss is."""
        stale = len(self.split.validation) > 0 and self.epoch - self.best_epoch >= self.options.patience
        return stale or self.epoch >= self.options.epochs

    def run_epoch(self) -> None:
        """Visit every user once, then measure the validation loss."""
        self.epoch += 1
        # Epochs count from 1: the stream of [seed, 0] is that of the seed alone, which cuts the data.
        rng = np.random.default_rng([self.options.seed, self.epoch])
        users = rng.permutation(self.draws.users)
        batches = np.array_split(users, -(-len(users) // self.options.batch_users))
        first = (self.epoch - 1) * len(batches)
        sums = torch.zeros(2, dtype=torch.float64)
        count = 0
        for step, batch in enumerate(batches, start=first):
            self._set_learning_rate(step / (self.options.epochs * len(batches)))
            profile, scored, mask = self.draws.batch(batch, rng)
            losses = self._losses(batch, profile, scored, mask)
            # The sum over the batch, scaled so that its mean over batches is the mean over interactions: over all that
            # are scored in an epoch, or, where they are drawn anew, over as many as are expected.
            weight = self.weights[batch][scored.row].to(losses.implicit)
            weighted = (weight * losses.implicit).sum() + self.options.explicit_weight * losses.explicit.sum()
            objective = weighted * (len(batches) / self.draws.expected)
            self._check_finite("training", objective.item())
            self._step(objective)
            sums += torch.stack([losses.implicit.detach().sum(), losses.explicit.detach().sum()]).cpu()
            count += len(scored)
        implicit, explicit = (sums / max(count, 1)).tolist()
        self.record({"joint": implicit + explicit, "implicit": implicit, "explicit": explicit} if count else None)

    def record(self, training: dict[str, float] | None) -> None:
        """Append the losses of the epoch, and keep the weights if they are the best so far."""
        validation = self._validation_losses()
        if validation is not None:
            self._check_finite("validation", validation["joint"])
        record: Record = {"epoch": self.epoch}
        for name, losses in (("train", training), ("validation", validation)):
            record |= {f"{name}_{part}": losses[part] if losses else None for part in PARTS}
        self.history.append(record)
        if validation is None or validation["joint"] <= min(r["validation_joint"] or 0.0 for r in self.history):
            self.best_epoch = self.epoch
            self.best = self._copy()

    def _set_learning_rate(self, progress: float) -> None:
        falling = (1 + cos(pi * progress)) / 2 if self.options.schedule == "cosine" else 1.0
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.learning_rate * falling

    def _check_finite(self, name: str, loss: float) -> None:
        if not isfinite(loss):
            raise InputError(
                f"The {name} loss became {loss} in epoch {self.epoch}; lower learning_rate, which is "
                f"{self.options.learning_rate}."
            )

    def _losses(self, users: Codes, profile: Cells, scored: Cells, mask: Mask | None) -> ScoredLosses:
        device = self.start_bias.device
        logits = self.network(self._read(profile, len(users)))
        row, item, level = (torch.from_numpy(axis).to(device) for axis in (scored.row, scored.item, scored.level))
        return joint_loss(logits, row, item, level, None if mask is None else torch.from_numpy(mask).to(device))

    def _read(self, profile: Cells, n_users: int) -> ProfileBatch:
        size = self.network.architecture
        bias = self.start_bias
        return ProfileBatch.of(profile, n_users, size.n_items, size.n_levels, dtype=bias.dtype, device=bias.device)

    def _step(self, objective: torch.Tensor) -> None:
        self.optimizer.zero_grad()
        torch.autograd.backward(objective)
        bias = self.network.cell_bias
        if bias.grad is not None:
            bias.grad.add_(bias.detach() - self.start_bias, alpha=self.options.bias_decay)
        self.optimizer.step()

    def _validation_losses(self) -> dict[str, float] | None:
        if len(self.split.validation) == 0:
            return None

        def logits(users: Codes) -> torch.Tensor:
            seen = self.seen.batch(users)
            found: torch.Tensor = self.network(self._read(seen, len(users)))
            if self.hides_seen:
                found[torch.from_numpy(seen.row), torch.from_numpy(seen.item)] = -torch.inf
            return found

        return log_probabilities(
            logits, self.split.validation, self.split, batch_users=self.options.batch_users
        ).losses()

    def _copy(self) -> dict[str, torch.Tensor]:
        return {name: value.detach().clone() for name, value in self.parameters.items()}

    def snapshot(self) -> TrainingState:
        """Return the state as a checkpoint holds it."""
        moments = {
            f"{key}/{name}": value
            for name, parameter in self.parameters.items()
            for key, value in self.optimizer.state[parameter].items()
        }
        return TrainingState(
            fingerprint=self.fingerprint,
            epoch=self.epoch,
            best_epoch=self.best_epoch,
            history=self.history,
            weights=self._copy(),
            best=self.best,
            moments=moments,
        )

    def restore(self, state: TrainingState) -> None:
        """Continue from a state of a checkpoint."""
        self.epoch, self.best_epoch, self.history = state.epoch, state.best_epoch, state.history
        device = self.start_bias.device
        self.best = {name: value.to(device) for name, value in state.best.items()}
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(state.weights[name])
        for key, value in state.moments.items():
            moment, name = key.split("/")
            self.optimizer.state[self.parameters[name]][moment] = value.to(device)

    def keep_best(self) -> None:
        """Leave the best weights in the network."""
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(self.best[name])


def _read_by_validation(split: Split, options: TrainingOptions) -> list[Interactions]:
    """Return the parts that the encoder reads when validation is scored: what it will read in use."""
    return [split.profile, split.scored] if options.redraw and not split.masked else [split.profile]


def train(
    network: Network,
    split: Split,
    options: TrainingOptions,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    progress: bool = True,
    on_epoch: Callable[[int], None] | None = None,
) -> list[Record]:
    r"""Minimise the weighted joint loss of the scored part, and leave the weights of the best validation loss.

    Each step reads a batch of users and follows Adam (Kingma and Ba 2015) on the loss plus the penalties that
    `conv4rec.Conv4Rec` states: on encode and decode, and on the cell bias's distance from its start. Under the
    schedule "cosine" the step size falls along half a cosine, to 0 at the end of the last epoch. After every
    epoch the joint loss of the validation part is measured, each interaction with weight 1; `patience` epochs without a
    new best end the training. Without validation interactions all epochs are run and the last weights are kept.

    Validation is scored as the model will be used. On masked splits and without new draws the encoder reads the
    profile part, as certificates have it; with new draws on other splits it reads the profile and scored parts, whose
    items then are outside the softmax if no user and item meet twice.

    All random draws of an epoch come from a generator seeded by (seed, epoch): the global generators are not
    touched, and a training resumed from a checkpoint continues, on the CPU, with the same bits.

    Parameters
    ----------
    network : Network
        At its start values, on the device on which to train.
    split : Split
        Its profile, scored and validation parts are used, never the held-out part.
    options : TrainingOptions
        How to train.
    checkpoint : Path, optional
        File that receives the whole state after every epoch, atomically.
    resume : bool
        Continue from `checkpoint` if it exists.
    progress : bool
        Show a progress bar when standard error is a terminal.
    on_epoch : callable, optional
        Called with the number of each epoch that has ended, after its checkpoint was written.

    Returns
    -------
    list of dict
        For each epoch from 0, the start, on: `epoch`, and mean losses `train_joint`, `train_implicit`,
        `train_explicit` (as met during the epoch, under dropout and new draws) and `validation_joint`,
        `validation_implicit`, `validation_explicit`; None where there was nothing to measure.

    Raises
    ------
    InputError
        If the loss stops being finite, the checkpoint cannot be written, is damaged, belongs to another training or
        has done more epochs than asked for.
    """
    trainer = _Trainer(network, split, options)
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("epoch {task.completed}/{task.total}"),
        TextColumn("{task.fields[loss]}"),
        TimeElapsedColumn(),
        console=console,
        disable=not (progress and console.is_terminal),
    )
    with chosen_threads(options.batch_users * network.cell_bias.numel(), options.threads), bar:
        if resume and checkpoint is not None and checkpoint.exists():
            state = load_state(checkpoint, trainer.fingerprint)
            if state.epoch > options.epochs:
                raise InputError(
                    f"The checkpoint {checkpoint} has done {state.epoch} epochs, which is more than epochs, "
                    f"{options.epochs}; raise epochs, or delete the checkpoint."
                )
            trainer.restore(state)
        else:
            trainer.record(None)
        task = bar.add_task("training", total=options.epochs, completed=trainer.epoch, loss="")
        while not trainer.finished():
            trainer.run_epoch()
            if checkpoint is not None:
                save_state(checkpoint, trainer.snapshot())
            last = trainer.history[-1]
            loss = last["train_joint"] if last["validation_joint"] is None else last["validation_joint"]
            bar.update(task, completed=trainer.epoch, loss="" if loss is None else f"loss {loss:.4f}")
            if on_epoch is not None:
                on_epoch(trainer.epoch)
    trainer.keep_best()
    return trainer.history
