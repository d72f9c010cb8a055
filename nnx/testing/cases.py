"""Examples of everything public that computes: one table for the tests and for `python -m nnx selftest`.

A layer, loss, activation, optimiser or initialiser without a row fails the suite.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from nnx import layers, losses, optimizers
from nnx.layers import Layer
from nnx.layers.operation import ActivationWithOptions
from nnx.random import Generator


@dataclasses.dataclass(frozen=True)
class LayerCase:
    """A layer in one configuration, and the shape of an input for it."""

    name: str
    make: Callable[[], Layer]
    input_shape: tuple[int, ...]

    def __str__(self) -> str:
        return self.name

    def input(self, seed: int = 0) -> np.ndarray:
        """Normal float64 numbers of the input's shape."""
        return Generator(seed).normal(self.input_shape)


def scale_by_three(x: Any) -> Any:
    """A function for `Lambda`: x * 3, and its pullback."""
    return x * 3.0, lambda dy: dy * 3.0


LAYERS: dict[str, list[LayerCase]] = {}


def _layer(name: str, make: Callable[[], Layer], *input_shape: int) -> None:
    LAYERS.setdefault(name.partition(" ")[0], []).append(LayerCase(name, make, input_shape))


_layer("Dense", lambda: layers.Dense(3), 4, 5)
_layer("Dense relu", lambda: layers.Dense(3, activation="relu"), 4, 5)
_layer("Dense softmax", lambda: layers.Dense(3, activation="softmax"), 4, 5)
_layer("Dense without bias", lambda: layers.Dense(3, "tanh", use_bias=False), 4, 5)
_layer("Dense of sequences", lambda: layers.Dense(3, "sigmoid"), 2, 4, 5)
_layer("Dense of one sample", lambda: layers.Dense(1), 1, 1)
_layer(
    "Dense regularised",
    lambda: layers.Dense(3, kernel_regularizer="l2", bias_regularizer="l1", activity_regularizer="l2"),
    4,
    5,
)
_layer("Dense constrained", lambda: layers.Dense(3, kernel_constraint="max_norm", bias_constraint="non_neg"), 4, 5)
_layer("Activation", lambda: layers.Activation("gelu"), 4, 5)
_layer("ActivationWithOptions", lambda: ActivationWithOptions("leaky_relu", {"negative_slope": 0.1}), 4, 5)
_layer("Activation linear", lambda: layers.Activation(None), 4, 5)
_layer("ReLU", lambda: layers.ReLU(), 4, 5)
_layer("ReLU bounded", lambda: layers.ReLU(max_value=1.0, negative_slope=0.1, threshold=0.2), 4, 5)
_layer("LeakyReLU", lambda: layers.LeakyReLU(), 4, 5)
_layer("ELU", lambda: layers.ELU(0.7), 4, 5)
_layer("PReLU", lambda: layers.PReLU("glorot_uniform"), 4, 5)
_layer("PReLU shared", lambda: layers.PReLU("ones", shared_axes=[1]), 2, 4, 5)
_layer("Softmax", lambda: layers.Softmax(), 4, 5)
_layer("Softmax of another axis", lambda: layers.Softmax(axis=1), 2, 4, 5)
_layer("Dropout", lambda: layers.Dropout(0.4, seed=3), 4, 5)
_layer("Dropout of features", lambda: layers.Dropout(0.4, noise_shape=(None, 1, None), seed=3), 2, 4, 5)
_layer("Dropout of nothing", lambda: layers.Dropout(0.0), 4, 5)
_layer("Identity", lambda: layers.Identity(), 4, 5)
_layer("Flatten", lambda: layers.Flatten(), 2, 4, 5)
_layer("Flatten vectors", lambda: layers.Flatten(), 2, 4)
_layer("Reshape", lambda: layers.Reshape((5, -1)), 2, 4, 5)
_layer("Lambda", lambda: layers.Lambda(scale_by_three), 4, 5)
_layer("InputLayer", lambda: layers.InputLayer(shape=(5,)), 4, 5)


