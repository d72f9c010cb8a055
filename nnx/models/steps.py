"""One batch: training on it, evaluating it, predicting it."""

from __future__ import annotations

from typing import Any

from nnx.backends import Array, backend_of, is_array, to_numpy
from nnx.models.intake import Intake
from nnx.optimizers import Optimizer


class Steps(Intake):
    """The part of a model that computes the loss of a batch, and learns from it."""

    optimizer: Optimizer | None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.optimizer = None

    def _optimizer(self) -> Optimizer:
        self._compiled()
        return self.optimizer  # type: ignore[return-value]

    # Single batches

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

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """The loss, or [loss, *metrics], or a dict, of one batch."""
        objective = self._compiled()
        batch = self._prepare(x, y, sample_weight)
        objective.reset()
        self._test_step(*batch)
        return as_returned(objective.read(), return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """The output for one batch, on the host for host data, else on the device of x."""
        host = not is_array(x) or backend_of(x).name == "numpy"
        outputs = self.run(self._place_inputs(x))[0]
        return to_numpy(outputs) if host else outputs

    # Steps: nothing in here waits for the device

    def _train_step(self, x: Array, y: Array, sample_weight: Array | None) -> None:
        flat, optimizer, objective = self.flat, self._optimizer(), self._compiled()
        flat.start_pass()
        scale = optimizer.loss_scale_factor or 1.0
        loss, pullback_loss, predictions, pullback = self._loss_of(x, y, sample_weight, training=True, scale=scale)
        pullback(pullback_loss(scale), inputs=False)
        if (self._setup or self._set_up(y)).regularised:
            penalty, pullback_penalty = self.regularization()
            loss = loss + penalty
            pullback_penalty(scale)
        optimizer.step(self)
        objective.update(loss, y, predictions, sample_weight, x.shape[0])

    def _test_step(self, x: Array, y: Array, sample_weight: Array | None) -> None:
        loss, _, predictions, _ = self._loss_of(x, y, sample_weight, training=False)
        if (self._setup or self._set_up(y)).regularised:
            loss = loss + self.regularization()[0]
        self._compiled().update(loss, y, predictions, sample_weight, x.shape[0])

    def _loss_of(
        self, x: Array, y: Array, sample_weight: Array | None, training: bool, scale: float = 1.0
    ) -> tuple[Any, Any, Any, Any]:
        """The loss and its pullback, the predictions for metrics, and the model's pullback.

        scale : what the cotangent of the loss is going to be, for penalties on outputs.
        """
        objective, setup = self._compiled(), self._setup or self._set_up(y)
        for layer in setup.penalised:
            layer.activity_penalties, layer.activity_scale = [], scale
        try:
            if objective.takes_logits:
                outputs, pullback = self.preactivation(x, training=training)
                predictions = self.activate(outputs)[0] if objective.metrics else None
            else:
                outputs, pullback = self.propagate(x, training=training)
                predictions = outputs
            loss, pullback_loss = objective.forward(y, outputs, sample_weight)
            for layer in setup.penalised:
                for penalty in layer.activity_penalties or ():
                    loss = loss + penalty
        finally:
            for layer in setup.penalised:
                layer.activity_penalties, layer.activity_scale = None, 1.0
        return loss, pullback_loss, predictions, pullback


def as_returned(logs: dict[str, float], return_dict: bool) -> Any:
    """Results as Keras gives them: a number, a list of the loss and the metrics, or a dict."""
    if return_dict:
        return dict(logs)
    values = list(logs.values())
    return values[0] if len(values) == 1 else values
