"""Noise for training: added, multiplied, or in place of the value that SELU saturates at."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nnx.backends import Array, array_namespace, backend_of
from nnx.functional.dropout import dropout
from nnx.kernels import accelerated
from nnx.precision import narrow
from nnx.pullbacks import Pullback
from nnx.random import Draw, uniform_beside

__all__ = ["alpha_dropout", "gaussian_dropout", "gaussian_noise"]

_SATURATION = -1.7580993408473766  # of SELU: -alpha * scale


@accelerated
def gaussian_noise(x: Array, stddev: float, draw: Draw) -> tuple[Array, Pullback]:
    """Gaussian noise of mean 0, added to x: y = x + stddev * (standard normal numbers)

    x : floating, of any shape.
    stddev : of the noise.
    draw : `words_for_normals(size of x)` words, from `Generator.draw`: the size of x, or one more where it is odd.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = dy. ValueError for a draw of another size.

    >>> import numpy as np
    >>> from nnx.random import Generator
    >>> y, pullback = gaussian_noise(np.zeros(10000), 2.0, Generator(1).draw(10000))
    >>> round(float(y.std()), 1), pullback(np.ones(2))
    (2.0, array([1., 1.]))
    """
    return x + stddev * normal(x, draw), lambda dy: dy


@accelerated
def gaussian_dropout(x: Array, rate: float, draw: Draw) -> tuple[Array, Pullback]:
    """Gaussian dropout: x times normal noise of mean 1, standard deviation sqrt(rate / (1 - rate)) as that of dropout.

    x : floating, of any shape.
    rate : from 0 to less than 1.
    draw : `words_for_normals(size of x)` words: the size of x, or one more where it is odd.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = dy * noise. ValueError for a draw of another size.

    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014, section 10.

    >>> import numpy as np
    >>> from nnx.random import Generator
    >>> y, pullback = gaussian_dropout(np.ones(10000), 0.5, Generator(1).draw(10000))
    >>> round(float(y.mean()), 1), round(float(y.std()), 1)
    (1.0, 1.0)
    """
    factor = 1.0 + math.sqrt(rate / (1.0 - rate)) * normal(x, draw)
    return x * factor, lambda dy: dy * factor


@accelerated
def alpha_dropout(
    x: Array, rate: float, draw: Draw, noise_shape: Sequence[int | None] | None = None
) -> tuple[Array, Pullback]:
    """Alpha dropout, to the value that SELU saturates at, then scaled and shifted: mean 0 and variance 1 are kept.

    With s = -1.7580993..., where SELU saturates, and x dropped to s with the probability `rate`:

        y = a * x + b;  a = 1 / sqrt((1 - rate) * (1 + rate * s**2));  b = -a * rate * s

    x : floating, of any shape.
    rate : from 0 to less than 1.
    draw, noise_shape : as for `dropout`.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx, a * dy where x was kept, else 0. ValueError as from
    `dropout`.

    Klambauer et al., "Self-normalizing neural networks", 2017, arXiv:1706.02515.

    >>> import numpy as np
    >>> from nnx.random import Generator
    >>> y, pullback = alpha_dropout(Generator(2).normal((10000,)), 0.5, Generator(1).draw(10000))
    >>> abs(round(float(y.mean()), 1)), round(float(y.std()), 1)
    (0.0, 1.0)
    """
    scale = (1.0 - rate) * ((1.0 - rate) * (1.0 + rate * _SATURATION**2)) ** -0.5
    y, pullback = dropout(x - _SATURATION, rate, draw, noise_shape)
    return (y + _SATURATION) * scale, lambda dy: pullback(dy * scale)


def normal(like: Array, draw: Draw) -> Array:
    """Random numbers of the standard normal distribution, of the shape, dtype and device of `like`.

    By the method of Box and Muller from uniforms on a grid of 2**-24, so none is farther out than 5.8. The uniforms are
    equal on every backend, the normals up to the rounding of log, sqrt, sin and cos.

    >>> import numpy as np
    >>> from nnx.random import Generator
    >>> numbers = normal(np.empty(10000, "float32"), Generator(1).draw(10000))
    >>> numbers.dtype, round(float(numbers.std()), 1)
    (dtype('float32'), 1.0)
    """
    xp = array_namespace(like)
    size = math.prod(like.shape)
    if draw.size != words_for_normals(size):
        raise ValueError(f"normal: {size} numbers need a draw of {words_for_normals(size)} words, got {draw.size}")
    dtype = xp.float32 if xp.finfo(like.dtype).bits == 16 else like.dtype
    pairs = uniform_beside(xp.empty((2, draw.size // 2), dtype=dtype, device=backend_of(like).device_of(like)), draw)
    radius = xp.sqrt(-2.0 * xp.log1p(-pairs[0, ...]))
    angle = (2.0 * math.pi) * pairs[1, ...]
    values = xp.concat([radius * xp.cos(angle), radius * xp.sin(angle)])
    return narrow(xp.reshape(values[:size], like.shape), like)


def words_for_normals(size: int) -> int:
    """Number of words of a random stream that so many normal numbers need: two for each pair of numbers.

    >>> words_for_normals(4), words_for_normals(5)
    (4, 6)
    """
    return size + size % 2
