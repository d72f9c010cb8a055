"""Layers and models that are written as `call`, ordinary array code: it is run, and its derivative is derived."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.layers import LSTM, Activation, Dense, Dropout, Embedding, Input, Layer, Reshape
from nnx.random import Generator
from nnx.testing import assert_close, check_gradients, no_synchronization

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


def test_layers_with_weights_are_not_made_in_the_call():
    layer = written(lambda self, x: Dense(2)(x))
    with pytest.raises(
        TypeError, match=r"mine: call\(\) uses dense, a Dense with weights that is no attribute of mine"
    ):
        layer(X)
    assert not layer.built
    assert written(lambda self, x: Activation("tanh")(Reshape((3, 1))(x)))(X).shape == (4, 3, 1)


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


class Branching(Layer):
    """Control flow of Python on values, on `training` and on what the layer remembers."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.calls = 0
        self.blocks = [Dense(3, activation="tanh") for _ in range(2)]
        self.heads = {"up": Dense(3), "down": [Dense(3)]}

    def call(self, x: Any, training: Any = None) -> Any:
        self.calls += 1
        for block in self.blocks:
            x = block(x)
        if nnx.array_namespace(x).sum(x) > 0.0:
            x = 2.0 * x
        return self.heads["up"](x) if training else self.heads["down"][0](x)


def test_control_flow_is_that_of_python():
    layer = Branching()
    first, second = layer(X), layer(X, training=True)
    assert (first != second).any()
    assert layer.calls >= 4  # it was tried out before
    assert [one.name for one in layer.sublayers()] == ["dense", "dense_1", "dense_2", "dense_3"]
    assert len(layer.weights) == 8
    model = nnx.Sequential([Input((3,)), Branching()])
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(X, X, verbose=0)
    changed = [(old != new).any() for old, new in zip(before, model.get_weights(), strict=True)]
    assert changed == [True] * 6 + [False] * 2  # training takes the head "up"


@pytest.mark.parametrize(
    "call",
    [
        lambda self, x, xp: xp.exp(x) / (1.0 + xp.sum(xp.exp(x), axis=-1, keepdims=True)),
        lambda self, x, xp: xp.where(x > 0.0, x, 0.1 * x),
        lambda self, x, xp: abs(x) ** 1.5 + 2.0**x,
        lambda self, x, xp: xp.stack([row * 2.0 for row in x]),
        lambda self, x, xp: xp.concat([x[:, 1:], x[:, :1] % 2.0], axis=1),
        lambda self, x, xp: nnx.functional.relu(x)[0] + nnx.activations.softmax(x),
    ],
)
def test_array_code_has_its_derivative(call: Any, backend_float64: Placement):
    layer = written(lambda self, x: call(self, x, nnx.array_namespace(x)))
    with nnx.backend(backend_float64.name, device=backend_float64.device, dtype="float64"):
        layer.build_on(backend_float64, (None, 3))
    check_gradients(lambda x: layer.run(x, training=False), X, placement=backend_float64)


def test_functions_of_numpy():
    x = np.float32(X)
    layer = written(lambda self, x: np.exp(x) * np.where(x > 0, x, 0.0) + np.maximum(x, 0.5))
    assert_close(layer(x), np.exp(x) * np.where(x > 0, x, 0.0) + np.maximum(x, 0.5), length=2)
    with pytest.raises(TypeError, match="does not become one of NumPy, which would lose its derivative in silence"):
        written(lambda self, x: np.asarray(x))(x)
    with pytest.raises(
        TypeError, match=r"numpy.add of a tracked array takes no out=, where= or dtype= and has no \.reduce"
    ):
        written(lambda self, x: np.add.reduce(x))(x)
    with pytest.raises(NotImplementedError, match=r"interp has no derivative in nnx: nnx.stop_gradient"):
        written(lambda self, x: np.interp(x, x, x))(x)


def test_arrays_of_constants():
    z = np.float32([1.0, 2.0, 3.0])
    assert_close(written(lambda self, x: z * x + np.arange(3))(X), z * np.float32(X) + np.arange(3), length=2)


