"""Twenty kinds of training with `BackupAndRestore`; ci/kill_and_resume.py kills their processes.

    python ci/trainings.py NAME FOLDER
    mpirun -n 2 python ci/trainings.py "two processes" FOLDER

A kind is a function of the folder, which gives a model, the arguments of `fit`, and callbacks; it does not know whether
it was started before. Each trains for about 120 steps, says "step" after each, and saves its model in the folder.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import nnx
from nnx.callbacks import (
    BackupAndRestore,
    Callback,
    EarlyStopping,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from nnx.data import DataLoader
from nnx.layers import (
    GRU,
    LSTM,
    BatchNormalization,
    Bidirectional,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    GaussianNoise,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    Input,
    LayerNormalization,
    Masking,
    MultiHeadAttention,
    RandomFlip,
    RandomTranslation,
    SpatialDropout2D,
)
from nnx.random import Generator
from nnx.utils import PyDataset

EPOCHS, STEPS = 6, 20  # of so many batches, or about so many
ROWS = STEPS * 16 - 5
X = np.float32(Generator(2).normal((ROWS, 20)))
Y = np.arange(ROWS) % 3

Training = tuple[Any, dict[str, Any], list[Any]]
"""A compiled model, the arguments of `fit`, and callbacks."""

KINDS: dict[str, Callable[[Path], Training]] = {}
BY_EPOCH = {"checkpoints by epoch"}  # others write one after each step
BY_MPI = {"two processes", "two processes and loaders"}


def kind(function: Callable[[Path], Training]) -> Callable[[Path], Training]:
    """Decorator: the function is a kind of training, under its name with spaces."""
    KINDS[function.__name__.replace("_", " ")] = function
    return function


class Slowing(Callback):
    """Lowers the learning rate after two batches that are not better than the best: its counts are a state."""

    best, waited = np.inf, 0

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited}

    def set_state(self, state: Any) -> None:
        self.best, self.waited = state["best"], state["waited"]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.waited = 0 if logs["loss"] < self.best else self.waited + 1
        self.best = min(self.best, logs["loss"])
        if self.waited == 2:
            self.model.optimizer.learning_rate *= 0.8
            self.waited = 0


class Telling(Callback):
    """Says where training is to the one who is going to kill it."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if nnx.distributed.rank() == 0:
            print("step", flush=True)


class Samples:
    """Samples by their number, as a map-style data set has them."""

    def __len__(self) -> int:
        return ROWS

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return X[index], int(Y[index])


class Batches(PyDataset):
    """Batches by their number."""

    def __len__(self) -> int:
        return STEPS

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = slice(16 * index, 16 * (index + 1))
        return X[rows], Y[rows]


def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    return iter(Batches())


def network(*, width: int = 64, dropout: float = 0.4) -> nnx.Sequential:
    layers = [Dense(width, "relu"), BatchNormalization(), Dropout(dropout), Dense(width, "tanh"), Dense(3, "softmax")]
    return nnx.Sequential([Input((20,)), *layers])


def compiled(model: Any, optimizer: Any, metrics: Any = ("acc",)) -> Any:
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=list(metrics))
    return model


def of_arrays(**more: Any) -> dict[str, Any]:
    return {"x": X, "y": Y, "batch_size": 16, **more}


@kind
def dense(folder: Path) -> Training:
    """Large checkpoints, so that many kills come while one is being written."""
    optimizer = nnx.optimizers.Adam(0.002, use_ema=True, gradient_accumulation_steps=3, clipnorm=1.0)
    data = of_arrays(validation_split=0.1, class_weight={1: 2.0})
    return compiled(network(width=WIDTH), optimizer), data, [Slowing()]


@kind
def mixed_precision(folder: Path) -> Training:
    with nnx.backend("numpy", dtype="float16"):
        model = network()
    return compiled(model, nnx.optimizers.Adam(0.01)), of_arrays(), [Slowing()]


@kind
def accumulation(folder: Path) -> Training:
    optimizer = nnx.optimizers.AdamW(0.01, gradient_accumulation_steps=7, decay=0.1, global_clipnorm=0.5)
    return compiled(network(), optimizer), of_arrays(), []


