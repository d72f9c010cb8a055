"""Window functions of signal processing, which fall off to both ends."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.backends import Array, get_backend, is_array, to_numpy
from nnx.ops.operation import operation

__all__ = ["bartlett", "blackman", "hamming", "hanning", "kaiser"]


def _window(values: np.ndarray) -> Array:
    placement = get_backend()
    return placement.asarray(values, placement.dtype)


def _count(name: str, x: Any) -> int:
    count = int(to_numpy(x)) if is_array(x) else x
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise ValueError(f"{name}: x is the number of points, got {x!r}")
    return count


@operation
def bartlett(x: Any) -> Array:
    """Triangular window of x points, 0 at the ends.

    >>> bartlett(5)
    array([0. , 0.5, 1. , 0.5, 0. ], dtype=float32)
    """
    return _window(np.bartlett(_count("bartlett", x)))


@operation
def blackman(x: Any) -> Array:
    """Blackman's window of x points: 0.42 - 0.5 cos(2 pi t) + 0.08 cos(4 pi t).

    >>> blackman(3).round(3).tolist()
    [-0.0, 1.0, -0.0]
    """
    return _window(np.blackman(_count("blackman", x)))


@operation
def hamming(x: Any) -> Array:
    """Hamming's window of x points: 0.54 - 0.46 cos(2 pi t).

    >>> hamming(3)
    array([0.08, 1.  , 0.08], dtype=float32)
    """
    return _window(np.hamming(_count("hamming", x)))


@operation
def hanning(x: Any) -> Array:
    """Hann's window of x points: 0.5 - 0.5 cos(2 pi t).

    >>> hanning(3)
    array([0., 1., 0.], dtype=float32)
    """
    return _window(np.hanning(_count("hanning", x)))


@operation
def kaiser(x: Any, beta: Any) -> Array:
    """Kaiser's window of x points: Bessel functions, the narrower the larger beta is.

    >>> kaiser(3, 14.0).round(3).tolist()
    [0.0, 1.0, 0.0]
    """
    return _window(np.kaiser(_count("kaiser", x), float(beta)))
