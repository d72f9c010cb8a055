"""Activation functions by name, and as plain functions that return only their value.

>>> import numpy as np
>>> relu(np.asarray([-1.0, 2.0]))
array([0., 2.])

Of a symbolic value, in a graph, they make the symbol of an `Activation` layer, as in Keras. The same
functions with their derivatives are in `nnx.functional`: `y, pullback = nnx.functional.relu(x)`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from nnx import functional
from nnx import registry as names
from nnx.arguments import python_numbers
from nnx.autodiff.array import TrackedArray
from nnx.autodiff.protocol import with_pullback
from nnx.backends import Array
from nnx.lazy_loading import other_names
from nnx.pullbacks import Differentiable, original_of, values_only

__all__ = [
    "celu",
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "get",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "registry",
    "relu",
    "relu6",
    "resolve",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "step",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
]

registry: names.Registry[Callable[..., Array]] = names.Registry("activation")
_register = registry.register()


def _public(function: Differentiable) -> Callable[..., Any]:
    """The function of arrays that returns only the value, and of symbolic values, which know how to describe it."""

    @functools.wraps(function)
    def activation(x: Any, *args: Any, **kwargs: Any) -> Any:
        describe = getattr(x, "describe_activation", None)
        args, kwargs = python_numbers(args), python_numbers(kwargs)
        if describe is not None:
            return describe(function, *args, **kwargs)
        y = function(x, *args, **kwargs)[0]
        if isinstance(x, TrackedArray):
            y.mask = x.mask  # the steps of a sequence stay where they are
        return y

    activation.__module__ = __name__  # where pickle finds it
    activation.original = function  # type: ignore[attr-defined]
    return activation


celu = _register(_public(functional.celu))
elu = _register(_public(functional.elu))
exponential = _register(_public(functional.exponential))
gelu = _register(_public(functional.gelu))
hard_shrink = _register(_public(functional.hard_shrink))
hard_sigmoid = _register(_public(functional.hard_sigmoid))
hard_silu = hard_swish = registry.register("hard_swish")(_public(functional.hard_silu))
hard_tanh = _register(_public(functional.hard_tanh))
leaky_relu = _register(_public(functional.leaky_relu))
linear = _register(_public(functional.linear))
log_sigmoid = _register(_public(functional.log_sigmoid))
log_softmax = _register(_public(functional.log_softmax))
mish = _register(_public(functional.mish))
relu = _register(_public(functional.relu))
relu6 = _register(_public(functional.relu6))
selu = _register(_public(functional.selu))
sigmoid = _register(_public(functional.sigmoid))
silu = swish = registry.register("swish")(_public(functional.silu))
soft_shrink = _register(_public(functional.soft_shrink))
softmax = _register(_public(functional.softmax))
softplus = _register(_public(functional.softplus))
softsign = _register(_public(functional.softsign))
sparse_plus = _register(_public(functional.sparse_plus))
sparse_sigmoid = _register(_public(functional.sparse_sigmoid))
sparsemax = _register(_public(functional.sparsemax))
squareplus = _register(_public(functional.squareplus))
step = registry.register("heaviside")(_public(functional.step))
tanh = _register(_public(functional.tanh))
tanh_shrink = _register(_public(functional.tanh_shrink))
threshold = _register(_public(functional.threshold))

_BUILT_IN = frozenset(function.original for function in registry.objects.values())  # type: ignore[attr-defined]


def resolve(identifier: Any) -> Differentiable:
    """The function that returns `(y, pullback)`, for anything that users write as an activation.

    identifier : None (linear), a name, a function of this module or of `nnx.functional`, a `functools.partial` of one,
        or a function of one's own, of ordinary array code, or one that returns `(y, pullback)`.

    Raises ValueError for an unknown name and TypeError for what is not a function.

    >>> resolve("tanh") is resolve(tanh) is functional.tanh
    True
    """
    if identifier is None:
        return functional.linear
    if isinstance(identifier, str):
        identifier = registry.find(identifier)
    if not callable(identifier) or inspect.isclass(identifier) or hasattr(identifier, "forward"):
        raise TypeError(
            f"an activation is None, a name such as 'relu', or a function of arrays, got "
            f"{identifier!r}; a layer is not an activation: add it after this layer"
        )
    function = original_of(identifier)
    if isinstance(function, functools.partial):
        return functools.partial(
            resolve(function.func), *python_numbers(function.args), **python_numbers(function.keywords)
        )
    if function in _BUILT_IN or hasattr(function, "derives"):
        return function  # type: ignore[no-any-return]
    return with_pullback(function, f"the activation {getattr(function, '__name__', function)!r}")


def get(identifier: Any) -> Callable[..., Array]:
    """The function that returns only the value, for anything that `resolve` takes.

    >>> get("swish") is silu, get(None) is linear
    (True, True)
    """
    function = resolve(identifier)
    known = registry.objects.get(getattr(function, "__name__", ""))
    if known is not None and known.original is function:  # type: ignore[attr-defined]
        return known
    return values_only(function)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Callable[..., Array]:
    """The function that `serialize` named, or that is meant by anything else that `get` takes.

    custom_objects : functions of one's own, by name.

    >>> deserialize("relu") is relu
    True
    """
    if isinstance(config, Mapping) and config.get("class_name") == "function":  # as Keras writes it
        config = config.get("config")
    with names.custom_objects(custom_objects):
        return get(config)


def serialize(activation: Any) -> str:
    """The name that `get` and `resolve` find an activation by; TypeError for a function without a name.

    >>> serialize(functional.silu)
    'silu'
    """
    name: str = names.serialize("linear" if activation is None else activation)
    return name


if not TYPE_CHECKING:
    __getattr__ = other_names(__name__)
