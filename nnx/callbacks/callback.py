"""Callback, the base of all callbacks: an object with hooks that training, evaluation and prediction call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnx.members import Advising

HOOKS = (
    "on_train_begin",
    "on_train_end",
    "on_test_begin",
    "on_test_end",
    "on_predict_begin",
    "on_predict_end",
    "on_epoch_begin",
    "on_epoch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_batch_begin",
    "on_test_batch_end",
    "on_predict_batch_begin",
    "on_predict_batch_end",
    "on_batch_begin",
    "on_batch_end",
)


class Callback(Advising):
    """Override the hooks you need; only those are called, the others cost nothing.

    model : the model that is trained, evaluated or predicts. `self.model.stop_training = True` ends training.
    params : "verbose", "epochs" and "steps" (None where the number of batches is not known).

    Batches and epochs count from 0. `logs` of the batch hooks is a read-only mapping that asks the device for its
    numbers only when one is read, so a hook that does not look at them does not slow training down; it is valid
    during the hook, keep `dict(logs)` for later. `logs` of the epoch hooks is a plain dictionary of floats, to which
    a callback may add.

    >>> class StopWhenGood(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         self.model.stop_training = logs["loss"] < 0.1
    """

    # of the class, so that a subclass need not call `super().__init__()`
    model: Any = None
    params: Mapping[str, Any] | None = None
    runs_last = False  # wherever it is in the list: for a checkpoint of what all others have done

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Called once before training, evaluation or prediction, after `set_model`."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Called once before training, evaluation or prediction."""
        self.model = model

    def state(self) -> dict[str, Any]:
        """What a checkpoint has to keep of the callback, so that a training goes on as if it had not stopped.

        Returns plain data that fits into JSON, and NumPy arrays or lists of them. Settings, which the script gives
        again, are no part of it. Default: nothing.
        """
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned. Called after `on_train_begin`, which begins anew."""

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """At the beginning of `fit`."""

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """At the end of `fit`, also when it ends with an error or is interrupted. logs: those of the last epoch."""

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """At the beginning of `evaluate`, and of every validation in `fit`."""

    def on_test_end(self, logs: Mapping[str, float] | None = None) -> None:
        """At the end of `evaluate`, and of every validation in `fit`. logs: the results."""

    def on_predict_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """At the beginning of `predict`."""

    def on_predict_end(self, logs: Mapping[str, float] | None = None) -> None:
        """At the end of `predict`."""

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """At the beginning of an epoch of `fit`."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """At the end of an epoch of `fit`, validation included. logs: its results, validation as `val_...`."""

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Before a training step."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """After a training step. logs: the results of this epoch so far."""
        self.on_batch_end(batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Before a batch of `evaluate` or of validation."""

    def on_test_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """After a batch of `evaluate` or of validation. logs: the results so far."""

    def on_predict_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Before a batch of `predict`."""

    def on_predict_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """After a batch of `predict`."""

    def on_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Older name of `on_train_batch_end`."""


def overrides(callback: Callback, hook: str) -> bool:
    """Whether a callback has a hook of its own: from a subclass, or set on the object."""
    return getattr(getattr(callback, hook), "__func__", None) is not getattr(Callback, hook)
