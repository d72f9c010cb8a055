"""Layers of one's own, layers that are shared or frozen, and functions as layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.layers import Dense, Lambda, Layer
from nnx.random import Generator
from nnx.testing import assert_close, check_gradients, no_synchronization

X, Y = Generator(1).normal((16, 3)), Generator(2).normal((16, 1))


class Scale(Layer):
    """As the documentation of `Layer` writes it, with an argument."""

    def __init__(self, start: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight(name="scale", shape=(1,), initializer=nnx.initializers.Constant(self.start))
        self.calls = self.add_weight((), "zeros", name="calls", trainable=False)
        super().build(input_shape)

    def forward(self, x: Any, *, training: bool = False) -> Any:
        xp = nnx.array_namespace(x)

        def pullback(dy: Any) -> Any:
            return dy * self.scale.value, xp.reshape(xp.sum(dy * x), (1,))

        return x * self.scale.value, self.route(pullback, None, self.scale)


class Twice(Layer):
    """A layer made of another one, which it applies twice, with a pullback that knows nothing of `inputs`."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.inner = Dense(units, "tanh")

    def sublayers(self) -> list[Layer]:
        return [self.inner]

    def build(self, input_shape: Any) -> None:
        self.inner.build_on(self.placement, input_shape)
        super().build(input_shape)

    def forward(self, x: Any, *, training: bool = False) -> Any:
        y, first = self.inner.run(x, training=training)
        z, second = self.inner.run(y, training=training)
        return 2.0 * z, lambda dz: first(second(2.0 * dz))


def parameters_of(model: nnx.Sequential) -> tuple[Any, list[np.ndarray]]:
    """The model as a function of its input and its parameters."""

    def function(x: Any, *values: Any) -> Any:
        for parameter, value in zip(model.flat.parameters, values, strict=True):
            parameter.value[...] = value
        y, pullback = model.forward(x, training=True)

        def pull_back(dy: Any) -> Any:
            model.flat.start_pass()
            dx = pullback(dy)
            model.flat.finish_pass()
            return (dx, *(nnx.array_namespace(x).asarray(p.grad, copy=True) for p in model.flat.parameters))

        return y, pull_back

    return function, [nnx.to_numpy(parameter.value).copy() for parameter in model.flat.parameters]


@pytest.mark.parametrize("make", [lambda: Scale(1.5), lambda: Twice(3)], ids=["Scale", "Twice"])
def test_gradients(backend_float64: Placement, make: Any):
    model = nnx.Sequential([make(), Dense(2)])
    model.build((None, 3))
    function, values = parameters_of(model)
    check_gradients(function, X, *values, placement=backend_float64)


@pytest.mark.parametrize("options", [{}, {"activity_regularizer": "l2"}], ids=["plain", "with penalty"])
@pytest.mark.parametrize("make", [lambda **o: Scale(1.5, **o), lambda **o: Twice(3, **o)], ids=["Scale", "Twice"])
def test_training_with_a_layer_of_ones_own_as_the_first(backend: Placement, make: Any, options: Any):
    model = nnx.Sequential([make(input_shape=(3,), **options), Dense(1)])
    model.compile(nnx.optimizers.SGD(0.05), "mse")
    before = model.get_weights()
    history = model.fit(X, Y, epochs=5, batch_size=4, verbose=0).history["loss"]
    assert history[-1] < history[0]
    changed = [bool((old != new).any()) for old, new in zip(before, model.get_weights(), strict=True)]
    assert changed == [parameter.trainable for parameter in model.weights]


def test_saving_needs_the_class_and_says_so(tmp_path: Path):
    model = nnx.Sequential([Scale(1.5, input_shape=(3,)), Dense(1)])
    model.save(tmp_path / "model.safetensors")
    loaded = nnx.models.load_model(tmp_path / "model.safetensors", custom_objects={"Scale": Scale})
    assert loaded.layers[0].start == 1.5
    assert [p.path for p in loaded.weights] == ["scale/scale", "scale/calls", "dense/kernel", "dense/bias"]
    assert_close(loaded.predict(X, verbose=0), model.predict(X, verbose=0), 0.0, 0.0)
    with pytest.raises(ValueError, match=r"(?s)layer 'Scale'.*custom_objects"):
        nnx.models.load_model(tmp_path / "model.safetensors")


