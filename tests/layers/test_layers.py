"""Every layer of the table: gradients, the same numbers on every backend, shapes, dtypes, configurations and files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import random
from nnx.backends import Placement
from nnx.layers import Dense, Input, Lambda, LayerPullback
from nnx.testing import assert_close, check_gradients, no_synchronization
from nnx.testing.rows.completeness import assert_complete
from nnx.testing.rows.layer_case import LayerCase
from nnx.testing.rows.layers import LAYERS, complaints
from nnx.testing.rows.layers.core import scale_by_three

CASES = [case for rows in LAYERS.values() for case in rows if type(case) is LayerCase]  # of one input of numbers
each_layer = pytest.mark.parametrize("case", CASES, ids=str)


def test_every_public_layer_has_a_row():
    assert_complete(complaints(LAYERS))


def test_a_layer_without_row_is_noticed():
    (sentence,) = complaints({name: rows for name, rows in LAYERS.items() if name != "PReLU"})
    assert sentence == (
        'a file of nnx/testing/rows/layers: add the row  _layer("PReLU", lambda: PReLU(), <the shape of an input>)'
    )


def stack(case: LayerCase) -> nnx.Sequential:
    """The layer alone in a model, built in the current place; its weights are float32 numbers whatever the dtype."""
    random.set_seed(21)
    model = nnx.Sequential([case.make()] if case.name != "InputLayer" else [case.make(), nnx.layers.Flatten()])
    model.build((None, *case.input_shape[1:]))
    generator = random.Generator(22)
    model.set_weights([np.float32(w + 0.1 * generator.normal(w.shape)) for w in model.get_weights()])
    return model


def differentiable(model: nnx.Sequential, forward: Callable[..., Any]) -> Callable[..., Any]:
    """A forward pass as a function of the input and of every parameter, and its pullback to all of them."""
    layers = [layer for _, layer in model.walk()]
    streams = {layer: layer.random.state() for layer in layers if layer.random is not None}

    def function(x: Any, *values: Any) -> tuple[Any, Callable[..., Any]]:
        for layer, state in streams.items():
            layer.random.set_state(state)
        for parameter, value in zip(model.flat.parameters, values, strict=True):
            parameter.value[...] = value
        y, pullback = forward(x)

        def pull_back(dy: Any) -> Any:
            model.flat.start_pass()
            dx = pullback(dy)
            model.flat.finish_pass()
            xp = nnx.array_namespace(x)
            gradients = [xp.asarray(parameter.grad, copy=True) for parameter in model.flat.parameters]
            return (dx, *gradients) if gradients else dx

        return y, pull_back

    return function


@each_layer
def test_gradients_of_input_and_parameters(backend_float64: Placement, case: LayerCase):
    model = stack(case)
    function = differentiable(model, lambda x: model.layers[0].forward(x, training=True))
    trained = [nnx.to_numpy(parameter.value).copy() for parameter in model.flat.parameters]
    check_gradients(function, case.input(), *trained, placement=backend_float64)


def test_gradients_with_the_penalty_on_the_output():
    """`run` adds the penalty's own gradient, for a loss of weight 1: compared with a difference along one direction."""
    case = next(case for case in LAYERS["Dense"] if case.name == "Dense regularised")
    with nnx.backend("numpy", dtype="float64"):
        model = stack(case)
    layer, generator = model.layers[0], random.Generator(5)
    cotangent = generator.normal((4, 3))
    function = differentiable(model, lambda x: layer.run(x, training=True))
    point = [case.input(), *model.get_weights()]

    def loss(arguments: list[np.ndarray]) -> float:
        layer.activity_penalties = []
        y = function(*arguments)[0]
        penalties, layer.activity_penalties = layer.activity_penalties, None
        return float(np.sum(y * cotangent) + sum(penalties))

    assert loss(point) - np.sum(function(*point)[0] * cotangent) > 1e-3
    for position, gradient in enumerate(function(*point)[1](cotangent)):
        direction = generator.normal(point[position].shape)
        moved = [[*point[:position], point[position] + s * 1e-5 * direction, *point[position + 1 :]] for s in (1, -1)]
        difference = (loss(moved[0]) - loss(moved[1])) / 2e-5
        assert np.sum(gradient * direction) == pytest.approx(difference, rel=1e-7)


