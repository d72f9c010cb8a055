"""Batch normalisation of each feature, by its mean and variance over the batch, or by those that are given."""

from __future__ import annotations

import math
from typing import Any

from nnx.backends import Array, array_namespace
from nnx.functional.normalization_axes import along, axes_of, other_axes, parameter_cotangents, scale_and_shift
from nnx.kernels import accelerated
from nnx.precision import narrow, wide
from nnx.pullbacks import SKIP, Differentiable, Pullback, followed_by, linear
from nnx.ranks import Shard

__all__ = ["batch_normalization", "batch_normalization_inference"]


@accelerated
def batch_normalization(
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    axis: int = -1,
    epsilon: float = 1e-3,
    mask: Array | None = None,
    activate: Differentiable = linear,
) -> tuple[tuple[Array, Array, Array], Pullback]:
    """Batch normalisation as in training, of each feature over the batch and all positions: y = gamma * x̂ + beta.

    x : of any shape; its axis `axis` are the c features. float16 is computed in float32.
    gamma, beta : (c,), or None (default) for 1 and 0.
    axis : of the features, by default the last.
    epsilon : added to the variance, by default 1e-3.
    mask : boolean, of the sizes of x's first axes, such as (batch, time). Positions where it is False do not count for
        the mean and the variance.
    activate : an activation function of `nnx.functional`, of y, by default `linear`, which changes nothing.

    Returns (y, mean, variance) and the pullback of y alone: mean and biased variance, (c,), are for moving averages.
    pullback(dy) -> (dx, dgamma, dbeta), without the entries of a gamma or beta that is None. ValueError for an axis or
    a mask that does not fit x.

    With N values of a feature:

        x̂ = (x - mean) * r;  r = 1 / sqrt(variance + epsilon)
        dx̂ = gamma * dy;  dx = (r / N) * (N dx̂ - Σ dx̂ - x̂ Σ (dx̂ x̂))
        dgamma = Σ dy x̂;  dbeta = Σ dy

    Ioffe and Szegedy, "Batch normalization", 2015, arXiv:1502.03167.

    >>> import numpy as np
    >>> x, gamma, beta = np.asarray([[0.0, 1.0], [4.0, 3.0]]), np.ones(2), np.zeros(2)
    >>> (y, mean, variance), pullback = batch_normalization(x, gamma, beta, epsilon=0.0)
    >>> y.tolist(), mean.tolist(), variance.tolist()
    ([[-1.0, -1.0], [1.0, 1.0]], [2.0, 2.0], [4.0, 1.0])
    >>> dx, dgamma, dbeta = pullback(np.asarray([[1.0, 2.0], [1.0, 0.0]]))
    >>> dgamma.tolist(), dbeta.tolist()
    ([0.0, -2.0], [2.0, 2.0])
    """
    xp = array_namespace(x)
    axes = axes_of(x.shape, axis)
    others = other_axes(x, axes)
    x_wide, scale = wide(x), along(gamma, x, axes)
    share = 1.0 / max(math.prod(x.shape[index] for index in others), 1)
    weight = None if mask is None else _weights(xp.astype(mask, x_wide.dtype), x, others)

    def average(values: Array) -> Array:
        if weight is None:
            return xp.sum(values, axis=others, keepdims=True) * share
        return xp.sum(values * weight, axis=others, keepdims=True)

    mean = average(x_wide)
    normal = x_wide - mean
    variance = average(normal * normal)
    inverse = 1.0 / xp.sqrt(variance + epsilon)
    normal = normal * inverse
    y = scale_and_shift(normal, scale, along(beta, x, axes))

    def pullback(dy: Array, out: tuple[Any, ...] = (None, None, None)) -> tuple[Array | None, ...]:
        dy = wide(dy)
        product = xp.sum(dy * normal, axis=others, keepdims=True)
        total = xp.sum(dy, axis=others, keepdims=True)
        dx = None
        if out[0] is not SKIP:
            part = share if weight is None else weight
            dx = dy - total * part - normal * (product * part)
            dx = narrow(dx * (inverse if scale is None else inverse * scale), x)
        return dx, *parameter_cotangents(out[1:], (gamma, lambda: product), (beta, lambda: total))

    y, pullback = followed_by(activate, narrow(y, x), pullback)
    return (y, xp.reshape(mean, (-1,)), xp.reshape(variance, (-1,))), pullback


