"""Counts of right predictions at thresholds, which precision, recall, AUC and their like come from.

A prediction is positive where it is above a threshold, strictly. It is looked at once, however many thresholds there
are: what is counted is how many thresholds are below it, beside whether its label is positive. A prediction that is
not a number is above no threshold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.backends import Array, Namespace, array_namespace, backend_of, get_backend
from nnx.functional.counting import bin_sums
from nnx.losses.arrays import asarray_like
from nnx.losses.base import fit_weights
from nnx.metrics.base import Metric
from nnx.metrics.tally import Tally
from nnx.metrics.targets import as_matching_arrays, has_no_rows, require_matching_shapes, shape_text
from nnx.precision import wide
from nnx.shapes import Shape


class ThresholdMetric(Metric):
    """Counts at thresholds, and what comes from them.

    cuts : the thresholds, in the order that results are wanted in.
    top_k : only the k largest predictions along the last axis can be positive; of equal ones the first.
    class_id : look at this index of the last axis alone.
    per_label : count for each index of the last axis apart.
    label_weights : a weight for each index of the last axis.
    """

    running = ("_tally", "_dtype")

    def __init__(
        self,
        name: str | None,
        dtype: str | None,
        cuts: Sequence[float],
        *,
        top_k: int | None = None,
        class_id: int | None = None,
        per_label: bool = False,
        label_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__(dtype, name)
        if top_k is not None and top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {top_k}")
        if class_id is not None and class_id < 0:
            raise ValueError(f"class_id must be the number of a class, from 0, got {class_id}")
        self.top_k, self.class_id = top_k, class_id
        self._per_label, self._weights_of_labels = per_label, label_weights
        self._cuts = np.sort(np.asarray(cuts, dtype=np.float64))
        self._places = np.searchsorted(self._cuts, np.asarray(cuts, dtype=np.float64))
        self._first, self._evenly = float(self._cuts[0]), evenly_spaced(self._cuts)
        self.reset_state()

    def reset_state(self) -> None:
        self._tally = Tally()
        self._dtype: str | None = None  # of the predictions

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        if has_no_rows(y_pred):
            self._tally.add(0)
            return
        xp, y_true, y_pred = as_matching_arrays(self.name, y_true, y_pred)
        self._check_shape(y_pred.shape)
        y_pred = wide(y_pred)
        self._dtype = str(y_pred.dtype).rpartition(".")[2]
        weights = self._weights(xp, y_pred, sample_weight)
        if self.top_k is not None:
            y_pred = xp.where(among_largest(xp, y_pred, self.top_k), y_pred, -float("inf"))
        if self.class_id is not None:
            own = (..., slice(self.class_id, self.class_id + 1))
            y_true, y_pred, weights = y_true[own], y_pred[own], None if weights is None else weights[own]
        self._tally.add(self._counts(xp, xp.astype(y_true != 0.0, xp.int64), y_pred, weights))

    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        require_matching_shapes(self.name, y_true.shape, output_shape)
        self._check_shape(output_shape)

    def confusion(self) -> tuple[Array, Array, Array, Array]:
        """True positives, false positives, true negatives and false negatives at each threshold, (t,) or (t, labels).

        Integers unless there were weights.
        """
        table = self._tally.value()
        if table is None or self._tally.has_only_numbers:
            nothing = get_backend().zeros((len(self._cuts),))
            return nothing, nothing, nothing, nothing
        xp = array_namespace(table)
        below = xp.cumulative_sum(table, axis=0)[:-1, ...]
        above = xp.flip(xp.cumulative_sum(xp.flip(table, axis=0), axis=0), axis=0)[1:, ...]
        if not np.array_equal(self._places, np.arange(len(self._cuts))):
            places = backend_of(table).put_beside(table, self._places)
            below, above = xp.take(below, places, axis=0), xp.take(above, places, axis=0)
        return above[:, 1, ...], above[:, 0, ...], below[:, 0, ...], below[:, 1, ...]

    @property
    def true_positives(self) -> Array:
        """How many positive labels have a prediction above each threshold."""
        return self.confusion()[0]

    @property
    def false_positives(self) -> Array:
        """How many negative labels have a prediction above each threshold."""
        return self.confusion()[1]

    @property
    def true_negatives(self) -> Array:
        """How many negative labels have a prediction that is not above each threshold."""
        return self.confusion()[2]

    @property
    def false_negatives(self) -> Array:
        """How many positive labels have a prediction that is not above each threshold."""
        return self.confusion()[3]

    @property
    def without_rows(self) -> bool:
        """Whether batches were taken in, and not a single row: counts are 0, and quotients are not defined."""
        return self._tally.has_only_numbers

    def _floating(self, *counts: Array) -> tuple[Array, ...]:
        """Counts as floating numbers, at least float32."""
        xp = array_namespace(counts[0])
        dtype = counts[0].dtype if self._dtype is None else getattr(xp, self._dtype)
        return tuple(xp.astype(count, dtype, copy=False) for count in counts)

    def _alone(self, values: Array) -> Array:
        """One value as a 0-d array where there is one threshold."""
        return values[0] if len(self._cuts) == 1 else values

    def _check_shape(self, output_shape: Shape) -> None:
        if self.class_id is not None and (len(output_shape) < 2 or (output_shape[-1] or 0) <= self.class_id):
            raise ValueError(
                f"metric {self.name!r} looks at class_id={self.class_id}, which predictions of shape "
                f"{shape_text(output_shape)} do not have"
            )

    def _weights(self, xp: Namespace, y_pred: Array, sample_weight: Any) -> Array | None:
        """A weight for each prediction; None where each counts as 1."""
        weights = None if sample_weight is None else fit_weights(sample_weight, y_pred)
        if self._weights_of_labels is not None and not self._per_label:
            of_labels = asarray_like(self._weights_of_labels, y_pred)
            weights = of_labels if weights is None else weights * of_labels
        return None if weights is None else xp.broadcast_to(weights, y_pred.shape)

    def _counts(self, xp: Namespace, positive: Array, y_pred: Array, weights: Array | None) -> Array:
        """How often which number of thresholds is below a prediction, (t + 1, 2), or (t + 1, 2, labels)."""
        keys = 2 * self._cuts_below(xp, y_pred) + positive
        shape: tuple[int, ...] = (len(self._cuts) + 1, 2)
        if self._per_label:
            labels = y_pred.shape[-1]
            keys = keys * labels + xp.arange(labels, dtype=keys.dtype, device=backend_of(keys).device_of(keys))
            shape = (*shape, labels)
        flat = None if weights is None else xp.reshape(weights, (-1,))
        return xp.reshape(bin_sums(xp.reshape(keys, (-1,)), math.prod(shape), flat), shape)

    def _cuts_below(self, xp: Namespace, y_pred: Array) -> Array:
        """How many thresholds are below each prediction, int64."""
        count = len(self._cuts)
        if count == 1:
            return xp.astype(y_pred > self._first, xp.int64)
        y_pred = xp.where(y_pred == y_pred, y_pred, -float("inf"))
        if not self._evenly:
            cuts = asarray_like(self._cuts, y_pred)
            return xp.reshape(xp.searchsorted(cuts, xp.reshape(y_pred, (-1,))), y_pred.shape)
        steps = xp.ceil(xp.minimum(xp.maximum(y_pred, 0.0), 1.0) * (count - 1.0))
        lowest = 1.0 if self._first < 0.0 else 0.0  # a first threshold just below 0 is below all predictions
        return xp.astype(xp.maximum(steps, lowest), xp.int64)


def evenly_spaced(cuts: np.ndarray) -> bool:
    """Even spacing: whether thresholds are 0, 1/(t-1), ..., 1, so that no search is needed; Keras's tolerance."""
    even = np.arange(len(cuts)) / max(len(cuts) - 1, 1)
    return len(cuts) > 2 and np.allclose(cuts, even, atol=1e-7)


def among_largest(xp: Namespace, values: Array, k: int) -> Array:
    """The k largest values of the last axis, as a mask; of equal ones the first. What is no number is last."""
    order = xp.argsort(-values, axis=-1, stable=True)
    return xp.argsort(order, axis=-1, stable=True) < k


def ratio(part: Array, whole: Array) -> Array:
    """Quotient part / whole, and 0 where whole is 0."""
    xp = array_namespace(part)
    empty = whole == 0.0
    return xp.where(empty, 0.0, part / xp.where(empty, 1.0, whole))
