"""Masking of padded time steps, softmax of what a mask keeps, and masks of windows."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

from nnx.backends import Array, array_namespace
from nnx.functional.activations import softmax
from nnx.pullbacks import Pullback
from nnx.windows import Axis

__all__ = ["mask_steps"]


def mask_steps(x: Array, mask_value: float = 0.0) -> tuple[Array, Pullback]:
    """Masking of padded time steps: x, with zeros in the steps all of whose features are equal to the mask value

    x : (batch, time, features).
    mask_value : by default 0.

    Returns y of x's shape, and pullback(dy) -> dx, dy with zeros in the same steps.

    >>> import numpy as np
    >>> y, pullback = mask_steps(np.asarray([[[1.0, -1.0], [-1.0, -1.0]]]), mask_value=-1.0)
    >>> y.tolist(), pullback(np.ones((1, 2, 2))).tolist()
    ([[[1.0, -1.0], [0.0, 0.0]]], [[[1.0, 1.0], [0.0, 0.0]]])
    """
    xp = array_namespace(x)
    kept = steps_to_keep(x, mask_value)[..., None]
    return xp.where(kept, x, 0.0), lambda dy: xp.where(kept, dy, 0.0)


def steps_to_keep(x: Array, mask_value: float = 0.0) -> Array:
    """Mask (batch, time) of x (batch, time, features), boolean: whether a feature differs from the mask value.

    >>> import numpy as np
    >>> steps_to_keep(np.asarray([[[1.0, 0.0], [0.0, 0.0]]])).tolist()
    [[True, False]]
    """
    return array_namespace(x).any(x != mask_value, axis=-1)


def steps_of_windows(mask: Array, windows: Axis) -> Array:
    """Mask (batch, windows) of windows along the steps of a mask (batch, time): is one of a window's steps kept?"""
    xp = array_namespace(mask)
    windows = windows.trimmed
    none = xp.zeros_like(mask[:, :1])
    padded = xp.concat([*[none] * windows.before, mask, *[none] * windows.after], axis=1)
    span = (windows.count - 1) * windows.stride + 1
    starts = (tap * windows.dilation for tap in range(windows.window))
    return functools.reduce(xp.logical_or, (padded[:, start : start + span : windows.stride] for start in starts))


def masked_softmax(x: Array, mask: Array | None, axes: Sequence[int]) -> tuple[Array, Pullback]:
    """Softmax along several axes together, of the elements that a mask keeps: the others are 0, all if none is kept.

    mask : boolean, broadcasts against x; None keeps all.
    """
    xp, ndim = array_namespace(x), len(x.shape)
    axes = tuple(axis % ndim for axis in axes)
    order = (*(axis for axis in range(ndim) if axis not in axes), *axes)
    back = tuple(order.index(axis) for axis in range(ndim))
    moved = tuple(x.shape[axis] for axis in order)
    rows = (*moved[: ndim - len(axes)], math.prod(moved[ndim - len(axes) :]))

    def as_rows(array: Array) -> Array:
        return xp.reshape(xp.permute_dims(array, order), rows)

    def from_rows(array: Array) -> Array:
        return xp.permute_dims(xp.reshape(array, moved), back)

    y, pullback = softmax(as_rows(x if mask is None else keep(x, mask)))
    if mask is None:
        return from_rows(y), lambda dy: from_rows(pullback(as_rows(dy)))

    def pull_back(dy: Array) -> Array:
        return xp.where(mask, from_rows(pullback(as_rows(xp.where(mask, dy, 0.0)))), 0.0)

    return xp.where(mask, from_rows(y), 0.0), pull_back


def keep(logits: Array, mask: Array) -> Array:
    """Logits with a number that softmax makes 0 where a mask, which broadcasts against them, is False."""
    xp = array_namespace(logits)
    return xp.where(mask, logits, -3e4 if xp.finfo(logits.dtype).bits < 32 else -1e30)
