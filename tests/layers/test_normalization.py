"""Layers that normalise: their weights, moving averages, configurations and errors."""

from __future__ import annotations

import json

import numpy as np
import pytest

import nnx
from nnx.layers.batch_normalization import BatchNormalization
from nnx.layers.normalization import GroupNormalization, LayerNormalization, RMSNormalization, UnitNormalization
from nnx.random import Generator
from nnx.testing import assert_close, no_synchronization
from nnx.testing.rows.layers.normalization import LAYERS

CASES = [case for rows in LAYERS.values() for case in rows]
each = pytest.mark.parametrize("case", CASES, ids=str)


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return Generator(seed).normal(shape)


@each
def test_configuration_round_trip(case):
    layer = case.make()
    layer.build_on(nnx.get_backend(), (None, *case.input_shape[1:]))
    config = json.loads(json.dumps(layer.get_config()))
    copy = nnx.layers.registry.build({"class_name": type(layer).__name__, "config": config})
    assert json.loads(json.dumps(copy.get_config())) == config
    copy.build_on(nnx.get_backend(), (None, *case.input_shape[1:]))
    copy.set_weights([w + 0.1 for w in layer.get_weights()])
    layer.set_weights(copy.get_weights())
    assert_close(copy(case.input()), layer(case.input()), 0.0, 0.0)


@each
def test_runs_in_training_on_every_backend_without_waiting(backend, case):
    layer = case.make()
    layer.build_on(backend, (None, *case.input_shape[1:]))
    x = backend.asarray(case.input())
    with no_synchronization():
        y, pullback = layer.run(x, training=True)
        dx = pullback(y)
    assert y.shape == layer.compute_output_shape(case.input_shape)
    assert dx.shape == x.shape
    assert_close(y, nnx.to_numpy(y), like=x)
    assert_close(dx, nnx.to_numpy(dx), like=x)


