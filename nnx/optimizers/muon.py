"""Muon: a momentum made almost orthogonal, for matrices."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from nnx.arguments import fraction, non_negative_number
from nnx.backends import Array, array_namespace
from nnx.functional import layerwise_updates, updates
from nnx.optimizers.arguments import LearningRate, epsilon_argument, optional
from nnx.optimizers.layerwise import LayerwiseOptimizer
from nnx.optimizers.optimizer import optimizers
from nnx.parameters import Parameter

_MOST_STEPS = 100  # of Newton and Schulz's iteration, which has converged long before


@optimizers.register()
class Muon(LayerwiseOptimizer):
    """Momentum made almost orthogonal, for matrices, and Adam for everything else.

        m <- momentum * m + g
        w <- w - learning_rate * orthogonalized(m), or of g + momentum * m with nesterov

    Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024.

    See `nnx.functional.layerwise_updates.muon`.
    The kernel of the last layer should be left to Adam: exclude_layers=["its_name"].

    adam_beta_1, adam_beta_2, epsilon : of Adam, as there. adam_weight_decay : of its parameters.
    weight_decay : of the matrices.
    exclude_layers : regular expressions; parameters whose path has one are left to Adam.
    exclude_embeddings : whether parameters with "embedding" in their path are, too.
    muon_a, muon_b, muon_c : the coefficients of Newton and Schulz's iteration. ns_steps : how often it is done.
    adam_lr_ratio : the learning rate of Adam in units of that of Muon.
    momentum : the decay of the momentum. nesterov : whether to look ahead.
    rms_rate : steps are longer by sqrt(the larger side of the matrix) * rms_rate, so that learning rates and weight
        decays for Adam suit (Liu et al., 2025); None for steps as they are.
    Further arguments are those of `Optimizer`.

    >>> import numpy as np
    >>> import nnx
    >>> model = nnx.Sequential([nnx.layers.Dense(1, kernel_initializer="ones", use_bias=False, input_shape=(1,))])
    >>> model.compile(Muon(0.1), "mse")
    >>> loss = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))  # gradient 2
    >>> model.get_weights()[0].round(4)
    array([[0.9857]], dtype=float32)
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004,
        epsilon: float | None = 1e-7,
        weight_decay: float | None = 0.004,
        *,
        exclude_layers: Sequence[str] | None = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.7750,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1.0,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float | None = 0.2,
        **common: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, **common)
        self.adam_beta_1 = fraction("adam_beta_1", adam_beta_1)
        self.adam_beta_2 = fraction("adam_beta_2", adam_beta_2)
        self.adam_weight_decay = optional("adam_weight_decay", adam_weight_decay)
        self.epsilon = epsilon_argument(epsilon)
        self.exclude_layers, self.exclude_embeddings = list(exclude_layers or ()), exclude_embeddings
        self.muon_a, self.muon_b, self.muon_c = float(muon_a), float(muon_b), float(muon_c)
        self.adam_lr_ratio = float(non_negative_number("adam_lr_ratio", adam_lr_ratio))
        self.momentum = fraction("momentum", momentum)
        if not 1 <= ns_steps <= _MOST_STEPS:
            raise ValueError(f"ns_steps must be from 1 to {_MOST_STEPS}, got {ns_steps!r}")
        self.ns_steps = int(ns_steps)
        self.nesterov = nesterov
        self.rms_rate = optional("rms_rate", rms_rate)

    def slot_starts(self) -> dict[str, float]:
        return {"momentum": 0.0, "velocity": 0.0}

    def update_parameter(
        self, parameter: Parameter, w: Array, g: Array, slots: Mapping[str, Array], learning_rate: float
    ) -> None:
        m = slots["momentum"]
        if not self.is_for_muon(parameter):
            beta_1, beta_2, t = self.adam_beta_1, self.adam_beta_2, self._updates + 1
            rate = learning_rate * self.adam_lr_ratio * math.sqrt(1.0 - beta_2**t) / (1.0 - beta_1**t)
            reshape = array_namespace(w).reshape
            w, g, m, v = (reshape(piece, (-1,)) for piece in (w, g, m, slots["velocity"]))
            updates.adam(w, g, m, v, None, rate, beta_1, beta_2, self.epsilon)
            return
        rate = learning_rate if self.rms_rate is None else learning_rate * math.sqrt(max(w.shape)) * self.rms_rate
        coefficients = self.muon_a, self.muon_b, self.muon_c
        layerwise_updates.muon(w, g, m, rate, self.momentum, self.nesterov, self.ns_steps, coefficients)

    def is_for_muon(self, parameter: Parameter) -> bool:
        """Whether a parameter is a matrix that is not left to Adam."""
        path = parameter.path
        excluded = any(re.search(expression, path) for expression in self.exclude_layers)
        return (
            len(parameter.shape) == 2 and not excluded and not (self.exclude_embeddings and "embedding" in path.lower())
        )

    def _decay_weights(self, values: Array, learning_rate: float) -> None:
        flat = self.slots.flat
        for parameter, (start, stop) in zip(flat.parameters, flat.slices, strict=True):  # type: ignore[union-attr]
            decay = self.weight_decay if self.is_for_muon(parameter) else self.adam_weight_decay
            if decay and self._decays(parameter):
                updates.decay_weights(values[start:stop], None, learning_rate * decay)
