"""Functions of `nnx.ops` in a graph: each call of one on symbols is a layer without parameters."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from nnx.autodiff import binary, elementwise
from nnx.autodiff.transforms import derive
from nnx.backends import Array, is_array, to_numpy
from nnx.functional import Pullback
from nnx.graph.program import as_masks
from nnx.graph.symbol import Symbol
from nnx.graph.trial import shapes_and_dtypes
from nnx.layers.layer import Layer, registry
from nnx.layers.operation import are_beside_each_other
from nnx.ops.operation import OPERATIONS
from nnx.parameters import Parameter
from nnx.shapes import as_shapes, behind_batch

_BY_ELEMENTS = frozenset({*elementwise.RULES, *binary.RULES, "power", "absolute", "relu", "sigmoid", "silu", "gelu"})

_ALSO_BY_ELEMENTS = frozenset(
    {
        *("cast", "ceil", "celu", "clip", "elu", "equal", "floor", "greater", "greater_equal", "hard_sigmoid"),
        *("hard_silu", "isfinite", "isnan", "leaky_relu", "less", "less_equal", "log_sigmoid", "logical_and"),
        *("logical_not", "logical_or", "not_equal", "relu6", "round", "selu", "sign", "softplus", "softsign", "where"),
    }
)
_ALONG_AXIS = frozenset(
    {
        *("all", "amax", "amin", "any", "argmax", "argmin", "argsort", "concatenate", "cumprod", "cumsum", "flip"),
        *("log_softmax", "logsumexp", "max", "mean", "min", "normalize", "prod", "softmax", "sort", "std", "sum"),
        "var",
    }
)


@registry.register()
class FunctionCall(Layer):
    """Call of a function of `nnx.ops` on symbols: what `ops.exp(x)` makes in a graph.

    function : the name of the function.
    arguments, options : what it is called with, by position and by name, as plain data: in place of its inputs
        {"input": i}, of arrays {"constant": i, "shape": ..., "dtype": ...}, of tuples {"tuple": [...]}, of slices
        {"slice": [start, stop, step]}. Arrays are kept as parameters, for files and places, and are no weights.

    Its output shapes are found by calling the function on small arrays.

    >>> import nnx
    >>> nnx.ops.exp(nnx.Input((3,)))
    <Symbol (None, 3) from exp>
    """

    converts_inputs = False

    def __init__(
        self, function: str, arguments: list[Any], options: dict[str, Any], dtypes: list[str], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not self.named_by_user:
            self.name = function
        self.shown_as = "".join(word.title() for word in function.split("_"))
        self.function, self.arguments, self.options, self.dtypes = function, arguments, options, dtypes
        self.takes_integers = any("float" not in dtype for dtype in dtypes)
        self.output_dtypes: list[str] = []
        self._constants: list[Any] = []

    @staticmethod
    def describe(name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """The symbol, or the structure of symbols, of a call with symbols, parameters of layers and constants."""
        return _describe(name, arguments, options)

    def build(self, input_shape: Any) -> None:
        given = self._constants or [None] * _count_constants([self.arguments, self.options])
        for position, entry in enumerate(_constants_in([self.arguments, self.options])):
            host = given[position] if given[position] is not None else np.zeros(entry["shape"], entry["dtype"])
            parameter = self.add_weight(
                tuple(entry["shape"]), "zeros", name=f"constant_{position}", trainable=False, dtype=entry["dtype"]
            )
            parameter.memory = self.placement.asarray(np.asarray(host, entry["dtype"]), entry["dtype"])
        self._constants = []
        super().build(input_shape)

    @property
    def keeps_rows_apart(self) -> bool:
        """Whether it is a function of elements, or one along an axis that is not that of the batch."""
        shapes = [*as_shapes(self.build_shape), *(parameter.shape for parameter in self.own_weights)]
        if not are_beside_each_other(shapes):
            return False
        if self.function in _BY_ELEMENTS or self.function in _ALSO_BY_ELEMENTS:
            return True
        if self.function not in _ALONG_AXIS or any(len(shape) < 2 for shape in shapes):
            return False
        given = inspect.signature(OPERATIONS[self.function]).bind(*self.arguments, **self.options)
        given.apply_defaults()
        return behind_batch(_read(given.arguments["axis"], [], []))

    @property
    def weights(self) -> list[Parameter]:
        """None, as in Keras: the arrays of a call are part of what is computed, and no weights of a model."""
        return []

    def reads_integers(self, index: int) -> bool:
        return "float" not in self.dtypes[index]

    def forward(self, *inputs: Array, training: bool = False) -> tuple[Any, Pullback]:
        y, pullback, _ = derive(self._call, inputs, {})
        return y, pullback

    def _call(self, *inputs: Array) -> Any:
        constants = [parameter.value for parameter in self.own_weights]
        arguments = _read(self.arguments, inputs, constants)
        return OPERATIONS[self.function](*arguments, **_read(self.options, inputs, constants))

    def compute_output_shape(self, input_shape: Any) -> Any:
        shapes = as_shapes(input_shape)
        dtypes = [dtype if "float" not in dtype else self.placement.dtype for dtype in self.dtypes]
        try:
            made, self.output_dtypes, structure = shapes_and_dtypes(self._call, shapes, dtypes, self.placement)
        except (TypeError, ValueError, IndexError) as error:
            raise type(error)(f"{self.name}: {error}") from error
        batch = next((shape[0] for shape in shapes if shape), None)
        made = [(batch, *shape[1:]) if shape and shape[0] is None else shape for shape in made]
        return made if isinstance(structure, list | tuple | dict) else made[0]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the first input that has one, if each element stays in its place; else None, with a warning."""
        found = next((one for one in as_masks(mask) if one is not None), None)
        return found if self.function in _BY_ELEMENTS else self.lost_mask(found)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            **{key: getattr(self, key) for key in ("function", "arguments", "options", "dtypes")},
        }