class TestBatchNormalization:
    def test_weights(self):
        layer = BatchNormalization()
        layer.build_on(nnx.get_backend(), (None, 7, 3))
        assert [p.name for p in layer.weights] == ["gamma", "beta", "moving_mean", "moving_variance"]
        assert [p.shape for p in layer.weights] == [(3,)] * 4
        assert [w.tolist() for w in layer.get_weights()] == [[1.0] * 3, [0.0] * 3, [0.0] * 3, [1.0] * 3]
        assert [p.name for p in layer.trainable_weights] == ["gamma", "beta"]
        assert [p.name for p in layer.non_trainable_weights] == ["moving_mean", "moving_variance"]

    def test_weights_without_scale_and_center(self):
        layer = BatchNormalization(scale=False, center=False)
        layer.build_on(nnx.get_backend(), (None, 3))
        assert [p.name for p in layer.weights] == ["moving_mean", "moving_variance"]

    def test_moving_averages(self, backend):
        layer = BatchNormalization(momentum=0.8)
        layer.build_on(backend, (None, 5, 3))
        mean, variance = np.zeros(3), np.ones(3)
        for step in range(3):
            x = 3.0 + 2.0 * numbers(4, 5, 3, seed=step)
            layer(backend.asarray(x), training=True)
            mean = 0.8 * mean + 0.2 * x.mean((0, 1))
            variance = 0.8 * variance + 0.2 * x.var((0, 1))  # the biased one, as Keras
        assert_close(layer.moving_mean.value, mean, rtol=1e-5, like=layer.gamma.value)
        assert_close(layer.moving_variance.value, variance, rtol=1e-5, like=layer.gamma.value)

    def test_inference_uses_them_and_leaves_them(self, backend):
        layer = BatchNormalization(epsilon=0.1)
        layer.build_on(backend, (None, 3))
        weights = [numbers(3, seed=1), numbers(3, seed=2), numbers(3, seed=3), np.abs(numbers(3, seed=4))]
        layer.set_weights(weights)
        x = numbers(6, 3)
        gamma, beta, mean, variance = weights
        assert_close(layer(backend.asarray(x)), gamma * (x - mean) / np.sqrt(variance + 0.1) + beta, length=20)
        for found, expected in zip(layer.get_weights(), weights, strict=True):
            assert_close(found, expected.astype(np.float32), 0.0, 0.0)

    def test_frozen_layers_are_in_inference_mode(self):
        layer = BatchNormalization(trainable=False)
        x = numbers(6, 3)
        assert_close(layer(x, training=True), np.float32(x) / np.sqrt(1.001), length=4)
        assert_close(layer.moving_mean.value, np.zeros(3), 0.0, 0.0)
        layer.trainable = True
        assert abs(layer(x, training=True).mean()) < 1e-6
        assert layer.moving_mean.value.any()

    def test_masked_steps_do_not_count(self, backend):
        layer = BatchNormalization(momentum=0.0)
        layer.build_on(backend, (None, 4, 3))
        x, mask = numbers(2, 4, 3), np.array([[True, True, False, False], [True, True, True, False]])
        kept = x[mask]
        placed = backend.asarray(mask, "bool")
        with no_synchronization():
            y, _ = layer.run(backend.asarray(x), training=True, mask=placed)
        assert_close(y, (x - kept.mean(0)) / np.sqrt(kept.var(0) + 1e-3), length=30)
        assert_close(layer.moving_mean.value, kept.mean(0), rtol=1e-5, atol=1e-6)
        assert BatchNormalization.uses_mask

    def test_float16(self):
        layer = BatchNormalization(dtype="float16", momentum=0.5)
        y = layer(np.float16(10.0 * numbers(50, 2)), training=True)
        assert y.dtype == np.float16
        assert layer.moving_mean.dtype == layer.moving_variance.dtype == "float32"  # small changes would vanish
        assert_close(layer.moving_variance.value, 0.5 + 50.0 * numbers(50, 2).var(0), rtol=5e-3)

    def test_training_in_a_model(self):
        """Far from zero and of different sizes: hardly learnable without it; and evaluation agrees with training."""
        x = np.float32(numbers(256, 2) * [1e-2, 1e2] + [5.0, -300.0])
        y = np.float32((x[:, :1] - 5.0) * 1e2 * ((x[:, 1:] + 300.0) * 1e-2) > 0.0)
        nnx.random.set_seed(1)
        model = nnx.Sequential(
            [
                BatchNormalization(momentum=0.9, input_shape=(2,)),
                nnx.layers.Dense(16, "tanh"),
                BatchNormalization(momentum=0.9),
                nnx.layers.Dense(1, "sigmoid"),
            ]
        )
        assert model.count_params() == 8 + 48 + 64 + 17
        assert len(model.trainable_weights) == 8
        model.compile(nnx.optimizers.Adam(0.02), loss="binary_crossentropy", metrics=["accuracy"])
        history = model.fit(x, y, batch_size=64, epochs=60, verbose=0)
        assert history.history["accuracy"][-1] > 0.9
        assert model.evaluate(x, y, verbose=0)[1] > 0.9

    def test_old_axis(self):
        assert BatchNormalization(axis=[3]).axis == 3

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"axis": (1, 2)}, ValueError, "axis must be one axis, that of the features, got"),
            ({"axis": 1.5}, TypeError, "axis must be an integer or a list of integers, got 1.5"),
            ({"momentum": 2.0}, ValueError, "momentum must be a number from 0 to 1, got 2.0"),
            ({"epsilon": -1.0}, ValueError, "epsilon must be a number, not negative, got -1.0"),
            ({"momentun": 0.9}, TypeError, "BatchNormalization has no argument 'momentun'; did you mean 'momentum'"),
        ],
    )
    def test_wrong_arguments(self, arguments, error, message):
        with pytest.raises(error, match=message):
            BatchNormalization(**arguments)

    @pytest.mark.parametrize(("axis", "shape"), [(-1, (None, 4, None)), (2, (None, 4)), (0, (None, 3)), (-3, (4, 5))])
    def test_input_without_that_axis(self, axis, shape):
        with pytest.raises(ValueError, match="batch_normalization: expected an input of known sizes along axis"):
            BatchNormalization(axis=axis).build_on(nnx.get_backend(), shape)

    @pytest.mark.parametrize("shape", [(4, 5), (4, 3, 3)])
    def test_input_of_another_shape(self, shape):
        layer = BatchNormalization()
        layer.build_on(nnx.get_backend(), (None, 3))
        with pytest.raises(ValueError, match=r"batch_normalization: expected an input of shape \(None, 3\), got"):
            layer(np.ones(shape))


