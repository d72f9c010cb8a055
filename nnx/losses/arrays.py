"""Arrays for losses and metrics, of what a user passes to them by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.backends import Array, array_namespace, asarray, backend_of, get_backend, is_array
from nnx.backends.base import FLOAT_DTYPES, refuse_masked
from nnx.precision import wide


def as_arrays(y_true: Any, y_pred: Any, dtype: str | None = None) -> tuple[Array, Array]:
    """Targets and floating predictions as arrays; predictions in float16 as float32, in which squares and sums fit.

    Lists and numbers are converted: predictions on the current backend, targets on the device of the predictions.
    dtype : of predictions that are lists or integers; by default that of the backend.
    """
    for values, what in ((y_true, "y_true"), (y_pred, "y_pred")):
        if isinstance(values, np.ndarray) and type(values) is not np.ndarray:
            refuse_masked(values, what)
    if not is_array(y_pred):
        y_pred = asarray(y_pred, dtype or get_backend().dtype)
    elif not _is_floating(y_pred):
        xp = array_namespace(y_pred)
        y_pred = xp.astype(y_pred, getattr(xp, dtype or get_backend().dtype))
    if getattr(y_pred.dtype, "itemsize", 4) == 2:  # bytes
        y_pred = wide(y_pred)
    return y_true if is_array(y_true) else asarray_like(y_true, y_pred), y_pred


def asarray_like(values: Any, like: Array) -> Array:
    """Host data as an array on the device of `like`; floating and boolean data get its dtype if that is floating."""
    refuse_masked(values)
    host = np.asarray(values)
    if host.dtype.kind in "fb":
        xp = array_namespace(like)
        names = (name for name in FLOAT_DTYPES if like.dtype == getattr(xp, name, None))
        host = host.astype(next(names, "float32"))
    return backend_of(like).put_beside(like, host)


def weighted_steps(counts: Array | None, weight: Array | None) -> Array | None:
    """Numbers of steps times the weights of samples, steps or values; what is None does not count.

    Axes that one of them lacks are the last ones.
    """
    if counts is None or weight is None:
        return weight if counts is None else counts
    xp, ndim = array_namespace(counts), max(len(counts.shape), len(weight.shape))
    counts, weight = (xp.reshape(x, (*x.shape, *(1,) * (ndim - len(x.shape)))) for x in (counts, weight))
    return counts * weight


def _is_floating(array: Array) -> bool:
    return bool(array_namespace(array).isdtype(array.dtype, "real floating"))