def _describe(name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    symbols: list[Symbol] = []
    constants: list[Any] = []

    def write(value: Any) -> Any:
        if isinstance(value, Parameter):
            value = Symbol(value.shape, parameter=value)
        if isinstance(value, Symbol):
            symbols.append(value)
            return {"input": len(symbols) - 1}
        if is_array(value) and not isinstance(value, np.generic):
            constants.append(to_numpy(value))
            dtype = str(constants[-1].dtype)
            return {"constant": len(constants) - 1, "shape": list(value.shape), "dtype": dtype}
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, tuple):
            return {"tuple": [write(part) for part in value]}
        if isinstance(value, list):
            return [write(part) for part in value]
        if isinstance(value, dict):
            return {"dict": {key: write(part) for key, part in value.items()}}
        if isinstance(value, slice):
            return {"slice": [value.start, value.stop, value.step]}
        if value is Ellipsis:
            return {"ellipsis": True}
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise TypeError(
            f"ops.{name} of a symbolic value takes arrays, numbers and names, got {type(value).__name__}: in a graph, "
            f"what calls functions is written as a layer, with ops.{name} in its call()"
        )

    written = [write(value) for value in arguments]
    named = {key: write(value) for key, value in options.items()}
    layer = FunctionCall(name, written, named, [symbol.dtype for symbol in symbols])
    layer._constants = constants  # until it is built
    return layer(*symbols)


def _constants_in(written: Any) -> list[dict[str, Any]]:
    if isinstance(written, dict):
        return [written] if "constant" in written else [c for part in written.values() for c in _constants_in(part)]
    return [c for part in written for c in _constants_in(part)] if isinstance(written, list) else []


def _count_constants(written: Any) -> int:
    return len(_constants_in(written))


def _read(written: Any, inputs: Any, constants: list[Any]) -> Any:
    if isinstance(written, list):
        return [_read(part, inputs, constants) for part in written]
    if not isinstance(written, dict):
        return written
    if "input" in written:
        return inputs[written["input"]]
    if "constant" in written:
        return constants[written["constant"]]
    if "tuple" in written:
        return tuple(_read(part, inputs, constants) for part in written["tuple"])
    if "slice" in written:
        return slice(*written["slice"])
    if "ellipsis" in written:
        return Ellipsis
    if "dict" in written:
        return {key: _read(part, inputs, constants) for key, part in written["dict"].items()}
    return {key: _read(part, inputs, constants) for key, part in written.items()}
