"""The learning rate as a function of the epoch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from nnx.arguments import is_number
from nnx.callbacks.callback import Callback
from nnx.callbacks.console import say


class LearningRateScheduler(Callback):
    """Set the learning rate at the beginning of every epoch.

    schedule : a function of the epoch, counted from 0, and the present learning rate, or of the epoch alone, that
        returns the new learning rate.
    verbose : 1 to say what it is set to.

    The learning rate of each epoch is added to the history as "learning_rate". ValueError if the optimizer's learning
    rate follows a schedule of its own, or if the function does not return a number.

    >>> scheduler = LearningRateScheduler(lambda epoch, lr: lr if epoch < 10 else lr * 0.9)
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        if not callable(schedule):
            raise TypeError(f"LearningRateScheduler: schedule must be a function of (epoch, lr), got {schedule!r}")
        self.schedule = schedule
        self.verbose = verbose
        self._takes_rate = _accepts(schedule, 2)

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        require_a_number(self.model.optimizer, "LearningRateScheduler sets")

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        optimizer = self.model.optimizer
        rate: Any = self.schedule(epoch, float(optimizer.learning_rate)) if self._takes_rate else self.schedule(epoch)
        if not is_number(rate) and getattr(rate, "shape", None) != ():
            raise ValueError(f"The output of the `schedule` function should be a float. Got: {rate!r}")
        optimizer.learning_rate = float(rate)
        if self.verbose:
            say(f"Epoch {epoch + 1}: LearningRateScheduler setting learning rate to {optimizer.learning_rate}.")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


def require_a_number(optimizer: Any, who: str) -> None:
    """ValueError if the learning rate of an optimizer follows a schedule, so that nobody else can set it.

    who : the callback and its verb, for the error.
    """
    schedule = optimizer.schedule
    if schedule is not None:
        kind = getattr(schedule, "__name__", type(schedule).__name__)
        raise ValueError(
            f"{who} the learning rate, but that of {optimizer.name} follows {kind}: make the optimizer with a number, "
            f"learning_rate=0.01 for instance, or leave the callback out"
        )


def _accepts(function: Callable[..., Any], count: int) -> bool:
    """Whether a function can be called with so many positional arguments; True where it does not say."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # some functions that are not written in Python
        return True
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True
