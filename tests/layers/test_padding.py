"""Padding, cropping and up-sampling as layers: arguments, shapes with unknown sizes, errors, masks."""

from __future__ import annotations

import json

import numpy as np
import pytest

import nnx
from nnx.layers import Cropping1D, Cropping2D, UpSampling1D, UpSampling2D, ZeroPadding1D, ZeroPadding2D
from nnx.testing import assert_close

FIRST = "channels_first"


@pytest.mark.parametrize(
    ("layer", "argument", "expected"),
    [
        (ZeroPadding1D(), "padding", (1, 1)),
        (ZeroPadding1D(2), "padding", (2, 2)),
        (ZeroPadding1D([0, 3]), "padding", (0, 3)),
        (ZeroPadding2D(), "padding", ((1, 1), (1, 1))),
        (ZeroPadding2D(2), "padding", ((2, 2), (2, 2))),
        (ZeroPadding2D((1, 2)), "padding", ((1, 1), (2, 2))),
        (ZeroPadding2D([[1, 2], (3, 4)]), "padding", ((1, 2), (3, 4))),
        (ZeroPadding2D((np.int64(1), np.array([3, 4]))), "padding", ((1, 1), (3, 4))),
        (Cropping1D(), "cropping", (1, 1)),
        (Cropping2D(), "cropping", ((0, 0), (0, 0))),
        (Cropping2D((1, 2)), "cropping", ((1, 1), (2, 2))),
        (UpSampling1D(), "size", 2),
        (UpSampling2D(), "size", (2, 2)),
        (UpSampling2D(3), "size", (3, 3)),
        (UpSampling2D(interpolation="Bilinear"), "interpolation", "bilinear"),
        (UpSampling2D(data_format="CHANNELS_FIRST"), "data_format", FIRST),
    ],
)
def test_arguments_as_they_are_kept(layer, argument, expected):
    assert getattr(layer, argument) == expected
    copy = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
    assert getattr(copy, argument) == expected


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ZeroPadding1D(-1), "zero_padding1d: padding must be a non-negative integer, or 2 of them, got -1"),
        (lambda: ZeroPadding1D((1, 2, 3)), r"a non-negative integer, or 2 of them, got \(1, 2, 3\)"),
        (lambda: ZeroPadding1D("1"), "a non-negative integer, or 2 of them, got '1'"),
        (lambda: ZeroPadding1D(1.0), "a non-negative integer, or 2 of them, got 1.0"),
        (lambda: ZeroPadding1D(True), "a non-negative integer, or 2 of them, got True"),
        (lambda: ZeroPadding2D((1,)), r"zero_padding2d: padding must be .*\(\(top, bottom\), \(left, right\)\), got"),
        (lambda: ZeroPadding2D((1, 2, 3)), r"or \(\(top, bottom\), \(left, right\)\), got \(1, 2, 3\)"),
        (lambda: ZeroPadding2D(((1, 2), (3, -4))), r"\(left, right\)\), got \(\(1, 2\), \(3, -4\)\)"),
        (lambda: ZeroPadding2D(((1, 2), "3")), "one for each of rows and columns"),
        (lambda: ZeroPadding2D("12"), r"\(left, right\)\), got '12'"),
        (lambda: ZeroPadding2D(1, "last"), "data_format must be one of 'channels_last', 'channels_first', got 'last'"),
        (lambda: Cropping1D((1,)), "cropping1d: cropping must be a non-negative integer, or 2 of them"),
        (lambda: Cropping2D(((1, 2), (3, 4, 5))), "cropping2d: cropping must be a non-negative integer, one for each"),
        (lambda: UpSampling1D(0), "up_sampling1d: size must be a positive integer, got 0"),
        (lambda: UpSampling1D((2, 2)), r"size must be a positive integer, got \(2, 2\)"),
        (lambda: UpSampling2D((2, 0)), r"up_sampling2d: size must be a positive integer, or 2 of them, got \(2, 0\)"),
        (
            lambda: UpSampling2D(interpolation="area"),
            "interpolation must be one of 'nearest', 'bilinear', 'bicubic', 'lanczos3', 'lanczos5', got 'area'",
        ),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("kind", [Cropping1D, UpSampling1D])