def _targets(kind: str, rows: int = 6, columns: int = 4, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """float64 targets and outputs that a loss of that kind is meant for."""
    generator = Generator(seed)
    normal = generator.normal((rows, columns))
    shares = np.exp(normal) / np.exp(normal).sum(axis=-1, keepdims=True)
    labels = generator.integers(rows).astype(np.int64) % columns
    one_hot = np.eye(columns)[labels]
    coins = (generator.uniform((rows, columns)) < 0.5).astype(np.float64)
    return {
        "numbers": (generator.normal((rows, columns)), normal),
        "positive": (generator.uniform((rows, columns), 0.5, 2.0), np.exp(normal)),
        "signs": (2.0 * coins - 1.0, normal),
        "coins": (coins, 1.0 / (1.0 + np.exp(-normal))),
        "shares": (one_hot, shares),
        "labels": (labels, shares),
    }[kind]


LOSSES: dict[str, str] = {
    "BinaryCrossentropy": "coins",
    "BinaryFocalCrossentropy": "coins",
    "CategoricalCrossentropy": "shares",
    "CategoricalFocalCrossentropy": "shares",
    "CategoricalHinge": "shares",
    "CosineSimilarity": "numbers",
    "Dice": "coins",
    "Hinge": "signs",
    "Huber": "numbers",
    "KLDivergence": "shares",
    "LogCosh": "numbers",
    "MeanAbsoluteError": "numbers",
    "MeanAbsolutePercentageError": "positive",
    "MeanSquaredError": "numbers",
    "MeanSquaredLogarithmicError": "positive",
    "Poisson": "positive",
    "SparseCategoricalCrossentropy": "labels",
    "SquaredHinge": "signs",
    "Tversky": "coins",
}
"""For each loss, which of the example targets it is meant for."""


def loss_case(name: str) -> tuple[losses.Loss, np.ndarray, np.ndarray]:
    """A loss with its defaults, and float64 targets and outputs for it."""
    return (getattr(losses, name)(), *_targets(LOSSES[name]))


OPTIMIZERS: dict[str, list[Callable[[], optimizers.Optimizer]]] = {
    "SGD": [
        lambda: optimizers.SGD(0.1),
        lambda: optimizers.SGD(0.1, momentum=0.9),
        lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True, clipvalue=0.5),
    ],
    "RMSprop": [
        lambda: optimizers.RMSprop(0.01),
        lambda: optimizers.RMSprop(0.01, momentum=0.5, centered=True, global_clipnorm=1.0),
    ],
    "Adagrad": [lambda: optimizers.Adagrad(0.1)],
    "Adadelta": [lambda: optimizers.Adadelta(1.0)],
    "Adam": [
        lambda: optimizers.Adam(0.01),
        lambda: optimizers.Adam(0.01, amsgrad=True, clipnorm=0.5, use_ema=True),
        lambda: optimizers.Adam(0.01, weight_decay=0.01, gradient_accumulation_steps=2),
    ],
    "AdamW": [lambda: optimizers.AdamW(0.01)],
    "Adamax": [lambda: optimizers.Adamax(0.01)],
    "Nadam": [lambda: optimizers.Nadam(0.01)],
    "Lion": [lambda: optimizers.Lion(0.001, weight_decay=0.01)],
    "Adafactor": [lambda: optimizers.Adafactor(0.1)],
    "Ftrl": [
        lambda: optimizers.Ftrl(0.1),
        lambda: optimizers.Ftrl(0.1, -0.7, l1_regularization_strength=0.01, l2_regularization_strength=0.1, beta=0.1),
    ],
    "Lamb": [lambda: optimizers.Lamb(0.01)],
    "Muon": [
        lambda: optimizers.Muon(0.01),
        lambda: optimizers.Muon(0.01, exclude_layers=["dense_1"], adam_weight_decay=0.1, rms_rate=None),
    ],
}
"""For each optimiser, some configurations."""


def optimizer_cases() -> list[tuple[str, Callable[[], optimizers.Optimizer]]]:
    """All configurations of optimisers, with names."""
    return [
        (f"{name} {i}".removesuffix(" 0"), make) for name, makes in OPTIMIZERS.items() for i, make in enumerate(makes)
    ]


INITIALIZERS: dict[str, dict[str, Any]] = {
    "Constant": {"value": 0.3},
    "GlorotNormal": {},
    "GlorotUniform": {},
    "HeNormal": {},
    "HeUniform": {},
    "Identity": {"gain": 2.0},
    "LecunNormal": {},
    "LecunUniform": {},
    "Ones": {},
    "Orthogonal": {"gain": 1.5},
    "RandomNormal": {},
    "RandomUniform": {},
    "TruncatedNormal": {},
    "VarianceScaling": {"scale": 2.0, "mode": "fan_avg", "distribution": "untruncated_normal"},
    "Zeros": {},
}
"""For each initialiser, arguments for an example."""
