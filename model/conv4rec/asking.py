"""How a fitted network is asked: users by their own identifiers, their profiles, batches that fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, TypeAlias, cast, get_args

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from conv4rec.batches import CellsByUser, ProfileBatch
from conv4rec.errors import InputError
from conv4rec.fitted import Fitted
from conv4rec.interactions import Interactions
from conv4rec.memory import available_memory, chosen_threads, users_per_batch
from conv4rec.network import Architecture
from conv4rec.options import TrainingOptions
from conv4rec.profiles import Prediction
from conv4rec.splits import Split

__all__ = ["Asking", "Ids", "ProfileKind"]

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Ids: TypeAlias = Iterable[int] | Iterable[str]
ProfileKind: TypeAlias = Literal["certified", "training", "history"]

BATCH_USERS = 32


class Asking:
    """A fitted network beside its split; everything that it says goes through `_predict`, batch by batch."""

    options: TrainingOptions
    _state: Fitted | None = None

    @property
    def architecture(self) -> Architecture:
        """Sizes and activations of the fitted network."""
        return self._fitted().network.architecture

    @property
    def split(self) -> Split:
        """The split that the model was fitted on."""
        return self._fitted().split

    @property
    def interactions(self) -> Interactions:
        """The interactions that the model was fitted on, all parts."""
        return self._fitted().split.interactions

    @property
    def trained_with(self) -> str:
        """What the encoder read in training: "fixed profile" or "redrawn profiles"."""
        return self.options.trained_with

    @property
    def history(self) -> pl.DataFrame:
        """Mean losses of each epoch in nats: epoch, and train and validation joint, implicit and explicit."""
        return pl.DataFrame(self._fitted().history, infer_schema_length=None)

    def weights(self) -> dict[str, Array]:
        """Return the weights as named float64 arrays, hidden layers included."""
        return {name: value.astype(np.float64) for name, value in self._fitted().network.weights().items()}

    def _fitted(self) -> Fitted:
        if self._state is None:
            raise InputError("The model is not fitted; call fit or load first.")
        return self._state

    def _users(self, users: Ids) -> Codes:
        codes = self.interactions.user_codes(users)
        if len(codes) == 0:
            raise InputError("There are no users to predict for; name at least one.")
        return codes

    def _user(self, user: int | str) -> Codes:
        return self._users(cast("Ids", [user]))

    def _seen(self, users: Codes) -> npt.NDArray[np.bool_]:
        cells = self._fitted().seen.batch(users)
        seen = np.zeros((len(users), self.interactions.n_items), dtype=bool)
        seen[cells.row, cells.item] = True
        return seen

    def _check_table(self, n_users: int, n_levels: int) -> None:
        """Refuse a table of probabilities, built in batches and then joined, that would not fit in memory."""
        n_items = self.interactions.n_items
        needed = 2 * 8 * n_users * n_items * n_levels
        free = available_memory(torch.device("cpu")) // 2
        if needed > free:
            raise InputError(
                f"{n_users} users x {n_items} items x {n_levels} levels need {needed / 1e9:.3g} GB, of which "
                f"{free / 1e9:.3g} GB may be taken; pass fewer users at a time."
            )

    def _batch_users(self) -> int:
        network = self._fitted().network
        return users_per_batch(
            BATCH_USERS,
            n_items=network.architecture.n_items,
            n_levels=network.architecture.n_levels,
            channels=network.architecture.channels,
            itemsize=8,
            available=available_memory(network.cell_bias.device),
        )

    def _logits(self, cells: CellsByUser) -> Callable[[Codes], torch.Tensor]:
        network = self._fitted().network
        size, device = network.architecture, network.cell_bias.device

        def logits(users: Codes) -> torch.Tensor:
            profiles = ProfileBatch.of(
                cells.batch(users), len(users), size.n_items, size.n_levels, dtype=torch.float64, device=device
            )
            values: torch.Tensor = network(profiles)
            return values

        return logits

    def _predict(self, users: Codes, profile: ProfileKind) -> Iterator[tuple[int, Prediction]]:
        """Predict batch by batch, each with the place of its first user."""
        state, size = self._fitted(), self.architecture
        if profile not in get_args(ProfileKind):
            raise InputError(f'profile is {profile!r}; expected "certified", "training" or "history".')
        read = {"certified": "certified", "training": "trained", "history": "known"}[profile]
        logits = self._logits(getattr(state, read))
        batch_users = self._batch_users()
        for first in range(0, len(users), batch_users):
            batch = users[first : first + batch_users]
            with chosen_threads(len(batch) * size.n_items * size.n_levels, self.options.threads):
                prediction = Prediction.of(logits(batch))
            yield first, prediction