def run(case: LayerCase, place: Placement, training: bool = True) -> list[Any]:
    """Value, cotangent of the input and gradients of the parameters."""
    model = stack(case)
    x, dy = np.float32(case.input()), random.Generator(12).normal((case.input_shape[0], *model.output_shape[1:]))
    x, dy = place.asarray(x), place.asarray(np.float32(dy))
    flat = model.flat
    with no_synchronization():
        y, pullback = model.run(x, training=training)
        flat.start_pass()
        dx = pullback(dy)
        flat.finish_pass()
    assert str(y.dtype).endswith(place.dtype)
    assert str(dx.dtype).endswith(place.dtype)
    return [y, dx, *(parameter.grad for parameter in flat.parameters)]


@each_layer
def test_arrays_that_are_not_contiguous(case: LayerCase):
    model = stack(case)
    x = np.float32(case.input())
    strided = np.repeat(x, 2, axis=0)[::2]
    turned = np.flip(np.flip(x, axis=-1).copy(), axis=-1)
    outputs = []
    for array in (x, strided, turned, np.asfortranarray(x)):
        for _, layer in model.walk():
            if layer.random is not None:
                layer.random.set_state(random.Generator(3).state())
        y, pullback = model.forward(array, training=True)
        dy = np.float32(random.Generator(4).normal(y.shape))
        outputs.append((y, pullback(np.asfortranarray(dy))))
    for y, dx in outputs[1:]:
        assert_close(y, outputs[0][0], length=10)
        assert_close(dx, outputs[0][1], length=10)


@each_layer
@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
def test_parity_with_numpy_in_float64(backend: Placement, case: LayerCase, training: bool):
    found = run(case, backend, training)
    with nnx.backend("numpy", dtype="float64") as reference:
        expected = run(case, reference, training)
    for mine, theirs in zip(found, expected, strict=True):
        # a few operations after one another, and functions that libraries approximate to some units of the last place
        assert_close(mine, theirs, length=50)


@each_layer
def test_inference_repeats_itself_and_a_batch_of_one_is_a_row_of_many(backend: Placement, case: LayerCase):
    model = stack(case)
    x = backend.asarray(case.input())
    whole = nnx.to_numpy(model(x, training=False))
    assert_close(model(x, training=False), whole, 0.0, 0.0)
    for row in range(case.input_shape[0]):
        assert_close(model(x[row : row + 1, ...], training=False), whole[row : row + 1], length=10)


@each_layer
def test_output_shape_is_the_real_one(case: LayerCase):
    layer = stack(case).layers[0]
    y = layer(nnx.asarray(case.input()))
    assert layer.compute_output_shape(case.input_shape) == y.shape
    assert layer.compute_output_shape((None, *case.input_shape[1:])) == (None, *y.shape[1:])
    assert case.make().compute_output_shape(case.input_shape) == y.shape  # also before it is built


@each_layer
def test_configuration_round_trip(case: LayerCase):
    original = stack(case).layers[0]
    config = json.loads(json.dumps(original.get_config()))
    with nnx.saving.custom_objects({"scale_by_three": scale_by_three}):
        copy = type(original).from_config(config)
        again = nnx.layers.registry.build({"class_name": type(original).__name__, "config": config})
    assert json.loads(json.dumps(copy.get_config())) == config
    copy.build_on(nnx.get_backend(), (None, *case.input_shape[1:]))
    copy.set_weights(original.get_weights())
    assert_close(copy(case.input()), original(case.input()), 0.0, 0.0)
    assert type(again) is type(original)


@each_layer
@pytest.mark.filterwarnings("ignore:last .Flatten. gets a mask")
def test_save_and_load_in_a_model(case: LayerCase, tmp_path: Path):
    model = nnx.Sequential([*stack(case).layers, nnx.layers.Flatten(name="last")])
    model.build((None, *case.input_shape[1:]))
    model.save(tmp_path / "model.safetensors")
    loaded = nnx.models.load_model(tmp_path / "model.safetensors", custom_objects={"scale_by_three": scale_by_three})
    x = np.float32(case.input())
    assert_close(loaded.predict(x, verbose=0), model.predict(x, verbose=0), 0.0, 0.0)
    if model.layers[0].random is not None:  # the random stream goes on too
        assert_close(loaded(x, training=True), model(x, training=True), 0.0, 0.0)


