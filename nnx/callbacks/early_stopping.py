"""Early stopping: the end of training when a value no longer improves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnx.callbacks.console import say
from nnx.callbacks.monitor import MonitorCallback


class EarlyStopping(MonitorCallback):
    """Stop training when a value has not improved for some epochs.

    monitor : the value to watch, such as "val_loss", "loss" or "val_accuracy".
    min_delta : the least change that counts as an improvement.
    patience : the number of epochs without an improvement after which training stops; never after the first epoch.
    verbose : 1 to say when training is stopped and weights are restored.
    mode : "min", "max", or "auto" to go by what the monitored value is.
    baseline : training also stops if no epoch within patience is better than this value.
    restore_best_weights : whether training ends with the weights of the best epoch, and not of the last one; also when
        it ends for another reason, and whether or not the baseline was reached.
    start_from_epoch : the number of epochs at the beginning that are left out.

    best, best_epoch, stopped_epoch : the best value, its epoch, and the one that training was stopped after (0 if not).

    A NaN is never the best, and any number is better. Keras keeps one that comes first as the best for ever.

    >>> import nnx
    >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
    >>> model.compile("sgd", "mse")
    >>> stopping = EarlyStopping("loss", min_delta=1e9, patience=3)  # nothing is such an improvement
    >>> len(model.fit([[0.0, 1.0]], [[1.0]], epochs=100, callbacks=[stopping], verbose=0).epoch)
    4
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._begin()

    def _begin(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best = None
        self.best_epoch = 0
        self.best_weights: list[np.ndarray] | None = None

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self._begin()

    def get_monitor_value(self, logs: Mapping[str, float] | None) -> Any:
        """The value that is watched; None if it is not in the logs, with a warning that says what is."""
        complaint = f"Early stopping conditioned on metric `{self.monitor}` which is not available."
        return self.watched(logs or {}, complaint)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        current = self.get_monitor_value(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self.improves(current, self.best):
            self.best, self.best_epoch = current, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.improves(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        if self.verbose and self.stopped_epoch:
            say(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                say(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)

    def state(self) -> dict[str, Any]:
        names = ("wait", "stopped_epoch", "best", "best_epoch", "best_weights")
        return {name: getattr(self, name) for name in names}

    def set_state(self, state: Mapping[str, Any]) -> None:
        for name in self.state():
            setattr(self, name, state[name])
