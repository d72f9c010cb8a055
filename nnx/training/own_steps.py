"""Steps of one's own: what a model's `train_step`, `test_step` and `predict_step` do with a batch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from nnx import ranks
from nnx.autodiff.array import lower
from nnx.backends import Array, array_namespace, is_array
from nnx.backends.context import create_as_before, create_at
from nnx.in_place import own_array, writes_in_place
from nnx.metrics.variable import value_of
from nnx.structure import leaves, rebuild
from nnx.training.objective import read_values
from nnx.training.pipeline import InputPipeline
from nnx.training.step import as_given, as_returned, checked
from nnx.training.trainable import TrainableModel

_METHODS = {
    "training": ("train_step", "compute_loss", "compute_metrics"),
    "testing": ("test_step", "compute_loss", "compute_metrics"),
    "predicting": ("predict_step",),
}
"""The methods of a subclass by which it says itself what is done with a batch."""


class OwnSteps:
    """The steps of a model that defines some of them; their logs stay on the device until somebody reads them.

    model : gives the model, to which this has only a weak reference. pipeline : brings data into place.
    defined : what the model does by steps of its own: some of "training", "testing" and "predicting".
    """

    def __init__(self, model: Callable[[], TrainableModel], pipeline: InputPipeline) -> None:
        self.model = model
        self.pipeline = pipeline
        self.defined = frozenset(what for what, methods in _METHODS.items() if model().overrides(*methods))
        kind = type(model())
        self._writing = {
            what for what in self.defined if any(writes_in_place(getattr(kind, name)) for name in _METHODS[what])
        }
        self._logs: dict[str, Any] = {}

    def get_ready(self) -> None:
        """Look at what such steps cannot do, before they begin: ValueError."""
        model = self.model()
        if ranks.group() is not None:
            raise ValueError(
                f"{model.name} has a step of its own, or no compiled loss, which processes cannot share: run it as one "
                f"process"
            )
        model.settle()

    def begin(self) -> None:
        """Forget the running values of all metrics, before an epoch."""
        self._logs = {}
        self.model().reset_metrics()

    @checked
    def train(self, data: Any) -> None:
        """`train_step`, whose logs are kept."""
        with self._placed():
            self._take("train_step", self.model().train_step(self._spared("training", data)))

    @checked
    def test(self, data: Any) -> None:
        """`test_step`, whose logs are kept."""
        with self._placed():
            self._take("test_step", self.model().test_step(self._spared("testing", data)))

    @checked
    def predict(self, data: Any) -> Any:
        """What `predict_step` returns, a structure of plain arrays."""
        with self._placed():
            outputs = self.model().predict_step(self._spared("predicting", data))
        return rebuild(outputs, [lower(part) for part in leaves(outputs)])

    def _spared(self, what: str, data: Any) -> Any:
        """The data of a step, in copies if it may write into them and they may be part of what the user has given."""
        if what not in self._writing:
            return data
        return rebuild(data, [part if getattr(part, "base", 0) is None else own_array(part) for part in leaves(data)])

    @contextlib.contextmanager
    def _placed(self) -> Iterator[None]:
        """The time in which arrays and random numbers are made where the model is."""
        before = create_at(self.model().placement)
        try:
            yield
        finally:
            create_as_before(before)

    def read(self) -> dict[str, Any]:
        """The logs of the last step on the host: numbers, and NumPy arrays for those that have several values."""
        return dict(zip(self._logs, read_values(list(self._logs.values())), strict=True))

    # As users give it: these are the methods of the model, which document them

    def train_on_batch(
        self, x: Any, y: Any, sample_weight: Any, class_weight: dict[int, float] | None, return_dict: bool
    ) -> Any:
        return self._on_batch(self.train, x, y, sample_weight, class_weight, return_dict)

    def test_on_batch(self, x: Any, y: Any, sample_weight: Any, return_dict: bool) -> Any:
        return self._on_batch(self.test, x, y, sample_weight, None, return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        self.get_ready()
        with self.model().computing:
            made = self.predict(self.pipeline.structured_batch(x, None, None))
            return as_given(x, leaves(made), made)

    def _on_batch(
        self,
        step: Callable[[Any], None],
        x: Any,
        y: Any,
        sample_weight: Any,
        class_weight: dict[int, float] | None,
        return_dict: bool,
    ) -> Any:
        model = self.model()
        model.require_compiled()
        self.get_ready()
        with model.computing:
            data = self.pipeline.structured_batch(x, y, sample_weight, class_weight)
            self.begin()
            step(data)
            logs = self.read()
            return as_returned(logs if return_dict else model.in_order_of_metrics(logs), return_dict)

    def _take(self, method: str, logs: Any) -> None:
        if not self.model().built:
            self.model().settle()
        if not isinstance(logs, dict):
            raise TypeError(
                f"{self.model().name}: {method}() has to return a dict of numbers by their names, as in "
                f"return {{'loss': loss}}, got {type(logs).__name__}"
            )
        self._logs = {name: self._number(method, name, value) for name, value in logs.items()}

    def _number(self, method: str, name: Any, value: Any) -> Any:
        value = lower(value_of(value))
        if isinstance(value, bool | int | float):
            return float(value)
        if not is_array(value):
            raise TypeError(
                f"{self.model().name}: {method}() returned {type(value).__name__} for {name!r}, expected a number or "
                f"an array; of a metric its result()"
            )
        return value


def joined(batches: list[Any]) -> Any:
    """The outputs of several batches as those of all samples, in the structure that each batch has."""
    columns: list[list[Array]] = [list(column) for column in zip(*map(leaves, batches), strict=True)]
    whole = [column[0] if len(column) == 1 else array_namespace(column[0]).concat(column, axis=0) for column in columns]
    return rebuild(batches[0], whole)
