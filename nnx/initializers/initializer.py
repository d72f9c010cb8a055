"""Initializer, the base of all initializers, and the registry of their names."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from nnx.backends import to_numpy
from nnx.members import Advising
from nnx.random import Generator, default
from nnx.registry import Configurable, Registry

registry: Registry[Any] = Registry("initializer")


class Initializer(Configurable, Advising):
    """Makes the first values of a parameter. A subclass defines `draw`, or `__call__(shape, dtype)`.

    >>> class Halves(Initializer):
    ...     def draw(self, shape, generator):
    ...         return np.full(shape, 0.5)
    >>> Halves()((2,))
    array([0.5, 0.5], dtype=float32)
    """

    seed: int | None = None

    def __call__(self, shape: Sequence[int], dtype: str = "float32", generator: Generator | None = None) -> np.ndarray:
        """A host array of that shape and dtype. `generator` counts only without a seed."""
        if self.seed is not None:
            generator = Generator(self.seed)
        return np.asarray(self.draw(tuple(shape), generator or default()), dtype=dtype)

    def clone(self) -> Self:
        """Another one like it."""
        return type(self).from_config(self.get_config())

    def draw(self, shape: tuple[int, ...], generator: Generator) -> np.ndarray:
        """A float64 array of that shape."""
        raise TypeError(f"{type(self).__name__} does not define draw(self, shape, generator) -> NumPy array")


def checked(function: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """A user's function as an initializer: takes `generator` whether or not the function does."""
    name = getattr(function, "__name__", type(function).__name__)
    takes_generator = "generator" in inspect.signature(function).parameters

    @functools.wraps(function)
    def initializer(shape: Sequence[int], dtype: str = "float32", generator: Generator | None = None) -> np.ndarray:
        options = {"generator": generator} if takes_generator else {}
        values = to_numpy(function(tuple(shape), dtype, **options))
        if values.shape != tuple(shape):
            raise ValueError(f"initializer {name}: expected an array of shape {tuple(shape)}, got {values.shape}")
        return np.asarray(values, dtype=dtype)

    initializer.__name__ = name
    initializer.is_checked = True  # type: ignore[attr-defined]
    return initializer
