"""Pooling layers: arguments, shapes with unknown sizes, errors, masks."""

from __future__ import annotations

import json

import numpy as np
import pytest

import nnx
from nnx.layers import (
    AveragePooling1D,
    AveragePooling2D,
    Conv1D,
    Conv2D,
    DepthwiseConv1D,
    Embedding,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    MaxPooling1D,
    MaxPooling2D,
    SeparableConv1D,
)
from nnx.testing import assert_close, no_synchronization

FIRST = "channels_first"


@pytest.mark.parametrize(
    ("layer", "argument", "expected"),
    [
        (MaxPooling1D(), "pool_size", (2,)),
        (MaxPooling1D([3]), "pool_size", (3,)),
        (MaxPooling1D(3), "strides", (3,)),
        (AveragePooling1D(3, 1), "strides", (1,)),
        (MaxPooling2D(), "pool_size", (2, 2)),
        (MaxPooling2D((3, 2)), "strides", (3, 2)),
        (AveragePooling2D(3, strides=(2, 1)), "strides", (2, 1)),
        (AveragePooling2D(np.int64(3)), "pool_size", (3, 3)),
        (MaxPooling2D(padding="SAME"), "padding", "same"),
        (MaxPooling2D(data_format="Channels_First"), "data_format", FIRST),
        (GlobalMaxPooling2D(), "data_format", "channels_last"),
        (GlobalAveragePooling1D(), "keepdims", False),
    ],
)
def test_arguments_as_they_are_kept(layer, argument, expected):
    assert getattr(layer, argument) == expected
    copy = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
    assert getattr(copy, argument) == expected


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaxPooling1D(0), "max_pooling1d: pool_size must be a positive integer, got 0"),
        (lambda: MaxPooling2D((2, 2, 2)), r"max_pooling2d: pool_size must be a positive integer, or 2 of them, got"),
        (lambda: MaxPooling2D(2.0), "pool_size must be a positive integer, or 2 of them, got 2.0"),
        (lambda: AveragePooling2D(2, strides=0), "average_pooling2d: strides must be a positive integer"),
        (lambda: MaxPooling1D(padding="causal"), "padding must be one of 'valid', 'same', got 'causal'"),
        (lambda: MaxPooling2D(data_format="last"), "data_format must be one of 'channels_last', 'channels_first'"),
        (lambda: GlobalMaxPooling1D("last"), "global_max_pooling1d: data_format must be one of"),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (MaxPooling1D(2), (None, None, 3), (None, None, 3)),
        (MaxPooling2D(2), (None, None, 9, 3), (None, None, 4, 3)),
        (MaxPooling2D(3, 2, "same", FIRST), (None, None, 9, None), (None, None, 5, None)),
        (AveragePooling2D((3, 2)), (2, 10, None, None), (2, 3, None, None)),
        (GlobalMaxPooling2D(), (None, None, None, 3), (None, 3)),
        (GlobalAveragePooling2D(FIRST, keepdims=True), (None, 3, None, None), (None, 3, 1, 1)),
        (GlobalAveragePooling1D(keepdims=True), (None, None, 3), (None, 1, 3)),
    ],
)
def test_shapes_with_unknown_sizes(layer, shape, expected):
    assert layer.compute_output_shape(shape) == expected


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            MaxPooling2D(5, name="last_pool"),
            (2, 4, 6, 3),
            "last_pool: a window of 5 x 5 does not fit into an",
        ),
        (MaxPooling1D(5, data_format=FIRST), (2, 7, 4), "max_pooling1d: a window of 5 does not fit into an input of 4"),
        (AveragePooling2D((2, 7)), (2, 4, 6, 3), r"use larger inputs, a smaller window or padding='same'"),
        (AveragePooling1D(), (2, 4), r"average_pooling1d: expected an input of shape \(batch, steps, channels\), got"),
        (MaxPooling2D(), (2, 4, 3), r"max_pooling2d: .* \(batch, rows, columns, channels\), got"),
        (GlobalAveragePooling2D(), (2, 4), "global_average_pooling2d: expected an input of shape"),
        (GlobalMaxPooling1D(), (2, 0, 4), r"global_max_pooling1d: there is nothing in samples of shape \(0, 4\)"),
        (MaxPooling2D(padding="same"), (2, 3, 0, 4), "max_pooling2d: there is nothing in samples"),
    ],
)
def test_wrong_inputs(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer(np.ones(shape))
    with pytest.raises(ValueError, match=message):  # when a model is put together
        nnx.Sequential([nnx.layers.Input(shape[1:]), type(layer).from_config(layer.get_config())])


def test_a_model_says_which_layer_shrinks_images_too_far():
    pools = [MaxPooling2D(2) for _ in range(4)]
    with pytest.raises(ValueError, match="max_pooling2d_3: a window of 2 x 2 does not fit into an input of 1 x 1"):
        nnx.Sequential([nnx.layers.Input((8, 8, 1)), *pools])


class TestMasks:
    MASK = np.array([[True, True, False], [False, True, False]])

    def test_mean_of_the_steps_that_count(self, backend):
        layer = GlobalAveragePooling1D()
        x = np.float32(np.random.default_rng(0).normal(size=(2, 3, 4)))
        layer.build_on(backend, (None, 3, 4))
        with no_synchronization():
            y, mask, _ = layer.run_masked([backend.asarray(x)], backend.asarray(self.MASK, "bool"), training=True)
        assert mask is None
        assert_close(y, [x[0, :2].mean(0), x[1, 1]], length=3)

    @pytest.mark.parametrize("mask", [MASK, MASK.astype(int), MASK.tolist()])
    def test_given_when_called(self, mask):
        x = np.float32(np.random.default_rng(0).normal(size=(2, 3, 4)))
        assert_close(GlobalAveragePooling1D()(x, mask=mask), [x[0, :2].mean(0), x[1, 1]], length=3)

    def test_of_wrong_shape(self):
        with pytest.raises(ValueError, match=r"expected a mask \(batch, steps\) = \(2, 3\), got shape \(2, 4\)"):
            GlobalAveragePooling1D()(np.ones((2, 3, 4)), mask=np.ones((2, 4), bool))

    def test_from_an_embedding(self):
        model = nnx.Sequential([Embedding(5, 3, mask_zero=True), GlobalAveragePooling1D()])
        words = np.array([[1, 2, 0, 0], [3, 0, 0, 0]])
        model.build((None, 4))
        table = model.layers[0].embeddings.numpy()
        assert_close(model.predict(words, verbose=0), [table[1:3].mean(0), table[3]], length=3)

    def test_given_by_position(self, backend):
        """As in Keras, whose layer is called on (x, mask)."""
        x = np.float32(np.random.default_rng(0).normal(size=(2, 3, 4)))
        placed, mask = backend.asarray(x), backend.asarray(self.MASK, "bool")
        assert_close(GlobalAveragePooling1D()(placed, mask), [x[0, :2].mean(0), x[1, 1]], length=3)

    def test_of_channels_first(self):
        x = np.float32(np.random.default_rng(0).normal(size=(2, 4, 3)))
        layer = GlobalAveragePooling1D(data_format="channels_first")
        assert_close(layer(x, mask=self.MASK), [x[0, :, :2].mean(1), x[1, :, 1]], length=3)

    @pytest.mark.parametrize(
        ("make", "expected"),
        [
            (lambda: MaxPooling1D(2), [[1, 1], [0, 1]]),
            (lambda: AveragePooling1D(2, padding="same"), [[1, 1, 0], [0, 1, 0]]),
            (lambda: MaxPooling1D(3, strides=1), [[1, 1, 1], [1, 1, 1]]),
            (lambda: MaxPooling1D(3, strides=1, padding="same"), [[1, 1, 1, 0, 0], [0, 0, 1, 0, 0]]),
            (lambda: MaxPooling1D(1), [[1, 1, 1, 0, 0], [0, 0, 1, 0, 0]]),
            (lambda: Conv1D(2, 2), [[1, 1, 1, 0], [0, 1, 1, 0]]),
            (lambda: Conv1D(2, 2, strides=2, padding="same"), [[1, 1, 0], [0, 1, 0]]),
            (lambda: Conv1D(2, 2, strides=2, padding="causal"), [[1, 1, 0], [0, 1, 0]]),
            (lambda: Conv1D(2, 2, dilation_rate=2), [[1, 1, 1], [1, 0, 1]]),
            (lambda: Conv1D(2, 3, padding="same"), [[1, 1, 1, 0, 0], [0, 0, 1, 0, 0]]),
            (lambda: Conv1D(2, 3, padding="causal"), [[1, 1, 1, 0, 0], [0, 0, 1, 0, 0]]),
            (lambda: SeparableConv1D(2, 2), [[1, 1, 1, 0], [0, 1, 1, 0]]),
            (lambda: DepthwiseConv1D(3, padding="same"), [[1, 1, 1, 0, 0], [0, 0, 1, 0, 0]]),
        ],
    )
    def test_of_windows(self, make, expected, backend):
        """A window counts if one of its steps does; with as many windows as steps, each step keeps its own."""
        mask = backend.asarray(np.asarray([[1, 1, 1, 0, 0], [0, 0, 1, 0, 0]]), "bool")
        layer = make()
        layer.build_on(backend, (None, 5, 4))
        y, made, _ = layer.run_masked([backend.asarray(np.ones((2, 5, 4)))], mask, training=False)
        assert nnx.to_numpy(made).astype(int).tolist() == expected
        assert y.shape[:2] == made.shape

    @pytest.mark.parametrize(
        "layer", [GlobalMaxPooling1D(), GlobalMaxPooling2D(), GlobalAveragePooling2D(), MaxPooling2D(), Conv2D(1, 2)]
    )
    def test_end_with_a_warning(self, layer):
        """Which names the layer, once."""
        x = np.ones((2, 3, 4) if layer.spatial_ndim == 1 else (2, 3, 3, 4))
        with pytest.warns(UserWarning, match=rf"{layer.name} \({type(layer).__name__}\) gets a mask, and") as found:
            assert [layer.compute_mask(x, self.MASK) for _ in range(2)] == [None, None]
        assert len(found) == 1
        assert found[0].filename == __file__


def test_images_of_any_size_go_through_one_model():
    model = nnx.Sequential([nnx.layers.Input((None, None, 2)), MaxPooling2D(2), GlobalAveragePooling2D()])
    assert model.output_shape == (None, 2)
    for height, width in ((4, 6), (2, 8)):
        x = np.float32(np.random.default_rng(0).normal(size=(3, height, width, 2)))
        tiles = x.reshape(3, height // 2, 2, width // 2, 2, 2).max(axis=(2, 4))
        assert_close(model.predict(x, verbose=0), tiles.mean(axis=(1, 2)), length=8)