def test_parameters_that_are_not_trained():
    layer = Scale()
    layer(X)
    assert [p.name for p in layer.trainable_weights] == ["scale"]
    assert [p.name for p in layer.non_trainable_weights] == ["calls"]
    assert layer.count_params() == 2
    assert layer.calls.shape == ()
    assert layer.calls.grad is None


def test_names_of_weights_are_unique_in_a_layer():
    layer = Scale()
    layer(X)
    with pytest.raises(ValueError, match=r"scale already has a weight 'scale'"):
        layer.add_weight((1,), name="scale")


def test_a_weight_without_a_name_is_numbered():
    layer = Dense(2)
    layer(X)
    assert [layer.add_weight((1,)).name for _ in range(3)] == ["variable", "variable_1", "variable_2"]


def test_a_constructor_that_forgets_its_base_says_so():
    class Hasty(Layer):
        def __init__(self) -> None:
            self.inner = Dense(2)

        def call(self, x: Any) -> Any:
            return self.inner(x)

    words = r"Hasty has no '\w+': Hasty.__init__ must begin with super\(\).__init__\(\)"
    for use in (lambda: Hasty()(X), lambda: nnx.Sequential([Hasty()])):
        with pytest.raises(AttributeError, match=words):
            use()
    with pytest.raises(AttributeError, match="Dense has no 'unit': did you mean 'units'"):
        Dense(2).unit  # noqa: B018
    with pytest.raises(AttributeError, match="no symbolic input and output"):
        Dense(2).output  # noqa: B018


def test_a_layer_without_forward_says_what_to_write():
    with pytest.raises(TypeError, match=r"Empty defines neither call\(self, x\), .* nor forward\(self, x, "):
        type("Empty", (Layer,), {})()(X)


# Shared and frozen layers


def test_a_layer_used_twice_gathers_both_gradients(backend_float64: Placement):
    shared = Dense(3, "tanh", name="shared")
    model = nnx.Sequential([nnx.Sequential([shared]), nnx.layers.ReLU(), nnx.Sequential([shared], name="again")])
    model.build((None, 3))
    assert model.count_params() == 12
    assert len(model.flat.parameters) == 2
    function, values = parameters_of(model)
    check_gradients(function, X, *values, placement=backend_float64)


def test_a_frozen_layer_gets_no_gradient_and_passes_on_what_it_should(backend_float64: Placement):
    model = nnx.Sequential([Dense(4, "tanh"), Dense(3, "tanh", trainable=False, name="frozen"), Dense(2)])
    model.build((None, 3))
    function, values = parameters_of(model)
    assert len(values) == 4
    check_gradients(function, X, *values, placement=backend_float64)
    frozen = model.get_layer("frozen")
    assert frozen.kernel.grad is None
    assert [p.path for p in model.non_trainable_weights] == ["frozen/kernel", "frozen/bias"]
    before = frozen.get_weights()
    model.compile("sgd", "mse")
    model.fit(X, X[:, :2], verbose=0)
    for old, new in zip(before, frozen.get_weights(), strict=True):
        assert_close(new, old, 0.0, 0.0)


def test_several_passes_add_up_until_a_step(backend: Placement):
    model = nnx.Sequential([Dense(2, input_dim=3)])
    x = backend.asarray(X)
    flat = model.flat
    flat.start_pass()
    for _ in range(3):
        y, pullback = model.forward(x, training=True)
        pullback(y * 0.0 + 1.0)
    flat.finish_pass()
    assert_close(model.layers[0].kernel.grad, 3.0 * np.float32(X).T @ np.ones((16, 2)), length=50)


# Lambda


def cube(x: Any) -> Any:
    return x * x * x, lambda dy: dy * 3.0 * x * x


def power(x: Any, exponent: int) -> Any:
    return x**exponent


def pullback_of_cube(dy: Any, x: Any, y: Any) -> Any:
    return dy * 3.0 * x * x


def power_of_array_code(x, exponent):
    return x**exponent


def first_column(x: Any) -> Any:
    xp = nnx.array_namespace(x)

    def pullback(dy: Any) -> Any:
        return xp.concat([dy, xp.zeros_like(x[:, 1:])], axis=1)

    return x[:, :1], pullback


