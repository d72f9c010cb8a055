"""Adagrad and Adadelta: learning rates from the history of the gradients."""

from __future__ import annotations

from typing import Unpack

from nnx.arguments import fraction, non_negative_number
from nnx.backends import Array
from nnx.functional import updates
from nnx.optimizers.arguments import CommonArguments, LearningRate, epsilon_argument
from nnx.optimizers.optimizer import Optimizer, optimizers


@optimizers.register()
class Adagrad(Optimizer):
    """Gradients divided by the root of the sum of their squares; see `nnx.functional.updates.adagrad`.

    initial_accumulator_value : where the sum starts.
    epsilon : added to the sum, under the root.
    Further arguments are those of `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float | None = 1e-7,
        **common: Unpack[CommonArguments],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.initial_accumulator_value = float(
            non_negative_number("initial_accumulator_value", initial_accumulator_value)
        )
        self.epsilon = epsilon_argument(epsilon)

    def slot_starts(self) -> dict[str, float]:
        return {"accumulator": self.initial_accumulator_value}

    def update(self, w: Array, g: Array, learning_rate: float) -> None:
        updates.adagrad(w, g, self.slots["accumulator"], learning_rate, self.epsilon)


@optimizers.register()
class Adadelta(Optimizer):
    """Gradients in units of the recent changes; see `nnx.functional.updates.adadelta`.

    rho : the decay of both mean squares, from [0, 1).
    epsilon : added to the mean squares, under the roots.
    Further arguments are those of `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: float = 0.95,
        epsilon: float | None = 1e-7,
        **common: Unpack[CommonArguments],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.rho = fraction("rho", rho)
        self.epsilon = epsilon_argument(epsilon)

    def slot_starts(self) -> dict[str, float]:
        return {"accumulated_grad": 0.0, "accumulated_delta_var": 0.0}

    def update(self, w: Array, g: Array, learning_rate: float) -> None:
        slots = self.slots
        updates.adadelta(
            w, g, slots["accumulated_grad"], slots["accumulated_delta_var"], learning_rate, self.rho, self.epsilon
        )
