"""Dropout of elements, with the mean kept."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nnx.backends import Array, array_namespace
from nnx.kernels import accelerated
from nnx.pullbacks import Pullback
from nnx.random import Draw, bernoulli

__all__ = ["dropout"]


@accelerated
def dropout(
    x: Array, rate: float, draw: Draw, noise_shape: Sequence[int | None] | None = None
) -> tuple[Array, Pullback]:
    """Inverted dropout: x / (1 - rate) with probability 1 - rate, else 0, so that the mean stays.

    x : floating, of any shape.
    rate : the probability of 0, in [0, 1].
    draw : the random words that decide, one for each element of the mask, from `Generator.draw`. A word below
        round(rate * 2**32) drops its element, so the same draw gives the same mask, bit for bit, on every backend.
    noise_shape : shape of the mask; 1 along axes that share a decision, None or x's size along others. By default x's.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx, dy times what x was multiplied by. ValueError for
    another rate, a noise_shape that does not fit, or a draw of another size.

    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.

    >>> import numpy as np
    >>> from nnx.random import Generator
    >>> y, pullback = dropout(np.asarray([1.0, 2.0, 3.0, 4.0]), 0.5, Generator(5).draw(4))
    >>> y, pullback(np.ones(4))
    (array([2., 0., 6., 0.]), array([2., 0., 2., 0.]))
    """
    xp = array_namespace(x)
    if not 0.0 <= rate <= 1.0:
        raise ValueError(f"dropout: rate must be between 0 and 1, got {rate}")
    like = x if noise_shape is None else _first_along_shared_axes(x, noise_shape)
    if draw.size != math.prod(like.shape):
        raise ValueError(f"dropout: a mask of shape {tuple(like.shape)} needs a draw of as many words, got {draw.size}")
    if rate == 1.0:
        return xp.zeros_like(x), lambda dy: xp.zeros_like(dy)
    kept = xp.logical_not(bernoulli(like, draw, rate))
    factor = xp.astype(kept, x.dtype) * (1.0 / (1.0 - rate))
    return x * factor, lambda dy: dy * factor


def _first_along_shared_axes(x: Array, noise_shape: Sequence[int | None]) -> Array:
    """A view of x with the mask's shape: a place to draw it beside."""
    fits = len(noise_shape) == len(x.shape)
    if not fits or any(size not in (None, 1, full) for size, full in zip(noise_shape, x.shape, strict=True)):
        raise ValueError(
            f"dropout: noise_shape must have 1, None or x's size along each axis; x has shape {tuple(x.shape)}, "
            f"noise_shape is {tuple(noise_shape)}"
        )
    return x[tuple(slice(0, 1) if size == 1 else slice(None) for size in noise_shape)]
