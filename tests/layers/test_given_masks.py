"""Masks that a user gives: by name or position, of sizes that fit or do not, and what softmax makes of them."""

import numpy as np
import pytest

import nnx
from nnx import layers
from nnx.functional.masking import masked_softmax
from nnx.layers import (
    GRU,
    LSTM,
    BatchNormalization,
    Dense,
    Embedding,
    GlobalAveragePooling1D,
    Input,
    Masking,
    MultiHeadAttention,
    Softmax,
    TimeDistributed,
)
from nnx.testing import assert_close, check_gradients

RNG = np.random.default_rng(0)
SEQUENCE = np.float32(RNG.normal(size=(2, 3, 4)))
MASK = np.asarray([[True, True, False], [False, True, True]])


# Softmax


def softmax_of(x, mask, axis):
    e = np.exp(x - x.max()) * mask
    total = e.sum(axis=axis, keepdims=True)
    return e / np.where(total == 0.0, 1.0, total)


def test_softmax_leaves_out_what_the_mask_does(backend):
    x, mask = np.asarray([[1.0, 2.0, 5.0, 1.0]]), np.asarray([[True, True, False, False]])
    y = Softmax()(backend.asarray(x), mask=backend.asarray(mask, "bool"))
    assert_close(y, [[0.26894142, 0.73105858, 0.0, 0.0]], rtol=1e-6)
    assert_close(Softmax()(backend.asarray(x), backend.asarray(mask, "bool")), nnx.to_numpy(y), 0.0, 0.0)  # by position
    assert_close(Softmax()([1, 2, 5, 1], mask=[True, True, False, False]), nnx.to_numpy(y)[0], rtol=1e-6)


@pytest.mark.parametrize("axis", [-1, 1, (1, 2), [2, np.int64(1)], (-1,), (0, 1, 2), np.int64(1)])
@pytest.mark.parametrize("masked", [False, True])
def test_softmax_along_several_axes(axis, masked, backend):
    mask = RNG.uniform(size=SEQUENCE.shape) < 0.6 if masked else np.ones(SEQUENCE.shape, bool)
    mask[1] &= not masked  # a sample of which nothing is kept
    options = {"mask": backend.asarray(mask, "bool")} if masked else {}
    y = Softmax(axis=axis)(backend.asarray(SEQUENCE), **options)
    expected = softmax_of(SEQUENCE, mask, tuple(axis) if isinstance(axis, list) else axis)
    assert_close(y, expected, like=backend.asarray(SEQUENCE), length=12)


def test_softmax_over_time_knows_the_mask_of_steps(backend):
    x, mask = backend.asarray(SEQUENCE), backend.asarray(MASK, "bool")
    assert_close(Softmax(axis=1)(x, mask=mask), softmax_of(SEQUENCE, MASK[..., None], 1), length=3)
    assert_close(Softmax()(x, mask=mask), softmax_of(SEQUENCE, 1.0, -1), length=4)  # it says nothing of features
    wide = np.where(MASK[..., None], SEQUENCE, np.nan)  # what does not count is not looked at
    assert_close(Softmax(axis=1)(backend.asarray(wide), mask=mask), softmax_of(SEQUENCE, MASK[..., None], 1), length=3)


@pytest.mark.parametrize("axes", [(1,), (2, 1), (0, 1)])
def test_gradients_of_masked_softmax(axes, backend_float64):
    mask = backend_float64.asarray(RNG.uniform(size=SEQUENCE.shape) < 0.6, "bool")
    check_gradients(lambda x: masked_softmax(x, mask, axes), SEQUENCE.astype(float), placement=backend_float64)


def test_softmax_is_saved_with_its_axes():
    layer = Softmax(axis=(1, 2))
    assert Softmax.from_config(layer.get_config()).axis == [1, 2]


@pytest.mark.parametrize("axis", [(1, 3), (), "last", (1, -2)])
def test_axes_that_softmax_cannot_have(axis):
    with pytest.raises(ValueError, match=r"^softmax: axis .*\(2, 3, 4\)"):
        Softmax(axis=axis)(SEQUENCE)


