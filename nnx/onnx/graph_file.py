"""The file of a graph: nodes in their order, equal ones once, and what nobody reads left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnx.lazy_loading import optional_import
from nnx.onnx.array import Body, Node, RecordedArray
from nnx.onnx.size import Size
from nnx.onnx.standard import ELEMENT_TYPES

_SMALL = 1 << 10
"""Constants up to so many bytes are compared by their values, larger ones by their arrays."""


_ML, _ML_OPSET = "ai.onnx.ml", 2
"""The domain of operators on texts, and the version that has all that are used."""


def model_of(inputs: Mapping[str, RecordedArray], outputs: Mapping[str, RecordedArray], opset: int) -> Any:
    """The ModelProto of the graph between arrays, under these names. ImportError without the package onnx."""
    onnx = optional_import("onnx", "Exporting to ONNX", "onnx")
    opsets = [onnx.helper.make_opsetid("", opset)]
    version = onnx.helper.find_min_ir_version_for(opsets)  # so that older runtimes read it
    model = onnx.ModelProto(producer_name="nnx", opset_import=opsets, ir_version=version)
    _Graph(onnx, model.graph, [*inputs.items()], [*outputs.items()])
    if any(node.domain == _ML for node in model.graph.node):
        model.opset_import.append(onnx.helper.make_opsetid(_ML, _ML_OPSET))
    return model


class _Names:
    """Names that are unique in a file."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._counts: dict[str, int] = {}

    def new(self, wish: str) -> str:
        name = wish
        while name in self._taken:
            self._counts[wish] = self._counts.get(wish, 0) + 1
            name = f"{wish}_{self._counts[wish]}"
        self._taken.add(name)
        return name


class _Graph:
    """What fills the GraphProto of a model, or of a body inside a node, whose arrays may come from outside.

    Filled in place: what is put together by the package's helpers copies all parameters, twice.
    """

    def __init__(
        self,
        onnx: Any,
        proto: Any,
        inputs: Sequence[tuple[str, RecordedArray]],
        outputs: Sequence[tuple[str, RecordedArray]],
        outside: _Graph | None = None,
    ) -> None:
        self._onnx, self._proto, self._outside = onnx, proto, outside
        proto.name = "model" if outside is None else "body"
        self._names: _Names = _Names() if outside is None else outside._names
        self._of_array: dict[Any, str] = {}
        self._of_node: dict[Any, list[str]] = {}
        self._of_constant: dict[Any, str] = {} if outside is None else outside._of_constant
        self._initializers: Any = proto.initializer if outside is None else outside._initializers
        self._kept: list[Any] = []  # so that the identity of an array stays its own
        # inputs of a model are known by their names: sizes refer to them so
        self._of_input: dict[Any, str] = {} if outside is None else dict(outside._of_input)
        for name, x in inputs:
            self._of_input[x.name] = self._names.new(name)
            proto.input.append(self._described(self._of_input[x.name], x))
        wanted = [(self._names.new(name), x) for name, x in outputs]
        self._final = {x.key: name for name, x in wanted if x.node is not None}
        for name, x in wanted:
            found = self._write(x)
            if found != name:
                proto.node.append(onnx.helper.make_node("Identity", [found], [name], name=name))
            proto.output.append(self._described(name, x))

    def _described(self, name: str, x: RecordedArray) -> Any:
        sizes = [str(size) if isinstance(size, Size) else int(size) for size in x.shape]
        return self._onnx.helper.make_tensor_value_info(name, ELEMENT_TYPES[x.dtype.name], sizes)

    def _known(self, x: RecordedArray) -> str | None:
        graph: _Graph | None = self
        while graph is not None:
            if x.key in graph._of_array:
                return graph._of_array[x.key]
            graph = graph._outside
        return None

    def _write(self, x: RecordedArray) -> str:
        """The name of an array, after all nodes that it depends on."""
        stack = [x]
        while stack:
            last = stack[-1]
            if self._known(last) is not None:
                stack.pop()
            elif last.value is not None:
                self._of_array[stack.pop().key] = self._constant(last)
            elif last.node is None:
                self._of_array[stack.pop().key] = self._of_input[last.name]
            else:
                missing = [y for y in last.node.inputs if y is not None and self._known(y) is None]
                stack.extend(reversed(missing))
                if not missing:
                    self._add(last.node)
                    stack.pop()
        name = self._known(x)
        assert name is not None
        return name

    def _constant(self, x: RecordedArray) -> str:
        value = x.value
        small = value.nbytes <= _SMALL
        key = (value.dtype.str, value.shape, value.tobytes() if small else id(value))
        if key not in self._of_constant:
            name = self._of_constant[key] = self._names.new(x.name or "constant")
            little = value.astype(value.dtype.newbyteorder("<"), copy=False)
            self._initializers.add(
                name=name, data_type=ELEMENT_TYPES[value.dtype.name], dims=value.shape, raw_data=little.tobytes()
            )
            self._kept.append(value)
        return self._of_constant[key]

    def _add(self, node: Node) -> None:
        names = ["" if y is None else self._known(y) or "" for y in node.inputs]
        while names and not names[-1]:
            names.pop()
        key = (node.operator, tuple(names), tuple(sorted((k, _key_of(v)) for k, v in node.attributes.items())))
        if key not in self._of_node:
            wish = node.operator.rpartition(".")[2].lower()
            finals = [self._final.get((node, index)) for index in range(node.outputs)]
            self._of_node[key] = [name or self._names.new(wish) for name in finals]
            domain, _, operator = node.operator.rpartition(".")
            made = self._onnx.helper.make_node(
                operator, names, self._of_node[key], self._of_node[key][0], domain=domain
            )
            for name, value in sorted(node.attributes.items()):
                made.attribute.append(self._onnx.helper.make_attribute(name, self._attribute(value)))
            self._proto.node.append(made)
        for index, name in enumerate(self._of_node[key]):
            self._of_array[node, index] = name

    def _attribute(self, value: Any) -> Any:
        if isinstance(value, Body):
            proto = self._onnx.GraphProto()
            inputs = [(x.name[0], x) for x in value.inputs]
            _Graph(self._onnx, proto, inputs, [("next", x) for x in value.outputs], self)
            return proto
        return self._onnx.numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value


def _key_of(value: Any) -> str:
    """Equal for equal attributes; a body is equal to itself alone."""
    return f"{id(value)}" if isinstance(value, Body) else repr(value)
