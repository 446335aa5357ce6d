"""The table of all theorems: it drives `certify`, the tests, the docs and the figures."""

from conv4rec_bounds.theorems.base import Theorem
from conv4rec_bounds.theorems.t1_parameter_count import ParameterCount
from conv4rec_bounds.theorems.t6_total_variation import FastTotalVariation
from conv4rec_bounds.theorems.t9_finite_pool import HeldOutPool
from conv4rec_bounds.theorems.t9_held_out import HeldOutRisk

__all__ = ["THEOREMS"]

THEOREMS: tuple[Theorem, ...] = (ParameterCount(), FastTotalVariation(), HeldOutRisk(), HeldOutPool())
