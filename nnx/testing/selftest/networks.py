"""Networks that the selftest trains, small ones to compare and usual ones to time, these as PyTorch has them too."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

import nnx
from nnx import random
from nnx.layers import (
    LSTM,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePooling2D,
    Layer,
    MaxPooling2D,
)


@dataclasses.dataclass(frozen=True)
class Network:
    """Network of layers that classify samples of a shape, and the size of a batch.

    words : how many different integers the samples consist of; None for numbers.
    in_torch : makes the same of PyTorch's layers, the last one too, from the module `torch`.
    """

    layers: Callable[[], list[Layer]]
    shape: tuple[int, ...]
    classes: int
    batch: int
    words: int | None = None
    in_torch: Callable[[Any], list[Any]] = lambda torch: []

    def model(self, optimizer: nnx.optimizers.Optimizer) -> nnx.Sequential:
        """The model, compiled, in the place of the context."""
        symbol = nnx.Input(self.shape, dtype=None if self.words is None else "int64")
        model = nnx.Sequential([symbol, *self.layers(), Dense(self.classes, "softmax")])
        model.compile(optimizer, "sparse_categorical_crossentropy")
        return model

    def data(self, batches: int) -> tuple[np.ndarray, np.ndarray]:
        """Random samples, and labels that can be learnt from them."""
        generator = random.Generator(18)
        shape = (self.batch * batches, *self.shape)
        if self.words is None:
            x = generator.normal(shape)
            scores = x.reshape(len(x), -1)
        else:
            x = generator.integers(int(np.prod(shape))).reshape(shape).astype(np.int64) % self.words
            scores = x.astype(np.float64) - self.words / 2
        weights = generator.normal((scores.shape[1], self.classes))
        return x, np.argmax(scores @ weights, axis=-1).astype(np.int64)


TRAINED: dict[str, Network] = {
    "dense with dropout": Network(lambda: [Dense(16, "relu"), Dropout(0.2)], (6,), 2, 16),
    "convolutions": Network(
        lambda: [
            Conv2D(8, 3, use_bias=False),
            BatchNormalization(),
            nnx.layers.ReLU(),
            MaxPooling2D(2),
            Conv2D(8, 3, padding="same", activation="gelu"),
            GlobalAveragePooling2D(),
            Dropout(0.2),
        ],
        (10, 10, 2),
        3,
        16,
    ),
    "embedding and LSTM": Network(lambda: [Embedding(12, 8), LSTM(8), Dropout(0.2)], (7,), 3, 16, words=12),
}
"""Small networks whose training is compared."""


def _lstm_in_torch(torch: Any) -> list[Any]:
    class LastOutput(torch.nn.LSTM):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return super().forward(x)[0][:, -1]

    return [LastOutput(28, 64, batch_first=True), torch.nn.Linear(64, 10)]


def _perceptron_in_torch(sizes: tuple[int, ...]) -> Callable[[Any], list[Any]]:
    def layers(torch: Any) -> list[Any]:
        pairs = [(torch.nn.Linear(*both), torch.nn.ReLU()) for both in itertools.pairwise(sizes)]
        return [layer for pair in pairs for layer in pair][:-1]

    return layers


def _lenet_in_torch(torch: Any) -> list[Any]:
    n = torch.nn
    images = [n.Conv2d(1, 6, 5, padding=2), n.ReLU(), n.MaxPool2d(2), n.Conv2d(6, 16, 5), n.ReLU(), n.MaxPool2d(2)]
    return [*images, n.Flatten(), *_perceptron_in_torch((400, 120, 84, 10))(torch)]


TIMED: dict[str, Network] = {
    "30-64-64-2, batch 32": Network(
        lambda: [Dense(64, "relu"), Dense(64, "relu")],
        (30,),
        2,
        32,
        in_torch=_perceptron_in_torch((30, 64, 64, 2)),
    ),
    "784-512-512-10, batch 128": Network(
        lambda: [Dense(512, "relu"), Dense(512, "relu")],
        (784,),
        10,
        128,
        in_torch=_perceptron_in_torch((784, 512, 512, 10)),
    ),
    "LeNet-5, batch 128": Network(
        lambda: [
            Conv2D(6, 5, padding="same", activation="relu"),
            MaxPooling2D(2),
            Conv2D(16, 5, activation="relu"),
            MaxPooling2D(2),
            Flatten(),
            Dense(120, "relu"),
            Dense(84, "relu"),
        ],
        (28, 28, 1),
        10,
        128,
        in_torch=_lenet_in_torch,
    ),
    "LSTM of 64, 28 steps, batch 128": Network(lambda: [LSTM(64)], (28, 28), 10, 128, in_torch=_lstm_in_torch),
}
"""Networks whose training step is timed."""
