"""Examples of arguments for kernels, as a row of the table of kernels describes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from nnx.backends import Array
from nnx.backends.base import Backend

LAYOUTS = ("contiguous", "transposed", "strided")


class Values:
    """Arguments for one call: arrays of a backend, of a dtype, in a layout, with `n` of whatever may vary.

    poisoned : which of the arrays begins with NaN and infinities.
    as_half : whether all numbers are such as float16 has, also in other dtypes.
    device : one of the backend's devices, None for the default one.
    """

    def __init__(
        self,
        backend: Backend,
        dtype: str,
        layout: str,
        n: int,
        poisoned: int | None = None,
        as_half: bool = False,
        device: str | None = None,
    ) -> None:
        self.backend, self.dtype, self.layout, self.n, self.poisoned = backend, dtype, layout, n, poisoned
        self.as_half, self.device = as_half, device
        self.arrays: list[Array] = []  # the floating ones, in the order in which they were made
        self._random = np.random.default_rng(n)

    def normal(self, *shape: int, scale: float = 1.0) -> Array:
        """Normal numbers, which have a cotangent."""
        return self._floating(self._random.normal(scale=scale, size=shape))

    def positive(self, *shape: int) -> Array:
        """Numbers from 0.1 to 1, which have a cotangent."""
        return self._floating(self._random.uniform(0.1, 1.0, size=shape))

    def one_hot(self, rows: int, classes: int) -> Array:
        """One-hot rows (rows, classes), floating."""
        return self._floating(np.eye(classes)[self._random.integers(classes, size=rows)])

    def constant(self, *shape: int) -> Array:
        """Positive numbers for an argument that no cotangent is asked for."""
        return self.lay_out(self.rounded(self._random.uniform(0.1, 1.0, size=shape)))

    def mask(self, *shape: int) -> Array:
        """Booleans, each as likely as the other."""
        return self.lay_out(self._random.integers(2, size=shape).astype(bool))

    def binary(self, *shape: int) -> Array:
        """Floating numbers that are 0 or 1."""
        return self._floating(self._random.integers(2, size=shape))

    def distribution(self, *shape: int) -> Array:
        """Positive numbers whose sum over the last axis is 1."""
        values = self._random.uniform(0.1, 1.0, size=shape)
        return self._floating(values / np.sum(values, axis=-1, keepdims=True))

    def labels(self, *shape: int, classes: int, dtype: str = "int64") -> Array:
        """Integers from 0 to classes - 1."""
        return self.lay_out(self._random.integers(classes, size=shape).astype(dtype))

    def _floating(self, values: np.ndarray) -> Array:
        values = self.rounded(values)
        if self.poisoned == len(self.arrays):
            values.reshape(-1)[:3] = [np.nan, np.inf, -np.inf][: values.size]
        array = self.lay_out(values)
        self.arrays.append(array)
        return array

    def rounded(self, values: np.ndarray) -> np.ndarray:
        """The numbers in the dtype of these values, rounded to what float16 has if that is asked for."""
        return values.astype("float16" if self.as_half else self.dtype).astype(self.dtype)

    def lay_out(self, values: np.ndarray) -> Array:
        """The same values, otherwise arranged in memory."""
        if self.layout == "transposed":
            axes = tuple(reversed(range(values.ndim)))
            return self.backend.xp.permute_dims(self._put(np.array(values.transpose(), order="C")), axes)
        if self.layout == "strided" and values.ndim:
            return self._put(np.repeat(values, 2, axis=-1))[..., ::2]
        return self._put(np.array(values))

    def _put(self, values: np.ndarray) -> Array:
        return self.backend.from_host(values, device=self.device)


@dataclasses.dataclass(frozen=True)
class Example:
    """Arguments for a kernel, and what the comparison has to know of them.

    make : from `Values` to the positional arguments; `options` are given by name.

    sizes : the numbers of rows, or of parameters, to try.
    length : how many terms the longest sum has, for the tolerance.
    without_cotangent : how many arguments come first whose cotangent is None, as that of indices.
    several : whether the pullback takes a cotangent for each of several values, not only for the first.
    number : whether the pullback also takes a Python number, the same cotangent for every element.
    consumed : how many arguments come first that the kernel may overwrite.
    only : the name of the backend whose kernel takes this; others leave it to the generic form, but for compiled
        kernels, which take what they accept. None for all.
    """

    make: Callable[[Values], tuple[Any, ...]]
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    sizes: tuple[int, ...] = (0, 1, 6)
    length: int = 1
    number: bool = False
    without_cotangent: int = 0
    several: bool = False
    consumed: int = 0
    only: str | None = None
