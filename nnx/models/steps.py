"""One step of training or of evaluation. Nothing in here waits for the device."""

from __future__ import annotations

from typing import Any

from nnx.backends import Array
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

    def _train_step(self, x: Array, y: Array, sample_weight: Array | None) -> None:
        flat, optimizer, objective = self.flat, self._optimizer(), self._compiled()
        flat.start_pass()
        loss, pullback_loss, predictions, pullback = self._loss_of(x, y, sample_weight, training=True)
        pullback(pullback_loss(), inputs=False)
        if (self._setup or self._set_up(y)).regularised:
            penalty, pullback_penalty = self.regularization()
            loss = loss + penalty
            pullback_penalty()
        optimizer.step(self)
        objective.update(loss, y, predictions, sample_weight, x.shape[0])

    def _test_step(self, x: Array, y: Array, sample_weight: Array | None) -> None:
        loss, _, predictions, _ = self._loss_of(x, y, sample_weight, training=False)
        if (self._setup or self._set_up(y)).regularised:
            loss = loss + self.regularization()[0]
        self._compiled().update(loss, y, predictions, sample_weight, x.shape[0])

    def _loss_of(self, x: Array, y: Array, sample_weight: Array | None, training: bool) -> tuple[Any, Any, Any, Any]:
        """The loss and its pullback, the predictions for metrics, and the model's pullback."""
        objective, setup = self._compiled(), self._setup or self._set_up(y)
        for layer in setup.penalised:
            layer.activity_penalties = []
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
            layer.activity_penalties = None
        return loss, pullback_loss, predictions, pullback
