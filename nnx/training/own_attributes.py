"""What code of somebody's own finds in the attributes of a model and its layers, below the first level.

`attributes_of` compares the attributes of layers themselves. Here it is what these refer to: the attributes of a model
of one's own, the elements of a list or a dict, the numbers of an array, the attributes of an object.
"""

from __future__ import annotations

import functools
import operator
import weakref
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from nnx.backends import Placement
from nnx.layers import Layer
from nnx.metrics import Metric
from nnx.optimizers import Optimizer
from nnx.parameters import FlatParameters, Parameter
from nnx.random import Generator
from nnx.regularizers import Regularizer
from nnx.training.trainable import TrainableModel

_LARGEST = 1 << 18  # bytes of an array that is compared
_MOST = 1 << 12  # elements of a container that are
_AS_THEY_ARE = (
    *(bool, int, float, complex, str, bytes, type(None), range, slice, type, np.generic, np.dtype),
    *(FunctionType, BuiltinFunctionType, ModuleType, np.ufunc),
)
"""What a copy refers to as well, or what does not change."""
_COMPARED_ELSEWHERE = (Layer, Parameter, Generator, Placement, FlatParameters, Metric, Optimizer)


class OwnAttributes:
    """What the attributes refer to that only code of somebody's own reads, as it is now."""

    def __init__(self, model: TrainableModel) -> None:
        self._contents: list[tuple[Callable[[], list[Any]], list[Any]]] = []
        self._arrays: list[tuple[np.ndarray, bytes]] = []
        self._seen: dict[int, Any] = {}
        for _, layer in model.walk():
            read = _reader(layer)
            if hasattr(layer, "decided_at") and read():
                self._compare(read)
            for value in read():
                self._look_at(value)

    def are_as_they_were(self) -> bool:
        """Whether nothing of it has changed."""
        return all(_are_the_same(read(), before) for read, before in self._contents) and all(
            array.tobytes() == before for array, before in self._arrays
        )

    def _compare(self, read: Callable[[], list[Any]]) -> None:
        self._contents.append((read, read()))

    def _look_at(self, value: Any) -> None:
        if isinstance(value, (*_AS_THEY_ARE, *_COMPARED_ELSEWHERE)) or id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if isinstance(value, np.ndarray):
            if value.nbytes <= _LARGEST and not value.dtype.hasobject:
                self._arrays.append((value, value.tobytes()))
            return
        inner = list(_inside(value))
        if len(inner) > _MOST:
            return
        if not isinstance(value, tuple | frozenset | MethodType | functools.partial) and inner:
            self._compare(lambda: list(_inside(value)))
        for part in inner:
            self._look_at(part)


def _reader(layer: Layer) -> Callable[[], list[Any]]:
    """What reads a layer's attributes, and does not keep the layer alive."""
    reference = weakref.ref(layer)
    return lambda: list(own_attributes(reference()).values())


def own_attributes(layer: Any) -> dict[str, Any]:
    """The attributes of a layer; of a model those that its class, if it is not nnx's, has added."""
    own = vars(layer)
    if not hasattr(layer, "decided_at"):
        return dict(own)
    of_nnx = next(kind for kind in type(layer).__mro__ if kind.__module__.startswith("nnx."))
    return {} if of_nnx is type(layer) else {n: value for n, value in own.items() if n not in _names_of(of_nnx)}


@functools.cache
def _names_of(kind: Any) -> frozenset[str]:
    """What every model of one of nnx's classes has."""
    return frozenset(vars(kind()))


def _inside(value: Any) -> Iterator[Any]:
    """What a container has in it, or what an object that is not nnx's refers to."""
    if isinstance(value, dict):
        yield from value
        yield from value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        yield from value
    elif isinstance(value, MethodType):
        yield value.__self__
    elif isinstance(value, functools.partial):
        yield from (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, Regularizer) or not type(value).__module__.startswith("nnx."):
        yield from getattr(value, "__dict__", {}).values()


def _are_the_same(now: list[Any], before: list[Any]) -> bool:
    return len(now) == len(before) and all(map(operator.is_, now, before))
