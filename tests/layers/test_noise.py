"""Layers of noise, masks, axes and penalties: when they act, streams, shapes, configurations and errors."""

from __future__ import annotations

import json

import numpy as np
import pytest

import nnx
from nnx.layers.activity_regularization import ActivityRegularization
from nnx.layers.dropout import AlphaDropout, GaussianDropout, SpatialDropout1D, SpatialDropout2D
from nnx.layers.masking import Masking
from nnx.layers.noise import GaussianNoise
from nnx.layers.reshaping import Permute, RepeatVector
from nnx.random import Generator
from nnx.testing import assert_close, no_synchronization
from nnx.testing.rows.layers.noise import LAYERS

CASES = [case for rows in LAYERS.values() for case in rows]
each = pytest.mark.parametrize("case", CASES, ids=str)
NOISE = [GaussianNoise, GaussianDropout, AlphaDropout, SpatialDropout1D, SpatialDropout2D]
each_noise = pytest.mark.parametrize("kind", NOISE)


def some(kind: type) -> np.ndarray:
    shape = {SpatialDropout1D: (6, 5, 8), SpatialDropout2D: (6, 3, 4, 8)}.get(kind, (6, 8))
    return np.float32(1.0 + Generator(0).normal(shape))


@each
def test_configuration_round_trip(case):
    layer = case.make()
    layer.build_on(nnx.get_backend(), (None, *case.input_shape[1:]))
    config = json.loads(json.dumps(layer.get_config()))
    copy = nnx.layers.registry.build({"class_name": type(layer).__name__, "config": config})
    assert json.loads(json.dumps(copy.get_config())) == config
    assert_close(copy(case.input(), training=True), layer(case.input(), training=True), 0.0, 0.0)


@each
def test_the_same_numbers_on_every_backend(backend, case):
    results = []
    for place in (backend, nnx.backends.Placement(nnx.backends.base.find_backend("numpy"), dtype="float64")):
        layer = case.make()
        layer.build_on(place, (None, *case.input_shape[1:]))
        x = place.asarray(np.float32(case.input()))
        with no_synchronization():
            y, pullback = layer.run(x, training=True)
            results.append((y, pullback(y)))
        assert y.shape == layer.compute_output_shape(case.input_shape)
    for mine, theirs in zip(*results, strict=True):
        assert_close(mine, theirs, length=30)


@each_noise
def test_acts_in_training_only(kind):
    layer, x = kind(0.5), some(kind)
    assert_close(layer(x), x, 0.0, 0.0)
    assert (layer(x, training=True) != x).any()


@each_noise
def test_each_call_draws_new_numbers_and_a_seed_repeats_them(kind):
    x = some(kind)
    layer = kind(0.5, seed=3)
    first, second = layer(x, training=True), layer(x, training=True)
    assert (first != second).any()
    assert_close(kind(0.5, seed=3)(x, training=True), first, 0.0, 0.0)
    assert (kind(0.5, seed=4)(x, training=True) != first).any()
    nnx.random.set_seed(5)
    one = kind(0.5)(x, training=True)
    nnx.random.set_seed(5)
    assert_close(kind(0.5)(x, training=True), one, 0.0, 0.0)


@each_noise
def test_nothing_happens_at_rate_zero(kind):
    layer, x = kind(0), some(kind)
    assert_close(layer(x, training=True), x, 0.0, 0.0)


@each_noise
def test_forward_in_training_needs_a_built_layer(kind):
    with pytest.raises(ValueError, match="draws random numbers only after it is built"):
        kind(0.5).forward(some(kind), training=True)


@pytest.mark.parametrize(
    ("data_format", "axes"), [("channels_last", (1, 2)), ("channels_first", (2, 3)), (None, (1, 2))]
)
def test_spatial_dropout_drops_whole_maps(data_format, axes):
    y = SpatialDropout2D(0.4, data_format, seed=1)(np.ones((20, 5, 6, 7)), training=True)
    assert set(np.unique(y)) == {np.float32(0.0), np.float32(1.0 / 0.6)}
    assert (y.min(axis=axes) == y.max(axis=axes)).all()
    kept = y.max(axis=axes) > 0.0
    assert 0.3 < kept.mean() < 0.9
    assert kept.any(axis=0).all()  # features are dropped sample by sample


