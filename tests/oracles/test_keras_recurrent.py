"""Recurrent layers, wrappers, attention and CTC against Keras 3 on JAX: outputs and all gradients, weights copied."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="the oracle JAX is not installed; pip install 'nnx-array[oracle]'")
keras = pytest.importorskip("keras", reason="the oracle Keras is not installed; pip install 'nnx-array[oracle]'")
if keras.backend.backend() != "jax":
    pytest.skip(
        f"Keras runs on {keras.backend.backend()}, and its gradients are wanted from JAX", allow_module_level=True
    )

from nnx.backends import get_backend  # noqa: E402
from nnx.layers import Dense  # noqa: E402
from nnx.layers.attention import MultiHeadAttention  # noqa: E402
from nnx.layers.bidirectional import Bidirectional  # noqa: E402
from nnx.layers.gru import GRU  # noqa: E402
from nnx.layers.lstm import LSTM  # noqa: E402
from nnx.layers.simple_rnn import SimpleRNN  # noqa: E402
from nnx.layers.time_distributed import TimeDistributed  # noqa: E402
from nnx.losses.ctc import CTC  # noqa: E402
from nnx.parameters import FlatParameters  # noqa: E402
from nnx.random import Generator  # noqa: E402
from nnx.testing import assert_close  # noqa: E402

RTOL = 2e-5  # relative to the largest element
BATCH, TIME, N, UNITS = 3, 5, 4, 6
MASK = np.asarray([[1, 1, 1, 1, 1], [0, 1, 0, 1, 1], [1, 1, 1, 0, 0]], bool)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return Generator(seed).normal(shape).astype(np.float32)


def of_keras(
    layer: Any, inputs: list[np.ndarray], cotangents: list[np.ndarray], compiled: bool, **options: Any
) -> tuple[Any, ...]:
    """Outputs, cotangents of the inputs, and gradients of the weights, from JAX."""

    def weighted(weights: Any, arrays: Any) -> Any:
        outputs, _ = layer.stateless_call(weights, [v.value for v in layer.non_trainable_variables], *arrays, **options)
        outputs = jax.tree.leaves(outputs)
        return sum((y * dy).sum() for y, dy in zip(outputs, cotangents, strict=True)), outputs

    weights = [variable.value for variable in layer.trainable_variables]
    differentiate = jax.value_and_grad(weighted, (0, 1), has_aux=True)
    # Loops over time are long to compile; step by step, their operations are found in the cache.
    with contextlib.nullcontext() if compiled else jax.disable_jit():
        (_, outputs), gradients = (jax.jit(differentiate) if compiled else differentiate)(weights, inputs)
    return outputs, gradients[1], gradients[0]


def compare(
    mine: Any, theirs: Any, inputs: list[np.ndarray], mask: Any = None, states: int = 0, **options: Any
) -> None:
    """Build both with the same weights, and compare outputs and gradients. Inputs: arrays, the last ones states."""
    sequences = inputs[: len(inputs) - states]
    keras_options = dict(options)
    theirs.build(*[x.shape for x in sequences])
    mine.build_on(get_backend(), [x.shape for x in sequences] if len(sequences) > 1 else sequences[0].shape)
    weights = [0.5 * normal(*w.shape, seed=i) for i, w in enumerate(theirs.weights)]
    assert [w.shape for w in mine.get_weights()] == [w.shape for w in weights]
    mine.set_weights(weights)
    theirs.set_weights(weights)

    if isinstance(mask, list):  # Keras ignores a mask of the query that is not attached to it
        of_query, *others = mask
        keras_options.update(zip(("value_mask", "key_mask"), others, strict=False))
        if of_query is not None:
            keras_options["attention_mask"] = np.broadcast_to(of_query[:, :, None], (*of_query.shape, 7))
    elif mask is not None:
        keras_options["mask"] = mask
    y, pullback = mine.forward(*inputs, training=True, **({} if mask is None else {"mask": mask}), **options)
    outputs = list(y) if isinstance(y, tuple) else [y]
    cotangents = [normal(*part.shape, seed=10 + i) for i, part in enumerate(outputs)]
    flat = FlatParameters(mine.trainable_weights, get_backend())
    flat.start_pass()
    dx = pullback(tuple(cotangents) if isinstance(y, tuple) else cotangents[0])
    flat.finish_pass()

    class Call:
        """Keras's layer as a function of arrays alone."""

        trainable_variables, non_trainable_variables = theirs.trainable_variables, theirs.non_trainable_variables

        @staticmethod
        def stateless_call(weights: Any, others: Any, *arrays: Any, **named: Any) -> Any:
            if states:
                named["initial_state"] = list(arrays[-states:])
                arrays = arrays[:-states]
            return theirs.stateless_call(weights, others, *arrays, **named)

    expected = of_keras(Call, inputs, cotangents, isinstance(mine, MultiHeadAttention), **keras_options)
    for found, wanted in zip(
        (outputs, dx if isinstance(dx, tuple) else (dx,), [p.grad for p in mine.trainable_weights]),
        expected,
        strict=True,
    ):
        for a, b in zip(found, wanted, strict=True):
            b = np.asarray(b)
            assert_close(a, b, rtol=RTOL, atol=RTOL * max(float(np.abs(b).max(initial=0.0)), 1.0))


