"""Gradient descent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from nnx.arguments import fraction
from nnx.backends import Array
from nnx.functional import updates
from nnx.optimizers.arguments import CommonArguments, LearningRate
from nnx.optimizers.optimizer import Optimizer, optimizers


@optimizers.register()
class SGD(Optimizer):
    """Gradient descent, with momentum if it is greater than 0; see `nnx.functional.updates`.

        m <- momentum * m - learning_rate * g
        w <- w + m
        w <- w + momentum * m - learning_rate * g    with nesterov

    Polyak, "Some methods of speeding up the convergence of iteration methods", 1964; Nesterov's form as in Sutskever et
    al., "On the importance of initialization and momentum in deep learning", 2013.

    momentum : the share of the last change that is made again, from [0, 1].
    nesterov : whether the momentum looks ahead.
    Further arguments are those of `Optimizer`.

    >>> import numpy as np
    >>> import nnx
    >>> model = nnx.Sequential([nnx.layers.Dense(1, kernel_initializer="ones", use_bias=False, input_shape=(1,))])
    >>> model.compile(SGD(0.1), "mse")
    >>> loss = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))  # gradient 2
    >>> model.get_weights()[0].round(4)
    array([[0.8]], dtype=float32)
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **common: Unpack[CommonArguments],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.momentum = fraction("momentum", momentum, with_one=True)
        self.nesterov = nesterov

    def slot_starts(self) -> dict[str, float]:
        return {"momentum": 0.0} if self.momentum else {}

    def _formula(self, w: Array, g: Array, slots: Mapping[str, Array], *factors: Any) -> None:
        (rate,) = factors
        if self.momentum:
            updates.momentum(w, g, slots["momentum"], rate, self.momentum, self.nesterov)
        else:
            updates.sgd(w, g, rate)
