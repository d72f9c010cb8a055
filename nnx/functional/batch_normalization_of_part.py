"""Batch normalisation over a batch of which this process has a part."""

from __future__ import annotations

import math
from typing import Any

from nnx.backends import Array, array_namespace
from nnx.functional._normal import along, axes_of, narrow, other_axes, parameter_cotangents, scale_and_shift, wide
from nnx.functional.batch_normalization import counts_of
from nnx.protocol import SKIP, Pullback
from nnx.ranks import Part


def batch_normalization_of_part(
    x: Array, gamma: Array | None, beta: Array | None, axis: int, epsilon: float, mask: Array | None, part: Part
) -> tuple[tuple[Array, Array, Array], Pullback]:
    """`batch_normalization` of the rows at hand, by the mean and the variance of the whole batch.

    part : what sums over all ranks: twice here, of c numbers or a few more, and once in the pullback.

    Returns (y, mean, variance) and pullback(dy) -> (dx, dgamma, dbeta). dgamma and dbeta are those of the rows at hand;
    their sums over the ranks are those of the batch. The formulas are those of `batch_normalization`.
    """
    xp = array_namespace(x)
    axes = axes_of(x.shape, axis)
    others = other_axes(x, axes)
    x_wide, scale = wide(x), along(gamma, x, axes)
    counts = None if mask is None else counts_of(xp.astype(mask, x_wide.dtype), x)

    def add(*values: Array) -> Array:
        """Sums of each feature over the whole batch, of several at once."""
        return part.total(xp.stack([xp.sum(value, axis=others, keepdims=True) for value in values]))

    if counts is None:
        share: Any = part.share / max(math.prod(x.shape[index] for index in others), 1)
        mean = add(x_wide)[0, ...] * share
        normal = x_wide - mean
        variance = add(normal * normal)[0, ...] * share
    else:
        counts = xp.broadcast_to(counts, x.shape)
        sums = add(x_wide * counts, counts)
        number = xp.maximum(sums[1, ...], 1.0)
        share = counts / number
        mean = sums[0, ...] / number
        normal = x_wide - mean
        variance = add(normal * normal * counts)[0, ...] / number
    inverse = 1.0 / xp.sqrt(variance + epsilon)
    normal = normal * inverse
    y = scale_and_shift(normal, scale, along(beta, x, axes))

    def pullback(dy: Array, out: tuple[Any, ...] = (None, None, None)) -> tuple[Array | None, ...]:
        dy = wide(dy)
        total = xp.sum(dy, axis=others, keepdims=True)
        product = xp.sum(dy * normal, axis=others, keepdims=True)
        dx = None
        if out[0] is not SKIP:
            of_batch = part.total(xp.stack([total, product]))
            dx = dy - of_batch[0, ...] * share - normal * (of_batch[1, ...] * share)
            dx = narrow(dx * (inverse if scale is None else inverse * scale), x)
        return dx, *parameter_cotangents(out[1:], (gamma, lambda: product), (beta, lambda: total))

    return (narrow(y, x), xp.reshape(mean, (-1,)), xp.reshape(variance, (-1,))), pullback
