"""Exported models against onnxruntime: what it computes from the file is what `predict` returns.

Each file is checked by the package onnx, and run with whole batches and with one sample.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed; pip install 'nnx-array[oracle]'")
onnxruntime = pytest.importorskip(
    "onnxruntime", reason="the oracle onnxruntime is not installed; pip install 'nnx-array[oracle]'"
)

import nnx  # noqa: E402
from nnx import array_namespace, ops  # noqa: E402
from nnx.layers import (  # noqa: E402
    GRU,
    LSTM,
    Activation,
    Add,
    BatchNormalization,
    Bidirectional,
    Concatenate,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    Input,
    Lambda,
    Layer,
    LayerNormalization,
    Masking,
    MaxPooling2D,
    MultiHeadAttention,
    SimpleRNN,
    StringLookup,
    TextVectorization,
    TimeDistributed,
    UpSampling2D,
)
from nnx.random import Generator  # noqa: E402
from nnx.structure import leaves  # noqa: E402
from nnx.testing.rows.activations import ACTIVATIONS  # noqa: E402
from nnx.testing.rows.layers import LAYERS  # noqa: E402

TOLERANCE = {"float32": 1e-5, "float64": 1e-12, "float16": 5e-3}  # of the largest number, or of 1
OPSETS = (18, 19, 20, 21)


def session_of(model: Any, path: Path, opset: int = 20) -> Any:
    """The exported file, checked and loaded."""
    model.export(path, opset_version=opset)
    onnx.checker.check_model(str(path), full_check=True)
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def assert_equal(
    model: Any, inputs: Sequence[np.ndarray], path: Path, opset: int = 20, rows: Sequence[int] = ()
) -> Any:
    """Assert that onnxruntime gives what `predict` does, for so many rows of the inputs from one file."""
    session = session_of(model, path, opset)
    for count in rows or (len(inputs[0]), 1):
        given = [x[:count] for x in inputs]
        expected = leaves(model.predict(given[0] if len(given) == 1 else given, batch_size=count, verbose=0))
        found = session.run(None, {port.name: x for port, x in zip(session.get_inputs(), given, strict=True)})
        assert len(found) == len(expected)
        for mine, theirs in zip(expected, found, strict=True):
            assert (theirs.shape, theirs.dtype) == (mine.shape, mine.dtype)
            bound = TOLERANCE.get(mine.dtype.name, 0.0) * max(1.0, np.max(np.abs(mine), initial=0.0))
            np.testing.assert_allclose(theirs.astype(float), mine.astype(float), rtol=0.0, atol=bound)
    return session


# The table of layers

KINDS = list(LAYERS)
ON_HOST = ("HashedCrossing", "Hashing", "StringLookup", "TextVectorization")  # they hash texts, and look for words
DTYPES = {"f": None, "i": "int64", "u": "int64", "b": "int64"}


@pytest.mark.parametrize("kind", KINDS)
def test_layers(kind: str, tmp_path: Path) -> None:
    for number, case in enumerate(LAYERS[kind]):
        given = case.input()
        several = isinstance(given, list)
        arrays = [x.astype(np.float32) if x.dtype.kind == "f" else x for x in (given if several else [given])]
        symbols = [Input(x.shape[1:], dtype=DTYPES.get(x.dtype.kind, "string")) for x in arrays]
        layer = case.make()
        model = nnx.Model(symbols if several else symbols[0], layer(symbols if several else symbols[0]))
        has_table = kind == "StringLookup" and layer.num_oov_indices == 1
        if kind in ON_HOST and not has_table:
            with pytest.raises(TypeError, match=rf"\({kind}\) cannot be exported to ONNX"):
                model.export(tmp_path / "m.onnx")
            continue
        opset = OPSETS[(number + KINDS.index(kind)) % len(OPSETS)]
        try:
            assert_equal(model, arrays, tmp_path / "m.onnx", opset)
        except Exception as error:
            error.add_note(f"{case}, opset {opset}")
            raise


# Texts

TEXTS = np.asarray([["a", "é"], ["what is not known", ""], ["b", "a"]], dtype=object)
MODES = ("int", "one_hot", "multi_hot", "count")
OF_TEXTS: dict[str, Callable[[], Any]] = {
    **{mode: lambda mode=mode: StringLookup(vocabulary=["a", "b", "é"], output_mode=mode) for mode in MODES},
    **{
        f"{mode}, masked": lambda mode=mode: StringLookup(vocabulary=["b", "a"], mask_token="", output_mode=mode)
        for mode in MODES
    },
    "tf_idf": lambda: StringLookup(vocabulary=["b", "a"], output_mode="tf_idf", idf_weights=[0.5, 2.0]),
    "words": lambda: TextVectorization(vocabulary=["b", "a"], standardize=None, split=None),
    "words, counted": lambda: TextVectorization(vocabulary=["b"], standardize=None, split=None, output_mode="count"),
}


@pytest.mark.parametrize("name", OF_TEXTS)
def test_texts(name: str, tmp_path: Path) -> None:
    model = nnx.Sequential([Input((2,), dtype="string"), OF_TEXTS[name]()])
    assert_equal(model, [TEXTS], tmp_path / "m.onnx", OPSETS[len(name) % len(OPSETS)])


def test_texts_of_numbers(tmp_path: Path) -> None:
    words, kinds = ["a", "b"], ["red", "green"]
    x = Input((2,), dtype="string")
    y = nnx.layers.Embedding(4, 3)(StringLookup(vocabulary=words, mask_token="")(x))
    y = nnx.ops.argmax(Dense(3)(nnx.layers.Flatten()(y)), axis=-1)
    model = nnx.Model(x, StringLookup(vocabulary=kinds, invert=True)(y))
    session = session_of(model, tmp_path / "m.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: TEXTS})
    assert found.tolist() == model.predict(TEXTS, verbose=0).tolist()
    assert {*found.tolist()} <= {"[UNK]", *kinds}


# Activations

EXTREMES = np.float32([0.0, 1e-30, 1e-6, 1e-3, 0.3, 1.0, 3.0, 20.0, 88.0, 1e4, 1e20, np.inf])
VALUES = np.concatenate([EXTREMES, -EXTREMES, np.float32([np.nan])])[:, None]


def test_activations(tmp_path: Path) -> None:
    x = Input((1,))
    names = [name for name in ACTIVATIONS if name not in ("softmax", "log_softmax", "sparsemax")]
    model = nnx.Model(x, {name: Activation(name)(x) for name in names})
    session = session_of(model, tmp_path / "m.onnx")
    with np.errstate(all="ignore"):
        expected = model.predict(VALUES, verbose=0)
    found = dict(
        zip(
            [port.name for port in session.get_outputs()],
            session.run(None, {session.get_inputs()[0].name: VALUES}),
            strict=True,
        )
    )
    assert len(names) >= 17
    for name in names:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-6, err_msg=name)


# Models


class Scaled(Layer):
    """A layer of one's own, in array code: writing, slices, a loop, sizes, a weight, another layer."""

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight(name="scale", shape=(input_shape[-1],), initializer="uniform")
        self.inner = Dense(4, "tanh")
        super().build(input_shape)

    def call(self, x: Any) -> Any:
        x = self.inner(x * self.scale)
        x = ops.where(x > 0.1, x, ops.square(x)) - ops.mean(x, axis=-1, keepdims=True)
        y = ops.zeros_like(x)
        y[:, :2] = x[:, 1:3]
        parts = [ops.sum(x[:, i:], axis=1, keepdims=True) for i in range(3)]
        return ops.concatenate([y, *parts, ops.flip(x, axis=1)], axis=-1) / x.shape[1] + ops.mean(x)