@pytest.mark.parametrize(
    "layer",
    [
        Lambda(cube),
        Lambda(power, pullback=pullback_of_cube, arguments={"exponent": 3}),
        Lambda(lambda x: x * x * x, pullback=lambda dy, x, y: dy * 3.0 * y / x),
        Lambda(cube, pullback=pullback_of_cube),  # the pullback that is given counts
        Lambda(lambda x: x * x * x),  # derived
        Lambda(power_of_array_code, arguments={"exponent": 3}),
    ],
)
def test_forms_of_lambda(backend: Placement, layer: Lambda):
    x = backend.asarray(X)
    with no_synchronization():
        y, pullback = layer.forward(x, training=True)
        dx = pullback(y)
    assert_close(y, np.float32(X) ** 3, length=10)
    assert_close(dx, 3.0 * np.float32(X) ** 5, length=30)


def test_lambda_that_stops_the_gradient(backend: Placement):
    model = nnx.Sequential([Dense(3, input_dim=3), Lambda(lambda x: x + 1.0, pullback="stop"), Dense(1)])
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    changed = [bool((old != new).any()) for old, new in zip(before, model.get_weights(), strict=True)]
    assert changed == [False, False, True, True]


def test_a_lambda_of_truths_has_no_gradient_to_give():
    x = nnx.Input((3,))
    share = Lambda(lambda t: nnx.ops.mean(nnx.ops.cast(t, "float32"), axis=-1, keepdims=True))(x > 0.0)
    model = nnx.Model(x, nnx.layers.Dense(1)(share))
    model.compile("sgd", "mse")
    before = model.get_weights()[0]
    model.fit(np.ones((4, 3)), np.zeros((4, 1)), verbose=0)
    assert (model.get_weights()[0] != before).all()


def test_lambda_that_changes_the_shape():
    model = nnx.Sequential([Lambda(first_column, output_shape=(1,), input_dim=3), Dense(2)])
    assert model.output_shape == (None, 2)
    assert model.layers[1].kernel.shape == (1, 2)
    assert Lambda(first_column, output_shape=1).compute_output_shape((None, 3)) == (None, 1)
    assert Lambda(first_column).compute_output_shape((None, 3)) == (None, 1)
    assert Lambda(lambda x: x[:, -1]).compute_output_shape((None, None, 4)) == (None, 4)
    model.compile("sgd", "mse")
    model.fit(X, X[:, :2], verbose=0)


def test_lambda_by_name_needs_custom_objects():
    config = Lambda(cube).get_config()
    assert config["function"] == "cube"
    with nnx.saving.custom_objects({"cube": cube}):
        assert_close(Lambda.from_config(config)(X), np.float32(X) ** 3, length=10)
    with pytest.raises(ValueError, match=r"Lambda does not know the function 'cube'.*custom_objects=\{'cube'"):
        Lambda.from_config(config)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Lambda(lambda x: None)(X), TypeError, r"the function of lambda returned NoneType, so it has no grad"),
        (lambda: Lambda(lambda x: x.shape[0])(X), TypeError, r"the function of lambda returned int, so it has no grad"),
        (lambda: Lambda(lambda x: (x, None))(X), TypeError, r"returned tuple, .*or return \(value, pullback\)"),
        (lambda: Lambda(3), TypeError, r"function of Lambda must be a function, got 3"),
        (lambda: Lambda(cube, pullback=3), TypeError, r"pullback of Lambda must be a function, got 3"),
        (lambda: Lambda(cube, pullback="sotp"), ValueError, r"does not know the pullback 'sotp'"),
        (lambda: Lambda(power)(X), TypeError, r"exponent"),
        (lambda: Lambda(first_column, output_shape=(2,))(X), ValueError, r"shape \(16, 1\), expected \(16, 2\)"),
    ],
)
def test_errors_of_lambda(make: Any, error: type[Exception], words: str):
    with pytest.raises(error, match=words):
        make()


