"""Layers of all kinds against Keras 3 on JAX: outputs and weights over steps of training.

Outputs, cotangents of the inputs and weights agree before, between and after two steps of gradient descent; so do
moving means and the like. Convolutions have a file of their own.
"""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
jax = pytest.importorskip("jax", reason="the oracle JAX is not installed; pip install 'nnx-array[oracle]'")
keras = pytest.importorskip("keras", reason="the oracle Keras is not installed; pip install 'nnx-array[oracle]'")
if keras.backend.backend() != "jax":
    pytest.skip(
        f"Keras runs on {keras.backend.backend()}, and its gradients are wanted from JAX", allow_module_level=True
    )

import nnx  # noqa: E402
from nnx.backends import get_backend  # noqa: E402
from nnx.parameters import FlatParameters  # noqa: E402
from nnx.random import Generator  # noqa: E402
from nnx.structure import leaves  # noqa: E402
from nnx.testing import assert_close  # noqa: E402
from tests.oracles import layer_cases  # noqa: E402

RTOL = 2e-5  # relative to the largest element
RATE = 0.5


@pytest.fixture(autouse=True)
def _compile_quickly() -> Iterator[None]:
    """What is compiled is used three times."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return Generator(seed).normal(shape).astype(np.float32)


Make = Callable[[Any], Any]
"""Makes a layer of a library."""

ROWS: dict[str, tuple[Make, list[np.ndarray], dict[str, Any]]] = {}
"""For each configuration: the layer, its inputs, and options of the call."""


def row(name: str, make: Make, *inputs: np.ndarray, **options: Any) -> None:
    assert name not in ROWS
    ROWS[name] = make, list(inputs), options


def agrees(found: Any, wanted: Any) -> None:
    wanted = np.asarray(wanted)
    assert tuple(found.shape) == wanted.shape
    assert_close(found, wanted, rtol=RTOL, atol=RTOL * max(float(np.abs(wanted).max(initial=0.0)), 1e-3))


def is_state(variable: Any) -> bool:
    """Whether a variable of Keras is a state of the layer, and not that of its random numbers."""
    return "seed" not in variable.path


def assert_agrees(make: Make, inputs: list[np.ndarray], options: dict[str, Any]) -> None:
    """Both libraries' layers with the same weights: outputs, cotangents of inputs, and weights, over two steps."""
    mine, theirs = make(nnx), make(keras)
    spread = "query" in inspect.signature(theirs.call).parameters  # takes its inputs one by one

    def call(layer: Any, arrays: Any, **others: Any) -> Any:
        given = arrays if spread else [arrays[0] if len(arrays) == 1 else arrays]
        return layer(*given, **{**options, **others})

    y, expected_y = call(mine, inputs, training=True), call(theirs, inputs, training=False)
    weights = [0.5 * normal(*p.shape, seed=i) for i, p in enumerate(theirs.trainable_variables)]
    names = [p.name.rpartition("/")[2] for p in mine.trainable_weights]
    assert names == [w.name for w in theirs.trainable_variables]
    assert len(leaves(y)) == len(leaves(expected_y))
    states = [variable.value for variable in theirs.non_trainable_variables if is_state(variable)]
    cotangents = [normal(*one.shape, seed=10 + i) / one.size for i, one in enumerate(leaves(y))]
    flat = FlatParameters(mine.trainable_weights, get_backend())
    for parameter, value in zip(mine.trainable_weights, weights, strict=True):
        parameter.value[...] = value
    for parameter, state in zip(mine.non_trainable_weights, states, strict=True):
        parameter.value[...] = np.asarray(state)

    def weighted(values: Any, arrays: Any, before: Any) -> Any:
        given = arrays if spread else [arrays[0] if len(arrays) == 1 else arrays]
        made, after = theirs.stateless_call(values, before, *given, **options)
        made = leaves(made)
        return sum((one * dy).sum() for one, dy in zip(made, cotangents, strict=True)), (made, after)

    differentiate = jax.value_and_grad(weighted, (0, 1), has_aux=True)
    # Loops over time are long to compile; step by step, their operations are found in the cache.
    looping = any(isinstance(layer, keras.layers.RNN) for layer in theirs._flatten_layers())
    differentiate = differentiate if looping else jax.jit(differentiate)
    others = [variable.value for variable in theirs.non_trainable_variables]
    for _ in range(3):
        with jax.disable_jit() if looping else contextlib.nullcontext():
            (_, (expected, others)), (dweights, dinputs) = differentiate(weights, inputs, others)
        with nnx.GradientTape() as tape:
            watched = tape.watch(inputs)
            outputs = leaves(call(mine, watched, training=True))
            loss = sum(nnx.ops.sum(one * dy) for one, dy in zip(outputs, cotangents, strict=True))
        gradients = tape.gradient(loss, [*watched, *mine.trainable_weights])
        for found, wanted in zip(outputs, expected, strict=True):
            agrees(found.value, wanted)
        for found, wanted, x in zip(gradients, dinputs, inputs, strict=False):
            agrees(np.zeros_like(x) if found is None else found, wanted)
        weights = [value - RATE * np.asarray(slope) for value, slope in zip(weights, dweights, strict=True)]
        for parameter, slope in zip(mine.trainable_weights, gradients[len(inputs) :], strict=True):
            parameter.value[...] -= RATE * slope
        for parameter, value in zip(mine.trainable_weights, weights, strict=True):
            agrees(parameter.value, value)
        states = [
            one for one, variable in zip(others, theirs.non_trainable_variables, strict=True) if is_state(variable)
        ]
        for parameter, state in zip(mine.non_trainable_weights, states, strict=True):
            agrees(parameter.value, state)
    assert flat.values.size == sum(value.size for value in weights)