def test_sequences_that_have_no_data_format_in_keras(kind):
    with pytest.raises(TypeError, match=f"{kind.__name__} has no argument 'data_format'"):
        kind(data_format=FIRST)


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (ZeroPadding1D((1, 2)), (None, None, 3), (None, None, 3)),
        (ZeroPadding2D(((1, 2), (3, 4))), (None, 2, None, 4), (None, 5, None, 4)),
        (ZeroPadding2D(1, FIRST), (None, 4, None, 2), (None, 4, None, 4)),
        (Cropping1D(1), (None, None, None), (None, None, None)),
        (Cropping2D(((1, 2), (3, 4))), (None, 7, None, 5), (None, 4, None, 5)),
        (UpSampling1D(3), (2, None, 4), (2, None, 4)),
        (UpSampling2D((2, 3)), (None, None, 5, 1), (None, None, 15, 1)),
        (UpSampling2D((2, 3), FIRST), (None, 1, 4, None), (None, 1, 8, None)),
    ],
)
def test_shapes_with_unknown_sizes(layer, shape, expected):
    assert layer.compute_output_shape(shape) == expected


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (ZeroPadding1D(), (2, 3), r"zero_padding1d: expected an input of shape \(batch, steps, channels\), got \(\w+"),
        (ZeroPadding2D(1, FIRST), (2, 3, 4), r"zero_padding2d: .* \(batch, channels, rows, columns\), got \(\w+, 3, 4"),
        (Cropping1D((2, 3)), (2, 5, 7), r"cropping1d: nothing remains of an input of shape .*, 5, 7\) without \(2, 3"),
        (Cropping2D((0, 2)), (2, 5, 4, 3), "cropping2d: nothing remains of an input"),
        (Cropping2D((3, 0), FIRST), (2, 5, 4, 3), "cropping2d: nothing remains of an input"),
        (UpSampling2D(), (2, 0, 4, 3), r"up_sampling2d: there is nothing in samples of shape \(0, 4, 3\)"),
    ],
)
def test_wrong_inputs(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer(np.ones(shape))
    with pytest.raises(ValueError, match=message):  # when a model is put together
        nnx.Sequential([nnx.layers.Input(shape[1:]), type(layer).from_config(layer.get_config())])


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: ZeroPadding1D((2, 1)), [[0, 0, 1, 1, 0, 0], [0, 0, 0, 1, 1, 0]]),
        (lambda: ZeroPadding1D(0), [[1, 1, 0], [0, 1, 1]]),
        (lambda: Cropping1D((1, 0)), [[1, 0], [1, 1]]),
        (lambda: Cropping1D((0, 1)), [[1, 1], [0, 1]]),
        (lambda: UpSampling1D(2), [[1, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1]]),
    ],
)
def test_masks_follow_the_steps(make, expected, backend):
    """What is added is no step that counts."""
    mask = backend.asarray(np.asarray([[1, 1, 0], [0, 1, 1]]), "bool")
    layer, x = make(), backend.asarray(np.ones((2, 3, 4)))
    layer.build_on(backend, (None, 3, 4))
    y, made, _ = layer.run_masked([x], mask, training=False)
    assert nnx.to_numpy(made).astype(int).tolist() == expected
    assert y.shape[:2] == made.shape


@pytest.mark.parametrize("layer", [ZeroPadding2D(), Cropping2D(1), UpSampling2D()])
def test_images_lose_masks_with_a_warning(layer):
    with pytest.warns(UserWarning, match=rf"{layer.name} \({type(layer).__name__}\) gets a mask") as found:
        assert [layer.compute_mask(np.ones((2, 3, 3, 4)), np.ones((2, 3), bool)) for _ in range(2)] == [None, None]
    assert len(found) == 1


def test_images_of_any_size_go_through_one_model():
    model = nnx.Sequential([nnx.layers.Input((None, None, 2)), ZeroPadding2D(1), UpSampling2D(2), Cropping2D(2)])
    assert model.output_shape == (None, None, None, 2)
    for height, width in ((3, 4), (6, 1)):
        x = np.float32(np.random.default_rng(0).normal(size=(2, height, width, 2)))
        assert_close(model.predict(x, verbose=0), x.repeat(2, 1).repeat(2, 2), 0.0, 0.0)
