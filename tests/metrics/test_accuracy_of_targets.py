"""Accuracy of targets that are no classes: a warning says so, once."""

import warnings

import numpy as np
import pytest

import nnx
from nnx.layers import Dense, Input
from nnx.testing import assert_close

X = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
CONTINUOUS = np.linspace(0.5, 30.0, 8, dtype="float32")
THREE = np.stack([CONTINUOUS, -CONTINUOUS, CONTINUOUS * 2], axis=1)


def model(units, loss, metrics, activation=None):
    made = nnx.Sequential([Input((3,)), Dense(units, activation)])
    made.compile("sgd", loss, metrics=metrics)
    return made


CASES = {
    "accuracy": (1, "mse", "accuracy", CONTINUOUS, "binary_accuracy.* 0 and 1"),
    "acc, column": (1, "mae", "acc", CONTINUOUS[:, None], "binary_accuracy.* 0 and 1"),
    "counts": (1, "mse", "accuracy", np.arange(8), "binary_accuracy.* 0 and 1"),
    "labels of a hinge": (1, "hinge", "accuracy", np.asarray([-1, 1] * 4), "0 and 1; .* -1,"),
    "binary": (1, "mse", "binary_accuracy", CONTINUOUS, "0 and 1"),
    "equality": (1, "mse", nnx.metrics.Accuracy(), CONTINUOUS, ".accuracy. .* classes; .* 0.5,"),
    "several": (3, "mse", "accuracy", THREE, "categorical_accuracy"),
    "top k": (3, "mse", nnx.metrics.TopKCategoricalAccuracy(2), THREE, "top_k_categorical_accuracy"),
}


@pytest.mark.parametrize(("units", "loss", "metric", "y", "message"), CASES.values(), ids=CASES)
def test_continuous_targets(units, loss, metric, y, message):
    made = model(units, loss, [metric])
    with pytest.warns(UserWarning, match=rf"metric '.*' .*{message}.*'mae'") as found:
        made.fit(X, y, epochs=2, batch_size=4, validation_data=(X, y), verbose=0)
    assert len(found) == 1
    assert found[0].filename == __file__


@pytest.mark.parametrize(
    ("units", "activation", "loss", "y"),
    [
        (1, "sigmoid", "binary_crossentropy", np.asarray([0, 1] * 4)),
        (1, "sigmoid", "binary_crossentropy", np.asarray([True, False] * 4)),
        (3, "softmax", "categorical_crossentropy", np.full((8, 3), 1.0 / 3.0, "float32")),
        (3, "softmax", "sparse_categorical_crossentropy", np.asarray([0.0, 1.0, 2.0, 0.0] * 2)),
        (3, None, "mse", np.eye(3)[[0, 1, 2, 0] * 2] * 10.0),
    ],
)
def test_classes_and_probabilities(units, activation, loss, y):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(units, loss, ["accuracy"], activation).fit(X, y, verbose=0)


def test_labels_in_a_column_for_one_sample_of_steps(backend):
    """As in Keras."""
    labels, scores = np.asarray([[0], [1]]), np.asarray([[[0.9, 0.1, 0.0], [0.8, 0.15, 0.05]]])
    placed = backend.asarray(labels), backend.asarray(scores)
    assert_close(nnx.metrics.sparse_categorical_accuracy(*placed), [1.0, 0.0])
    assert_close(nnx.metrics.sparse_top_k_categorical_accuracy(*placed, k=2), [1.0, 1.0])
    weighted = nnx.metrics.SparseCategoricalAccuracy()(*placed, sample_weight=backend.asarray(np.asarray([3.0, 1.0])))
    assert float(weighted) == 0.75
    with pytest.raises(ValueError, match=r"class labels of shape \(1, 2\) .* have the shape \(3, 1\)"):
        nnx.metrics.sparse_categorical_accuracy(np.asarray([[0], [1], [2]]), scores)
