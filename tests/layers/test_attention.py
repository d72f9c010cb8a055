"""MultiHeadAttention: parameters, masks, gradients of everything, dropout, configurations and mistakes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import random
from nnx.backends import Placement, get_backend
from nnx.functional.attention import dot_product_attention
from nnx.layers.attention import MultiHeadAttention
from nnx.parameters import FlatParameters
from nnx.testing import assert_close, check_gradients, no_synchronization

BATCH, TARGETS, SOURCES = 2, 3, 5
QUERY, VALUE, KEY = (
    random.Generator(i).normal(shape).astype(np.float32)
    for i, shape in enumerate([(BATCH, TARGETS, 4), (BATCH, SOURCES, 6), (BATCH, SOURCES, 7)])
)
QUERY_MASK = np.asarray([[1, 1, 0], [1, 0, 1]], bool)
VALUE_MASK = np.asarray([[1, 1, 1, 0, 0], [0, 1, 1, 1, 1]], bool)
ATTENTION_MASK = random.Generator(9).uniform((BATCH, TARGETS, SOURCES)) < 0.7


def built(layer: MultiHeadAttention, *inputs: np.ndarray, place: Placement | None = None) -> MultiHeadAttention:
    random.set_seed(4)
    layer.build_on(place or get_backend(), [(None, *x.shape[1:]) for x in inputs])  # type: ignore[arg-type]
    generator = random.Generator(5)
    layer.set_weights([w + 0.1 * generator.normal(w.shape) for w in layer.get_weights()])
    return layer


def by_hand(layer: MultiHeadAttention, query: Any, value: Any, key: Any, allowed: Any = None) -> tuple[Any, Any]:
    """The same on the host, from the weights in their order."""
    weights = {p.name: nnx.to_numpy(p.value) for p in layer.weights}

    def project(x: Any, name: str, inner: int) -> Any:
        y = np.tensordot(x, weights[f"{name}/kernel"], axes=inner)
        return y + weights[f"{name}/bias"] if layer.use_bias else y

    q, k, v = project(query, "query", 1), project(key, "key", 1), project(value, "value", 1)
    (heads, scores), _ = dot_product_attention(q, k, v, allowed)
    if layer.use_gate:
        heads = heads / (1.0 + np.exp(-project(query, "gate", 1)))
    return project(heads, "attention_output", 2), scores


def test_parameters_are_those_of_keras() -> None:
    layer = built(MultiHeadAttention(2, 3, value_dim=5), QUERY, VALUE, KEY)
    assert {p.name: p.shape for p in layer.weights} == {
        "query/kernel": (4, 2, 3),
        "query/bias": (2, 3),
        "key/kernel": (7, 2, 3),
        "key/bias": (2, 3),
        "value/kernel": (6, 2, 5),
        "value/bias": (2, 5),
        "attention_output/kernel": (2, 5, 4),
        "attention_output/bias": (4,),
    }
    assert layer.random is None
    layer = built(MultiHeadAttention(2, 3, use_bias=False, output_shape=(2, 3)), QUERY, VALUE)
    assert [p.shape for p in layer.weights] == [(4, 2, 3), (6, 2, 3), (6, 2, 3), (2, 3, 2, 3)]
    options = {"kernel_regularizer": "l2", "bias_regularizer": "l1", "kernel_constraint": "max_norm"}
    for parameter in built(MultiHeadAttention(2, 3, **options), QUERY, VALUE).weights:
        assert parameter.regularizer is not None


CALLS: dict[str, tuple[list[np.ndarray], dict[str, Any], dict[str, Any], Any]] = {
    # inputs, options of the layer and of the call, and the mask that this means
    "value": ([QUERY, VALUE], {}, {}, None),
    "key": ([QUERY, VALUE, KEY], {"value_dim": 5, "use_bias": False}, {}, None),
    "gate": ([QUERY, VALUE], {"use_gate": True}, {}, None),
    "output of two axes": ([QUERY, VALUE], {"output_shape": (2, 3)}, {}, None),
    "mask of the query": ([QUERY, VALUE], {}, {"mask": [QUERY_MASK, None]}, QUERY_MASK[:, :, None] & np.ones(5, bool)),
    "mask of the value": ([QUERY, VALUE], {}, {"mask": [None, VALUE_MASK]}, VALUE_MASK[:, None]),
    "three masks": (
        [QUERY, VALUE, KEY],
        {},
        {"mask": [QUERY_MASK, VALUE_MASK, ~VALUE_MASK | np.eye(2, 5, 1, bool)]},
        QUERY_MASK[:, :, None] & (VALUE_MASK & (~VALUE_MASK | np.eye(2, 5, 1, bool)))[:, None],
    ),
    "attention mask": ([QUERY, VALUE], {}, {"attention_mask": ATTENTION_MASK}, ATTENTION_MASK),
    "causal": ([QUERY, VALUE], {}, {"use_causal_mask": True}, np.tri(3, 5, dtype=bool)[None]),
    "window": (
        [QUERY, VALUE],
        {"sliding_window": 2},
        {"use_causal_mask": True, "attention_mask": ATTENTION_MASK, "mask": [None, VALUE_MASK]},
        ATTENTION_MASK & VALUE_MASK[:, None] & np.tri(3, 5, dtype=bool) & ~np.tri(3, 5, -2, dtype=bool),
    ),
}


@pytest.mark.parametrize("call", CALLS)
def test_values_and_scores(backend: Placement, call: str) -> None:
    inputs, options, named, allowed = CALLS[call]
    layer = built(MultiHeadAttention(2, 3, **options), *inputs, place=backend)
    arrays = [backend.asarray(x) for x in inputs]
    with no_synchronization():
        (y, scores), pullback = layer.forward(*arrays, return_attention_scores=True, **named)
        alone, pullback_alone = layer.forward(*arrays, **named)
        dx = pullback((y, scores))
        assert len(dx) == len(pullback_alone(alone)) == len(inputs)
    expected, expected_scores = by_hand(layer, inputs[0], inputs[1], inputs[-1], allowed)
    assert_close(y, expected, length=100, like=arrays[0])
    assert_close(scores, expected_scores, length=100, like=arrays[0])
    assert_close(alone, y, 0.0, 0.0)
    shapes = [x.shape for x in inputs]
    assert layer.compute_output_shape(shapes) == tuple(y.shape)
    assert layer.compute_output_shape(shapes, return_attention_scores=True) == (tuple(y.shape), tuple(scores.shape))


@pytest.mark.parametrize("call", CALLS)
def test_gradients_of_inputs_and_parameters(call: str) -> None:
    inputs, options, named, _ = CALLS[call]
    with nnx.backend("numpy", dtype="float64") as place:
        layer = built(MultiHeadAttention(2, 3, dropout=0.3, seed=1, **options), *inputs, place=place)
        flat = FlatParameters(layer.trainable_weights, place)

    def function(*arrays: Any) -> tuple[Any, Callable[..., Any]]:
        for parameter, value in zip(flat.parameters, arrays[len(inputs) :], strict=True):
            parameter.value[...] = value
        layer.random = random.Generator(3)
        y, pullback = layer.forward(*arrays[: len(inputs)], training=True, return_attention_scores=True, **named)

        def pull_back(dy: Any) -> tuple[Any, ...]:
            flat.start_pass()
            dx = pullback(dy)
            flat.finish_pass()
            return (*dx, *(np.array(parameter.grad) for parameter in flat.parameters))

        return y, pull_back

    check_gradients(function, *inputs, *layer.get_weights())
    y, pullback = layer.forward(*(x.astype(np.float64) for x in inputs))
    flat.start_pass()
    pullback(y)
    gradients = flat.grads.copy()
    flat.start_pass()
    assert pullback(y, inputs=False) is None
    assert_close(flat.grads, gradients, 0.0, 0.0)


def test_attention_over_some_axes(backend: Placement) -> None:
    query, value = random.Generator(1).normal((2, 3, 4, 5)), random.Generator(2).normal((2, 3, 6, 5))
    layer = built(MultiHeadAttention(2, 3, attention_axes=-2), query, value, place=backend)
    (y, scores), _ = layer.forward(backend.asarray(query), backend.asarray(value), return_attention_scores=True)
    assert tuple(scores.shape) == (2, 3, 2, 4, 6)
    for row in range(3):
        expected, _ = by_hand(layer, query[:, row], value[:, row], value[:, row])
        assert_close(y[:, row, ...], expected, length=100)
    images = built(MultiHeadAttention(2, 3), query, value[:, :2], place=backend)
    (y, scores), _ = images.forward(backend.asarray(query), backend.asarray(value[:, :2]), return_attention_scores=True)
    assert tuple(scores.shape) == (2, 2, 3, 4, 2, 6)
    flat = value[:, :2].reshape(2, 12, 5)
    assert_close(y, by_hand(images, query.reshape(2, 12, 5), flat, flat)[0].reshape(query.shape), length=100)


def test_dropout_is_for_training(backend: Placement) -> None:
    layer = built(MultiHeadAttention(2, 3, dropout=0.5, seed=3), QUERY, VALUE, place=backend)
    query, value = backend.asarray(QUERY), backend.asarray(VALUE)
    plain = layer.forward(query, value)[0]
    assert_close(plain, by_hand(layer, QUERY, VALUE, VALUE)[0], length=100)
    first, second = (nnx.to_numpy(layer.forward(query, value, training=True)[0]) for _ in range(2))
    assert (first != second).any()
    layer.random = random.Generator(3)
    assert_close(layer.forward(query, value, training=True)[0], first, 0.0, 0.0)


def test_scores_are_those_that_weigh() -> None:
    layer = nnx.layers.Attention(dropout=0.5, seed=1)
    y, scores = layer([VALUE, VALUE], return_attention_scores=True, training=True)
    assert (scores == 0.0).any()
    assert_close(y, scores @ VALUE.astype("float32"), rtol=1e-5, atol=1e-6)


def test_a_key_of_none_is_the_value() -> None:
    layer = MultiHeadAttention(2, 3)
    assert_close(layer(query=QUERY, value=VALUE, key=None), layer(QUERY, VALUE), 0.0, 0.0)


def test_masks_that_travel_on() -> None:
    layer = MultiHeadAttention(2, 3)
    assert layer.uses_mask
    assert layer.compute_mask([QUERY, VALUE], [QUERY_MASK, VALUE_MASK]) is QUERY_MASK
    assert layer.compute_mask([QUERY, VALUE], None) is None


def test_configuration_round_trip() -> None:
    layer = built(MultiHeadAttention(2, 3, output_shape=4, attention_axes=(1,), use_gate=True, seed=2), QUERY, VALUE)
    config = json.loads(json.dumps(layer.get_config()))
    copy = built(MultiHeadAttention.from_config(config), QUERY, VALUE)
    copy.set_weights(layer.get_weights())
    assert json.loads(json.dumps(copy.get_config())) == config
    assert_close(copy.forward(QUERY, VALUE)[0], layer.forward(QUERY, VALUE)[0], 0.0, 0.0)


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_dtype_is_kept(dtype: str) -> None:
    layer = built(MultiHeadAttention(2, 3, dtype=dtype), QUERY, VALUE)
    y, pullback = layer.forward(QUERY.astype(dtype), VALUE.astype(dtype), use_causal_mask=True)
    assert y.dtype == dtype
    assert [dx.dtype for dx in pullback(y)] == [dtype, dtype]
    assert np.isfinite(y).all()


SHAPES = [(None, 3, 4), (None, 5, 6)]
MISTAKES: list[tuple[str, Callable[[], Any], str]] = [
    (
        "no heads",
        lambda: MultiHeadAttention(0, 3),
        r"^multi_head_attention: num_heads must be a positive integer, got 0",
    ),
    ("broken size", lambda: MultiHeadAttention(2, 2.5), r"key_dim must be a positive integer, got 2.5"),
    ("value size", lambda: MultiHeadAttention(2, 3, value_dim=-1), r"value_dim must be a positive integer, got -1"),
    ("rate", lambda: MultiHeadAttention(2, 3, dropout=2.0), r"dropout must be a number from 0 to 1, got 2.0"),
    (
        "output",
        lambda: MultiHeadAttention(2, 3, output_shape=(2, 0)),
        r"output_shape must be a positive integer, got 0",
    ),
    ("window", lambda: MultiHeadAttention(2, 3, sliding_window=0), r"sliding_window must be a positive .* got 0"),
    (
        "one input",
        lambda: MultiHeadAttention(2, 3).compute_output_shape((None, 3, 4)),
        r"a query, a value and perhaps a key, got \(None, 3, 4\): .*for self-attention as layer\(x, x\)",
    ),
    (
        "vectors",
        lambda: MultiHeadAttention(2, 3).compute_output_shape([(None, 4), (None, 4)]),
        r"expected a query \(batch, targets, features\).* got shapes \(None, 4\)",
    ),
    (
        "key of another length",
        lambda: MultiHeadAttention(2, 3).compute_output_shape([*SHAPES, (None, 4, 6)]),
        r"a value and a key \(batch, sources, features\), got .*\(None, 5, 6\) and \(None, 4, 6\)",
    ),
    (
        "axes",
        lambda: MultiHeadAttention(2, 3, attention_axes=2).compute_output_shape(SHAPES),
        r"attention_axes must be axes between the batch and the features of an input of 3 axes, got \(2,\)",
    ),
    (
        "unknown features",
        lambda: MultiHeadAttention(2, 3).build_on(get_backend(), [(None, 3, None), (None, 5, 6)]),  # type: ignore[arg-type]
        r"the features of the query must be known, got shape \(None, 3, None\)",
    ),
]


@pytest.mark.parametrize(("make", "words"), [m[1:] for m in MISTAKES], ids=[m[0] for m in MISTAKES])
def test_mistakes_are_explained(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_shapes_come_one_by_one_as_in_keras() -> None:
    query, value, key = (2, 3, 4), (2, 5, 6), (2, 5, 7)
    layer = MultiHeadAttention(2, 3)
    layer.build(query, value, key)
    assert [parameter.shape[0] for parameter in layer.weights if parameter.name.endswith("kernel")] == [4, 7, 6, 2]
    assert layer.compute_output_shape(query, value, key) == layer.compute_output_shape([query, value, key]) == query
    named = MultiHeadAttention(2, 3)
    named.build(query_shape=query, value_shape=value)
    assert named.compute_output_shape(query_shape=query, value_shape=value) == query


class _Written(MultiHeadAttention):
    """With a `forward` of its own, which knows nothing of inputs that are one."""

    def forward(self, query: Any, value: Any, key: Any = None, **options: Any) -> Any:  # type: ignore[override]
        return super().forward(query, value, key, **options)


@pytest.mark.parametrize("options", [{}, {"use_bias": False}, {"use_gate": True}, {"value_dim": 5}, {"dropout": 0.5}])
@pytest.mark.parametrize("inputs", [2, 3])
def test_self_attention_is_attention(backend: Placement, inputs: int, options: dict[str, Any]) -> None:
    """In a graph its projections are made together: as if query, value and key were several arrays."""
    given, results = backend.asarray(QUERY), []
    for kind in (MultiHeadAttention, _Written):
        random.set_seed(4)
        x = nnx.Input((TARGETS, 4))
        model = nnx.Model(x, kind(2, 3, name="attention", **options)(*[nnx.layers.Masking()(x + 0.0)] * inputs))
        model.compile("sgd", "mse")
        model.train_on_batch(given, backend.asarray(QUERY[::-1].copy()))
        results.append([*model.get_weights(), model(given)])
    for mine, theirs in zip(*results, strict=True):
        assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_self_attention_over_no_axes(backend: Placement) -> None:
    """Each step attends to itself alone."""
    x = nnx.Input((TARGETS, 4))
    layer = MultiHeadAttention(2, 3, attention_axes=())
    model = nnx.Model(x, layer(x, x, return_attention_scores=True))
    y, scores = model(backend.asarray(QUERY))
    assert_close(scores, np.ones((BATCH, TARGETS, 2)), like=y)
    weights = {p.name: nnx.to_numpy(p.value) for p in layer.weights}
    values = np.tensordot(QUERY, weights["value/kernel"], axes=1) + weights["value/bias"]
    expected = np.tensordot(values, weights["attention_output/kernel"], axes=2) + weights["attention_output/bias"]
    assert_close(y, expected, rtol=1e-5, atol=1e-6)
