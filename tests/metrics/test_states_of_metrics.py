"""A metric that goes on in the middle of an epoch has the same result as one that did not stop."""

from __future__ import annotations

import pytest

from nnx import metrics
from nnx.backends import Placement, array_namespace, is_array
from nnx.metrics import MeanMetricWrapper, Metric
from nnx.testing import assert_close
from nnx.testing.cases_metrics import metric_cases, metric_data

CASES = {title: (kind, make) for title, kind, make in metric_cases()}
OF_VALUES = {"Mean": metrics.Mean, "Sum": metrics.Sum}
ONE_VALUE_A_BATCH = ("Dice", "Tversky")  # and so no weights of samples
BATCHES = 4


def feed(metric: Metric, place: Placement, kind: str, batches: range, weighted: bool) -> None:
    for i in batches:
        y_true, y_pred, weight = metric_data(kind, seed=i)
        arrays = [place.asarray(y_true), place.asarray(y_pred)]
        metric.update_state(
            *arrays[isinstance(metric, metrics.Mean | metrics.Sum) :], place.asarray(weight) if weighted else None
        )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("title", [*CASES, *OF_VALUES])
def test_goes_on(backend: Placement, title: str, weighted: bool):
    kind, make = CASES.get(title) or ("numbers", OF_VALUES[title])
    whole, first, second = make(), make(), make()
    weighted = weighted and title not in ONE_VALUE_A_BATCH
    feed(whole, backend, kind, range(BATCHES), weighted)
    feed(first, backend, kind, range(2), weighted)
    state = first.state()
    assert state
    second.set_state(state)
    feed(second, backend, kind, range(2, BATCHES), weighted)
    assert_close(second.result(), whole.result(), 0.0, 0.0)
    first.reset_state()
    assert is_array(second.result())
    assert array_namespace(second.result()) is backend.xp


class Last(Metric):
    """The mean of the last batch."""

    def __init__(self) -> None:
        super().__init__("last")
        self.reset_state()

    def reset_state(self) -> None:
        self.value = 0.0


def test_what_one_of_your_own_has_to_say():
    words = r"metric 'last' cannot be saved in the middle of an epoch: Last has to say which attributes its reset_state"
    with pytest.raises(TypeError, match=words):
        Last().state()

    class Said(Last):
        running = ("value",)

    assert Said().state() == {"value": 0.0}

    class Nested(MeanMetricWrapper):
        running = ("total", "count", "inner")

        def reset_state(self) -> None:
            super().reset_state()
            self.inner = Said()

    metric = Nested(metrics.mean_squared_error)
    metric.inner.value = 3.0
    other = Nested(metrics.mean_squared_error)
    other.set_state(metric.state())
    assert other.inner.value == 3.0
