"""Objects in configurations of Keras: initialisers, regularisers, schedules, losses and the like, by nnx's classes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnx import activations, constraints, initializers, losses, metrics, optimizers, regularizers
from nnx.names import did_you_mean, nearest, shortened
from nnx.registry import Registry, constructor_arguments, find_custom, named_kind
from nnx.schedules import schedules

__all__ = [
    "class_name_of",
    "is_layer",
    "leftover",
    "made_argument",
    "made_loss",
    "made_metrics",
    "made_optimizer",
    "plain",
    "rate_as_written",
]

_NOTHING: tuple[Any, ...] = (None, False, [], {}, ())
_BY_SUFFIX: dict[str, Any] = {
    "initializer": initializers.registry,
    "regularizer": regularizers.registry,
    "constraint": constraints.registry,
    "activation": activations.registry,
}

# What configurations of objects have that is not an argument here, and the values that say nothing.
_DROPPED: dict[str, tuple[Any, ...]] = {
    "dtype": ("float32", "float64", "float16"),
    "is_legacy_optimizer": (True, False),
    "jit_compile": (True, False),
    "reduction": ("auto", "sum_over_batch_size"),
    "_update_step": (),
}


def class_name_of(config: Mapping[str, Any]) -> str:
    """The name of the class of a configuration, without the package that it was registered for."""
    name = config.get("class_name")
    if not isinstance(name, str):
        raise ValueError(f"not the configuration of an object: {shortened(str(dict(config)))}")
    return name.rpartition(">")[2]


def plain(value: Any, where: str) -> Any:
    """A value of a configuration with tuples, arrays and the like in place of their descriptions.

    ValueError for a description of Python code.
    """
    if isinstance(value, list):
        return [plain(item, where) for item in value]
    if not isinstance(value, dict):
        return value
    kind, config = value.get("class_name"), value.get("config")
    if not isinstance(kind, str):
        return {key: plain(item, where) for key, item in value.items()}
    if kind == "__lambda__":
        raise _code_in(where)
    if kind == "__tuple__":
        return tuple(plain(value.get("items", config), where))
    if kind in ("__tensor__", "__numpy__") and isinstance(config, dict):
        return np.asarray(config["value"], dtype=_dtype_of(config.get("dtype"), where))
    if kind in ("__slice__", "slice") and isinstance(config, dict):
        return slice(*(config.get(name) for name in ("start", "stop", "step")))
    if kind == "__ellipsis__":
        return Ellipsis
    return value


def _code_in(where: str) -> ValueError:
    return ValueError(
        f"{where} has Python code, which nnx does not run; give it a name, and pass custom_objects={{name: function}}"
    )


def _dtype_of(name: Any, where: str) -> np.dtype[Any]:
    if name not in ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"):
        raise ValueError(f"{where} has an array of dtype {shortened(str(name))}")
    dtype: np.dtype[Any] = np.dtype(name)
    return dtype


def leftover(cls: Any, key: str, value: Any, where: str, dropped: Mapping[str, tuple[Any, ...]]) -> None:
    """ValueError for a key that a class of nnx does not have, unless its value says nothing."""
    if any(value is one or (value == one and type(value) is type(one)) for one in _NOTHING):
        return
    if key in dropped and (not dropped[key] or value in dropped[key]):
        return
    raise ValueError(f"{where} has {key}={shortened(repr(value))}, which nnx does not have")


def settings_for(cls: Any, config: Any, where: str) -> dict[str, Any]:
    """The arguments of a class among those of a configuration; ValueError for others that say something."""
    if not isinstance(config, dict):
        raise ValueError(f"the configuration of {where} is {shortened(repr(config))}, expected a dict")
    known = constructor_arguments(cls)
    settings = {}
    for key, value in config.items():
        if key in known:
            settings[key] = plain(value, where)
        else:
            leftover(cls, key, value, where, _DROPPED)
    return settings


def found_class(registry: Registry[Any], config: Mapping[str, Any], where: str) -> tuple[Any, bool]:
    """The class or function that a configuration names, and whether it is somebody's own."""
    name = class_name_of(config)
    for one in _names_of(config):
        own = find_custom(one)
        if own is not None:
            return own, True
    if name == "function" and isinstance(config.get("config"), str):
        return _found_function(registry, config["config"], where), False
    try:
        return registry.find(name), False
    except ValueError:
        near = did_you_mean(nearest(name, registry.objects))
        raise ValueError(
            f"{where}: unknown {registry.kind} {shortened(name)!r}; {near or 'one of your own'} "
            f"{'or, of your own, it ' if near else ''}goes into custom_objects={{{shortened(name)!r}: ...}}"
        ) from None


def _found_function(registry: Registry[Any], name: str, where: str) -> Any:
    own = find_custom(name)
    if own is not None:
        return own
    try:
        return registry.find(name)
    except ValueError:
        raise ValueError(
            f"{where} names the function {shortened(name)!r}; files of Keras have no functions that nnx runs: pass "
            f"custom_objects={{{shortened(name)!r}: the_function}}"
        ) from None


def made(registry: Registry[Any], value: Any, where: str) -> Any:
    """An object from its configuration; names and what is no configuration stay."""
    value = plain(value, where)
    if isinstance(value, str):
        return _found_function(registry, value, where) if find_custom(value) is not None else value
    if not isinstance(value, dict):
        return value
    if value.keys() == {"value"}:  # a lambda, of which Keras keeps no more than its code
        raise _code_in(where)
    if "class_name" not in value:
        raise ValueError(f"{where}: not the configuration of {named_kind(registry.kind)}: {shortened(str(value))}")
    cls, own = found_class(registry, value, where)
    label = f"{class_name_of(value)} of {where}"
    config = value.get("config") or {}
    if not inspect.isclass(cls):
        if isinstance(config, dict):
            for key, item in config.items():
                if key != "name":
                    leftover(cls, key, item, label, _DROPPED)
        return cls
    if own:
        return cls.from_config(config) if hasattr(cls, "from_config") else cls(**config)
    return cls(**settings_for(cls, config, label))