class TestOthers:
    def test_weights(self):
        def weights_of(layer, *shape):
            layer.build_on(nnx.get_backend(), (None, *shape))
            return {p.name: p.shape for p in layer.weights}

        assert weights_of(LayerNormalization(), 4, 5) == {"gamma": (5,), "beta": (5,)}
        assert weights_of(LayerNormalization(axis=(3, 1)), 4, 5, 6) == {"gamma": (4, 6), "beta": (4, 6)}
        assert weights_of(LayerNormalization(rms_scaling=True, scale=False), 5) == {"gamma": (5,)}
        assert weights_of(GroupNormalization(groups=2, axis=1), 4, 5) == {"gamma": (4,), "beta": (4,)}
        assert weights_of(RMSNormalization(), 4, 5) == {"scale": (5,)}
        assert weights_of(UnitNormalization(), 4, 5) == {}

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: GroupNormalization(groups=0), "groups must be a positive integer, or -1 for groups of one, got 0"),
            (lambda: GroupNormalization(groups=-2), "groups must be a positive integer"),
            (lambda: GroupNormalization(groups=2.0), "groups must be a positive integer"),
            (lambda: GroupNormalization(axis=0), "axis must be one axis behind the batch axis, got 0"),
            (lambda: GroupNormalization(axis=[1, 2]), "axis must be one axis behind the batch axis"),
            (lambda: LayerNormalization(epsilon="small"), "epsilon must be a number, not negative, got 'small'"),
            (lambda: RMSNormalization(epsilon=-1e-3), "epsilon must be a number, not negative"),
        ],
    )
    def test_wrong_arguments(self, make, message):
        with pytest.raises(ValueError, match=message):
            make()

    @pytest.mark.parametrize("kind", [LayerNormalization, RMSNormalization, UnitNormalization, GroupNormalization])
    @pytest.mark.parametrize("axis", ["last", [], [1.0], True])
    def test_wrong_axis(self, kind, axis):
        with pytest.raises(TypeError, match="axis must be an integer or a list of integers, got"):
            kind(axis=axis)

    @pytest.mark.parametrize("groups", [4, 12])
    def test_groups_that_do_not_divide_the_features(self, groups):
        with pytest.raises(ValueError, match=f"6 features, axis -1 of shape .* cannot be divided into {groups} groups"):
            GroupNormalization(groups).build_on(nnx.get_backend(), (None, 3, 6))

    @pytest.mark.parametrize("kind", [LayerNormalization, RMSNormalization])
    def test_unknown_size(self, kind):
        with pytest.raises(ValueError, match="expected an input of known sizes along axis"):
            kind(axis=[1, 2]).build_on(nnx.get_backend(), (None, None, 6))

    @pytest.mark.parametrize("make", [LayerNormalization, RMSNormalization, lambda: GroupNormalization(2)])
    def test_input_of_another_shape(self, make):
        layer = make()
        layer.build_on(nnx.get_backend(), (None, 4))
        with pytest.raises(ValueError, match=r"expected an input of shape \(None, 4\), got \(2, 5\)"):
            layer(np.ones((2, 5)))

    def test_variable_lengths(self):
        layer = LayerNormalization()
        layer.build_on(nnx.get_backend(), (None, None, 4))
        assert layer(np.ones((2, 3, 4))).shape == layer(np.ones((2, 7, 4)))[:, :3].shape == (2, 3, 4)
