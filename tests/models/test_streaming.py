"""Data that do not fit on the device travel in batches, and nothing else changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Backend, Placement
from nnx.layers import Dense, Dropout
from nnx.random import Generator
from nnx.testing import assert_close

X = Generator(1).normal((23, 4))
LABELS = np.arange(23) % 3
WEIGHTS = np.linspace(0.5, 1.5, 23)


def train() -> tuple[dict[str, list[float]], np.ndarray, Any]:
    nnx.random.set_seed(2)
    model = nnx.Sequential([Dense(5, "tanh"), Dropout(0.2), Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["acc"])
    options: dict[str, Any] = {"validation_split": 0.2, "sample_weight": WEIGHTS, "class_weight": {1: 2.0}}
    history = model.fit(X, LABELS, epochs=3, batch_size=5, verbose=0, **options).history
    return history, model.predict(X, batch_size=5, verbose=0), model.evaluate(X, LABELS, batch_size=5, verbose=0)


@pytest.fixture
def full_device(monkeypatch: pytest.MonkeyPatch, backend: Placement) -> list[int]:
    """A device without room; how many rows each array has that is brought there."""
    rows: list[int] = []
    kind = type(backend.backend)
    from_host = kind.from_host

    def noting(self: Backend, array: np.ndarray, *, device: str | None = None) -> Any:
        rows.append(array.shape[0] if array.ndim else 0)
        return from_host(self, array, device=device)

    monkeypatch.setattr(kind, "free_bytes", lambda self, device: 0)
    monkeypatch.setattr(kind, "from_host", noting)
    return rows


def test_the_same_training(backend: Placement, request: pytest.FixtureRequest):
    history, outputs, results = train()
    rows: list[int] = request.getfixturevalue("full_device")
    streamed = train()
    for name, expected in history.items():
        # arrays are evaluated several batches at once, so that they are added up in another order
        assert_close(streamed[0][name], expected, 1e-6 if name == "val_loss" else 0.0, 0.0)
    assert_close(streamed[1], outputs, 1e-6, 0.0)
    assert_close(streamed[2], results, 1e-6, 0.0)
    assert max(rows) == 5


def test_the_same_errors(full_device: list[int]):
    model = nnx.Sequential([Dense(3, "softmax", input_dim=4)])
    model.compile("adam", "sparse_categorical_crossentropy")
    for x, y, words in [
        (X, LABELS[:5], "x has 23, y has 5"),
        (X, None, "y is missing|needs targets"),
        (X, LABELS + 1, "seem to count from 1"),
        (X[:, :3], LABELS, r"expected an input of shape \(None, 4\)"),
        (X[:0], LABELS[:0], "x is empty"),
    ]:
        with pytest.raises(ValueError, match=words):
            model.fit(x, y, verbose=0)
    assert model.optimizer.iterations == 0
    model.fit(X, LABELS, verbose=0)