class Counts(Layer):
    """A layer with states that are no floating point numbers."""

    def build(self, input_shape: Any) -> None:
        self.seen = self.add_weight((2,), name="seen", trainable=False, dtype="bool")
        self.calls = self.add_weight(name="calls", trainable=False, dtype="int32")
        self.total = self.add_weight((3,), name="total", trainable=False, dtype="int64", initializer="ones")
        self.scale = self.add_weight((40,), name="scale")
        super().build(input_shape)

    def forward(self, x: Any, *, training: bool = False) -> Any:
        return x, lambda dy: dy


def test_weights_of_integers_and_bools_start_as_zeros(backend: Placement):
    layer = Counts()
    model = nnx.Sequential([nnx.Input((3,)), layer])
    for weight, expected in ((layer.seen, [False, False]), (layer.calls, 0), (layer.total, [1, 1, 1])):
        assert nnx.to_numpy(weight.value).tolist() == expected
    assert [weight.dtype for weight in layer.weights] == ["float32", "bool", "int32", "int64"]
    assert [weight.nbytes for weight in layer.weights] == [160, 2, 4, 24]
    assert nnx.to_numpy(layer.scale.value).any()
    model.summary(print_fn=lambda text: None)


class Narrowing(nnx.layers.Layer):
    """Its pullback returns the cotangent of one row."""

    def forward(self, x, *, training=False):
        return 2.0 * x, lambda dy: 2.0 * dy[:1, ...]


def narrow(*arrays):
    y = 2.0 * arrays[-1]
    return y, lambda dy: 2.0 * y[:1, ...]


@pytest.mark.parametrize(
    ("owner", "inner", "activation", "loss"),
    [
        ("narrowing", Narrowing(), None, "mse"),
        ("the activation 'narrow'", nnx.layers.ReLU(), narrow, "mse"),
        ("loss 'narrow'", nnx.layers.ReLU(), None, narrow),
    ],
)
def test_a_cotangent_of_another_shape_names_whose_it_is(owner, inner, activation, loss):
    layers = nnx.layers
    model = nnx.Sequential([nnx.Input((4,)), layers.Dense(4, activation), inner, layers.Dense(1)])
    model.compile("sgd", loss)
    x = np.ones((3, 4), "float32")
    with pytest.raises(ValueError, match=rf"{owner}: the pullback returned .* shape \(1, \d\), expected \(3, \d\)"):
        model.train_on_batch(x, x[:, :1])


class Silent(Layer):
    """Its build does not call that of its base."""

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")

    def call(self, x: Any) -> Any:
        return x * self.scale


class Spoken(Silent):
    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        Layer.build(self, input_shape)


class Builder(Layer):
    """It builds what is in it by hand."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner, self.dense = Silent(), Dense(3, kernel_initializer="ones")

    def build(self, input_shape: Any) -> None:
        self.inner.build(input_shape)
        self.dense.build(input_shape)

    def call(self, x: Any) -> Any:
        return self.dense(self.inner(x))


class BuilderModel(nnx.Model):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Builder()

    def build(self, input_shape: Any) -> None:
        self.inner.build(input_shape)

    def call(self, x: Any) -> Any:
        return self.inner(x)


@pytest.mark.parametrize("make", [Silent, Spoken, Builder, BuilderModel])
def test_a_layer_that_was_built_by_hand(backend: Placement, make: Any):
    x = backend.asarray(X[:, :3])
    expected = X if make in (Silent, Spoken) else X.sum(axis=-1, keepdims=True) * np.ones(3)
    for call in (lambda layer: layer(x), lambda layer: nnx.Sequential([nnx.Input((3,)), layer]).predict(x, verbose=0)):
        layer = make()
        layer.build((None, 3))
        weights = layer.weights
        assert layer.built
        assert len(weights) == (1 if make in (Silent, Spoken) else 3)
        with pytest.raises((ValueError, RuntimeError)):  # whatever the library says of sizes that differ
            layer(x[:, :2])
        assert_close(call(layer), expected)
        assert layer.weights == weights
    model = nnx.Sequential([nnx.Input((3,)), layer])
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(x, 0.0 * x, verbose=0)
    assert all((one != other).all() for one, other in zip(before, model.get_weights(), strict=True))


class LearnedQueries(Layer):
    """Layers that are called with a weight, alone and beside arrays."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.attention, self.dense = nnx.layers.MultiHeadAttention(1, 2), Dense(3)

    def build(self, input_shape: Any) -> None:
        self.queries = self.add_weight((1, 2, 3), name="queries")
        super().build(input_shape)

    def call(self, x: Any) -> Any:
        sequence = nnx.ops.stack([x, 2.0 * x], axis=1)
        queries = self.dense(self.queries) + nnx.ops.zeros_like(sequence)
        found = self.attention(queries, value=sequence)
        return nnx.ops.sum(found, axis=1) + nnx.ops.sum(nnx.layers.multiply([self.queries, self.queries]))


