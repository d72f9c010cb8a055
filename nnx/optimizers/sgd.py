"""Gradient descent."""

from __future__ import annotations

from typing import Unpack

from nnx.arguments import fraction
from nnx.backends import Array
from nnx.functional import updates
from nnx.optimizers.arguments import CommonArguments, LearningRate
from nnx.optimizers.optimizer import Optimizer, optimizers


@optimizers.register()
class SGD(Optimizer):
    """Gradient descent, with momentum if it is greater than 0; see `nnx.functional.updates`.

    momentum : the share of the last change that is made again, from [0, 1].
    nesterov : whether the momentum looks ahead.
    Further arguments are those of `Optimizer`.
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

    def update(self, w: Array, g: Array, learning_rate: float) -> None:
        if self.momentum:
            updates.momentum(w, g, self.slots["momentum"], learning_rate, self.momentum, self.nesterov)
        else:
            updates.sgd(w, g, learning_rate)
