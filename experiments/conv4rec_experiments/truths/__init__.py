"""Known sampling distributions, which studies draw from and measure fits against."""

from collections.abc import Callable, Mapping

from conv4rec_experiments.truths.from_counts import truth_from_counts, truth_from_file, truth_from_interactions
from conv4rec_experiments.truths.latent_classes import latent_classes_truth
from conv4rec_experiments.truths.sharp import sharp_truth
from conv4rec_experiments.truths.teacher import reference_truth, small_truth
from conv4rec_experiments.truths.truth import Distances, Truth, user_mix
from conv4rec_experiments.truths.twins import twins_truth
from conv4rec_experiments.truths.zipf import selection_bias, zipf_popularity, zipf_truth

__all__ = [
    "TRUTHS",
    "Distances",
    "Truth",
    "latent_classes_truth",
    "reference_truth",
    "selection_bias",
    "sharp_truth",
    "small_truth",
    "truth_from_counts",
    "truth_from_file",
    "truth_from_interactions",
    "twins_truth",
    "user_mix",
    "zipf_popularity",
    "zipf_truth",
]

TRUTHS: Mapping[str, Callable[..., Truth]] = {
    "reference": reference_truth,
    "small": small_truth,
    "latent_classes": latent_classes_truth,
    "zipf": zipf_truth,
    "twins": twins_truth,
    "sharp": sharp_truth,
    "from_counts": truth_from_file,
}
"""Makers of truths by name; each takes a seed first and options by keyword."""
