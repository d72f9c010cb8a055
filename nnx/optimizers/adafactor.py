"""Adafactor: mean squares put together from those of rows and columns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Unpack

from nnx.arguments import non_negative_number
from nnx.backends import Array
from nnx.functional.layerwise_updates import adafactor
from nnx.optimizers.arguments import CommonArguments, LearningRate
from nnx.optimizers.layerwise import LayerwiseOptimizer
from nnx.optimizers.optimizer import optimizers
from nnx.parameters import Parameter


@optimizers.register()
class Adafactor(LayerwiseOptimizer):
    """Gradients over roots of mean squares that are put together from those of rows and columns.

        v = rows / mean(rows) * columns, of means of g**2 + epsilon_1 over rows and columns
        d = g / sqrt(v)
        w <- w - learning_rate * max(epsilon_2, rms(w)) * d / max(1, rms(d) / clip_threshold)

    Shazeer and Stern, "Adafactor: adaptive learning rates with sublinear memory cost", arXiv:1804.04235.

    See `nnx.functional.layerwise_updates.adafactor`. The learning rate is at most 1 / sqrt(step), and in units of the
    parameter's root mean square. The mean squares are kept at full size: unlike the paper's, this form saves no memory.

    beta_2_decay : at step t the mean squares decay by 1 - t**beta_2_decay.
    epsilon_1 : added to the squares of the gradient.
    epsilon_2 : the least root mean square that a parameter counts with.
    clip_threshold : the largest root mean square of a step, before the learning rate.
    relative_step : accepted as in Keras, where the learning rate has the same bound without it.
    Further arguments are those of `Optimizer`.

    >>> import numpy as np
    >>> import nnx
    >>> model = nnx.Sequential([nnx.layers.Dense(1, kernel_initializer="ones", use_bias=False, input_shape=(1,))])
    >>> model.compile(Adafactor(0.1), "mse")
    >>> loss = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))  # gradient 2
    >>> model.get_weights()[0].round(4)
    array([[0.9]], dtype=float32)
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
        **common: Unpack[CommonArguments],
    ) -> None:
        super().__init__(learning_rate, **common)
        if not beta_2_decay < 0.0:
            raise ValueError(f"beta_2_decay must be negative, got {beta_2_decay!r}")
        self.beta_2_decay = float(beta_2_decay)
        self.epsilon_1 = float(non_negative_number("epsilon_1", epsilon_1, zero=False))
        self.epsilon_2 = float(non_negative_number("epsilon_2", epsilon_2))
        self.clip_threshold = float(non_negative_number("clip_threshold", clip_threshold, zero=False))
        self.relative_step = relative_step

    def slot_starts(self) -> dict[str, float]:
        return {"rows": 0.0, "columns": 0.0}

    def update_parameter(
        self, parameter: Parameter, w: Array, g: Array, slots: Mapping[str, Array], learning_rate: float
    ) -> None:
        t = self._updates + 1
        rate, decay = min(learning_rate, 1.0 / math.sqrt(t)), 1.0 - t**self.beta_2_decay
        epsilons = self.epsilon_1, self.epsilon_2
        adafactor(w, g, slots["rows"], slots["columns"], rate, decay, *epsilons, self.clip_threshold)
