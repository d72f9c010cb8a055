"""Layers of several inputs: shapes, masks, errors, configurations, and their functions."""

from __future__ import annotations

import json

import numpy as np
import pytest

import nnx
from nnx.layers import merging
from nnx.layers.merging import Add, Average, Concatenate, Dot, Maximum, Minimum, Multiply, Subtract
from nnx.random import Generator
from nnx.testing import assert_close, check_gradients, no_synchronization
from nnx.testing.rows.layers.merging import LAYERS

each = pytest.mark.parametrize("case", [case for rows in LAYERS.values() for case in rows], ids=str)


def built(case, place):
    layer = case.make()
    shapes = [(None, *shape[1:]) for shape in case.input_shape]
    layer.build_on(place, shapes if len(shapes) > 1 else shapes[0])
    return layer


@each
def test_shapes_on_every_backend(backend, case):
    layer = built(case, backend)
    inputs = [backend.asarray(x) for x in case.input()]
    with no_synchronization():
        y, pullback = layer.run(*inputs, training=True)
        cotangents = pullback(y)
    assert y.shape == layer.compute_output_shape(case.input_shape)
    assert layer.compute_output_shape([(None, *shape[1:]) for shape in case.input_shape]) == (None, *y.shape[1:])
    for x, dx in zip(inputs, cotangents if len(inputs) > 1 else (cotangents,), strict=True):
        assert_close(dx, nnx.to_numpy(dx), like=x)
        assert dx.shape == x.shape


@each
def test_gradients(backend_float64, case):
    layer = built(case, backend_float64)
    check_gradients(lambda *xs: layer.run(*xs, training=True), *case.input(), placement=backend_float64)


@each
def test_configuration_round_trip(case):
    layer = built(case, nnx.get_backend())
    config = json.loads(json.dumps(layer.get_config()))
    copy = nnx.layers.registry.build({"class_name": type(layer).__name__, "config": config})
    assert json.loads(json.dumps(copy.get_config())) == config
    assert_close(copy(*case.input()), layer(*case.input()), 0.0, 0.0)


def test_functions():
    a, b = Generator(0).normal((2, 3)), Generator(1).normal((2, 3))
    assert_close(merging.add([a, b]), np.float32(a) + np.float32(b))
    assert_close(merging.subtract([a, b]), np.float32(a) - np.float32(b))
    assert_close(merging.multiply([a, b]), np.float32(a) * np.float32(b))
    assert_close(merging.average([a, b]), (np.float32(a) + np.float32(b)) / 2)
    assert_close(merging.maximum([a, b]), np.maximum(np.float32(a), np.float32(b)))
    assert_close(merging.minimum([a, b]), np.minimum(np.float32(a), np.float32(b)))
    assert_close(merging.concatenate([a, b]), np.concatenate([np.float32(a), np.float32(b)], axis=1))
    assert_close(merging.concatenate([a[:, None], b[:, None]], axis=1), np.float32(np.stack([a, b], axis=1)))
    assert_close(merging.dot([a, b]), (a * b).sum(1, keepdims=True), length=10)
    cosines = (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1))
    assert_close(merging.dot([a, b], axes=1, normalize=True, name="cosine"), cosines[:, None], length=10)


MASKS = [np.array([[True, True, False]]), np.array([[True, False, False]])]


