"""A metric that goes on in the middle of an epoch has the same result as one that did not stop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nnx import metrics
from nnx.backends import Placement, array_namespace, is_array
from nnx.metrics import MeanMetricWrapper, Metric
from nnx.metrics.base import registry
from nnx.random import Generator
from nnx.testing import assert_close

ARGUMENTS: dict[str, tuple[Any, ...]] = {"MeanMetricWrapper": (metrics.mean_squared_error,)}
"""For metrics that cannot be made without arguments."""

SCORES = Generator(1).uniform((4, 6, 5), 0.05, 0.95)
SHARES = SCORES / SCORES.sum(axis=-1, keepdims=True)
LABELS = Generator(2).integers(24).astype(np.int64).reshape(4, 6) % 5
ONE_HOT = np.eye(5)[LABELS]
WEIGHTS = Generator(3).uniform((4, 6), 0.5, 2.0)


def make(name: str) -> Metric:
    metric: Metric = registry.objects[name](*ARGUMENTS.get(name, ()))
    return metric


def feed(metric: Metric, place: Placement, batches: range, weighted: bool) -> None:
    for i in batches:
        weight = place.asarray(WEIGHTS[i]) if weighted else None
        if isinstance(metric, metrics.Sum | metrics.Mean):
            metric.update_state(place.asarray(SCORES[i, :, 0]), weight)
            continue
        targets = place.asarray(LABELS[i] if "sparse" in metric.name else ONE_HOT[i])
        metric.update_state(targets, place.asarray(SHARES[i]), weight)


ONE_VALUE_A_BATCH = ("Dice", "Tversky")  # and so no weights of samples
CASES = [(name, weighted) for name in sorted(registry.objects) for weighted in (False, True)]


@pytest.mark.parametrize(
    ("name", "weighted"), [case for case in CASES if case[0] not in ONE_VALUE_A_BATCH or not case[1]]
)
def test_goes_on(backend: Placement, name: str, weighted: bool):
    whole, first, second = (make(name) for _ in range(3))
    feed(whole, backend, range(4), weighted)
    feed(first, backend, range(2), weighted)
    state = first.state()
    assert state
    second.set_state(state)
    feed(second, backend, range(2, 4), weighted)
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
