"""Adagrad and Adadelta: learning rates from the history of the gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from nnx.arguments import fraction, non_negative_number
from nnx.backends import Array
from nnx.functional import updates
from nnx.optimizers.arguments import CommonArguments, LearningRate, epsilon_argument
from nnx.optimizers.optimizer import Optimizer, optimizers


@optimizers.register()
class Adagrad(Optimizer):
    """Gradients divided by the root of the sum of their squares; see `nnx.functional.updates.adagrad`.

        v <- v + g**2
        w <- w - learning_rate * g / sqrt(v + epsilon)

    Duchi et al., "Adaptive subgradient methods for online learning and stochastic optimization", 2011.

    initial_accumulator_value : where the sum starts.
    epsilon : added to the sum, under the root.
    Further arguments are those of `Optimizer`.

    >>> import numpy as np
    >>> import nnx
    >>> model = nnx.Sequential([nnx.layers.Dense(1, kernel_initializer="ones", use_bias=False, input_shape=(1,))])
    >>> model.compile(Adagrad(0.1), "mse")
    >>> loss = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))  # gradient 2
    >>> model.get_weights()[0].round(4)
    array([[0.9012]], dtype=float32)
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

    def _formula(self, w: Array, g: Array, slots: Mapping[str, Array], *factors: Any) -> None:
        (rate,) = factors
        updates.adagrad(w, g, slots["accumulator"], rate, self.epsilon)


@optimizers.register()
class Adadelta(Optimizer):
    """Gradients in units of the recent changes; see `nnx.functional.updates.adadelta`.

        v <- rho * v + (1 - rho) * g**2
        d = sqrt(u + epsilon) / sqrt(v + epsilon) * g
        u <- rho * u + (1 - rho) * d**2
        w <- w - learning_rate * d

    Zeiler, "ADADELTA: an adaptive learning rate method", arXiv:1212.5701. The paper's learning rate is 1.

    rho : the decay of both mean squares, from [0, 1).
    epsilon : added to the mean squares, under the roots.
    Further arguments are those of `Optimizer`.

    >>> import numpy as np
    >>> import nnx
    >>> model = nnx.Sequential([nnx.layers.Dense(1, kernel_initializer="ones", use_bias=False, input_shape=(1,))])
    >>> model.compile(Adadelta(1.0), "mse")
    >>> loss = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))  # gradient 2
    >>> model.get_weights()[0].round(4)
    array([[0.9986]], dtype=float32)
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

    def _formula(self, w: Array, g: Array, slots: Mapping[str, Array], *factors: Any) -> None:
        (rate,), v, u = factors, slots["accumulated_grad"], slots["accumulated_delta_var"]
        updates.adadelta(w, g, v, u, rate, self.rho, self.epsilon)
