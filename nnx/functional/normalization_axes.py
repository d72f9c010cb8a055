"""Axes of normalisations, and their parameters gamma and beta along them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnx.backends import Array, array_namespace
from nnx.precision import narrow, wide
from nnx.pullbacks import SKIP

__all__ = ["Axis", "along", "axes_of", "other_axes", "parameter_cotangents", "scale_and_shift"]

Axis = int | Sequence[int]
"""One axis, or several; negative ones count from the end."""


def axes_of(shape: Sequence[int | None], axis: Axis) -> tuple[int, ...]:
    """Axes of a shape as non-negative numbers in ascending order; ValueError for those that it does not have.

    >>> axes_of((None, 8, 3), -1), axes_of((None, 8, 3), (-1, 1))
    ((2,), (1, 2))
    """
    ndim = len(shape)
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    if any(not -ndim <= index < ndim for index in axes) or len({index % ndim for index in axes}) < len(axes):
        raise ValueError(f"axis must name different axes of shape {tuple(shape)}, got {axis}")
    return tuple(sorted(index % ndim for index in axes))


def other_axes(x: Array, axes: tuple[int, ...]) -> tuple[int, ...]:
    """Axes of x but for these."""
    return tuple(index for index in range(len(x.shape)) if index not in axes)


def along(parameter: Array | None, x: Array, axes: tuple[int, ...]) -> Array | None:
    """Parameter that lies along some axes of x, in a shape that broadcasts against x."""
    if parameter is None:
        return None
    shape = tuple(size if index in axes else 1 for index, size in enumerate(x.shape))
    return array_namespace(parameter).reshape(wide(parameter), shape)


def scale_and_shift(normal: Array, gamma: Array | None, beta: Array | None) -> Array:
    """Scale and shift of normalised values: gamma * normal + beta, without what is None."""
    y = normal if gamma is None else normal * gamma
    return y if beta is None else y + beta


def parameter_cotangents(out: Sequence[Any], *pairs: tuple[Array | None, Callable[[], Array]]) -> list[Array | None]:
    """Cotangents of parameters, in their shapes; without the parameters that are None, and None for those not wanted.

    out : what the caller says to each parameter that there is: SKIP, or anything else.
    pairs : each parameter with the computation of its cotangent.
    """
    given = [(parameter, compute) for parameter, compute in pairs if parameter is not None]
    return [
        None if place is SKIP else narrow(array_namespace(parameter).reshape(compute(), parameter.shape), parameter)
        for (parameter, compute), place in zip(given, out, strict=False)
    ]
