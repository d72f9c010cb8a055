"""Values of Keras 2's backend: parameters and arrays that are made, read and set, and functions of a graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnx import ops
from nnx.backends import Array, is_array, to_numpy
from nnx.graph.symbol import Symbol
from nnx.keras_backend.settings import floatx
from nnx.layers.variable import Variable
from nnx.models import Model
from nnx.ops import cast, dtype, ones_like, stop_gradient, zeros_like
from nnx.parameters import Parameter

__all__ = [
    "Variable",
    "arange",
    "batch_get_value",
    "batch_set_value",
    "cast",
    "cast_to_floatx",
    "constant",
    "dtype",
    "eval",
    "eye",
    "function",
    "get_value",
    "is_keras_tensor",
    "is_tensor",
    "ones",
    "ones_like",
    "set_value",
    "stop_gradient",
    "update",
    "update_add",
    "update_sub",
    "variable",
    "zeros",
    "zeros_like",
]


def variable(value: Any, dtype: str | None = None, name: str | None = None, constraint: Any = None) -> Parameter:
    """Parameter that is in no layer, with a value of one's own; `nnx.GradientTape` differentiates by it.

    >>> variable([1.0, 2.0]).numpy()
    array([1., 2.], dtype=float32)
    """
    made = Variable(value.value if isinstance(value, Parameter) else value, dtype=dtype or floatx(), name=name)
    made.constraint = constraint
    return made


def constant(
    value: Any, dtype: str | None = None, shape: Sequence[int] | None = None, name: str | None = None
) -> Array:
    """Array of a value, by default of the floating dtype; a number may get a shape.

    >>> constant(2.0, shape=(2,))
    array([2., 2.], dtype=float32)
    """
    array = ops.convert_to_tensor(value, dtype or floatx())
    return array if shape is None else ops.broadcast_to(array, tuple(shape))


def zeros(shape: Sequence[int], dtype: str | None = None, name: str | None = None) -> Array:
    """Array of zeros; `variable` makes a parameter of it.

    >>> zeros((2,))
    array([0., 0.], dtype=float32)
    """
    return ops.zeros(tuple(shape), dtype or floatx())


def ones(shape: Sequence[int], dtype: str | None = None, name: str | None = None) -> Array:
    """Array of ones; `variable` makes a parameter of it.

    >>> ones((2,))
    array([1., 1.], dtype=float32)
    """
    return ops.ones(tuple(shape), dtype or floatx())


def eye(size: int, dtype: str | None = None, name: str | None = None) -> Array:
    """Matrix with ones on its diagonal.

    >>> eye(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return ops.eye(size, dtype=dtype or floatx())


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: str = "int32") -> Array:
    """Numbers at equal distances, integers by default.

    >>> arange(3).tolist()
    [0, 1, 2]
    """
    return ops.arange(start, stop, step, dtype=dtype)


def get_value(x: Any) -> np.ndarray:
    """Value on the host: of a parameter, an array, a metric's state, or `optimizer.learning_rate`.

    >>> get_value(variable(2.0))
    array(2., dtype=float32)
    """
    if is_array(x) and not hasattr(x, "assign"):
        return to_numpy(x)
    return np.asarray(x.numpy() if hasattr(x, "numpy") else x)


eval = get_value


def set_value(x: Any, value: Any) -> None:
    """Another value of a parameter, or of `optimizer.learning_rate`.

    TypeError for what has no value of its own, such as an array.

    >>> weight = variable(2.0)
    >>> set_value(weight, 3.0)
    >>> float(weight.numpy())
    3.0
    """
    if not hasattr(x, "assign"):
        raise TypeError(
            f"K.set_value expects a parameter, or optimizer.learning_rate, got {type(x).__name__}; an array is written "
            f"as x[...] = value, and K.variable makes a parameter"
        )
    x.assign(value)


def batch_get_value(tensors: Sequence[Any]) -> list[np.ndarray]:
    """Values on the host of several parameters.

    >>> [float(value) for value in batch_get_value([variable(1.0), variable(2.0)])]
    [1.0, 2.0]
    """
    return [get_value(x) for x in tensors]


def batch_set_value(tuples: Sequence[tuple[Any, Any]]) -> None:
    """Other values of several parameters, given as pairs.

    >>> weight = variable(1.0)
    >>> batch_set_value([(weight, 2.0)])
    >>> float(weight.numpy())
    2.0
    """
    for x, value in tuples:
        set_value(x, value)


def update(x: Any, new_x: Any) -> Any:
    """Another value of a parameter, which is returned.

    >>> float(update(variable(1.0), 2.0).numpy())
    2.0
    """
    set_value(x, new_x)
    return x


def update_add(x: Any, increment: Any) -> Any:
    """Parameter to whose value something was added.

    >>> float(update_add(variable(1.0), 2.0).numpy())
    3.0
    """
    return x.assign_add(increment)


def update_sub(x: Any, decrement: Any) -> Any:
    """Parameter from whose value something was taken.

    >>> float(update_sub(variable(1.0), 2.0).numpy())
    -1.0
    """
    return x.assign_sub(decrement)


def is_tensor(x: Any) -> bool:
    """Whether something is an array or a symbol.

    >>> is_tensor(zeros((2,))), is_tensor(1.0)
    (True, False)
    """
    return ops.is_tensor(x) or hasattr(x, "describe_activation")


def is_keras_tensor(x: Any) -> bool:
    """Whether a value stands for an array in a graph, as `nnx.Input` makes it.

    >>> from nnx import Input
    >>> is_keras_tensor(Input((2,))), is_keras_tensor(1.0)
    (True, False)
    """
    return isinstance(x, Symbol)


def cast_to_floatx(x: Any) -> Any:
    """Array in the floating dtype: NumPy's stay on the host, as do lists.

    >>> cast_to_floatx([1, 2])
    array([1., 2.], dtype=float32)
    """
    if isinstance(x, list | tuple | int | float | np.ndarray | np.generic):
        return np.asarray(x, dtype=floatx())
    return ops.cast(x, floatx())


def function(inputs: Any, outputs: Any, updates: Any = None, name: str | None = None) -> Callable[[Any], Any]:
    """Function from values of a graph's inputs to those of its symbols, on the host.

    inputs, outputs : symbols, or lists of them, such as [model.input] and [layer.output]. What is returned takes a
    value, or a list of values, and returns the same form of outputs.

    >>> import nnx
    >>> x = nnx.Input((2,))
    >>> double = function([x], [2.0 * x])
    >>> double([[[1.0, 2.0]]])[0].tolist()
    [[2.0, 4.0]]
    """
    if updates:
        raise ValueError("K.function takes no updates: write a train_step, or x.assign(value)")
    model = Model(inputs, outputs)

    def call(values: Any) -> Any:
        several = isinstance(inputs, list | tuple)
        data = [np.asarray(v, dtype=None if is_array(v) else floatx()) for v in (values if several else [values])]
        found = model.predict(data[0] if len(data) == 1 else data, verbose=0)
        return found if isinstance(found, list) or not isinstance(outputs, list | tuple) else [found]

    return call
