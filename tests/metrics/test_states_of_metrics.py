"""A metric that goes on in the middle of an epoch has the same result as one that did not stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nnx import metrics
from nnx.backends import Placement
from nnx.metrics import MeanMetricWrapper, Metric
from nnx.testing import assert_close
from nnx.testing.cases_metrics import metric_cases, metric_data

CASES: dict[str, tuple[str, Callable[[], Metric]]] = {title: (kind, make) for title, kind, make in metric_cases()}
CASES["MeanMetricWrapper"] = ("numbers", lambda: MeanMetricWrapper(metrics.mean_squared_error))


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("title", CASES)
def test_goes_on(backend: Placement, title: str, weighted: bool):
    kind, make = CASES[title]
    parts = [[backend.asarray(part) for part in np.split(array, [7, 12])] for array in metric_data(kind)]
    batches = [(y, z, weight if weighted else None) for y, z, weight in zip(*parts, strict=True)]
    whole = make()
    for batch in batches:
        whole.update_state(*batch)
    for count in range(len(batches) + 1):
        first, second = make(), make()
        for batch in batches[:count]:
            first.update_state(*batch)
        second.set_state(first.state())
        first.reset_state()
        for batch in batches[count:]:
            second.update_state(*batch)
        assert_close(second.result(), whole.result(), 0.0, 0.0)


@pytest.mark.parametrize("make", [metrics.Sum, metrics.Mean])
@pytest.mark.parametrize("weight", [None, 0.5, [1.0, 2.0]])
def test_sums_and_means_go_on(make: Callable[[], Metric], weight: Any):
    whole, first, second = make(), make(), make()
    whole([1.0, 2.0], weight)
    first([1.0, 2.0], weight)
    second.set_state(first.state())
    assert second([4.0, 7.0], weight) == whole([4.0, 7.0], weight)


class Last(Metric):
    """The mean of the last batch."""

    def __init__(self) -> None:
        super().__init__("last")
        self.reset_state()

    def reset_state(self) -> None:
        self.value = 0.0


def test_what_one_of_your_own_has_to_say():
    words = (
        r"metric 'last' cannot be saved in the middle of an epoch, .*: Last has to say which attributes its reset_state"
    )
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
