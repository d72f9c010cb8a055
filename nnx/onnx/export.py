"""Export of a model: its own forward pass on recorded arrays, written as an ONNX file."""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nnx.backends.context import Placement, create_as_before, create_at
from nnx.file_targets import replacing, target_of
from nnx.lazy_loading import optional_import
from nnx.onnx.array import RecordedArray
from nnx.onnx.backend import ONNX
from nnx.onnx.graph_file import model_of
from nnx.onnx.size import open_size
from nnx.parameters import Parameter
from nnx.random.streams import refusing_draws

OPSETS = range(18, 22)
"""The versions of ONNX' operators that files are written for."""

_MOST_BYTES = 2**31 - 1


def export_onnx(model: Any, path: str | os.PathLike[str], opset: int, verbose: bool) -> None:
    """Write a built model as an ONNX file; see `Model.export`."""
    if opset not in OPSETS:
        raise ValueError(f"opset_version must be from {OPSETS[0]} to {OPSETS[-1]}, got {opset!r}")
    if Path(path).suffix != ".onnx":
        raise ValueError(f"{model.name}: an ONNX file has a name that ends in .onnx, got {os.fspath(path)!r}")
    target_of(path)
    size = sum(parameter.nbytes for parameter in model.weights)
    if size > _MOST_BYTES:
        raise ValueError(
            f"{model.name} takes {size / 2**30:.1f} GiB, and an ONNX file has room for 2: export it in float16, or in "
            f"parts"
        )
    optional_import("onnx", f"{model.name}.export(format='onnx')", "onnx")
    inputs, outputs = graph_of(model)
    proto = model_of(inputs, outputs, opset)
    with replacing(path) as new:
        new.write_bytes(proto.SerializeToString(deterministic=True))
    if verbose:
        for kind, arrays in (("input", inputs), ("output", outputs)):
            for name, x in arrays.items():
                print(f"{kind} {name}: {x.dtype.name} ({', '.join(map(str, x.shape))})")


def graph_of(model: Any) -> tuple[dict[str, RecordedArray], dict[str, RecordedArray]]:
    """Inputs and outputs of the model's forward pass, by their names."""
    twin = _on_onnx(model)
    inputs: dict[str, RecordedArray] = {}
    opened: dict[str, Any] = {}
    ports = model.ports
    for name, shape, reading in zip(ports.input_names, ports.input_shapes, ports.readings, strict=True):
        sizes = []
        for axis, size in enumerate(shape):
            if size is None:
                label = "batch" if axis == 0 else f"{name}_{axis}"
                size = opened.setdefault(label, open_size(label, name, axis))
            sizes.append(size)
        dtype = "str" if reading.dtype == "string" else reading.dtype
        dtype = dtype or ("int64" if reading.integers else twin.placement.dtype)
        inputs[name] = RecordedArray(sizes, dtype, name=name)
    values = {path: parameter.value.key for path, parameter in twin.named_weights().items()}
    before = create_at(twin.placement)
    try:
        with refusing_draws("random numbers are drawn, and the exported graph would have the same ones every time"):
            made, _, _ = _naming(twin.chain, model.name)(list(inputs.values()), training=False)
    finally:
        create_as_before(before)
    for path, parameter in twin.named_weights().items():
        if parameter.value.key != values[path]:
            raise TypeError(f"{model.name}: the weight {path} is changed at inference, and a graph remembers nothing")
    return inputs, dict(zip(ports.output_names, made, strict=True))


def _on_onnx(model: Any) -> Any:
    """A copy of the model on the backend of recorded arrays, with the same values, and without what trains it."""
    aside = (model.optimizer, model.loss, model.objective, model.history, model.compile_arguments)
    memo: dict[int, Any] = {id(part): None for part in aside if not isinstance(part, str)}
    for parameter in model.weights:
        memo[id(parameter)] = Parameter(parameter.value, parameter.name, trainable=parameter.trainable)
    twin = copy.deepcopy(model, memo)
    placement = Placement(ONNX, None, model.placement.dtype)
    for path, layer in twin.named_layers().items():
        if getattr(layer, "stateful", False):
            raise TypeError(
                f"{model.name}: {path} is stateful, and a graph remembers nothing: give it stateful=False, and states "
                f"as inputs and outputs, by initial_state= and return_state=True"
            )
        layer.move(placement)
        if layer is not twin:
            for name in ("run", "run_masked"):
                label = f"{model.name}: {path} ({type(layer).__name__})"
                setattr(layer, name, _naming(getattr(layer, name), label, _OF_TEXTS if layer.on_host else ""))
    for path, parameter in twin.named_weights().items():
        parameter.value.name = path
    return twin


class ExportError(TypeError):
    """Error of a layer that computes what an ONNX graph cannot."""


_OF_TEXTS = "; texts are read on the host: export what follows this layer, nnx.Model(layer.output, model.outputs)"


def _naming(function: Callable[..., Any], layer: str, advice: str = "") -> Callable[..., Any]:
    """A layer's method whose errors name the layer, and what else can be done."""

    @functools.wraps(function)
    def named(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except ExportError:  # the layer inside has said it
            raise
        except Exception as error:
            raise ExportError(f"{layer} cannot be exported to ONNX: {error}{advice}") from error

    return named
