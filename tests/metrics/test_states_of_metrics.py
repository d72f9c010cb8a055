"""A metric that goes on in the middle of an epoch has the same result as one that did not stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import metrics
from nnx.backends import Placement, array_namespace, to_numpy
from nnx.metrics import MeanMetricWrapper, Metric
from nnx.metrics.base import on_host
from nnx.random import Generator
from nnx.testing import assert_close
from nnx.testing.rows.metrics import metric_cases, metric_data

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
        super().__init__(name="last")
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


class MeanError(Metric):
    """Written as Keras has it, without `running` and `reset_state`."""

    def __init__(self, name: str = "mean_error", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.total = self.add_weight(name="total", initializer="zeros")
        self.count = self.add_variable(shape=(), name="total")
        self.per_output = self.add_weight(shape=(2,))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        error = abs(y_true - y_pred)
        xp = array_namespace(error)
        self.total.assign_add(xp.sum(error))
        self.count.assign(self.count + error.shape[0])
        self.per_output.assign_sub(-xp.sum(error, axis=0))

    def result(self) -> Any:
        return self.total / (2 * self.count)


def test_variables(backend: Placement):
    y, z = (backend.asarray(Generator(seed).normal((5, 2))) for seed in (1, 2))
    errors = np.abs(to_numpy(y) - to_numpy(z))
    metric, second = MeanError(), MeanError()
    assert [variable.name for variable in metric.variables] == ["total", "total_1", "variable"]
    assert repr(metric.per_output) == "<Variable variable, shape (2,), float32>"
    metric.update_state(y, z)
    second.set_state(metric.state())
    assert_close(second(y, z), errors.mean(), length=20)
    assert_close(second.per_output.value, 2.0 * errors.sum(axis=0), length=20)
    assert second.together([on_host(second.state())] * 2)["total_1"] == 20.0
    metric.reset_state()
    assert_close(metric(y[:3, ...], z[:3, ...]), errors[:3].mean(), length=6)
    assert_close(1.0 - (metric.per_output - 2.0) ** 2, 1.0 - (errors[:3].sum(axis=0) - 2.0) ** 2, length=20)
    assert MeanError(dtype="int32").total.dtype == "int32"
    with pytest.raises(ValueError, match=r"variable 'total' has the shape \(\), got a value of \(5, 2\)"):
        metric.total.assign(y)
    with pytest.raises(TypeError, match="variable 'total' cannot be None"):
        metric.set_state({"total": None})


def test_variables_go_where_the_model_is(backend: Placement):
    metric = MeanError()  # made in another place
    with nnx.backend(backend.name, device=backend.device):
        model = nnx.Sequential([nnx.layers.Dense(2, input_dim=3)])
    model.compile("sgd", "mse", metrics=[metric])
    x, y = Generator(1).normal((6, 3)), Generator(2).normal((6, 2))
    history = model.fit(x, y, epochs=2, batch_size=4, verbose=0)
    assert metric.total.value.dtype == model.weights[0].value.dtype
    assert backend.holds(metric.total.value)
    expected = np.abs(model.predict(x, verbose=0) - y).mean()
    assert model.evaluate(x, y, verbose=0, return_dict=True)["mean_error"] == pytest.approx(expected, rel=1e-5)
    assert len(history.history["mean_error"]) == 2
    model.to("numpy")
    assert model.evaluate(x, y, verbose=0)[1] == pytest.approx(expected, rel=1e-5)
