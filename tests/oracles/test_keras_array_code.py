"""Array code of one's own, the same source in both libraries: outputs, and weights after two steps of training.

Layers, losses, metrics and penalties are functions of a namespace of operations, `nnx.ops` here and `keras.ops` there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="the oracle Keras is not installed; pip install 'nnx-array[oracle]'")

import nnx  # noqa: E402
from nnx.random import Generator  # noqa: E402
from nnx.testing import assert_close  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")

X = np.float32(Generator(1).normal((6, 5)))
Y = np.float32(Generator(2).normal((6, 3)))
IDS = np.array([0, 0, 1, 2])
TOLERANCE = {"rtol": 2e-5, "atol": 2e-5}

Expression = Callable[[Any, Any, Any], Any]

EXPRESSIONS: dict[str, Expression] = {  # of the operations, x (6, 4) and a weight (4,)
    "scaled": lambda o, x, w: x * w,
    "shifted": lambda o, x, w: x + w - 0.5,
    "quotient": lambda o, x, w: x / (1.0 + w * w),
    "power": lambda o, x, w: (x * x + 0.1) ** 1.5 * w,
    "gate": lambda o, x, w: x * o.sigmoid(x * w),
    "exp": lambda o, x, w: o.exp(-o.square(x - w)),
    "expm1": lambda o, x, w: o.expm1(0.3 * x * w),
    "log": lambda o, x, w: o.log(1.0 + o.abs(x)) * w,
    "log1p": lambda o, x, w: o.log1p(o.square(x * w)),
    "log2": lambda o, x, w: o.log2(1.5 + o.square(x)) * w,
    "log10": lambda o, x, w: o.log10(1.5 + o.square(x * w)),
    "sqrt": lambda o, x, w: o.sqrt(1.0 + o.square(x * w)),
    "rsqrt": lambda o, x, w: o.rsqrt(1.0 + o.square(x * w)),
    "reciprocal": lambda o, x, w: o.reciprocal(2.0 + o.square(x * w)),
    "sin": lambda o, x, w: o.sin(x * w),
    "cos": lambda o, x, w: o.cos(x * w) * x,
    "tan": lambda o, x, w: o.tan(0.3 * x * w),
    "sinh": lambda o, x, w: o.sinh(0.5 * x * w),
    "cosh": lambda o, x, w: o.cosh(0.5 * x * w),
    "tanh": lambda o, x, w: o.tanh(x * w + 0.1),
    "arcsin": lambda o, x, w: o.arcsin(0.9 * o.tanh(x * w)),
    "arccos": lambda o, x, w: o.arccos(0.9 * o.tanh(x * w)),
    "arctan": lambda o, x, w: o.arctan(x * w),
    "arcsinh": lambda o, x, w: o.arcsinh(x * w),
    "arccosh": lambda o, x, w: o.arccosh(1.5 + o.square(x * w)),
    "arctanh": lambda o, x, w: o.arctanh(0.9 * o.tanh(x * w)),
    "arctan2": lambda o, x, w: o.arctan2(x, 1.0 + o.square(w)),
    "hypot": lambda o, x, w: o.hypot(x, w + 0.1),
    "logaddexp": lambda o, x, w: o.logaddexp(x, w),
    "absolute": lambda o, x, w: o.absolute(x * w - 0.2),
    "negative": lambda o, x, w: o.negative(x) * w,
    "maximum": lambda o, x, w: o.maximum(x, w - 0.7),
    "minimum": lambda o, x, w: o.minimum(x, w - 0.7),
    "clip": lambda o, x, w: o.clip(x * w, -0.5, 0.7),
    "sign": lambda o, x, w: o.sign(x) * w + x,
    "floor": lambda o, x, w: o.floor(3.0 * x) * w + x,
    "mod": lambda o, x, w: o.mod(x * 2.0, 0.7) * w,
    "where": lambda o, x, w: o.where(x > 0.1, x * w, 0.2 * x),
    "where of a mask": lambda o, x, w: o.where(o.cast(o.greater(x, 0.3), "bool"), w + 0.0, x * x),
    "select of less": lambda o, x, w: o.cast(o.less(x, 0.0), "float32") * w + x,
    "stop_gradient": lambda o, x, w: x * w + o.stop_gradient(o.exp(w)),
    "sum": lambda o, x, w: x + o.sum(x * w, axis=-1, keepdims=True),
    "sum of all": lambda o, x, w: x * w + 0.1 * o.sum(x),
    "mean": lambda o, x, w: x - o.mean(x * w, axis=-1, keepdims=True),
    "mean over the batch": lambda o, x, w: (x - o.mean(x, axis=0)) * w,
    "var": lambda o, x, w: x * o.var(x * w, axis=-1, keepdims=True),
    "std": lambda o, x, w: x / (0.1 + o.std(x * w, axis=-1, keepdims=True)),
    "moments": lambda o, x, w: (x - o.moments(x, axes=[1], keepdims=True)[0]) * w,
    "max": lambda o, x, w: x * w - o.max(x, axis=-1, keepdims=True),
    "min": lambda o, x, w: x * w - o.min(x, axis=-1, keepdims=True),
    "prod": lambda o, x, w: x * w + o.prod(x, axis=-1, keepdims=True),
    "amax": lambda o, x, w: o.amax(x * w, axis=1, keepdims=True) + x,
    "cumsum": lambda o, x, w: o.cumsum(x * w, axis=-1),
    "cumprod": lambda o, x, w: o.cumprod(1.0 + 0.1 * x * w, axis=-1),
    "logsumexp": lambda o, x, w: x - o.logsumexp(x * w, axis=-1, keepdims=True),
    "norm": lambda o, x, w: x * w / (1.0 + o.norm(x, axis=-1, keepdims=True)),
    "normalize": lambda o, x, w: o.normalize(x + 0.1, axis=-1) * w,
    "softmax": lambda o, x, w: o.softmax(x * w) + x,
    "log_softmax": lambda o, x, w: o.log_softmax(x * w),
    "relu": lambda o, x, w: o.relu(x * w + 0.1),
    "relu6": lambda o, x, w: o.relu6(3.0 * x * w),
    "leaky_relu": lambda o, x, w: o.leaky_relu(x * w),
    "elu": lambda o, x, w: o.elu(x * w),
    "selu": lambda o, x, w: o.selu(x * w),
    "gelu": lambda o, x, w: o.gelu(x * w),
    "silu": lambda o, x, w: o.silu(x * w),
    "softplus": lambda o, x, w: o.softplus(x * w),
    "softsign": lambda o, x, w: o.softsign(x * w),
    "hard_sigmoid": lambda o, x, w: o.hard_sigmoid(x * w),
    "hard_tanh": lambda o, x, w: o.hard_tanh(x * w * 1.3),
    "log_sigmoid": lambda o, x, w: o.log_sigmoid(x * w),
    "erf": lambda o, x, w: o.erf(x * w),
    "reshape": lambda o, x, w: o.reshape(o.reshape(x, (-1, 2, 2)) * 2.0, (-1, 4)) * w,
    "transpose": lambda o, x, w: o.transpose(o.transpose(x) * 2.0) * w,
    "expand and squeeze": lambda o, x, w: o.squeeze(o.expand_dims(x, 1) * w, 1),
    "flip": lambda o, x, w: o.flip(x, axis=-1) * w,
    "roll": lambda o, x, w: o.roll(x, 1, axis=-1) * w,
    "swapaxes": lambda o, x, w: o.swapaxes(o.swapaxes(x, 0, 1), 0, 1) * w,
    "moveaxis": lambda o, x, w: o.moveaxis(o.moveaxis(x, 0, 1), 1, 0) * w,
    "broadcast_to": lambda o, x, w: x + o.broadcast_to(w, (1, 4)),
    "tile": lambda o, x, w: x + o.tile(o.reshape(w, (2, 2)), (1, 2))[:1] * w,
    "repeat": lambda o, x, w: o.repeat(x[:, :2], 2, axis=-1) * w,
    "pad": lambda o, x, w: o.pad(x[:, 1:], ((0, 0), (0, 1))) * w,
    "concatenate": lambda o, x, w: o.concatenate([x[:, 2:], x[:, :2] * 3.0], axis=-1) * w,
    "stack": lambda o, x, w: o.sum(o.stack([x, x * w, w + x], axis=0), axis=0),
    "split": lambda o, x, w: o.concatenate(o.split(x * w, 2, axis=-1)[::-1], axis=-1),
    "unstack": lambda o, x, w: o.stack(o.unstack(x * w, axis=1)[::-1], axis=1),
    "getitem": lambda o, x, w: x[:, ::-1] * w + x[:, :1],
    "take": lambda o, x, w: o.take(x, np.array([3, 0, 0, 1]), axis=-1) * w,
    "take_along_axis": lambda o, x, w: o.take_along_axis(x, o.argsort(x, axis=-1), axis=-1) * w,
    "sort": lambda o, x, w: o.sort(x, axis=-1) * w,
    "argmax": lambda o, x, w: x * w + o.expand_dims(o.cast(o.argmax(x, axis=-1), "float32"), -1),
    "one_hot": lambda o, x, w: x + o.one_hot(o.argmax(x, axis=-1), 4) * w,
    "top_k": lambda o, x, w: x * o.top_k(x, 2)[0][:, :1] * w,
    "diagonal": lambda o, x, w: x + o.diagonal(o.outer(w + 0.0, w + 0.0)),
    "matmul": lambda o, x, w: o.matmul(x, o.outer(w + 0.0, w + 1.0)),
    "operator @": lambda o, x, w: x @ (o.eye(4) * w),
    "dot": lambda o, x, w: x * o.expand_dims(o.dot(x, w), -1),
    "tensordot": lambda o, x, w: o.tensordot(x, o.outer(w + 0.0, w + 0.0), axes=1),
    "einsum": lambda o, x, w: o.einsum("bi,i,j->bj", x, w, w),
    "einsum of a product": lambda o, x, w: o.einsum("bi,bj->bij", x, x * w)[:, 0, :],
    "vdot": lambda o, x, w: x * o.vdot(w, w),
    "trace": lambda o, x, w: x * w + o.trace(o.outer(w + 0.0, w + 0.0)),
    "tril": lambda o, x, w: x @ o.tril(o.outer(w + 0.0, w + 0.0)),
    "inv": lambda o, x, w: x @ o.inv(o.eye(4) * 3.0 + o.outer(w + 0.0, w + 0.0)),
    "solve": lambda o, x, w: o.transpose(o.solve(o.eye(4) * 3.0 + o.outer(w + 0.0, w + 0.0), o.transpose(x))),
    "det": lambda o, x, w: x * o.det(o.eye(4) + 0.1 * o.outer(w + 0.0, w + 0.0)),
    "cholesky": lambda o, x, w: x @ o.cholesky(o.eye(4) + 0.1 * o.outer(w + 0.0, w + 0.0)),
    "segment_sum": lambda o, x, w: x + o.transpose(o.take(o.segment_sum(o.transpose(x * w), IDS, 3), IDS, 0)),
    "scatter_update": lambda o, x, w: o.scatter_update(x * w, np.array([[0, 0], [1, 1]]), np.float32([1.0, 2.0])),
    "layer_normalization": lambda o, x, w: o.layer_normalization(x, gamma=w, axis=-1),
    "rms": lambda o, x, w: x * o.rsqrt(o.mean(o.square(x), axis=-1, keepdims=True) + 1e-3) * w,
    "attention": lambda o, x, w: o.softmax(x @ o.transpose(x * w) / 2.0) @ x,
    "convolution": lambda o, x, w: o.conv(o.expand_dims(x, -1), o.reshape(w, (2, 1, 2)), padding="same")[:, :, 0],
    "max_pool": lambda o, x, w: o.repeat(o.max_pool(o.expand_dims(x, -1), 2, 2)[:, :, 0], 2, axis=1) * w,
    "average_pool": lambda o, x, w: o.repeat(o.average_pool(o.expand_dims(x * w, -1), 2, 2)[:, :, 0], 2, axis=1),
    "loop": lambda o, x, w: sum((x * w) ** n for n in range(1, 4)),
    "cond": lambda o, x, w: o.cond(o.sum(x) > 1e9, lambda: x, lambda: x * w),
    "scan": lambda o, x, w: o.transpose(
        o.scan(lambda c, r: (0.5 * c + r, 0.5 * c + r), x[:, 0], o.transpose(x * w))[1]
    ),
}


def layer_of(k: Any, expression: Expression) -> Any:
    """A layer with one weight, whose call is the expression in the operations of the library."""

    class Mine(k.layers.Layer):  # type: ignore[misc, name-defined]
        def build(self, input_shape: Any) -> None:
            self.w = self.add_weight(shape=(4,), initializer="ones", name="w")
            super().build(input_shape)

        def call(self, x: Any) -> Any:
            return expression(k.ops, x, self.w)

    return Mine()


def weights_of(layers: list[Any]) -> list[np.ndarray]:
    return [np.asarray(weight) for layer in layers for weight in layer.get_weights()]


def trained(k: Any, expression: Expression, weights: list[np.ndarray], **compiled: Any) -> tuple[Any, list[np.ndarray]]:
    """Predictions and the weights after two steps, of a network with the expression between two Dense layers."""
    layers = [k.layers.Dense(4), layer_of(k, expression), k.layers.Dense(3)]
    model = k.Sequential([k.Input((5,)), *layers])
    for layer, own in zip(layers, ([weights[0], weights[1]], [weights[2]], [weights[3], weights[4]]), strict=True):
        layer.set_weights(own)
    predicted = np.asarray(model.predict(X, verbose=0))
    model.compile(k.optimizers.SGD(0.01), run_eagerly=True, **(compiled or {"loss": "mse"}))  # JAX would compile each
    for _ in range(2):
        model.train_on_batch(X, Y)
    return predicted, weights_of(layers)


def initial_weights() -> list[np.ndarray]:
    generator = Generator(3)
    shapes = [(5, 4), (4,), (4,), (4, 3), (3,)]
    return [np.float32(0.6 * generator.normal(shape) + (0.8 if shape == (4,) else 0.0)) for shape in shapes]


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_layers(name: str) -> None:
    (predicted, weights), (expected, right) = (trained(k, EXPRESSIONS[name], initial_weights()) for k in (nnx, keras))
    assert_close(predicted, expected, **TOLERANCE)
    for mine, theirs in zip(weights, right, strict=True):
        assert_close(mine, theirs, **TOLERANCE)


def test_there_are_enough_rows() -> None:
    assert len(EXPRESSIONS) >= 100


def per_value(o: Any, y: Any, p: Any) -> Any:
    return o.abs(y - p) ** 1.5


def per_sample(o: Any, y: Any, p: Any) -> Any:
    return o.mean(o.square(y - p), axis=-1) + o.logsumexp(p, axis=-1)


def per_batch(o: Any, y: Any, p: Any) -> Any:
    return o.mean(o.square(y - p)) + 0.1 * o.max(p)


LOSSES = {"per value": per_value, "per sample": per_sample, "per batch": per_batch}


def dense(k: Any) -> tuple[Any, Any]:
    layer = k.layers.Dense(3)
    model = k.Sequential([k.Input((5,)), layer])
    generator = Generator(4)
    layer.set_weights([np.float32(generator.normal((5, 3))), np.float32(generator.normal((3,)))])
    return model, layer


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("as_class", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str, as_class: bool, weighted: bool) -> None:
    """In fit, with weights of samples where the loss has a value for each."""
    if weighted and name == "per batch":
        weighted = False
    sample_weight = np.float32([[1.0], [2.0], [0.5], [0.0], [1.5], [3.0]]) if weighted else None
    if weighted and name == "per sample":
        sample_weight = sample_weight[:, 0]
    results = []
    for k in (nnx, keras):

        def function(y_true: Any, y_pred: Any, k: Any = k) -> Any:
            return LOSSES[name](k.ops, y_true, y_pred)

        class Own(k.losses.Loss):  # type: ignore[misc, name-defined]
            def call(self, y_true: Any, y_pred: Any, function: Any = function) -> Any:
                return function(y_true, y_pred)

        model, layer = dense(k)
        model.compile(k.optimizers.SGD(0.05), loss=Own() if as_class else function)
        history = model.fit(X, Y, batch_size=3, epochs=2, shuffle=False, verbose=0, sample_weight=sample_weight)
        evaluated = model.evaluate(X, Y, batch_size=3, verbose=0, sample_weight=sample_weight)
        results.append((history.history["loss"], evaluated, weights_of([layer])))
    (losses, evaluated, weights), (right, expected, theirs) = results
    assert_close(losses, right, **TOLERANCE)
    assert_close(evaluated, expected, **TOLERANCE)
    for one, other in zip(weights, theirs, strict=True):
        assert_close(one, other, **TOLERANCE)


def test_losses_made_of_losses() -> None:
    results = []
    for k in (nnx, keras):

        def loss(y_true: Any, y_pred: Any, k: Any = k) -> Any:
            huber = k.losses.Huber(delta=0.7)
            return (
                k.losses.mean_squared_error(y_true, y_pred)
                + 0.1 * k.losses.mean_absolute_error(y_true, y_pred)
                + huber(y_true, y_pred)
            )

        model, layer = dense(k)
        model.compile(k.optimizers.Adam(0.05), loss=loss)
        losses = model.fit(X, Y, batch_size=2, epochs=3, shuffle=False, verbose=0).history["loss"]
        results.append((losses, weights_of([layer])))
    (losses, weights), (right, theirs) = results
    assert_close(losses, right, **TOLERANCE)
    for one, other in zip(weights, theirs, strict=True):
        assert_close(one, other, **TOLERANCE)


def test_metrics() -> None:
    """A function, and a class with a weight of its own."""
    results = []
    for k in (nnx, keras):

        def deviation(y_true: Any, y_pred: Any, k: Any = k) -> Any:
            return k.ops.max(k.ops.abs(y_true - y_pred), axis=-1)

        class Largest(k.metrics.Metric):  # type: ignore[misc, name-defined]
            def __init__(self, k: Any = k) -> None:
                super().__init__(name="largest")
                self.k, self.largest = k, self.add_weight(shape=(), initializer="zeros", name="largest")

            def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
                self.largest.assign(self.k.ops.maximum(self.largest, self.k.ops.max(y_pred)))

            def result(self) -> Any:
                return self.largest + 0.0

        model, _ = dense(k)
        model.compile(k.optimizers.SGD(0.05), loss="mse", metrics=[deviation, Largest()])
        history = model.fit(X, Y, batch_size=3, epochs=2, shuffle=False, verbose=0).history
        results.append((history, model.evaluate(X, Y, batch_size=3, verbose=0)))
    (history, evaluated), (right, expected) = results
    assert set(history) == set(right)
    for name in history:
        assert_close(history[name], right[name], **TOLERANCE)
    assert_close(evaluated, expected, **TOLERANCE)


@pytest.mark.parametrize("where", ["layer", "model"])
def test_add_loss(where: str) -> None:
    results = []
    for k in (nnx, keras):

        class Penalised(k.layers.Layer):  # type: ignore[misc, name-defined]
            def __init__(self, k: Any = k) -> None:
                super().__init__()
                self.k, self.inner = k, k.layers.Dense(4)

            def call(self, x: Any) -> Any:
                y = self.inner(x)
                self.add_loss(0.3 * self.k.ops.mean(self.k.ops.square(y)))
                return self.k.ops.tanh(y)

        class Whole(k.Model):  # type: ignore[misc, name-defined]
            def __init__(self, k: Any = k) -> None:
                super().__init__()
                self.first, self.last = Penalised(), k.layers.Dense(3)

            def call(self, x: Any) -> Any:
                return self.last(self.first(x))

        if where == "layer":
            layers = [Penalised(), k.layers.Dense(3)]
            model = k.Sequential([k.Input((5,)), *layers])
        else:
            model = Whole()
            model(X)
            layers = [model.first, model.last]
        weights = initial_weights()
        layers[0].set_weights(weights[:2])
        layers[1].set_weights(weights[3:])
        model.compile(k.optimizers.SGD(0.05), loss="mse")
        losses = model.fit(X, Y, batch_size=3, epochs=2, shuffle=False, verbose=0).history["loss"]
        results.append((losses, model.evaluate(X, Y, batch_size=3, verbose=0), weights_of(layers)))
    (losses, evaluated, weights), (right, expected, theirs) = results
    assert_close(losses, right, **TOLERANCE)
    assert_close(evaluated, expected, **TOLERANCE)
    for one, other in zip(weights, theirs, strict=True):
        assert_close(one, other, **TOLERANCE)


@pytest.mark.parametrize("form", ["regularizer", "constraint", "activation"])
def test_options_of_layers(form: str) -> None:
    """Functions of array code in the place of names."""
    results = []
    for k in (nnx, keras):
        o = k.ops

        def penalty(w: Any, o: Any = o) -> Any:
            return 0.1 * o.sum(o.square(o.matmul(w, o.transpose(w))))

        class Positive(k.constraints.Constraint):  # type: ignore[misc, name-defined]
            def __call__(self, w: Any, o: Any = o) -> Any:
                return o.maximum(w, 0.05)

        def cubic(x: Any, o: Any = o) -> Any:
            return x + 0.1 * o.power(x, 3)

        options = {
            "regularizer": {"kernel_regularizer": penalty},
            "constraint": {"kernel_constraint": Positive()},
            "activation": {"activation": cubic},
        }[form]
        layer = k.layers.Dense(3, **options)
        model = k.Sequential([k.Input((5,)), layer])
        layer.set_weights([np.float32(Generator(4).normal((5, 3))), np.zeros(3, "float32")])
        model.compile(k.optimizers.SGD(0.02), loss="mse")
        losses = model.fit(X, Y, batch_size=3, epochs=2, shuffle=False, verbose=0).history["loss"]
        results.append((losses, weights_of([layer])))
    (losses, weights), (right, theirs) = results
    assert_close(losses, right, **TOLERANCE)
    for one, other in zip(weights, theirs, strict=True):
        assert_close(one, other, **TOLERANCE)
