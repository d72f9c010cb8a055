"""Recurrent layers and wrappers: options, states, masks, dropout, configurations and mistakes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
import nnx.kernels.numpy.recurrent
from nnx import random
from nnx.backends import Placement, get_backend
from nnx.layers import Dense, Flatten, Layer
from nnx.layers.bidirectional import Bidirectional
from nnx.layers.gru import GRU
from nnx.layers.lstm import LSTM
from nnx.layers.recurrent import Recurrent
from nnx.layers.simple_rnn import SimpleRNN
from nnx.layers.time_distributed import TimeDistributed
from nnx.parameters import FlatParameters
from nnx.testing import assert_close, check_gradients, no_synchronization

BATCH, TIME, N, UNITS = 3, 5, 4, 6
X = random.Generator(1).normal((BATCH, TIME, N)).astype(np.float32)
MASK = np.asarray([[1, 1, 1, 1, 1], [0, 1, 0, 1, 1], [1, 1, 1, 0, 0]], bool)
KINDS: list[type[Recurrent]] = [SimpleRNN, LSTM, GRU]
each_kind = pytest.mark.parametrize("kind", KINDS)


def states_for(layer: Recurrent, batch: int = BATCH) -> list[np.ndarray]:
    return [random.Generator(5 + i).normal((batch, UNITS)).astype(np.float32) for i in range(layer.state_count)]


def check_layer_gradients(layer: Layer, *inputs: np.ndarray, **options: Any) -> None:
    """The gradients of inputs and parameters, in float64, against differences."""
    with nnx.backend("numpy", dtype="float64") as place:
        shapes = [x.shape for x in inputs]
        layer.build_on(place, shapes if len(shapes) > 1 else shapes[0])  # type: ignore[arg-type]
        flat = FlatParameters(layer.trainable_weights, place)
    streams = {one: one.random.state() for _, one in layer.walk() if one.random is not None}

    def function(*arrays: Any) -> tuple[Any, Callable[..., Any]]:
        for parameter, value in zip(flat.parameters, arrays[len(inputs) :], strict=True):
            parameter.value[...] = value
        for one, state in streams.items():
            one.random.set_state(state)
        y, pullback = layer.forward(*arrays[: len(inputs)], **options)

        def pull_back(dy: Any) -> tuple[Any, ...]:
            flat.start_pass()
            dx = pullback(dy)
            flat.finish_pass()
            gradients = [np.array(parameter.grad) for parameter in flat.parameters]
            return (*(dx if isinstance(dx, tuple) else (dx,)), *gradients)

        return y, pull_back

    check_gradients(function, *inputs, *[0.5 + 0.3 * nnx.to_numpy(p.value) for p in flat.parameters])


# Parameters and options


@each_kind
def test_parameters_are_those_of_keras(kind: type[Recurrent]) -> None:
    layer = kind(UNITS)
    layer(X)
    size = layer.gates * UNITS
    bias = (2, size) if kind is GRU else (size,)
    shapes = {"kernel": (N, size), "recurrent_kernel": (UNITS, size), "bias": bias}
    assert {p.name: p.shape for p in layer.weights} == shapes
    recurrent = nnx.to_numpy(layer.recurrent_kernel.value)
    assert_close(recurrent @ recurrent.T, np.eye(UNITS), atol=1e-5)  # orthogonal rows
    expected = np.repeat([0.0, 1.0, 0.0, 0.0], UNITS) if kind is LSTM else np.zeros(bias)
    assert_close(layer.bias.value, expected, 0.0, 0.0)
    assert layer.random is None  # without dropout it takes nothing from the default stream


def test_forget_bias_can_be_left_out() -> None:
    layer = LSTM(UNITS, bias_initializer="ones", unit_forget_bias=False)
    assert_close(layer(X).shape, (BATCH, UNITS))
    assert_close(layer.bias.value, np.ones(4 * UNITS), 0.0, 0.0)
    layer = LSTM(UNITS, bias_initializer=nnx.initializers.Constant(0.5))
    layer(X)
    assert_close(layer.bias.value, np.repeat([0.5, 1.0, 0.5, 0.5], UNITS), 0.0, 0.0)


@each_kind
def test_regularizers_and_constraints_arrive(kind: type[Recurrent]) -> None:
    options = {f"{what}_regularizer": "l2" for what in ("kernel", "recurrent", "bias")}
    options |= {f"{what}_constraint": "non_neg" for what in ("kernel", "recurrent", "bias")}
    layer = kind(UNITS, **options)
    layer(X)
    for parameter in layer.weights:
        assert parameter.regularizer is not None
        assert parameter.constraint is not None


@each_kind
def test_arguments_that_only_say_how_keras_computes(kind: type[Recurrent]) -> None:
    layer = kind(UNITS, implementation=1, use_cudnn=False, unroll=True, input_shape=(TIME, N))
    assert layer.batch_input_shape == (None, TIME, N)
    assert nnx.Sequential([layer]).output_shape == (None, UNITS)


@each_kind
@pytest.mark.parametrize("sequences", [False, True])
def test_outputs_and_states(kind: type[Recurrent], sequences: bool) -> None:
    layer = kind(UNITS, return_sequences=sequences, return_state=True)
    y, *states = layer(X)
    shapes = layer.compute_output_shape((None, TIME, N))
    assert shapes == ((None, TIME, UNITS) if sequences else (None, UNITS), *[(None, UNITS)] * layer.state_count)
    assert [part.shape[1:] for part in (y, *states)] == [shape[1:] for shape in shapes]
    assert_close(states[0], y[:, -1] if sequences else y, 0.0, 0.0)


@each_kind
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"return_sequences": True, "go_backwards": True},
        {"return_state": True, "return_sequences": True, "zero_output_for_mask": True},
        {"return_state": True, "dropout": 0.3, "recurrent_dropout": 0.4, "seed": 1},
    ],
    ids=["last", "sequences", "states", "dropout"],
)
@pytest.mark.parametrize("masked", [False, True])
def test_gradients(kind: type[Recurrent], options: dict[str, Any], masked: bool) -> None:
    mask = {"mask": MASK} if masked else {}
    check_layer_gradients(kind(UNITS, **options), X, training=True, **mask)
    layer = kind(UNITS, **options)
    check_layer_gradients(layer, X, *states_for(layer), training=True, **mask)


# States


@each_kind
def test_initial_states_as_inputs_and_by_name(kind: type[Recurrent], backend: Placement) -> None:
    layer = kind(UNITS, return_sequences=True)
    x, *states = (backend.asarray(array) for array in (X, *states_for(layer)))
    y, pullback = (layer(x), None)
    other, pullback = layer.forward(x, *states)
    named, pullback_named = layer.forward(x, initial_state=states)
    assert_close(named, other, 0.0, 0.0)
    assert (abs(nnx.to_numpy(other) - nnx.to_numpy(y)) > 1e-3).any()
    for mine, theirs in zip(pullback(other), pullback_named(other), strict=True):
        assert_close(mine, theirs, 0.0, 0.0, like=x)
    assert len(pullback(other)) == 1 + layer.state_count
    assert len(layer.forward(x)[1](y).shape) == 3  # without given states, the cotangent of x alone


@each_kind
def test_stateful_layers_go_on_where_they_stopped(kind: type[Recurrent], backend: Placement) -> None:
    random.set_seed(3)
    layer, whole = kind(UNITS, return_sequences=True, stateful=True), kind(UNITS, return_sequences=True)
    x = backend.asarray(X)
    expected = whole(x)
    layer(x[:, :1, :])
    layer.set_weights(whole.get_weights())
    layer.reset_states()
    with no_synchronization():
        parts = [layer.run(x[:, start:stop, :])[0] for start, stop in ((0, 2), (2, 4), (4, 5))]
    assert_close(np.concatenate([nnx.to_numpy(part) for part in parts], axis=1), expected, length=20)
    with pytest.raises(ValueError, match="is stateful and remembers 3 sequences, but got a batch of 2: call reset_sta"):
        layer(x[:2, ...])
    layer.reset_state()  # Keras 3's name
    assert layer(x[:2, ...]).shape == (2, TIME, UNITS)


def test_states_can_be_set_and_move_with_the_layer() -> None:
    layer = LSTM(UNITS, stateful=True)
    layer(X)
    expected = LSTM.from_config({**layer.get_config(), "stateful": False})
    expected.build_on(get_backend(), X.shape)
    expected.set_weights(layer.get_weights())
    states = states_for(layer)
    layer.reset_states([state.tolist() for state in states])
    assert_close(layer(X), expected(X, initial_state=states))
    model = nnx.Sequential([layer])
    before = [nnx.to_numpy(state) for state in layer.states or ()]
    model.to("array-api-strict")
    for state, host in zip(layer.states or (), before, strict=True):
        assert model.placement.holds(state)
        assert_close(state, host, 0.0, 0.0)


# Masks


@each_kind
@pytest.mark.parametrize("backwards", [False, True])
def test_masked_steps_are_as_if_they_were_not_there(kind: type[Recurrent], backwards: bool, backend: Placement) -> None:
    layer = kind(UNITS, return_sequences=True, go_backwards=backwards)
    x = backend.asarray(X)
    layer(x)
    y, _ = layer.forward(x, mask=backend.asarray(MASK, "bool"))
    order = slice(None, None, -1) if backwards else slice(None)
    for row in range(BATCH):
        kept = nnx.to_numpy(layer(backend.asarray(X[row : row + 1, MASK[row]])))[0]
        found = nnx.to_numpy(y)[row]
        assert_close(found[MASK[row][order]], kept, length=20)
        for t in range(TIME):  # the others repeat the output before, at first the state 0
            if not MASK[row][order][t]:
                assert_close(found[t], found[t - 1] if t else np.zeros(UNITS), 0.0, 0.0)
    zeroed = kind.from_config({**layer.get_config(), "zero_output_for_mask": True})
    zeroed.build_on(backend, X.shape)
    zeroed.set_weights(layer.get_weights())
    shown, _ = zeroed.forward(x, mask=backend.asarray(MASK, "bool"))
    assert_close(shown, nnx.to_numpy(y) * MASK[:, order, None], 0.0, 0.0)


def test_masks_that_travel_on() -> None:
    mask = nnx.asarray(MASK, "bool")
    assert LSTM(2).compute_mask(X, mask) is None
    assert LSTM(2, return_sequences=True).compute_mask(X, mask) is mask
    assert LSTM(2, return_sequences=True).compute_mask(X, [mask, None, None]) is mask
    assert LSTM(2, return_sequences=True).compute_mask(X, None) is None
    assert LSTM(2, return_sequences=True, return_state=True).compute_mask(X, mask) == (mask, None, None)
    turned = GRU(2, return_sequences=True, go_backwards=True).compute_mask(X, mask)
    assert_close(turned, MASK[:, ::-1])
    assert Bidirectional(LSTM(2)).compute_mask(X, mask) is None
    assert Bidirectional(LSTM(2, return_sequences=True)).compute_mask(X, mask) is mask
    assert Bidirectional(LSTM(2, return_sequences=True), merge_mode=None).compute_mask(X, mask) == (mask, mask)
    states = Bidirectional(LSTM(2, return_sequences=True, return_state=True)).compute_mask(X, mask)
    assert states == (mask, None, None, None, None)


def test_masks_of_all_inputs_and_as_numbers() -> None:
    layer = GRU(UNITS)
    state = states_for(layer)
    expected = layer(X, *state, mask=MASK)
    assert_close(layer(X, *state, mask=[MASK, None]), expected, 0.0, 0.0)
    assert_close(layer(X, *state, mask=MASK.astype(np.int64)), expected, 0.0, 0.0)
    with pytest.raises(ValueError, match=r"gru: expected a mask \(batch, time\) = \(3, 5\), got shape \(5, 3\)"):
        layer(X, mask=MASK.T)


# Dropout


@each_kind
@pytest.mark.parametrize("which", ["dropout", "recurrent_dropout"])
def test_dropout_is_for_training_and_repeats_with_the_seed(
    kind: type[Recurrent], which: str, backend: Placement
) -> None:
    layer = kind(UNITS, seed=4, return_sequences=True, **{which: 0.5})
    x = backend.asarray(X)
    layer(x)
    without = kind.from_config({**layer.get_config(), which: 0.0})
    without.build_on(backend, X.shape)
    without.set_weights(layer.get_weights())
    assert_close(layer(x), without(x), 0.0, 0.0)
    layer.random = random.Generator(4)
    first, second = (nnx.to_numpy(layer(x, training=True)) for _ in range(2))
    assert (first != second).any()
    layer.random = random.Generator(4)
    assert_close(layer(x, training=True), first, 0.0, 0.0)


def test_dropout_of_everything() -> None:
    layer = SimpleRNN(UNITS, dropout=1.0, recurrent_dropout=1.0, return_sequences=True)
    assert_close(layer(X, training=True), np.zeros((BATCH, TIME, UNITS)), 0.0, 0.0)


def test_a_mask_of_dropout_holds_for_all_steps() -> None:
    layer = SimpleRNN(UNITS, None, dropout=0.5, recurrent_initializer="zeros", return_sequences=True, seed=2)
    x = np.repeat(X[:, :1], TIME, axis=1)
    y = layer(x, training=True)
    assert_close(y, np.repeat(y[:, :1], TIME, axis=1))
    assert (abs(y - layer(x)) > 1e-3).any()


# Training


@each_kind
def test_a_model_learns_which_sequences_rise(kind: type[Recurrent]) -> None:
    random.set_seed(2)
    x = random.Generator(3).normal((128, 6, 2)).astype(np.float32)
    y = (x[:, -1, 0] > x[:, 0, 0]).astype(np.float32)[:, None]
    model = nnx.Sequential([Bidirectional(kind(8), input_shape=(6, 2)), Dense(1, "sigmoid")])
    model.compile(nnx.optimizers.Adam(0.03), "binary_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, batch_size=32, epochs=15, verbose=0).history
    assert history["accuracy"][-1] > 0.9
    assert history["loss"][-1] < 0.5 * history["loss"][0]


def test_the_first_layer_needs_no_cotangent_of_its_input() -> None:
    for layer in (LSTM(UNITS), Bidirectional(GRU(UNITS)), TimeDistributed(Dense(2))):
        layer(X)
        flat = FlatParameters(layer.trainable_weights, get_backend())
        gradients = []
        for inputs in (True, False):
            y, pullback = layer.forward(X, training=True)
            flat.start_pass()
            dx = pullback(np.ones_like(y), inputs=inputs)
            flat.finish_pass()
            assert (dx is not None) == inputs
            gradients.append(flat.grads.copy())
        assert_close(gradients[0], gradients[1], 0.0, 0.0)


# Bidirectional


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("mode", ["concat", "sum", "mul", "ave", None])
def test_both_directions_are_merged(mode: str | None, sequences: bool, backend: Placement) -> None:
    layer = Bidirectional(LSTM(UNITS, return_sequences=sequences), merge_mode=mode)
    x = backend.asarray(X)
    found = layer(x)
    one, other = (nnx.to_numpy(part(x)) for part in layer.sublayers())
    other = other[:, ::-1] if sequences else other
    if mode is None:
        assert_close(found[0], one, 0.0, 0.0)
        assert_close(found[1], other, 0.0, 0.0)
        assert [y.shape for y in found] == list(layer.compute_output_shape(X.shape))
        return
    merged: dict[str, Any] = {"sum": one + other, "mul": one * other, "ave": (one + other) / 2}
    expected = np.concatenate([one, other], axis=-1) if mode == "concat" else merged[mode]
    assert_close(found, expected, like=x)
    assert found.shape == layer.compute_output_shape(X.shape)


@pytest.mark.parametrize("mode", ["concat", "sum", "mul", "ave", None])
def test_gradients_of_both_directions(mode: str | None) -> None:
    check_layer_gradients(Bidirectional(GRU(UNITS, return_sequences=True), merge_mode=mode), X, mask=MASK)
    layer = Bidirectional(LSTM(UNITS, return_state=True, return_sequences=True), merge_mode=mode)
    check_layer_gradients(layer, X)
    check_layer_gradients(layer, X, *[np.ones((BATCH, UNITS))] * 4, mask=MASK)


def test_directions_have_weights_names_and_states_of_their_own() -> None:
    original = LSTM(UNITS, return_state=True, stateful=True, dropout=0.1, name="memory")
    original(X)
    layer = Bidirectional(original)
    y, *states = layer(X)
    assert len(states) == 4
    assert [path for path, _ in layer.walk()] == [
        f"bidirectional{rest}" for rest in ("", "/forward_memory", "/backward_memory")
    ]
    names = [p.name for p in layer.weights]
    assert names == ["kernel", "recurrent_kernel", "bias"] * 2
    assert_close(layer.get_weights()[0], layer.forward_layer.kernel.value, 0.0, 0.0)
    assert (layer.get_weights()[0] != original.get_weights()[0]).any()
    assert (layer.get_weights()[0] != layer.get_weights()[3]).any()
    assert_close(states[0], y[:, :UNITS], 0.0, 0.0)
    assert layer.backward_layer.states is not None
    layer.reset_states()
    assert layer.forward_layer.states is None
    assert layer.backward_layer.states is None


def test_a_backward_layer_is_used_as_it_is() -> None:
    backward = GRU(2, go_backwards=True, name="forward_lstm")
    layer = Bidirectional(LSTM(3, name="lstm"), backward_layer=backward)
    assert layer.backward_layer is backward
    assert len({one.name for one in layer.sublayers()}) == 2
    assert layer(X).shape == (BATCH, 5)


def cube(x: Any) -> tuple[Any, Callable[..., Any]]:
    return x * x * x, lambda dy: 3.0 * dy * x * x


def test_functions_of_ones_own_survive_the_copy() -> None:
    layer = Bidirectional(SimpleRNN(2, cube))
    assert layer.forward_layer.activation is layer.backward_layer.activation is cube
    config = json.loads(json.dumps(layer.get_config()))
    with nnx.saving.custom_objects({"cube": cube}):
        assert Bidirectional.from_config(config).forward_layer.activation in (cube, "cube")


def test_the_input_shape_of_the_inner_layer_counts() -> None:
    assert nnx.Sequential([Bidirectional(LSTM(3, input_shape=(TIME, N)))]).output_shape == (None, 6)


# TimeDistributed


class Averaging(Layer):
    """Keeps how many batches it has seen, as layers with moving averages do."""

    def build(self, input_shape: Any) -> None:
        self.seen = self.add_weight((1,), "zeros", name="seen", trainable=False)
        super().build(input_shape)

    def forward(self, x: Any, *, training: bool = False) -> tuple[Any, Callable[..., Any]]:
        xp = nnx.array_namespace(x)
        self.seen.value[...] = self.seen.value + 1.0
        share = 1.0 / x.shape[0]
        return x - xp.mean(x, axis=0, keepdims=True), lambda dy: dy - xp.sum(dy, axis=0, keepdims=True) * share


def test_every_step_gets_the_same_layer(backend: Placement) -> None:
    layer = TimeDistributed(TimeDistributed(Dense(2, "tanh")))
    x = backend.asarray(np.stack([X, 2.0 * X]))
    y = layer(x)
    assert y.shape == (2, BATCH, TIME, 2) == layer.compute_output_shape((2, BATCH, TIME, N))
    inner = layer.layer.layer
    for t in range(BATCH):
        for s in range(TIME):
            assert_close(y[:, t, s, :], inner(x[:, t, s, :]), length=10)
    flat = TimeDistributed(Flatten())
    assert_close(flat(x), np.stack([X, 2.0 * X]).reshape(2, BATCH, -1))


def test_layers_with_averages_of_the_batch_get_one_step_after_another(backend: Placement) -> None:
    layer = TimeDistributed(Averaging())
    x = backend.asarray(X)
    y = layer(x, training=True)
    assert_close(layer.layer.seen.value, [TIME])
    assert_close(y, X - X.mean(axis=0, keepdims=True), rtol=1e-5)
    check_layer_gradients(TimeDistributed(Averaging()), X)


def test_masks_inside_of_a_step_reach_the_layer() -> None:
    x, mask = np.stack([X, 2.0 * X], axis=1), np.stack([MASK, ~MASK], axis=1)
    layer = TimeDistributed(GRU(UNITS))
    y = layer(x, mask=mask)
    for t in range(2):
        assert_close(y[:, t], layer.layer(x[:, t], mask=mask[:, t]), length=10)
    assert_close(layer(x, mask=mask[:, :, 0]), layer(x))  # one of the steps is not for the layer inside
    check_layer_gradients(TimeDistributed(GRU(UNITS)), x, mask=mask)


# Mistakes

MISTAKES: list[tuple[str, Callable[[], Any], type[Exception], str]] = [
    ("no units", lambda: LSTM(0), ValueError, r"^lstm: units must be a positive integer, got 0"),
    ("broken units", lambda: GRU(2.5), ValueError, r"^gru: units must be a positive integer, got 2.5"),
    ("rate", lambda: LSTM(2, dropout=1.5), ValueError, r"^lstm: dropout must be a number from 0 to 1, got 1.5"),
    ("rate of states", lambda: GRU(2, recurrent_dropout="a"), ValueError, r"^gru: recurrent_dropout .*got 'a'"),
    (
        "misspelt",
        lambda: LSTM(2, return_sequence=True),
        TypeError,
        r"no argument 'return_sequence'.*'return_sequences'",
    ),
    ("activation", lambda: LSTM(2, recurrent_activation="sigmod"), ValueError, r"'sigmod': did you mean .*'sigmoid'"),
    (
        "vectors",
        lambda: LSTM(2)(X[:, 0]),
        ValueError,
        r"^lstm: expected an input of shape \(batch, time, features\), got .*\); .* with return_sequences=True$",
    ),
    ("no steps", lambda: GRU(2)(X[:, :0]), ValueError, r"^gru: expected at least one time step, got .*0, 4\)"),
    (
        "unknown features",
        lambda: nnx.Sequential([nnx.Input((TIME, None)), LSTM(2)]),
        ValueError,
        r"^lstm: .*known features, got shape \(None, 5, None\)",
    ),
    (
        "states",
        lambda: LSTM(2)(X, initial_state=[np.zeros((3, 2))]),
        ValueError,
        r"^lstm: expected 2 initial states of shape \(3, 2\), got \(3, 2\)",
    ),
    (
        "shape of a state",
        lambda: GRU(2)(X, initial_state=np.zeros((3, 4))),
        ValueError,
        r"^gru: expected 1 initial states of shape \(3, 2\), got \(3, 4\)",
    ),
    ("wrapped Dense", lambda: Bidirectional(Dense(2)), TypeError, r"^bidirectional: layer must be a recurrent layer"),
    ("a class", lambda: Bidirectional(LSTM), TypeError, r"^bidirectional: layer must be a recurrent layer .*LSTM"),
    ("merge_mode", lambda: Bidirectional(LSTM(2), "max"), ValueError, r"^bidirectional: merge_mode .*'ave'.*got 'max'"),
    (
        "two forwards",
        lambda: Bidirectional(LSTM(2), backward_layer=LSTM(2)),
        ValueError,
        r"one layer must have go_backwards=False and the other go_backwards=True, got False for both",
    ),
    (
        "different options",
        lambda: Bidirectional(LSTM(2), backward_layer=LSTM(2, go_backwards=True, return_sequences=True)),
        ValueError,
        r"both layers must have the same return_sequences",
    ),
    (
        "different units",
        lambda: Bidirectional(LSTM(2), "sum", backward_layer=LSTM(3, go_backwards=True)).compute_output_shape(X.shape),
        ValueError,
        r"merge_mode 'sum' needs outputs of one shape: \(3, 2\), \(3, 3\)",
    ),
    ("no layer", lambda: TimeDistributed("dense"), TypeError, r"^time_distributed: layer must be a layer .*'dense'"),
    ("no steps", lambda: TimeDistributed(Dense(2))(X[0]), ValueError, r"shape \(batch, time, ...\), got \(None, 4\)"),
    (
        "many outputs",
        lambda: TimeDistributed(LSTM(2, return_state=True))(X[None]),
        ValueError,
        r"layer must have one output, lstm has 3",
    ),
]


@pytest.mark.parametrize(("make", "error", "words"), [m[1:] for m in MISTAKES], ids=[m[0] for m in MISTAKES])
def test_mistakes_are_explained(make: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


def test_another_number_of_features_than_it_was_built_for() -> None:
    layer = LSTM(2)
    layer(X)
    with pytest.raises(ValueError, match=r"^lstm: expected an input of shape \(batch, time, 4\), got \(3, 5, 3\)"):
        layer(X[..., :3])
    assert layer(X[:, :2]).shape == (BATCH, 2)  # another length is fine


WORDS = np.asarray([[1, 2, 0, 0], [3, 4, 5, 0]])
CELLS = [(nnx.layers.LSTM, 2), (nnx.layers.GRU, 1), (nnx.layers.SimpleRNN, 1)]


@pytest.mark.parametrize(("kind", "states"), CELLS)
def test_a_mask_counts_beside_a_state(kind, states, backend):
    """Which Keras 3.15 leaves out; `findings/keras_recurrent_layers_forget_masks_beside_a_state.sh`."""
    words, given = nnx.Input((4,), dtype="int32"), [nnx.Input((3,)) for _ in range(states)]
    embedded, layer = nnx.layers.Embedding(9, 3, mask_zero=True)(words), kind(3)
    alone, stated = nnx.Model(words, layer(embedded)), nnx.Model([words, *given], layer(embedded, initial_state=given))
    x, zeros = backend.asarray(WORDS, "int32"), [backend.asarray(np.zeros((2, 3)))] * states
    assert_close(stated([x, *zeros]), nnx.to_numpy(alone(x)), length=4)


@pytest.mark.parametrize("kind", [kind for kind, _ in CELLS])
def test_what_reads_backwards_turns_the_mask_too(kind, backend):
    """Which Keras 3.15 leaves as it was; `findings/keras_go_backwards_leaves_the_mask_forwards.sh`."""
    words = nnx.Input((4,), dtype="int32")
    steps = kind(3, go_backwards=True, return_sequences=True)(nnx.layers.Embedding(9, 3, mask_zero=True)(words))
    last, turned = kind(3), nnx.ops.flip(nnx.ops.not_equal(words, 0), axis=1)
    x = backend.asarray(WORDS, "int32")
    read = nnx.Model(words, last(steps))(x)
    assert_close(read, nnx.to_numpy(nnx.Model(words, last(steps, mask=turned))(x)), length=4)
    assert (nnx.to_numpy(read) != 0).all()
