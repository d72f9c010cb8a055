"""The arguments of optimisers: what they share, and checks that name them."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Mapping
from typing import Any, TypedDict

import numpy as np

from nnx.arguments import is_integer, non_negative_number
from nnx.names import did_you_mean, nearest
from nnx.registry import constructor_arguments
from nnx.schedules import LearningRateSchedule, schedules

LearningRate = float | LearningRateSchedule | Callable[..., float]


class CommonArguments(TypedDict, total=False):
    """The arguments that all optimisers take; see `Optimizer`."""

    weight_decay: float | None
    clipnorm: float | None
    global_clipnorm: float | None
    clipvalue: float | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    gradient_accumulation_steps: int | None
    loss_scale_factor: float | None
    decay: float | None
    name: str | None
    lr: LearningRate


def with_common_arguments(constructor: Callable[..., None], base: Callable[..., None]) -> Callable[..., None]:
    """A constructor that ends in `**common`, with the arguments of that of the base by position and in its signature.

    As in Keras they come behind its own, and before those of its own that have to be named.
    """
    parameters = list(inspect.signature(constructor).parameters.values())
    if parameters[-1].kind is not inspect.Parameter.VAR_KEYWORD:
        return constructor
    own = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    named = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    taken = {p.name for p in parameters}
    common = [p for p in inspect.signature(base).parameters.values() if p.name not in taken]
    candidates = [p for p in (*common, *named) if p.default is not p.empty]
    behind = [p.replace(kind=p.POSITIONAL_OR_KEYWORD) for p in candidates]
    required = [p for p in named if p.default is p.empty]

    @functools.wraps(constructor)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        first, rest = args[: len(own) - 1], args[len(own) - 1 :]
        if len(rest) > len(behind):
            raise TypeError(f"{type(self).__name__} takes {len(own) + len(behind) - 1} arguments, got {len(args)}")
        given = {p.name: value for p, value in zip(behind, rest, strict=False)}
        constructor(self, *first, **given, **kwargs)

    del __init__.__wrapped__  # its source has fewer arguments than the signature says
    __init__.__signature__ = inspect.Signature([*own, *behind, *required, parameters[-1]])  # type: ignore[attr-defined]
    return __init__


def learning_rate_argument(value: Any) -> tuple[LearningRate, bool]:
    """A number, schedule or function as given or described by a configuration, and whether to call it with the step."""
    if isinstance(value, Mapping):
        value = schedules.build(value)
    if callable(value) and not inspect.isclass(value):
        return value, isinstance(value, LearningRateSchedule) or bool(inspect.signature(value).parameters)
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    return float(non_negative_number("learning_rate", value)), False


def optional(name: str, value: Any, *, zero: bool = True) -> float | None:
    """None, or a number that is not negative."""
    return None if value is None else float(non_negative_number(name, value, zero=zero))


def epsilon_argument(value: float | None) -> float:
    """The small number that keeps a denominator from being zero; None, which old scripts write, is 1e-7."""
    return 1e-7 if value is None else float(non_negative_number("epsilon", value))


def count(name: str, value: Any, least: int) -> int | None:
    """None, or an integer of at least `least`."""
    if value is None:
        return None
    if not is_integer(value, least):
        raise ValueError(f"{name} must be None or an integer of at least {least}, got {value!r}")
    return operator.index(value)


def check_clipping(**limits: float | None) -> None:
    """ValueError if more than one of the limits is given."""
    given = [f"{name}={value}" for name, value in limits.items() if value is not None]
    if len(given) > 1:
        raise ValueError(f"only one of {', '.join(limits)} can be set, got {', '.join(given)}")


def explain_unknown(cls: type, argument: str) -> str:
    """The error text for a keyword that a constructor does not have."""
    known = [*constructor_arguments(cls), "lr", "decay"]
    hint = did_you_mean(nearest(argument, known)) or f"known are: {', '.join(known)}"
    return f"{cls.__name__} has no argument {argument!r}: {hint}"