@each_layer
@pytest.mark.parametrize("dtype", ["float64", "float16"])
@pytest.mark.parametrize("how", ["argument", "context"])
def test_dtype_is_kept(case: LayerCase, dtype: str, how: str):
    config = case.make().get_config()
    with nnx.saving.custom_objects({"scale_by_three": scale_by_three}):
        layer = type(case.make()).from_config({**config, "dtype": dtype} if how == "argument" else config)
    with nnx.backend("numpy", dtype="float32" if how == "argument" else dtype) as placement:
        layer.build_on(placement, (None, *case.input_shape[1:]))
    assert {parameter.dtype for parameter in layer.trainable_weights} <= {dtype}
    y, pullback = layer.forward(case.input().astype(dtype), training=True)
    assert y.dtype == dtype
    assert pullback(y).dtype == dtype
    if not layer.takes_integers:  # called as a function it converts what it is given
        assert layer(case.input().tolist()).dtype == dtype


@each_layer
def test_a_layer_is_built_beside_its_first_input(backend: Placement, case: LayerCase):
    x = backend.asarray(np.float32(case.input()))
    with nnx.backend("numpy"):
        layer = case.make()
        y = layer(x)
    assert backend.holds(y)
    assert all(backend.holds(parameter.value) for parameter in layer.weights)


def test_kernels_write_into_the_gradients_and_the_plain_route_adds():
    """Both ways of a pullback, direct and plain, must give the same sums, also on the second pass."""
    x, dy = random.Generator(1).normal((4, 3)), random.Generator(2).normal((4, 2))
    sums = []
    for direct in (True, False):
        random.set_seed(3)
        with nnx.backend("numpy", dtype="float64"):
            model = nnx.Sequential([nnx.layers.Dense(2, input_dim=3)])
        flat, layer = model.flat, model.layers[0]
        flat.start_pass()
        for scale in (1.0, 2.0):
            _, pullback = nnx.functional.dense(scale * x, layer.kernel.value, layer.bias.value)
            routed = layer.route(pullback, None, layer.kernel, layer.bias, direct=direct)
            assert type(routed) is LayerPullback
            assert_close(routed(dy), dy @ layer.kernel.value.T)
        sums.append(flat.grads.copy())
        assert_close(layer.kernel.grad, 3.0 * x.T @ dy)
        assert_close(layer.bias.grad, 2.0 * dy.sum(axis=0))
    assert_close(sums[0], sums[1])


def test_without_inputs_only_the_parameters_are_differentiated():
    model = nnx.Sequential([nnx.layers.Dense(2, "tanh", input_dim=3)])
    x = np.ones((4, 3), np.float32)
    flat = model.flat
    gradients = []
    for inputs in (True, False):
        y, pullback = model.run(x, training=True)
        flat.start_pass()
        dx = pullback(np.ones_like(y), inputs=inputs)
        assert (dx is not None) == inputs
        gradients.append(flat.grads.copy())
    assert_close(gradients[0], gradients[1], 0.0, 0.0)
    assert gradients[0].any()


class TestLambdaOfSeveralInputs:
    A, B = np.full((4, 3), 2.0, dtype=np.float32), np.full((4, 1), 3.0, dtype=np.float32)

    @staticmethod
    def product(pair):
        one, other = pair
        return one * other, lambda dy: (dy * other, nnx.array_namespace(dy).sum(dy * one, axis=-1, keepdims=True))

    def test_has_one_output(self, backend):
        a, b = Input((3,)), Input((1,))
        model = nnx.Model([a, b], Lambda(self.product)([a, b]))
        assert model.output_shape == (None, 3)
        assert_close(model.predict([self.A, self.B], verbose=0), self.A * self.B)
        assert_close(Lambda(self.product)([backend.asarray(self.A), backend.asarray(self.B)]), self.A * self.B)

    def test_is_differentiated_with_respect_to_each(self, backend_float64):
        layer = Lambda(self.product)
        check_gradients(lambda a, b: layer.run(a, b), self.A, self.B, placement=backend_float64)

    def test_says_how_to_give_a_shape_that_is_not_known(self):
        with pytest.raises(ValueError, match=r"lambda.*do not fit together: write Lambda\(function, output_shape="):
            Lambda(self.product)([Input((3,)), Input((4,))])

    def test_stops_the_cotangents_of_all(self, backend):
        layer = Lambda(lambda pair: pair[0] + pair[1], pullback="stop")
        _, pullback = layer.run(backend.asarray(self.A), backend.asarray(self.A))
        assert all(float(nnx.array_namespace(dx).sum(dx)) == 0.0 for dx in pullback(backend.asarray(self.A)))


def test_an_empty_batch_has_no_penalty(backend):
    layer = Dense(2, activity_regularizer="l2")
    assert layer(backend.asarray(np.zeros((0, 3)))).shape == (0, 2)
