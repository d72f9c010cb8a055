"""Adam without a schedule of the learning rate: an average of the parameters takes its place."""

from __future__ import annotations

from typing import Unpack

from nnx.arguments import fraction, non_negative_integer
from nnx.backends import Array
from nnx.functional import updates
from nnx.optimizers.arguments import CommonArguments, LearningRate, epsilon_argument
from nnx.optimizers.optimizer import Optimizer, optimizers
from nnx.optimizers.slots import Starts


@optimizers.register()
class ScheduleFreeAdamW(Optimizer):
    """Adam whose parameters lie between steps z and their average x; see `nnx.functional.updates.schedule_free_adamw`.

        v <- v + (1 - beta_2) * (g**2 - v)
        z <- z - learning_rate * min(t / warmup_steps, 1) * g / (sqrt(v / (1 - beta_2**t)) + epsilon)
        x <- x + (z - x) / t
        w <- (1 - beta_1) * z + beta_1 * x    at step t = 1, 2, ..., with z = x = w at first

    Defazio et al., arXiv:2405.15682. As in Keras, evaluation too is with w.

    beta_1 : how near the parameters are to the average, from (0, 1).
    beta_2 : the decay of the average of squares, from [0, 1).
    epsilon : added to the root.
    warmup_steps : in how many steps the learning rate grows from 0.
    Further arguments are those of `Optimizer`.

    >>> import numpy as np
    >>> import nnx
    >>> model = nnx.Sequential([nnx.layers.Dense(1, kernel_initializer="ones", use_bias=False, input_shape=(1,))])
    >>> model.compile(ScheduleFreeAdamW(0.1), "mse")
    >>> loss = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))  # gradient 2
    >>> model.get_weights()[0].round(4)
    array([[0.9]], dtype=float32)
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.0025,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = 1e-8,
        warmup_steps: int = 0,
        **common: Unpack[CommonArguments],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.beta_1 = fraction("beta_1", beta_1)
        if self.beta_1 == 0.0:
            raise ValueError("beta_1 must be greater than 0 and less than 1, got 0: the average would not be known")
        self.beta_2 = fraction("beta_2", beta_2)
        self.epsilon = epsilon_argument(epsilon)
        self.warmup_steps = non_negative_integer("warmup_steps", warmup_steps)

    def slot_starts(self) -> Starts:
        return {"momentum": None, "velocity": 0.0}

    def update(self, w: Array, g: Array, learning_rate: float) -> None:
        t, slots = self._updates + 1, self.slots
        rate = learning_rate * min(t / self.warmup_steps, 1.0) if self.warmup_steps else learning_rate
        correction = 1.0 / (1.0 - self.beta_2**t)
        numbers = (rate, correction, 1.0 / t, self.beta_1, self.beta_2, self.epsilon)
        updates.schedule_free_adamw(w, g, slots["momentum"], slots["velocity"], *numbers)