class TestMasks:
    inputs = (np.zeros((1, 3, 2)), np.zeros((1, 3, 4)))

    @pytest.mark.parametrize("kind", [Add, Subtract, Average, Multiply, Maximum, Minimum])
    def test_elementwise(self, kind):
        assert kind().compute_mask(self.inputs, MASKS).tolist() == [[True, True, False]]
        assert kind().compute_mask(self.inputs, [MASKS[0], None]) is None
        assert kind().compute_mask(self.inputs, None) is None

    def test_of_one_input(self):
        assert Add().compute_mask(self.inputs[0], MASKS[0]) is MASKS[0]

    def test_concatenation_of_features(self):
        assert Concatenate().compute_mask(self.inputs, MASKS).tolist() == [[True, True, False]]
        assert Concatenate().compute_mask(self.inputs, [MASKS[0], None]) is None  # all steps of one input count
        assert Concatenate().compute_mask(self.inputs, [None, None]) is None

    @pytest.mark.parametrize("axis", [1, -2])
    def test_concatenation_of_time(self, backend, axis):
        inputs = [backend.asarray(np.zeros((1, 3, 2))), backend.asarray(np.zeros((1, 2, 2)))]
        mask = backend.asarray(MASKS[1], "bool")
        with no_synchronization():
            found = Concatenate(axis=axis).compute_mask(inputs, [mask, None])
        assert nnx.to_numpy(found).tolist() == [[True, False, False, True, True]]
        assert Concatenate(axis=axis).compute_mask(inputs, [None, None]) is None

    def test_dot(self):
        with pytest.warns(UserWarning, match="dot .Dot. gets a mask, and its output has none"):
            assert Dot(axes=1).compute_mask(self.inputs, MASKS) is None

    def test_what_is_left_out_does_not_take_part(self):
        a, b = np.float32([[[2.0], [3.0], [5.0]]]), np.float32([[[7.0], [11.0], [13.0]]])
        for layer, expected in (
            (Multiply(), [14.0, 3.0, 0.0]),
            (Maximum(), [7.0, 3.0, 5.0]),
            (Minimum(), [2.0, 3.0, 5.0]),
        ):
            y, pullback = layer.run(a, b, mask=MASKS)
            assert y.reshape(-1).tolist() == expected
            da, db = pullback(np.ones_like(y))
            assert db[0, 1:].tolist() == [[0.0], [0.0]]
            assert da[0, 1].tolist() == [1.0]


class TestErrors:
    @pytest.mark.parametrize("kind", [Subtract, lambda: Dot(axes=1)])
    @pytest.mark.parametrize("count", [1, 3])
    def test_number_of_inputs(self, kind, count):
        shapes = [(None, 3)] * count
        with pytest.raises(ValueError, match=f"expected a list of 2 inputs, got {count}"):
            kind().build(shapes if count > 1 else shapes[0])

    @pytest.mark.parametrize("kind", [Add, Multiply, Average, Maximum, Minimum])
    def test_shapes_that_do_not_fit(self, kind):
        with pytest.raises(ValueError, match=r"the shapes \(None, 3\), \(None, 4\) do not fit together"):
            kind().build([(None, 3), (None, 4)])

    def test_batches_that_do_not_fit(self):
        with pytest.raises(ValueError, match="do not fit together"):
            Add().compute_output_shape([(3, 4), (2, 4)])

    def test_concatenation(self):
        with pytest.raises(ValueError, match=r"concatenate: sizes must be equal, except along axis 2, got shapes"):
            Concatenate().build([(None, 3, 4), (None, 2, 4)])
        with pytest.raises(ValueError, match=r"concatenate: expected inputs of one number of axes"):
            Concatenate().build([(None, 3, 4), (None, 4)])
        with pytest.raises(ValueError, match=r"with an axis 3 behind the batch axis"):
            Concatenate(axis=3).build([(None, 3, 4), (None, 3, 4)])
        with pytest.raises(ValueError, match=r"with an axis -2 behind the batch axis"):
            Concatenate(axis=-2).build([(None, 4), (None, 4)])
        for axis in (0, 1.0, None):
            with pytest.raises(ValueError, match="axis must be an integer other than 0, the batch axis, got"):
                Concatenate(axis=axis)

    def test_dot(self):
        with pytest.raises(ValueError, match=r"dot: dot: axis 1 of shape .* must have one size"):
            Dot(axes=1).build([(None, 3), (None, 4)])
        for axes in ((1, 2, 3), 1.5, (1, "2"), True):
            with pytest.raises(ValueError, match="dot: axes must be an integer or two integers, got"):
                Dot(axes=axes)


def test_unknown_sizes():
    assert Add().compute_output_shape([(None, None, 3), (None, 5, 1)]) == (None, 5, 3)
    assert Add().compute_output_shape([(None, None, 3), (None, 1, 3)]) == (None, None, 3)
    assert Concatenate(axis=1).compute_output_shape([(None, None, 3), (None, 5, 3)]) == (None, None, 3)
    assert Concatenate().compute_output_shape([(None, None, 3), (None, 5, 3)]) == (None, 5, 6)
    assert Dot(axes=1).compute_output_shape([(None, None, 3), (None, 5, 4)]) == (None, 3, 4)
