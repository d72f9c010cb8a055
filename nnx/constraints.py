"""Projections that keep weights in a set; applied after each update. Formulas and defaults are those of Keras 3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nnx.backends import Array, array_namespace
from nnx.lazy_loading import other_names
from nnx.members import Advising
from nnx.registry import Configurable, Registry
from nnx.registry import custom_objects as custom_names
from nnx.registry import serialize as plain_data

__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "max_norm",
    "maxnorm",
    "min_max_norm",
    "non_neg",
    "nonneg",
    "registry",
    "resolve",
    "serialize",
    "unit_norm",
    "unitnorm",
]

registry: Registry[Any] = Registry("constraint")

_EPSILON = 1e-7

Axis = int | Sequence[int] | None
"""The axes that a norm runs over: 0 for each unit of a dense kernel, (0, 1, 2) for each filter of a convolution."""


class Constraint(Configurable, Advising):
    """A projection of an array. A subclass defines `__call__`.

    >>> class Halved(Constraint):
    ...     def __call__(self, w):
    ...         return 0.5 * w
    """

    def __call__(self, w: Array) -> Array:
        """The projected array, of the same shape and dtype."""
        raise TypeError(f"{type(self).__name__} does not define __call__(self, w) -> array")


@registry.register()
class NonNeg(Constraint):
    """Weights that are not negative: max(w, 0)

    >>> import numpy as np
    >>> NonNeg()(np.asarray([-1.0, 2.0]))
    array([0., 2.])
    """

    def __call__(self, w: Array) -> Array:
        return array_namespace(w).maximum(w, 0.0)


@registry.register()
class UnitNorm(Constraint):
    """Weights whose norm along `axis` is 1: w / (|w| + 1e-7)

    axis : the axes that a norm runs over: 0 for each unit of a dense kernel, (0, 1, 2) for each filter of a
        convolution.

    >>> import numpy as np
    >>> UnitNorm()(np.asarray([[3.0], [4.0]])).round(4)
    array([[0.6],
           [0.8]])
    """

    def __init__(self, axis: Axis = 0) -> None:
        self.axis = axis

    def __call__(self, w: Array) -> Array:
        return w / (_norms(w, self.axis) + _EPSILON)


@registry.register()
class MaxNorm(Constraint):
    """Weights whose norm along `axis` is at most `max_value`: w * min(|w|, max_value) / (|w| + 1e-7)

    max_value : the largest norm.
    axis : the axes that a norm runs over: 0 for each unit of a dense kernel, (0, 1, 2) for each filter of a
        convolution.

    >>> import numpy as np
    >>> MaxNorm(1.0)(np.asarray([[3.0, 0.3], [4.0, 0.4]])).round(6)
    array([[0.6, 0.3],
           [0.8, 0.4]])

    ValueError for a negative max_value.
    """

    def __init__(self, max_value: float = 2, axis: Axis = 0) -> None:
        if not max_value >= 0:
            raise ValueError(f"MaxNorm: max_value must not be negative, got {max_value}")
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w: Array) -> Array:
        norms = _norms(w, self.axis)
        return w * (array_namespace(w).minimum(norms, float(self.max_value)) / (norms + _EPSILON))


@registry.register()
class MinMaxNorm(Constraint):
    """Weights whose norm along `axis` is drawn towards an interval.

        w * (rate * clip(|w|, min_value, max_value) + (1 - rate) * |w|) / (|w| + 1e-7)

    min_value, max_value : the interval.
    rate : which part of the way the norm goes; 1 for all of it.
    axis : the axes that a norm runs over: 0 for each unit of a dense kernel, (0, 1, 2) for each filter of a
        convolution.

    >>> import numpy as np
    >>> MinMaxNorm(0.0, 1.0, rate=0.5)(np.asarray([[3.0], [4.0]])).round(4)
    array([[1.8],
           [2.4]])

    ValueError unless 0 <= min_value <= max_value.
    """

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Axis = 0) -> None:
        if not 0 <= min_value <= max_value:
            raise ValueError(f"MinMaxNorm: expected 0 <= min_value <= max_value, got {min_value} and {max_value}")
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w: Array) -> Array:
        xp = array_namespace(w)
        norms = _norms(w, self.axis)
        nearest = xp.minimum(xp.maximum(norms, float(self.min_value)), float(self.max_value))
        return w * ((self.rate * nearest + (1.0 - self.rate) * norms) / (norms + _EPSILON))


def resolve(identifier: Any) -> Any:
    """A constraint from a name, a class, a configuration, or any function of w; None stays None.

    >>> resolve("max_norm").max_value
    2
    """
    constraint = None if identifier is None else registry.resolve(identifier)
    if constraint is not None and not callable(constraint):
        raise TypeError(
            f"a constraint is None, a name such as 'max_norm', or a function that takes an array and returns it "
            f"projected, got {identifier!r}"
        )
    return constraint


get = resolve


def serialize(constraint: Any) -> Any:
    """A constraint as plain data that fits into JSON: its class and configuration; the name of a function.

    >>> serialize(MaxNorm(3))["class_name"]
    'MaxNorm'
    """
    return plain_data(constraint)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The constraint that `serialize` described, or that is meant by anything else that `get` takes.

    custom_objects : classes and functions of one's own, by name.

    >>> type(deserialize(serialize(MaxNorm(3)))).__name__
    'MaxNorm'
    """
    with custom_names(custom_objects):
        return resolve(config)


def _norms(w: Array, axis: Axis) -> Array:
    xp = array_namespace(w)
    axes = axis if axis is None or isinstance(axis, int) else tuple(axis)
    return xp.sqrt(xp.sum(w * w, axis=axes, keepdims=True))


# The names that Keras has, or once had, beside those of the classes

max_norm = maxnorm = MaxNorm
min_max_norm = MinMaxNorm
non_neg = nonneg = NonNeg
unit_norm = unitnorm = UnitNorm

if not TYPE_CHECKING:
    __getattr__ = other_names(__name__)
