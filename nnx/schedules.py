"""Learning-rate schedules: pure functions of the number of the step, computed on the host with Python floats.

Names, arguments and formulas are those of Keras 3. Steps count from 0.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from nnx import registry
from nnx.arguments import non_negative_number
from nnx.lazy_loading import other_names
from nnx.members import Advising
from nnx.registry import Configurable, Registry

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "schedules",
    "serialize",
]

schedules: Registry[type[LearningRateSchedule]] = Registry("learning-rate schedule")


class LearningRateSchedule(Configurable, Advising):
    """The learning rate as a function of the step. A schedule of one's own subclasses this and defines `__call__`.

    >>> class Halves(LearningRateSchedule):
    ...     def __call__(self, step):
    ...         return 0.5**step
    >>> Halves()(3)
    0.125
    """

    def __call__(self, step: int) -> float:
        """The learning rate of step 0, 1, 2, ..."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(self, step)")


class _RateDecay(LearningRateSchedule):
    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = None,
    ) -> None:
        self.initial_learning_rate = non_negative_number("initial_learning_rate", initial_learning_rate)
        self.decay_steps = non_negative_number("decay_steps", decay_steps, zero=False)
        self.decay_rate = non_negative_number("decay_rate", decay_rate)
        self.staircase = staircase
        self.name = name or type(self).__name__

    def _progress(self, step: int) -> float:
        return step // self.decay_steps if self.staircase else step / self.decay_steps


@schedules.register()
class ExponentialDecay(_RateDecay):
    """Exponential decay of the learning rate.

        initial_learning_rate * decay_rate ** (step / decay_steps)

    decay_steps : positive; the steps in which the rate is multiplied by decay_rate.
    staircase : round step / decay_steps down, so that the rate falls in stairs.

    >>> ExponentialDecay(0.1, decay_steps=100, decay_rate=0.5)(200)
    0.025

    TypeError for what is no number, ValueError for a negative one.
    """

    def __call__(self, step: int) -> float:
        return self.initial_learning_rate * math.pow(self.decay_rate, self._progress(step))


@schedules.register()
class InverseTimeDecay(_RateDecay):
    """Decay of the learning rate by the inverse of the time.

        initial_learning_rate / (1 + decay_rate * step / decay_steps)

    decay_steps : positive.
    staircase : round step / decay_steps down, so that the rate falls in stairs.

    >>> InverseTimeDecay(0.1, decay_steps=100, decay_rate=3.0)(100)
    0.025

    TypeError for what is no number, ValueError for a negative one.
    """

    def __call__(self, step: int) -> float:
        return self.initial_learning_rate / (1.0 + self.decay_rate * self._progress(step))


@schedules.register("piecewise_constant")
class PiecewiseConstantDecay(LearningRateSchedule):
    """Learning rate that is constant between given steps.

    values[0] up to and including step boundaries[0], values[1] up to boundaries[1], ..., then values[-1].

    boundaries : increasing steps.
    values : learning rates, one more than boundaries.

    >>> schedule = PiecewiseConstantDecay([100, 200], [0.1, 0.05, 0.01])
    >>> schedule(100), schedule(101), schedule(1000)
    (0.1, 0.05, 0.01)

    ValueError for boundaries that do not increase, and for another number of values.
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant") -> None:
        if len(values) != len(boundaries) + 1:
            raise ValueError(
                f"values must have one entry more than boundaries, got {len(values)} values for {len(boundaries)} "
                f"boundaries"
            )
        self.boundaries = [non_negative_number("boundaries", boundary) for boundary in boundaries]
        self.values = [non_negative_number("values", value) for value in values]
        if any(low >= high for low, high in zip(self.boundaries, self.boundaries[1:], strict=False)):
            raise ValueError(f"boundaries must increase, got {list(boundaries)}")
        self.name = name

    def __call__(self, step: int) -> float:
        return self.values[bisect.bisect_left(self.boundaries, step)]


@schedules.register()
class PolynomialDecay(LearningRateSchedule):
    """Polynomial decay of the learning rate to its end.

        (initial_learning_rate - end_learning_rate) * (1 - step / decay_steps) ** power + end_learning_rate

    After decay_steps the rate stays at end_learning_rate; with `cycle` it rises again: decay_steps is then replaced by
    its first multiple that is not smaller than the step.

    >>> schedule = PolynomialDecay(0.5, decay_steps=100, end_learning_rate=0.0)
    >>> schedule(50), schedule(100), schedule(1000)
    (0.25, 0.0, 0.0)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        self.initial_learning_rate = non_negative_number("initial_learning_rate", initial_learning_rate)
        self.decay_steps = non_negative_number("decay_steps", decay_steps, zero=False)
        self.end_learning_rate = non_negative_number("end_learning_rate", end_learning_rate)
        self.power = non_negative_number("power", power)
        self.cycle = cycle
        self.name = name

    def __call__(self, step: int) -> float:
        period = self.decay_steps
        if self.cycle:
            period *= max(1, math.ceil(step / period))
        left = 1.0 - min(step, period) / period
        end = self.end_learning_rate
        return end + (self.initial_learning_rate - end) * math.pow(left, self.power)


