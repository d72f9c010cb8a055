"""Initializers that draw no random numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.backends import is_array, to_numpy
from nnx.initializers.initializer import Initializer, registry
from nnx.random import Generator


@registry.register("zero")
class Zeros(Initializer):
    """Zeros.

    >>> Zeros()((2,))
    array([0., 0.], dtype=float32)
    """

    def draw(self, shape: tuple[int, ...], generator: Generator) -> np.ndarray:
        return np.zeros(shape)


@registry.register("one")
class Ones(Initializer):
    """Ones.

    >>> Ones()((2,), "float64")
    array([1., 1.])
    """

    def draw(self, shape: tuple[int, ...], generator: Generator) -> np.ndarray:
        return np.ones(shape)


@registry.register()
class Constant(Initializer):
    """One value, or an array that broadcasts to the shape.

    >>> Constant(3.0)((2,))
    array([3., 3.], dtype=float32)
    """

    def __init__(self, value: Any = 0.0) -> None:
        self.value = to_numpy(value) if is_array(value) else value  # on the host, where it can be saved

    def draw(self, shape: tuple[int, ...], generator: Generator) -> np.ndarray:
        value = to_numpy(self.value)
        try:
            return np.broadcast_to(value, shape).copy()
        except ValueError:
            raise ValueError(f"Constant: a value of shape {value.shape} does not fit a parameter {shape}") from None


@registry.register("IdentityInitializer")
class Identity(Initializer):
    """`gain` on the diagonal of a matrix, zeros elsewhere.

    >>> Identity(2.0)((2, 3))
    array([[2., 0., 0.],
           [0., 2., 0.]], dtype=float32)

    ValueError for a shape that is not that of a matrix.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def draw(self, shape: tuple[int, ...], generator: Generator) -> np.ndarray:
        if len(shape) != 2:
            raise ValueError(f"Identity makes matrices, with a shape of two sizes; got {shape}")
        return self.gain * np.eye(*shape)