# Attention

QUERY, VALUE, KEY, PAIR = normal(3, 4, 5), normal(3, 6, 5, seed=1), normal(3, 6, 5, seed=2), normal(3, 6, 2, seed=3)
OF_QUERY = np.asarray([[1, 1, 0, 1], [1, 1, 1, 1], [0, 0, 1, 1]], bool)
OF_VALUE = np.asarray([[1, 1, 1, 1, 1, 1], [1, 0, 1, 1, 0, 1], [0, 1, 1, 0, 0, 0]], bool)
SCORES = {"return_attention_scores": True}

for kind, variants in {
    "Attention": [{}, {"use_scale": True}, {"score_mode": "concat"}, {"use_scale": True, "score_mode": "concat"}],
    "AdditiveAttention": [{}, {"use_scale": False}],
}.items():
    for options in variants:
        about = f"{kind} {'-'.join(map(str, options.values()))}"

        def make(lib: Any, kind: str = kind, options: Any = options) -> Any:
            return getattr(lib.layers, kind)(**options)

        row(f"{about} self", make, QUERY, QUERY)
        row(f"{about} key, scores", make, QUERY, PAIR, KEY, **SCORES)
        row(f"{about} masks", make, QUERY, VALUE, mask=[OF_QUERY, OF_VALUE])
        row(f"{about} causal", make, QUERY, VALUE, use_causal_mask=True, mask=[None, OF_VALUE[:, ::-1].copy()])


for about, options, called in [
    ("", {}, {}),
    ("gate", {"use_gate": True, "use_bias": False}, {"use_causal_mask": True}),
    ("window", {"sliding_window": 2}, SCORES),
    ("masks", {}, {"query_mask": OF_QUERY, "value_mask": OF_VALUE}),
    ("mask of the key", {}, {"key_mask": OF_VALUE, "attention_mask": np.tri(4, 6, 1, bool)[None].repeat(3, 0)}),
]:
    row(
        f"GroupQueryAttention {about}",
        lambda lib, options=options: lib.layers.GroupQueryAttention(3, 4, 2, **options),
        *(QUERY, VALUE),
        **called,
    )
    if "query_mask" not in called:  # which it ignores: docs/departures.md
        row(
            f"MultiHeadAttention {about}",
            lambda lib, options=options: lib.layers.MultiHeadAttention(2, 3, **options),
            *(QUERY, PAIR, KEY),
            **called,
        )

# Cells

SEQUENCE, STATES = normal(3, 4, 5), [0.5 * normal(3, 6, seed=i) for i in (5, 6)]
STEPS = np.asarray([[1, 1, 1, 1], [0, 1, 0, 1], [1, 1, 0, 0]], bool)


