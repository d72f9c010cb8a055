"""Monitoring: the base of callbacks that watch one value, and act on whether it improves."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from nnx.callbacks.callback import Callback
from nnx.names import did_you_mean, nearest
from nnx.user_warnings import warn_user

MODES = ("auto", "min", "max")


class MonitorCallback(Callback):
    """A callback that watches one value of the logs, and acts on whether it improves.

    monitor : the name of the value, as in the history.
    mode : "min" if less is better, "max" if more is; "auto" knows it of losses and of the metrics of the model.
    min_delta : by how much a value has to be better; its sign does not matter.
    best : the value to be better than; None while there is none.
    """

    def __init__(self, monitor: str, mode: str = "auto", min_delta: float = 0.0, best: float | None = None) -> None:
        if mode not in MODES:
            warn_user(f"{type(self).__name__} mode {mode!r} is unknown, fallback to auto mode.")
            mode = "auto"
        self.monitor = monitor
        self.mode = mode
        self.min_delta = abs(min_delta)
        self.best = best

    @property
    def direction(self) -> str:
        """The better direction, "min" or "max". ValueError where "auto" cannot tell."""
        if self.mode != "auto":
            return self.mode
        name = self.monitor.removeprefix("val_")
        if name == "loss" or name.endswith("_loss"):  # of the model, or of one of its outputs
            return "min"
        objective = getattr(self.model, "objective", None)
        metric = dict(objective.metrics).get(name) if objective is not None else None
        if metric is None or metric.direction is None:
            raise ValueError(
                f"{type(self).__name__} received monitor={self.monitor!r}, and nothing says whether more or less of it "
                f"is better. Pass mode='max' to go by the highest value, or mode='min' to go by the lowest."
            )
        return str(metric.direction)

    @property
    def monitor_op(self) -> Callable[[float, float], bool]:
        """The function of two values that says whether the first is better."""
        return operator.lt if self.direction == "min" else operator.gt

    def improves(self, value: float, best: float | None) -> bool:
        """Whether a value is better than another by more than min_delta. Any beats None and NaN, NaN beats none."""
        less = self.direction == "min"
        if math.isnan(value):
            return False
        if best is None or math.isnan(best):
            return True
        return value + self.min_delta < best if less else value - self.min_delta > best

    def watched(self, logs: Mapping[str, Any], complaint: str) -> Any:
        """The value that is watched; None if it is not in the logs, with a warning that says what is."""
        value = logs.get(self.monitor)
        if value is None:
            warn_user(f"{complaint} Available metrics are: {','.join(logs)}{self._hint(logs)}")
        return value

    def _hint(self, logs: Mapping[str, Any]) -> str:
        validated = any(name.startswith("val_") for name in logs)
        if self.monitor.startswith("val_") and not validated:
            return "; there is no validation in this epoch: give fit validation_data or validation_split"
        hint = did_you_mean(nearest(self.monitor, logs, cutoff=0.5))
        return f"; {hint}" if hint else ""
