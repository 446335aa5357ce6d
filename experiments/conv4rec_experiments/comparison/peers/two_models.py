"""What a practitioner would put together from two models: EASE for what is consumed, biased MF for how it is liked."""

from __future__ import annotations

from dataclasses import replace

from conv4rec_experiments.comparison.peers.ease import EASE_GRID, fit_ease
from conv4rec_experiments.comparison.peers.factors import BIASED_GRID, fit_biased
from conv4rec_experiments.comparison.peers.histogram import HISTOGRAM_GRID, fit_histogram
from conv4rec_experiments.comparison.protocol import without_held_out
from conv4rec_experiments.comparison.scoring import score
from conv4rec_experiments.comparison.systems import Fitted, Options, System, Task
from conv4rec_experiments.comparison.tuning import tune

__all__ = ["fit_two_models"]


def fit_two_models(task: Task, options: Options) -> Fitted:
    """Rank by EASE, with a temperature for P(consume); expect levels by biased MF; each chosen on validation.

    Probabilities of levels are those of the ordered logit over biased MF, or of the level histogram: whichever has
    the lesser log-loss on the validation part.
    """
    parts = (
        tune(System("EASE", fit_ease, "NDCG@100", EASE_GRID), task),
        tune(System("biased MF", fit_biased, "RMSE", BIASED_GRID), task),
        tune(System("level histogram", fit_histogram, "level log-loss", HISTOGRAM_GRID), task),
    )
    ranking, rating, histogram = (part.fitted for part in parts)
    inner = without_held_out(task.split)

    def loss(levels: Fitted) -> float:
        found = score(Fitted(levels=levels.levels), inner).figures()["level log-loss"]
        return float("inf") if found is None else found

    better = min((rating, histogram), key=loss)
    seconds = sum(part.fit_seconds for part in parts)
    return replace(ranking, rater=rating.rater, levels=better.levels, seconds=seconds)
