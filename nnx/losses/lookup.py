"""Losses from names, classes, configurations and functions, and back."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from nnx.backends import Array
from nnx.losses.base import CLASSES, VALUES_FUNCTIONS, Loss, LossFunctionWrapper, registry
from nnx.pullbacks import original_of
from nnx.registry import custom_objects as custom_names
from nnx.registry import serialize as plain_data


def resolve(identifier: Any) -> Loss:
    """Loss that is meant by a name, a class, a configuration, a function or a Loss.

    Functions are those of `nnx.losses` (`mse`), those of `nnx.functional`, and one's own
    `values, pullback = function(y_true, y_pred)`. ValueError for an unknown name, TypeError for anything else.

    >>> resolve("mse").name
    'mean_squared_error'
    >>> resolve({"class_name": "Huber", "config": {"delta": 2.0}}).delta
    2.0
    """
    if isinstance(identifier, str):
        identifier = registry.find(identifier)
    if isinstance(identifier, Mapping):
        identifier = registry.build(identifier)
    if inspect.isclass(identifier):
        identifier = identifier()
    if isinstance(identifier, Loss):
        return identifier
    if callable(identifier):
        return of_function(identifier) or LossFunctionWrapper(original_of(identifier))
    raise TypeError(
        f"loss must be a name such as 'mse', a function or an object of nnx.losses, got {type(identifier).__name__}: "
        f"{identifier!r}"
    )


def of_function(function: Any, options: Mapping[str, Any] | None = None) -> Loss | None:
    """Loss of a function of `nnx.losses` or `nnx.functional` with these options; None for one's own."""
    original = original_of(function)
    cls = next((cls for known, cls in CLASSES.items() if known is original), None)
    return None if cls is None else cls(**(options or {}))


def get(identifier: Any) -> Loss | Callable[..., Array] | None:
    """Loss as Keras gives it: an object for the name of a class, a function for that of a function, None for None.

    Other identifiers are those of `resolve`, with its errors.

    >>> get("mse").__name__, get("MeanSquaredError").reduction, get(None)
    ('mean_squared_error', 'sum_over_batch_size', None)
    """
    if identifier is None:
        return None
    loss = resolve(identifier)
    if isinstance(identifier, str) and identifier not in registry.objects and isinstance(loss, LossFunctionWrapper):
        function: Callable[..., Array] = VALUES_FUNCTIONS.get(loss.fn, loss.fn)
        return function
    return loss


def serialize(loss: Any) -> Any:
    """Loss as plain data that fits into JSON: its class and configuration; the name of a function.

    >>> from nnx.losses import Huber
    >>> serialize(Huber(delta=2.0))["class_name"]
    'Huber'
    """
    return plain_data(loss)


def deserialize(name: Any, custom_objects: Mapping[str, Any] | None = None) -> Loss | Callable[..., Array] | None:
    """Loss from what `serialize` returned, or from any other identifier of `get`.

    custom_objects : classes and functions of one's own, by name.

    >>> from nnx.losses import Huber
    >>> deserialize(serialize(Huber(delta=2.0))).delta
    2.0

    ValueError for a name that is not known.
    """
    with custom_names(custom_objects):
        return get(name)