@schedules.register()
class CosineDecay(LearningRateSchedule):
    """Half a cosine from initial_learning_rate to alpha * initial_learning_rate in decay_steps.

        initial_learning_rate * ((1 - alpha) * (1 + cos(pi * step / decay_steps)) / 2 + alpha)

    Loshchilov and Hutter, "SGDR", 2016. With warmup_target the rate first rises in a line from initial_learning_rate
    to warmup_target in warmup_steps, and the cosine then falls from warmup_target to alpha * warmup_target.

    >>> schedule = CosineDecay(0.5, decay_steps=100)
    >>> schedule(0), round(schedule(50), 6), schedule(100)
    (0.5, 0.25, 0.0)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        self.initial_learning_rate = non_negative_number("initial_learning_rate", initial_learning_rate)
        self.decay_steps = non_negative_number("decay_steps", decay_steps, zero=False)
        self.alpha = non_negative_number("alpha", alpha)
        self.warmup_target = None if warmup_target is None else non_negative_number("warmup_target", warmup_target)
        self.warmup_steps = non_negative_number("warmup_steps", warmup_steps)
        self.name = name

    def __call__(self, step: int) -> float:
        start, elapsed = self.initial_learning_rate, float(step)
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return start + (self.warmup_target - start) * step / self.warmup_steps
            start, elapsed = self.warmup_target, step - self.warmup_steps
        return start * _half_cosine(min(elapsed / self.decay_steps, 1.0), 1.0, self.alpha)


@schedules.register()
class CosineDecayRestarts(LearningRateSchedule):
    """Half cosines one after another; each period is t_mul times as long and starts m_mul times as high.

        initial_learning_rate * ((1 - alpha) * m_mul**n * (1 + cos(pi * fraction)) / 2 + alpha)

    after n restarts, where fraction is the part of the present period that has passed.

    first_decay_steps : the length of the first period.
    t_mul : at least 1.
    alpha : the lowest rate, as a fraction of initial_learning_rate.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2016.

    >>> schedule = CosineDecayRestarts(0.5, first_decay_steps=100, m_mul=0.5)
    >>> schedule(0), round(schedule(50), 6), schedule(100), round(schedule(200), 6)
    (0.5, 0.25, 0.25, 0.125)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        self.initial_learning_rate = non_negative_number("initial_learning_rate", initial_learning_rate)
        self.first_decay_steps = non_negative_number("first_decay_steps", first_decay_steps, zero=False)
        self.t_mul = non_negative_number("t_mul", t_mul)
        if self.t_mul < 1:
            raise ValueError(f"t_mul must be at least 1, got {t_mul}")
        self.m_mul = non_negative_number("m_mul", m_mul)
        self.alpha = non_negative_number("alpha", alpha)
        self.name = name

    def __call__(self, step: int) -> float:
        restarts, fraction = self._period(step / self.first_decay_steps)
        return self.initial_learning_rate * _half_cosine(fraction, self.m_mul**restarts, self.alpha)

    def _period(self, progress: float) -> tuple[int, float]:
        """How many restarts there were, and what part of the current period has passed; progress in first periods."""
        t = self.t_mul
        if t == 1.0:
            return math.floor(progress), progress - math.floor(progress)
        restarts = math.floor(math.log1p(progress * (t - 1.0)) / math.log1p(t - 1.0))
        # the logarithm may miss by a rounding error just where a period ends
        if _geometric_sum(t, restarts) > progress:
            restarts -= 1
        elif _geometric_sum(t, restarts + 1) <= progress:
            restarts += 1
        return restarts, (progress - _geometric_sum(t, restarts)) / t**restarts


def _geometric_sum(ratio: float, terms: int) -> float:
    if ratio < 1.001:  # where the power loses most of its digits when 1 is taken off
        return math.expm1(terms * math.log1p(ratio - 1.0)) / (ratio - 1.0)
    return (ratio**terms - 1.0) / (ratio - 1.0)


def _half_cosine(fraction: float, height: float, alpha: float) -> float:
    return (1.0 - alpha) * 0.5 * height * (1.0 + math.cos(math.pi * fraction)) + alpha


def serialize(learning_rate_schedule: LearningRateSchedule) -> dict[str, Any]:
    """A schedule as `{"class_name": ..., "config": {...}}`.

    >>> serialize(ExponentialDecay(0.1, 100, 0.5))["class_name"]
    'ExponentialDecay'
    """
    return cast(dict[str, Any], registry.serialize(learning_rate_schedule))


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> LearningRateSchedule:
    """The schedule that `serialize` described.

    custom_objects : classes of one's own, by name.

    >>> deserialize(serialize(ExponentialDecay(0.1, 100, 0.5)))(100)
    0.05
    """
    with registry.custom_objects(custom_objects):
        return cast(LearningRateSchedule, schedules.build(config))


if not TYPE_CHECKING:
    __getattr__ = other_names(__name__)