ZEROS = {"kernel_initializer": "zeros", "recurrent_initializer": "zeros"}  # quicker than random numbers


def of_keras_layers(kind: str, units: int = UNITS, **options: Any) -> Any:
    return getattr(keras.layers, kind)(units, **ZEROS, **options)


RECURRENT: dict[str, dict[str, Any]] = {
    "default": {},
    "sequences": {"return_sequences": True},
    "backwards": {"go_backwards": True},
    "backwards sequences": {"go_backwards": True, "return_sequences": True},
    "without bias": {"use_bias": False, "return_sequences": True},
    "relu": {"activation": "relu", "return_sequences": True},
    "mask": {"mask": MASK},
    "mask sequences": {"mask": MASK, "return_sequences": True},
    "mask backwards": {"mask": MASK, "go_backwards": True, "return_sequences": True, "return_state": True},
    "mask to zero": {"mask": MASK, "return_sequences": True, "zero_output_for_mask": True},
    "mask to zero, the last": {"mask": MASK, "zero_output_for_mask": True, "return_state": True},
    "mask to zero, backwards": {"mask": MASK, "zero_output_for_mask": True, "go_backwards": True},
    "states": {"return_state": True, "states": True},
    "all states": {"return_state": True, "states": True, "return_sequences": True, "mask": MASK},
}
GATED: dict[str, dict[str, Any]] = {
    "gates": {"recurrent_activation": "hard_sigmoid", "return_sequences": True},
    "linear": {"activation": None, "recurrent_activation": "tanh"},
}
KINDS = {
    "SimpleRNN": (SimpleRNN, RECURRENT),
    "LSTM": (LSTM, {**RECURRENT, **GATED}),
    "GRU": (
        GRU,
        {
            **RECURRENT,
            **GATED,
            "reset before": {"reset_after": False, "return_sequences": True},
            "reset before, mask": {"reset_after": False, "mask": MASK, "use_bias": False, "return_state": True},
        },
    ),
}


@pytest.mark.parametrize(("kind", "case"), [(kind, case) for kind, (_, cases) in KINDS.items() for case in cases])
def test_recurrent(kind: str, case: str) -> None:
    cls, cases = KINDS[kind]
    options = dict(cases[case])
    mask, states = options.pop("mask", None), (cls.state_count if options.pop("states", False) else 0)
    inputs = [normal(BATCH, TIME, N), *(normal(BATCH, UNITS, seed=5 + i) for i in range(states))]
    compare(cls(UNITS, **options), of_keras_layers(kind, **options), inputs, mask, states)


WRAPPED: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "concat": ("LSTM", {}, {}),
    "concat sequences": ("GRU", {"return_sequences": True}, {}),
    "sum": ("GRU", {}, {"merge_mode": "sum"}),
    "mul sequences": ("LSTM", {"return_sequences": True}, {"merge_mode": "mul"}),
    "ave": ("SimpleRNN", {"return_sequences": True}, {"merge_mode": "ave"}),
    "None": ("LSTM", {"return_sequences": True}, {"merge_mode": None}),
    "mask": ("LSTM", {"return_sequences": True}, {"mask": MASK}),
    "mask, last": ("GRU", {}, {"mask": MASK, "merge_mode": "sum"}),
    "states": ("LSTM", {"return_state": True}, {"states": 4}),
    "states of None": ("GRU", {"return_state": True, "return_sequences": True}, {"states": 2, "merge_mode": None}),
}


@pytest.mark.parametrize("case", WRAPPED)
def test_bidirectional(case: str) -> None:
    kind, inner, options = WRAPPED[case]
    options = dict(options)
    mask, states = options.pop("mask", None), options.pop("states", 0)
    mine = Bidirectional(KINDS[kind][0](UNITS, **inner), **options)
    theirs = keras.layers.Bidirectional(of_keras_layers(kind, **inner), **options)
    inputs = [normal(BATCH, TIME, N), *(normal(BATCH, UNITS, seed=5 + i) for i in range(states))]
    compare(mine, theirs, inputs, mask, states)


def test_bidirectional_of_two_layers() -> None:
    options = {"return_sequences": True, "go_backwards": True, "activation": "relu"}
    mine = Bidirectional(GRU(UNITS, return_sequences=True), backward_layer=LSTM(UNITS, **options))
    theirs = keras.layers.Bidirectional(
        of_keras_layers("GRU", return_sequences=True), backward_layer=of_keras_layers("LSTM", **options)
    )
    compare(mine, theirs, [normal(BATCH, TIME, N)])


