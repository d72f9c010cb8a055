"""Confusion matrix: how often each class is taken for each."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.backends import Array, Namespace, array_namespace, asarray, get_backend, is_array
from nnx.functional.counting import bin_sums
from nnx.functional.loss_functions import require_same_backend
from nnx.losses.arrays import asarray_like
from nnx.losses.base import fit_weights
from nnx.metrics.base import Metric, registry
from nnx.metrics.tally import Tally
from nnx.metrics.targets import are_labels, fits, shape_text
from nnx.shapes import Shape

__all__ = ["ConfusionMatrix"]


class ClassCounts(Metric):
    """Counts of pairs of a true and a predicted class, and what comes from them."""

    running = ("_tally",)

    def __init__(self, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(dtype, name)
        self.reset_state()

    def reset_state(self) -> None:
        self._tally = Tally()

    def _add(
        self, xp: Namespace, true: Array, predicted: Array, classes: int, ignore_class: int | None, weight: Any
    ) -> None:
        """Count integer classes of one shape; pairs with a class that does not exist, or is ignored, are left out."""
        counted = (true >= 0) & (true < classes) & (predicted >= 0) & (predicted < classes)
        if ignore_class is not None:
            counted = counted & (true != ignore_class)
        keys = xp.where(counted, true * classes + predicted, classes * classes)
        if weight is not None:
            weight = fit_weights(weight, xp.astype(true, xp.float32))
            weight = xp.reshape(xp.broadcast_to(weight, true.shape), (-1,))
        counts = bin_sums(xp.reshape(keys, (-1,)), classes * classes, weight)
        self._tally.add(xp.reshape(counts, (classes, classes)))


@registry.register()
class ConfusionMatrix(ClassCounts):
    """Confusion matrix, how often each class was taken for each: (classes, classes), rows true, columns predicted.

        result[i, j] = sum of weights of the samples of class i that are predicted as class j

    Targets are class labels (...) or (..., 1), or one-hot (..., classes). Predictions are numbers for each class,
    (..., classes), of which the largest counts; the probability of class 1, (..., 1) or (n,), for two classes; or
    integers, which are classes themselves.

    num_classes : by default what the predictions say; ValueError below 2, and where integers leave it open.
    threshold : from where on, exclusive, a probability says class 1.
    ignore_class : samples with this label are not counted.

    Whole numbers, exact, without weights. After `fit` and `evaluate` the matrix is a NumPy array in the results.

    >>> ConfusionMatrix()([0, 1, 2, 2], [[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.2, 0.6], [0.9, 0.0, 0.1]])
    array([[1, 0, 0],
           [0, 1, 0],
           [1, 0, 1]])
    """

    def __init__(
        self,
        num_classes: int | None = None,
        threshold: float = 0.5,
        ignore_class: int | None = None,
        name: str | None = "confusion_matrix",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, dtype)
        if num_classes is not None and num_classes < 2:
            raise ValueError(f"num_classes must be at least 2, got {num_classes}")
        self.num_classes, self.threshold, self.ignore_class = num_classes, threshold, ignore_class

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_pred = y_pred if is_array(y_pred) else asarray(y_pred)
        y_true = y_true if is_array(y_true) else asarray_like(y_true, y_pred)
        if type(y_true) is not type(y_pred):
            require_same_backend(y_true, y_pred)
        xp = array_namespace(y_pred)
        if xp.isdtype(y_pred.dtype, "integral"):
            predicted, classes = y_pred, self._known_classes()
        else:
            classes = self._classes_of(y_pred.shape)
            if y_pred.shape[-1] == classes and len(y_pred.shape) > 1:
                predicted = xp.argmax(y_pred, axis=-1)
            else:
                predicted = y_pred > self.threshold
                predicted = xp.reshape(predicted, y_pred.shape[:-1]) if len(y_pred.shape) > 1 else predicted
        self._require_targets(y_true, tuple(predicted.shape), classes)
        true = _as_classes(xp, y_true, tuple(predicted.shape))
        self._add(xp, true, xp.astype(predicted, xp.int64), classes, self.ignore_class, sample_weight)

    def result(self) -> Array:
        table = self._tally.value()
        if table is None or self._tally.has_only_numbers:
            size = self.num_classes or 0
            return get_backend().zeros((size, size))
        return table

    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        classes = self._classes_of(output_shape)
        shape = output_shape[:-1] if len(output_shape) > 1 else output_shape
        self._require_targets(y_true, shape, classes)

    def _known_classes(self) -> int:
        if self.num_classes is None:
            raise ValueError(f"metric {self.name!r} needs num_classes where predictions are classes themselves")
        return self.num_classes

    def _classes_of(self, output_shape: Shape) -> int:
        """How many classes there are for floating predictions of a shape."""
        last = 1 if len(output_shape) < 2 else output_shape[-1] or 1
        classes = max(last, 2)
        if self.num_classes in (None, classes):
            return classes
        raise ValueError(
            f"metric {self.name!r} expects a number for each of {self.num_classes} classes, or integers, as "
            f"predictions; got floating ones of shape {shape_text(output_shape)}"
        )

    def _require_targets(self, y_true: Array, shape: Shape, classes: int) -> None:
        """Targets must be one-hot for, or labels of, predicted classes of a shape; and in range, if on the host."""
        if fits(y_true.shape, (*shape, classes)):
            return
        if not are_labels(y_true.shape, (*shape, classes)):
            raise ValueError(
                f"metric {self.name!r} expects class labels of shape {shape_text(shape)}, or one-hot ones of shape "
                f"{shape_text((*shape, classes))}; the targets given have the shape {shape_text(y_true.shape)}"
            )
        if isinstance(y_true, np.ndarray) and y_true.size and y_true.dtype.kind in "iuf":
            wrong = (y_true < 0) | (y_true >= classes) | (y_true != np.floor(y_true))
            if self.ignore_class is not None:
                wrong &= y_true != self.ignore_class
            if wrong.any():
                raise ValueError(
                    f"metric {self.name!r} expects class labels from 0 to {classes - 1}, got {y_true[wrong][0]}; to "
                    "leave samples out, give the metric ignore_class"
                )


def _as_classes(xp: Namespace, y_true: Array, shape: tuple[int, ...]) -> Array:
    """Labels, or one-hot rows, as int64 of the shape of predicted classes."""
    if not fits(y_true.shape, shape) and not fits(y_true.shape, (*shape, 1)):
        return xp.argmax(xp.astype(y_true, xp.int64) if xp.isdtype(y_true.dtype, "bool") else y_true, axis=-1)
    return xp.reshape(xp.astype(y_true, xp.int64, copy=False), shape)
