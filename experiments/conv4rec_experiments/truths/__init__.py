"""Known sampling distributions, which studies draw from and measure fits against."""

from collections.abc import Callable, Mapping

from conv4rec_experiments.truths.teacher import reference_truth, small_truth
from conv4rec_experiments.truths.truth import Distances, Truth, user_mix

__all__ = ["TRUTHS", "Distances", "Truth", "reference_truth", "small_truth", "user_mix"]

TRUTHS: Mapping[str, Callable[..., Truth]] = {"reference": reference_truth, "small": small_truth}
"""Makers of truths by name; each takes a seed first and options by keyword."""
