"""Questions about the whole catalogue of one user or several: profiles, recommendations, hidden gems."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from conv4rec.arguments import whole_number
from conv4rec.asking import Asking, Ids, ProfileKind
from conv4rec.profiles import UNLIKELY, high_levels, rank_gems, well_known

__all__ = ["Catalogue"]

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


class Catalogue(Asking):
    """The methods of a fitted model that look over all items; `conv4rec.predictions.Predictions` says of `profile`."""

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
        least_interactions: int = 0,
        profile: ProfileKind = "certified",
    ) -> pl.DataFrame:
        """Return unseen items that the user is unlikely to come upon and would probably like.

        Of the items that the user has not seen, the share `unlikely` with the least P(item | user) is kept; of these
        the k with the greatest P(high level | user, item consumed) are returned, the greatest first. A level is
        high if it is above `high`, by default above lo + 0.6 (hi - lo) with the least and the greatest level.

        Of an item that hardly anybody has met, P(high level | user, item consumed) rests on hardly any data. With
        `least_interactions` only items of at least so many training interactions, of all users in the profile and
        scored parts, are looked at: the unlikely ones are then the least likely of these.

        Columns: `rank` from 1, `item`, `p_consume`, `p_high`, `expected_level`, and `interactions`, the number of the
        item's training interactions.

        Raises
        ------
        InputError
            If no level or every level is high, k is below 1, `unlikely` is not above 0 and at most 1, or no item has
            `least_interactions`.

        Examples
        --------
        >>> from conv4rec import Conv4Rec, Interactions
        >>> frame = pl.DataFrame({"user": [1, 1, 2, 2, 3, 3] * 5, "item": list("abcdef") * 5, "level": [1, 2, 3] * 10})
        >>> data = Interactions.from_frame(frame, duplicates="keep")
        >>> model = Conv4Rec(channels=2, code=3, epochs=2, device="cpu").fit(data, progress=False)
        >>> model.split.item_counts.tolist()
        [5, 1, 3, 5, 5, 3]
        >>> [model.hidden_gems(1, least_interactions=least)["interactions"].to_list() for least in (0, 4)]
        [[3, 3], [5]]
        """
        code = self._user(user)
        data = self.interactions
        is_high = high_levels(data.level_values, high)
        counts = self.split.item_counts
        candidates = well_known(counts, least_interactions) & ~self._seen(code)[0]
        ((_, prediction),) = self._predict(code, profile)
        consume, p_high = prediction.consume[0], prediction.level[0][:, is_high].sum(axis=1)
        items = rank_gems(consume, p_high, np.flatnonzero(candidates), k, unlikely)
        return pl.DataFrame(
            {
                "rank": np.arange(1, len(items) + 1),
                "item": data.item_ids.gather(items),
                "p_consume": consume[items],
                "p_high": p_high[items],
                "expected_level": prediction.level[0, items] @ data.level_values,
                "interactions": counts[items],
            }
        )