def test_spatial_dropout_of_sequences():
    y = SpatialDropout1D(0.4, seed=1)(np.ones((20, 5, 7)), training=True)
    assert (y.min(axis=1) == y.max(axis=1)).all()
    assert 0.4 < (y > 0.0).mean() < 0.8
    assert SpatialDropout1D(1.0)(np.ones((2, 3, 4)), training=True).max() == 0.0


def test_alpha_dropout_of_features():
    y = AlphaDropout(0.5, noise_shape=(None, 1, None), seed=1)(np.ones((20, 5, 7)), training=True)
    assert (y.min(axis=1) == y.max(axis=1)).all()
    assert len(np.unique(y)) == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianNoise(-0.1), "gaussian_noise: stddev must be a number, not negative, got -0.1"),
        (lambda: GaussianNoise("much"), "stddev must be a number, not negative, got 'much'"),
        (lambda: GaussianDropout(1.0), "gaussian_dropout: rate must be a number from 0 to 1, got 1.0"),
        (lambda: AlphaDropout(1), "alpha_dropout: rate must be a number from 0 to 1, got 1"),
        (lambda: AlphaDropout(-0.5), "rate must be a number"),
        (lambda: SpatialDropout1D(1.5), "rate must be a number from 0 to 1, got 1.5"),
        (lambda: SpatialDropout2D(0.5, "channels"), "must be 'channels_last' or 'channels_first', got 'channels'"),
        (
            lambda: Permute((0, 1)),
            r"permute: dims must be the numbers from 1 on, each once, in any order, got \(0, 1\)",
        ),
        (lambda: Permute((1, 3)), "dims must be the numbers from 1 on"),
        (lambda: RepeatVector(0), "repeat_vector: n must be a positive integer, got 0"),
        (lambda: RepeatVector(2.0), "n must be a positive integer, got 2.0"),
        (lambda: Masking("none"), "masking: mask_value must be a number, got 'none'"),
        (lambda: ActivityRegularization(l1=-1.0), "l1 must be a finite number >= 0, got -1.0"),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (SpatialDropout1D(0.5), (2, 3), r"spatial_dropout1d: expected an input of 3 axes, got shape \(2, 3\)"),
        (SpatialDropout2D(0.5), (2, 3, 4), "expected an input of 4 axes"),
        (Permute((2, 1)), (2, 3), r"permute: expected an input of 3 axes, got shape \(2, 3\)"),
        (RepeatVector(2), (2, 3, 4), r"expected an input of shape \(batch, features\), got \(2, 3, 4\)"),
    ],
)
def test_wrong_input_shapes(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer(np.ones(shape))


def test_noise_shape_that_does_not_fit():
    with pytest.raises(ValueError, match=r"alpha_dropout: noise_shape \(None, 1\) does not fit an input \(2, 3, 4\)"):
        AlphaDropout(0.5, noise_shape=(None, 1))(np.ones((2, 3, 4)), training=True)


def test_masking(backend):
    layer = Masking(-1.0)
    layer.build_on(backend, (None, 3, 2))
    x = backend.asarray(np.array([[[1.0, -1.0], [-1.0, -1.0], [0.0, 0.0]]]))
    with no_synchronization():
        y, mask = layer.run(x)[0], layer.compute_mask(x, None)
    assert nnx.to_numpy(y).tolist() == [[[1.0, -1.0], [0.0, 0.0], [0.0, 0.0]]]
    assert nnx.to_numpy(mask).tolist() == [[True, False, True]]
    assert Masking.makes_mask


@pytest.mark.parametrize("layer", [Permute((2, 1)), RepeatVector(2)])
def test_masks_end_where_time_does(layer):
    with pytest.warns(UserWarning, match=f"{layer.name} .* gets a mask, and its output has none"):
        assert layer.compute_mask(np.ones((2, 3, 4)), np.ones((2, 3), bool)) is None


def test_activity_regularization_adds_to_the_loss():
    x, y = np.float32([[1.0, -2.0], [3.0, 4.0]]), np.zeros((2, 1), np.float32)
    model = nnx.Sequential(
        [ActivityRegularization(l1=0.1, l2=0.01, input_shape=(2,)), nnx.layers.Dense(1, kernel_initializer="zeros")]
    )
    model.compile("sgd", loss="mse")
    assert model.evaluate(x, y, verbose=0) == pytest.approx((0.1 * 10.0 + 0.01 * 30.0) / 2)
    assert ActivityRegularization(l2=0.3).get_config() == {
        "l1": 0.0,
        "l2": 0.3,
        "name": "activity_regularization",
        "trainable": True,
        "dtype": None,
    }
