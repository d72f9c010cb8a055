"""The numbers of an optimiser as Keras' scripts use them: they read as numbers, and have methods of variables."""

from __future__ import annotations

from typing import Any, Self

import numpy as np


class Rate(float):
    """Learning rate of an optimiser: a number, which `assign` replaces in the optimiser.

    >>> import nnx
    >>> optimizer = nnx.optimizers.SGD(0.1)
    >>> optimizer.learning_rate.assign(0.05)
    >>> optimizer.learning_rate, float(optimizer.learning_rate.numpy())
    (0.05, 0.05)
    """

    name = "learning_rate"
    shape = ()

    def of(self, optimizer: Any) -> Self:
        """Itself, as the learning rate of that optimiser."""
        self._optimizer = optimizer
        return self

    @property
    def value(self) -> float:
        """The number, as Python has it."""
        return float(self)

    def assign(self, value: Any) -> None:
        """Give the optimiser another learning rate. TypeError where it follows a schedule."""
        self._optimizer.learning_rate = float(value)

    def numpy(self) -> np.ndarray:
        """The number, as NumPy has it."""
        return np.asarray(float(self))


class Iterations(int):
    """The number of updates that an optimiser has done, which `assign` replaces in the optimiser.

    >>> import nnx
    >>> optimizer = nnx.optimizers.SGD(0.1)
    >>> optimizer.iterations.assign(100)
    >>> optimizer.iterations, int(optimizer.iterations.numpy())
    (100, 100)
    """

    name = "iterations"
    shape = ()

    def of(self, optimizer: Any) -> Self:
        """Itself, as the number of updates of that optimiser."""
        self._optimizer = optimizer
        return self

    @property
    def value(self) -> int:
        """The number, as Python has it."""
        return int(self)

    def assign(self, value: Any) -> None:
        """Give the optimiser another number of updates, so that a schedule goes on from there."""
        self._optimizer.iterations = int(value)

    def assign_add(self, value: Any) -> None:
        """Let the optimiser have done so many updates more."""
        self.assign(self._optimizer.iterations + int(value))

    def numpy(self) -> np.ndarray:
        """The number, as NumPy has it."""
        return np.asarray(int(self))
