"""Networks that `python -m nnx selftest` trains, and how long a step of theirs takes."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable

import numpy as np

import nnx
from nnx import random
from nnx.backends import Placement
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
    """

    layers: Callable[[], list[Layer]]
    shape: tuple[int, ...]
    classes: int
    batch: int
    words: int | None = None

    def model(self, optimizer: nnx.optimizers.Optimizer) -> nnx.Sequential:
        """The model, compiled, in the place of the context."""
        symbol = nnx.Input(self.shape, dtype=None if self.words is None else "int64")
        model = nnx.Sequential([symbol, *self.layers(), Dense(self.classes, "softmax")])
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
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

TIMED: dict[str, Network] = {
    "30-64-64-2, batch 32": Network(lambda: [Dense(64, "relu"), Dense(64, "relu")], (30,), 2, 32),
    "784-512-512-10, batch 128": Network(lambda: [Dense(512, "relu"), Dense(512, "relu")], (784,), 10, 128),
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
    ),
    "LSTM of 64 units, 28 steps, batch 128": Network(lambda: [LSTM(64)], (28, 28), 10, 128),
}
"""Networks whose training step is timed."""

WARM_UP = 3
MOST_STEPS = 30
SECONDS = 1.0


def time_of_step(network: Network, place: Placement) -> tuple[float, int]:
    """The median time of `train_on_batch` in seconds, and of how many steps.

    The batch is in place. The first steps, in which kernels are compiled and memory is set aside, are not counted. Each
    step reads its loss, and the clock is read when the device has done all that it was given.
    """
    with nnx.backend(place.name, device=place.device):
        model = network.model(nnx.optimizers.Adam())
        x, y = (nnx.asarray(array) for array in network.data(1))
    times: list[float] = []
    for step in range(WARM_UP + MOST_STEPS):
        place.backend.synchronize(place.device)
        start = time.perf_counter()
        model.train_on_batch(x, y)
        place.backend.synchronize(place.device)
        if step >= WARM_UP:
            times.append(time.perf_counter() - start)
        if len(times) >= 3 and sum(times) > SECONDS:
            break
    return statistics.median(times), len(times)