def test_what_is_returned():
    with pytest.raises(
        TypeError, match=r"mine: call\(\) has to return an array, or a list, tuple or dict.*got NoneType"
    ):
        written(lambda self, x: None)(X)
    made = written(lambda self, x: {"double": 2.0 * x, "parts": (x[:, :1], x[:, 1:])})(X)
    assert made["double"].shape == (4, 3)
    assert [part.shape for part in made["parts"]] == [(4, 1), (4, 2)]


class Valued(Layer):
    def build(self, input_shape: Any) -> None:
        self.gain = self.add_weight((1,), "ones", name="gain")
        super().build(input_shape)

    def call(self, x: Any) -> Any:
        return x * self.gain.value


def test_a_weight_that_is_not_trained_is_told():
    with pytest.warns(
        UserWarning, match=r"valued: the output of call\(\) does not depend on its weight gain.*self.gain, w"
    ):
        Valued()(X)


class Counting(Layer):
    """Keeps a running sum in a weight that is not trained."""

    def build(self, input_shape: Any) -> None:
        self.total = self.add_weight((), "zeros", name="total", trainable=False)
        super().build(input_shape)

    def call(self, x: Any) -> Any:
        self.total.assign_add(nnx.array_namespace(x).sum(x))
        return x / (1.0 + self.total * 0.0)


def test_states_are_kept_and_a_trial_leaves_none():
    layer = Counting()
    layer.build_on(nnx.get_backend(), (None, 3))
    assert float(layer.total.numpy()) == 0.0
    layer(np.ones((2, 3)))
    layer(np.ones((2, 3)))
    assert float(layer.total.numpy()) == 12.0


class Lookup(Layer):
    def build(self, input_shape: Any) -> None:
        self.table = self.add_weight((5, 2), name="table")
        super().build(input_shape)

    def call(self, tokens: Any) -> Any:
        return self.table[tokens]


def test_a_call_that_takes_integers():
    model = nnx.Sequential([Input((3,), dtype="int32"), Lookup()])
    tokens = np.array([[0, 4, 4], [1, 2, 0]])
    assert_close(model.predict(tokens, verbose=0), model.get_weights()[0][tokens], 0.0, 0.0)
    model.compile("sgd", "mse")
    before = model.get_weights()[0]
    model.fit(tokens, np.ones((2, 3, 2)), verbose=0)
    assert ((model.get_weights()[0] != before).any(axis=1) == [True, True, True, False, True]).all()


