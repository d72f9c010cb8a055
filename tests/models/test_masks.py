"""Masks on their way through models: layers that use them, layers that make them, and the loss."""

import warnings

import numpy as np
import pytest

import nnx
from nnx.functional import arithmetic
from nnx.layers import (
    LSTM,
    Bidirectional,
    Dense,
    Embedding,
    Flatten,
    Input,
    Lambda,
    Layer,
    LayerNormalization,
    MultiHeadAttention,
    Reshape,
    add,
)
from nnx.testing import assert_close

WORDS = np.asarray([[3, 1, 2, 0, 0], [1, 0, 0, 0, 0], [2, 2, 1, 3, 1]])
COUNTS = WORDS != 0


def embedding():
    return Embedding(4, 3, mask_zero=True, name="words")


def stack(*layers):
    return nnx.Sequential([Input((5,), dtype="int64"), embedding(), *layers])


def test_the_steps_that_do_not_count_change_nothing(backend):
    nnx.random.set_seed(0)
    model = stack(Bidirectional(LSTM(4)), Dense(2))
    whole = model.predict(WORDS, verbose=0)
    for row, length in enumerate([3, 1, 5]):
        short = WORDS[row : row + 1, :length]
        again = nnx.Sequential([Input((length,), dtype="int64"), *model.layers])
        assert_close(again.predict(short, verbose=0), whole[row : row + 1], length=50)


def test_a_masked_loss_is_the_mean_over_the_steps_that_count():
    nnx.random.set_seed(1)
    model = stack(LSTM(4, return_sequences=True), Dense(2))
    targets = np.random.default_rng(0).normal(size=(3, 5, 2))
    model.compile("sgd", "mse")
    errors = ((model.predict(WORDS, verbose=0) - targets) ** 2).mean(axis=-1)
    assert_close(model.evaluate(WORDS, targets, verbose=0), errors[COUNTS].mean(), rtol=1e-5)
    changed = np.where(COUNTS[..., None], targets, 100.0)
    assert_close(model.evaluate(WORDS, changed, verbose=0), errors[COUNTS].mean(), rtol=1e-5)
    weights = np.asarray([1.0, 0.0, 2.0])
    expected = (errors * COUNTS * weights[:, None]).sum() / COUNTS.sum()
    assert_close(model.evaluate(WORDS, targets, sample_weight=weights, verbose=0), expected, rtol=1e-5)


@pytest.mark.parametrize("nested", [False, True])
def test_masks_go_through_graphs_and_inner_models(nested):
    nnx.random.set_seed(2)
    sequence = stack(LSTM(4, return_sequences=True), LSTM(3))
    x = Input((5,), dtype="int64")
    if nested:
        first = nnx.Sequential([Input((5,), dtype="int64"), *sequence.layers[:2]], name="first")
        y = sequence.layers[2](first(x))
    else:
        y = x
        for layer in sequence.layers:
            y = layer(y)
    graph = nnx.Model(x, y)
    assert_close(graph.predict(WORDS, verbose=0), sequence.predict(WORDS, verbose=0), 0.0, 0.0)
    plain = nnx.Sequential([Input((5,), dtype="int64"), Embedding(4, 3), LSTM(4, return_sequences=True), LSTM(3)])
    plain.set_weights(sequence.get_weights())
    assert np.abs(plain.predict(WORDS, verbose=0) - sequence.predict(WORDS, verbose=0))[:2].max() > 1e-3


def first_step(x):
    return arithmetic.getitem(x, (slice(None), 0))


@pytest.mark.parametrize(
    "layer",
    [lambda: Flatten(), lambda: Reshape((15,)), lambda: Lambda(first_step, output_shape=(3,)), lambda: LSTM(2)],
    ids=["Flatten", "Reshape", "Lambda", "LSTM"],
)
def test_masks_end_where_the_steps_end(layer):
    last = layer()
    model = stack(last, Dense(1))
    model.compile("sgd", "mse")
    targets = np.asarray([[0.0], [1.0], [3.0]])
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        errors = (model.predict(WORDS, verbose=0) - targets) ** 2
        assert_close(model.evaluate(WORDS, targets, verbose=0), errors.mean(), rtol=1e-5)
    if isinstance(last, LSTM):
        assert not found
        return
    (warning,) = found  # once, by name, at the line of the user
    assert f"{last.name} ({type(last).__name__}) gets a mask, and its output has none" in str(warning.message)
    assert warning.filename == __file__


