"""What the model refuses, and how it says so."""

__all__ = ["InputError"]


class InputError(ValueError):
    """Input that cannot be used: the message says what was wrong, what was expected and what to change."""
