"""What a model is trained for: its loss, and the metrics that are watched."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from typing import Any

from nnx import losses, metrics
from nnx.backends import Array, array_namespace, to_numpy
from nnx.losses import Loss
from nnx.metrics import Metric


class Objective:
    """The loss and metrics given to `compile`, and their running values.

    Names are checked at once. What depends on shapes ("accuracy" means three things) is decided by `bind`, when the
    first targets are seen. All running values stay on the device until `read`.
    """

    def __init__(self, loss: Any, metric_list: Any, weighted_metrics: Any, loss_weight: float | None) -> None:
        self.loss: Loss | None = None if loss is None else losses.resolve(loss)
        if self.loss is not None and self.loss.reduction in (None, "none"):
            raise ValueError(
                f"loss {self.loss.name!r} has reduction='none', which leaves a value for each sample; a model is "
                f"trained for one number: use 'sum_over_batch_size', 'sum' or 'mean_with_sample_weight'"
            )
        self._loss_weight = 1.0 if loss_weight is None else loss_weight
        self._identifiers = [(metric, False) for metric in _flat_list(metric_list, "metrics")]
        self._identifiers += [(metric, True) for metric in _flat_list(weighted_metrics, "weighted_metrics")]
        for identifier, _ in self._identifiers:
            metrics.resolve(identifier)
        self._context = contextvars.copy_context()  # with the custom objects that a name may mean
        self.metrics: list[tuple[Metric, bool]] | None = None
        self._training_loss: Loss | None = self.loss
        self.takes_logits = False
        self._total: Array | float = 0.0
        self._count = 0

    def bind(self, target_shape: tuple[Any, ...], output_shape: tuple[Any, ...], fusible: str | None) -> None:
        """Decide what depends on the model and the targets."""
        loss = self.loss
        self.takes_logits = loss is not None and fusible is not None and loss.fuses_with == fusible
        self._training_loss = loss.with_logits() if loss is not None and self.takes_logits else loss
        names: set[str] = set()
        bound = []
        for identifier, weighted in self._identifiers:
            metric = self._context.run(
                metrics.resolve, identifier, loss=loss, target_shape=target_shape, output_shape=output_shape
            )
            base, number = metric.name, 1
            while metric.name in names or metric.name == "loss":
                metric.name = f"{base}_{number}"
                number += 1
            names.add(metric.name)
            bound.append((metric, weighted))
        self.metrics = bound

    @property
    def names(self) -> list[str]:
        return ["loss", *(metric.name for metric, _ in self.metrics or ())]

    def forward(self, y: Array, outputs: Array, sample_weight: Array | None) -> tuple[Array, Callable[..., Array]]:
        """The loss, and its pullback. `outputs` are logits if `takes_logits`."""
        loss, pullback = self._training_loss.forward(y, outputs, sample_weight)  # type: ignore[union-attr]
        if self._loss_weight == 1.0:
            return loss, pullback
        weight = self._loss_weight
        return loss * weight, lambda dloss=1.0: pullback(dloss * weight)

    def update(self, loss: Array, y: Array, predictions: Array | None, sample_weight: Array | None, rows: int) -> None:
        """Take a batch into the running values."""
        self._total = loss * rows + self._total
        self._count += rows
        for metric, weighted in self.metrics or ():
            metric.update_state(y, predictions, sample_weight if weighted else None)

    def reset(self) -> None:
        self._total, self._count = 0.0, 0
        for metric, _ in self.metrics or ():
            metric.reset_state()

    def read(self) -> dict[str, float]:
        """The running values on the host, in one transfer."""
        if not self._count:
            return {}
        results = [self._total / self._count, *(metric.result() for metric, _ in self.metrics or ())]
        return dict(zip(self.names, read_scalars(results), strict=True))


def read_scalars(scalars: Sequence[Array]) -> list[float]:
    """0-d arrays of one device as Python numbers, in one transfer."""
    if len(scalars) == 1:
        return [float(to_numpy(scalars[0]))]
    xp = array_namespace(scalars[0])
    wide = scalars[0].dtype
    for scalar in scalars[1:]:
        wide = xp.result_type(wide, scalar.dtype)
    together = xp.stack([xp.astype(scalar, wide, copy=False) for scalar in scalars])
    return [float(value) for value in to_numpy(together)]


def _flat_list(value: Any, what: str) -> list[Any]:
    """Metrics as one list: Keras takes a single one, a list, and a list of lists."""
    if value is None:
        return []
    if isinstance(value, dict):
        if len(value) != 1:
            raise ValueError(f"{what} of a model with one output must be a list, got a dict of {len(value)} outputs")
        value = next(iter(value.values()))
    if not isinstance(value, list | tuple):
        return [value]
    return [item for entry in value for item in _flat_list(entry, what)]
