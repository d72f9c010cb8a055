"""Training with callbacks, and the histories of `fit`, against Keras 3 on JAX: equal weights at the start."""

from __future__ import annotations

import csv
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'nnx-array[oracle]'")

import nnx  # noqa: E402
from nnx.random import Generator  # noqa: E402
from nnx.testing import assert_close  # noqa: E402

# Keras's variables do not know NumPy 2's `copy` yet
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

ROWS = 22
X = np.float32(Generator(1).normal((ROWS, 6)))
Y = np.eye(3, dtype=np.float32)[X[:, :3].argmax(axis=1)]
WEIGHTS = np.float32(Generator(5).uniform((ROWS,), 0.2, 2.0))


def pair(rate: float = 0.5) -> list[tuple[Any, Any]]:
    """The same model in both libraries, with the same weights."""
    nnx.random.set_seed(7)
    made = []
    for library in (nnx, keras):
        layers = [library.layers.Dense(5, activation="tanh"), library.layers.Dense(3, activation="softmax")]
        model = library.Sequential([library.Input((6,)), *layers])
        eager = {"run_eagerly": True} if library is keras else {}  # compiling takes longer than these few steps
        model.compile(library.optimizers.SGD(rate), "categorical_crossentropy", metrics=["acc"], **eager)
        made.append((library, model))
    made[1][1].set_weights(made[0][1].get_weights())
    return made


def train_both(callbacks: Callable[[Any], list[Any]], rate: float = 0.5, **options: Any) -> tuple[Any, Any]:
    """Fit both; the histories and the weights have to agree within float32."""
    arguments = {"batch_size": 8, "epochs": 4, "shuffle": False, "verbose": 0, **options}
    models, histories = [], []
    for library, model in pair(rate):
        histories.append(model.fit(X, Y, callbacks=callbacks(library), **arguments))
        models.append(model)
    ours, theirs = histories
    assert ours.epoch == theirs.epoch
    assert list(ours.history) == list(theirs.history)
    for name, expected in theirs.history.items():
        scale = max([abs(value) for value in expected if math.isfinite(value)], default=0.0)
        assert ours.history[name] == pytest.approx(expected, rel=2e-5, abs=2e-5 * scale, nan_ok=True), name
    for mine, expected in zip(*(model.get_weights() for model in models), strict=True):
        assert_close(mine, expected, 5e-5, 5e-5 * float(np.abs(expected).max()))
    return ours, theirs


VALIDATED: dict[str, Any] = {"validation_split": 0.36}
TRAININGS: dict[str, tuple[Callable[[Any], list[Any]], dict[str, Any]]] = {
    "early stopping": (
        lambda c: [c.EarlyStopping(patience=1, restore_best_weights=True)],
        {"epochs": 12, "rate": 2.0, **VALIDATED},
    ),
    "early stopping by accuracy": (
        lambda c: [c.EarlyStopping("acc", patience=2, restore_best_weights=True)],
        {"epochs": 12, "rate": 2.0},
    ),
    "reduce on plateau": (
        lambda c: [c.ReduceLROnPlateau(patience=1, factor=0.5, cooldown=1, min_lr=0.1)],
        {"epochs": 8, "rate": 2.0, **VALIDATED},
    ),
    "schedule": (lambda c: [c.LearningRateScheduler(lambda epoch, lr: lr * 0.8)], VALIDATED),
    "schedule and plateau": (
        lambda c: [c.LearningRateScheduler(lambda epoch: 0.5 / (1 + epoch)), c.ReduceLROnPlateau("loss", patience=0)],
        {"epochs": 5, "initial_epoch": 2},
    ),
}


@pytest.mark.parametrize("name", TRAININGS)
def test_training_with_callbacks(name: str):
    callbacks, options = TRAININGS[name]
    ours, _ = train_both(lambda library: callbacks(library.callbacks), **options)
    if "early" in name:
        assert len(ours.epoch) < 12
    else:
        assert len(set(ours.history["learning_rate"])) > 1


def test_training_that_comes_to_nothing(capsys: pytest.CaptureFixture[str]):
    """Weights that are NaN from the second epoch on: training ends after its first batch, and the history has it."""
    lines = []

    def spoil(library: Any) -> Any:
        class Spoiler(library.callbacks.Callback):  # type: ignore[misc, name-defined]
            def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
                if epoch == 1:
                    self.model.set_weights([np.full_like(w, math.nan) for w in self.model.get_weights()])

        return [Spoiler(), library.callbacks.TerminateOnNaN()]

    for library, model in pair():
        history = model.fit(X, Y, epochs=4, batch_size=8, shuffle=False, verbose=0, callbacks=spoil(library))
        lines.append((capsys.readouterr().out, history.epoch, np.isnan(history.history["loss"]).tolist()))
    assert lines[0] == lines[1] == ("Batch 0: Invalid loss, terminating training\n", [0, 1], [False, True])