class Conditioned(Layer):
    """Takes a second array, by position or by name, and a number."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner = Dense(3)

    def call(self, x: Any, scale: Any = 1.0, context: Any = None) -> Any:
        y = scale * self.inner(x)
        return y if context is None else y + context


def test_arguments_that_are_arrays_and_others(tmp_path: Any):
    layer = Conditioned()
    x, context = np.float32(X), np.float32(X + 1.0)
    plain = layer(x)
    assert_close(layer(x, 2.0), 2.0 * plain, length=4)
    assert_close(layer(x, context=context), plain + context, length=4)
    assert_close(layer(x, 3.0, context=context), 3.0 * plain + context, length=4)
    with pytest.raises(TypeError, match="conditioned takes no 'contxt' when it is called; did you mean 'context'"):
        layer(x, contxt=context)
    first, second = Input((3,)), Input((3,))
    model = nnx.Model([first, second], layer(first, 2.0, context=second))
    assert_close(model.predict([x, context], verbose=0), 2.0 * plain + context, length=4)
    model.save(tmp_path / "model.safetensors")
    copy = nnx.models.load_model(tmp_path / "model.safetensors", custom_objects={"Conditioned": Conditioned})
    assert (copy.predict([x, context], verbose=0) == model.predict([x, context], verbose=0)).all()
    model.compile("sgd", "mse")
    assert model.train_on_batch([x, context], x) > 0.0


class Classifier(nnx.Model):
    def __init__(self, ends: str = "softmax") -> None:
        super().__init__()
        self.hidden, self.end = Dense(4, activation="tanh"), Dense(3, activation=ends)

    def call(self, x: Any) -> Any:
        return self.end(self.hidden(x))


def test_logits_reach_the_loss():
    nnx.random.set_seed(1)
    model = Classifier()
    model.compile("sgd", "sparse_categorical_crossentropy")
    labels = np.arange(4) % 3
    stack = nnx.Sequential([Input((3,)), Dense(4, activation="tanh"), Dense(3, activation="softmax")])
    stack.compile("sgd", "sparse_categorical_crossentropy")
    model.build((None, 3))
    assert model.fusible_activation == "softmax"
    model.set_weights([1000.0 * weight for weight in stack.get_weights()])
    stack.set_weights(model.get_weights())
    assert model.train_on_batch(X, labels) == stack.train_on_batch(X, labels)  # probabilities would have lost it
    assert all((one == other).all() for one, other in zip(model.get_weights(), stack.get_weights(), strict=True))


def test_a_call_that_no_longer_ends_in_what_the_loss_contains():
    class Turning(Classifier):
        turned = False

        def call(self, x: Any) -> Any:
            y = super().call(x)
            return 2.0 * y if self.turned else y

    model = Turning()
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(X, np.arange(4) % 3, verbose=0)
    model.turned = True
    with pytest.raises(ValueError, match="the loss takes what comes before the last softmax or sigmoid"):
        model.fit(X, np.arange(4) % 3, verbose=0)


def test_a_layer_that_only_training_calls_late():
    class Late(nnx.Model):
        late = False

        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = Dense(3), Dense(3)

        def call(self, x: Any) -> Any:
            return self.second(x) if self.late else self.first(x)

    model = Late()
    model.compile("sgd", "mse")
    model.fit(X, X, verbose=0)
    model.late = True
    with pytest.raises(
        RuntimeError, match="dense_1 is called for the first time after the layer that uses it was built"
    ):
        model.fit(X, X, verbose=0)


class Penalised(Layer):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner = Dense(3, kernel_initializer="ones")

    def call(self, x: Any) -> Any:
        y = self.inner(x)
        self.add_loss(0.5 * nnx.array_namespace(y).sum(y * y))
        return y


def test_add_loss(backend: Placement):
    with nnx.backend(backend.name, device=backend.device):
        model = nnx.Sequential([Input((3,)), Penalised()])
    model.compile(nnx.optimizers.SGD(0.1), "mse")
    x = np.float32(X)
    before = model.get_weights()
    y = x @ before[0] + before[1]
    loss = model.train_on_batch(x, x)
    assert_close(loss, np.mean((y - x) ** 2) + 0.5 * np.sum(y * y), length=12)
    gradient = x.T @ (2.0 * (y - x) / x.size + y)
    assert_close(model.get_weights()[0], before[0] - 0.1 * gradient, length=12)
    with pytest.raises(TypeError, match=r"mine: add_loss takes a number .* got shape \(2, 3\)"):
        written(lambda self, x: self.add_loss(x) or x)(X)
    with pytest.raises(TypeError, match=r"add_loss is called from inside of call\(\)"):
        Layer().add_loss(np.float32(1.0))


def focal(y_true: Any, y_pred: Any) -> Any:
    p = nnx.ops.sum(y_pred * y_true, axis=-1)
    return -((1.0 - p) ** 2) * nnx.ops.log(nnx.ops.clip(p, 1e-7, 1.0))


def test_a_step_with_a_layer_and_a_loss_of_ones_own_waits_for_nothing(backend: Placement):
    with nnx.backend(backend.name, device=backend.device):
        model = nnx.Sequential([Input((3,)), Penalised(), Dense(2, "softmax")])
    model.compile("adam", focal)
    y = np.float32(np.eye(2))[[0, 1, 1, 0]]
    model.fit(X, y, verbose=0)
    x, targets = backend.asarray(np.float32(X)), backend.asarray(y)
    before = model.get_weights()
    with no_synchronization():
        model.trainer.step.train([x], [targets], [None])
    assert all((one != other).any() for one, other in zip(before, model.get_weights(), strict=True))


class Overwriting(Layer):
    def build(self, input_shape: Any) -> None:
        self.gain = self.add_weight((), "ones", name="gain")
        super().build(input_shape)

    def call(self, x: Any) -> Any:
        self.gain = self.gain + 1.0
        return x * self.gain


class Converting(Overwriting):
    def call(self, x: Any) -> Any:
        return x / float(self.gain)


class Returning(Overwriting):
    def call(self, x: Any) -> Any:
        return self.gain


@pytest.mark.parametrize("trainable", [True, False])
def test_a_state_is_not_replaced_in_silence(trainable: bool):
    class Counting(Layer):
        def build(self, input_shape: Any) -> None:
            self.count = self.add_weight((), "zeros", name="count", trainable=trainable)

        def call(self, x: Any) -> Any:
            self.count += 1.0
            return x + self.count

    with pytest.raises(TypeError, match=r"a weight is changed by self.count.assign"):
        Counting()(X)


class Requiring(Layer):
    def call(self, x: Any, mask: Any) -> Any:
        return x * nnx.ops.cast(mask[..., None], "float32")


def test_what_a_call_may_do_with_a_weight():
    with pytest.raises(TypeError, match=r"overwriting: call\(\) keeps an array .* in self.gain.*self.gain.assign"):
        Overwriting()(X)
    with pytest.warns(UserWarning, match=r"float\(x\) of a tracked array is a constant.*nnx.stop_gradient"):
        Converting()(X)
    with pytest.warns(UserWarning, match=r"unused: the output of call\(\) does not depend on its weight gain"):
        type("Unused", (Overwriting,), {"call": lambda self, x: x / float(self.gain.value)})()(X)
    assert float(Returning()(X)) == 1.0


def test_weights_in_conditions_and_comparisons():
    class Counting(Layer):
        def build(self, input_shape: Any) -> None:
            self.count = self.add_weight((), "zeros", name="count", dtype="int64", trainable=False)
            self.gain = self.add_weight((), "ones", name="gain")

        def call(self, x: Any) -> Any:
            assert int(self.count) == 0
            assert not self.count
            assert self.gain > 0.5
            assert self.count <= self.gain
            return x * self.gain if self.gain else x

    assert_close(Counting()(X), X)


def test_variables_in_attributes_are_weights(backend: Placement, tmp_path: Any):
    class Affine(Layer):
        def __init__(self, units: int = 2, **options: Any) -> None:
            super().__init__(**options)
            self.units = units
            self.parts = [nnx.Variable(np.ones(units)), nnx.Variable("zeros", (units,))]
            self.steps = nnx.Variable(0, trainable=False, name="steps")

        def build(self, input_shape: Any) -> None:
            self.own = self.add_weight((self.units,), name="own")
            self.kernel = nnx.Variable(nnx.initializers.Constant(0.5), (input_shape[-1], self.units), name="kernel")

        def call(self, x: Any, training: Any = None) -> Any:
            if training:
                self.steps.assign_add(1)
            return x @ self.kernel + self.parts[0] + self.parts[1] + self.own

    model = nnx.Sequential([Input((3,)), Affine()])
    assert [w.path for w in model.weights] == [
        f"affine/{name}" for name in ("variable", "variable_1", "own", "kernel", "steps")
    ]
    assert len(model.trainable_weights) == 4
    before = model.get_weights()
    model.compile("sgd", "mse")
    x = np.ones((4, 3), "float32")
    model.fit(x, x[:, :2], epochs=2, batch_size=2, verbose=0)
    assert int(model.layers[0].steps) == 4
    assert all((one != other).any() for one, other in zip(before, model.get_weights(), strict=True))
    model.save(tmp_path / "model.safetensors")
    again = nnx.models.load_model(tmp_path / "model.safetensors", custom_objects={"Affine": Affine})
    assert_close(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_variables_outside_of_layers(backend: Placement):
    x, kept = nnx.Variable([2.0, 3.0], name="x"), nnx.Variable(np.arange(3))
    with nnx.GradientTape() as tape:
        loss = nnx.ops.sum(x * x)
    nnx.optimizers.SGD(0.25).apply([tape.gradient(loss, x)], [x])
    assert_close(x.value, [1.0, 1.5])
    assert (x.name, x.dtype, kept.dtype, nnx.backend.Variable(1.0).shape) == ("x", "float32", "int64", ())
    with pytest.raises(
        TypeError, match=r"needs the shape that 'zeros' is to make: write nnx.Variable\('zeros', shape="
    ):
        nnx.Variable("zeros")


class Expecting(Requiring):
    def call(self, x: Any, mask: Any = None) -> Any:
        return super().call(x, mask)


@pytest.mark.parametrize("cls", [Requiring, Expecting])
def test_a_mask_that_is_required(cls: Any):
    x = np.ones((1, 2, 3), "float32")
    assert cls()(x, mask=np.array([[True, False]])).tolist() == [[[1.0] * 3, [0.0] * 3]]
    tokens = Input((2,), dtype="int32")
    model = nnx.Model(tokens, cls()(nnx.layers.Embedding(5, 3, mask_zero=True)(tokens)))
    assert not model.predict(np.array([[1, 0]]), verbose=0)[0, 1].any()
    with pytest.raises(TypeError, match="NoneType"):
        cls()(x)


def test_an_error_in_a_call_names_the_layer():
    with pytest.raises(ValueError) as caught:
        nnx.Sequential([Input((3,)), written(lambda self, x: nnx.ops.matmul(x, np.ones((9, 2), "float32")))])
    assert (
        caught.value.__notes__[0] == "in call() of mine (Mine), for inputs of shapes (2, 3); tried out on a small batch"
    )


class Noisy(Layer):
    def call(self, x: Any, training: Any = None) -> Any:
        return x + nnx.random.normal(x.shape) if training else x


def test_random_numbers_of_a_call_are_where_the_model_is(backend: Placement):
    with nnx.backend(backend.name, device=backend.device):
        model = nnx.Sequential([Input((3,)), Noisy(), Dense(2)])
    model.compile("adam", "mse")
    with nnx.backend("numpy"):
        model.fit(X, X[:, :2], verbose=0)
        assert nnx.get_backend().name == "numpy"
    first, second = model.layers[0], backend.asarray(np.float32(X))
    assert (nnx.to_numpy(first(second, training=True)) != nnx.to_numpy(first(second, training=True))).any()


# What a symbolic value cannot do


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (lambda x: x if x == 0 else -x, "a comparison"),
        (lambda x: x if x != np.zeros(3) else -x, "the truth"),
        (lambda x: x if x > 0 else -x, "the truth"),
        (lambda x: x if x else -x, "the truth"),
        (lambda x: np.sum(x), "numpy.sum"),
        (lambda x: np.maximum(x, 0.0), "numpy.maximum"),
        (lambda x: np.equal(1.0, x), "numpy.equal"),
        (lambda x: np.add.reduce(x), "numpy.add"),
        (lambda x: np.asarray(x), "the values"),
        (lambda x: math.exp(x), "the value"),
        (lambda x: nnx.array_namespace(x).exp(x), "array functions"),
        (lambda x: nnx.functional.relu(x), "array functions"),
        (lambda x: [row for row in x], "the elements"),  # noqa: C416
        (lambda x: x if 1.0 in x else -x, "the elements"),
        (lambda x: len(x), "the length"),
        (lambda x: x.__setitem__(0, 1.0), "assignment to elements"),
        (lambda x: x.sum(), "has no 'sum'"),
        (lambda x: x.T, "has no 'T'"),
    ],
)
def test_what_needs_values_says_what_to_write(use: Any, words: str):
    with pytest.raises((TypeError, AttributeError), match=f"{words}.*functions of nnx.ops.*write a layer with call"):
        use(Input((3,)))


def test_operators_of_symbols_with_arrays():
    x = Input((3,))
    z = np.float32([1.0, 2.0, 3.0])
    model = nnx.Model(x, [x + z, z - x, x**x, 2.0**x, abs(x), x % 2.0, x // 2.0, x * (x > 0.0)])
    given = np.float32(X)
    with np.errstate(invalid="ignore"):
        expected = [
            *(given + z, z - given, given**given, 2.0**given, abs(given)),
            *(given % 2.0, given // 2.0, given * (given > 0.0)),
        ]
        found = model.predict(given, verbose=0)
    for made, right in zip(found, expected, strict=True):
        assert_close(made[np.isfinite(right)], right[np.isfinite(right)], length=4)
    with pytest.raises(TypeError, match=r"add of a symbolic value takes a number, an array.* got str"):
        _ = x + "one"


def test_truths_of_symbols():
    """`&`, `|`, `^` and `~` are logical, also of numbers, as in Keras."""
    x, y = Input((3,)), Input((3,))
    given = np.float32([[1.0, 0.0, -1.0], [2.0, -3.0, 0.0]]), np.float32([[1.0, 1.0, -1.0], [-2.0, -3.0, 0.0]])
    row = np.asarray([True, False, True])

    def truths(x, y):
        a, b = x > 0.0, y > 0.0
        return [a & b, a | b, a ^ b, ~a, x != 0.0, x != y, True & a, b & row, False | a, row ^ b, row * 1.0 < x]

    outputs = truths(x, y)
    model = nnx.Model([x, y], [nnx.ops.cast(made, "float32") for made in outputs])
    for made, right in zip(model(given), truths(*given), strict=True):
        np.testing.assert_array_equal(made, np.float32(right))
    numbers = nnx.Model([x, y], nnx.ops.cast(x & y, "float32"))
    np.testing.assert_array_equal(numbers(given), np.float32(np.logical_and(*given)))


def test_a_clone_has_the_arrays_of_calls(backend):
    x, z = Input((3,)), np.float32([1.0, 0.0, 2.0])
    inner = nnx.Model(x, nnx.ops.maximum(x, z))
    model = nnx.Model(x, [x - z, z * x, inner(x)])
    given = backend.asarray(np.float32(X))
    for clone in (nnx.models.clone_model(model), nnx.models.clone_model(model, recursive=True)):
        for made, right in zip(clone(given), model(given), strict=True):
            np.testing.assert_array_equal(nnx.to_numpy(made), nnx.to_numpy(right))


def test_batch_axes_are_not_broadcast_against_others():
    x, y = Input((3,)), Input((2, 3))
    with pytest.raises(ValueError, match=r"\(None, 3\) and \(None, 2, 3\) have their batch axes in different places"):
        _ = x + y
    with pytest.raises(ValueError, match="batch axes in different places"):
        _ = x[:, 0] * x
    assert (x[:, None] + y).shape == (None, 2, 3)


# training and mask


def test_training_and_mask_have_their_values():
    layer = written(lambda self, x, training=None, mask=None: 2.0 * x if training else x if mask is None else 3.0 * x)
    x = np.ones((2, 3), "float32")
    assert layer(x)[0, 0] == 1.0
    assert layer(x, training=True)[0, 0] == 2.0
    assert layer(x, mask=np.ones(2, bool))[0, 0] == 3.0


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
    first = written(lambda self, x: self.inner(x)) if wrapped else inner
    if wrapped:
        first.inner = inner
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


class Halves(Layer):
    """Two outputs, each with its half of the mask."""

    def call(self, x: Any) -> Any:
        return nnx.ops.split(x, 2, axis=1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None if mask is None else nnx.ops.split(mask, 2, axis=1)


class LookedUp(Layer):
    """Makes a mask where there is none."""

    def build(self, input_shape: Any) -> None:
        self.table = self.add_weight((5, 3), "glorot_uniform", name="table")

    def call(self, words: Any) -> Any:
        return nnx.ops.take(self.table, words, axis=0)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return nnx.ops.not_equal(inputs, 0)


@pytest.mark.parametrize("embedding", [LookedUp, lambda: Embedding(5, 3, mask_zero=True)], ids=["own", "nnx's"])
def test_masks_of_compute_mask_go_on_from_each_output(backend: Placement, embedding: Any):
    """In a graph, in a Sequential, and in a call."""
    words = np.array([[1, 4, 2, 0], [3, 0, 0, 0]])
    tokens = Input(shape=(4,), dtype="int32")
    first, second = Halves()(embedding()(tokens))
    model = nnx.Model(tokens, [LSTM(2, name="first")(first), LSTM(2, name="second")(second)])
    found = model.predict(words, verbose=0)
    embedded = model.layers[1](backend.asarray(words, "int64"))
    for name, half, y in (("first", slice(0, 2), found[0]), ("second", slice(2, 4), found[1])):
        expected = model.get_layer(name)(embedded[:, half, :], mask=backend.asarray(words[:, half] != 0, "bool"))
        assert_close(y, nnx.to_numpy(expected), length=4)
    assert np.abs(found[1][0]).min() > 0.0
    assert np.abs(found[1][1]).max() == 0.0  # no step counts

    inner = embedding()
    wrapped = written(lambda self, x: self.inner(x))
    wrapped.inner = inner
    for layers in ([inner], [wrapped]):
        alone = nnx.Sequential([Input(shape=(4,), dtype="int32"), *layers, LSTM(2)])
        mask = backend.asarray(words != 0, "bool")
        expected = alone.layers[-1](inner(backend.asarray(words, "int64")), mask=mask)
        assert_close(alone.predict(words, verbose=0), nnx.to_numpy(expected), length=4)


def test_a_layer_that_takes_no_mask_may_be_given_one():
    x = np.float32(Generator(3).normal((2, 3, 4)))
    layer = Dense(2)
    assert_close(layer(x, mask=np.ones((2, 3), bool)), layer(x), 0.0, 0.0)


# Two ways at once


def test_a_call_beside_an_inherited_chain_of_layers_is_refused():
    layer = type("Mine", (nnx.Sequential,), {"call": lambda self, x: 2.0 * x})([Dense(2)])
    with pytest.raises(TypeError, match=r"Mine has a call\(\) of its own beside the forward\(\)"):
        layer(X)


def test_a_model_with_outputs_and_a_call_is_refused():
    x = Input((3,))
    with pytest.raises(TypeError, match=r"mine has inputs and outputs and a call\(\) too"):
        type("Mine", (nnx.Model,), {"call": lambda self, x: 2.0 * x})(x, Dense(1)(x))


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
    with pytest.raises(ValueError, match="could not be broadcast"):
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


def test_a_call_takes_whatever_sizes_it_can():
    layer = written(lambda self, x: nnx.array_namespace(x).sum(x, axis=1))
    assert layer(np.ones((2, 5, 3))).shape == (2, 3)
    assert layer(np.ones((2, 6, 4))).shape == (2, 4)
    layer = written(lambda self, x: nnx.array_namespace(x).sum(x, axis=2))
    layer.build_on(nnx.get_backend(), (None, None, 3))
    assert layer.compute_output_shape((None, None, 3)) == (None, None)


def test_weights_without_names():
    layer = Layer()
    names = [layer.add_weight(shape=(2,)).name, layer.add_weight().name, layer.add_weight((1,), name="own").name]
    assert names == ["variable", "variable_1", "own"]
    assert [weight.shape for weight in layer.weights] == [(2,), (), (1,)]


def test_what_layers_inside_return_may_be_changed_in_place(backend_float64: Placement):
    class Coupling(Layer):
        def __init__(self, in_place: bool) -> None:
            super().__init__()
            self.in_place = in_place
            self.scale, self.shift = Dense(3, "tanh", kernel_initializer="ones"), Dense(3, kernel_initializer="ones")

        def call(self, x: Any) -> Any:
            s, t = self.scale(x), self.shift(x)
            if not self.in_place:
                return x * nnx.ops.exp(s * 0.5) + (t + s * 0.5)
            s *= 0.5
            t += s
            return x * nnx.ops.exp(s) + t

    found = []
    for in_place in (False, True):
        model = nnx.Sequential([Input((3,)), Coupling(in_place)])
        model.compile("sgd", "mse")
        found.append([*model.fit(X, X, epochs=2, verbose=0).history["loss"], model.predict(X, verbose=0)])
    for one, other in zip(*found, strict=True):
        assert_close(np.asarray(other), np.asarray(one), rtol=1e-6)


def test_training_where_nobody_says_is_what_call_has_for_it():
    seen: list[Any] = []

    class Inner(Layer):
        def call(self, x: Any, training: Any = None) -> Any:
            seen.append(("inner", training))
            return x

    class Outer(Layer):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Inner()

        def call(self, x: Any, training: bool = True) -> Any:
            seen.append(("outer", training))
            return self.inner(x)

    def said(function: Any) -> list[Any]:
        seen.clear()
        function()
        return list(seen)

    x, layer = nnx.asarray(X), Outer()
    model = nnx.Sequential([Input((3,)), layer, Dense(1)])
    for function in (lambda: layer(x), lambda: model(x)):
        assert said(function) == [("outer", True), ("inner", True)]
    assert said(lambda: layer(x, training=False)) == [("outer", False), ("inner", False)]
    assert said(lambda: model.predict(X, verbose=0)) == [("outer", False), ("inner", False)]
    with nnx.GradientTape():
        assert said(lambda: layer(x)) == [("outer", True), ("inner", True)]


class Noting(Layer):
    """Notes the masks that it gets."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.got: list[Any] = []

    def call(self, inputs: Any, context: Any = None, mask: Any = None, context_mask: Any = None) -> Any:
        self.got = [mask, context_mask]
        return nnx.ops.sum(inputs[0] if isinstance(inputs, list) else inputs, axis=-1, keepdims=True)


