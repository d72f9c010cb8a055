"""Operators in graphs of Keras, such as `a + b` and `keras.ops.mean(x)`, by those of nnx."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from nnx import ops
from nnx.graph.symbol import Symbol
from nnx.names import shortened, snake_case
from nnx.ops.operation import OPERATIONS
from nnx.saving.keras_files.objects import class_name_of, plain
from nnx.structure import leaves

__all__ = ["Operator", "is_operator"]

_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "Add": operator.add,
    "Subtract": operator.sub,
    "Multiply": operator.mul,
    "Divide": operator.truediv,
    "TrueDivide": operator.truediv,
    "Power": operator.pow,
    "Matmul": operator.matmul,
    "Negative": operator.neg,
    "GetItem": operator.getitem,
}

# What Keras 2 calls them, in layers named TFOpLambda.
_OF_TENSORFLOW = {
    "__operators__.add": "Add",
    "math.add": "Add",
    "math.subtract": "Subtract",
    "math.multiply": "Multiply",
    "math.truediv": "TrueDivide",
    "math.pow": "Power",
    "math.negative": "Negative",
    "linalg.matmul": "Matmul",
}


def is_operator(config: dict[str, Any]) -> bool:
    """Whether what stands among the layers of a graph is an operator.

    In .h5 there are no modules: there an operator has a name alone, and a layer has a dtype too.
    """
    module = config.get("module")
    if isinstance(module, str):
        return module.startswith(("keras.src.ops.", "keras.ops."))
    settings = config.get("config")
    in_legacy = "module" not in config and isinstance(settings, dict) and settings.keys() == {"name"}
    in_legacy = in_legacy and any(isinstance(node, dict) for node in config.get("inbound_nodes") or ())
    return in_legacy or config.get("class_name") == "TFOpLambda"


class Operator:
    """An operator of a graph, which is called with the arguments of a call.

    kind : what Keras calls it, such as "Add".
    """

    def __init__(self, config: dict[str, Any]) -> None:
        kind = class_name_of(config)
        settings = config.get("config")
        settings = dict(settings) if isinstance(settings, dict) else {}
        self._name = shortened(str(settings.pop("name", None) or kind))
        if kind == "TFOpLambda":
            kind = _OF_TENSORFLOW.get(str(settings.pop("function", "")), kind)
        settings.pop("dtype", None)
        self.kind = kind
        self._options = {key: plain(value, self._name) for key, value in settings.items()}

    def __call__(self, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The symbol of the result. ValueError for an operation that nnx does not have."""
        if not any(isinstance(part, Symbol) for part in leaves([args, kwargs])):
            raise ValueError(f"{self._name!r} is called on nothing")
        kwargs = {key: value for key, value in kwargs.items() if key != "name"}
        if self.kind == "GetItem" and len(args) == 2 and isinstance(args[1], list):
            return args[0][tuple(args[1])]
        if self.kind in _ARITHMETIC:
            return _ARITHMETIC[self.kind](*args, *kwargs.values())
        if snake_case(self.kind) not in OPERATIONS:
            raise ValueError(f"nnx has no operation {shortened(self.kind)} ({self._name!r} in the graph)")
        return getattr(ops, snake_case(self.kind))(*args, **self._options, **kwargs)