@pytest.mark.parametrize("kind", ["sequential", "functional"])
def test_a_last_softmax_over_steps_has_the_mask_in_the_fused_loss(kind, backend):
    """A loss that takes logits sees those of the steps that count alone."""
    words, labels = np.asarray([[1, 2, 3, 0], [3, 1, 0, 0]]), np.asarray([1, 0])
    inner = [Embedding(4, 1, mask_zero=True), layers.Lambda(lambda x: (x[..., 0], lambda dy: dy[..., None]))]
    inner[1].compute_output_shape = lambda shape: shape[:2]
    model = nnx.Sequential([Input((4,), dtype="int64"), *inner, Softmax()])
    if kind == "functional":
        x = model.inputs[0]
        model = nnx.Model(x, model.layers[2](model.layers[1](model.layers[0](x))))
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    shares = model.predict(words, verbose=0)
    assert_close(shares.sum(axis=1), np.ones(2), rtol=1e-6)
    assert not shares[words == 0].any()
    expected = -np.log(shares[[0, 1], labels]).mean()
    assert_close(model.evaluate(words, labels, verbose=0)[0], expected, rtol=1e-5)
    assert_close(model.train_on_batch(words, labels)[0], expected, rtol=1e-5)


# Models as last layers


@pytest.mark.parametrize("kind", ["sequential", "functional"])
def test_a_last_model_gets_the_mask_for_its_logits(kind, backend):
    """In training, where a loss takes the logits, as in prediction."""
    x = np.where(MASK[..., None], SEQUENCE, 0.0)
    inner = nnx.Sequential([Input((3, 4)), LSTM(3), Dense(2, "softmax")])
    model = nnx.Sequential([Input((3, 4)), Masking(), inner])
    if kind == "functional":
        given = Input((3, 4))
        model = nnx.Model(given, inner(Masking()(given)))
    model.compile(nnx.optimizers.SGD(0.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
    labels = np.asarray([0, 1])
    expected = -np.log(model.predict(x, verbose=0)[[0, 1], labels]).mean()
    assert_close(model.evaluate(x, labels, verbose=0)[0], expected, rtol=1e-5)
    assert_close(model.train_on_batch(x, labels)[0], expected, rtol=1e-5)


def test_masks_inside_a_last_model_count_for_the_loss(backend):
    words, labels = np.asarray([[1, 2, 0], [3, 0, 0]]), np.asarray([[0, 1, 1], [1, 0, 0]])
    inner = nnx.Sequential([Input((3,), dtype="int64"), Embedding(4, 5, mask_zero=True), Dense(2, "softmax")])
    model = nnx.Sequential([Input((3,), dtype="int64"), inner])
    model.compile("sgd", "sparse_categorical_crossentropy")
    shares = model.predict(words, verbose=0)
    values = -np.log(np.take_along_axis(shares, labels[..., None], -1))[..., 0]
    assert_close(model.evaluate(words, labels, verbose=0), values[words != 0].mean(), rtol=1e-5)


# Sizes


@pytest.mark.parametrize(
    "make",
    [
        lambda: Dense(2),
        lambda: LSTM(2),
        lambda: GRU(2, return_sequences=True),
        lambda: BatchNormalization(),
        lambda: Softmax(axis=1),
        lambda: layers.Dropout(0.5),
        lambda: layers.Flatten(),
        lambda: layers.Bidirectional(LSTM(2)),
        lambda: TimeDistributed(Dense(2)),
        lambda: nnx.Sequential([LSTM(2)]),
    ],
)
@pytest.mark.parametrize("shape", [(2, 4), (3, 3), (2, 3, 5), (2, 3, 4, 1), (6,)])
def test_a_mask_of_other_sizes_is_refused(make, shape):
    layer = make()
    with pytest.raises(
        ValueError, match=rf"^{layer.name}: expected a mask \(batch, time.*\) = \(2,.*got shape \({shape[0]}"
    ):
        layer(SEQUENCE, mask=np.ones(shape, bool))


def test_a_symbolic_mask_of_other_sizes_is_refused():
    x, mask = Input((3, 4)), Input((5,))
    model = nnx.Model([x, mask], LSTM(2, name="lstm")(x, mask=mask))
    with pytest.raises(ValueError, match=r"lstm: expected a mask \(batch, time\) = \(2, 3\), got shape \(2, 5\)"):
        model.predict([SEQUENCE, np.ones((2, 5))], verbose=0)


def test_a_symbolic_mask_may_be_numbers(backend):
    x, mask = Input((3, 4)), Input((3,))
    layer = GlobalAveragePooling1D()
    model = nnx.Model([x, mask], layer(x, mask=mask))
    found = model.predict([SEQUENCE, MASK.astype("float32")], verbose=0)
    assert_close(found, [SEQUENCE[0, :2].mean(0), SEQUENCE[1, 1:].mean(0)], length=3)
    model = nnx.Model([x, mask], GlobalAveragePooling1D()(x, mask))  # by position
    assert_close(model.predict([SEQUENCE, MASK.astype("float32")], verbose=0), found, 0.0, 0.0)


def test_masks_of_attention_are_checked_one_by_one():
    layer = MultiHeadAttention(1, 2)
    with pytest.raises(ValueError, match=r"expected a mask \(batch, time\) = \(2, 5\), got shape \(2, 3\)"):
        layer(SEQUENCE, np.ones((2, 5, 4)), mask=[MASK, MASK])


@pytest.mark.parametrize("mask", [[[1, 0, 1]], [[1], [0]], [[1, 0, 1], [0, 0, 1]], [1, 0], [[[1], [1], [0]]] * 2])
def test_the_mask_of_batch_normalization_broadcasts(mask, backend):
    mask = np.asarray(mask, bool)
    whole = np.broadcast_to(mask[(..., *(None,) * (3 - mask.ndim))], SEQUENCE.shape)
    for shape in (mask.shape, SEQUENCE.shape[: mask.ndim]):
        layer = BatchNormalization(momentum=0.0)
        given = backend.asarray(np.broadcast_to(mask, shape).copy(), "bool")
        layer(backend.asarray(SEQUENCE), mask=given, training=True)
        kept = SEQUENCE[whole[..., 0]] if mask.ndim < 3 else SEQUENCE[whole].reshape(-1, 4)
        assert_close(layer.moving_mean.value, kept.mean(axis=0), length=6)
        assert_close(layer.moving_variance.value, kept.var(axis=0), length=6)


# Positions


@pytest.mark.parametrize(
    ("make", "count"), [(lambda: Dense(2), 2), (lambda: BatchNormalization(), 2), (lambda: Softmax(), 3)]
)
def test_more_inputs_than_a_layer_takes(make, count):
    layer = make()
    with pytest.raises(TypeError, match=rf"^{layer.name} takes x, got {count} inputs; .*by its name: training=.*mask="):
        layer(SEQUENCE, *[MASK] * (count - 1))


# Time distributed


def test_time_distributed_keeps_the_masks_of_what_it_distributes(backend):
    words = np.asarray([[[1, 2, 0], [0, 0, 0]], [[3, 0, 0], [2, 2, 2]]])
    model = nnx.Sequential(
        [Input((2, 3), dtype="int64"), TimeDistributed(Embedding(4, 3, mask_zero=True)), TimeDistributed(LSTM(2))]
    )
    embedding, lstm = model.layers
    inner = nnx.Sequential([Input((3,), dtype="int64"), embedding.layer, lstm.layer])
    assert_close(
        model.predict(words, verbose=0).reshape(4, 2), inner.predict(words.reshape(4, 3), verbose=0), length=30
    )
    model.compile("sgd", "mse")  # a step counts if a word in it does
    values = (model.predict(words, verbose=0) ** 2).mean(axis=-1)
    expected = values[(words != 0).any(axis=-1)].mean()
    assert_close(model.evaluate(words, np.zeros((2, 2, 2)), verbose=0), expected, rtol=1e-5)
