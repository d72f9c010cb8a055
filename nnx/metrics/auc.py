"""Area under a curve (AUC), from one pass over the predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.backends import Array, array_namespace, to_numpy
from nnx.functional.activations import sigmoid
from nnx.losses.arrays import as_arrays, asarray_like
from nnx.metrics.base import registry
from nnx.metrics.targets import require_count, shape_text
from nnx.metrics.thresholds import ThresholdMetric, ratio
from nnx.shapes import Shape

__all__ = ["AUC"]

_CURVES = ("ROC", "PR", "PRGAIN")
_SUMMATIONS = ("interpolation", "majoring", "minoring")
_MARGIN = 1e-7  # how far the first threshold is below 0 and the last above 1


@registry.register()
class AUC(ThresholdMetric):
    """Area under the ROC curve, or under the precision-recall curve, approximated at thresholds.

        recall = tp / (tp + fn), over the rate of false positives, fp / (fp + tn)                   "ROC"
        precision = tp / (tp + fp), over recall                                                     "PR"
        1 - (tp + fn) / (tn + fp) * fp / tp, over 1 - (tp + fn) / (tn + fp) * fn / tp, from 0 on    "PRGAIN"

    The counts are those of predictions above a threshold, at every threshold; a quotient by 0 is 0.

    y_true : labels 0 and 1, (n, ...).
    y_pred : probabilities (n, ...). ValueError for different shapes.
    num_thresholds : how many, in equal steps from 0 to 1.
    curve : "ROC", recall over the rate of false positives; "PR", precision over recall; "PRGAIN", the gain of
        precision over that of recall (Flach and Kull, 2015).
    summation_method : "interpolation", trapezoids for "ROC" and "PRGAIN", for "PR" what interpolated counts give
        (Davis and Goadrich, 2006); "minoring" and "majoring", rectangles below and above the curve.
    thresholds : others in place of equal steps; one below 0 and one above 1 are added.
    multi_label : an area for each of the labels (n, labels), then their mean, weighted by `label_weights`; else each
        pair of a label and a prediction counts as one, times the weight of its label.
    num_labels : how many labels there are, if `multi_label`; by default what the predictions say.
    from_logits : whether predictions are logits, that the sigmoid makes probabilities of.

    `true_positives`, `false_positives`, `true_negatives` and `false_negatives` are arrays (thresholds,), or
    (thresholds, labels), and `points` is the curve itself. ValueError for other names of curves and methods, and for
    labels or weights of them that do not fit.

    >>> float(AUC()([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9]))
    0.75
    """

    direction = "max"

    def __init__(
        self,
        num_thresholds: int | None = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: str | None = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:
        self.curve = _one_of(_CURVES, "curve", curve)
        self.summation_method = _one_of(_SUMMATIONS, "summation_method", summation_method)
        self.multi_label, self.num_labels, self.from_logits = multi_label, num_labels, from_logits
        self.label_weights = None if label_weights is None else [float(weight) for weight in label_weights]
        if num_labels is not None and not multi_label:
            raise ValueError("num_labels goes with multi_label=True")
        if thresholds is None:
            require_count("num_thresholds", num_thresholds or 0, 2)
            steps = (num_thresholds or 0) - 1
            inner = [step / steps for step in range(1, steps)]
        else:
            inner = sorted(float(cut) for cut in thresholds)
        self._given = None if thresholds is None else inner
        self.thresholds: list[float] = [-_MARGIN, *inner, 1.0 + _MARGIN]
        self.num_thresholds = len(self.thresholds)
        super().__init__(name, dtype, self.thresholds, per_label=multi_label, label_weights=self.label_weights)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        if self.from_logits:
            y_true, y_pred = as_arrays(y_true, y_pred)
            y_pred, _ = sigmoid(y_pred)
        super().update_state(y_true, y_pred, sample_weight)

    def result(self) -> Array:
        if self.without_rows:
            return self.undefined()
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self.interpolate_pr_auc()
        x, y = self._curve()
        xp = array_namespace(x)
        left, right = y[:-1, ...], y[1:, ...]
        if self.summation_method == "interpolation":
            heights = (left + right) / 2.0
        else:
            heights = (xp.minimum if self.summation_method == "minoring" else xp.maximum)(left, right)
        return self._sum((x[:-1, ...] - x[1:, ...]) * heights)

    def interpolate_pr_auc(self) -> Array:
        """The area under precision over recall, if true and false positives vary linearly between thresholds."""
        return self._sum(self._interpolated())

    def _sum(self, areas: Array) -> Array:
        """The area of the whole curve; of several labels the mean."""
        xp = array_namespace(areas)
        by_label = xp.sum(areas, axis=0)
        if len(by_label.shape) == 0 or self.label_weights is None:
            return xp.mean(by_label)
        weights = asarray_like(self.label_weights, by_label)
        return ratio(xp.sum(by_label * weights), xp.sum(weights))

    def points(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The curve on the host: x, y and the thresholds, each (thresholds,), or (thresholds, labels) for x and y.

        Of "ROC" x is the rate of false positives and y recall, of "PR" recall and precision, which is 1 where nothing
        is above the threshold. In the order of thresholds: x falls. Waits for the device.

        >>> auc = AUC(num_thresholds=3)
        >>> auc.update_state([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9])
        >>> x, y, _ = auc.points()
        >>> x.tolist(), y.tolist()
        ([1.0, 0.0, 0.0], [1.0, 0.5, 0.0])
        """
        x, y = self._curve()
        if self.curve == "PR":
            y = array_namespace(y).where(self.true_positives + self.false_positives == 0, 1.0, y)
        return to_numpy(x), to_numpy(y), np.asarray(self.thresholds)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thresholds": self._given}

    def _check_shape(self, output_shape: Shape) -> None:
        labels = output_shape[-1] if output_shape else None
        if self.multi_label and len(output_shape) != 2:
            raise ValueError(
                f"metric {self.name!r} with multi_label=True expects predictions (n, labels), got the shape "
                f"{shape_text(output_shape)}"
            )
        if self.num_labels not in (None, labels):
            raise ValueError(f"metric {self.name!r} has num_labels={self.num_labels}, got predictions of {labels}")
        if self.label_weights is not None and len(self.label_weights) != labels:
            raise ValueError(
                f"metric {self.name!r} has label_weights for {len(self.label_weights)} labels, got predictions of "
                f"shape {shape_text(output_shape)}"
            )

    def _curve(self) -> tuple[Array, Array]:
        """x and y at each threshold."""
        tp, fp, tn, fn = self._floating(*self.confusion())
        if self.curve == "ROC":
            return ratio(fp, fp + tn), ratio(tp, tp + fn)
        if self.curve == "PR":
            return ratio(tp, tp + fn), ratio(tp, tp + fp)
        xp = array_namespace(tp)
        odds = ratio(tp + fn, tn + fp)
        recall_gain = xp.where(tp == 0.0, 0.0, 1.0 - odds * ratio(fn, tp))
        precision_gain = xp.where(tp == 0.0, 1.0, 1.0 - odds * ratio(fp, tp))
        return xp.maximum(recall_gain, 0.0), precision_gain

    def _interpolated(self) -> Array:
        """The areas between thresholds under precision over recall, if true and false positives vary linearly.

        With p = tp + fp and slope = dtp / dp, the integral of precision over recall between thresholds a and b is
        slope * (dtp + (tp_b - slope * p_b) * log(p_a / p_b)) / (tp + fn).
        """
        tp, fp, _, fn = self._floating(*self.confusion())
        xp = array_namespace(tp)
        p = tp + fp
        tp_b, p_a, p_b = tp[1:, ...], p[:-1, ...], p[1:, ...]
        dtp = tp[:-1, ...] - tp_b
        slope = ratio(dtp, xp.maximum(p_a - p_b, 0.0))
        growth = xp.where((p_a > 0.0) & (p_b > 0.0), ratio(p_a, p_b), 1.0)
        return ratio(slope * (dtp + (tp_b - slope * p_b) * xp.log(growth)), tp_b + fn[1:, ...])


def _one_of(known: tuple[str, ...], argument: str, value: str) -> str:
    found = [name for name in known if name.lower() == str(value).lower()]
    if not found:
        raise ValueError(f"{argument} must be one of {', '.join(map(repr, known))}; got {value!r}")
    return found[0]
