"""The embedding layer: arguments old and new, masks, indices that are not in the vocabulary, and training."""

from __future__ import annotations

import json

import numpy as np
import pytest

import nnx
from nnx.layers.embedding import Embedding
from nnx.parameters import FlatParameters
from nnx.testing import assert_close, no_synchronization
from nnx.testing.rows.layers.embedding import LAYERS

TABLE = np.arange(12.0).reshape(4, 3)
each = pytest.mark.parametrize("case", [case for rows in LAYERS.values() for case in rows], ids=str)


@each
def test_shapes_gradients_and_configuration(backend, case):
    layer = case.make()
    layer.build_on(backend, (None, *case.input_shape[1:]))
    flat = FlatParameters(layer.trainable_weights, backend)
    x = case.input()
    layer.check_indices(x)
    placed = backend.asarray(x)
    with no_synchronization():
        y, pullback = layer.run(placed, training=True)
        flat.start_pass()
        assert pullback(y) is None
        flat.finish_pass()
    assert y.shape == layer.compute_output_shape(case.input_shape)
    assert_close(y, nnx.to_numpy(layer.embeddings.value)[x], 0.0, 0.0, like=layer.embeddings.value)
    expected = np.zeros(layer.embeddings.shape)
    np.add.at(expected, x.reshape(-1), nnx.to_numpy(y).reshape(-1, layer.output_dim).astype(np.float64))
    assert_close(layer.embeddings.grad, expected, length=10)
    config = json.loads(json.dumps(layer.get_config()))
    copy = nnx.layers.registry.build({"class_name": type(layer).__name__, "config": config})
    assert json.loads(json.dumps(copy.get_config())) == config


@pytest.mark.parametrize(
    "weights", [TABLE, [TABLE], TABLE.tolist(), (TABLE,)], ids=["array", "list", "numbers", "tuple"]
)
def test_weights_to_start_with(weights):
    layer = Embedding(4, 3, weights=weights, trainable=False)
    assert_close(layer([[1, 3]]), TABLE[[[1, 3]]], 0.0, 0.0)
    assert layer.trainable_weights == []
    assert "weights" not in layer.get_config()


def test_weights_for_one_word():
    assert_close(Embedding(1, 2, weights=[[1.0, 2.0]])([[0]]), [[[1.0, 2.0]]])
    assert_close(Embedding(1, 2, weights=[np.array([[1.0, 2.0]])])([[0]]), [[[1.0, 2.0]]])


def test_weights_of_the_wrong_shape():
    with pytest.raises(ValueError, match=r"embedding: weights must be a table of shape \(4, 5\), got \(4, 3\)"):
        Embedding(4, 5, weights=TABLE)


def test_initial_weights_are_uniform():
    layer = Embedding(100, 20)
    layer.build(None)
    values = layer.get_weights()[0]
    assert -0.05 <= values.min() < -0.049 < 0.049 < values.max() <= 0.05


def test_input_length_of_old_scripts_is_the_shape_of_the_first_layer():
    model = nnx.Sequential([Embedding(10, 3, input_length=4), nnx.layers.Flatten(), nnx.layers.Dense(2)])
    assert model.built
    assert model.output_shape == (None, 2)
    assert model.layers[1].build_shape == (None, 4, 3)
    assert Embedding(10, 3, input_length=4, input_shape=(5,)).batch_input_shape == (None, 5)


def test_indices_of_other_dtypes(backend):
    layer = Embedding(4, 3, weights=TABLE)
    layer.build_on(backend, (None, 2))
    for dtype in ("uint8", "int32", "int64", "float32"):
        assert_close(layer(backend.asarray(np.array([[1, 3]]), dtype)), TABLE[[[1, 3]]], 0.0, 0.0)