def _weights(counts: Array, x: Array, others: tuple[int, ...]) -> Array:
    """What each position counts for in a mean over `others`: 1 / N for those of the mask, else 0."""
    xp = array_namespace(x)
    ndim = len(counts.shape)
    counts = counts_of(counts, x)
    repeats = math.prod(x.shape[index] for index in others if index >= ndim)
    return counts / xp.maximum(xp.sum(counts, axis=others, keepdims=True) * repeats, 1.0)


def counts_of(counts: Array, x: Array) -> Array:
    """Mask as numbers, 1 and 0, in a shape that broadcasts against x."""
    xp = array_namespace(x)
    ndim = len(counts.shape)
    if tuple(counts.shape) != tuple(x.shape[:ndim]):
        raise ValueError(
            f"a mask must have the sizes of the first axes of x, whose shape is {tuple(x.shape)}; got {counts.shape}"
        )
    return xp.reshape(counts, (*counts.shape, *(1,) * (len(x.shape) - ndim)))


@accelerated
def batch_normalization_inference(
    x: Array,
    mean: Array,
    variance: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    axis: int = -1,
    epsilon: float = 1e-3,
) -> tuple[Array, Pullback]:
    """Batch normalisation by given moments: y = gamma * (x - mean) / sqrt(variance + epsilon) + beta.

    x : of any shape; its axis `axis` are the c features. float16 is computed in float32.
    mean, variance : (c,), constants.
    gamma, beta : (c,), or None (default) for 1 and 0.
    axis : of the features, by default the last.
    epsilon : added to the variance, by default 1e-3.

    Returns y, and pullback(dy) -> (dx, dgamma, dbeta), without the entries of a gamma or beta that is None:
    dx = gamma * dy / sqrt(variance + epsilon). ValueError for an axis that x does not have.

    >>> import numpy as np
    >>> x, mean, variance = np.asarray([[0.0], [6.0]]), np.asarray([2.0]), np.asarray([4.0])
    >>> y, pullback = batch_normalization_inference(x, mean, variance, gamma=np.asarray([3.0]), epsilon=0.0)
    >>> y.tolist()
    [[-3.0], [6.0]]
    >>> dx, dgamma = pullback(np.ones((2, 1)))
    >>> dx.tolist(), dgamma
    ([[1.5], [1.5]], array([1.]))
    """
    xp = array_namespace(x)
    axes = axes_of(x.shape, axis)
    others = other_axes(x, axes)
    x_wide, scale = wide(x), along(gamma, x, axes)
    mean = along(mean, x, axes)
    inverse = along(1.0 / xp.sqrt(wide(variance) + epsilon), x, axes)
    factor = inverse if scale is None else inverse * scale
    y = scale_and_shift(x_wide - mean, factor, along(beta, x, axes))

    def pullback(dy: Array, out: tuple[Any, ...] = (None, None, None)) -> tuple[Array | None, ...]:
        dy = wide(dy)
        return (
            None if out[0] is SKIP else narrow(dy * factor, x),
            *parameter_cotangents(
                out[1:],
                (gamma, lambda: xp.sum(dy * (x_wide - mean), axis=others, keepdims=True) * inverse),
                (beta, lambda: xp.sum(dy, axis=others, keepdims=True)),
            ),
        )

    return narrow(y, x), pullback


def batch_normalization_over_ranks(
    x: Array, gamma: Array | None, beta: Array | None, axis: int, epsilon: float, mask: Array | None, shard: Shard
) -> tuple[tuple[Array, Array, Array], Pullback]:
    """Batch normalisation of the rows at hand, by the mean and the variance of the whole batch over several ranks.

    shard : what sums over all ranks: twice here, of c numbers or a few more, and once in the pullback.

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
        return shard.total(xp.stack([xp.sum(value, axis=others, keepdims=True) for value in values]))

    if counts is None:
        share: Any = shard.share / max(math.prod(x.shape[index] for index in others), 1)
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
            of_batch = shard.total(xp.stack([total, product]))
            dx = dy - of_batch[0, ...] * share - normal * (of_batch[1, ...] * share)
            dx = narrow(dx * (inverse if scale is None else inverse * scale), x)
        return dx, *parameter_cotangents(out[1:], (gamma, lambda: product), (beta, lambda: total))

    return (narrow(y, x), xp.reshape(mean, (-1,)), xp.reshape(variance, (-1,))), pullback
