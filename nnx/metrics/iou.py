"""Intersection over union: how well the areas of classes are met, as in segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.backends import Array, Namespace, array_namespace, backend_of, get_backend
from nnx.functional.loss_functions import require_same_backend
from nnx.losses.arrays import as_arrays
from nnx.metrics.base import registry
from nnx.metrics.confusion import ClassCounts
from nnx.metrics.targets import are_labels, has_no_rows, require_count, require_matching_shapes, shape_text
from nnx.metrics.thresholds import ratio
from nnx.shapes import Shape

__all__ = ["BinaryIoU", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"]


@registry.register()
class IoU(ClassCounts):
    """Intersection over union, the mean over some classes of that of their true and their predicted area.

        result = mean over target_class_ids of tp / (tp + fp + fn)

    Classes that are neither in the labels nor in the predictions do not count. As in Keras, labels and predictions that
    are no classes from 0 to num_classes - 1 are left out; unlike there, weights need not be whole numbers.

    y_true, y_pred : class numbers of one shape (n, ...), or with one axis more of numbers for each class. ValueError
        for shapes that do not fit.
    num_classes : how many classes there are.
    target_class_ids : those that the mean is over; ValueError if there are none, or such that do not exist.
    ignore_class : samples with this label are not counted.
    sparse_y_true, sparse_y_pred : whether these are class numbers; else numbers for each class, of which the largest
        counts, along `axis`.

    >>> round(float(IoU(num_classes=2, target_class_ids=[0])([0, 0, 1, 1], [0, 1, 0, 1])), 4)
    0.3333
    """

    direction = "max"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(name, dtype)
        self.num_classes, self.target_class_ids = num_classes, list(target_class_ids)
        wrong = [number for number in self.target_class_ids if not 0 <= number < num_classes]
        if wrong or not self.target_class_ids:
            raise ValueError(
                f"target_class_ids must be classes from 0 to {num_classes - 1}, got {wrong or target_class_ids}"
            )
        self.ignore_class, self.axis = ignore_class, axis
        self.sparse_y_true, self.sparse_y_pred = sparse_y_true, sparse_y_pred

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        if has_no_rows(y_pred):
            self._tally.add(0)
            return
        y_true, y_pred = as_arrays(y_true, y_pred)
        if type(y_true) is not type(y_pred):
            require_same_backend(y_true, y_pred)
        self._require_shapes(y_true.shape, y_pred.shape)
        xp = array_namespace(y_pred)
        predicted = self._predicted_classes(xp, y_pred)
        true = xp.reshape(_classes(xp, y_true, None if self.sparse_y_true else self.axis), predicted.shape)
        self._add(xp, true, predicted, self.num_classes, self.ignore_class, sample_weight)

    def result(self) -> Array:
        if self._tally.has_only_numbers:
            return self.undefined()
        table = self._tally.value()
        if table is None:
            return get_backend().zeros(())
        xp = array_namespace(table)
        table = xp.astype(table, xp.float32) if xp.isdtype(table.dtype, "integral") else table
        both = xp.linalg.diagonal(table)
        either = xp.sum(table, axis=0) + xp.sum(table, axis=1) - both
        numbers = backend_of(table).put_beside(table, np.asarray(self.target_class_ids))
        both, either = xp.take(both, numbers, axis=0), xp.take(either, numbers, axis=0)
        return ratio(xp.sum(ratio(both, either)), xp.sum(xp.astype(either > 0.0, table.dtype)))

    @property
    def total_cm(self) -> Array:
        """How often each class was taken for each: (num_classes, num_classes), rows true, columns predicted."""
        table = self._tally.value()
        size = (self.num_classes, self.num_classes)
        return get_backend().zeros(size) if table is None or self._tally.has_only_numbers else table

    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        self._require_shapes(y_true.shape, output_shape)

    def _predicted_classes(self, xp: Namespace, y_pred: Array) -> Array:
        return _classes(xp, y_pred, None if self.sparse_y_pred else self.axis)

    def _require_shapes(self, target_shape: Shape, output_shape: Shape) -> None:
        true = target_shape if self.sparse_y_true else _without(target_shape, self.axis)
        predicted = output_shape if self.sparse_y_pred else _without(output_shape, self.axis)
        many = len(output_shape) > 1 and output_shape[-1] != 1
        if self.sparse_y_true and self.sparse_y_pred and many and are_labels(target_shape, output_shape):
            raise ValueError(
                f"metric {self.name!r} expects class numbers as predictions, got numbers for each class, shape "
                f"{shape_text(output_shape)}; give it sparse_y_pred=False"
            )
        require_matching_shapes(self.name, true, predicted)


@registry.register()
class MeanIoU(IoU):
    """Mean of intersection over union over all classes.

        result = mean over classes of tp / (tp + fp + fn)

    Arguments, and which classes count, as for `IoU`.

    >>> round(float(MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1])), 4)
    0.3333
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        require_count("num_classes", num_classes, 1)
        super().__init__(num_classes, range(num_classes), name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)


@registry.register()
class BinaryIoU(IoU):
    """Intersection over union of class 0, class 1, or their mean, for probabilities.

        result = mean over target_class_ids of tp / (tp + fp + fn)

    y_true : labels 0 and 1, (n, ...).
    y_pred : probabilities (n, ...). ValueError for different shapes.
    target_class_ids : (0,), (1,) or (0, 1).
    threshold : from where on, inclusive, a prediction says class 1.

    >>> float(BinaryIoU(target_class_ids=[1])([0, 0, 1, 1], [0.1, 0.2, 0.4, 0.9]))
    0.5
    """

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold

    def _predicted_classes(self, xp: Namespace, y_pred: Array) -> Array:
        return xp.astype(y_pred >= self.threshold, xp.int64)


@registry.register()
class OneHotIoU(IoU):
    """Mean of intersection over union over some classes, for one-hot labels.

        result = mean over target_class_ids of tp / (tp + fp + fn)

    y_true : one-hot along `axis`, (n, ..., num_classes).
    y_pred : numbers for each class, of which the largest counts, of that shape; class numbers if `sparse_y_pred`.

    Other arguments as for `IoU`.

    >>> metric = OneHotIoU(num_classes=3, target_class_ids=[0])
    >>> float(metric([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[0.9, 0.1, 0.0], [0.6, 0.3, 0.1], [0.0, 0.2, 0.8]]))
    0.5
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)


@registry.register()
class OneHotMeanIoU(IoU):
    """Mean of intersection over union over all classes, for one-hot labels.

        result = mean over classes of tp / (tp + fp + fn)

    Arguments as for `OneHotIoU`.

    >>> float(OneHotMeanIoU(num_classes=2)([[1, 0], [0, 1]], [[0.9, 0.1], [0.6, 0.4]]))  # 1/2 and 0
    0.25
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        require_count("num_classes", num_classes, 1)
        super().__init__(num_classes, range(num_classes), name, dtype, ignore_class, False, sparse_y_pred, axis)


def _classes(xp: Namespace, y: Array, axis: int | None) -> Array:
    """Class numbers as int64: as they are, or where the largest is along an axis."""
    if axis is None:
        return xp.astype(y, xp.int64, copy=False)
    return xp.argmax(xp.astype(y, xp.int64) if xp.isdtype(y.dtype, "bool") else y, axis=axis)


def _without(shape: Shape, axis: int) -> Shape:
    if not -len(shape) <= axis < len(shape):
        return shape
    axis %= len(shape)
    return shape[:axis] + shape[axis + 1 :]
