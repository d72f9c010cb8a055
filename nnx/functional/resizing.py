"""Sequences made longer or shorter, images larger or smaller: padding, cropping, up-sampling.

Inputs are (batch, steps, channels) or (batch, rows, columns, channels), with channels behind the batch axis for
data_format "channels_first". Amounts are given for each spatial axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx.backends import Array, array_namespace, backend_of
from nnx.functional.layout import CHANNELS_LAST, for_each_axis, spatial_axes
from nnx.protocol import Pullback

Amounts = Sequence[Sequence[int]]
"""Before and after, for each spatial axis."""


def zero_pad(x: Array, padding: Amounts, data_format: str = CHANNELS_LAST) -> tuple[Array, Pullback]:
    """x with zeros around it.

    padding : how many zeros come before and after, for each spatial axis: ((1, 2),) or ((1, 2), (3, 4)).
    """
    inside, shape = _inside(x, padding, data_format, "zero_pad", outer=True)
    return _surrounded(x, inside, shape), lambda dy: dy[inside]


def crop(x: Array, cropping: Amounts, data_format: str = CHANNELS_LAST) -> tuple[Array, Pullback]:
    """x without what is at its border.

    cropping : how much to leave out before and after, for each spatial axis. ValueError if nothing would remain.
    """
    inside, _ = _inside(x, cropping, data_format, "crop", outer=False)
    return x[inside], lambda dy: _surrounded(dy, inside, tuple(x.shape))


def _surrounded(x: Array, inside: tuple[slice, ...], shape: tuple[int, ...]) -> Array:
    xp = array_namespace(x)
    y = xp.zeros(shape, dtype=x.dtype, device=_device(x))
    y[inside] = x
    return y


def _inside(
    x: Array, amounts: Amounts, data_format: str, name: str, outer: bool
) -> tuple[tuple[slice, ...], tuple[int, ...]]:
    """Where the smaller array lies in the larger one, and the shape of the result."""
    axes = spatial_axes(x.shape, data_format, name)
    if len(amounts) != len(axes) or any(len(pair) != 2 or min(pair) < 0 for pair in amounts):
        raise ValueError(
            f"{name}: expected (before, after), not negative, for each of {len(axes)} axes, got {tuple(amounts)}"
        )
    inside, shape = [slice(None)] * len(x.shape), list(x.shape)
    for axis, (before, after) in zip(axes, amounts, strict=True):
        size = shape[axis]
        shape[axis] = size + before + after if outer else size - before - after
        inside[axis] = slice(before, before + size if outer else size - after)
        if shape[axis] < 1:
            raise ValueError(f"{name}: nothing remains of an axis of size {size} without {before} and {after}")
    return tuple(inside), tuple(shape)


def upsample(
    x: Array, size: int | Sequence[int], interpolation: str = "nearest", data_format: str = CHANNELS_LAST
) -> tuple[Array, Pullback]:
    """x with every spatial axis made `size` times as long.

    size : a factor, or one for each spatial axis.
    interpolation : "nearest" repeats elements; "bilinear" interpolates between the centres of pixels, and repeats the
        outermost ones at the border.
    """
    axes = spatial_axes(x.shape, data_format, "upsample")
    along = {"nearest": _repeated, "bilinear": _interpolated}.get(interpolation)
    if along is None:
        raise ValueError(f"upsample: interpolation must be 'nearest' or 'bilinear', got {interpolation!r}")
    pullbacks = []
    for axis, factor in zip(axes, for_each_axis(size, len(x.shape)), strict=True):
        if factor > 1:
            x, pullback = along(x, axis, factor)
            pullbacks.append(pullback)

    def pull_back(dy: Array) -> Array:
        for pullback in reversed(pullbacks):
            dy = pullback(dy)
        return dy

    return x, pull_back


def _repeated(x: Array, axis: int, factor: int) -> tuple[Array, Pullback]:
    """Every element `factor` times along an axis."""
    xp = array_namespace(x)
    before, size, after = tuple(x.shape[:axis]), x.shape[axis], tuple(x.shape[axis + 1 :])
    several = xp.broadcast_to(xp.expand_dims(x, axis=axis + 1), (*before, size, factor, *after))
    return xp.reshape(several, (*before, size * factor, *after)), lambda dy: xp.sum(
        xp.reshape(dy, (*before, size, factor, *after)), axis=axis + 1
    )


def _interpolated(x: Array, axis: int, factor: int) -> tuple[Array, Pullback]:
    """Linear interpolation along an axis: `factor` values for each element, from itself and its nearer neighbour.

    Value `phase` of an element lies at (phase + 1/2) / factor - 1/2 from its centre, in units of elements.
    """
    xp = array_namespace(x)
    shape, size = tuple(x.shape), x.shape[axis]

    def part(start: int, length: int = size) -> tuple[Any, ...]:
        return (*(slice(None),) * axis, slice(start, start + length), ...)

    wide = xp.concat([x[part(0, 1)], x, x[part(size - 1, 1)]], axis=axis)  # the outermost are their own neighbours
    distances = [(phase + 0.5) / factor - 0.5 for phase in range(factor)]
    neighbours = [part(0 if distance < 0.0 else 2) for distance in distances]
    values = [x * (1.0 - abs(d)) + wide[place] * abs(d) for d, place in zip(distances, neighbours, strict=True)]
    y = xp.reshape(xp.stack(values, axis=axis + 1), (*shape[:axis], size * factor, *shape[axis + 1 :]))

    def pullback(dy: Array) -> Array:
        phases = xp.reshape(dy, (*shape[:axis], size, factor, *shape[axis + 1 :]))
        dwide = xp.zeros(wide.shape, dtype=dy.dtype, device=_device(dy))
        for phase, (distance, place) in enumerate(zip(distances, neighbours, strict=True)):
            dvalue = phases[(*(slice(None),) * (axis + 1), phase, ...)]
            dwide[part(1)] += dvalue * (1.0 - abs(distance))
            dwide[place] += dvalue * abs(distance)
        dx = dwide[part(1)]
        dx[part(0, 1)] += dwide[part(0, 1)]
        dx[part(size - 1, 1)] += dwide[part(size + 1, 1)]
        return dx

    return y, pullback


def _device(x: Array) -> Any:
    return backend_of(x).device_of(x)
