"""Circle loss: its formula, its gradient, and samples without another one of their class, or of another."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx import functional, losses
from nnx.random import Generator
from nnx.testing import assert_close, check_gradients

LABELS = np.asarray([0, 1, 2, 0, 1, 0])  # the 2 has no other of its class


def embeddings(seed: int = 3) -> np.ndarray:
    x = Generator(seed).normal((6, 4))
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def formula(labels: np.ndarray, x: np.ndarray, gamma: float, m: float) -> list[float]:
    values = []
    for i, label in enumerate(labels):
        d = np.maximum(1.0 - x @ x[i], 0.0)
        near = [gamma * (m + d[j]) * (d[j] - m) for j in range(len(x)) if labels[j] == label and j != i]
        far = [gamma * max(1 + m - d[j], 0) * (1 - m - d[j]) for j in range(len(x)) if labels[j] != label]
        values.append(np.log1p(np.exp(near).sum() * np.exp(far).sum()))
    return values


def test_values(backend_float64):
    x, labels = backend_float64.asarray(embeddings()), backend_float64.asarray(LABELS, "int64")
    for gamma, margin in ((80.0, 0.4), (4.0, 0.25)):
        values, _ = functional.circle(labels, x, gamma=gamma, margin=margin)
        assert_close(values, formula(LABELS, embeddings(), gamma, margin), rtol=1e-12)
    assert float(values[2]) == 0.0
    _, pullback = functional.circle(labels[:1], x[:1, ...])
    assert_close(pullback(1.0), np.zeros((1, 4)))


def test_a_mean_is_one_of_the_samples_that_have_a_pair(backend):
    x, values = backend.asarray(embeddings()), np.asarray(formula(LABELS, embeddings(), 4.0, 0.4))
    labels = backend.asarray(LABELS, "int64")
    weights = [2.0, 1.0, 5.0, 1.0, 0.5, 1.0]
    for reduction, weight, expected in (
        ("sum_over_batch_size", None, values.sum() / 5),
        ("mean", weights, np.dot(weights, values) / 5),
        ("mean_with_sample_weight", weights, np.dot(weights, values) / 5.5),
        ("sum", weights, np.dot(weights, values)),
    ):
        loss = losses.Circle(gamma=4.0, reduction=reduction)
        assert float(loss(labels, x, sample_weight=weight)) == pytest.approx(expected, rel=1e-5)
    assert float(losses.Circle()(labels[:1], x[:1, ...])) == 0.0


def test_gradient():
    check_gradients(lambda x: functional.circle(LABELS, x, gamma=4.0), embeddings())
    refs = {"ref_labels": LABELS[:3], "ref_embeddings": embeddings(seed=5)[:3], "remove_diagonal": False}
    check_gradients(lambda x: functional.circle(LABELS, x, gamma=4.0, **refs), embeddings())


def test_training_and_targets(backend):
    model = nnx.Sequential([nnx.layers.Dense(4, input_dim=3), nnx.layers.UnitNormalization()])
    model.compile(nnx.optimizers.Adam(0.05), losses.Circle(gamma=8.0))
    x = Generator(1).normal((30, 3)).astype("float32")
    y = (x[:, 0] > 0).astype("int64")
    history = model.fit(x, y, batch_size=10, epochs=5, verbose=0).history["loss"]
    assert history[-1] < history[0]
    with pytest.raises(ValueError, match="loss 'circle' expects a label, a whole number"):
        model.fit(x, x, verbose=0)