SPLIT = 0.36  # of 22 rows the last 8; few different sizes of batches, as Keras on JAX compiles for each
FITTING: dict[str, dict[str, Any]] = {
    "validation_split": {"validation_split": SPLIT},
    "validation_split, weighted": {"validation_split": SPLIT, "sample_weight": WEIGHTS},
    "validation_freq 2": {"validation_data": (X, Y), "validation_freq": 2, "epochs": 5},
    "validation_freq list": {"validation_data": (X, Y), "validation_freq": [1, 3], "epochs": 5},
    "validation_freq and initial_epoch": {
        "validation_data": (X[:8], Y[:8]),
        "validation_freq": 3,
        "epochs": 7,
        "initial_epoch": 2,
    },
    "initial_epoch": {"initial_epoch": 2, "epochs": 4},
    "initial_epoch behind the end": {"initial_epoch": 4, "epochs": 4},
    "steps_per_epoch": {"steps_per_epoch": 2, "epochs": 5, "batch_size": 6},
    "steps_per_epoch of a whole epoch": {"steps_per_epoch": 3, "epochs": 3},
    "steps_per_epoch across the end of the data": {"steps_per_epoch": 2, "epochs": 5},
    "steps_per_epoch beyond the end of the data": {"steps_per_epoch": 5, "epochs": 3},
    "steps_per_epoch 1": {"steps_per_epoch": 1, "epochs": 5},
    "validation_steps": {"validation_data": (X, Y), "validation_steps": 2, "validation_batch_size": 6},
    "class_weight": {"class_weight": {0: 0.5, 1: 3.0, 2: 1.0}, "validation_data": (X, Y)},
    "class_weight of some": {"class_weight": {1: 3.0}},
    "class_weight, split": {"class_weight": {1: 3.0}, "validation_split": SPLIT},
    "sample_weight": {"sample_weight": WEIGHTS, "validation_data": (X, Y, WEIGHTS)},
}


@pytest.mark.parametrize("name", FITTING)
def test_histories_of_the_options_of_fit(name: str, tmp_path: Path):
    """The histories, and the same as a CSV file."""
    options = FITTING[name]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`class_weight`")
        warnings.filterwarnings("ignore", message="Your input ran out of data|epoch .: the data ended after")
        train_both(lambda library: [library.callbacks.CSVLogger(tmp_path / f"{library.__name__}.csv")], **options)
    ours, theirs = (list(csv.reader((tmp_path / f"{name}.csv").read_text().splitlines())) for name in ("nnx", "keras"))
    # Keras has columns of validation where there is none
    filled = [any(row[column] != "NA" for row in theirs[1:]) for column in range(len(theirs[0]) if theirs else 0)]
    theirs = [[cell for cell, keep in zip(row, filled, strict=True) if keep] for row in theirs]
    assert ours[:1] == theirs[:1]
    for row, expected in zip(ours[1:], theirs[1:], strict=True):
        for mine, cell in zip(row, expected, strict=True):
            assert mine == cell if cell == "NA" else float(mine) == pytest.approx(float(cell), rel=1e-4, abs=2e-5)


def test_files_of_checkpoints(tmp_path: Path):
    """What lies in the folders after training, and that the best one is what it says."""
    found = []
    for library, model in pair(2.0):
        folder = tmp_path / library.__name__
        template = folder / "sub" / "{epoch:02d}-{val_loss:.3f}-{acc:.2f}.weights.h5"
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="nnx writes safetensors files")
            checkpoint = library.callbacks.ModelCheckpoint(template, save_best_only=True, save_weights_only=True)
            options: dict[str, Any] = {"batch_size": 8, "epochs": 8, "shuffle": False, "verbose": 0}
            history = model.fit(X, Y, validation_split=0.36, callbacks=[checkpoint], **options)
        found.append(sorted(path.name for path in (folder / "sub").iterdir()))
        model.load_weights(folder / "sub" / found[-1][-1])
        best = min(history.history["val_loss"])
        assert model.evaluate(X[14:], Y[14:], verbose=0)[0] == pytest.approx(best, rel=1e-5)
    assert found[0] == found[1]
    assert 1 < len(found[0]) < 8
