"""Comparison of arrays under a tolerance that follows from the dtype and the length of the sums behind them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnx.backends import Array, array_namespace, backend_of, is_array, to_numpy


def assert_close(
    actual: Any,
    expected: Any,
    rtol: float | None = None,
    atol: float | None = None,
    *,
    length: int = 1,
    like: Array | None = None,
) -> None:
    """Assert that two arrays have one shape and, element by element, |actual - expected| <= atol + rtol * |expected|.

    actual, expected : arrays of any backend, or numbers and lists; compared on the host, in float64. NaN equals NaN,
        and infinities equal infinities of the same sign.
    rtol : by default 16 * eps * sqrt(length), with eps of the less precise of the two floating dtypes (float64 for
        Python numbers): rounding errors of a sum grow like the square root of the number of its terms. 0 for
        integers and booleans.
    atol : by default rtol * the largest finite |expected|: in a sum that cancels, errors are as large as its terms; and
        no less than float32's smallest normal number, below which processors and kernels may make 0 of results, or
        float64's where both are float64.
    length : how many terms were summed up for each element.
    like : if given, `actual` has to be an array of the same namespace, dtype and device, so that nothing was
        converted on the way.

    Raises AssertionError with the worst element, its index and both values.

    >>> assert_close(np.float32(0.1) + np.float32(0.2), 0.3)
    >>> assert_close([1.0, 2.0], [1.0, 2.1])
    Traceback (most recent call last):
    AssertionError: 1 of 2 elements differ by more than atol 7.46e-15 + rtol 3.55e-15 * |expected|
    worst is [1]: actual 2.0, expected 2.1, difference 0.1
    """
    if like is not None:
        assert_like(actual, like)
    found, wanted = to_numpy(actual), to_numpy(expected)
    if found.shape != wanted.shape:
        raise AssertionError(f"shapes differ: actual {found.shape}, expected {wanted.shape}")
    if rtol is None:
        rtol = 16.0 * max(_eps(found), _eps(wanted)) * math.sqrt(length)
    smallest_normal = float(np.finfo(np.float64 if found.dtype == wanted.dtype == np.float64 else np.float32).tiny)
    whole = found.dtype.kind in "biu" and wanted.dtype.kind in "biu" and not rtol and not atol
    exact = found == wanted  # before the conversion: large integers are not floats
    found, wanted = found.astype(np.float64), wanted.astype(np.float64)
    if atol is None:
        atol = rtol * float(np.max(np.abs(wanted), initial=0.0, where=np.isfinite(wanted)))
        if rtol:
            atol = max(atol, smallest_normal)
    with np.errstate(invalid="ignore"):
        difference = np.abs(found - wanted)
        allowed = atol + rtol * np.abs(wanted)
        near = np.isfinite(wanted) & (difference <= allowed) & (not whole)
        good = exact | near | (np.isnan(found) & np.isnan(wanted))
    if not good.all():
        raise AssertionError(_message(found, wanted, difference, allowed, good, rtol, atol))


def _eps(array: np.ndarray) -> float:
    return float(np.finfo(array.dtype).eps) if array.dtype.kind == "f" else 0.0


def assert_like(actual: Any, like: Array) -> None:
    """Assert that a value is an array of the same namespace, dtype and device as another one.

    >>> assert_like(np.zeros(2, "float64"), np.zeros(2, "float32"))
    Traceback (most recent call last):
    AssertionError: expected dtype float32, got float64
    """
    if not is_array(actual):
        raise AssertionError(f"expected an array of {backend_of(like).name}, got {type(actual).__name__}: {actual!r}")
    owner = backend_of(like)
    if array_namespace(actual) is not owner.xp:
        raise AssertionError(f"expected an array of {owner.name}, got one of {backend_of(actual).name}")
    if actual.dtype != like.dtype:
        raise AssertionError(f"expected dtype {like.dtype}, got {actual.dtype}")
    if owner.device_of(actual) != owner.device_of(like):
        raise AssertionError(f"expected device {owner.device_of(like)}, got {owner.device_of(actual)}")


def _message(
    found: np.ndarray,
    wanted: np.ndarray,
    difference: np.ndarray,
    allowed: np.ndarray,
    good: np.ndarray,
    rtol: float,
    atol: float,
) -> str:
    with np.errstate(invalid="ignore", divide="ignore"):
        excess = np.where(np.isfinite(difference), difference / allowed, np.inf)
    worst = np.unravel_index(np.argmax(np.where(good, -1.0, excess)), good.shape)
    where = ", ".join(str(int(i)) for i in worst)
    bound = f"atol {atol:.3g} + rtol {rtol:.3g} * |expected|"
    return (
        f"{np.sum(~good)} of {good.size} elements differ by more than {bound}\n"
        f"worst is [{where}]: actual {found[worst]}, expected {wanted[worst]}, difference {difference[worst]:.3g}"
    )
