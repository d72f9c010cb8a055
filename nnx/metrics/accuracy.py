"""Accuracies, as functions that give 1 or 0 for each sample, and as metrics.

A prediction that is not a number is never right. Neither is a class that shares its first place with another one, so
that no backend's order of looking decides.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.backends import Array, Namespace, backend_of
from nnx.functional.counting import is_largest
from nnx.metrics.base import MeanMetricWrapper, functions, registry
from nnx.metrics.targets import as_labels_and_scores, as_matching_arrays, require_labels, require_matching_shapes
from nnx.shapes import Shape, of_shapes
from nnx.user_warnings import warn_user

__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "accuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]


@functions.register()
def accuracy(y_true: Any, y_pred: Any) -> Array:
    """Equality of y_true and y_pred, element by element: 1 or 0.

        value = 1 if y_pred == y_true else 0

    y_true, y_pred : numbers (n, ...), for values (n, ...). ValueError for different shapes.

    >>> accuracy([1, 2, 3], [1, 2, 4]).tolist()
    [1.0, 1.0, 0.0]
    """
    xp, y_true, y_pred = as_matching_arrays("accuracy", y_true, y_pred)
    return xp.astype(y_true == y_pred, y_pred.dtype)


@functions.register()
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Array:
    """Binary accuracy, element by element: 1 where a probability is on the side of its label, else 0.

        value = 1 if y_true == (1 if y_pred > threshold else 0) else 0

    y_true : labels 0 and 1, (n, ...); between them nothing is right.
    y_pred : probabilities (n, ...), for values (n, ...). ValueError for different shapes.
    threshold : above which, exclusive, a probability says 1. For logits use 0.

    >>> binary_accuracy([1, 0, 1], [0.9, 0.2, 0.4]).tolist()
    [1.0, 1.0, 0.0]
    """
    xp, y_true, y_pred = as_matching_arrays("binary_accuracy", y_true, y_pred)
    right = (xp.astype(y_pred > threshold, y_pred.dtype) == y_true) & (y_pred == y_pred)
    return xp.astype(right, y_pred.dtype)


@functions.register()
def categorical_accuracy(y_true: Any, y_pred: Any) -> Array:
    """Categorical accuracy of one-hot targets: 1 where their class has the largest prediction, else 0.

        value = 1 if argmax(y_pred) == argmax(y_true) else 0,   along the last axis

    y_true : one-hot rows, or probabilities of classes, (n, ..., classes).
    y_pred : scores of any kind, (n, ..., classes), for values (n, ...). ValueError for different shapes.

    A class that shares the first place is not right, and nothing is where a prediction is not a number.

    >>> categorical_accuracy([[0, 1], [1, 0]], [[0.3, 0.7], [0.4, 0.6]]).tolist()
    [1.0, 0.0]
    """
    xp, y_true, y_pred = as_matching_arrays("categorical_accuracy", y_true, y_pred)
    return is_largest(y_pred, xp.argmax(y_true, axis=-1))


@functions.register()
def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Array:
    """Categorical accuracy of integer labels: 1 where their class has the largest prediction, else 0.

        value = 1 if argmax(y_pred) == y_true else 0,   along the last axis

    y_true : labels from 0 to classes - 1, (n, ...) or (n, ..., 1).
    y_pred : scores of any kind, (n, ..., classes), for values (n, ...). ValueError for shapes that do not fit.

    A class that shares the first place is not right, and nothing is where a prediction is not a number.

    >>> sparse_categorical_accuracy([1, 0], [[0.3, 0.7], [0.4, 0.6]]).tolist()
    [1.0, 0.0]
    """
    _, labels, y_pred = as_labels_and_scores("sparse_categorical_accuracy", y_true, y_pred)
    return is_largest(y_pred, labels)


@functions.register()
def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Array:
    """Top-k accuracy of one-hot targets: 1 where their class is among the k largest predictions, else 0.

        value = 1 if fewer than k of y_pred are above y_pred[argmax(y_true)] else 0

    y_true : one-hot rows, or probabilities of classes, (n, ..., classes).
    y_pred : scores of any kind, (n, ..., classes), for values (n, ...). ValueError for different shapes.
    k : 5 by default; with as many classes or fewer everything is right.

    Equal predictions share the better place.

    >>> top_k_categorical_accuracy([[0, 0, 1], [1, 0, 0]], [[0.1, 0.6, 0.3], [0.1, 0.6, 0.3]], k=2).tolist()
    [1.0, 0.0]
    """
    xp, y_true, y_pred = as_matching_arrays("top_k_categorical_accuracy", y_true, y_pred)
    return _is_among(xp, xp.argmax(y_true, axis=-1), y_pred, k)


@functions.register()
def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False) -> Array:
    """Top-k accuracy of integer labels: 1 where their class is among the k largest predictions, else 0.

        value = 1 if fewer than k of y_pred are above y_pred[y_true] else 0

    y_true : labels from 0 to classes - 1, (n, ...) or (n, ..., 1).
    y_pred : scores of any kind, (n, ..., classes), for values (n, ...). ValueError for shapes that do not fit.
    k : 5 by default; with as many classes or fewer everything is right.
    from_sorted_ids : whether y_pred are classes, (n, ..., any number), the likeliest first, and not scores.

    Equal predictions share the better place.

    >>> sparse_top_k_categorical_accuracy([2, 0], [[0.1, 0.6, 0.3], [0.1, 0.6, 0.3]], k=2).tolist()
    [1.0, 0.0]
    >>> sparse_top_k_categorical_accuracy([2, 0], [[1, 2, 0], [1, 2, 0]], k=2, from_sorted_ids=True).tolist()
    [1.0, 0.0]
    """
    if from_sorted_ids:
        xp, labels, ids = as_labels_and_scores("sparse_top_k_categorical_accuracy", y_true, y_pred)
        found = xp.any(ids[..., :k] == xp.astype(labels, ids.dtype)[..., None], axis=-1)
        return xp.astype(found, ids.dtype)
    xp, labels, y_pred = as_labels_and_scores("sparse_top_k_categorical_accuracy", y_true, y_pred)
    return _is_among(xp, labels, y_pred, k)


def _is_among(xp: Namespace, labels: Array, y_pred: Array, k: int) -> Array:
    classes = y_pred.shape[-1]
    numbers = xp.arange(classes, dtype=xp.int64, device=backend_of(y_pred).device_of(y_pred))
    own = xp.where(labels[..., None] == numbers, y_pred, -float("inf"))
    # as in Keras, equal predictions share the better place; what is not a number has none, and is above all others
    not_above = xp.count_nonzero(y_pred <= xp.max(own, axis=-1, keepdims=True), axis=-1)
    return xp.astype(not_above > classes - min(k, classes), y_pred.dtype)


class _OfClasses(MeanMetricWrapper):
    """An accuracy: targets are classes, or probabilities of them."""

    expected = "classes"

    def question_targets(self, y_true: np.ndarray) -> None:
        wrong = self._never_right(y_true)
        if wrong.any():
            warn_user(
                f"metric {self.name!r} ({self.fn.__name__}) counts targets that are predicted exactly, which have to "
                f"be {self.expected}; those given have other values, such as {y_true[wrong][0].item()!r}, which are "
                f"never right: for continuous targets use 'mae', 'rmse' or 'r2_score'"
            )

    def _never_right(self, y_true: np.ndarray) -> np.ndarray:
        """Which targets are no classes."""
        return y_true != np.floor(y_true) if y_true.dtype.kind == "f" else np.zeros(1, bool)


class _OfSameShape(_OfClasses):
    """An accuracy whose targets have the shape of the predictions."""

    @of_shapes
    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        require_matching_shapes(self.fn.__name__, y_true.shape, output_shape)


class _OfLabels(_OfClasses):
    """An accuracy whose targets are numbers of classes."""

    @of_shapes
    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        require_labels(self.fn.__name__, y_true.shape, output_shape)


@registry.register()
class Accuracy(_OfSameShape):
    """Accuracy: how often y_pred equals y_true.

        result = mean of (1 if y_pred == y_true else 0)

    y_true, y_pred : numbers (n, ...), such as classes; a prediction that is a probability is hardly ever equal.
        ValueError for different shapes.

    The name "accuracy" in `compile` means what fits the shapes, see `resolve`, and not this class.

    >>> float(Accuracy()([1, 2, 3, 4], [1, 2, 3, 5]))
    0.75
    """

    direction = "max"

    def __init__(self, name: str | None = "accuracy", dtype: str | None = None) -> None:
        super().__init__(accuracy, name, dtype)


@registry.register()
class BinaryAccuracy(_OfSameShape):
    """Binary accuracy: how often y_true is 1 where y_pred > threshold, and 0 elsewhere.

        result = mean of (1 if y_true == (1 if y_pred > threshold else 0) else 0)

    y_true : labels 0 and 1, (n, ...).
    y_pred : probabilities (n, ...). ValueError for different shapes.
    threshold : above which, exclusive, a probability says 1. For logits use 0.

    >>> float(BinaryAccuracy()([1, 0, 1, 1], [0.9, 0.2, 0.4, 0.8]))
    0.75
    """

    direction = "max"
    expected = "0 and 1"

    def __init__(self, name: str | None = "binary_accuracy", dtype: str | None = None, threshold: float = 0.5) -> None:
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)

    def _never_right(self, y_true: np.ndarray) -> np.ndarray:
        wrong: np.ndarray = (y_true != 0) & (y_true != 1)
        return wrong


@registry.register()
class CategoricalAccuracy(_OfSameShape):
    """Categorical accuracy: how often the class of one-hot targets has the largest prediction.

        result = mean of (1 if argmax(y_pred) == argmax(y_true) else 0),   along the last axis

    y_true : one-hot rows, or probabilities of classes, (n, ..., classes).
    y_pred : scores of any kind, (n, ..., classes). ValueError for different shapes.

    A class that shares the first place is not right, and nothing is where a prediction is not a number.

    >>> float(CategoricalAccuracy()([[0, 1], [1, 0]], [[0.3, 0.7], [0.4, 0.6]]))
    0.5
    """

    direction = "max"

    def __init__(self, name: str | None = "categorical_accuracy", dtype: str | None = None) -> None:
        super().__init__(categorical_accuracy, name, dtype)

    def _never_right(self, y_true: np.ndarray) -> np.ndarray:
        return _no_probabilities(y_true)


@registry.register()
class SparseCategoricalAccuracy(_OfLabels):
    """Categorical accuracy of integer labels: how often their class has the largest prediction.

        result = mean of (1 if argmax(y_pred) == y_true else 0),   along the last axis

    y_true : labels from 0 to classes - 1, (n, ...) or (n, ..., 1).
    y_pred : scores of any kind, (n, ..., classes). ValueError for shapes that do not fit.

    A class that shares the first place is not right, and nothing is where a prediction is not a number.

    >>> float(SparseCategoricalAccuracy()([1, 0], [[0.3, 0.7], [0.4, 0.6]]))
    0.5
    """

    direction = "max"

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: str | None = None) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)


@registry.register()
class TopKCategoricalAccuracy(_OfSameShape):
    """Top-k accuracy: how often the class of one-hot targets is among the k largest predictions.

        result = mean of (1 if fewer than k of y_pred are above y_pred[argmax(y_true)] else 0)

    k : at least 1, else ValueError; with as many classes or fewer everything is right.
    y_true : one-hot rows, or probabilities of classes, (n, ..., classes).
    y_pred : scores of any kind, (n, ..., classes). ValueError for different shapes.

    >>> float(TopKCategoricalAccuracy(k=2)([[0, 0, 1], [1, 0, 0]], [[0.1, 0.6, 0.3], [0.1, 0.6, 0.3]]))
    0.5
    """

    direction = "max"

    def __init__(self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: str | None = None) -> None:
        super().__init__(top_k_categorical_accuracy, name, dtype, k=_positive(k))

    def _never_right(self, y_true: np.ndarray) -> np.ndarray:
        return _no_probabilities(y_true)


@registry.register()
class SparseTopKCategoricalAccuracy(_OfLabels):
    """Top-k accuracy of integer labels: how often their class is among the k largest predictions.

        result = mean of (1 if fewer than k of y_pred are above y_pred[y_true] else 0)

    k : at least 1, else ValueError; with as many classes or fewer everything is right.
    y_true : labels from 0 to classes - 1, (n, ...) or (n, ..., 1).
    y_pred : scores of any kind, (n, ..., classes). ValueError for shapes that do not fit.
    from_sorted_ids : whether y_pred are classes, (n, ..., any number), the likeliest first, and not scores.

    >>> float(SparseTopKCategoricalAccuracy(k=2)([2, 0], [[0.1, 0.6, 0.3], [0.1, 0.6, 0.3]]))
    0.5
    """

    direction = "max"

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: str | None = None,
        from_sorted_ids: bool = False,
    ) -> None:
        k, ids = _positive(k), bool(from_sorted_ids)
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=k, from_sorted_ids=ids)


def _no_probabilities(y_true: np.ndarray) -> np.ndarray:
    """Which targets are neither whole numbers nor from 0 to 1."""
    wrong: np.ndarray = ((y_true < 0) | (y_true > 1)) & (y_true != np.floor(y_true))
    return wrong


def _positive(k: int) -> int:
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    return k
