"""How fast to train: the learning rate and the step that it depends on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnx.optimizers.arguments import LearningRate, learning_rate_argument
from nnx.schedules import LearningRateSchedule


class Paced:
    """An object with a learning rate: a number that can be replaced, or a function of its steps."""

    name: str
    gradient_accumulation_steps: int | None

    def __init__(self, learning_rate: LearningRate) -> None:
        self._learning_rate, self._rate_takes_step = learning_rate_argument(learning_rate)
        self._steps = 0  # of which some only accumulate gradients

    @property
    def iterations(self) -> int:
        """The number of updates so far. Setting it starts a new round of gradient accumulation."""
        return self._steps // (self.gradient_accumulation_steps or 1)

    @iterations.setter
    def iterations(self, value: int) -> None:
        self._steps = value * (self.gradient_accumulation_steps or 1)

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step, before `decay`. A number can replace it, unless it follows a schedule."""
        rate = self._learning_rate
        if isinstance(rate, float):
            return rate
        return float(rate(self._steps) if self._rate_takes_step else rate())  # type: ignore[call-arg]

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        rate, takes_step = learning_rate_argument(value)
        if isinstance(rate, float) and isinstance(self._learning_rate, LearningRateSchedule):
            raise TypeError(
                f"the learning_rate of {self.name} follows {type(self._learning_rate).__name__} and cannot be set to a "
                f"number; set another schedule, or make the optimizer with a number"
            )
        self._learning_rate, self._rate_takes_step = rate, takes_step

    @property
    def schedule(self) -> Callable[..., float] | None:
        """What the learning rate follows: a schedule or a function; None if it is a number."""
        return None if isinstance(self._learning_rate, float) else self._learning_rate

    @property
    def lr(self) -> float:
        """The old name of `learning_rate`."""
        return self.learning_rate

    @lr.setter
    def lr(self, value: Any) -> None:
        self.learning_rate = value
