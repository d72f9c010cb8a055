"""Weights of classes where every step has a label; classes that cannot occur; targets that name no class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnx
from nnx.layers import Conv2D, Dense, Input, Masking
from nnx.testing import assert_close

RNG = np.random.default_rng(3)
X = RNG.normal(size=(6, 5, 2)).astype("float32")
LABELS = RNG.integers(0, 3, (6, 5))
ONE_HOT = np.eye(3, dtype="float32")[LABELS]
CLASS_WEIGHT = {0: 1.0, 1: 5.0, 2: 0.5}
OF_STEPS = np.asarray([CLASS_WEIGHT[label] for label in LABELS.reshape(-1).tolist()]).reshape(6, 5)


def make(units: int, activation: str, loss: Any, *before: Any) -> nnx.Sequential:
    model = nnx.Sequential([Input((5, 2)), *before, Dense(units, activation)])
    model.compile(nnx.optimizers.SGD(0.0), loss)
    return model


@pytest.mark.parametrize(
    ("y", "loss"),
    [
        (LABELS, "sparse_categorical_crossentropy"),
        (LABELS[..., None], "sparse_categorical_crossentropy"),
        (ONE_HOT, "categorical_crossentropy"),
    ],
)
def test_steps_with_labels_have_weights_of_their_own(y, loss, backend):
    model = make(3, "softmax", loss)
    shares = model.predict(X, verbose=0)
    expected = (-np.log(np.take_along_axis(shares, LABELS[..., None], -1))[..., 0] * OF_STEPS).mean()
    assert_close(model.train_on_batch(X, y, class_weight=CLASS_WEIGHT), expected, rtol=1e-5)
    assert_close(model.test_on_batch(X, y, sample_weight=OF_STEPS), expected, rtol=1e-5)
    options: dict[str, Any] = {"class_weight": CLASS_WEIGHT, "batch_size": 4, "verbose": 0}
    history = model.fit(X, y, **options, validation_data=(X, y)).history
    assert_close(history["loss"][0], expected, rtol=1e-5)
    assert_close(history["val_loss"][0], model.test_on_batch(X, y), rtol=1e-5)
    assert_close(model.fit([(X, y)], **options).history["loss"][0], expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 5)])
def test_weights_of_samples_or_steps_multiply_them(shape):
    weights = RNG.uniform(1.0, 2.0, size=shape)
    model = make(3, "softmax", "sparse_categorical_crossentropy")
    both = OF_STEPS * (weights if len(shape) == 2 else weights[:, None])
    expected = model.test_on_batch(X, LABELS, sample_weight=both)
    assert_close(model.train_on_batch(X, LABELS, weights, class_weight=CLASS_WEIGHT), expected, rtol=1e-5)


def test_weights_in_a_column_multiply_those_of_labels_of_samples():
    """(n, 1) and (n,) make n weights, and not n times n."""
    model = nnx.Sequential([Input((2,)), Dense(3, "softmax")])
    model.compile(nnx.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    x, y, weights = X[:, 0], LABELS[:, 0], np.arange(1.0, 7.0)
    expected = model.test_on_batch(x, y, sample_weight=weights * OF_STEPS[:, 0])
    assert_close(model.train_on_batch(x, y, weights[:, None], class_weight=CLASS_WEIGHT), expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 1)])
def test_steps_with_two_classes(shape, backend):
    y = (LABELS > 0).reshape(shape)
    model = make(1, "sigmoid", "binary_crossentropy")
    weights = np.where(LABELS > 0, 4.0, 1.0)
    expected = model.test_on_batch(X, y, sample_weight=weights)
    assert_close(model.train_on_batch(X, y, class_weight={1: 4.0}), expected, rtol=1e-5)


def test_pixels_have_weights_of_their_own(backend):
    model = nnx.Sequential([Input((4, 4, 1)), Conv2D(3, 1, activation="softmax")])
    model.compile(nnx.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    x, y = RNG.normal(size=(2, 4, 4, 1)).astype("float32"), RNG.integers(0, 3, (2, 4, 4))
    weights = np.asarray([CLASS_WEIGHT[label] for label in y.reshape(-1).tolist()]).reshape(y.shape)
    expected = model.test_on_batch(x, y, sample_weight=weights)
    assert_close(model.train_on_batch(x, y, class_weight=CLASS_WEIGHT), expected, rtol=1e-5)


def test_classes_along_another_axis():
    loss = nnx.losses.CategoricalCrossentropy(axis=1)
    model = nnx.Sequential([Input((5, 2)), nnx.layers.Softmax(axis=1)])
    model.compile(nnx.optimizers.SGD(0.0), loss)
    labels = RNG.integers(0, 5, (6, 2))
    y = np.moveaxis(np.eye(5, dtype="float32")[labels], -1, 1)
    expected = model.test_on_batch(X, y, sample_weight=np.where(labels == 4, 3.0, 1.0))
    assert_close(model.train_on_batch(X, y, class_weight={4: 3.0}), expected, rtol=1e-5)


def test_a_mask_and_classes_together(backend):
    x = np.where((np.arange(5) < 3)[None, :, None], X, 0.0)
    model = make(3, "softmax", "sparse_categorical_crossentropy", Masking())
    expected = model.test_on_batch(x, LABELS, sample_weight=OF_STEPS)
    assert_close(model.train_on_batch(x, LABELS, class_weight=CLASS_WEIGHT), expected, rtol=1e-5)


def test_labels_of_a_loss_of_ones_own():
    """Whose outputs need not be classes."""

    def distance(y_true: Any, y_pred: Any) -> Any:
        error = y_pred[:, 0, 0] - y_true
        return error**2, lambda d: np.concatenate([(2 * error * d)[:, None, None], np.zeros((6, 1, 1))], axis=1)

    model = nnx.Sequential([Input((2, 1)), nnx.layers.Identity()])
    model.compile(nnx.optimizers.SGD(0.0), distance)
    x, y = X[:, :2, :1], np.asarray([7, 1, 7, 2, 3, 9], "float32")
    expected = model.test_on_batch(x, y, sample_weight=np.where(y == 7, 2.0, 1.0))
    assert_close(model.test_on_batch(x, y), ((x[:, 0, 0] - y) ** 2).mean(), rtol=1e-5)
    assert_close(model.train_on_batch(x, y, class_weight={7: 2.0}), expected, rtol=1e-5)


def test_a_label_that_the_loss_leaves_out_may_have_a_weight():
    loss = nnx.losses.SparseCategoricalCrossentropy(ignore_class=-1)
    y = np.where(LABELS == 2, -1, LABELS)
    model = make(3, "softmax", loss)
    expected = model.test_on_batch(X, y, sample_weight=np.where(y == 1, 2.0, 1.0))
    assert_close(model.train_on_batch(X, y, class_weight={1: 2.0, -1: 0.0}), expected, rtol=1e-5)


IMPOSSIBLE = {
    "above": (3, "softmax", "sparse_categorical_crossentropy", LABELS, 3, "from 0 to 2"),
    "one-hot": (3, "softmax", "categorical_crossentropy", ONE_HOT, 5, "from 0 to 2"),
    "negative": (3, "softmax", "sparse_categorical_crossentropy", LABELS, -1, "from 0 to 2"),
    "between": (3, "softmax", "sparse_categorical_crossentropy", LABELS, 0.5, "from 0 to 2"),
    "binary": (1, "sigmoid", "binary_crossentropy", LABELS > 0, 2, "from 0 to 1"),
    "hinge": (1, "tanh", "hinge", 2.0 * (LABELS > 0) - 1.0, 3, "from -1 to 1"),
}


@pytest.mark.parametrize(("units", "activation", "loss", "y", "label", "classes"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_a_class_that_cannot_occur_has_no_weight(units, activation, loss, y, label, classes):
    message = rf"class {label}, which cannot occur: .*\(batch, 5, {units}\).* classes go {classes}"
    for options in ({"class_weight": {label: 2.0}}, {"class_weight": {0: 1.0, label: 2.0}, "batch_size": 2}):
        with pytest.raises(ValueError, match=message):
            make(units, activation, loss).fit(X, y, verbose=0, **options)


def test_several_labels_at_once_are_no_class():
    y = np.eye(3)[LABELS]
    y[2, 1] = [1.0, 0.0, 1.0]
    with pytest.raises(ValueError, match=r"class_weight needs one class .* the targets at \[2, 1\] have several"):
        make(3, "sigmoid", "binary_crossentropy").fit(X, y, class_weight={0: 2.0}, verbose=0)


def test_targets_of_another_shape_are_refused():
    def first(y_true: Any, y_pred: Any) -> Any:
        return y_pred[:, 0, 0], lambda d: d

    with pytest.raises(
        ValueError, match=r"targets of shape \(batch, 5\), or one-hot .*\(batch, 5, 3\); got \(batch, 4\)"
    ):
        make(3, "softmax", first).train_on_batch(X, LABELS[:, :4], class_weight={0: 2.0})