def made_argument(name: str, value: Any, where: str) -> Any:
    """An argument of a layer: an object, a name or plain data, by what the argument is called."""
    if value is None:
        return None
    suffix = name.rpartition("_")[2]
    if suffix in _BY_SUFFIX:
        return made(_BY_SUFFIX[suffix], value, f"{name} of {where}")
    return plain(value, where)


def is_layer(value: Any) -> bool:
    """Whether what describes an activation is the configuration of a layer, and not of a function, or a name."""
    if not isinstance(value, dict) or not isinstance(value.get("class_name"), str):
        return False
    if value["class_name"] in ("function", "__lambda__"):
        return False
    own = next(filter(None, map(find_custom, _names_of(value))), None)
    return own is None or inspect.isclass(own)


def _names_of(config: Mapping[str, Any]) -> list[str]:
    """The names that custom objects may have an object of a configuration by."""
    return [name for name in (config.get("registered_name"), class_name_of(config)) if isinstance(name, str)]


# How a model was compiled


def made_optimizer(config: Any, where: str) -> Any:
    """An optimiser from its configuration, a name or None. Its learning rate may be a schedule."""
    if config is None or isinstance(config, str):
        return config
    if not isinstance(config, dict):
        raise ValueError(f"not the configuration of an optimizer: {shortened(repr(config))}")
    if class_name_of(config) in ("LossScaleOptimizer", "LossScaleOptimizerV3"):
        return _scaling_optimizer(config.get("config"), where)
    cls, own = found_class(optimizers.optimizers, config, "the optimizer")
    settings = config.get("config")
    if own:
        return cls.from_config(settings)
    settings = dict(settings) if isinstance(settings, dict) else settings
    rate = settings.pop("learning_rate", settings.pop("lr", None)) if isinstance(settings, dict) else None
    arguments = settings_for(cls, settings, f"the optimizer {class_name_of(config)}")
    if rate is not None:
        arguments["learning_rate"] = rate_as_written(made(schedules, rate, "the learning rate"))
    return cls(**arguments)


def _scaling_optimizer(settings: Any, where: str) -> Any:
    """The optimiser inside of one that scales the loss of Keras, which every optimiser of nnx does for float16."""
    if not isinstance(settings, dict):
        raise ValueError(f"the configuration of {where} is {shortened(repr(settings))}, expected a dict")
    inner = optimizers.get(made_optimizer(settings.get("inner_optimizer"), where))
    if settings.get("dynamic") is False:
        raise ValueError(f"{where} has dynamic=False, which nnx does not have; it has loss_scale_factor")
    for key, value in settings.items():
        if key not in ("name", "inner_optimizer", "initial_scale", "dynamic_growth_steps"):
            leftover(
                None, key, value, f"the LossScaleOptimizer of {where}", {"dynamic": (True,), "ema_momentum": (0.99,)}
            )
    inner.start_scale(settings.get("initial_scale", 2.0**15), settings.get("dynamic_growth_steps", 2000))
    return inner


def rate_as_written(value: Any) -> Any:
    """A learning rate as it was written: files have the nearest float32, of which the shortest form is meant."""
    if isinstance(value, float) and 1e-30 < value < 1e30 and value == float(np.float32(value)):
        return float(str(np.float32(value)))
    return value


def _loss(value: Any, where: str) -> Any:
    if isinstance(value, dict) and "class_name" in value and isinstance(value.get("config"), dict):
        config = {key: item for key, item in value["config"].items() if key != "fn"}
        if config.get("reduction") == "auto":
            config["reduction"] = "sum_over_batch_size"
        if class_name_of(value) == "LossFunctionWrapper":
            return made(losses.base.registry, value["config"].get("fn"), where)
        return made(losses.base.registry, {**value, "config": config}, where)
    return made(losses.base.registry, value, where)


def made_loss(value: Any) -> Any:
    """The loss of `compile` from its configuration: one, or a list or dict of them."""
    if isinstance(value, list):
        return [made_loss(one) for one in value]
    if isinstance(value, dict) and "class_name" not in value:
        return {key: made_loss(one) for key, one in value.items()}
    return None if value is None else _loss(value, "the loss")


def made_metrics(value: Any) -> Any:
    """The metrics of `compile` from their configurations, in lists and dicts as they were given."""
    if isinstance(value, list):
        return [made_metrics(one) for one in value]
    if isinstance(value, dict) and "class_name" not in value:
        return {key: made_metrics(one) for key, one in value.items()}
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict) and class_name_of(value) == "MeanMetricWrapper":
        config = value.get("config") or {}
        name, function = config.get("name"), made(metrics.base.functions, config.get("fn"), "a metric")
        if isinstance(name, str) and metrics.lookup.depends_on_shapes(name):
            return name
        metric = metrics.resolve(function)
        metric.name = name if isinstance(name, str) else metric.name
        return metric
    if isinstance(value, dict) and isinstance(value.get("config"), dict):
        value = {**value, "config": {key: one for key, one in value["config"].items() if key != "fn"}}
    return made(metrics.base.registry, value, "a metric")
