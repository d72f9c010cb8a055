"""Training run: where a training is, so that another one can go on from there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from nnx import ranks
from nnx.backends import is_array
from nnx.callbacks import CallbackList, History, ProgbarLogger
from nnx.callbacks.callback import overrides
from nnx.debug import NotFiniteError
from nnx.structure import leaves, rebuild
from nnx.training.epochs import Epochs


class TrainingRun:
    """Where `fit` is; `model.training_run` while it runs.

    batches, validation : the data, epoch after epoch.
    epoch : the number of the epoch that is under way, or that comes next, from 0.
    logs : the results of the last complete epoch.
    is_over : whether no epoch follows, however many were asked for.
    begun : whether all callbacks know that training begins, and it does.
    complete : whether it has come to its end, and not to an error.
    """

    def __init__(
        self, model: Any, listeners: CallbackList, batches: Epochs, validation: Epochs | None, epoch: int
    ) -> None:
        self.model = model
        self.listeners = listeners
        self.batches = batches
        self.validation = validation
        self.epoch = epoch
        self.logs: dict[str, Any] = {}
        self.begun = self.complete = self.is_over = False

    @contextlib.contextmanager
    def under_way(self) -> Iterator[None]:
        """The time in which callbacks can ask where training is. If it does not begin, an earlier history is kept.

        A training within another one, by a callback, changes neither the history of that one nor when it stops.
        """
        model, outer, before = self.model, self.model.training_run, self.model.history
        stops = model.stop_training
        model.training_run, model.history, model.stop_training = self, self.listeners.find(History), False
        try:
            yield
        finally:
            model.training_run = outer
            if before is not None and (outer is not None or not self.begun):
                model.history = before
            if outer is not None:
                model.stop_training = stops

    @contextlib.contextmanager
    def finishing(self) -> Iterator[None]:
        """The time in which the model is trained; what the optimizer does at the end is done also after an error."""
        model = self.model
        try:
            yield
        except KeyboardInterrupt as interruption:
            done = len(model.history.epoch) if model.history else 0
            interruption.add_note(f"training stopped after {done} complete epochs; they are in model.history.history")
            raise
        finally:
            optimizer = model.optimizer
            if optimizer is not None and optimizer.slots.flat is not None:  # of what it has trained
                optimizer.finalize(optimizer.slots.flat)

    @contextlib.contextmanager
    def errors_naming_the_batch(self) -> Iterator[None]:
        """The time in which NaN and infinity belong to the batch that training is at."""
        try:
            yield
        except NotFiniteError as error:
            error.batch, error.epoch = self.batches.done, self.epoch + 1
            raise

    @property
    def in_epoch(self) -> bool:
        """Whether an epoch was begun and is not complete."""
        return self.batches.done > 0

    def end_epoch(self, logs: dict[str, Any]) -> None:
        """An epoch is complete but for the callbacks, which may add to its results."""
        self.epoch, self.logs = self.epoch + 1, logs
        self.batches.done = 0
        if self.model.optimizer is not None:
            self.model.optimizer.warn_if_stuck()

    def decide_whether_over(self) -> None:
        """After an epoch: stop if a callback, of any rank, wants to, or no data are left."""
        self.model.stop_training = ranks.any_of(self.model.stop_training)
        self.is_over = self.model.stop_training or self.batches.exhausted

    def state(self) -> dict[str, Any]:
        """What is needed, beside the model, to go on from here: after a batch, or when all of an epoch is done."""
        return {
            "epoch": self.epoch,
            "logs": dict(self.logs),
            "is_over": self.is_over or self.model.stop_training or self.batches.exhausted,
            "batches": self.batches.state(),
            "validation": None if self.validation is None else self.validation.state(),
            "objective": self.model.objective.state() if self.in_epoch else None,
            "callbacks": [{type(callback).__name__: callback.state()} for callback in self._with_state()],
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state` was called, after all callbacks were told that training begins.

        ValueError for other callbacks or data.
        """
        saved = [(name, own) for entry in state["callbacks"] for name, own in entry.items()]
        then, now = [name for name, _ in saved], [type(callback).__name__ for callback in self._with_state()]
        if then != now:
            raise ValueError(f"the callbacks that have a state were {', '.join(then)}, now they are {', '.join(now)}")
        if not isinstance(state["epoch"], int) or state["epoch"] < 0:
            raise TypeError(f"an epoch cannot have the number {state['epoch']!r}")
        self.epoch, self.is_over, self.logs = state["epoch"], bool(state["is_over"]), dict(state["logs"])
        if not self.is_over:
            epochs = min(self.epoch, self.listeners.params["epochs"]) + 1
            self.batches.set_state(state["batches"], epochs)
            if self.validation is not None and state["validation"] is not None:
                self.validation.set_state(state["validation"], epochs)
        if self.in_epoch:
            self.model.objective.set_state(self._placed(state["objective"]))
        for callback, (_, own) in zip(self._with_state(), saved, strict=True):
            callback.set_state(own)
        if self.in_epoch:  # only the progress bar has to be told again that it began
            bar = self.listeners.find(ProgbarLogger)
            if bar is not None:
                bar.on_epoch_begin(self.epoch)

    def _with_state(self) -> list[Any]:
        return [callback for callback in self.listeners.callbacks if overrides(callback, "state")]

    def _placed(self, values: Any) -> Any:
        """Nested values with their arrays in the place of the model."""
        asarray = self.model.placement.asarray
        return rebuild(values, [asarray(v, v.dtype.name) if is_array(v) else v for v in leaves(values)])
