"""A learning rate that is reduced where a value no longer improves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnx.callbacks.console import say
from nnx.callbacks.learning_rate_scheduler import require_a_number
from nnx.callbacks.monitor import MonitorCallback
from nnx.user_warnings import warn_user


class ReduceLROnPlateau(MonitorCallback):
    """Reduce the learning rate when a value has not improved for some epochs.

    monitor : the value to watch.
    factor : what the learning rate is multiplied by, from [0, 1).
    patience : the number of epochs without an improvement after which it is reduced.
    verbose : 1 to say so.
    mode : "min", "max", or "auto" to go by what the monitored value is.
    min_delta : the least change that counts as an improvement; `epsilon` is its old name.
    cooldown : the number of epochs after a reduction in which none is counted.
    min_lr : what the learning rate is never reduced below.

    The learning rate of each epoch is added to the history as "learning_rate". ValueError, at the beginning of `fit`,
    if the optimizer's learning rate follows a schedule.

    >>> import nnx
    >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
    >>> model.compile("sgd", "mse")
    >>> reducing = ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9)  # nothing is such an improvement
    >>> history = model.fit([[0.0, 1.0]], [[1.0]], epochs=3, callbacks=[reducing], verbose=0)
    >>> model.optimizer.learning_rate
    0.0025
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        *,
        epsilon: float | None = None,
    ) -> None:
        if epsilon is not None:
            warn_user(f"ReduceLROnPlateau: epsilon is an old name; write min_delta={epsilon}", DeprecationWarning)
            min_delta = epsilon
        super().__init__(monitor, mode, min_delta)
        if not 0.0 <= factor < 1.0:
            raise ValueError(
                f"ReduceLROnPlateau multiplies the learning rate by factor, from 0 up to but not including 1, to make "
                f"it smaller; got factor={factor}"
            )
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self._begin()

    def _begin(self) -> None:
        self.best = None
        self.wait = 0
        self.cooldown_counter = 0

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        require_a_number(self.model.optimizer, "ReduceLROnPlateau reduces")
        self._begin()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = {} if logs is None else logs
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        complaint = f"Learning rate reduction is conditioned on metric `{self.monitor}` which is not available."
        current = self.watched(logs, complaint)
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improves(current, self.best):
            self.best, self.wait = current, 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def in_cooldown(self) -> bool:
        """Whether the last reduction was too short a time ago for another."""
        return self.cooldown_counter > 0

    def _reduce(self, epoch: int) -> None:
        optimizer = self.model.optimizer
        old = float(optimizer.learning_rate)
        if old <= self.min_lr:
            return
        optimizer.learning_rate = max(old * self.factor, self.min_lr)
        self.cooldown_counter, self.wait = self.cooldown, 0
        if self.verbose:
            say(f"Epoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {optimizer.learning_rate}.")

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "wait": self.wait, "cooldown_counter": self.cooldown_counter}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.best, self.wait, self.cooldown_counter = state["best"], state["wait"], state["cooldown_counter"]
