"""RMSprop: gradients divided by the root of their mean square."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from nnx.arguments import fraction
from nnx.backends import Array
from nnx.functional import updates
from nnx.optimizers.arguments import CommonArguments, LearningRate, epsilon_argument
from nnx.optimizers.optimizer import Optimizer, optimizers


@optimizers.register()
class RMSprop(Optimizer):
    """Gradients divided by the root of their mean square; see `nnx.functional.updates.rmsprop`.

        v <- rho * v + (1 - rho) * g**2
        a <- rho * a + (1 - rho) * g                                   if centered, else a = 0
        m <- momentum * m + learning_rate * g / sqrt(v - a**2 + epsilon)
        w <- w - m

    Tieleman and Hinton, "Lecture 6.5: RMSprop", 2012.

    rho : the decay of the mean square, from [0, 1).
    momentum : the share of the last change that is made again, from [0, 1].
    epsilon : added to the mean square, under the root.
    centered : divide by an estimate of the standard deviation instead.
    Further arguments are those of `Optimizer`.

    >>> import numpy as np
    >>> import nnx
    >>> model = nnx.Sequential([nnx.layers.Dense(1, kernel_initializer="ones", use_bias=False, input_shape=(1,))])
    >>> model.compile(RMSprop(0.1), "mse")
    >>> loss = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))  # gradient 2
    >>> model.get_weights()[0].round(4)
    array([[0.6838]], dtype=float32)
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float | None = 1e-7,
        centered: bool = False,
        **common: Unpack[CommonArguments],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.rho = fraction("rho", rho)
        self.momentum = fraction("momentum", momentum, with_one=True)
        self.epsilon = epsilon_argument(epsilon)
        self.centered = centered

    def slot_starts(self) -> dict[str, float]:
        used = {"velocity": True, "average_gradient": self.centered, "momentum": self.momentum > 0.0}
        return {name: 0.0 for name, needed in used.items() if needed}

    def _formula(self, w: Array, g: Array, slots: Mapping[str, Array], *factors: Any) -> None:
        (rate,), v, average, m = factors, slots["velocity"], slots.get("average_gradient"), slots.get("momentum")
        updates.rmsprop(w, g, v, average, m, rate, self.rho, self.momentum, self.epsilon)