@kind
def moving_averages(folder: Path) -> Training:
    optimizer = nnx.optimizers.SGD(
        0.05, momentum=0.9, nesterov=True, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=9
    )
    return compiled(network(), optimizer), of_arrays(validation_data=(X[:50], Y[:50])), []


@kind
def stateful_recurrence(folder: Path) -> Training:
    x = np.float32(Generator(3).normal((STEPS * 16, 6, 4)))
    layers = [LSTM(16, stateful=True, return_sequences=True, dropout=0.2), GRU(8, stateful=True), Dense(1)]
    model = nnx.Sequential([Input(batch_shape=(16, 6, 4)), *layers])
    model.compile("rmsprop", "mse", metrics=["mae"])
    return model, {"x": x, "y": x[:, :, 0].sum(axis=1), "batch_size": 16, "shuffle": False}, []


@kind
def masked_recurrence(folder: Path) -> Training:
    x = np.float32(Generator(3).normal((ROWS, 7, 4)))
    x[np.arange(ROWS)[:, None] % 7 < np.arange(7)] = 0.0
    layers = [Masking(), Bidirectional(GRU(8, recurrent_dropout=0.2)), Dropout(0.2), Dense(3, "softmax")]
    model = compiled(nnx.Sequential([Input((7, 4)), *layers]), nnx.optimizers.Adam(0.01))
    return model, {"x": x, "y": Y, "batch_size": 16}, []


@kind
def convolution(folder: Path) -> Training:
    images = X.reshape(ROWS, 5, 4, 1)
    chance = [RandomFlip(), RandomTranslation(0.2, 0.2), GaussianNoise(0.1)]
    layers = [Conv2D(8, 3, padding="same", activation="relu"), BatchNormalization(), SpatialDropout2D(0.2)]
    end = [GlobalAveragePooling2D(), Dense(3, "softmax")]
    model = compiled(nnx.Sequential([Input((5, 4, 1)), *chance, *layers, *end]), nnx.optimizers.Adam(0.01))
    return model, {"x": images, "y": Y, "batch_size": 16}, []


@kind
def attention(folder: Path) -> Training:
    words = Generator(4).integers(ROWS * 6).reshape(ROWS, 6) % 30
    inputs = Input((6,), dtype="int32")
    x = Embedding(30, 16)(inputs)
    x = LayerNormalization()(x + MultiHeadAttention(2, 8, dropout=0.2)(x, x))
    model = nnx.Model(inputs, Dense(3, "softmax")(GlobalAveragePooling1D()(x)))
    return compiled(model, nnx.optimizers.Nadam(0.01)), {"x": words, "y": Y, "batch_size": 16}, []


@kind
def several_outputs(folder: Path) -> Training:
    """In float64, with metrics that have many running values, and weights of samples."""
    with nnx.backend("numpy", dtype="float64"):
        inputs = Input((20,))
        hidden = Dropout(0.3)(Dense(16, "relu", kernel_regularizer="l2", activity_regularizer="l1")(inputs))
        outputs = [
            Dense(1, "sigmoid", name="first")(hidden),
            Dense(2, name="other", kernel_constraint="max_norm")(hidden),
        ]
        model = nnx.Model(inputs, outputs)
    metrics = {"first": [nnx.metrics.AUC(), "precision"], "other": [nnx.metrics.R2Score(), "mae"]}
    model.compile("adagrad", ["binary_crossentropy", "huber"], loss_weights=[1.0, 0.3], metrics=metrics)
    data = {"x": X, "y": [np.float32(Y == 1)[:, None], X[:, :2] * 2], "batch_size": 16}
    return model, {**data, "sample_weight": np.linspace(0.5, 1.5, ROWS)}, []


@kind
def updates_by_layer(folder: Path) -> Training:
    return compiled(network(), nnx.optimizers.Muon(0.01)), of_arrays(), [Slowing()]


