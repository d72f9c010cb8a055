"""LAMB: steps of Adam in proportion to each parameter, for large batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Unpack

from nnx.arguments import fraction
from nnx.backends import Array
from nnx.functional.layerwise_updates import lamb
from nnx.optimizers.arguments import CommonArguments, LearningRate, epsilon_argument
from nnx.optimizers.layerwise import LayerwiseOptimizer
from nnx.optimizers.optimizer import optimizers
from nnx.parameters import Parameter


@optimizers.register()
class Lamb(LayerwiseOptimizer):
    """Steps of Adam as long as each parameter, for large batches; see `nnx.functional.layerwise_updates.lamb`.

        m <- m + (1 - beta_1) * (g - m)
        v <- v + (1 - beta_2) * (g**2 - v)
        d = m / (1 - beta_1**t) / (sqrt(v / (1 - beta_2**t)) + epsilon)    at step t = 1, 2, ...
        w <- w - learning_rate * |w| / |d| * d    for each parameter; the ratio is 1 if a norm is 0

    You et al., "Large batch optimization for deep learning", arXiv:1904.00962.

    beta_1, beta_2 : the decay of the averages of the gradient and of its square, from [0, 1).
    epsilon : added to the root.
    Further arguments are those of `Optimizer`.

    >>> import numpy as np
    >>> import nnx
    >>> model = nnx.Sequential([nnx.layers.Dense(1, kernel_initializer="ones", use_bias=False, input_shape=(1,))])
    >>> model.compile(Lamb(0.1), "mse")
    >>> loss = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))  # gradient 2
    >>> model.get_weights()[0].round(4)
    array([[0.9]], dtype=float32)
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = 1e-7,
        **common: Unpack[CommonArguments],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.beta_1 = fraction("beta_1", beta_1)
        self.beta_2 = fraction("beta_2", beta_2)
        self.epsilon = epsilon_argument(epsilon)

    def slot_starts(self) -> dict[str, float]:
        return {"momentum": 0.0, "velocity": 0.0}

    def update_parameter(
        self, parameter: Parameter, w: Array, g: Array, slots: Mapping[str, Array], learning_rate: float
    ) -> None:
        beta_1, beta_2, t = self.beta_1, self.beta_2, self._updates + 1
        corrections = 1.0 / (1.0 - beta_1**t), 1.0 / (1.0 - beta_2**t)
        m, v = slots["momentum"], slots["velocity"]
        lamb(w, g, m, v, learning_rate, beta_1, beta_2, *corrections, self.epsilon)
