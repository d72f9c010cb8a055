"""Objects as plain data in the form of Keras, and back: what a `get_config` of one's own keeps of objects inside."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from nnx import activations, constraints, initializers, losses, metrics, optimizers, regularizers, schedules
from nnx.backends import is_array, to_numpy
from nnx.descriptions import without_other_files
from nnx.initializers.initializer import registry as initializer_registry
from nnx.names import did_you_mean, nearest
from nnx.registry import Registry, get_registered_name, get_registered_object, layer_registry
from nnx.registry import custom_objects as custom_objects_scope

__all__ = ["deserialize_keras_object", "serialize_keras_object"]

_REGISTRIES: Final[dict[str, Registry[Any]]] = {
    "layers": layer_registry,
    "models": layer_registry,
    "losses": losses.registry,
    "metrics": metrics.registry,
    "optimizers": optimizers.optimizers,
    "schedules": schedules.schedules,
    "initializers": initializer_registry,
    "regularizers": regularizers.registry,
    "constraints": constraints.registry,
}
"""What has the classes of each package."""

_FUNCTIONS: Final = (activations, losses, metrics, initializers)
"""The packages whose functions a configuration may name."""


def serialize_keras_object(obj: Any) -> Any:
    """An object as plain data: `{"module": ..., "class_name": ..., "config": ..., "registered_name": ...}`.

    obj : anything with a `get_config`, a function, an array, None, a number or text; or a list, tuple or dict of such.

    TypeError for an anonymous function, and for what has no `get_config`.

    >>> import nnx
    >>> serialize_keras_object([1, nnx.initializers.Zeros()])[1]["class_name"]
    'Zeros'
    """
    if obj is None or isinstance(obj, bool | int | float | str):
        return obj
    if isinstance(obj, list | tuple):
        return type(obj)(map(serialize_keras_object, obj))
    if isinstance(obj, Mapping):
        return {name: serialize_keras_object(value) for name, value in obj.items()}
    if hasattr(obj, "get_config"):
        kind, name = type(obj), get_registered_name(type(obj))
        parts = kind.__module__.split(".")
        of_nnx = parts[0] == "nnx" and len(parts) > 1
        return {
            "module": f"nnx.{parts[1]}" if of_nnx else kind.__module__,
            "class_name": kind.__name__,
            "config": serialize_keras_object(obj.get_config()),
            "registered_name": None if of_nnx else name,
        }
    if is_array(obj) or isinstance(obj, np.generic):
        host = to_numpy(obj) if is_array(obj) else obj
        return {"class_name": "__numpy__", "config": {"value": host.tolist(), "dtype": str(host.dtype)}}
    if callable(obj) and getattr(obj, "__name__", "<lambda>") != "<lambda>":
        name = get_registered_name(obj)
        registered = name if name != obj.__name__ else "function"
        return {"module": "builtins", "class_name": "function", "config": obj.__name__, "registered_name": registered}
    raise TypeError(
        f"{obj!r} cannot be in a configuration: give it a name (a function, with def) or a get_config method (a class)"
    )


def deserialize_keras_object(
    config: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True
) -> Any:
    """The object that `serialize_keras_object` described.

    config : plain data. custom_objects : classes and functions of your own by name, looked up first.
    safe_mode : accepted for scripts written for Keras; no module is imported and no code run, whatever it says.

    ValueError for a name that nobody knows or that may mean several things, and for the code of a lambda.

    >>> import nnx
    >>> layer = deserialize_keras_object(serialize_keras_object(nnx.layers.Dense(3)))
    >>> layer.units
    3
    """
    with custom_objects_scope(custom_objects), without_other_files():
        return _restored(config)


serialize, deserialize = serialize_keras_object, deserialize_keras_object  # as `keras.layers` calls them


def _restored(config: Any) -> Any:
    if isinstance(config, list | tuple):
        return type(config)(map(_restored, config))
    if not isinstance(config, Mapping):
        return config
    if not isinstance(config.get("class_name"), str) or "config" not in config:
        return {name: _restored(value) for name, value in config.items()}
    name, inner = config["class_name"], config["config"]
    if name == "__numpy__":
        return np.asarray(inner["value"], dtype=inner["dtype"])
    if name == "__lambda__":
        raise ValueError("the code of a lambda is never run: define the function, and give it in custom_objects")
    own = get_registered_object(str(config.get("registered_name"))) or get_registered_object(
        inner if name == "function" else name
    )
    if name == "function":
        return own or _function(inner)
    kind = own or _class(name, str(config.get("module")))
    return kind.from_config(dict(inner))


def _function(name: str) -> Any:
    for package in _FUNCTIONS:
        if name in package.__all__ and inspect.isfunction(getattr(package, name)):
            return getattr(package, name)
    raise ValueError(f"unknown function {name!r}; one of your own goes into custom_objects={{{name!r}: {name}}}")


def _class(name: str, module: str) -> Any:
    """The class of nnx of that name, in the package that the module of a configuration names."""
    said = [kind for kind in _REGISTRIES if kind in module.split(".")]
    layer_registry.load()
    found = {kind: _REGISTRIES[kind].objects[name] for kind in said or _REGISTRIES if name in _REGISTRIES[kind].objects}
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    if found:
        one = next(iter(found))
        raise ValueError(f"{name!r} is a class of {' and of '.join(found)}: say which, as in 'module': 'nnx.{one}'")
    known = {known for registry in _REGISTRIES.values() for known in registry.objects}
    hint = did_you_mean(nearest(name, sorted(known)))
    raise ValueError(
        f"unknown class {name!r}{f': {hint}' if hint else ''}; one of your own goes into "
        f"custom_objects={{{name!r}: {name}}}"
    )