@pytest.mark.parametrize("shape", [(BATCH, TIME, N), (BATCH, 2, TIME, N)])
def test_time_distributed(shape: tuple[int, ...]) -> None:
    mine = TimeDistributed(Dense(UNITS, "tanh"))
    compare(mine, keras.layers.TimeDistributed(keras.layers.Dense(UNITS, "tanh")), [normal(*shape)])


def test_time_distributed_recurrent_layer() -> None:
    theirs = keras.layers.TimeDistributed(of_keras_layers("GRU"))
    compare(TimeDistributed(GRU(UNITS)), theirs, [normal(BATCH, 2, TIME, N)])


QUERY, VALUE, KEY = normal(BATCH, TIME, N), normal(BATCH, 7, 5, seed=1), normal(BATCH, 7, 3, seed=2)
ATTENTION_MASK = Generator(3).uniform((BATCH, TIME, 7)) < 0.7
ATTENTION_MASK[..., 0] = True  # a target that may look at nothing is the subject of another test
MASK_OF_HEADS = np.stack([ATTENTION_MASK, ATTENTION_MASK | True], axis=1)
QUERY_MASK, VALUE_MASK = MASK, np.asarray([[1] * 7, [1, 1, 0, 1, 0, 1, 1], [0, 1, 1, 1, 0, 0, 1]], bool)
ATTENTION: dict[str, tuple[list[np.ndarray], dict[str, Any], dict[str, Any]]] = {
    "self": ([QUERY, QUERY], {}, {}),
    "key, without bias": ([QUERY, VALUE, KEY], {"use_bias": False}, {}),
    "larger values, scores": ([QUERY, VALUE, KEY], {"value_dim": 5}, {"return_attention_scores": True}),
    "one head, output of two axes": ([QUERY, VALUE], {"num_heads": 1, "output_shape": (2, 3)}, {}),
    "causal": ([QUERY, QUERY], {}, {"use_causal_mask": True}),
    "attention mask": ([QUERY, VALUE], {}, {"attention_mask": ATTENTION_MASK}),
    "everything": (
        [QUERY, VALUE],
        {},
        {"attention_mask": MASK_OF_HEADS, "return_attention_scores": True, "use_causal_mask": True},
    ),
    "masks of query and value": ([QUERY, VALUE], {}, {"mask": [QUERY_MASK, VALUE_MASK]}),
    "masks of value and key": ([QUERY, VALUE, KEY], {}, {"mask": [None, VALUE_MASK, VALUE_MASK[::-1].copy()]}),
    "images": ([normal(2, 3, 4, N), normal(2, 2, 3, N, seed=1)], {}, {}),
    "rows of images": (
        [normal(2, 3, 4, N), normal(2, 3, 5, N, seed=1)],
        {"attention_axes": (-2,)},
        {"return_attention_scores": True, "attention_mask": np.tril(np.ones((2, 4, 5), bool))},
    ),
    "columns of images": ([normal(2, 3, 4, N), normal(2, 5, 4, N, seed=1)], {"attention_axes": 1}, {}),
}
if "sliding_window" in keras.layers.MultiHeadAttention.__init__.__code__.co_varnames:
    ATTENTION["causal window"] = ([QUERY, QUERY], {"sliding_window": 2}, {"use_causal_mask": True})
if "use_gate" in keras.layers.MultiHeadAttention.__init__.__code__.co_varnames:
    ATTENTION["gate, window"] = ([QUERY, VALUE], {"use_gate": True, "sliding_window": 3}, {})


@pytest.mark.parametrize("case", ATTENTION)
def test_attention(case: str) -> None:
    inputs, options, call = ATTENTION[case]
    options = {"num_heads": 2, "key_dim": 3, **options}
    compare(
        MultiHeadAttention(**options),
        keras.layers.MultiHeadAttention(**options, kernel_initializer="zeros"),
        inputs,
        **call,
    )


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "none"])
def test_ctc(reduction: str) -> None:
    y_true = np.asarray([[1, 2, 0], [3, 3, 0], [4, 1, 2], [1, 1, 1], [0, 0, 0], [2, 0, 0]])
    y_pred = 2.0 * normal(6, TIME, N + 1)
    weight = np.asarray([0.5, 2.0, 1.0, 1.0, 3.0, 0.7], np.float32)
    theirs = keras.losses.CTC(reduction=reduction)
    mine, pullback = CTC(reduction=reduction).forward(y_true, y_pred, weight)
    of_theirs = jax.jit(jax.value_and_grad(lambda z: theirs(y_true, z, weight).sum()))
    expected, gradient = of_theirs(y_pred)
    assert_close(mine.sum(), np.asarray(expected), rtol=RTOL)
    assert_close(pullback(), np.asarray(gradient), rtol=RTOL)