def masked_and_plain() -> tuple[Any, Any]:
    steps = Input((3,), dtype="int32")
    return steps, Embedding(5, 2, mask_zero=True)(steps)


def test_masks_of_several_arguments_have_their_names():
    steps, x = masked_and_plain()
    layer = Noting()
    other = Input((3, 2))
    model = nnx.Model([steps, other], layer(other, x))
    indices = np.asarray([[1, 2, 0]])
    model([indices, np.zeros((1, 3, 2), "float32")])
    assert layer.got[0] is None
    assert layer.got[1].tolist() == [[True, True, False]]
    given = np.asarray([[True, False, False]])
    layer(np.ones((1, 3, 2), "float32"), np.ones((1, 3, 2), "float32"), mask=given)
    assert layer.got[0] is given  # an explicit one stays
    assert layer.got[1] is None


def test_masks_of_a_list_are_a_list_also_where_none_has_one():
    steps, x = masked_and_plain()
    layer = Noting()
    other = Input((3, 2))
    model = nnx.Model([steps, other], layer([x, other]))
    model([np.asarray([[1, 2, 0]]), np.zeros((1, 3, 2), "float32")])
    (first, second), of_context = layer.got
    assert (first.tolist(), second, of_context) == ([[True, True, False]], None, None)
    layer([np.ones((1, 3, 2), "float32")] * 2)
    assert layer.got[0] == [None, None]


