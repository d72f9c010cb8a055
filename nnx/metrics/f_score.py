"""F-scores: the harmonic mean of precision and recall."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.arguments import is_number
from nnx.backends import Array, array_namespace, get_backend
from nnx.functional.loss_functions import EPSILON
from nnx.losses.base import fit_weights
from nnx.metrics.base import Metric, registry
from nnx.metrics.tally import Tally
from nnx.metrics.targets import as_matching_arrays, has_no_rows, require_matching_shapes, shape_text
from nnx.precision import wide
from nnx.shapes import Shape
from nnx.user_warnings import warn_user

__all__ = ["F1Score", "FBetaScore"]

_AVERAGES = (None, "micro", "macro", "weighted")


@registry.register()
class FBetaScore(Metric):
    """F-score of each class, or their average: a mean of precision and recall that is low if one of them is.

        score = (1 + beta**2) * precision * recall / (beta**2 * precision + recall)
        precision = tp / (tp + fp),   recall = tp / (tp + fn)

    Van Rijsbergen, "Information retrieval", 1979. Where nothing is to be divided by, precision, recall or score is 0.

    y_true : one-hot rows, or several labels 0 and 1 a row, (n, classes).
    y_pred : scores (n, classes). ValueError for other shapes.
    average : None for one value for each class, (classes,); "micro" for that of all classes together; "macro" for the
        mean over classes; "weighted" for the mean weighted by how many labels each class has.
    beta : how many times more recall counts than precision; positive.
    threshold : predictions above it are positive, from above 0 to 1; None for the largest one of each row.

    ValueError for arguments that are none of these.

    >>> score = FBetaScore(average="macro", beta=2.0, threshold=0.5)
    >>> round(float(score([[1, 0], [1, 1], [0, 1]], [[0.9, 0.1], [0.2, 0.8], [0.1, 0.7]])), 3)  # 5/9 and 1
    0.778
    """

    direction = "max"

    running = ("_tally",)

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)
        if average not in _AVERAGES:
            raise ValueError(f"average must be one of {', '.join(map(repr, _AVERAGES))}; got {average!r}")
        if not is_number(beta) or not beta > 0.0:
            raise ValueError(f"beta must be positive, got {beta!r}")
        if threshold is not None and not (is_number(threshold) and 0.0 < threshold <= 1.0):
            raise ValueError(f"threshold must be above 0 and at most 1, or None for the largest; got {threshold!r}")
        self.average, self.beta, self.threshold = average, float(beta), threshold
        self.reset_state()

    def reset_state(self) -> None:
        self._tally = Tally()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        if has_no_rows(y_pred):
            self._tally.add(0)
            return
        xp, y_true, y_pred = as_matching_arrays(self.name, y_true, y_pred)
        self._check_shape(y_pred.shape)
        y_true, y_pred = wide(y_true), wide(y_pred)
        if self.threshold is None:  # a row of zeros has no largest
            positive = (y_pred >= xp.max(y_pred, axis=-1, keepdims=True)) & (xp.abs(y_pred) > 1e-9)
        else:
            positive = y_pred > self.threshold
        positive = xp.astype(positive, y_pred.dtype)
        counts = xp.stack([positive * y_true, positive, y_true])
        if sample_weight is not None:
            counts = counts * fit_weights(sample_weight, y_pred)
        self._tally.add(xp.sum(counts, axis=1))

    def result(self) -> Array:
        if self._tally.has_only_numbers:
            return self.undefined()
        counts = self._tally.value()
        if counts is None:
            return get_backend().zeros(())
        xp = array_namespace(counts)
        if self.average == "micro":
            counts = xp.sum(counts, axis=1)
        right, predicted, labels = counts[0, ...], counts[1, ...], counts[2, ...]
        precision, recall = right / (predicted + EPSILON), right / (labels + EPSILON)
        square = self.beta**2
        scores = precision * recall / (square * precision + recall + EPSILON) * (1.0 + square)
        if self.average == "weighted":
            return xp.sum(scores * (labels / (xp.sum(labels) + EPSILON)))
        return scores if self.average is None else xp.mean(scores)

    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        require_matching_shapes(self.name, y_true.shape, output_shape)
        self._check_shape(output_shape)
        if output_shape[-1] == 1 and self.threshold is None:
            warn_user(
                f"metric {self.name!r} takes the largest prediction of each row as positive, and rows of one "
                "prediction have no other; for the output of a sigmoid use threshold=0.5",
                UserWarning,
            )

    def _check_shape(self, output_shape: Shape) -> None:
        if len(output_shape) != 2:
            raise ValueError(
                f"metric {self.name!r} expects predictions (n, classes), got the shape {shape_text(output_shape)}"
            )


@registry.register()
class F1Score(FBetaScore):
    """F-score with beta=1, the harmonic mean of precision and recall.

        score = 2 * precision * recall / (precision + recall)
        precision = tp / (tp + fp),   recall = tp / (tp + fn)

    y_true, y_pred, average, threshold : as for `FBetaScore`.

    >>> score = F1Score(average="macro", threshold=0.5)
    >>> round(float(score([[1, 0], [1, 1], [0, 1]], [[0.9, 0.1], [0.2, 0.8], [0.1, 0.7]])), 4)
    0.8333
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: str | None = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)
