"""Targets fitted to predictions, cotangents over a reduced axis, and sums: what loss functions have in common."""

from __future__ import annotations

import functools
from typing import Any

from nnx.backends import Array, Namespace, array_namespace, backend_of
from nnx.kernels import accelerated, alike
from nnx.pullbacks import Differentiable, Pullback

__all__ = [
    "EPSILON",
    "add_to_sum",
    "clip",
    "loss_function",
    "mark_built_in",
    "match_ndim",
    "over_axis",
    "require_same_backend",
    "scaled_sum",
    "sign",
]

EPSILON = 1e-7  # Keras's backend.epsilon(): how far probabilities stay from 0 and 1


def loss_function(function: Differentiable) -> Differentiable:
    """Decorator: the function gets targets of the shape and the dtype of the predictions.

    Targets of another dtype are converted. Where the numbers of axes differ by one and the longer shape ends in 1, that
    axis is added or dropped as in Keras, so that (n,) against (n, 1) never becomes (n, n).

    ValueError for shapes that differ otherwise.

    >>> import numpy as np
    >>> @loss_function
    ... def distance(y_true, y_pred):
    ...     error = y_pred - y_true
    ...     return (error * error).sum(axis=-1), lambda dvalues: 2.0 * error * over_axis(dvalues)
    >>> values, pullback = distance(np.asarray([1, 2]), np.asarray([[1.0], [4.0]]))
    >>> values, pullback(1.0).tolist()
    (array([0., 4.]), [[0.0], [4.0]])
    """

    @functools.wraps(function)
    def loss(y_true: Array, y_pred: Array, *args: Any, **kwargs: Any) -> tuple[Array, Pullback]:
        if type(y_true) is type(y_pred) and y_true.shape == y_pred.shape and y_true.dtype == y_pred.dtype:
            return function(y_true, y_pred, *args, **kwargs)
        require_same_backend(y_true, y_pred)
        y_true, y_pred = alike(y_true, y_pred)
        xp = array_namespace(y_pred)
        shape = y_pred.shape
        y_true, y_pred = match_ndim(y_true, y_pred)
        if y_true.shape != y_pred.shape:
            raise ValueError(
                f"{function.__name__} expects targets of the shape of the predictions, {tuple(y_pred.shape)}; "
                f"the targets given have the shape {tuple(y_true.shape)}"
            )
        values, pullback = function(xp.astype(y_true, y_pred.dtype, copy=False), y_pred, *args, **kwargs)
        if y_pred.shape == shape:
            return values, pullback
        return values, lambda dvalues: xp.reshape(pullback(dvalues), shape)

    return mark_built_in(loss)


def mark_built_in(function: Differentiable) -> Differentiable:
    """Note on a loss function that it is one of nnx's: its pullback also takes one float for all values."""
    function.is_built_in = True  # type: ignore[attr-defined]
    return function


def require_same_backend(y_true: Array, y_pred: Array) -> None:
    """Check that targets and predictions are arrays of one library; TypeError if not."""
    of_true, of_pred = backend_of(y_true), backend_of(y_pred)
    if of_true.plain is not of_pred.plain:
        raise TypeError(
            f"the targets are on backend {of_true.name!r} and the predictions on {of_pred.name!r}; bring both to one "
            f"place with nnx.asarray or nnx.to_numpy, or the model with model.to({of_true.name!r})"
        )


def match_ndim(y_true: Array, y_pred: Array) -> tuple[Array, Array]:
    """Two arrays with equally many axes, where a last one of length 1 is too many: (n, 1) for vectors, else without.

    >>> import numpy as np
    >>> [array.shape for array in match_ndim(np.zeros(5), np.zeros((5, 1)))]
    [(5, 1), (5, 1)]
    """
    longer, shorter = (y_true, y_pred) if len(y_true.shape) > len(y_pred.shape) else (y_pred, y_true)
    if len(longer.shape) != len(shorter.shape) + 1 or longer.shape[-1] != 1:
        return y_true, y_pred
    xp = array_namespace(y_pred)
    if len(shorter.shape) == 1:
        shorter = shorter[..., None]
    else:
        longer = xp.reshape(longer, longer.shape[:-1])
    return (longer, shorter) if len(y_true.shape) > len(y_pred.shape) else (shorter, longer)


def over_axis(dvalues: Array | float, axis: int = -1) -> Array | float:
    """Cotangents of values that a reduction over `axis` gave, ready to be broadcast over that axis again.

    >>> import numpy as np
    >>> over_axis(np.zeros(5)).shape, over_axis(0.5)
    ((5, 1), 0.5)
    """
    if isinstance(dvalues, int | float):
        return dvalues
    return dvalues[..., None] if axis == -1 else array_namespace(dvalues).expand_dims(dvalues, axis=axis)


@accelerated
def scaled_sum(values: Array, scale: float) -> Array:
    """Sum of all values times scale, a 0-d array

    >>> import numpy as np
    >>> float(scaled_sum(np.asarray([1.0, 3.0]), 0.5))
    2.0
    """
    return array_namespace(values).sum(values) * scale


@accelerated
def add_to_sum(amount: Array, factor: float = 1.0, sums: Array | None = None) -> Array:
    """Running sum of amount * factor that is right to the last digit, also after 10**7 of them in float32.

    What rounding takes off the sum is kept beside it, and goes back into it as soon as it is large enough: a sum of
    double length (Knuth, TAOCP 2, section 4.2.2; Dekker, "A floating-point technique for extending the available
    precision", 1971).

    amount : (...), floating. factor : a number.
    sums : what the last call returned; None for the first. It is not changed.

    Returns (2, ...): the sum, and what it lacks. A sum that is infinite or NaN lacks nothing.

    >>> import numpy as np
    >>> sums = add_to_sum(np.asarray(2.0**24, "float32"))
    >>> for _ in range(4):
    ...     sums = add_to_sum(np.asarray(0.5, "float32"), 1.0, sums)
    >>> float(sums[0]), float(np.float32(2.0**24) + np.float32(0.5))
    (16777218.0, 16777216.0)
    """
    xp = array_namespace(amount)
    amount = amount * factor
    if sums is None:
        return xp.stack([amount, xp.zeros_like(amount)])
    total = sums[0, ...] + amount
    finite = xp.isfinite(total)
    before, rest, amount = (xp.where(finite, part, 0.0) for part in (sums[0, ...], sums[1, ...], amount))
    rounded = before + amount
    share = rounded - before
    rest = rest + ((before - (rounded - share)) + (amount - share))
    whole = rounded + rest
    return xp.stack([xp.where(finite, whole, total), (rounded - whole) + rest])


def clip(xp: Namespace, x: Array, low: float, high: float) -> Array:
    """x held between two numbers"""
    return xp.minimum(xp.maximum(x, low), high)


def sign(xp: Namespace, x: Array) -> Array:
    """Sign of each number, -1, 0 or 1, without the launches and the synchronisation of array-api-compat's on CuPy."""
    return xp.astype(x > 0.0, x.dtype) - xp.astype(x < 0.0, x.dtype)
