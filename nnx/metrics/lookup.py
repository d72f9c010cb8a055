"""Metrics from names, classes, configurations and functions, and back."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from nnx.backends import Array
from nnx.losses import BinaryCrossentropy, BinaryFocalCrossentropy, Loss
from nnx.metrics import losses_as_metrics
from nnx.metrics.accuracy import Accuracy, BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy
from nnx.metrics.base import MeanMetricWrapper, Metric, functions, registry
from nnx.registry import custom_objects as custom_names
from nnx.registry import serialize as plain_data
from nnx.shapes import Shape
from nnx.user_warnings import warn_user

_BY_SHAPES: dict[str, dict[str, Callable[[], Metric]]] = {
    "accuracy": {
        "unknown": Accuracy,
        "binary": BinaryAccuracy,
        "sparse": SparseCategoricalAccuracy,
        "categorical": CategoricalAccuracy,
    },
    "crossentropy": {
        "unknown": losses_as_metrics.CategoricalCrossentropy,
        "binary": losses_as_metrics.BinaryCrossentropy,
        "sparse": losses_as_metrics.SparseCategoricalCrossentropy,
        "categorical": losses_as_metrics.CategoricalCrossentropy,
    },
}
_BY_SHAPES["acc"], _BY_SHAPES["ce"] = _BY_SHAPES["accuracy"], _BY_SHAPES["crossentropy"]


def depends_on_shapes(identifier: Any) -> bool:
    """Names that mean different metrics for different targets, as "accuracy" does: whether this is one.

    >>> depends_on_shapes("accuracy"), depends_on_shapes("binary_accuracy")
    (True, False)
    """
    return isinstance(identifier, str) and identifier.lower() in _BY_SHAPES


def resolve(
    identifier: Any,
    *,
    loss: Loss | None = None,
    target_shape: Shape | None = None,
    output_shape: Shape | None = None,
) -> Metric:
    """Metric that is meant by a name, a class, a configuration, a function or a Metric.

    A name becomes the metric's name as it was typed. "accuracy" (or "acc") and "crossentropy" (or "ce") depend on the
    shapes, batch included: with one output it is the binary form, for targets without the axis of the classes the
    sparse one, else the categorical one. Without shapes "accuracy" is Accuracy, as `keras.metrics.get` has it.
    A function is that of `nnx.metrics` or `nnx.losses`, or one's own: (y_true, y_pred) -> the value of each sample.

    loss : that the model is trained with, for the warning below.
    target_shape, output_shape : of targets and predictions, with the batch, whose size may be None.

    Warns where the model has several binary outputs, for which "accuracy" is hardly meant to be categorical.
    ValueError for an unknown name, TypeError for anything else.

    >>> type(resolve("accuracy", target_shape=(None,), output_shape=(None, 10))).__name__
    'SparseCategoricalAccuracy'
    >>> resolve("mse").name
    'mse'
    """
    if isinstance(identifier, str):
        metric = _by_name(identifier, loss, target_shape, output_shape)
        metric.name = identifier
        return metric
    if isinstance(identifier, Mapping):
        identifier = registry.build(identifier)
    if inspect.isclass(identifier):
        identifier = _made(identifier)
    if isinstance(identifier, Metric):
        return identifier
    if callable(identifier):
        return MeanMetricWrapper(identifier, getattr(identifier, "name", None))
    raise TypeError(
        f"a metric must be a name such as 'accuracy', a function or an object of nnx.metrics, got "
        f"{type(identifier).__name__}: {identifier!r}"
    )


def _made(cls: type[Any]) -> Any:
    """An object of a class; ValueError if it needs arguments."""
    parameters = inspect.signature(cls).parameters.values()
    needed = [
        p.name for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    if needed:
        example = f"{cls.__name__}({', '.join(f'{name}=...' for name in needed)})"
        raise ValueError(f"metric {cls.__name__} needs {' and '.join(needed)}: give an object, metrics.{example}")
    return cls()


def _by_name(name: str, loss: Loss | None, target_shape: Shape | None, output_shape: Shape | None) -> Metric:
    forms = _BY_SHAPES.get(name.lower())
    if forms is None:
        found = registry.find(name)
        return resolve(found)
    kind = _kind(target_shape, output_shape)
    several = isinstance(loss, BinaryCrossentropy | BinaryFocalCrossentropy) and kind == "categorical"
    if several and forms is _BY_SHAPES["accuracy"]:
        warn_user(
            f"metric {name!r} of {output_shape[-1]} outputs trained with {loss.name!r} is the categorical accuracy, "  # type: ignore[index, union-attr]
            "as in Keras: whether the largest output is the right one; if the outputs are labels of their own, use "
            "'binary_accuracy'",
            UserWarning,
        )
    return forms[kind]()


def _kind(target_shape: Shape | None, output_shape: Shape | None) -> str:
    if target_shape is None or output_shape is None:
        return "unknown"
    if len(output_shape) == 1 or output_shape[-1] == 1:
        return "binary"
    if len(target_shape) < len(output_shape) or target_shape[-1] == 1:
        return "sparse"
    return "categorical"


def get(identifier: Any) -> Metric | Callable[..., Array] | None:
    """Metric as Keras gives it: for a name, a class or a configuration; a function as it is; None for None.

    Names are those of `resolve`, with its errors.

    >>> type(get("mse")).__name__, get(abs), get(None)
    ('MeanSquaredError', <built-in function abs>, None)
    """
    if identifier is None or (callable(identifier) and not inspect.isclass(identifier)):
        return identifier
    return resolve(identifier)


def serialize(metric: Any) -> Any:
    """Metric as plain data that fits into JSON: its class and configuration; the name of a function.

    >>> from nnx.metrics import TopKCategoricalAccuracy
    >>> serialize(TopKCategoricalAccuracy(k=3))["class_name"]
    'TopKCategoricalAccuracy'
    """
    return plain_data(metric)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Metric | Callable[..., Array] | None:
    """Metric from what `serialize` returned, or from any other identifier of `get`.

    custom_objects : classes and functions of one's own, by name.

    >>> from nnx.metrics import TopKCategoricalAccuracy
    >>> deserialize(serialize(TopKCategoricalAccuracy(k=3))).k
    3

    ValueError for a name that is not known.
    """
    with custom_names(custom_objects):
        if isinstance(config, str) and config in functions.objects:
            return functions.find(config)
        return get(config)
