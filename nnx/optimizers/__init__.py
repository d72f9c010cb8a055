"""Optimisers: how gradients change parameters. Names, arguments, defaults and formulas are those of Keras 3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from nnx import registry
from nnx.lazy_loading import other_names
from nnx.optimizers import schedules
from nnx.optimizers.adafactor import Adafactor
from nnx.optimizers.adagrad import Adadelta, Adagrad
from nnx.optimizers.adam import Adam, Adamax, AdamW, Nadam
from nnx.optimizers.ftrl import Ftrl
from nnx.optimizers.lamb import Lamb
from nnx.optimizers.lion import Lion
from nnx.optimizers.multi_optimizer import MultiOptimizer, OptimizerMap
from nnx.optimizers.muon import Muon
from nnx.optimizers.optimizer import Optimizer, optimizers
from nnx.optimizers.rmsprop import RMSprop
from nnx.optimizers.schedule_free import ScheduleFreeAdamW
from nnx.optimizers.sgd import SGD

__all__ = [
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "LossScaleOptimizer",
    "MultiOptimizer",
    "Muon",
    "Nadam",
    "Optimizer",
    "OptimizerMap",
    "RMSprop",
    "ScheduleFreeAdamW",
    "deserialize",
    "get",
    "optimizers",
    "resolve",
    "schedules",
    "serialize",
]


def get(identifier: Any) -> Optimizer:
    """An optimiser from its name, its class, its configuration, or itself.

    >>> get("adam").learning_rate
    0.001

    Raises ValueError for an unknown name, with those that come nearest, and for what is no optimiser.
    """
    optimizer = optimizers.resolve(identifier)
    if not isinstance(optimizer, Optimizer):
        raise ValueError(f"optimizer must be a name such as 'adam' or an object of nnx.optimizers, got {identifier!r}")
    return optimizer


resolve = get


def LossScaleOptimizer(  # noqa: N802, the name that Keras gave it
    inner_optimizer: Any, initial_scale: float = 2.0**15, dynamic_growth_steps: int = 2000, name: str | None = None
) -> Optimizer:
    """An optimiser itself, for scripts written for Keras: in float16 every optimiser of nnx scales the loss.

    inner_optimizer : an optimiser, or what `get` takes.
    initial_scale : what the loss is multiplied by at first. It is halved where gradients are not finite.
    dynamic_growth_steps : after how many other steps in a row it is doubled.
    name : of the optimiser; by default it keeps its own.

    >>> LossScaleOptimizer("adam", initial_scale=1024.0).name
    'adam'
    """
    optimizer = get(inner_optimizer)
    optimizer.start_scale(initial_scale, dynamic_growth_steps)
    optimizer.name = name or optimizer.name
    return optimizer


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """An optimiser as `{"class_name": ..., "config": {...}}`, without what it has learned.

    >>> serialize(SGD(0.5))["class_name"]
    'SGD'
    """
    return cast(dict[str, Any], registry.serialize(optimizer))


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Optimizer:
    """The optimiser that `serialize` described.

    custom_objects : classes of one's own, by name.

    >>> deserialize(serialize(SGD(0.5))).learning_rate
    0.5

    ValueError for a class that is not known.
    """
    with registry.custom_objects(custom_objects):
        return get(config)


if not TYPE_CHECKING:
    __getattr__ = other_names(__name__)