def minimal(lib: Any) -> Any:
    """A cell of one's own, as a script has it."""

    class Minimal(lib.layers.Layer):
        def __init__(self, units: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.units = units
            self.state_size = units

        def build(self, input_shape: Any) -> None:
            self.kernel = self.add_weight(shape=(input_shape[-1], self.units), initializer="uniform", name="kernel")
            self.recurrent_kernel = self.add_weight(shape=(self.units, self.units), name="recurrent_kernel")
            self.built = True

        def call(self, inputs: Any, states: Any) -> Any:
            output = lib.ops.matmul(inputs, self.kernel) + lib.ops.matmul(states[0], self.recurrent_kernel)
            return lib.ops.tanh(output), [output * 0.5]

    return Minimal(6)


CELLS: dict[str, Make] = {
    "own": minimal,
    "LSTM": lambda lib: lib.layers.LSTMCell(6, recurrent_activation="hard_sigmoid"),
    "GRU": lambda lib: lib.layers.GRUCell(6),
    "GRU reset before": lambda lib: lib.layers.GRUCell(6, reset_after=False),
    "SimpleRNN": lambda lib: lib.layers.SimpleRNNCell(6, "relu", use_bias=False),
    "stack": lambda lib: lib.layers.StackedRNNCells([lib.layers.LSTMCell(3), lib.layers.GRUCell(2)]),
    "stack of own": lambda lib: lib.layers.StackedRNNCells([lib.layers.SimpleRNNCell(3), minimal(lib)]),
}
for cell, make_cell in CELLS.items():

    def of_cell(make_cell: Make = make_cell, **options: Any) -> Make:
        return lambda lib: lib.layers.RNN(make_cell(lib), **options)

    row(f"RNN {cell}", of_cell(), SEQUENCE)
    row(f"RNN {cell} of all", of_cell(return_sequences=True, return_state=True, go_backwards=True), SEQUENCE)
    # In a scan, Keras on JAX takes the first state for the output before, whatever the cell's output is.
    unroll = cell not in ("LSTM", "GRU", "GRU reset before", "SimpleRNN")
    row(f"RNN {cell} mask", of_cell(return_sequences=True, unroll=unroll), SEQUENCE, mask=STEPS)
    if cell in ("own", "LSTM"):
        row(f"RNN {cell} mask at the end", of_cell(unroll=unroll), SEQUENCE, mask=STEPS)
        row(f"RNN {cell} mask to zero", of_cell(zero_output_for_mask=True), SEQUENCE, mask=STEPS)
        count = 2 if cell == "LSTM" else 1
        row(f"RNN {cell} states", of_cell(return_state=True), SEQUENCE, initial_state=STATES[:count])
row(
    "Bidirectional cell",
    lambda lib: lib.layers.Bidirectional(lib.layers.RNN(lib.layers.LSTMCell(3), return_sequences=True)),
    SEQUENCE,
)
row(
    "TimeDistributed cell",
    lambda lib: lib.layers.TimeDistributed(lib.layers.RNN(lib.layers.GRUCell(3))),
    normal(2, 3, 4, 5),
)

for name, shape, options in [
    ("ConvLSTM1D", (2, 3, 6, 2), {"return_sequences": True}),
    ("ConvLSTM1D", (2, 3, 6, 2), {"strides": 2, "padding": "same", "return_state": True, "go_backwards": True}),
    ("ConvLSTM2D", (2, 3, 4, 5, 2), {"padding": "same", "recurrent_activation": "hard_sigmoid"}),
    ("ConvLSTM2D", (2, 3, 2, 4, 5), {"data_format": "channels_first", "use_bias": False, "return_sequences": True}),
    ("ConvLSTM2D", (2, 3, 4, 5, 2), {"dilation_rate": (1, 2), "unit_forget_bias": False}),
    ("ConvLSTM3D", (2, 2, 3, 2, 3, 2), {"padding": "same"}),
]:

    def film(lib: Any, name: str = name, options: Any = options) -> Any:
        return getattr(lib.layers, name)(3, 2, **options)

    row(f"{name} {'-'.join(options)}", film, normal(*shape))

# Singular values

for about, made, shape in [
    ("Dense", lambda lib: lib.layers.Dense(3, "tanh"), (4, 5)),
    ("Conv2D", lambda lib: lib.layers.Conv2D(3, 2, use_bias=False), (2, 4, 5, 2)),
    ("Conv1D", lambda lib: lib.layers.Conv1D(3, 2), (2, 5, 2)),
]:

    def normalized(lib: Any, made: Make = made) -> Any:
        return lib.layers.SpectralNormalization(made(lib), power_iterations=2)

    # in training alone: outside of fit, a step of Keras changes the kernel that is used at inference
    row(f"SpectralNormalization {about}", normalized, normal(*shape), training=True)

# Sums of products

for equation, shape, size, options in [
    ("ab,bc->ac", (4, 5), 3, {}),
    ("ab,bc->ac", (4, 5), (3,), {"bias_axes": "c", "activation": "tanh"}),
    ("abc,cd->abd", (2, 4, 5), (4, 3), {"bias_axes": "bd"}),
    ("abc,cde->abde", (2, 4, 5), (None, 2, 3), {"bias_axes": "d"}),
    ("abcd,cde->abe", (2, 3, 4, 5), (None, 6), {"bias_axes": "e"}),
    ("...x,xy->...y", (2, 3, 4, 5), 6, {"bias_axes": "y", "activation": "relu"}),
    ("...x,xhd->...hd", (2, 4, 5), (2, 3), {"bias_axes": "hd"}),
    ("ab...,bc->ac...", (2, 5, 3, 4), 6, {"bias_axes": "c"}),
    ("abc,bd->adc", (2, 4, 5), (3, None), {}),
]:

    def product(lib: Any, equation: str = equation, size: Any = size, options: Any = options) -> Any:
        return lib.layers.EinsumDense(equation, size, **options)

    row(f"EinsumDense {equation} {'-'.join(map(str, options.values()))}", product, normal(*shape))

# Signals, and embeddings backwards

for kind, shape, options in [
    ("STFTSpectrogram", (2, 9, 2), {"frame_length": 4, "window": "hamming", "periodic": True}),
    (
        "STFTSpectrogram",
        (2, 2, 9),
        {"mode": "stft", "frame_length": 6, "fft_length": 8, "data_format": "channels_first"},
    ),
    ("STFTSpectrogram", (2, 9, 2), {"mode": "psd", "frame_length": 4, "frame_step": 3, "expand_dims": True}),
    ("STFTSpectrogram", (2, 9, 1), {"mode": "real", "frame_length": 4, "scaling": "spectrum", "padding": "same"}),
    ("MelSpectrogram", (1, 40), {"fft_length": 16, "sequence_stride": 5, "sampling_rate": 400, "num_mel_bins": 5}),
    ("MelSpectrogram", (2, 21), {"fft_length": 8, "sampling_rate": 100, "num_mel_bins": 3, "power_to_db": False}),
]:

    def signal(lib: Any, kind: str = kind, options: Any = options) -> Any:
        return getattr(lib.layers, kind)(**options)

    row(f"{kind} {'-'.join(map(str, options.values()))}", signal, normal(*shape))

for options in ({"mask_zero": True}, {"logit_soft_cap": 0.05, "reverse_dtype": "float32"}):

    def reversible(lib: Any, options: Any = options) -> Any:
        return lib.layers.ReversibleEmbedding(5, 3, **options)

    row(f"ReversibleEmbedding {'-'.join(options)}", reversible, normal(2, 4, 3), reverse=True)


# What has one input, and what merges several


def label(kind: str, options: dict[str, Any], *shape: Any) -> str:
    return f"{kind} {' '.join(f'{key}={value}' for key, value in options.items())} {shape}"


for kind, options, shape in layer_cases.CASES:

    def of_one(lib: Any, kind: str = kind, options: Any = options) -> Any:
        return getattr(lib.layers, kind)(**options)

    # where it makes a difference, as for moving means
    training = {"training": True} if kind == "BatchNormalization" else {}
    row(label(kind, options, *shape), of_one, normal(*shape), **training)

for kind, options, shape, count in layer_cases.MERGED:

    def of_several(lib: Any, kind: str = kind, options: Any = options) -> Any:
        return getattr(lib.layers, kind)(**options)

    row(label(kind, options, *shape, count), of_several, *(normal(*shape, seed=seed) for seed in range(count)))


def test_there_are_many() -> None:
    """With the 127 rows of convolutions and pooling, which have a file of their own, more than 420."""
    assert len(ROWS) >= 300


@pytest.mark.parametrize("name", ROWS)
def test_layer(name: str) -> None:
    assert_agrees(*ROWS[name])
