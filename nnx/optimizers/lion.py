"""Lion: steps by the sign of a momentum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from nnx.arguments import fraction, non_negative_number
from nnx.backends import Array
from nnx.functional import updates
from nnx.optimizers.arguments import CommonArguments, LearningRate
from nnx.optimizers.optimizer import Optimizer, optimizers


@optimizers.register()
class Lion(Optimizer):
    """Steps of equal size in the direction of a momentum's sign; see `nnx.functional.updates.lion`.

        w <- w - learning_rate * sign(beta_1 * m + (1 - beta_1) * g)
        m <- beta_2 * m + (1 - beta_2) * g

    Chen et al., "Symbolic discovery of optimization algorithms", arXiv:2302.06675.

    beta_1 : the share of the momentum in the direction, from (0, 1].
    beta_2 : the decay of the momentum, from [0, 1].
    Further arguments are those of `Optimizer`.

    >>> import numpy as np
    >>> import nnx
    >>> model = nnx.Sequential([nnx.layers.Dense(1, kernel_initializer="ones", use_bias=False, input_shape=(1,))])
    >>> model.compile(Lion(0.1), "mse")
    >>> loss = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))  # gradient 2
    >>> model.get_weights()[0].round(4)
    array([[0.9]], dtype=float32)
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        **common: Unpack[CommonArguments],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.beta_1 = float(non_negative_number("beta_1", beta_1, zero=False, at_most=1.0))
        self.beta_2 = fraction("beta_2", beta_2, with_one=True)

    def slot_starts(self) -> dict[str, float]:
        return {"momentum": 0.0}

    def _formula(self, w: Array, g: Array, slots: Mapping[str, Array], *factors: Any) -> None:
        (rate,) = factors
        updates.lion(w, g, slots["momentum"], rate, self.beta_1, self.beta_2)
