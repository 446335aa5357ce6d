"""What the bounds refuse, and how they say so."""

__all__ = ["RefusedError"]


class RefusedError(ValueError):
    """No valid number exists: the message says what was wrong, what was expected and what to change."""
