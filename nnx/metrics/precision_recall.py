"""Counts of right and wrong predictions at thresholds, precision and recall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.arguments import is_number, python_numbers
from nnx.backends import Array
from nnx.metrics.base import registry
from nnx.metrics.thresholds import ThresholdMetric, ratio

__all__ = ["FalseNegatives", "FalsePositives", "Precision", "Recall", "TrueNegatives", "TruePositives"]

Thresholds = float | Sequence[float] | None


class _AtThresholds(ThresholdMetric):
    """A metric that has one value, or one for each of several thresholds.

    thresholds : numbers from 0 to 1, also the limit of logits at 0; by default 0.5, or none where there is a `top_k`.
    """

    def __init__(
        self, name: str | None, dtype: str | None, thresholds: Thresholds, top_k: int | None = None, **options: Any
    ) -> None:
        self.init_thresholds = thresholds.tolist() if isinstance(thresholds, np.ndarray) else thresholds
        default = 0.5 if top_k is None else -1e10
        given = default if thresholds is None else thresholds
        self.thresholds: list[float] = python_numbers(list(given)) if hasattr(given, "__iter__") else [given]
        fits = [thresholds is None or (is_number(cut) and 0.0 <= cut <= 1.0) for cut in self.thresholds]
        wrong = [cut for cut, fit in zip(self.thresholds, fits, strict=True) if not fit]
        if wrong or not self.thresholds:
            raise ValueError(f"thresholds must be numbers from 0 to 1, got {wrong or self.thresholds}")
        super().__init__(name, dtype, self.thresholds, top_k=top_k, **options)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thresholds": self.init_thresholds}


class _Count(_AtThresholds):
    """How many predictions are of one kind, or what their weights add up to."""

    kind: int

    def __init__(self, thresholds: Thresholds = None, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(name, dtype, thresholds)

    def result(self) -> Array:
        return self._alone(self.confusion()[self.kind])


@registry.register()
class TruePositives(_Count):
    """How many positive labels have a prediction above the threshold.

        result = sum of weights where y_true is not 0 and y_pred > threshold

    y_true : labels 0 and 1, (n, ...).
    y_pred : probabilities (n, ...). ValueError for different shapes.
    thresholds : 0.5 by default; for several there is a value for each, in their order. ValueError outside of [0, 1].

    Whole numbers, exact, without weights.

    >>> int(TruePositives()([0, 1, 1, 1], [0.1, 0.3, 0.6, 0.9]))
    2
    >>> TruePositives(thresholds=[0.2, 0.5])([0, 1, 1, 1], [0.1, 0.3, 0.6, 0.9]).tolist()
    [3, 2]
    """

    kind = 0


@registry.register()
class FalsePositives(_Count):
    """How many negative labels have a prediction above the threshold.

        result = sum of weights where y_true is 0 and y_pred > threshold

    Targets, predictions and arguments are those of `TruePositives`.

    >>> int(FalsePositives()([0, 0, 0, 1], [0.1, 0.7, 0.6, 0.9]))
    2
    """

    kind = 1


@registry.register()
class TrueNegatives(_Count):
    """How many negative labels have a prediction not above the threshold.

        result = sum of weights where y_true is 0 and not y_pred > threshold

    Targets, predictions and arguments are those of `TruePositives`.

    >>> int(TrueNegatives()([0, 0, 0, 1], [0.1, 0.7, 0.6, 0.9]))
    1
    """

    kind = 2


@registry.register()
class FalseNegatives(_Count):
    """How many positive labels have a prediction not above the threshold.

        result = sum of weights where y_true is not 0 and not y_pred > threshold

    Targets, predictions and arguments are those of `TruePositives`.

    >>> int(FalseNegatives()([0, 1, 1, 1], [0.1, 0.3, 0.4, 0.9]))
    2
    """

    kind = 3


@registry.register()
class Precision(_AtThresholds):
    """The share of positive labels among the predictions above the threshold; 0 where there are none.

        result = tp / (tp + fp)

    y_true : labels 0 and 1, (n, ...).
    y_pred : probabilities (n, ...). ValueError for different shapes.
    thresholds : 0.5 by default; for several there is a value for each, in their order. Of logits use 0. ValueError
        outside of [0, 1].
    top_k : only the k largest predictions of a sample count, all of them if there are no thresholds.
    class_id : look at this class alone, for labels and predictions (n, ..., classes).

    >>> round(float(Precision()([0, 1, 1, 1], [0.6, 0.3, 0.7, 0.9])), 4)
    0.6667
    """

    direction = "max"

    def __init__(
        self,
        thresholds: Thresholds = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, dtype, thresholds, top_k, class_id=class_id)

    def result(self) -> Array:
        if self.without_rows:
            return self.undefined()
        right, wrong, _, _ = self.confusion()
        return self._alone(ratio(*self._floating(right, right + wrong)))


@registry.register()
class Recall(_AtThresholds):
    """The share of the positive labels that have a prediction above the threshold; 0 where there are none.

        result = tp / (tp + fn)

    Targets, predictions and arguments are those of `Precision`.

    >>> round(float(Recall()([0, 1, 1, 1], [0.6, 0.3, 0.7, 0.9])), 4)
    0.6667
    """

    direction = "max"

    def __init__(
        self,
        thresholds: Thresholds = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, dtype, thresholds, top_k, class_id=class_id)

    def result(self) -> Array:
        if self.without_rows:
            return self.undefined()
        found, _, _, missed = self.confusion()
        return self._alone(ratio(*self._floating(found, found + missed)))
