"""How often predictions are right: as functions that give 1 or 0 for each sample, and as metrics.

A prediction that is not a number is never right. Neither is a class that shares its first place with another one, so
that no backend's order of looking decides.
"""

from __future__ import annotations

from typing import Any

from nnx.backends import Array, Namespace, array_namespace, backend_of
from nnx.functional._losses import match_ranks, require_same_backend
from nnx.losses.arrays import as_arrays
from nnx.metrics.base import MeanMetricWrapper, functions, registry


@functions.register()
def accuracy(y_true: Any, y_pred: Any) -> Array:
    """Whether y_true equals y_pred, element by element. (n, ...), (n, ...) -> (n, ...)"""
    xp, y_true, y_pred = _alike("accuracy", y_true, y_pred)
    return xp.astype(y_true == y_pred, y_pred.dtype)


@functions.register()
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Array:
    """Whether y_true is 1 where y_pred > threshold, and 0 elsewhere. (n, ...), (n, ...) -> (n, ...)"""
    xp, y_true, y_pred = _alike("binary_accuracy", y_true, y_pred)
    right = (xp.astype(y_pred > threshold, y_pred.dtype) == y_true) & (y_pred == y_pred)
    return xp.astype(right, y_pred.dtype)


@functions.register()
def categorical_accuracy(y_true: Any, y_pred: Any) -> Array:
    """Whether the largest of y_true and of y_pred are at the same place. One-hot (..., c), (..., c) -> (...)"""
    xp, y_true, y_pred = _alike("categorical_accuracy", y_true, y_pred)
    return _is_best(xp, xp.argmax(y_true, axis=-1), y_pred)


@functions.register()
def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Array:
    """Whether the largest of y_pred is at the place of the label. Labels (...) or (..., 1), (..., c) -> (...)"""
    xp, labels, y_pred = _labelled("sparse_categorical_accuracy", y_true, y_pred)
    return _is_best(xp, labels, y_pred)


@functions.register()
def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Array:
    """Whether the class of y_true is among the k largest of y_pred. One-hot (..., c), (..., c) -> (...)"""
    xp, y_true, y_pred = _alike("top_k_categorical_accuracy", y_true, y_pred)
    return _is_among(xp, xp.argmax(y_true, axis=-1), y_pred, k)


@functions.register()
def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Array:
    """Whether the label is among the k largest of y_pred. Labels (...) or (..., 1), (..., c) -> (...)"""
    xp, labels, y_pred = _labelled("sparse_top_k_categorical_accuracy", y_true, y_pred)
    return _is_among(xp, labels, y_pred, k)


def _is_best(xp: Namespace, labels: Array, y_pred: Array) -> Array:
    highest = y_pred == xp.max(y_pred, axis=-1, keepdims=True)
    alone = xp.count_nonzero(highest, axis=-1) == 1  # 0 where something is not a number
    return xp.astype((xp.argmax(y_pred, axis=-1) == labels) & alone, y_pred.dtype)


def _is_among(xp: Namespace, labels: Array, y_pred: Array, k: int) -> Array:
    classes = y_pred.shape[-1]
    numbers = xp.arange(classes, dtype=xp.int64, device=backend_of(y_pred).device_of(y_pred))
    own = xp.where(labels[..., None] == numbers, y_pred, -float("inf"))
    # as in Keras, equal predictions share the better place; what is not a number has none, and is above all others
    not_above = xp.count_nonzero(y_pred <= xp.max(own, axis=-1, keepdims=True), axis=-1)
    return xp.astype(not_above > classes - min(k, classes), y_pred.dtype)


def _alike(metric: str, y_true: Any, y_pred: Any) -> tuple[Namespace, Array, Array]:
    """Targets and predictions of one shape and dtype."""
    y_true, y_pred = as_arrays(y_true, y_pred)
    if type(y_true) is not type(y_pred):
        require_same_backend(y_true, y_pred)
    y_true, y_pred = match_ranks(y_true, y_pred)
    if y_true.shape != y_pred.shape:
        hint = f"; for class labels there is 'sparse_{metric}'" if "categorical" in metric else ""
        raise ValueError(
            f"metric {metric!r} expects targets of the shape of the predictions, {tuple(y_pred.shape)}; the targets "
            f"given have the shape {tuple(y_true.shape)}{hint}"
        )
    xp = array_namespace(y_pred)
    return xp, xp.astype(y_true, y_pred.dtype, copy=False), y_pred


def _labelled(metric: str, y_true: Any, y_pred: Any) -> tuple[Namespace, Array, Array]:
    """Class labels as integers of the shape (...), and predictions (..., c)."""
    y_true, y_pred = as_arrays(y_true, y_pred)
    if type(y_true) is not type(y_pred):
        require_same_backend(y_true, y_pred)
    shape = y_pred.shape[:-1]
    if y_true.shape not in (shape, (*shape, 1)):
        raise ValueError(
            f"metric {metric!r} expects class labels of shape {tuple(shape)} for predictions of shape "
            f"{tuple(y_pred.shape)}; the targets given have the shape {tuple(y_true.shape)}"
        )
    xp = array_namespace(y_pred)
    return xp, xp.reshape(xp.astype(y_true, xp.int64, copy=False), shape), y_pred


@registry.register()
class Accuracy(MeanMetricWrapper):
    """How often y_pred equals y_true."""

    direction = "max"

    def __init__(self, name: str | None = "accuracy") -> None:
        super().__init__(accuracy, name)


@registry.register()
class BinaryAccuracy(MeanMetricWrapper):
    """How often y_true is 1 where y_pred > threshold, and 0 elsewhere."""

    direction = "max"

    def __init__(self, name: str | None = "binary_accuracy", threshold: float = 0.5) -> None:
        super().__init__(binary_accuracy, name, threshold=threshold)


@registry.register()
class CategoricalAccuracy(MeanMetricWrapper):
    """How often the class of one-hot targets has the largest prediction."""

    direction = "max"

    def __init__(self, name: str | None = "categorical_accuracy") -> None:
        super().__init__(categorical_accuracy, name)


@registry.register()
class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the class of integer labels has the largest prediction."""

    direction = "max"

    def __init__(self, name: str | None = "sparse_categorical_accuracy") -> None:
        super().__init__(sparse_categorical_accuracy, name)


@registry.register()
class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the class of one-hot targets is among the k largest predictions."""

    direction = "max"

    def __init__(self, k: int = 5, name: str | None = "top_k_categorical_accuracy") -> None:
        super().__init__(top_k_categorical_accuracy, name, k=_positive(k))


@registry.register()
class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the class of integer labels is among the k largest predictions."""

    direction = "max"

    def __init__(self, k: int = 5, name: str | None = "sparse_top_k_categorical_accuracy") -> None:
        super().__init__(sparse_top_k_categorical_accuracy, name, k=_positive(k))


def _positive(k: int) -> int:
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    return k
