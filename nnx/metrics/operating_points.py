"""Operating points: the best of one rate under a bound for another, over thresholds from 0 to 1 in equal steps."""

from __future__ import annotations

from nnx.backends import Array, array_namespace
from nnx.metrics.base import registry
from nnx.metrics.targets import require_count
from nnx.metrics.thresholds import ThresholdMetric, ratio

__all__ = ["PrecisionAtRecall", "RecallAtPrecision", "SensitivityAtSpecificity", "SpecificityAtSensitivity"]


class _Best(ThresholdMetric):
    """The largest of one rate where another is at least `bound`; 0 if it is nowhere."""

    direction = "max"

    def __init__(
        self, bounded: str, bound: float, num_thresholds: int, class_id: int | None, name: str | None, dtype: str | None
    ) -> None:
        if not 0.0 <= bound <= 1.0:
            raise ValueError(f"{bounded} must be from 0 to 1, got {bound}")
        require_count("num_thresholds", num_thresholds, 1)
        self.num_thresholds = num_thresholds
        self._bound = bound
        steps = num_thresholds - 1
        self.thresholds = [0.5] if steps == 0 else [step / steps for step in range(num_thresholds)]
        super().__init__(name, dtype, self.thresholds, class_id=class_id)

    def rates(self) -> tuple[Array, Array]:
        """At each threshold the rate that is wanted, and the one that is bounded."""
        raise NotImplementedError

    def result(self) -> Array:
        if self.without_rows:
            return self.undefined()
        wanted, bounded = self.rates()
        xp = array_namespace(wanted)
        return xp.max(xp.where(bounded >= self._bound, wanted, 0.0))

    def _sensitivity(self) -> Array:
        found, _, _, missed = self.confusion()
        return ratio(*self._floating(found, found + missed))

    def _specificity(self) -> Array:
        _, wrong, spared, _ = self.confusion()
        return ratio(*self._floating(spared, spared + wrong))

    def _precision(self) -> Array:
        found, wrong, _, _ = self.confusion()
        return ratio(*self._floating(found, found + wrong))


@registry.register()
class SensitivityAtSpecificity(_Best):
    """Largest sensitivity at a threshold where the specificity is at least `specificity`.

        result = max(tp / (tp + fn)) over thresholds with tn / (tn + fp) >= specificity,   0 if there are none

    y_true : labels 0 and 1, (n, ...).
    y_pred : probabilities (n, ...). ValueError for different shapes.
    specificity : from 0 to 1, else ValueError.
    num_thresholds : how many thresholds from 0 to 1, in equal steps, are looked at; a single one is 0.5.
    class_id : look at this class alone, for labels and predictions (n, ..., classes).

    >>> float(SensitivityAtSpecificity(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8]))
    0.5
    """

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        self.specificity = specificity
        super().__init__("specificity", specificity, num_thresholds, class_id, name, dtype)

    def rates(self) -> tuple[Array, Array]:
        return self._sensitivity(), self._specificity()


@registry.register()
class SpecificityAtSensitivity(_Best):
    """Largest specificity at a threshold where the sensitivity is at least `sensitivity`.

        result = max(tn / (tn + fp)) over thresholds with tp / (tp + fn) >= sensitivity,   0 if there are none

    sensitivity : from 0 to 1, else ValueError.

    Targets, predictions and other arguments are those of `SensitivityAtSpecificity`.

    >>> round(float(SpecificityAtSensitivity(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])), 3)
    0.667
    """

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        self.sensitivity = sensitivity
        super().__init__("sensitivity", sensitivity, num_thresholds, class_id, name, dtype)

    def rates(self) -> tuple[Array, Array]:
        return self._specificity(), self._sensitivity()


@registry.register()
class PrecisionAtRecall(_Best):
    """Largest precision at a threshold where the recall is at least `recall`.

        result = max(tp / (tp + fp)) over thresholds with tp / (tp + fn) >= recall,   0 if there are none

    recall : from 0 to 1, else ValueError.

    Targets, predictions and other arguments are those of `SensitivityAtSpecificity`.

    >>> float(PrecisionAtRecall(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8]))
    0.5
    """

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        self.recall = recall
        super().__init__("recall", recall, num_thresholds, class_id, name, dtype)

    def rates(self) -> tuple[Array, Array]:
        return self._precision(), self._sensitivity()


@registry.register()
class RecallAtPrecision(_Best):
    """Largest recall at a threshold where the precision is at least `precision`.

        result = max(tp / (tp + fn)) over thresholds with tp / (tp + fp) >= precision,   0 if there are none

    precision : from 0 to 1, else ValueError.

    Targets, predictions and other arguments are those of `SensitivityAtSpecificity`.

    >>> float(RecallAtPrecision(0.8)([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9]))
    0.5
    """

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        self.precision = precision
        super().__init__("precision", precision, num_thresholds, class_id, name, dtype)

    def rates(self) -> tuple[Array, Array]:
        return self._sensitivity(), self._precision()