@pytest.mark.parametrize(
    ("cut", "counts"),
    [
        (lambda x: x[:, -1], None),
        (lambda x: x[:, None], None),
        (lambda x: x[..., 0], COUNTS),
        (lambda x: x[:, 1:4], COUNTS[:, 1:4]),
        (lambda x: x[1:, ::2, :2], COUNTS[1:, ::2]),
    ],
)
def test_a_piece_has_the_mask_of_its_steps(cut, counts, backend):
    operation = cut(Input((5, 3))).node.layer
    given = backend.asarray(COUNTS, dtype="bool")
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        mask = operation.compute_mask(backend.asarray(np.ones((3, 5, 3))), given)
    assert len(found) == (None in operation._key)  # time has become another axis
    if counts is None:
        assert mask is None
    else:
        assert np.array_equal(nnx.to_numpy(mask), counts)


class Places(Layer):
    def build(self, input_shape):
        self.places = self.add_weight(input_shape[1:], "uniform", name="places")
        super().build(input_shape)

    def call(self, x):
        return self.places + x


def test_a_parameter_that_is_added_leaves_the_mask():
    outputs = stack(Places(), LSTM(2, return_sequences=True)).predict(WORDS, verbose=0)
    assert_close(outputs[1, 1:], np.repeat(outputs[1, :1], 4, axis=0), 0.0, 0.0)  # the state stays
    assert np.abs(outputs[2, 1:] - outputs[2, :1]).min() > 1e-4


def test_states_and_scores_are_outputs_of_their_own(backend):
    nnx.random.set_seed(3)
    source, target = Input((5, 3)), Input((4, 3))
    _, h, c = LSTM(4, return_state=True)(source)
    decoded = LSTM(4, return_sequences=True)(target, initial_state=[h, c])
    model = nnx.Model([source, target], Dense(1)(decoded))
    generator = np.random.default_rng(0)
    data = [generator.normal(size=(8, 5, 3)), generator.normal(size=(8, 4, 3))]
    model.compile(nnx.optimizers.Adam(0.02), "mse")
    answers = data[0][:, :4, :1].cumsum(axis=1)
    history = model.fit(data, answers, epochs=25, verbose=0).history["loss"]
    assert history[-1] < 0.7 * history[0]
    query = Input((5, 4))
    attended, scores = MultiHeadAttention(2, 4)(query, query, return_attention_scores=True)
    model = nnx.Model(query, [attended, scores])
    assert model.output_shape == [(None, 5, 4), (None, 2, 5, 5)]
    assert_close(
        model.predict(generator.normal(size=(3, 5, 4)), verbose=0)[1].sum(axis=-1), np.ones((3, 2, 5)), rtol=1e-5
    )


def test_a_transformer_block_learns(backend):
    nnx.random.set_seed(4)
    words = Input((5,), dtype="int64")
    x = embedding()(words)
    x = LayerNormalization()(add([x, MultiHeadAttention(2, 4)(x, x)]))
    x = LayerNormalization()(x + Dense(3)(Dense(8, "relu")(x)))
    model = nnx.Model(words, Dense(4, "softmax")(x))
    model.compile(nnx.optimizers.Adam(0.03), "sparse_categorical_crossentropy")
    history = model.fit(WORDS, WORDS, epochs=40, verbose=0).history["loss"]
    assert history[-1] < 0.3 * history[0]


def test_indices_are_checked_before_they_travel():
    model = stack(LSTM(2))
    with pytest.raises(ValueError, match=r"words: indices must be integers from 0 to 3, got 7 at \(0, 1\)"):
        model.predict(np.asarray([[1, 7, 0, 0, 0]]), verbose=0)


def test_a_stack_refuses_layers_of_several_outputs():
    with pytest.raises(ValueError, match="lstm returns several outputs"):
        nnx.Sequential([Input((5, 3)), LSTM(2, return_state=True)])
