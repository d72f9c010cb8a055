"""Adam and its family: averages of the gradient and of its size, corrected for their start at zero."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any, Unpack

from nnx.arguments import fraction
from nnx.backends import Array
from nnx.functional import updates
from nnx.optimizers.arguments import CommonArguments, LearningRate, epsilon_argument
from nnx.optimizers.optimizer import Optimizer, optimizers


class _Adaptive(Optimizer):
    """The arguments that the whole family takes."""

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


@optimizers.register()
class Adam(_Adaptive):
    """Averages of the gradient over the root of averages of its square; see `nnx.functional.updates.adam`.

        m <- m + (1 - beta_1) * (g - m)
        v <- v + (1 - beta_2) * (g**2 - v)
        w <- w - learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (sqrt(v) + epsilon)

    Kingma and Ba, arXiv:1412.6980; amsgrad, with the largest v so far, is of Reddi et al., arXiv:1904.09237.

    beta_1, beta_2 : the decay of the two averages, from [0, 1).
    epsilon : added to the root; the "epsilon hat" before section 2.1 of the paper.
    amsgrad : divide by the largest average so far.
    Further arguments are those of `Optimizer`.

    >>> import numpy as np
    >>> import nnx
    >>> model = nnx.Sequential([nnx.layers.Dense(1, kernel_initializer="ones", use_bias=False, input_shape=(1,))])
    >>> model.compile(Adam(0.1), "mse")
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
        amsgrad: bool = False,
        **common: Unpack[CommonArguments],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **common)
        self.amsgrad = amsgrad

    def slot_starts(self) -> dict[str, float]:
        return {**super().slot_starts(), **({"velocity_hat": 0.0} if self.amsgrad else {})}

    def _factors(self, learning_rate: float) -> tuple[float, ...]:
        beta_1, beta_2, t = self.beta_1, self.beta_2, self._updates + 1
        return (learning_rate * math.sqrt(1.0 - beta_2**t) / (1.0 - beta_1**t),)

    def _formula(self, w: Array, g: Array, slots: Mapping[str, Array], *factors: Any) -> None:
        (rate,), m, v = factors, slots["momentum"], slots["velocity"]
        largest = slots["velocity_hat"] if self.amsgrad else None
        updates.adam(w, g, m, v, largest, rate, self.beta_1, self.beta_2, self.epsilon)


@optimizers.register()
class AdamW(Adam):
    """Adam with weight decay (Loshchilov and Hutter, 2017).

        w <- w - learning_rate * weight_decay * w, then as Adam

    arXiv:1711.05101. `exclude_from_weight_decay` spares parameters.

    weight_decay : a number; 0.004 by default. Further arguments are those of `Adam`.

    >>> import numpy as np
    >>> import nnx
    >>> model = nnx.Sequential([nnx.layers.Dense(1, kernel_initializer="ones", use_bias=False, input_shape=(1,))])
    >>> model.compile(AdamW(0.1, weight_decay=0.5), "mse")
    >>> loss = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))  # gradient 2
    >>> model.get_weights()[0].round(4)
    array([[0.85]], dtype=float32)
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = 1e-7,
        amsgrad: bool = False,
        **common: Any,
    ) -> None:
        if weight_decay is None:
            raise TypeError("weight_decay of AdamW must be a number, got None; use Adam to train without it")
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **common)


@optimizers.register()
class Adamax(_Adaptive):
    """Adam with the maximum norm; see `nnx.functional.updates.adamax`. Arguments are those of `Adam`, but amsgrad.

        m <- m + (1 - beta_1) * (g - m)
        u <- max(beta_2 * u, |g|)
        w <- w - learning_rate / (1 - beta_1**t) * m / (u + epsilon)    at step t = 1, 2, ...

    Kingma and Ba, arXiv:1412.6980, section 7.1.

    >>> import numpy as np
    >>> import nnx
    >>> model = nnx.Sequential([nnx.layers.Dense(1, kernel_initializer="ones", use_bias=False, input_shape=(1,))])
    >>> model.compile(Adamax(0.1), "mse")
    >>> loss = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))  # gradient 2
    >>> model.get_weights()[0].round(4)
    array([[0.9]], dtype=float32)
    """

    def slot_starts(self) -> dict[str, float]:
        return {"momentum": 0.0, "norm": 0.0}

    def _factors(self, learning_rate: float) -> tuple[float, ...]:
        return (learning_rate / (1.0 - self.beta_1 ** (self._updates + 1)),)

    def _formula(self, w: Array, g: Array, slots: Mapping[str, Array], *factors: Any) -> None:
        (rate,), m, u = factors, slots["momentum"], slots["norm"]
        updates.adamax(w, g, m, u, rate, self.beta_1, self.beta_2, self.epsilon)


@optimizers.register()
class Nadam(_Adaptive):
    """Adam with Nesterov's look-ahead; see `nnx.functional.updates.nadam`. Arguments are those of `Adam`, but amsgrad.

        m <- m + (1 - beta_1) * (g - m)
        v <- v + (1 - beta_2) * (g**2 - v)
        w <- w - learning_rate * (a * m + b * g) / (sqrt(v / (1 - beta_2**t)) + epsilon)    at step t = 1, 2, ...

    Dozat, "Incorporating Nesterov momentum into Adam", 2016.

    With u(t) = beta_1 * (1 - 0.96**t / 2) and U(t) = u(1) * ... * u(t), the average of the gradient weighs
    u(t + 1) / (1 - U(t + 1)) at step t, and the gradient itself (1 - u(t)) / (1 - U(t)).

    >>> import numpy as np
    >>> import nnx
    >>> model = nnx.Sequential([nnx.layers.Dense(1, kernel_initializer="ones", use_bias=False, input_shape=(1,))])
    >>> model.compile(Nadam(0.1), "mse")
    >>> loss = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))  # gradient 2
    >>> model.get_weights()[0].round(4)
    array([[0.8937]], dtype=float32)
    """

    def _factors(self, learning_rate: float) -> tuple[float, ...]:
        t = self._updates + 1
        now, following = self._decay_at(t), self._decay_at(t + 1)
        product = self.product_until(t)
        rate_m = learning_rate * following / (1.0 - product * following)
        rate_g = learning_rate * (1.0 - now) / (1.0 - product)
        return rate_m, rate_g, 1.0 / (1.0 - self.beta_2**t)

    def _formula(self, w: Array, g: Array, slots: Mapping[str, Array], *factors: Any) -> None:
        (rate_m, rate_g, correction), m, v = factors, slots["momentum"], slots["velocity"]
        updates.nadam(w, g, m, v, rate_m, rate_g, correction, self.beta_1, self.beta_2, self.epsilon)

    def _decay_at(self, t: int) -> float:
        return self.beta_1 * (1.0 - 0.5 * 0.96**t)

    def product_until(self, t: int) -> float:
        """U(t), the product of the decays of the first t steps."""
        return self.beta_1**t * _waning_product(min(t, _WANING_STEPS))


_WANING_STEPS = 900
"""From here on 1 - 0.96**t / 2 is 1 to the last digit, and so the product of these no longer changes."""


@functools.cache
def _waning_product(t: int) -> float:
    """The product of 1 - 0.96**i / 2 for i = 1, ..., t."""
    return math.prod(1.0 - 0.5 * 0.96**i for i in range(1, t + 1))
