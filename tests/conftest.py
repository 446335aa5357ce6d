"""One hypothesis profile for the whole suite, and the sixty-digit oracle for every test that asks for it."""

import pytest
from hypothesis import HealthCheck, settings

from oracle import Oracle, sixty_digit_value

settings.register_profile(
    "deterministic", derandomize=True, deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("deterministic")


@pytest.fixture(scope="session")
def sixty_digits() -> Oracle:
    """Hand the oracle to a test."""
    return sixty_digit_value
