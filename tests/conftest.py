"""One hypothesis profile for the whole suite, and the sixty-digit oracle that certified numbers are held against."""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction

import mpmath
import pytest
import sympy
from hypothesis import HealthCheck, settings

from conv4rec_bounds.formula import Formula

settings.register_profile(
    "deterministic", derandomize=True, deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("deterministic")

TWINS: dict[str, Callable[..., mpmath.mpf]] = {}
"""Independent sixty-digit versions of the functions that have no closed form, by the names of their classes."""

Oracle = Callable[[Formula, Mapping[str, float | Fraction]], mpmath.mpf]


def sixty_digit_value(formula: Formula, inputs: Mapping[str, float | Fraction]) -> mpmath.mpf:
    """Evaluate a formula with mpmath at sixty digits: a road that shares only the symbolic object with ours."""
    function = _function(formula)
    with mpmath.workdps(90):
        return +function(*(_exactly(inputs[name]) for name in formula.inputs))


@pytest.fixture(scope="session")
def sixty_digits() -> Oracle:
    """Hand the oracle to a test."""
    return sixty_digit_value


_FUNCTIONS: dict[int, tuple[Formula, Callable[..., mpmath.mpf]]] = {}


def _function(formula: Formula) -> Callable[..., mpmath.mpf]:
    # The formula is kept beside its function, so that no other object can come to have its address.
    if id(formula) not in _FUNCTIONS:
        plain = formula.expanded.xreplace({s: sympy.Symbol(str(s)) for s in formula.expanded.free_symbols})
        _FUNCTIONS[id(formula)] = formula, sympy.lambdify(formula.inputs, plain, modules=[TWINS, "mpmath"], cse=True)
    return _FUNCTIONS[id(formula)][1]


def _exactly(number: float | Fraction) -> mpmath.mpf:
    if isinstance(number, float) and math.isinf(number):
        return mpmath.inf
    ratio = Fraction(number)
    return mpmath.mpf(ratio.numerator) / ratio.denominator