@kind
def schedule(folder: Path) -> Training:
    rate = nnx.schedules.CosineDecay(0.05, EPOCHS * STEPS)
    return compiled(network(), nnx.optimizers.Adam(rate, clipvalue=0.1, amsgrad=True)), of_arrays(), []


@kind
def callbacks_that_decide(folder: Path) -> Training:
    deciding = [
        EarlyStopping("val_loss", patience=3, restore_best_weights=True),
        ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=0.02),
        LearningRateScheduler(lambda epoch, rate: rate * 0.97),
        ModelCheckpoint(folder / "best.safetensors", "val_loss", save_best_only=True),
    ]
    return compiled(network(), "adam"), of_arrays(validation_data=(X[:70], Y[:70][::-1])), deciding


@kind
def loader_with_workers(folder: Path) -> Training:
    def halved(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return x / 2, y

    loader = DataLoader(Samples(), batch_size=16, shuffle=True, map=halved, prefetch=3, seed=3)
    return compiled(network(), "adam"), {"x": loader, "validation_data": Batches(workers=2)}, []


@kind
def loader_with_a_buffer(folder: Path) -> Training:
    loader = DataLoader(batches, batch_size=None, shuffle=True, buffer_size=5, prefetch=2, seed=3)
    return compiled(network(), "adamax"), {"x": loader, "steps_per_epoch": 13, "epochs": 9}, []


@kind
def arrays_on_disk(folder: Path) -> Training:
    path = folder / "x.npy"
    if not path.exists():
        np.save(path.with_suffix(".part.npy"), X)
        path.with_suffix(".part.npy").rename(path)
    loader = DataLoader(
        np.load(path, mmap_mode="r"), Y, batch_size=16, shuffle=True, buffer_size=64, prefetch=1, seed=3
    )
    return compiled(network(), "adam"), {"x": loader, "validation_data": (np.load(path, mmap_mode="r"), Y)}, []


@kind
def generator(folder: Path) -> Training:
    endless = (batch for _ in range(EPOCHS) for batch in batches())
    return compiled(network(), "ftrl"), {"x": endless, "steps_per_epoch": STEPS}, []


@kind
def batches_by_number(folder: Path) -> Training:
    return compiled(network(), "lion"), {"x": Batches(), "validation_data": Batches(), "validation_freq": 2}, []


@kind
def checkpoints_by_epoch(folder: Path) -> Training:
    return compiled(network(width=WIDTH), nnx.optimizers.Adam(0.002)), of_arrays(), []


@kind
def two_processes(folder: Path) -> Training:
    optimizer = nnx.optimizers.Adam(0.002, use_ema=True, gradient_accumulation_steps=3, global_clipnorm=1.0)
    return compiled(network(width=WIDTH), optimizer), of_arrays(validation_split=0.1), [Slowing()]


@kind
def two_processes_and_loaders(folder: Path) -> Training:
    loader = DataLoader(Samples(), batch_size=15, shuffle=True, prefetch=2, seed=3)
    others = DataLoader(X, Y, batch_size=32, shuffle=True, buffer_size=64, seed=4)
    with nnx.backend("numpy", dtype="float16"):
        model = network()
    return (
        compiled(model, "adam", ["acc", "sparse_categorical_crossentropy"]),
        {"x": loader, "validation_data": others},
        [],
    )


def main(name: str, folder: Path) -> None:
    nnx.distributed.initialize()
    nnx.random.set_seed(1)
    model, data, callbacks = KINDS[name](folder)
    backup = BackupAndRestore(
        folder / "backup",
        save_freq="epoch" if name in BY_EPOCH else 1,
        double_checkpoint=name in BY_EPOCH,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="epoch .* the data ended")
        model.fit(**{"epochs": EPOCHS, "verbose": 0, **data}, callbacks=[*callbacks, Telling(), backup])
    model.save(folder / "final.safetensors")


WIDTH = 500

if __name__ == "__main__":
    WIDTH = int(sys.argv[3]) if len(sys.argv) > 3 else WIDTH
    main(sys.argv[1], Path(sys.argv[2]))
