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


@pytest.fixture(scope="session")
def sixty_digits() -> Oracle:
    """Evaluate a formula with mpmath at sixty digits: a road that shares only the symbolic object with ours."""
    functions: dict[int, Callable[..., mpmath.mpf]] = {}

    def value(formula: Formula, inputs: Mapping[str, float | Fraction]) -> mpmath.mpf:
        key = id(formula)
        if key not in functions:
            plain = formula.expanded.xreplace({s: sympy.Symbol(str(s)) for s in formula.expanded.free_symbols})
            functions[key] = sympy.lambdify(formula.inputs, plain, modules=[TWINS, "mpmath"], cse=True)
        with mpmath.workdps(90):
            numbers = (inputs[name] for name in formula.inputs)
            return +functions[key](*(_exactly(number) for number in numbers))

    return value


def _exactly(number: float | Fraction) -> mpmath.mpf:
    if isinstance(number, float) and math.isinf(number):
        return mpmath.inf
    ratio = Fraction(number)
    return mpmath.mpf(ratio.numerator) / ratio.denominator
