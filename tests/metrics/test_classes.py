"""Confusion matrices and intersection over union: against plain NumPy, and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx import metrics
from nnx.random import Generator
from nnx.testing import assert_close, no_synchronization


def draw(shape=(70,), classes=4, seed=1):
    """Labels, and a number for each class that is often largest for the label."""
    random = Generator(seed)
    labels = random.integers(int(np.prod(shape))).astype(np.int64).reshape(shape) % classes
    return labels, (random.uniform((*shape, classes)) + 0.5 * np.eye(classes)[labels]).astype(np.float32)


def table_of(true, predicted, classes, weight=None):
    table = np.zeros((classes, classes))
    np.add.at(table, (true.reshape(-1), predicted.reshape(-1)), 1.0 if weight is None else weight.reshape(-1))
    return table


def mean_iou(table, chosen=None):
    both, either = np.diag(table), table.sum(axis=0) + table.sum(axis=1) - np.diag(table)
    numbers = [i for i in (range(len(table)) if chosen is None else chosen) if either[i] > 0]
    return np.mean(both[numbers] / either[numbers])


# Confusion matrices


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("form", ["labels", "column", "one-hot", "bits"])
@pytest.mark.parametrize("shape", [(70,), (10, 3)], ids=str)
def test_the_forms_of_classes(backend, shape, form, weighted):
    labels, shares = draw(shape)
    one_hot = np.eye(4)[labels]
    y_true = {"labels": labels, "column": labels[..., None], "one-hot": one_hot, "bits": one_hot > 0.0}[form]
    weight = Generator(2).uniform(shape, 0.1, 2.0) if weighted else None
    given = None if weight is None else backend.asarray(weight)
    expected = table_of(labels, shares.argmax(axis=-1), 4, weight)
    for y_pred, classes in ((shares, None), (shares, 4), (shares.argmax(axis=-1), 4)):
        metric = metrics.ConfusionMatrix(classes)
        true, predicted = backend.asarray(y_true), backend.asarray(y_pred)
        with no_synchronization():
            metric.update_state(true, predicted, given)
            metric.update_state(true, predicted, given)
            result = metric.result()
        assert_close(result, 2.0 * expected, length=100)
        assert weighted or np.array_equal(nnx.to_numpy(result), 2 * expected)


def test_two_classes(backend):
    labels, chances = draw(classes=2)[0], Generator(3).uniform((70,)).astype(np.float32)
    expected = table_of(labels, (chances > 0.3).astype(np.int64), 2)
    for y_true in (labels, labels[:, None], np.eye(2)[labels]):
        for y_pred in (chances, chances[:, None]):
            result = metrics.ConfusionMatrix(threshold=0.3)(backend.asarray(y_true), backend.asarray(y_pred))
            assert np.array_equal(nnx.to_numpy(result), expected)


def test_against_scikit_learn():
    sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn is missing; pip install 'nnx-array[test]'")
    labels, shares = draw()
    expected = sklearn.confusion_matrix(labels, shares.argmax(axis=-1))
    assert np.array_equal(metrics.ConfusionMatrix()(labels, shares), expected)
    jaccard = sklearn.jaccard_score(labels, shares.argmax(axis=-1), average="macro")
    assert_close(metrics.MeanIoU(4, sparse_y_pred=False)(labels, shares), jaccard, rtol=1e-6)


def test_what_is_ignored(backend):
    labels, shares = draw()
    kept = labels != 2
    expected = table_of(labels[kept], shares.argmax(axis=-1)[kept], 4)
    found = metrics.ConfusionMatrix(ignore_class=2)(backend.asarray(labels), backend.asarray(shares))
    assert np.array_equal(nnx.to_numpy(found), expected)
    empty = np.where(kept, labels, 255)
    found = metrics.ConfusionMatrix(ignore_class=255)(backend.asarray(empty), backend.asarray(shares))
    assert np.array_equal(nnx.to_numpy(found), expected)
    masked = metrics.ConfusionMatrix()(backend.asarray(labels), backend.asarray(shares), backend.asarray(1.0 * kept))
    assert_close(masked, expected)


def test_lists_and_many_classes():
    assert metrics.ConfusionMatrix(3)([0, 1, 2, 1], [0, 1, 2, 2]).tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 1]]
    matrix = metrics.ConfusionMatrix(700)([699, 3], [699, 0])
    assert (matrix[699, 699], matrix[3, 0], matrix.sum()) == (1, 1, 2)
    assert metrics.ConfusionMatrix(2).result().tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("metric", "y_true", "y_pred", "message"),
    [
        (metrics.ConfusionMatrix(), [0, 1], [1, 1], "'confusion_matrix' needs num_classes where predictions are class"),
        (metrics.ConfusionMatrix(3), [0, 1], [0.3, 0.7], r"number for each of 3 classes, or integers.*shape \(2,\)"),
        (metrics.ConfusionMatrix(3), [0, 1], [[0.3, 0.7]] * 2, r"number for each of 3 classes, .*shape \(2, 2\)"),
        (metrics.ConfusionMatrix(), [0, 2], [[0.3, 0.7]] * 2, "class labels from 0 to 1, got 2; .* ignore_class"),
        (metrics.ConfusionMatrix(), [1, -1], [[0.3, 0.7]] * 2, "class labels from 0 to 1, got -1"),
        (metrics.ConfusionMatrix(), [1, 0.5], [[0.3, 0.7]] * 2, "class labels from 0 to 1, got 0.5"),
        (metrics.ConfusionMatrix(), [1, 0, 1], [[0.3, 0.7]] * 2, r"shape \(2,\), or one-hot ones of shape \(2, 2\)"),
    ],
)
def test_mistakes_with_a_confusion_matrix(metric, y_true, y_pred, message):
    with pytest.raises(ValueError, match=message):
        metric.update_state(y_true, y_pred)
    assert np.all(metric.result() == 0)


def test_one_class_is_a_mistake():
    with pytest.raises(ValueError, match="num_classes must be at least 2, got 1"):
        metrics.ConfusionMatrix(1)


# Intersection over union


@pytest.mark.parametrize("weighted", [False, True])
def test_areas(backend, weighted):
    labels, shares = draw((6, 5, 3))
    predicted = shares.argmax(axis=-1)
    weight = Generator(2).uniform((6,), 0.1, 2.0) if weighted else None
    whole = None if weight is None else np.broadcast_to(weight[:, None, None], labels.shape)
    given = None if weight is None else backend.asarray(weight)
    table = table_of(labels, predicted, 4, whole)
    one_hot, first = np.eye(4)[labels], np.moveaxis(shares, -1, 1)
    for metric, y_true, y_pred, expected in [
        (metrics.MeanIoU(4), labels, predicted, mean_iou(table)),
        (metrics.MeanIoU(4), labels[..., None], predicted, mean_iou(table)),
        (metrics.MeanIoU(4, sparse_y_pred=False), labels, shares, mean_iou(table)),
        (metrics.MeanIoU(4, sparse_y_pred=False, axis=1), labels, first, mean_iou(table)),
        (metrics.IoU(4, [1, 3]), labels, predicted, mean_iou(table, [1, 3])),
        (metrics.OneHotIoU(4, [2]), one_hot, shares, mean_iou(table, [2])),
        (metrics.OneHotIoU(4, [2]), one_hot > 0.0, shares, mean_iou(table, [2])),
        (metrics.OneHotMeanIoU(4), one_hot, shares, mean_iou(table)),
        (metrics.OneHotMeanIoU(4, sparse_y_pred=True), one_hot, predicted, mean_iou(table)),
    ]:
        true, prediction = backend.asarray(y_true), backend.asarray(y_pred)
        with no_synchronization():
            metric.update_state(true, prediction, given)
            result = metric.result()
        assert_close(result, expected, length=90, like=backend.zeros(()))


def test_probabilities(backend):
    labels, chances = draw(classes=2)[0], Generator(3).uniform((70,)).astype(np.float32)
    chances[:5] = 0.5  # the threshold itself says class 1, as in Keras
    table = table_of(labels, (chances >= 0.5).astype(np.int64), 2)
    for numbers in ([0], [1], [0, 1]):
        found = metrics.BinaryIoU(numbers)(backend.asarray(labels), backend.asarray(chances[:, None]))
        assert_close(found, mean_iou(table, numbers), rtol=1e-6)


def test_classes_that_are_not_there_do_not_count(backend):
    labels, predicted = backend.asarray([0, 0, 1, 1]), backend.asarray([0, 1, 0, 1])
    assert_close(metrics.MeanIoU(9)(labels, predicted), np.float32(1.0 / 3.0))
    assert_close(metrics.IoU(9, [5])(labels, predicted), np.float32(0.0))
    assert_close(metrics.MeanIoU(2, ignore_class=255)([0, 0, 1, 255], [0, 1, 1, 1]), np.float32(0.5))
    assert_close(metrics.MeanIoU(2)([0, 0, 1, 255], [0, 1, 1, 1]), np.float32(0.5))  # no class, so left out


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: metrics.IoU(3, [3]), r"target_class_ids must be classes from 0 to 2, got \[3\]"),
        (lambda: metrics.IoU(3, []), r"target_class_ids must be classes from 0 to 2, got \[\]"),
        (lambda: metrics.MeanIoU(3)([0, 1], [[0.1, 0.2, 0.7]] * 2), r"numbers for each class, .*sparse_y_pred=False"),
        (lambda: metrics.MeanIoU(3)([0, 1, 2], [0, 1]), r"expects targets of the shape of the predictions, \(2,\)"),
        (lambda: metrics.OneHotMeanIoU(3)([0, 1], [[0.1, 0.2, 0.7]] * 2), r"shape of the predictions, \(2,\)"),
    ],
)
def test_mistakes_with_areas(make, message):
    with pytest.raises(ValueError, match=message):
        make()
