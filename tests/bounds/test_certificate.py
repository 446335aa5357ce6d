"""What a certificate says about itself agrees with its numbers."""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_bounds import Certificate, Status


def judged(value: float, trivial: float, side: str) -> Certificate:
    return Certificate.judged(value=value, trivial=trivial, side=side, theorem="T1", title="Title", target="risk")


@given(st.floats(1e-6, 1e6), st.floats(-1e-3, 1e-3), st.sampled_from(["upper", "lower"]))
def test_a_reason_orders_its_two_numbers_as_they_are(trivial: float, apart: float, side: str) -> None:
    certificate = judged(trivial * (1 + apart), trivial, side)
    value = certificate.value
    assert value is not None
    words = re.findall(r"(?:bound|value) ([\d.e+-]*\d)", certificate.reason)
    printed, beside = map(Decimal, words)
    assert printed >= Decimal(value) if side == "upper" else printed <= Decimal(value)
    if value != trivial:
        assert (printed < beside, printed > beside) == (value < trivial, value > trivial)


@pytest.mark.parametrize(
    ("value", "side", "reason"),
    [
        (4.4999, "upper", "The bound 4.49991 lies below the trivial value 4.49999."),
        (4.25, "upper", "The bound 4.25 lies below the trivial value 4.5."),
        (4.49999, "upper", "The bound 4.5 holds but is no better than the trivial value 4.5."),
        (4.500011, "lower", "The bound 4.50001 lies above the trivial value 4.49999."),
    ],
)
def test_a_reason_has_as_many_digits_as_it_needs(value: float, side: str, reason: str) -> None:
    certificate = judged(value, 4.49999, side)
    assert certificate.reason == reason
    assert (certificate.status is Status.VALID) == ("lies" in reason)