class ByHand(Layer):
    """A layer of one's own with `forward`, on whatever arrays come."""

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], 3 * input_shape[-1])

    def forward(self, x: Any, *, training: bool = False) -> Any:
        xp = array_namespace(x)
        y = xp.concat([xp.sin(x), xp.cumulative_sum(x, axis=-1), xp.sort(x, axis=-1)], axis=-1)
        return y * (1.0 / x.shape[0]), lambda dy: dy


class Transformer(nnx.Model):
    """Words with their places, a block of attention, and two outputs by name."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = Embedding(20, 8, mask_zero=True), Embedding(6, 8)
        self.attention, self.first, self.second = MultiHeadAttention(2, 4), LayerNormalization(), LayerNormalization()
        self.wide, self.narrow, self.drop = Dense(16, "gelu"), Dense(8), Dropout(0.5)

    def call(self, words: Any, training: bool = False) -> Any:
        x = self.words(words) + self.places(ops.arange(words.shape[1]))
        x = self.first(x + self.drop(self.attention(x, x, use_causal_mask=True), training=training))
        x = self.second(x + self.narrow(self.wide(x)))
        return {"last": x[:, -1], "mean": ops.mean(x, axis=1)}


def _sequential(*layers: Layer, shape: Any, dtype: str | None = None) -> Any:
    return nnx.Sequential([Input(shape, dtype=dtype), *layers])


def _residual() -> Any:
    x = Input((8, 8, 3))
    y = Conv2D(4, 3, padding="same", use_bias=False)(x)
    for _ in range(2):
        inner = Activation("relu")(BatchNormalization()(y))
        y = Add()([y, Conv2D(4, 3, padding="same")(inner)])
    y = Concatenate()([MaxPooling2D(2, padding="same")(y), Conv2D(2, 3, strides=2, padding="same")(y)])
    return nnx.Model(x, Dense(3, "softmax")(GlobalAveragePooling2D()(UpSampling2D(2, interpolation="bilinear")(y))))


def _several() -> Any:
    a, words, b = Input((4,), name="a"), Input((6,), name="words", dtype="int64"), Input((None, 3), name="b")
    shared = Dense(5, "relu", name="shared")
    known = GlobalAveragePooling1D()(Embedding(10, 4, mask_zero=True)(words))
    step = GRU(4)(Masking()(b))
    joined = Concatenate()([shared(a), shared(ops.exp(-a) * 2.0), known, step])
    inner = nnx.Sequential([Dense(3, "tanh", input_dim=18), Dense(2)])
    return nnx.Model([a, words, b], [inner(joined), joined[:, 1:3], ops.argmax(joined, axis=-1)])


def _normal(*shape: int) -> np.ndarray:
    return Generator(1).normal(shape).astype(np.float32)


def _padded(*shape: int) -> np.ndarray:
    """Sequences with steps that a mask leaves out: at the end, in the middle, at the beginning, all, none."""
    x = _normal(*shape)
    for row, steps in enumerate((slice(3, None), slice(1, 2), slice(0, 2), slice(None))):
        x[row, steps] = 0.0
    return x


def _words(high: int, *shape: int) -> np.ndarray:
    return (Generator(2).integers(int(np.prod(shape))) % high).astype(np.int64).reshape(shape)


MODELS: dict[str, tuple[Callable[[], Any], list[np.ndarray]]] = {
    "multilayer perceptron": (
        lambda: _sequential(Dense(8, "relu"), Dropout(0.5), Dense(3, "softmax"), shape=(4,)),
        [_normal(5, 4)],
    ),
    "residual network": (_residual, [_normal(5, 8, 8, 3)]),
    "images of any size": (
        lambda: _sequential(
            Conv2D(3, 3, strides=2, padding="same"),
            MaxPooling2D(2),
            UpSampling2D(2, interpolation="bilinear"),
            Conv2D(2, 2, strides=2),
            shape=(None, None, 2),
        ),
        [_normal(5, 11, 9, 2)],
    ),
    "sequences of any length": (
        lambda: _sequential(
            Conv1D(4, 3, padding="causal"),
            Bidirectional(LSTM(3, return_sequences=True)),
            TimeDistributed(Dense(2)),
            SimpleRNN(2, "relu"),
            shape=(None, 3),
        ),
        [_normal(5, 7, 3)],
    ),
    "masks": (
        lambda: _sequential(
            Masking(), Bidirectional(LSTM(3, return_sequences=True)), GRU(2, reset_after=False), shape=(5, 3)
        ),
        [_padded(5, 5, 3)],
    ),
    "gates without nodes": (
        lambda: _sequential(
            LSTM(3, "softsign", "hard_sigmoid", return_sequences=True),
            GRU(3, "elu", "linear", go_backwards=True),
            shape=(None, 3),
        ),
        [_normal(5, 6, 3)],
    ),
    "names that bodies have too": (lambda: _states_by_name(), [_padded(5, 5, 3), _normal(5, 2), _normal(5, 2)]),
    "transformer": (lambda: _built(Transformer(), (None, 6)), [_words(20, 5, 6)]),
    "several inputs and outputs": (_several, [_normal(5, 4), _words(10, 5, 6), _padded(5, 5, 3)]),
    "layers of one's own": (
        lambda: _sequential(Scaled(), ByHand(), Lambda(lambda x: ops.tanh(x) + x[:, :1]), Dense(2), shape=(3,)),
        [_normal(5, 3)],
    ),
    "a dict of outputs": (lambda: _dict_of_outputs(), [_normal(5, 4)]),
    "fourier transforms": (lambda: _sequential(Lambda(_transforms), shape=(12,)), [_normal(5, 12)]),
}


def _transforms(x: Any) -> Any:
    real, imaginary = ops.rfft(x[:, :9])
    pairs = [ops.fft((x, ops.flip(x, axis=-1))), (real, imaginary), ops.stft(x, 4, 2, 6, center=False)]
    parts = [ops.reshape(y, (x.shape[0], -1)) for pair in pairs for y in pair]
    return ops.concatenate([ops.irfft((real, imaginary)), *parts], axis=-1)


def _states_by_name() -> Any:
    step, state, next_ = Input((None, 3), name="step"), Input((2,), name="state"), Input((2,), name="next")
    made = LSTM(2, return_state=True)(Masking()(step), initial_state=[state, next_])
    return nnx.Model([step, state, next_], [*made, Add()([state, next_])])


def _built(model: Any, shape: Any) -> Any:
    model.build(shape)
    return model


def _dict_of_outputs() -> Any:
    x = Input((4,), name="given")
    return nnx.Model({"given": x}, {"b": Dense(2)(x), "a": Flatten()(x), "same": x})


@pytest.mark.parametrize("name", MODELS)
def test_models(name: str, tmp_path: Path) -> None:
    make, inputs = MODELS[name]
    model = make()
    session = assert_equal(model, inputs, tmp_path / "m.onnx", rows=(5, 1, 2))
    assert [port.name for port in session.get_inputs()] == model.ports.input_names
    assert [port.name for port in session.get_outputs()] == model.output_names
    assert all(port.shape[0] == "batch" for port in session.get_inputs())


@pytest.mark.parametrize("opset", OPSETS)
def test_opsets(opset: int, tmp_path: Path) -> None:
    model = _sequential(
        Conv1D(4, 3), LayerNormalization(), LSTM(3, return_sequences=True), Dense(3, "gelu"), shape=(6, 2)
    )
    assert_equal(model, [_normal(5, 6, 2)], tmp_path / "m.onnx", opset)
    assert onnx.load(tmp_path / "m.onnx").opset_import[0].version == opset


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_dtypes(dtype: str, tmp_path: Path) -> None:
    with nnx.backend("numpy", dtype=dtype):
        model = _sequential(
            Conv1D(4, 3, activation="elu"), BatchNormalization(), LSTM(3), Dense(2, "gelu"), shape=(6, 2)
        )
    assert_equal(model, [_normal(5, 6, 2).astype(dtype)], tmp_path / "m.onnx")


# Array code

X, Y = _normal(4, 3, 5), np.abs(_normal(4, 3, 5)) + 0.1

FUNCTIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "arithmetic": lambda xp, x, y: x % y + x // y + y**x - xp.remainder(-x, y) + xp.reciprocal(y),
    "exponentials": lambda xp, x, y: xp.expm1(x) + xp.log1p(y) + xp.log2(y) + xp.log10(y) + xp.logaddexp(x, y),
    "angles": lambda xp, x, y: xp.sin(x) + xp.cos(x) + xp.atan2(x, y) + xp.atan2(-y, x) + xp.sinh(x) + xp.hypot(x, y),
    "rounding": lambda xp, x, y: xp.round(x) + xp.trunc(x) + xp.ceil(x) + xp.floor(y) + xp.sign(x),
    "bounds": lambda xp, x, y: xp.clip(x, -0.5, 0.5) + xp.minimum(x, y) + xp.maximum(x, 0.0),
    "choices": lambda xp, x, y: xp.where((x > 0.0) & ~(y < 0.5), x, 1.0) + xp.astype(xp.isfinite(x / y), xp.float32),
    "integers": lambda xp, x, y: (xp.astype(x * 7.0, xp.int64) // 3 + xp.astype(x * 5.0, xp.int64) % 4) * 2,
    "reductions": lambda xp, x, y: xp.var(x, axis=1) + xp.std(x, axis=1, correction=1) + xp.prod(y, axis=1),
    "truth": lambda xp, x, y: (xp.any(x > 1.0, axis=1) ^ xp.all(y > 0.2, axis=1)) | (xp.count_nonzero(x, axis=1) < 2),
    "places": lambda xp, x, y: xp.argmax(x, axis=1) + xp.argmin(x, axis=1) + xp.argsort(y, axis=1)[:, 0],
    "sorting": lambda xp, x, y: xp.sort(x, axis=1, descending=True) + xp.cumulative_sum(y, axis=2),
    "search": lambda xp, x, y: xp.searchsorted(xp.asarray(np.float32([-1.0, 0.0, 1.0])), x, side="right"),
    "layout": lambda xp, x, y: xp.roll(xp.moveaxis(x, 1, 2), 2, axis=1) + xp.permute_dims(xp.flip(y), (0, 2, 1)),
    "repetition": lambda xp, x, y: xp.concat([xp.repeat(x, 2, axis=1), xp.tile(y, (1, 2, 1))], axis=1),
    "triangles": lambda xp, x, y: xp.tril(x) + xp.triu(y, k=1),
    "picking": lambda xp, x, y: (
        xp.take(x, xp.asarray([2, 0]), axis=1) + xp.take_along_axis(y, xp.argsort(y, axis=1), axis=1)[:, :2]
    ),
    "slices": lambda xp, x, y: x[:, ::2, None, 1:-1] + x[:, -1:, None, :-2] + x[:, 0, ...][:, None, None, 4:1:-1],
    "parts": lambda xp, x, y: xp.stack(xp.unstack(x, axis=1)[::-1], axis=1) + xp.diff(y, axis=2, prepend=y[:, :, :1]),
    "grids": lambda xp, x, y: x + xp.meshgrid(xp.arange(5.0), xp.arange(3.0))[1] + xp.eye(3, 5),
    "products": lambda xp, x, y: xp.tensordot(x, y[0, ...], axes=([2], [1])) + xp.vecdot(x, y)[..., None],
    "norms": lambda xp, x, y: xp.linalg.vector_norm(x, axis=1) + xp.linalg.trace(x @ xp.matrix_transpose(y))[:, None],
    "sizes": lambda xp, x, y: xp.sum(x, axis=0) / x.shape[0] + xp.zeros((x.shape[0],))[0] + xp.arange(x.shape[0])[-1],
}


class Computed(Layer):
    """A function of the namespace of its inputs."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def call(self, x: Any, y: Any) -> Any:
        return ops.cast(self.function(array_namespace(x), x, y), "float32")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_array_code(name: str, tmp_path: Path) -> None:
    x, y = Input(X.shape[1:]), Input(Y.shape[1:])
    model = nnx.Model([x, y], Computed(FUNCTIONS[name])(x, y))
    found = session_of(model, tmp_path / "m.onnx").run(None, dict(zip(model.input_names, (X, Y), strict=True)))[0]
    expected = model.predict([X, Y], batch_size=len(X), verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_equal_models_give_equal_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = _sequential(Dense(3, "relu"), Dense(1), shape=(2,))
    for name in ("a.onnx", "b.onnx"):
        model.export(tmp_path / name, verbose=name == "b.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert capsys.readouterr().out == "input input_layer: float32 (batch, 2)\noutput dense_1: float32 (batch, 1)\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "b.onnx"]


def test_the_reference_of_onnx_agrees(tmp_path: Path) -> None:
    for make, inputs in itertools.islice(MODELS.values(), 2):
        model = make()
        model.export(tmp_path / "m.onnx")
        reference = pytest.importorskip("onnx.reference").ReferenceEvaluator(str(tmp_path / "m.onnx"))
        found = reference.run(None, {reference.input_names[0]: inputs[0]})[0]
        np.testing.assert_allclose(found, model.predict(inputs[0], verbose=0), rtol=0.0, atol=1e-5)
