"""Norms as certified upper ends: the returned float is never below the exact norm of the stored array.

Sums of squares are taken in float64 after scaling by a power of two, with the a-priori error bound
``|fl(s) - s| <= gamma_n s``, ``gamma_n = n u / (1 - n u)``, ``u = 2^-53``, which holds for any order of summation
(Higham 2002, Lemma 8.4 and section 3.1). The spectral norm adds a proof by Cholesky: if the floating-point
factorisation of ``S`` succeeds, ``lambda_min(S) >= -gamma_{k+1} / (1 - gamma_{k+1}) trace(S)`` (Rump 2006,
"Verification of positive definiteness", section 2).
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds.errors import RefusedError

__all__ = ["distance", "frobenius", "half_oscillation", "largest_column", "largest_row", "spectral", "two_one"]

Array = NDArray[np.floating]
UNIT = 2.0**-53


def _checked(matrix: Array, dimensions: int | None = None) -> NDArray[np.float64]:
    array = np.asarray(matrix, dtype=np.float64)
    if array.size == 0:
        raise RefusedError(f"an array of shape {array.shape} is empty; expected at least one entry")
    if not np.isfinite(array).all():
        raise RefusedError("an array holds NaN or infinite entries; expected finite numbers; check the training run")
    if dimensions is not None and array.ndim != dimensions:
        raise RefusedError(f"an array has {array.ndim} axes; expected {dimensions}")
    return array


def _up(value: float) -> float:
    return math.nextafter(value, math.inf)


def _gamma(terms: int) -> float:
    # 1.01 covers the rounding of this very expression; terms * u stays far below 1 for any array in memory.
    return 1.01 * terms * UNIT / (1 - 1.01 * terms * UNIT)


def _scaled(array: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Return the array divided by a power of two so that its largest entry is in [1/2, 1), and the exponent."""
    exponent = math.frexp(max(float(array.max()), -float(array.min())))[1]
    # A product with a power of two is as exact as ldexp and far faster, where the power itself is a float.
    return (array * 2.0**-exponent if abs(exponent) <= 1000 else np.ldexp(array, -exponent)), exponent


def _largest_root_of_squares(array: NDArray[np.float64], axis: int | None) -> float:
    if not array.any():
        return 0.0
    scaled, exponent = _scaled(array)
    sums = np.vdot(scaled, scaled) if axis is None else np.square(scaled).sum(axis=axis)
    terms = array.size if axis is None else array.shape[axis]
    # The added unit covers entries lost to underflow: after scaling the largest sum is at least 1/4.
    largest = float(np.max(sums)) * (1 + _gamma(terms + 2)) + UNIT**4
    return _unscale(_up(math.sqrt(_up(largest))), exponent)


def _unscale(value: float, exponent: int) -> float:
    try:
        result = math.ldexp(value, exponent)
    except OverflowError:
        raise RefusedError(
            "a norm exceeds the largest float; expected weights of moderate size; check the weights; train with weight "
            "decay or smaller steps"
        ) from None
    return result if result >= 2.0**-1021 else _up(result)


def frobenius(array: Array) -> float:
    r"""Return an upper end of :math:`(\sum_i x_i^2)^{1/2}` over all entries of an array of any shape.

    >>> 5 <= frobenius(np.array([3.0, 4.0])) <= 5 * (1 + 1e-14)
    True
    """
    return _largest_root_of_squares(_checked(array).reshape(-1), None)


def largest_row(matrix: Array) -> float:
    r"""Return an upper end of :math:`\max_j \|A_{j,:}\|_2` (the last axis is the row's).

    >>> 5 <= largest_row(np.array([[3.0, 4.0], [0.0, 1.0]])) <= 5 * (1 + 1e-14)
    True
    """
    array = _checked(matrix)
    return _largest_root_of_squares(array.reshape(-1, array.shape[-1]), 1)


def largest_column(matrix: Array) -> float:
    r"""Return an upper end of :math:`\max_r \|A_{:,r}\|_2` (all axes but the last are the column's).

    >>> 5 <= largest_column(np.array([[3.0, 0.0], [4.0, 1.0]])) <= 5 * (1 + 1e-14)
    True
    """
    array = _checked(matrix)
    return _largest_root_of_squares(array.reshape(-1, array.shape[-1]), 0)