# What a call is tried out with


def neighbours(self: Any, inputs: Any) -> Any:
    """Sums over edges: the first axes of nodes and of edges are no batch of one size."""
    nodes, edges, weights = inputs
    sent = nnx.ops.take(nodes, edges[1, ...], axis=0) * weights[:, None]
    return nnx.ops.segment_sum(sent, edges[0, ...], num_segments=nodes.shape[0])


def test_inputs_without_a_common_batch_are_tried_out_as_they_are(backend: Placement):
    nodes, edges = np.eye(3, 2, dtype="float32"), np.asarray([[0, 1, 2, 0], [1, 2, 0, 0]])
    weights = np.asarray([1.0, 2.0, 3.0, 4.0])  # float64
    with nnx.backend(backend.name, device=backend.device):
        layer = written(neighbours)
        y = layer([nnx.asarray(nodes), nnx.asarray(edges, "int64"), nnx.asarray(weights)])
    assert_close(y, [[4.0, 1.0], [0.0, 0.0], [3.0, 0.0]])
    assert "float32" in str(y.dtype)
    outer = written(lambda self, x: self.inner([x * 1.0, edges, np.float32(weights)]))
    outer.inner = written(neighbours)  # type: ignore[attr-defined]
    assert_close(outer(nodes), [[4.0, 1.0], [0.0, 0.0], [3.0, 0.0]])


@pytest.mark.parametrize("rows", [4, 8, 100])
def test_positions_may_be_few(rows: int):
    layer = written(lambda self, x: x + self.positions(np.arange(x.shape[1])))
    layer.positions = Embedding(rows, 2)  # type: ignore[attr-defined]
    y = layer(Input((None, 2)))
    assert y.shape == (None, None, 2)


def test_integers_and_floats_in_one_call():
    def call(self: Any, x: Any, indices: Any) -> Any:
        return nnx.ops.take_along_axis(nnx.ops.top_k(x, 2)[0], indices, axis=-1)

    layer = written(call)
    y = layer(Input((5,)), Input((2,), dtype="int32"))
    assert y.shape == (None, 2)

    assert layer(np.arange(5.0)[None], np.asarray([[1, 0]])).tolist() == [[3.0, 4.0]]
