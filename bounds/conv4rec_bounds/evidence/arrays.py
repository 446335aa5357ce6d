"""What every part of the evidence checks at the door."""

import math
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv4rec_bounds.errors import RefusedError

__all__ = ["frozen_copy", "refuse_bad_loss", "refuse_bad_size"]


def frozen_copy(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Return a copy of a list of finite numbers that nobody can change.

    Raises
    ------
    RefusedError
        If the list is empty, has more than one axis, or holds NaN or infinities.

    Examples
    --------
    >>> frozen_copy("risks", [1.0, 2.0])
    array([1., 2.])
    """
    kept = np.array(values, dtype=np.float64)
    if kept.ndim != 1 or kept.size == 0:
        raise RefusedError(f"{name} has shape {kept.shape}; expected a list of at least one number")
    if not np.isfinite(kept).all():
        where = int(np.flatnonzero(~np.isfinite(kept))[0])
        raise RefusedError(f"{name} holds {kept[where]} at place {where}; expected finite numbers")
    kept.flags.writeable = False
    return kept


def refuse_bad_size(part: str, size: int) -> None:
    """Refuse a part that holds no whole number of interactions, or none."""
    if not isinstance(size, Integral) or isinstance(size, bool):
        raise RefusedError(f"{part} holds {size!r} interactions; expected a whole number; count them")
    if size < 1:
        raise RefusedError(f"{part} holds {size} interactions; expected at least 1")


def refuse_bad_loss(name: str, loss: float | None) -> None:
    """Refuse a mean loss that is not a finite number of at least 0 nats."""
    if loss is not None and not (math.isfinite(loss) and loss >= 0):
        raise RefusedError(f"the {name} is {loss}; expected a finite mean loss of at least 0 nats")