def two_one(matrix: Array) -> float:
    r"""Return an upper end of the (2,1) norm :math:`\sum_r \|A_{:,r}\|_2`, the columns' norms added up.

    >>> 6 <= two_one(np.array([[3.0, 0.0], [4.0, 1.0]])) <= 6 * (1 + 1e-14)
    True
    """
    array = _checked(matrix, 2)
    if not array.any():
        return 0.0
    scaled, exponent = _scaled(array)
    sums = np.square(scaled).sum(axis=0) * (1 + _gamma(array.shape[0] + 2)) + UNIT**4
    # math.fsum rounds once; the factor covers that and the roundings of products and roots.
    return _unscale(_up(math.fsum(np.sqrt(sums)) * (1 + 8 * UNIT)), exponent)


def distance(norm: Callable[[Array], float], array: Array, reference: Array) -> float:
    r"""Return an upper end of :math:`\|A - A_0\|` in one of the norms of this module but the half oscillation.

    The difference is rounded entry by entry, by at most :math:`u` times its size; all these norms but the spectral one
    depend on the sizes of the entries only, and that one is at most the Frobenius norm.

    Raises
    ------
    RefusedError
        If the shapes differ.

    Examples
    --------
    >>> 5 <= distance(frobenius, np.array([4.0, 4.0]), np.array([1.0, 0.0])) <= 5 * (1 + 1e-14)
    True
    """
    first, second = _checked(array), _checked(reference)
    if first.shape != second.shape:
        raise RefusedError(f"an array of shape {first.shape} was compared with one of shape {second.shape}")
    with np.errstate(over="ignore"):
        rounded = first - second
    rounding = frobenius(rounded) if norm is spectral else norm(rounded)
    return _up(norm(rounded) + _up(2 * UNIT * rounding))


def half_oscillation(array: Array) -> float:
    r"""Return an upper end of :math:`\tfrac12(\max x - \min x)`, the sup norm up to a constant shift.

    >>> 2 <= half_oscillation(np.array([1.0, 5.0])) <= 2 * (1 + 1e-14)
    True
    """
    values = _checked(array)
    highest, lowest = float(values.max()), float(values.min())
    return _up(_up(highest / 2) - lowest / 2) if highest > lowest else 0.0


def spectral(matrix: Array) -> float:
    r"""Return an upper end of the largest singular value :math:`\|A\|_2`, within 1e-8 of it, relatively.

    With :math:`G = A^\top A` in float64, :math:`\|G - A^\top A\|_2 \le \gamma_n \|A\|_F^2`; a floating-point
    Cholesky factorisation of :math:`\mu I - G` proves :math:`\lambda_{\max}(G) \le \mu + c`.

    Raises
    ------
    RefusedError
        If the matrix is empty, not two-dimensional, or holds NaN or infinities.

    Examples
    --------
    >>> 2 <= spectral(np.diag([2.0, 1.0])) <= 2 * (1 + 1e-8)
    True
    """
    array = _checked(matrix, 2)
    if min(array.shape) == 1 or not array.any():
        return frobenius(array)
    scaled, exponent = _scaled(array if array.shape[0] >= array.shape[1] else array.T)
    size = scaled.shape[1]
    gram = scaled.T @ scaled
    frobenius_squared = float(np.trace(gram)) * (1 + _gamma(scaled.size + size + 2)) + UNIT**4
    gram_error = _gamma(scaled.shape[0] + 2) * frobenius_squared + UNIT**4
    largest = float(np.linalg.eigvalsh(gram)[-1])
    for attempt in range(8):
        shift = largest * (1 + size * UNIT * 4.0**attempt)
        residual = -gram
        residual[np.diag_indices(size)] += shift
        try:
            np.linalg.cholesky(residual)
        except np.linalg.LinAlgError:
            continue
        # The backward error of Cholesky and the rounding of the diagonal of the residual.
        proof_error = _gamma(size + 4) / (1 - _gamma(size + 4)) * float(np.trace(residual)) * (1 + 1e-6)
        diagonal_error = 2 * UNIT * (shift + float(np.diag(gram).max()))
        square = math.fsum([shift, proof_error, diagonal_error, gram_error]) * (1 + 8 * UNIT)
        return _unscale(_up(math.sqrt(_up(min(square, frobenius_squared)))), exponent)
    return _unscale(_up(math.sqrt(_up(frobenius_squared))), exponent)