def test_mask(backend):
    layer = Embedding(4, 3, mask_zero=True)
    layer.build_on(backend, (None, 3))
    x = backend.asarray(np.array([[1, 0, 2], [0, 0, 3]]))
    mask = layer.compute_mask(x, None)
    assert nnx.to_numpy(mask).tolist() == [[True, False, True], [False, False, True]]
    assert layer.makes_mask
    assert Embedding(4, 3).compute_mask(x, None) is None
    given = backend.asarray(np.array([[True, True, False]] * 2), "bool")
    assert Embedding(4, 3).compute_mask(x, given) is given
    assert nnx.to_numpy(layer.compute_mask(x, given)).tolist() == [[True, False, False], [False, False, False]]
    assert not Embedding(4, 3).makes_mask


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        (
            [[0, 3], [4, 1]],
            r"embedding: indices must be integers from 0 to 3, got 4 at \(1, 0\); input_dim is the largest",
        ),
        ([[0, -1]], r"got -1 at \(0, 1\)"),
        ([[0.5]], r"got 0.5 at \(0, 0\)"),
        ([[np.nan]], r"got nan at \(0, 0\)"),
        ([["word"]], "expected integers as indices, got data of dtype <U4"),
        ([[True]], "expected integers as indices, got data of dtype bool"),
    ],
)
def test_indices_that_cannot_be(indices, message):
    with pytest.raises(ValueError, match=message):
        Embedding(4, 3).check_indices(indices)


@pytest.mark.parametrize("indices", [[[0, 3]], [[1.0, 2.0]], np.zeros((0, 3)), np.uint8([[3]])])
def test_indices_that_can_be(indices):
    Embedding(4, 3).check_indices(indices)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 3), "embedding: input_dim must be a positive integer, got 0"),
        ((4, -1), "output_dim must be a positive integer, got -1"),
        ((4, 2.5), "output_dim must be a positive integer, got 2.5"),
        ((True, 3), "input_dim must be a positive integer, got True"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        Embedding(*arguments)


def test_numpy_integers_as_sizes():
    assert json.dumps(Embedding(np.int64(4), np.int32(3)).get_config())


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32"])
def test_data_on_a_device_with_an_index_out_of_range(backend, dtype):
    layer = Embedding(5, 2, embeddings_initializer="ones")
    indices = [[0, 5, 6], [-1, 4, 1]]
    if backend.name == "numpy":  # the host can look at them
        with pytest.raises(ValueError, match="indices must be from 0 to 4"):
            layer(np.array(indices, dtype))
        return
    values = nnx.to_numpy(layer(backend.asarray(np.array(indices), dtype)))
    assert np.isnan(values).any(axis=2).tolist() == [[False, True, True], [True, False, False]]
    assert (values[~np.isnan(values)] == 1.0).all()
    if dtype == "float32":
        halves = nnx.to_numpy(layer(backend.asarray(np.array([[0.5, 1.0, np.nan]]), dtype)))
        assert np.isnan(halves).all(axis=2).tolist() == [[True, False, True]]


def test_a_table_needs_no_input_shape() -> None:
    layer = Embedding(3, 2)
    layer.build()
    assert layer.count_params() == 6
    assert layer(np.asarray([[0, 2]])).shape == (1, 2, 2)


def test_an_embedding_in_both_directions(backend):
    for tie in (True, False):
        words = nnx.layers.ReversibleEmbedding(5, 3, tie_weights=tie, mask_zero=True, logit_soft_cap=4.0)
        x = nnx.Input((4,), dtype="int32")
        model = nnx.Model(x, words(nnx.layers.Dense(3)(words(x)), reverse=True))
        assert model.output_shape == (None, 4, 5)
        model.compile("sgd", nnx.losses.SparseCategoricalCrossentropy(from_logits=True))
        numbers = np.asarray([[1, 2, 3, 0], [4, 4, 0, 0]])
        weights = model.get_weights()
        history = model.fit(numbers, numbers, epochs=3, verbose=0).history["loss"]
        assert history[0] > history[-1]
        copy = nnx.models.clone_model(model)
        copy.set_weights(model.get_weights())
        assert_close(copy.predict(numbers, verbose=0), model.predict(numbers, verbose=0))
        assert len(weights) == (3 if tie else 4)
        assert float(nnx.ops.max(nnx.ops.abs(model.get_weights()[1] - weights[1]))) > 0.0  # the dense layer learns too
        backwards, vectors = nnx.Input((4, 3)), np.full((2, 4, 3), 0.5)
        alone = nnx.Model(backwards, words(backwards, reverse=True))
        assert_close(alone.predict(vectors, verbose=0), words(vectors.tolist(), reverse=True))
    with pytest.raises(ValueError, match=r"reverse=True expects vectors of 3 numbers, got shape \(1, 2\)"):
        words([[1.0, 2.0]], reverse=True)
