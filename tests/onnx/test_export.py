"""Export to ONNX, as far as it can be seen without the package onnx: graphs, errors, and that the model stays as it is.

Numbers are compared with those of onnxruntime in tests/oracles/test_onnxruntime.py.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import ops
from nnx.backends import to_numpy
from nnx.layers import (
    LSTM,
    Bidirectional,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Input,
    Lambda,
    Layer,
    Masking,
    StringLookup,
    TextVectorization,
    UpSampling2D,
)
from nnx.onnx.array import Body, RecordedArray, constant
from nnx.onnx.export import graph_of
from nnx.onnx.namespace import xp
from nnx.onnx.size import open_size

HAS_ONNX = importlib.util.find_spec("onnx") is not None


def operators(outputs: Any) -> list[str]:
    """The operators of the nodes that arrays are made of, those of bodies too."""
    found: dict[Any, str] = {}

    def visit(x: RecordedArray | None) -> None:
        if x is None or x.node is None or x.node in found:
            return
        for y in x.node.inputs:
            visit(y)
        found[x.node] = x.node.operator
        for value in x.node.attributes.values():
            for y in value.outputs if isinstance(value, Body) else ():
                visit(y)

    for x in outputs:
        visit(x)
    return list(found.values())


def nodes_of(model: Any) -> list[str]:
    return operators(graph_of(model)[1].values())


def sequential(*layers: Layer, shape: tuple[int | None, ...]) -> Any:
    return nnx.Sequential([Input(shape), *layers])


NODES: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "dense": (lambda: sequential(Dense(3, "relu"), shape=(4,)), ["Gemm", "Relu"]),
    "dense of sequences": (lambda: sequential(Dense(3), shape=(None, 4)), ["MatMul", "Add"]),
    "conv": (
        lambda: sequential(Conv2D(3, 3, activation="relu"), shape=(8, 8, 2)),
        ["Transpose", "Conv", "Relu", "Transpose"],
    ),
    "convs": (
        lambda: sequential(
            *[Conv2D(2, 3, padding="same", activation="relu") for _ in range(3)], Flatten(), shape=(8, 8, 2)
        ),
        ["Transpose", *["Conv", "Relu"] * 3, "Transpose", "Reshape"],
    ),
    "lstm": (lambda: sequential(LSTM(3), shape=(50, 2)), ["Transpose", "LSTM", "Squeeze"]),
    "lstm of any length": (lambda: sequential(LSTM(3), shape=(None, 2)), ["Transpose", "LSTM", "Squeeze"]),
    "lstm backwards": (lambda: sequential(LSTM(3, go_backwards=True), shape=(9, 2)), ["Transpose", "LSTM", "Squeeze"]),
    "both directions": (
        lambda: sequential(Bidirectional(LSTM(3, return_sequences=True)), shape=(None, 2)),
        [*["Transpose", "LSTM", "Squeeze"] * 2, "Concat", "Transpose"],  # the file has equal nodes once
    ),
    "dropout": (lambda: sequential(Dropout(0.5), Dense(1, use_bias=False), shape=(4,)), ["MatMul"]),
}


@pytest.mark.parametrize("name", NODES)
def test_graphs_are_as_small_as_by_hand(name: str) -> None:
    make, expected = NODES[name]
    assert nodes_of(make()) == expected


def test_a_mask_makes_one_step_whatever_their_number() -> None:
    counts = {len(nodes_of(sequential(Masking(), LSTM(3), shape=(steps, 2)))) for steps in (2, 50)}
    counts.add(len(nodes_of(sequential(Masking(), LSTM(3), shape=(None, 2)))))
    assert len(counts) == 1


class TestRecording:
    def test_constants_are_computed_and_keep_their_names(self) -> None:
        kernel = constant(np.ones((2, 3), np.float32), "dense/kernel")
        turned = xp.permute_dims(kernel, (1, 0)) * 2.0
        assert (turned.node, turned.name, turned.value.tolist()) == (None, "dense/kernel", [[2.0, 2.0]] * 3)

    def test_layouts_cancel(self) -> None:
        x = RecordedArray((open_size("batch", "x", 0), 4, 5), np.float32, name="x")
        assert xp.permute_dims(xp.permute_dims(x, (0, 2, 1)) * 2.0 + 1.0, (0, 2, 1)).node.operator == "Add"
        assert xp.flip(xp.flip(x, axis=1), axis=1).key == x.key
        assert xp.squeeze(xp.expand_dims(x, axis=1), axis=1).key == x.key
        assert xp.sum(xp.permute_dims(x, (0, 2, 1)), axis=(1, 2)).node.inputs[0].key == x.key

    def test_writing_makes_another_array(self) -> None:
        x = RecordedArray((3, 4), np.float32, name="x")
        y = x + 1.0
        before = y * 2.0
        y[:, 1:3] = 0.0
        assert before.node.inputs[0].node.operator == "Add"
        assert y.node.operator == "Where"
        assert (y.shape, x.node) == ((3, 4), None)

    def test_what_is_filled_becomes_a_number_where_the_shape_stays(self) -> None:
        batch = open_size("batch", "x", 0)
        ones, x = xp.ones((batch, 4), dtype=np.float32), RecordedArray((batch, 4), np.float32, name="x")
        assert [y.shape for y in (x + ones).node.inputs] == [(batch, 4), ()]
        assert [y.shape for y in (ones + ones).node.inputs] == [(), (batch, 4)]
        assert [y.shape for y in (ones + RecordedArray((4,), np.float32, name="y")).node.inputs] == [(batch, 4), (4,)]

    def test_reshapes_leave_open_sizes_where_they_are(self) -> None:
        batch, steps = open_size("batch", "x", 0), open_size("steps", "x", 1)
        x = RecordedArray((batch, steps, 4), np.float32, name="x")
        for shape, target in (((batch, steps, 2, 2), [0, 0, 2, 2]), ((batch * steps, 4), [-1, 4]), ((-1, 8), [-1, 8])):
            assert xp.reshape(x, shape).node.inputs[1].value.tolist() == target
        with pytest.raises(ValueError, match=r"shape \(batch, steps, 4\) cannot be reshaped to \(batch, 3\)"):
            xp.reshape(x, (batch, 3))

    def test_sizes_as_numbers_take_the_dtype_of_what_they_meet(self) -> None:
        x = RecordedArray((open_size("batch", "x", 0), 2), np.float32, name="x")
        assert (xp.sum(x, axis=0) / x.shape[0]).dtype == np.float32
        assert (x * (1.0 / xp.sqrt(2.0 * x.shape[0]))).dtype == np.float32


class Decides(Layer):
    def call(self, x: Any) -> Any:
        return x * 2.0 if ops.sum(x) > 0.0 else x


class Picks(Layer):
    def call(self, x: Any) -> Any:
        return ops.sum(x[x > 0.0]) + x


class OnHost(Layer):
    def forward(self, x: Any, *, training: bool = False) -> Any:
        return np.cumprod(x, axis=1), lambda dy: dy


class Counts(Layer):
    def call(self, x: Any) -> Any:
        return x * math.sqrt(x.shape[0])


class Draws(Layer):
    def call(self, x: Any) -> Any:
        return x + nnx.random.normal((3,))


class Remembers(Layer):
    def build(self, input_shape: Any) -> None:
        self.count = self.add_weight((), "zeros", name="count", trainable=False)
        super().build(input_shape)

    def call(self, x: Any) -> Any:
        self.count.assign_add(1.0)
        return x * self.count


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "an if": (lambda: sequential(Decides(), shape=(3,)), r"call\(\) of decides|asked for \(an if, a loop"),
    "a shape by values": (lambda: sequential(Picks(), shape=(3,)), "whose shape depends on values"),
    "a function of the host": (
        lambda: sequential(OnHost(), shape=(3,)),
        r"sequential: on_host \(OnHost\) cannot be exported",
    ),
    "an open size": (lambda: sequential(Counts(), shape=(3,)), "size batch is open"),
    "a table of an open size": (
        lambda: sequential(UpSampling2D(2, interpolation="lanczos3"), shape=(None, 4, 1)),
        r"up_sampling2d \(UpSampling2D\).*open.*fixed size",
    ),
    "random numbers": (lambda: sequential(Draws(), shape=(3,)), r"draws \(Draws\) .* random numbers are drawn"),
    "a weight that changes": (
        lambda: sequential(Remembers(), shape=(3,)),
        "weight remembers/count is changed at inference",
    ),
    "hashes of texts": (
        lambda: nnx.Sequential([Input((1,), dtype="string"), StringLookup(3, 2, vocabulary=["a"]), Embedding(3, 2)]),
        r"string_lookup \(StringLookup\).*a hash that ONNX has no operator for.*num_oov_indices=1; texts are read on "
        r"the host: export what follows this layer, nnx\.Model\(layer\.output, model\.outputs\)",
    ),
    "unknown texts": (
        lambda: nnx.Sequential([Input((1,), dtype="string"), StringLookup(num_oov_indices=0, vocabulary=["a"])]),
        r"string_lookup \(StringLookup\).*which is no error there, but with num_oov_indices=1",
    ),
    "words of texts": (
        lambda: nnx.Sequential([Input((1,), dtype="string"), TextVectorization(vocabulary=["a"])]),
        r"text_vectorization \(TextVectorization\).*texts are read on the host: export what follows this layer",
    ),
    "states": (lambda: nnx.Sequential([Input((4, 3), batch_size=2), LSTM(2, stateful=True)]), "lstm is stateful"),
    "what ONNX lacks": (
        lambda: sequential(Lambda(lambda x: ops.linalg.inv(x)), shape=(3, 3)),
        r"lambda \(Lambda\).*inv is not exported to ONNX",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_graph_cannot_do_names_the_layer(name: str) -> None:
    make, message = REFUSED[name]
    with np.errstate(all="ignore"):
        model = make()
    with pytest.raises(TypeError, match=message):
        graph_of(model)


class TestErrors:
    def test_of_arguments(self, tmp_path: Path) -> None:
        model = sequential(Dense(1), shape=(2,))
        with pytest.raises(ValueError, match="format 'openvino' is not one of nnx, which exports \"onnx\""):
            model.export(tmp_path / "m.onnx", format="openvino")
        with pytest.raises(ValueError, match=r"a name that ends in \.onnx, got '.*location'"):
            model.export(tmp_path / "location")
        with pytest.raises(ValueError, match="opset_version must be from 18 to 21, got 17"):
            model.export(tmp_path / "m.onnx", opset_version=17)
        with pytest.raises(ValueError, match="input_signature must be None"):
            model.export(tmp_path / "m.onnx", input_signature=[(None, 2)])

    def test_of_models_that_are_too_large(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("nnx.onnx.export._MOST_BYTES", 4 * 1000)
        with pytest.raises(ValueError, match=r"sequential takes 0\.0 GiB, and an ONNX file has room for 2"):
            sequential(Dense(1000), shape=(1,)).export(tmp_path / "m.onnx")

    def test_of_models_that_are_not_built(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="sequential is not built, so it has no forward pass to export"):
            nnx.Sequential([Dense(1)]).export(tmp_path / "m.onnx")

    def test_of_targets(self, tmp_path: Path) -> None:
        model = sequential(Dense(1), shape=(2,))
        (tmp_path / "folder.onnx").mkdir()
        with pytest.raises(IsADirectoryError, match="it is a folder"):
            model.export(tmp_path / "folder.onnx")
        with pytest.raises(FileNotFoundError, match="there is no folder"):
            model.export(tmp_path / "nowhere" / "m.onnx")
        kept = tmp_path / "kept.onnx"
        kept.write_bytes(b"mine")
        kept.chmod(0o444)
        with pytest.raises(PermissionError, match="it is read-only"):
            model.export(kept)
        assert kept.read_bytes() == b"mine"

    @pytest.mark.skipif(HAS_ONNX, reason="onnx is installed")
    def test_of_the_extra_that_is_missing(self, tmp_path: Path) -> None:
        with pytest.raises(ImportError, match=r"needs onnx, .* pip install 'nnx-array\[onnx\]'"):
            sequential(Dense(1), shape=(2,)).export(tmp_path / "m.onnx")
        assert not list(tmp_path.iterdir())


def test_the_model_stays_as_it_is(backend: Any) -> None:
    x, y = np.ones((4, 3, 2), np.float32), np.zeros((4, 1), np.float32)
    losses = []
    for exports in (True, False):
        nnx.random.set_seed(3)
        model = sequential(Dense(4, "relu"), Dropout(0.5, seed=1), LSTM(2), Dense(1), shape=(3, 2))
        model.compile("adam", "mse")
        model.train_on_batch(x, y)
        values = [parameter.value for parameter in model.weights]
        if exports:
            inputs, outputs = graph_of(model)
            assert (list(inputs), list(outputs)) == (model.ports.input_names, model.output_names)
        assert model.placement == backend
        assert all(p.value is value for p, value in zip(model.weights, values, strict=True))
        losses.append([float(model.train_on_batch(x, y)) for _ in range(2)])
    assert losses[0] == losses[1]


def test_constants_are_the_parameters(backend: Any) -> None:
    model = sequential(Embedding(5, 3), Dense(2), shape=(4,))
    found = {}

    def visit(x: RecordedArray | None) -> None:
        if x is not None and x.node is not None:
            for y in x.node.inputs:
                visit(y)
        elif x is not None and x.value is not None and x.name is not None:
            found[x.name] = x.value

    for x in graph_of(model)[1].values():
        visit(x)
    for path, parameter in model.named_weights().items():
        assert np.array_equal(found[path], to_numpy(parameter.value))
