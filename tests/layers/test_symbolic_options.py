"""Options of a call that are values of the graph: the model computes what the layer does with arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.layers import GRU, LSTM, Bidirectional, Input, Layer, MultiHeadAttention
from nnx.testing import assert_close

X = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
STATE = np.random.default_rng(1).normal(size=(2, 5)).astype(np.float32)
OTHER = np.random.default_rng(2).normal(size=(2, 3, 4)).astype(np.float32)
STEPS = np.asarray([[True, True, False], [True, False, True]])
PAIRS = np.asarray([[[1, 0, 0], [1, 1, 0], [1, 1, 1]], [[0, 1, 1], [1, 0, 1], [1, 1, 0]]], dtype=bool)


class Scale(Layer):
    """A layer with a list as an option."""

    def forward(self, x: Any, *, training: bool = False, factors: Any = None) -> Any:
        return x * factors[0], lambda dy: dy * factors[0]


def attend(**options: Any) -> Any:
    return lambda layer, x, value: layer(x, x, **{name: make(value) for name, make in options.items()})


def alone(value: Any) -> Any:
    return value


CALLS: dict[str, tuple[Callable[[], Layer], Callable[..., Any], np.ndarray]] = {
    "a state": (lambda: GRU(5), lambda layer, x, state: layer(x, initial_state=state), STATE),
    "states": (lambda: LSTM(5), lambda layer, x, state: layer(x, initial_state=[state, state]), STATE),
    "states in both directions": (
        lambda: Bidirectional(LSTM(5)),
        lambda layer, x, state: layer(x, initial_state=[state, state, state, state]),
        STATE,
    ),
    "a mask": (lambda: LSTM(5), lambda layer, x, mask: layer(x, mask=mask), STEPS),
    "masks": (lambda: MultiHeadAttention(2, 3), attend(mask=lambda mask: [None, mask]), STEPS),
    "a mask of the query": (lambda: MultiHeadAttention(2, 3), attend(query_mask=alone), STEPS),
    "a mask of the value": (lambda: MultiHeadAttention(2, 3), attend(value_mask=alone), STEPS),
    "a mask of the key": (lambda: MultiHeadAttention(2, 3), attend(key_mask=alone), STEPS),
    "a mask of pairs": (lambda: MultiHeadAttention(2, 3), attend(attention_mask=alone), PAIRS),
    "a key": (lambda: MultiHeadAttention(2, 3), attend(key=alone), OTHER),
    "a list of one's own": (Scale, lambda layer, x, factor: layer(x, factors=[factor]), OTHER),
}


def graph(case: str) -> tuple[Any, Layer, Callable[..., Any], np.ndarray]:
    make, call, value = CALLS[case]
    layer = make()
    x, option = Input(X.shape[1:]), Input(value.shape[1:], dtype=None if value.dtype == np.float32 else "bool")
    return nnx.Model([x, option], call(layer, x, option)), layer, call, value


@pytest.mark.parametrize("case", CALLS)
def test_a_symbol_does_what_an_array_does(case: str, backend: Placement) -> None:
    model, layer, call, value = graph(case)
    given = backend.asarray(value, "bool" if value.dtype == bool else None)
    assert_close(model.predict([X, value], verbose=0), call(layer, backend.asarray(X), given))


@pytest.mark.parametrize("case", [case for case in CALLS if case != "a list of one's own"])
def test_a_configuration_keeps_it(case: str) -> None:
    model, _, _, value = graph(case)
    again = nnx.models.clone_model(model)
    again.set_weights(model.get_weights())
    assert_close(again.predict([X, value], verbose=0), model.predict([X, value], verbose=0))


def test_an_encoder_in_both_directions_is_trained_through_its_states(backend: Placement) -> None:
    x = Input((3, 4))
    sequence, *states = Bidirectional(LSTM(5, return_sequences=True, return_state=True))(x)
    decoder = Bidirectional(LSTM(5))
    reverse = nnx.Model(x, decoder(sequence * 0.0, initial_state=states))  # only states tell the decoder anything
    before = reverse.layers[1].get_weights()
    reverse.compile("sgd", "mse")
    reverse.fit(X, np.ones((2, 10), dtype=np.float32), verbose=0)
    assert any(abs(old - new).max() > 0 for old, new in zip(before, reverse.layers[1].get_weights(), strict=True))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x, symbol: nnx.layers.Dropout(0.5)(x, training=symbol), "training must be True or False"),
        (lambda x, symbol: MultiHeadAttention(1, 2)(x, x, use_causal_mask=symbol), "use_causal_mask must be True or"),
        (lambda x, symbol: MultiHeadAttention(1, 2)(X, X, value_mask=symbol), "on symbolic values and on ndarray"),
        (lambda x, symbol: LSTM(2)(X, mask=symbol), "on symbolic values and on ndarray"),
    ],
)
def test_what_cannot_be_a_symbol_is_said(call: Callable[[Any, Any], Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        call(Input((3, 4)), Input((3,)))


def test_one_mask_for_several_inputs_of_attention_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mask must be a list with a mask or None for each input.*value_mask"):
        MultiHeadAttention(1, 2)(X, X, mask=STEPS)
