"""What a fitted model says: probabilities, profiles, recommendations, scores of given interactions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from conv4rec.arguments import whole_number
from conv4rec.batches import CellsByUser, ProfileBatch
from conv4rec.errors import InputError
from conv4rec.interactions import Interactions
from conv4rec.loss import LogProbabilities, log_probabilities
from conv4rec.memory import available_memory, chosen_threads, users_per_batch
from conv4rec.network import Architecture, Network
from conv4rec.options import TrainingOptions
from conv4rec.profiles import UNLIKELY, Prediction, high_levels, rank_gems
from conv4rec.splits import Split

if TYPE_CHECKING:
    from conv4rec.newcomers import Newcomers, UnknownItems
    from conv4rec.sources import Frame

__all__ = ["Fitted", "Predictions", "ProfileKind"]

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Ids = Iterable[int] | Iterable[str]
ProfileKind = Literal["certified", "training", "history"]

BATCH_USERS = 32


@dataclass(frozen=True)
class Fitted:
    """The result of training: the network in float64, the split, and the losses of each epoch."""

    network: Network
    split: Split
    history: list[dict[str, Any]]

    @cached_property
    def seen(self) -> CellsByUser:
        """All interactions of the split, by user."""
        return CellsByUser.of(self.split.interactions)

    @cached_property
    def certified(self) -> CellsByUser:
        """The profile part of the split, by user."""
        return CellsByUser.of(self.split.profile)

    @cached_property
    def trained(self) -> CellsByUser:
        """The profile and scored parts of the split, by user."""
        return CellsByUser.of(self.split.profile, self.split.scored)

    @cached_property
    def known(self) -> CellsByUser:
        """All that training saw, by user."""
        return CellsByUser.of(self.split.profile, self.split.scored, self.split.validation)


class Predictions:
    """The methods of a fitted model that only read.

    Methods that predict take `profile`: "certified" reads the profile part of the split, for which certificates
    hold; "training" reads the profile and scored parts, the fair input in comparisons; "history" reads all that
    training saw, the profile, scored and validation parts. Users and items are
    named by their own identifiers. Probabilities are those of the softmax over all cells, without a mask. All
    methods raise `InputError` if the model is not fitted or an identifier is unknown.
    """

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

    def predict_proba(self, users: Ids, *, profile: ProfileKind = "certified") -> Array:
        """Return P(item, level | user), shape (user, item, level); each user's cells sum to 1.

        Raises
        ------
        InputError
            If the table would not fit in memory.
        """
        codes = self._users(users)
        self._check_table(len(codes), self.interactions.n_levels)
        return np.concatenate([prediction.cells() for _, prediction in self._predict(codes, profile)])

    def consumption(self, users: Ids, *, profile: ProfileKind = "certified") -> Array:
        """Return P(item | user), shape (user, item); each row sums to 1.

        Raises
        ------
        InputError
            If the table would not fit in memory.
        """
        codes = self._users(users)
        self._check_table(len(codes), 1)
        return np.concatenate([part.consume for _, part in self._predict(codes, profile)])

    def levels(self, users: Ids, items: Ids, *, profile: ProfileKind = "certified") -> Array:
        """Return P(level | user, item consumed) of pairs, shape (pair, level); rows sum to 1.

        Raises
        ------
        InputError
            If there are not as many users as items.
        """
        user, item = self._users(users), self.interactions.item_codes(items)
        if len(user) != len(item):
            raise InputError(f"There are {len(user)} users and {len(item)} items; give one item for each user.")
        distinct, place = np.unique(user, return_inverse=True)
        result = np.empty((len(user), self.interactions.n_levels))
        for first, prediction in self._predict(distinct, profile):
            here = np.flatnonzero((place >= first) & (place < first + len(prediction.level)))
            result[here] = prediction.level[place[here] - first, item[here]]
        return result

    def expected_level(self, users: Ids, items: Ids, *, profile: ProfileKind = "certified") -> Array:
        """Return the expected level of pairs, shape (pair,), in the unit of the levels (0..R-1 for event names)."""
        values: Array = self.levels(users, items, profile=profile) @ self.interactions.level_values
        return values

    def profile(self, user: int | str, *, profile: ProfileKind = "certified") -> pl.DataFrame:
        """Return what the model believes about one user, one row for each item.

        Columns: `item`; `seen`, whether the user has any interaction with it; `p_consume`; `expected_level`; if
        there are several levels, `p_high`, the probability of a level above lo + 0.6 (hi - lo); and
        P(level | consumed) for each level in a column named `p_` and the level, or `p_level_` and the level where an
        event is itself called "consume" or "high".
        """
        code = self._user(user)
        data = self.interactions
        ((_, prediction),) = self._predict(code, profile)
        consume, level = prediction.consume[0], prediction.level[0]
        columns = {
            "item": data.item_ids,
            "seen": self._seen(code)[0],
            "p_consume": consume,
            "expected_level": level @ data.level_values,
        }
        if data.n_levels > 1:
            columns["p_high"] = level[:, high_levels(data.level_values)].sum(axis=1)
        prefix = "p_level_" if {"p_consume", "p_high"} & {f"p_{name}" for name in data.levels} else "p_"
        return pl.DataFrame(columns | {f"{prefix}{name}": level[:, place] for place, name in enumerate(data.levels)})

    def recommend(self, users: Ids, k: int = 10, *, profile: ProfileKind = "certified") -> pl.DataFrame:
        """Return the k unseen items that each user is likeliest to consume.

        Items with which the user has any interaction, of whatever part, are left out; a user with fewer than k
        unseen items gets those. Columns: `user`, `rank` from 1, `item`, `score` = P(item | user).
        """
        k = whole_number("k", k, 1)
        codes = self._users(users)
        data = self.interactions
        chosen: list[tuple[Codes, Codes, Codes, Array]] = []
        for first, prediction in self._predict(codes, profile):
            batch = codes[first : first + len(prediction.consume)]
            score = np.where(self._seen(batch), -1.0, prediction.consume)
            best = np.argsort(-score, axis=1, kind="stable")[:, :k]
            row, rank = np.nonzero(np.take_along_axis(score, best, axis=1) >= 0)
            item = best[row, rank]
            chosen.append((batch[row], rank + 1, item, score[row, item]))
        user, rank, item, score = (np.concatenate(parts) for parts in zip(*chosen, strict=True))
        return pl.DataFrame(
            {
                "user": data.user_ids.gather(user),
                "rank": rank,
                "item": data.item_ids.gather(item),
                "score": score,
            }
        )

    def hidden_gems(
        self,
        user: int | str,
        k: int = 10,
        *,
        high: float | None = None,
        unlikely: float = UNLIKELY,
        profile: ProfileKind = "certified",
    ) -> pl.DataFrame:
        """Return unseen items that the user is unlikely to come upon and would probably like.

        Of the items that the user has not seen, the share `unlikely` with the least P(item | user) is kept; of these
        the k with the greatest P(high level | user, item consumed) are returned, the greatest first. A level is
        high if it is above `high`, by default above lo + 0.6 (hi - lo) with the least and the greatest level.

        Columns: `rank` from 1, `item`, `p_consume`, `p_high`, `expected_level`.

        Raises
        ------
        InputError
            If no level or every level is high, k is below 1, or `unlikely` is not above 0 and at most 1.
        """
        code = self._user(user)
        data = self.interactions
        is_high = high_levels(data.level_values, high)
        ((_, prediction),) = self._predict(code, profile)
        consume, p_high = prediction.consume[0], prediction.level[0][:, is_high].sum(axis=1)
        items = rank_gems(consume, p_high, np.flatnonzero(~self._seen(code)[0]), k, unlikely)
        return pl.DataFrame(
            {
                "rank": np.arange(1, len(items) + 1),
                "item": data.item_ids.gather(items),
                "p_consume": consume[items],
                "p_high": p_high[items],
                "expected_level": prediction.level[0, items] @ data.level_values,
            }
        )

    def log_probabilities(self, part: Interactions, split: Split | None = None) -> LogProbabilities:
        """Score the interactions of a part of a split, given the split's profiles and under its mask.

        Parameters
        ----------
        part : Interactions
            For instance `model.split.held_out`.
        split : Split, optional
            A split of interactions with the same identifiers; by default the one that the model was fitted on.

        Returns
        -------
        LogProbabilities
            Joint and implicit log-probabilities in float64 for each interaction, and the number of cells inside
            the softmax of its user: what a held-out certificate needs.

        Raises
        ------
        InputError
            If the part is empty, an item is masked for its user, or identifiers or levels differ from the model's.
        """
        split = split or self.split
        data = self.interactions
        for other in (part, split.interactions):
            same = data.user_ids.equals(other.user_ids) and data.item_ids.equals(other.item_ids)
            if not same or data.levels != other.levels:
                raise InputError("The part has other users, items or levels than the model; use parts of its data.")
        batch_users = self._batch_users()
        with chosen_threads(batch_users * data.n_items * data.n_levels, self.options.threads):
            return log_probabilities(self._logits(CellsByUser.of(split.profile)), part, split, batch_users=batch_users)

    def for_new_users(self, history: Interactions | Frame, *, unknown_items: UnknownItems = "refuse") -> Newcomers:
        """Return the same predictions for users whom training has not met, from a few interactions of each.

        The encoder reads all that is in the history as the profile; nothing is trained again. Certificates of the
        model speak of its own users, or of new users whose parts were made as theirs (T3).

        Parameters
        ----------
        history : Interactions or data frame
            What the new users did, at levels of the model. Who is also among the model's users is met anew: only the
            history counts.
        unknown_items : {"refuse", "skip"}
            What happens to items that the model does not know.

        Raises
        ------
        InputError
            If a level or, unless it is to be skipped, an item is not the model's; see `conv4rec.newcomers.meet`.

        Examples
        --------
        >>> from conv4rec import Conv4Rec
        >>> frame = pl.DataFrame({"user": [1, 1, 2, 2, 3, 3] * 5, "item": list("abcdef") * 5, "level": [1, 2, 3] * 10})
        >>> data = Interactions.from_frame(frame)
        >>> model = Conv4Rec(channels=2, code=3, epochs=2, device="cpu").fit(data, progress=False)
        >>> bo = pl.DataFrame({"user": ["bo", "bo", "bo"], "item": ["a", "b", "z"], "level": [3, 1, 2]})
        >>> met = model.for_new_users(bo, unknown_items="skip")
        >>> met.skipped.rows(), sorted(met.recommend(["bo"])["item"])
        ([('bo', 'z')], ['c', 'd', 'e', 'f'])
        """
        from conv4rec.newcomers import meet

        return meet(self._fitted(), self.options, history, unknown_items)

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