def test_layers_take_weights(backend_float64: Placement):
    model = nnx.Sequential([LearnedQueries()])
    model.build((None, 3))
    function, values = parameters_of(model)
    check_gradients(function, X[:4], *values, placement=backend_float64)
    (layer,) = model.layers
    assert len(layer.weights) == 1 + 2 + 8
    twice = nnx.layers.Add()([layer.queries, layer.queries])
    assert_close(twice, 2.0 * nnx.to_numpy(layer.queries.value))
    assert_close(nnx.layers.Identity()(layer.queries), layer.queries.value)


class Shifted(Layer):
    """A variable in an attribute, a weight that is not trained, and one that is."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shift = nnx.Variable(np.ones(3, "float32"), name="shift")

    def build(self, input_shape: Any) -> None:
        self.calls = self.add_weight((3,), "zeros", name="calls", trainable=False)
        self.scale = self.add_weight((3,), "ones", name="scale")
        super().build(input_shape)

    def call(self, x: Any) -> Any:
        return x * self.scale + self.shift


def test_weights_are_in_the_order_of_keras():
    layer = Shifted()
    layer(X)
    assert [weight.name for weight in layer.weights] == ["shift", "scale", "calls"]


def test_a_variable_is_a_weight_after_a_call_that_failed_too():
    layer = Shifted()
    with pytest.raises(ValueError, match=r"broadcast|shape"):
        layer(np.ones((2, 4), "float32"))
    layer(X)
    assert [weight.name for weight in layer.weights] == ["shift", "scale", "calls"]


# A `call` of one's own, beside what a built-in layer computes


class Doubled(nnx.layers.Dense):
    def call(self, inputs):
        return 2.0 * super().call(inputs) + nnx.ops.sum(self.kernel**2)


class Plus(Doubled):
    def call(self, inputs, training=None):
        return super().call(inputs) + (1.0 if training else 0.0)


class Standardized(nnx.layers.Conv2D):
    def convolution_op(self, inputs, kernel):
        return super().convolution_op(inputs, kernel - nnx.ops.mean(kernel))


class Squared(nnx.layers.Embedding):
    def call(self, indices):
        return super().call(indices) ** 2


def trained(layer, x, y):
    model = nnx.Sequential([nnx.Input(x.shape[1:], dtype=str(x.dtype)), *layer])
    model.set_weights([np.float32(np.random.default_rng(3).normal(size=w.shape)) for w in model.weights])
    model.compile("sgd", "mse")
    history = model.fit(x, y, epochs=2, batch_size=4, shuffle=False, verbose=0).history
    return [*history["loss"], *(float(np.abs(w).sum()) for w in model.get_weights())], model


def test_a_subclass_computes_by_its_call_and_by_that_of_its_base():
    rng = np.random.default_rng(0)
    x, y = np.float32(rng.normal(size=(8, 3))), np.float32(rng.normal(size=(8, 2)))

    class Written(nnx.layers.Layer):
        def build(self, input_shape):
            self.kernel = self.add_weight((input_shape[-1], 2), name="kernel")
            self.bias = self.add_weight((2,), name="bias")
            super().build(input_shape)

        def call(self, inputs):
            return 2.0 * nnx.ops.tanh(inputs @ self.kernel + self.bias) + nnx.ops.sum(self.kernel**2)

    expected, _ = trained([Written()], x, y)
    found, model = trained([Doubled(2, activation="tanh")], x, y)
    assert_close(found, expected)
    layer = Plus(2)
    assert_close(layer(x, training=True) - layer(x), np.ones((8, 2)))
    assert nnx.layers.Dense(2)(x).shape == (8, 2)
    assert not nnx.layers.Dense(2).is_eager  # the base stays as it was
    clone = nnx.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert_close(clone.predict(x), model.predict(x))


def test_a_subclass_of_a_convolution_may_have_its_convolution_op():
    rng = np.random.default_rng(0)
    x = np.float32(rng.normal(size=(8, 5, 5, 2)))
    layer = Standardized(3, 2, activation="relu")
    y = layer(x)
    kernel, bias = layer.get_weights()
    plain = nnx.layers.Conv2D(3, 2, activation="relu")
    plain.build(x.shape)
    plain.set_weights([kernel - kernel.mean(), bias])
    assert_close(y, plain(x))


def test_a_subclass_keeps_integers_and_masks():
    x = np.asarray([[1, 2, 0]] * 8)
    found, model = trained([Squared(4, 2, mask_zero=True), nnx.layers.LSTM(2)], x, np.ones((8, 2), "float32"))
    square = [nnx.layers.Embedding(4, 2, mask_zero=True), nnx.layers.Lambda(lambda x: x**2), nnx.layers.LSTM(2)]
    expected, _ = trained(square, x, np.ones((8, 2), "float32"))
    assert_close(found, expected)
    assert model.predict(x).shape == (8, 2)


def test_saved_with_its_class(tmp_path):
    rng = np.random.default_rng(0)
    x, y = np.float32(rng.normal(size=(8, 3))), np.float32(rng.normal(size=(8, 2)))
    _, model = trained([Doubled(2, activation="tanh")], x, y)
    for name in ("model.keras", "model.safetensors"):
        model.save(tmp_path / name)
        loaded = nnx.models.load_model(tmp_path / name, custom_objects={"Doubled": Doubled})
        assert_close(loaded.predict(x), model.predict(x))


class Sum(Layer):
    """The sum of its inputs, with a pullback from outside."""

    def __init__(self, returns: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.returns = returns

    def forward(self, *inputs: Any, training: bool = False) -> Any:
        return sum(inputs), self.returns

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0] if isinstance(input_shape, list) else input_shape


def sum_by_lambda(returns: Any) -> Lambda:
    return Lambda(lambda x: (x[0] + x[1] if isinstance(x, list) else 1.0 * x, returns))


@pytest.mark.parametrize("make", [Sum, sum_by_lambda])
@pytest.mark.parametrize(
    ("count", "returns", "says"),
    [
        (1, lambda dy: dy[:1], r"a cotangent of shape \(1, 3\), expected \(16, 3\)"),
        (1, lambda dy: (dy, dy), "2 cotangents, expected one, an array"),
        (2, lambda dy: dy, r"(ndarray|TrackedNumpy), expected a tuple of 2, one for each array"),
        (2, lambda dy: None, "NoneType, expected a tuple of 2"),
        (2, lambda dy: (dy, dy, dy), "3 cotangents, expected a tuple of 2"),
        (2, lambda dy: (dy, dy[:1]), r"a cotangent of shape \(1, 3\), expected \(16, 3\)"),
    ],
)
def test_cotangents_of_inputs_are_looked_at(make: Any, count: int, returns: Any, says: str):
    layer, x = make(returns), nnx.Input((3,))
    inputs = [Dense(3)(x) for _ in range(count)]
    model = nnx.Model(x, Dense(1)(layer(inputs if count > 1 else inputs[0])))
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=rf"{layer.name}: the pullback returned {says}"):
        model.train_on_batch(X, Y)


def test_a_pullback_that_forgets_to_return():
    model = nnx.Sequential([nnx.Input((3,)), Dense(3), Sum(lambda dy: None), Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="sum: the pullback returned None, expected the cotangent of the input"):
        model.train_on_batch(X, Y)


@pytest.mark.parametrize("make", [Sum, sum_by_lambda])
def test_cotangents_of_inputs_may_be_a_list(make: Any):
    x = nnx.Input((3,))
    model = nnx.Model(x, Dense(1)(make(lambda dy: [dy, dy])([Dense(3)(x), Dense(3)(x)])))
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.train_on_batch(X, Y)
    assert all((old != new).any() for old, new in zip(before, model.get_weights(), strict=True))
