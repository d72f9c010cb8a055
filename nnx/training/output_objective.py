"""The loss and the metrics of each output of a model, from what `compile` is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnx import losses, metrics
from nnx.backends import Array
from nnx.losses import Loss
from nnx.metrics import Metric


class Goal:
    """The loss and the metrics of one output.

    weight : the factor of this loss in the sum over all outputs.
    """

    def __init__(self, loss: Any, metric_list: Any, weighted_metrics: Any, weight: float | None) -> None:
        self.loss: Loss | None = None if loss is None else losses.resolve(loss)
        if self.loss is not None and self.loss.reduction in (None, "none"):
            raise ValueError(
                f"loss {self.loss.name!r} has reduction='none', which leaves a value for each sample; a model is "
                f"trained for one number: use 'sum_over_batch_size', 'sum' or 'mean_with_sample_weight'"
            )
        if weight is not None and not isinstance(weight, int | float):
            raise ValueError(f"loss_weights must be numbers, got {weight!r}")
        self.weight = 1.0 if weight is None else float(weight)
        self._identifiers = [(_resolved(metric), False) for metric in _flat_list(metric_list)]
        self._identifiers += [(_resolved(metric), True) for metric in _flat_list(weighted_metrics)]
        self.metrics: list[tuple[Metric, bool]] = []
        self.takes_logits = False
        self._training_loss: Loss | None = self.loss

    @property
    def needs_targets(self) -> bool:
        return self.loss is not None or bool(self._identifiers)

    def bind(self, target_shape: tuple[Any, ...], output_shape: tuple[Any, ...], fusible: str | None) -> None:
        """Decide what depends on shapes ("accuracy" means three things) and on the output's last activation."""
        loss = self.loss
        if loss is not None:
            loss.check_activation(fusible)
        self.takes_logits = loss is not None and fusible is not None and loss.fuses_with == fusible
        self._training_loss = loss.with_logits() if loss is not None and self.takes_logits else loss
        self.metrics = [
            (metrics.resolve(metric, loss=loss, target_shape=target_shape, output_shape=output_shape), weighted)
            for metric, weighted in self._identifiers
        ]

    def forward(self, y: Array, output: Array, sample_weight: Array | None) -> tuple[Array, Callable[..., Array]]:
        """The loss, and its pullback. `output` are logits if `takes_logits`."""
        loss, pullback = self._training_loss.forward(y, output, sample_weight)  # type: ignore[union-attr]
        if self.weight == 1.0:
            return loss, pullback
        return loss, lambda dloss=1.0: pullback(dloss * self.weight)


def distribute(value: Any, outputs: list[str], what: str) -> list[Any]:
    """What belongs to each output, from a dict by names, a list in their order, or one thing for all."""
    if isinstance(value, dict) and "class_name" not in value:  # else it is the configuration of a loss
        unknown = [name for name in value if name not in outputs]
        if unknown and not (len(outputs) == 1 and len(value) == 1):
            raise ValueError(f"{what} names the output {unknown[0]!r}; the outputs are {', '.join(outputs)}")
        return list(value.values()) if unknown else [value.get(name) for name in outputs]
    if len(outputs) == 1:
        if isinstance(value, list | tuple) and what in ("loss", "loss_weights"):
            if len(value) != 1:
                raise ValueError(f"{what} must have one entry, for the one output, got {len(value)}")
            value = value[0]
        return [value]
    if isinstance(value, list | tuple):
        if len(value) != len(outputs):
            raise ValueError(f"{what} must have an entry for each of {len(outputs)} outputs, got {len(value)}")
        return list(value)
    if what in ("metrics", "weighted_metrics") and value is not None:
        raise ValueError(f"{what} of a model with several outputs must be a list or a dict with an entry for each")
    return [value] * len(outputs)


def _resolved(metric: Any) -> Any:
    """A metric now, while names of custom objects are known; a name like "accuracy" stays, until shapes are known."""
    found = metrics.resolve(metric)
    return metric if metrics.depends_on_shapes(metric) else found


def _flat_list(value: Any) -> list[Any]:
    """Metrics as one list: Keras takes a single one, a list, and a list of lists."""
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        return [value]
    return [item for entry in value for item in _flat_list(entry)]
