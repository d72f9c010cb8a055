"""Layers and models that are written as `call`: what can be traced, and that all else says what to do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.layers import LSTM, Activation, Dense, Dropout, Embedding, Input, Layer, Reshape
from nnx.random import Generator
from nnx.testing import assert_close, check_gradients

X = Generator(1).normal((4, 3))


def written(call: Any, **members: Any) -> Layer:
    layer: Layer = type("Mine", (Layer,), {"call": call, **members})()
    return layer


class Mixed(Layer):
    """Arithmetic with parameters, among themselves too."""

    def build(self, input_shape: Any) -> None:
        size = input_shape[-1]
        self.gain = self.add_weight((size,), "glorot_uniform", name="gain")
        self.shift = self.add_weight((1,), "ones", name="shift")
        self.kernels = self.add_weight((2, size, size), name="kernels")
        super().build(input_shape)

    def call(self, x: Any) -> Any:
        first = (x * (1.0 + self.gain) - self.shift / 2.0) @ self.kernels[0]
        return first + x @ -self.kernels[1] + self.gain**2 * self.shift


def test_parameters_in_expressions(backend_float64: Placement):
    with nnx.backend(backend_float64.name, device=backend_float64.device, dtype="float64"):
        model = nnx.Sequential([Input((3,)), Mixed()])
    parameters = model.flat.parameters

    def function(x: Any, *values: Any) -> Any:
        for parameter, value in zip(parameters, values, strict=True):
            parameter.value[...] = value
        y, pullback = model.forward(x)

        def pull_back(dy: Any) -> Any:
            model.flat.start_pass()
            dx = pullback(dy)
            model.flat.finish_pass()
            return (dx, *(nnx.array_namespace(x).asarray(p.grad, copy=True) for p in parameters))

        return y, pull_back

    values = [nnx.to_numpy(parameter.value).copy() for parameter in parameters]
    gain, shift, kernels = values
    expected = (X * (1.0 + gain) - shift / 2.0) @ kernels[0] - X @ kernels[1] + gain**2 * shift
    assert_close(nnx.to_numpy(model(backend_float64.asarray(X))), expected, rtol=1e-12)
    check_gradients(function, X, *values, placement=backend_float64)


@pytest.mark.parametrize("number", [2, 2.0, np.float32(2.0), np.float64(2.0), np.int64(2)])
def test_numbers_of_every_kind_on_either_side(number: Any):
    value = written(lambda self, x: number * x - x / number + (number - x) + x**number)(np.float32(X))
    assert value.dtype == np.float32
    assert_close(value, 2.0 * X - X / 2.0 + (2.0 - X) + X**2, length=10)


def test_shapes_may_be_read():
    assert written(lambda self, x: Reshape((x.shape[1], 1))(x))(X).shape == (4, 3, 1)


def test_layers_and_weights_may_be_made_in_the_call():
    def call(self: Any, x: Any) -> Any:
        return Activation("tanh")(Dense(2)(x) + self.add_weight((2,), "ones"))

    model = nnx.Sequential([Input((3,)), written(call), Dense(1)])
    assert list(model.named_weights())[:3] == ["mine/variable", "mine/dense/kernel", "mine/dense/bias"]
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(X, X[:, :1], verbose=0)
    assert all((old != new).any() for old, new in zip(before, model.get_weights(), strict=True))


def test_activation_functions_are_layers(backend: Placement):
    class Block(Layer):
        def build(self, input_shape: Any) -> None:
            self.slope = self.add_weight((3,), "ones", name="slope")
            super().build(input_shape)

        def call(self, x: Any) -> Any:
            return nnx.activations.leaky_relu(x, 0.5) * nnx.activations.tanh(self.slope)

    expected = np.where(X > 0.0, X, 0.5 * X) * math.tanh(1.0)
    assert_close(Block()(backend.asarray(X)), expected, length=3)
    model = nnx.Sequential([Input((3,)), Block(), Dense(2)])
    model.compile("sgd", "mse")
    model.fit(X, X[:, :2], verbose=0)
    assert (nnx.to_numpy(model.layers[0].slope.value) != 1.0).all()
    with pytest.raises(TypeError, match="unexpected keyword argument 'slope'"):
        nnx.activations.relu(Input((3,)), slope=1.0)


def test_a_graph_ends_in_an_activation_function(tmp_path: Any):
    x = Input((3,))
    hidden = nnx.activations.relu(Dense(4)(x))
    model = nnx.Model(x, nnx.activations.softmax(Dense(2)(hidden)))
    assert model.fusible_activation == "softmax"
    model.save(tmp_path / "model.safetensors")
    copy = nnx.models.load_model(tmp_path / "model.safetensors")
    assert (copy.predict(X, verbose=0) == model.predict(X, verbose=0)).all()


ADVICE = (
    r"symbolic value stands for an array.*write a layer with forward\(self, x, \*, training=False\) that returns \(y"
)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda self, x: x if x > 0 else -x, "a comparison of <Symbol"),
        (lambda self, x: x if x == 0 else -x, "a comparison"),
        (lambda self, x: x if x != np.zeros(3) else -x, "a comparison"),
        (lambda self, x: x * (x >= 0), "a comparison"),
        (lambda self, x: x if x else -x, "the truth"),
        (lambda self, x: abs(x), "the absolute value"),
        (lambda self, x: x // 2, "the operator // or %"),
        (lambda self, x: 2 % x, "the operator // or %"),
        (
            lambda self, x: 2.0**x,
            "power of a symbolic value takes an exponent that is a number, got the power of",
        ),
        (lambda self, x: x**x, "got a Symbol as the exponent"),
        (lambda self, x: np.sum(x), "numpy.sum"),
        (lambda self, x: np.maximum(x, 0.0), "numpy.maximum"),
        (lambda self, x: np.add.reduce(x), "numpy.add"),
        (lambda self, x: np.asarray(x), "the values"),
        (lambda self, x: math.exp(x), "the value"),
        (lambda self, x: nnx.array_namespace(x).exp(x), "array functions"),
        (lambda self, x: nnx.functional.relu(x), "array functions"),
        (lambda self, x: [row for row in x], "the elements"),  # noqa: C416
        (lambda self, x: x if 1.0 in x else -x, "the elements"),
        (lambda self, x: len(x), "the length"),
        (lambda self, x: x.__setitem__(0, 1.0), "assignment to elements"),
        (lambda self, x: x.sum(), "has no 'sum'"),
        (lambda self, x: x.T, "has no 'T'"),
        (lambda self, x: x[:, [0, 1]], "is indexed by integers, slices"),
        (lambda self, x: x[:, : x[0, 0]], "is indexed by integers, slices"),
    ],
)
def test_what_needs_values_names_the_first_way(call: Any, words: str):
    layer = written(call)
    for x in (X, Input((3,))):
        with pytest.raises((TypeError, AttributeError), match=f"(?s){words}.*{ADVICE}"):
            layer(x)
        assert not layer.built


@pytest.mark.parametrize("constant", [np.ones(3), [1.0, 2.0, 3.0], True, "one", nnx.asarray([1.0])])
def test_arrays_of_constants_are_refused(constant: Any):
    for call in (lambda self, x: x + constant, lambda self, x: constant * x):
        with pytest.raises(TypeError, match=r"takes a number, a parameter .*with its own forward\(self, x, \*"):
            written(call)(X)


def test_the_value_of_a_parameter_is_refused():
    class Valued(Layer):
        def build(self, input_shape: Any) -> None:
            self.gain = self.add_weight((3,), name="gain")

        def call(self, x: Any) -> Any:
            return x * self.gain.value

    with pytest.raises(TypeError, match=r"a parameter of a layer \(itself, not its \.value\)"):
        Valued()(X)


def test_symbols_are_compared_with_nothing_but_themselves():
    x, y = Input((3,)), Input((3,))
    assert x == x
    assert x in [x, y]
    assert x != None  # noqa: E711
    assert x != "x"
    with pytest.raises(TypeError, match="a comparison"):
        assert x == y


def test_values_from_elsewhere():
    z = Input((3,), name="elsewhere")
    with pytest.raises(ValueError, match=r"call\(\) uses 'elsewhere', a symbolic value that is not among"):
        written(lambda self, x: x + z)(X)


def test_batch_axes_are_not_broadcast_against_others():
    x, y = Input((3,)), Input((2, 3))
    with pytest.raises(ValueError, match=r"\(None, 3\) and \(None, 2, 3\) have their batch axes in different places"):
        _ = x + y
    with pytest.raises(ValueError, match="batch axes in different places"):
        _ = x[:, 0] * x
    assert (x[:, None] + y).shape == (None, 2, 3)


# training and mask


@pytest.mark.parametrize(
    "call",
    [
        lambda self, x, training=None: x if training else -x,
        lambda self, x, training=None: x if not training else -x,
        lambda self, x, training=None: x if training == True else -x,  # noqa: E712
        lambda self, x, training=None: x * training,
        lambda self, x, training=None: x * int(training),
    ],
)
def test_training_is_handed_on_and_not_looked_at(call: Any):
    with pytest.raises(TypeError, match=r"call\(\) looks at `training`, but it is traced once.*hand `training` on"):
        written(call)(X)


@pytest.mark.parametrize(
    "call",
    [
        lambda self, x, mask=None: x if mask is None else x * mask,
        lambda self, x, mask=None: x if mask is None else x * mask[:, :, None],
        lambda self, x, mask=None: x if mask is None else x * mask.astype("float32"),
    ],
)
def test_a_mask_is_handed_on_and_not_looked_at(call: Any):
    with pytest.raises(TypeError, match=r"call\(\) looks at `mask`.*masks travel.*uses_mask = True"):
        written(call)(X)


class Summing(Layer):
    """Hands the mask on, in words; it would travel without."""

    def __init__(self, handed: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.handed, self.lstm, self.dropout = handed, LSTM(2), Dropout(0.5)

    def call(self, x: Any, training: Any = None, mask: Any = None) -> Any:
        x = self.dropout(x, training=training)
        return self.lstm(x, mask=mask) if self.handed else self.lstm(x)


@pytest.mark.parametrize("handed", [True, False])
def test_masks_travel_through_a_call(handed: bool):
    model = nnx.Sequential([Embedding(5, 3, mask_zero=True), Summing(handed)])
    words = np.array([[1, 2, 0], [3, 0, 0]])
    embedded, layer = model.layers[0](words), model.layers[1]
    expected = layer.lstm(embedded, mask=words != 0)
    assert_close(model.predict(words, verbose=0), expected, length=4)
    assert_close(layer(embedded, mask=words != 0), expected, length=4)
    assert (layer(embedded) != expected).any()
    assert (layer(embedded, training=True) != layer(embedded)).any()


class Words(Layer):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.embedding = Embedding(5, 3, mask_zero=True)

    def call(self, x: Any) -> Any:
        return 2.0 * self.embedding(x)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_mask_that_is_made_in_a_call_leaves_it(wrapped: bool):
    words, inner = np.array([[1, 2, 0], [3, 0, 0]]), Words()
    first = written(lambda self, x: inner(x)) if wrapped else inner
    model = nnx.Sequential([first, LSTM(2)])
    predicted = model.predict(words, verbose=0)
    embedded = 2.0 * inner.embedding(words)
    assert_close(predicted, model.layers[1](embedded, mask=words != 0), length=4)
    with pytest.raises(ValueError, match="embedding: indices must be integers from 0 to 4, got 5 at"):
        model.predict(words + 2, verbose=0)


def test_integers_stay_integers(backend: Placement):
    x = Input((3,), dtype="int32")
    embedding = Embedding(10, 2)
    model = nnx.Model(x, [embedding(2 * x + 1), embedding(x[:, :2] - 1)])
    words = np.array([[1, 2, 4], [3, 1, 2]])
    first, second = model.predict(words, verbose=0)
    (vectors,) = embedding.get_weights()
    assert_close(first, vectors[words * 2 + 1], 0.0, 0.0)
    assert_close(second, vectors[words[:, :2] - 1], 0.0, 0.0)


def test_a_layer_that_takes_no_mask_may_be_given_one():
    x = np.float32(Generator(3).normal((2, 3, 4)))
    layer = Dense(2)
    assert_close(layer(x, mask=np.ones((2, 3), bool)), layer(x), 0.0, 0.0)


# Two ways at once


@pytest.mark.parametrize("base", [Dense, nnx.Sequential])
def test_a_call_beside_an_inherited_forward_is_refused(base: Any):
    mine = type("Mine", (base,), {"call": lambda self, x: 2.0 * x})
    layer = mine(2) if base is Dense else mine([Dense(2)])
    with pytest.raises(TypeError, match=r"Mine has a call\(\) of its own beside the forward\(\)"):
        layer(X)


def test_a_model_with_outputs_and_a_call_is_refused():
    x = Input((3,))
    with pytest.raises(TypeError, match=r"mine has inputs and outputs and a call\(\) too"):
        type("Mine", (nnx.Model,), {"call": lambda self, x: 2.0 * x})(x, Dense(1)(x))


def test_a_train_step_of_ones_own_is_refused():
    model = type("Mine", (nnx.Model,), {"train_step": lambda self, data: {}})()
    with pytest.raises(TypeError, match=r"does not call train_step\(\).*model\.forward"):
        model.compile("sgd", "mse")


# Building that fails


def test_a_build_that_fails_leaves_nothing():
    class Residual(nnx.Model):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.stack = Dense(4), nnx.Sequential([Dense(5)])
            self.gain = self.add_weight((1,), "ones", name="gain")

        def call(self, x: Any) -> Any:
            return x * self.gain + self.stack(self.before(x))

    model = Residual()
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"add: the shapes \(None, 3\) and \(None, 5\) do not fit together"):
        model.fit(X, X, verbose=0)
    assert not any(layer.built for layer in (model, model.before, model.stack, *model.stack.layers))
    right = Generator(2).normal((4, 5))
    model.fit(right, right, verbose=0)
    assert model.count_params() == 1 + 24 + 25


def test_a_stack_that_fails_to_build_can_be_built_otherwise():
    model = nnx.Sequential([Dense(4), Reshape((3, 1)), Dense(1)])
    with pytest.raises(ValueError, match="reshape: cannot reshape"):
        model.build((None, 5))
    assert not model.weights
    model.pop()
    model.pop()
    model.build((None, 6))
    assert model.count_params() == 28


def test_sizes_that_vary_are_built_with_none():
    layer = written(lambda self, x: Dense(2)(x))
    layer(np.ones((2, 5, 3)))
    with pytest.raises(ValueError, match=r"got \(2, 6, 3\); for sizes that vary, build it with None"):
        layer(np.ones((2, 6, 3)))
    layer = written(lambda self, x: Dense(2)(x))
    layer.build_on(nnx.get_backend(), (None, None, 3))
    assert layer(np.ones((2, 5, 3))).shape == (2, 5, 2)
    assert layer(np.ones((2, 6, 3))).shape == (2, 6, 2)


def test_weights_without_names():
    layer = Layer()
    names = [layer.add_weight(shape=(2,)).name, layer.add_weight().name, layer.add_weight((1,), name="own").name]
    assert names == ["variable", "variable_1", "own"]
    assert [weight.shape for weight in layer.weights] == [(2,), (), (1,)]
