"""What a fitted model says: probabilities of cells, items and levels, and scores of given interactions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from conv4rec.asking import Ids, ProfileKind
from conv4rec.batches import CellsByUser
from conv4rec.catalogue import Catalogue
from conv4rec.errors import InputError
from conv4rec.interactions import Interactions
from conv4rec.loss import LogProbabilities, log_probabilities
from conv4rec.memory import chosen_threads
from conv4rec.splits import Split

if TYPE_CHECKING:
    from conv4rec.newcomers import Newcomers, UnknownItems
    from conv4rec.sources import Frame

__all__ = ["Predictions", "ProfileKind"]

Array = npt.NDArray[np.float64]


class Predictions(Catalogue):
    """The methods of a fitted model that only read.

    Methods that predict take `profile`: "certified" reads the profile part of the split, for which certificates
    hold; "training" reads the profile and scored parts, the fair input in comparisons; "history" reads all that
    training saw, the profile, scored and validation parts. Users and items are
    named by their own identifiers. Probabilities are those of the softmax over all cells, without a mask. All
    methods raise `InputError` if the model is not fitted or an identifier is unknown.
    """

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
        >>> import polars as pl
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
