"""One batch: training on it, evaluating it, predicting it."""

from __future__ import annotations

import math
from typing import Any

from nnx import debug, ranks
from nnx.backends import Array, array_namespace, backend_of, is_array, to_numpy
from nnx.layers.weights import in_its_place
from nnx.optimizers import Optimizer
from nnx.structure import leaves, rebuild
from nnx.training.feed import Feed
from nnx.training.host_data import widened


class Steps(Feed):
    """The part of a model that computes the loss of a batch, and learns from it."""

    optimizer: Optimizer | None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.optimizer = None

    def _optimizer(self) -> Optimizer:
        self._compiled()
        return self.optimizer  # type: ignore[return-value]

    # Single batches

    @in_its_place
    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """One step of training; the loss, or [loss, *metrics], or a dict, of this batch before the step."""
        objective = self._compiled()
        batch = self._prepare(x, y, sample_weight, class_weight)
        objective.reset()
        self._train_step(*batch)
        return as_returned(objective.read(), return_dict)

    @in_its_place
    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """The loss, or [loss, *metrics], or a dict, of one batch."""
        objective = self._compiled()
        batch = self._prepare(x, y, sample_weight)
        objective.reset()
        self._test_step(*batch)
        return as_returned(objective.read(), return_dict)

    def reset_metrics(self) -> None:
        """Forget the running loss and metrics. `train_on_batch` and `test_on_batch` do so before each batch."""
        self._compiled().reset()

    @in_its_place
    def predict_on_batch(self, x: Any) -> Any:
        """The output for one batch, on the host for host data, else on the device of x."""
        outputs = self._predict_step(self._place_inputs(x))
        return rebuild(self.output_structure, [to_numpy(y) for y in outputs] if is_host(x) else outputs)

    # Steps: nothing in here waits for the device

    @debug.watched
    def _train_step(self, xs: list[Array], ys: list[Array], weights: list[Array | None]) -> None:
        flat, optimizer, objective = self.flat, self._optimizer(), self._compiled()
        rows = xs[0].shape[0]
        with ranks.part_of(rows) as part:
            if part is not None:
                xs, ys, weights = map(part.cut, (xs, ys, weights))
            flat.start_pass()
            scale = optimizer.scale_loss(flat)
            loss, parts, pullback_loss, predictions, pullback = self._loss_of(
                xs, ys, weights, training=True, scale=scale
            )
            pullback(pullback_loss(scale), inputs=False)
            if (self._setup or self._set_up(ys)).regularised:
                penalty, pullback_penalty = self.regularization()
                if part is not None:
                    penalty, scale = penalty * part.share, scale * part.share
                loss = loss + penalty
                pullback_penalty(scale)
            if part is not None:
                flat.add_up(part)
            optimizer.step(self)
            objective.update(loss, parts, ys, predictions, weights, rows)

    @debug.watched
    def _test_step(self, xs: list[Array], ys: list[Array], weights: list[Array | None]) -> None:
        rows = xs[0].shape[0]
        with ranks.part_of(rows) as part:
            if part is not None:
                xs, ys, weights = map(part.cut, (xs, ys, weights))
            loss, parts, _, predictions, _ = self._loss_of(xs, ys, weights, training=False)
            if (self._setup or self._set_up(ys)).regularised:
                loss = loss + self.regularization()[0] * ranks.share()
            self._compiled().update(loss, parts, ys, predictions, weights, rows)

    @debug.watched
    def _predict_step(self, xs: list[Array]) -> list[Array]:
        outputs, _, _ = self.chain(self._computed(xs), training=False)
        return outputs

    def _loss_of(
        self, xs: list[Array], ys: list[Array], weights: list[Array | None], training: bool, scale: Any = 1.0
    ) -> tuple[Any, list[Array], Any, list[Any], Any]:
        """The loss, that of each output, their pullback, the predictions for metrics, and the model's pullback.

        scale : what the cotangent of the loss is going to be, for penalties on outputs.
        """
        objective, setup = self._compiled(), self._setup or self._set_up(ys)
        for layer in setup.penalised:
            layer.activity_penalties, layer.activity_scale = [], scale
        try:
            outputs, masks, pullback = self.chain(self._computed(xs), training=training, logits=setup.logits)
            if setup.loss_dtype != self.placement.dtype:
                outputs, pullback = widened(outputs, pullback)
            if masks[0] is not None or (len(masks) > 1 and any(mask is not None for mask in masks)):
                weights = [masked_weights(*each) for each in zip(weights, masks, outputs, strict=True)]
            parts, pullback_loss = objective.forward(ys, outputs, weights)
            loss = objective.total(parts)
            for layer in setup.penalised:
                for penalty in layer.activity_penalties or ():
                    loss = loss + penalty
        finally:
            for layer in setup.penalised:
                layer.activity_penalties, layer.activity_scale = None, 1.0
        predictions = list(outputs)
        for index in setup.logits:
            if objective.goals[index].metrics:
                predictions[index] = self.activate(outputs[index], index)[0]
        return loss, parts, pullback_loss, predictions, pullback


def masked_weights(weight: Array | None, mask: Array | None, output: Array) -> Array | None:
    """Sample weights in which steps that do not count have none, and the others share theirs, as in Keras."""
    if mask is None:
        return weight
    xp = array_namespace(output)
    counts = xp.astype(mask, output.dtype)
    size = math.prod(counts.shape) / ranks.share()
    counts = counts * (size / xp.maximum(ranks.total(xp.sum(counts)), 1.0))
    if weight is None:
        return counts
    return counts * (weight if len(weight.shape) == len(counts.shape) else xp.expand_dims(weight, axis=-1))


def is_host(x: Any) -> bool:
    """Whether data, or the first array of a structure of them, are on the host."""
    first = next(iter(leaves(x)), None) if isinstance(x, list | tuple | dict) else x
    return not is_array(first) or backend_of(first).name == "numpy"


def as_returned(logs: dict[str, float], return_dict: bool) -> Any:
    """Results as Keras gives them: a number, a list of the loss and the metrics, or a dict."""
    if return_dict:
        return dict(logs)
    values = list(logs.values())
    return values[0] if len(values) == 1 else values
