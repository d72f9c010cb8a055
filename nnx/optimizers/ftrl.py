"""FTRL-proximal: follow the regularised leader."""

from __future__ import annotations

from typing import Unpack

from nnx.arguments import non_negative_number
from nnx.backends import Array
from nnx.functional import updates
from nnx.optimizers.arguments import CommonArguments, LearningRate
from nnx.optimizers.optimizer import Optimizer, optimizers


@optimizers.register()
class Ftrl(Optimizer):
    """FTRL-proximal, for sparse linear models; see `nnx.functional.updates.ftrl`. A learning rate of 0 changes nothing.

        z <- z + g + 2 * shrinkage * w - ((n + g**2)**p - n**p) / learning_rate * w,    p = -learning_rate_power
        n <- n + g**2
        w <- (clip(z, -l1, l1) - z) / (n**p / learning_rate + 2 * l2)

    McMahan et al., "Ad click prediction: a view from the trenches", 2013. n starts at initial_accumulator_value.

    learning_rate_power : how the rate falls with the sum of the squared gradients; 0 keeps it.
    initial_accumulator_value : where that sum starts.
    l1_regularization_strength, l2_regularization_strength : penalties that the parameters are the minimum under.
    l2_shrinkage_regularization_strength : an L2 penalty by the gradient.
    beta : of the paper; adds beta / (2 * learning_rate) to the L2 penalty.
    Further arguments are those of `Optimizer`.

    >>> import numpy as np
    >>> import nnx
    >>> model = nnx.Sequential([nnx.layers.Dense(1, kernel_initializer="ones", use_bias=False, input_shape=(1,))])
    >>> model.compile(Ftrl(0.1), "mse")
    >>> loss = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))  # gradient 2
    >>> model.get_weights()[0].round(4)
    array([[0.7451]], dtype=float32)
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        **common: Unpack[CommonArguments],
    ) -> None:
        super().__init__(learning_rate, **common)
        if not learning_rate_power <= 0.0:
            raise ValueError(f"learning_rate_power must not be positive, got {learning_rate_power!r}")
        self.learning_rate_power = float(learning_rate_power)
        self.initial_accumulator_value = float(
            non_negative_number("initial_accumulator_value", initial_accumulator_value)
        )
        self.l1_regularization_strength = float(
            non_negative_number("l1_regularization_strength", l1_regularization_strength)
        )
        self.l2_regularization_strength = float(
            non_negative_number("l2_regularization_strength", l2_regularization_strength)
        )
        self.l2_shrinkage_regularization_strength = float(
            non_negative_number("l2_shrinkage_regularization_strength", l2_shrinkage_regularization_strength)
        )
        self.beta = float(non_negative_number("beta", beta))

    def slot_starts(self) -> dict[str, float]:
        return {"accumulator": self.initial_accumulator_value, "linear": 0.0}

    def update(self, w: Array, g: Array, learning_rate: float) -> None:
        if learning_rate == 0.0:
            return
        l2 = self.l2_regularization_strength + self.beta / (2.0 * learning_rate)
        penalties = self.l1_regularization_strength, l2, self.l2_shrinkage_regularization_strength
        n, z = self.slots["accumulator"], self.slots["linear"]
        updates.ftrl(w, g, n, z, learning_rate, self.learning_rate_power, *penalties)
