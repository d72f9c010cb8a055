"""The old backend of Keras 2, known as K: what `from nnx import backend as K` finds, with the meanings of then.

New code writes `nnx.ops`, which these functions are made of. Functions take arrays, lists, parameters, and symbols of a
graph; those whose meaning has not changed are `nnx.ops`' own.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nnx import ops, random
from nnx.backends import Array, get_backend, is_array, set_dtype, to_numpy
from nnx.epsilon import epsilon, set_epsilon
from nnx.graph.symbol import Symbol
from nnx.layers.variable import Variable
from nnx.models import Model
from nnx.ops import (
    abs,
    all,
    any,
    binary_crossentropy,
    cast,
    categorical_crossentropy,
    cos,
    dtype,
    equal,
    exp,
    greater,
    greater_equal,
    less,
    less_equal,
    log,
    logsumexp,
    max,
    maximum,
    mean,
    min,
    minimum,
    ndim,
    not_equal,
    ones_like,
    prod,
    reshape,
    sigmoid,
    sign,
    sin,
    softmax,
    softplus,
    softsign,
    sparse_categorical_crossentropy,
    sqrt,
    square,
    squeeze,
    stack,
    std,
    stop_gradient,
    sum,
    tanh,
    transpose,
    var,
    zeros_like,
)
from nnx.ops import round as round
from nnx.parameters import Parameter

__all__ = [
    "Variable",
    "abs",
    "all",
    "any",
    "arange",
    "argmax",
    "argmin",
    "backend",
    "batch_dot",
    "batch_flatten",
    "batch_get_value",
    "batch_set_value",
    "bias_add",
    "binary_crossentropy",
    "cast",
    "cast_to_floatx",
    "categorical_crossentropy",
    "clear_session",
    "clip",
    "concatenate",
    "constant",
    "conv1d",
    "conv2d",
    "cos",
    "ctc_batch_cost",
    "ctc_decode",
    "cumprod",
    "cumsum",
    "dot",
    "dropout",
    "dtype",
    "elu",
    "epsilon",
    "equal",
    "eval",
    "exp",
    "expand_dims",
    "eye",
    "flatten",
    "floatx",
    "function",
    "gather",
    "get_uid",
    "get_value",
    "greater",
    "greater_equal",
    "hard_sigmoid",
    "image_data_format",
    "in_top_k",
    "int_shape",
    "is_float_dtype",
    "is_int_dtype",
    "is_keras_tensor",
    "is_tensor",
    "l2_normalize",
    "less",
    "less_equal",
    "log",
    "logsumexp",
    "map_fn",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "name_scope",
    "ndim",
    "not_equal",
    "one_hot",
    "ones",
    "ones_like",
    "permute_dimensions",
    "pool2d",
    "pow",
    "prod",
    "random_bernoulli",
    "random_binomial",
    "random_normal",
    "random_normal_variable",
    "random_uniform",
    "random_uniform_variable",
    "relu",
    "repeat",
    "repeat_elements",
    "reshape",
    "resize_images",
    "result_type",
    "reverse",
    "round",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "set_value",
    "shape",
    "sigmoid",
    "sign",
    "sin",
    "softmax",
    "softplus",
    "softsign",
    "sparse_categorical_crossentropy",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "standardize_dtype",
    "std",
    "stop_gradient",
    "sum",
    "switch",
    "tanh",
    "tile",
    "transpose",
    "truncated_normal",
    "update",
    "update_add",
    "update_sub",
    "var",
    "variable",
    "zeros",
    "zeros_like",
]


def floatx() -> str:
    """Name of the floating dtype of new parameters.

    >>> floatx()
    'float32'
    """
    return get_backend().dtype


def set_floatx(value: str) -> None:
    """Another floating dtype of new parameters, for the whole process, on the backend that is chosen.

    value : "float16", "float32" or "float64". RuntimeError inside `with nnx.backend(...)`, which decides there.

    >>> set_floatx("float32")
    """
    set_dtype(value)


def standardize_dtype(dtype: Any) -> str:
    """The name of a dtype, whatever library, or Python, it is of; that of `floatx` for None.

    >>> standardize_dtype(float), standardize_dtype(np.dtype("int8"))
    ('float32', 'int8')
    """
    if dtype is None or dtype is float:
        return floatx()
    if dtype in (int, str):
        return {int: "int32", str: "string"}[dtype]
    name = getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or str(dtype).rpartition(".")[2]
    if not re.fullmatch(r"bool|string|(float|u?int)(8|16|32|64)|bfloat16|complex(64|128)", str(name)):
        raise ValueError(f"not a dtype: {dtype!r}")
    return str(name)


def is_float_dtype(dtype: Any) -> bool:
    """Whether a dtype has floating numbers.

    >>> is_float_dtype("float16"), is_float_dtype("int8")
    (True, False)
    """
    return "float" in standardize_dtype(dtype)


def is_int_dtype(dtype: Any) -> bool:
    """Whether a dtype has integers.

    >>> is_int_dtype("uint8"), is_int_dtype("bool")
    (True, False)
    """
    return "int" in standardize_dtype(dtype)


def result_type(*dtypes: Any) -> str:
    """The dtype of what is computed from values of some: as of NumPy, but float32 where integers meet floating numbers.

    >>> result_type("int32", "float16"), result_type("int8", "int32"), result_type()
    ('float16', 'int32', 'float32')
    """
    names = [standardize_dtype(dtype) for dtype in dtypes] or [floatx()]
    floating = [name for name in names if is_float_dtype(name)]
    return str(np.result_type(*(floating or names)))


def is_keras_tensor(x: Any) -> bool:
    """Whether a value stands for an array in a graph, as `nnx.Input` makes it.

    >>> from nnx import Input
    >>> is_keras_tensor(Input((2,))), is_keras_tensor(1.0)
    (True, False)
    """
    return isinstance(x, Symbol)


_uids: dict[str, int] = {}


def get_uid(prefix: str = "") -> int:
    """How often it was called with that prefix.

    >>> get_uid("mine"), get_uid("mine")
    (1, 2)
    """
    _uids[prefix] = _uids.get(prefix, 0) + 1
    return _uids[prefix]


def image_data_format() -> str:
    """Order of axes that layers of images expect if they are not told another: "channels_last".

    >>> image_data_format()
    'channels_last'
    """
    return "channels_last"


def set_image_data_format(data_format: str) -> None:
    """ValueError for anything but "channels_last": there is no such global choice in nnx.

    >>> set_image_data_format("channels_last")
    """
    if data_format != "channels_last":
        raise ValueError(
            f"nnx has no global data format, got {data_format!r}: write data_format={data_format!r} in each layer"
        )


def backend() -> str:
    """Name of the backend in use.

    >>> backend()
    'numpy'
    """
    return get_backend().name


def clear_session(free_memory: bool = True) -> None:
    """Nothing: nnx has no global graph, and models that nobody refers to are gone.

    free_memory : accepted as in Keras.

    >>> clear_session()
    """


@contextlib.contextmanager
def name_scope(name: str) -> Iterator[str]:
    """Block without effect: names of layers are those that they are given.

    >>> with name_scope("encoder") as name:
    ...     name
    'encoder'
    """
    yield name


# Values


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


def shape(x: Any) -> tuple[int | None, ...]:
    """Sizes of the axes; None where a graph leaves one open.

    >>> shape([[1.0, 2.0]])
    (1, 2)
    """
    return ops.shape(x)


int_shape = shape


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


# Shapes


def flatten(x: Any) -> Array:
    """All elements along one axis; `batch_flatten` keeps the first axis.

    >>> flatten([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    return ops.reshape(x, (-1,))


def batch_flatten(x: Any) -> Array:
    """Elements of each sample along one axis: (batch, ...) -> (batch, n).

    >>> batch_flatten(zeros((2, 3, 4))).shape
    (2, 12)
    """
    return ops.reshape(x, (-1, _number("batch_flatten", ops.shape(x)[1:])))


def _number(name: str, sizes: Sequence[int | None]) -> int:
    """How many elements there are in axes of those sizes. ValueError for a size that a graph leaves open."""
    known = [n for n in sizes if n is not None]
    if len(known) < len(sizes):
        raise ValueError(f"K.{name}: all axes but the first must have a known length, got {tuple(sizes)}")
    return math.prod(known)


def permute_dimensions(x: Any, pattern: Sequence[int]) -> Array:
    """Axes in another order.

    >>> permute_dimensions(zeros((2, 3, 4)), (0, 2, 1)).shape
    (2, 4, 3)
    """
    return ops.transpose(x, tuple(pattern))


def concatenate(tensors: Sequence[Any], axis: int = -1) -> Array:
    """Arrays one behind the other, by default along the last axis.

    >>> concatenate([zeros((2, 3)), ones((2, 1))]).shape
    (2, 4)
    """
    return ops.concatenate(list(tensors), axis=axis)


def expand_dims(x: Any, axis: int = -1) -> Array:
    """Array with a new axis of length 1, by default the last.

    >>> expand_dims(zeros((2,))).shape
    (2, 1)
    """
    return ops.expand_dims(x, axis)


def repeat(x: Any, n: int) -> Array:
    """Repetition of vectors along a new axis: (batch, size) -> (batch, n, size).

    >>> repeat(zeros((2, 3)), 4).shape
    (2, 4, 3)
    """
    return ops.repeat(ops.expand_dims(x, 1), n, axis=1)


def repeat_elements(x: Any, rep: int, axis: int) -> Array:
    """Elements several times along an axis, one after the other.

    >>> repeat_elements([1.0, 2.0], 2, axis=0).tolist()
    [1.0, 1.0, 2.0, 2.0]
    """
    return ops.repeat(x, rep, axis=axis)


def tile(x: Any, n: int | Sequence[int]) -> Array:
    """Array several times along each axis.

    >>> tile([[1.0, 2.0]], (2, 1)).tolist()
    [[1.0, 2.0], [1.0, 2.0]]
    """
    return ops.tile(x, n if isinstance(n, int) else tuple(n))


def reverse(x: Any, axes: int | Sequence[int]) -> Array:
    """Array in reverse order along axes.

    >>> reverse([1.0, 2.0], 0).tolist()
    [2.0, 1.0]
    """
    return ops.flip(x, axis=axes)


def gather(reference: Any, indices: Any) -> Array:
    """Slices of the first axis, by their indices.

    >>> gather([[1.0], [2.0]], [1, 1]).tolist()
    [[2.0], [2.0]]
    """
    return ops.take(reference, indices, axis=0)


def one_hot(indices: Any, num_classes: int) -> Array:
    """Rows with a one where an integer says.

    >>> one_hot([1], 3).tolist()
    [[0.0, 1.0, 0.0]]
    """
    return ops.one_hot(indices, num_classes)


# Arithmetic


def argmax(x: Any, axis: int = -1) -> Array:
    """Indices of the largest elements, by default along the last axis.

    >>> argmax([[1.0, 3.0], [2.0, 0.0]]).tolist()
    [1, 0]
    """
    return ops.argmax(x, axis=axis)


def argmin(x: Any, axis: int = -1) -> Array:
    """Indices of the smallest elements, by default along the last axis.

    >>> argmin([[1.0, 3.0], [2.0, 0.0]]).tolist()
    [0, 1]
    """
    return ops.argmin(x, axis=axis)


def cumsum(x: Any, axis: int = 0) -> Array:
    """Running sum, by default along the first axis.

    >>> cumsum([1.0, 2.0]).tolist()
    [1.0, 3.0]
    """
    return ops.cumsum(x, axis=axis)


def cumprod(x: Any, axis: int = 0) -> Array:
    """Running product, by default along the first axis.

    >>> cumprod([1.0, 2.0, 3.0]).tolist()
    [1.0, 2.0, 6.0]
    """
    return ops.cumprod(x, axis=axis)


def clip(x: Any, min_value: Any = None, max_value: Any = None) -> Array:
    """Elements between two bounds.

    >>> clip([-1.0, 0.5], 0.0, 1.0).tolist()
    [0.0, 0.5]
    """
    return ops.clip(x, min_value, max_value)


def pow(x: Any, a: Any) -> Array:
    """Powers of elements.

    >>> pow([2.0, 3.0], 2).tolist()
    [4.0, 9.0]
    """
    return ops.power(x, a)


def dot(x: Any, y: Any) -> Array:
    """Product along the last axis of x and the last but one of y.

    >>> dot([[1.0, 2.0]], [[3.0], [4.0]]).tolist()
    [[11.0]]
    """
    return ops.dot(x, y)


def batch_dot(x: Any, y: Any, axes: int | Sequence[int] | None = None) -> Array:
    """Products of the samples of two batches along an axis of each; a number becomes an axis of length 1.

    axes : one for both, or one for each; by default the last of x and the last but one of y, or its last if it has two.
    ValueError for axes of other lengths, and for the axis of the batch.

    >>> batch_dot(ones((2, 3)), ones((2, 3))).tolist()
    [[3.0], [3.0]]
    """
    ranks = len(ops.shape(x)), len(ops.shape(y))
    if axes is None:
        first, second = ranks[0] - 1, ranks[1] - (1 if ranks[1] == 2 else 2)
    else:
        first, second = (axes, axes) if isinstance(axes, int) else axes
    first, second = first % ranks[0], second % ranks[1]
    size, other = ops.shape(x)[first], ops.shape(y)[second]
    if 0 in (first, second) or size != other:
        raise ValueError(
            f"K.batch_dot: axes {first} and {second} of shapes {ops.shape(x)} and {ops.shape(y)} must be as long, and "
            f"not those of the batch"
        )
    a, b = ops.moveaxis(x, first, -1), ops.moveaxis(y, second, 1)
    left, right = ops.shape(a)[1:-1], ops.shape(b)[2:]
    product = ops.matmul(
        ops.reshape(a, (-1, _number("batch_dot", left), size)),
        ops.reshape(b, (-1, size, _number("batch_dot", right))),
    )
    return ops.reshape(product, (-1, *((*left, *right) or (1,))))


def bias_add(x: Any, bias: Any, data_format: str | None = None) -> Array:
    """Sum of an array and a bias of its channels, which are last, or behind the batch for "channels_first".

    >>> bias_add(zeros((1, 2)), [1.0, 2.0]).tolist()
    [[1.0, 2.0]]
    """
    if data_format == "channels_first":
        bias = ops.reshape(bias, (-1, *[1] * (len(ops.shape(x)) - 2)))
    return ops.add(x, bias)


def l2_normalize(x: Any, axis: Any = None) -> Array:
    """Array divided by its norm along axes, by default all.

    >>> l2_normalize([3.0, 4.0]).round(2).tolist()
    [0.6000000238418579, 0.800000011920929]
    """
    return ops.divide(x, ops.maximum(ops.norm(x, axis=axis, keepdims=True), 1e-6))


def in_top_k(predictions: Any, targets: Any, k: int) -> Array:
    """Whether the prediction of each target class is among the k largest.

    >>> in_top_k([[0.1, 0.9]], [1], 1).tolist()
    [True]
    """
    return ops.in_top_k(targets, predictions, k)


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """One of two values, by a condition: one for all, or for each element or sample.

    then_expression, else_expression : arrays, or functions without arguments that return them.

    >>> switch([True, False], [1.0, 1.0], [2.0, 2.0]).tolist()
    [1.0, 2.0]
    """
    then, other = (v() if callable(v) else v for v in (then_expression, else_expression))
    missing = len(ops.shape(then)) - len(ops.shape(condition))
    for _ in range(missing if ops.shape(condition) else 0):
        condition = ops.expand_dims(condition, -1)
    return ops.where(condition, then, other)


def map_fn(fn: Callable[[Any], Any], elems: Any, name: str | None = None, dtype: Any = None) -> Any:
    """Results of a function of each element of the first axis, stacked.

    >>> map_fn(lambda x: 2.0 * x, [1.0, 2.0]).tolist()
    [2.0, 4.0]
    """
    return ops.map(fn, elems)


# Neural networks


def relu(x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Array:
    """Rectified linear unit with a slope below, a bound above and a threshold; see `nnx.functional.relu`.

    >>> relu([-1.0, 9.0], alpha=0.5, max_value=6.0).tolist()
    [-0.5, 6.0]
    """
    above = ops.subtract(x, threshold)
    y = ops.where(ops.greater_equal(x, threshold), x, ops.multiply(above, alpha)) if threshold else x
    if not threshold:
        y = ops.leaky_relu(x, alpha) if alpha else ops.relu(x)
    return y if max_value is None else ops.minimum(y, max_value)


def elu(x: Any, alpha: float = 1.0) -> Array:
    """Exponential linear unit: x, or alpha * (exp(x) - 1) below 0.

    >>> elu([1.0]).tolist()
    [1.0]
    """
    return ops.elu(x, alpha)


def hard_sigmoid(x: Any) -> Array:
    """Straight line in place of the logistic function, as it was in Keras 2: 0.2 x + 0.5 between 0 and 1.

    >>> hard_sigmoid([0.0, 1.0, 3.0]).round(1).tolist()
    [0.5, 0.699999988079071, 1.0]
    """
    return ops.clip(ops.add(ops.multiply(x, 0.2), 0.5), 0.0, 1.0)


def conv1d(
    x: Any,
    kernel: Any,
    strides: int = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int = 1,
) -> Array:
    """Convolution of sequences; see `nnx.ops.conv`.

    >>> conv1d(ones((1, 4, 2)), ones((3, 2, 5))).shape
    (1, 2, 5)
    """
    return ops.conv(x, kernel, strides, padding, data_format, dilation_rate)


def conv2d(
    x: Any,
    kernel: Any,
    strides: int | tuple[int, ...] = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int | tuple[int, ...] = (1, 1),
) -> Array:
    """Convolution of images; see `nnx.ops.conv`.

    >>> conv2d(ones((1, 4, 4, 2)), ones((3, 3, 2, 5))).shape
    (1, 2, 2, 5)
    """
    return ops.conv(x, kernel, strides, padding, data_format, dilation_rate)


def pool2d(
    x: Any,
    pool_size: int | tuple[int, ...],
    strides: int | tuple[int, ...] = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    pool_mode: str = "max",
) -> Array:
    """Largest element, or for pool_mode "avg" the mean, of windows of images.

    >>> pool2d(ones((1, 4, 4, 2)), (2, 2), strides=(2, 2)).shape
    (1, 2, 2, 2)
    """
    modes = {"max": ops.max_pool, "avg": ops.average_pool}
    if pool_mode not in modes:
        raise ValueError(f"K.pool2d: pool_mode must be 'max' or 'avg', got {pool_mode!r}")
    return modes[pool_mode](x, pool_size, strides, padding, data_format)


def resize_images(
    x: Any, height_factor: int, width_factor: int, data_format: str | None = None, interpolation: str = "nearest"
) -> Array:
    """Images (batch, rows, columns, channels) with so many times the rows and columns.

    >>> resize_images(ones((1, 2, 3, 1)), 2, 2).shape
    (1, 4, 6, 1)
    """
    first = 2 if data_format == "channels_first" else 1
    height, width = ops.shape(x)[first : first + 2]
    size = _number("resize_images", (height,)) * height_factor, _number("resize_images", (width,)) * width_factor
    return ops.image.resize(x, size, interpolation=interpolation, data_format=data_format)


def dropout(x: Any, level: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None) -> Array:
    """Array with a share of its elements set to 0, and the others divided by 1 - level; see `nnx.random.dropout`.

    >>> dropout([1.0, 2.0], 0.0).tolist()
    [1.0, 2.0]
    """
    return random.dropout(x, level, noise_shape, seed)


def ctc_batch_cost(y_true: Any, y_pred: Any, input_length: Any, label_length: Any) -> Array:
    """Connectionist temporal classification of each sample, (batch, 1); the last class is the blank.

    y_true : labels (batch, n). y_pred : probabilities (batch, time, classes). input_length, label_length : (batch, 1).

    >>> y_pred = constant(0.5, shape=(1, 2, 2))
    >>> f"{float(ctc_batch_cost([[0]], y_pred, [[2]], [[1]])[0, 0]):.4f}"
    '0.2877'
    """
    logits = ops.log(ops.add(y_pred, epsilon()))
    steps, counts = (ops.reshape(value, (-1,)) for value in (input_length, label_length))
    labels = ops.cast(y_true, "int32")
    values = ops.ctc_loss(labels, logits, counts, steps, mask_index=_number("ctc", ops.shape(y_pred)[-1:]) - 1)
    return ops.expand_dims(values, -1)


def ctc_decode(
    y_pred: Any, input_length: Any, greedy: bool = True, beam_width: int = 100, top_paths: int = 1
) -> tuple[list[Array], Array]:
    """Labels that probabilities (batch, time, classes) stand for, with -1 behind them; the last class is the blank.

    Returns a list of the top paths, each (batch, time), and their scores; see `nnx.ops.ctc_decode`.

    >>> paths, scores = ctc_decode([[[0.9, 0.1], [0.9, 0.1], [0.1, 0.9]]], [3])
    >>> paths[0].tolist()
    [[0, -1, -1]]
    """
    paths, scores = ops.ctc_decode(
        ops.log(ops.add(y_pred, epsilon())),
        ops.reshape(input_length, (-1,)),
        strategy="greedy" if greedy else "beam_search",
        beam_width=beam_width,
        top_paths=top_paths,
        mask_index=_number("ctc", ops.shape(y_pred)[-1:]) - 1,
    )
    return ops.unstack(paths), scores


# Random numbers


def random_normal(
    shape: Sequence[int], mean: Any = 0.0, stddev: Any = 1.0, dtype: str | None = None, seed: int | None = None
) -> Array:
    """Random numbers of a normal distribution; see `nnx.random.normal`.

    >>> random_normal((2, 3)).shape
    (2, 3)
    """
    return random.normal(shape, mean, stddev, dtype, seed)


def random_uniform(
    shape: Sequence[int], minval: Any = 0.0, maxval: Any = 1.0, dtype: str | None = None, seed: int | None = None
) -> Array:
    """Random numbers from [minval, maxval); see `nnx.random.uniform`.

    >>> random_uniform((2, 3)).shape
    (2, 3)
    """
    return random.uniform(shape, minval, maxval, dtype, seed)


def truncated_normal(
    shape: Sequence[int], mean: Any = 0.0, stddev: Any = 1.0, dtype: str | None = None, seed: int | None = None
) -> Array:
    """Random numbers of a normal distribution within two standard deviations; see `nnx.random.truncated_normal`.

    >>> truncated_normal((2, 3)).shape
    (2, 3)
    """
    return random.truncated_normal(shape, mean, stddev, dtype, seed)


def random_bernoulli(shape: Sequence[int], p: float = 0.0, dtype: str | None = None, seed: int | None = None) -> Array:
    """Zeros, and ones with the probability p.

    >>> random_bernoulli((3,), p=1.0).tolist()
    [1.0, 1.0, 1.0]
    """
    return ops.cast(random.uniform(shape, seed=seed) < p, dtype or floatx())


random_binomial = random_bernoulli


def random_normal_variable(
    shape: Sequence[int],
    mean: float,
    scale: float,
    dtype: str | None = None,
    name: str | None = None,
    seed: int | None = None,
) -> Parameter:
    """Parameter of random numbers of a normal distribution.

    >>> random_normal_variable((2, 3), 0.0, 1.0).shape
    (2, 3)
    """
    return variable(random.normal(shape, mean, scale, dtype, seed), dtype, name)


def random_uniform_variable(
    shape: Sequence[int],
    low: float,
    high: float,
    dtype: str | None = None,
    name: str | None = None,
    seed: int | None = None,
) -> Parameter:
    """Parameter of random numbers from [low, high).

    >>> random_uniform_variable((2, 3), 0.0, 1.0).shape
    (2, 3)
    """
    return variable(random.uniform(shape, low, high, dtype, seed), dtype, name)


_TRAINING = "a layer's call(self, x, training=None) is told whether it is training"
_TAPE = "nnx.grad(function) or nnx.GradientTape() give gradients"
_SESSION = "there are no sessions: values are computed at once"
_ADVICE = {
    **dict.fromkeys(("learning_phase", "set_learning_phase", "in_train_phase", "in_test_phase"), _TRAINING),
    "learning_phase_scope": _TRAINING,
    "gradients": _TAPE,
    **dict.fromkeys(("get_session", "set_session", "tensorflow_backend", "tf", "get_graph"), _SESSION),
    "manual_variable_initialization": _SESSION,
    "placeholder": "nnx.Input(shape) is the input of a graph",
    "print_tensor": "print(x) shows an array",
    "rnn": "nnx.layers.RNN(cell), or nnx.ops.scan(f, init, xs), runs over steps",
    "moving_average_update": "x.assign(momentum * x.value + (1 - momentum) * value)",
    "batch_normalization": "nnx.ops.batch_normalization(x, mean, variance, axis)",
    "normalize_batch_in_training": "nnx.layers.BatchNormalization() does it",
    "temporal_padding": "nnx.layers.ZeroPadding1D() does it, or nnx.ops.pad(x, pad_width)",
    "spatial_2d_padding": "nnx.layers.ZeroPadding2D() does it, or nnx.ops.pad(x, pad_width)",
    "spatial_3d_padding": "nnx.layers.ZeroPadding3D() does it, or nnx.ops.pad(x, pad_width)",
    "resize_volumes": "nnx.layers.UpSampling3D() does it, or nnx.ops.repeat(x, repeats, axis)",
    "binary_focal_crossentropy": "nnx.losses.binary_focal_crossentropy(y_true, y_pred)",
    "categorical_focal_crossentropy": "nnx.losses.categorical_focal_crossentropy(y_true, y_pred)",
    "conv3d": "nnx.ops.conv(x, kernel, strides, padding)",
    **dict.fromkeys(("conv2d_transpose", "conv3d_transpose"), "nnx.ops.conv_transpose(x, kernel, strides, padding)"),
    "depthwise_conv2d": "nnx.ops.depthwise_conv(x, kernel, strides, padding)",
    **dict.fromkeys(
        ("separable_conv1d", "separable_conv2d"), "nnx.ops.separable_conv(x, depthwise_kernel, pointwise_kernel)"
    ),
    "pool3d": "nnx.ops.max_pool(x, pool_size) or nnx.ops.average_pool(x, pool_size)",
    **dict.fromkeys(("foldl", "foldr"), "nnx.ops.scan(f, init, xs), with reverse=True from the end"),
    "count_params": "weight.size is the number of its elements, model.count_params() that of all",
    **dict.fromkeys(("is_sparse", "to_dense"), "there are no sparse arrays: all are dense"),
    "ctc_label_dense_to_sparse": "nnx.ops.ctc_loss(target, output, target_length, output_length) takes dense labels",
    "set_image_dim_ordering": "data_format= in each layer",
    "image_dim_ordering": "K.image_data_format()",
}


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        advice = _ADVICE.get(name)
        if advice is None:
            advice = f"nnx.ops.{name}" if hasattr(ops, name) else "see nnx.ops for the functions of arrays"
        raise AttributeError(f"nnx.backend has no {name!r}, the K.{name} of Keras 2: {advice}")
