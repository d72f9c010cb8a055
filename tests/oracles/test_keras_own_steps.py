"""Steps of one's own against Keras 3 on JAX: own losses, add_loss, metrics, data of a step, optimizer.apply."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'nnx-array[oracle]'")

import nnx  # noqa: E402
from nnx.random import Generator  # noqa: E402
from nnx.testing import assert_close  # noqa: E402

# Keras's variables do not know NumPy 2's `copy` yet
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

X = np.float32(Generator(1).normal((24, 6)))
Y = np.float32(Generator(2).normal((24, 1)))
WEIGHTS = np.float32(Generator(3).uniform((24,), 0.2, 2.0))


def reduced(function: str, x: Any) -> Any:
    """The mean, or another reduction, of an array of either library."""
    return (
        getattr(keras.ops, function)(x) if "jax" in type(x).__module__ else getattr(nnx.array_namespace(x), function)(x)
    )


def network(library: Any, **methods: Any) -> Any:
    """A model with a `call` that adds to its loss, and these methods."""

    class Penalised(library.layers.Layer):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = factor

        def call(self, x: Any) -> Any:
            self.add_loss(self.factor * reduced("mean", x**2))
            return x

    class Net(library.Model):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = library.layers.Dense(5, activation="tanh", kernel_regularizer="l2")
            self.penalised = Penalised(0.3)
            self.last = library.layers.Dense(1)
            self.largest = library.metrics.Mean(name="largest")

        def call(self, x: Any) -> Any:
            return self.last(self.penalised(self.hidden(x)))

    for name, method in methods.items():
        setattr(Net, name, method(Net))
    return Net()


def own_loss(cls: Any) -> Any:
    def compute_loss(
        self: Any, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        return reduced("mean", (y_pred - y) ** 4) + 2.0 * sum(self.losses)

    return compute_loss


def own_and_compiled_loss(cls: Any) -> Any:
    def compute_loss(
        self: Any, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        return 0.5 * super(cls, self).compute_loss(x, y, y_pred, sample_weight) + reduced("mean", y_pred**2)

    return compute_loss


def own_metrics(cls: Any) -> Any:
    def compute_metrics(self: Any, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        self.largest.update_state(reduced("max", y_pred))
        return super(cls, self).compute_metrics(x, y, y_pred, sample_weight)

    return compute_metrics


@pytest.mark.parametrize(
    "methods",
    [
        {},
        {"compute_loss": own_loss},
        {"compute_loss": own_and_compiled_loss},
        {"compute_metrics": own_metrics},
        {"compute_loss": own_and_compiled_loss, "compute_metrics": own_metrics},
    ],
    ids=lambda methods: "+".join(method.__name__ for method in methods.values()) or "none",
)
@pytest.mark.parametrize("weighted", [False, True])
def test_losses_metrics_and_weights_are_those_of_keras(methods, weighted):
    models, histories = [network(library, **methods) for library in (nnx, keras)], []
    for model, library in zip(models, (nnx, keras), strict=True):
        model.compile(library.optimizers.Adam(0.02), "mse", metrics=["mae"])
        model(X[:2])
    models[1].set_weights(models[0].get_weights())
    for model in models:
        history = model.fit(
            X,
            Y,
            batch_size=8,
            epochs=3,
            verbose=0,
            shuffle=False,
            sample_weight=WEIGHTS if weighted else None,
            validation_data=(X[:7], Y[:7]),
        )
        histories.append(history.history)
    ours, theirs = histories
    assert set(ours) == set(theirs)
    for name in theirs:
        assert_close(ours[name], theirs[name], rtol=2e-5, atol=1e-6)
    for mine, wanted in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        assert_close(mine, wanted, rtol=2e-5, atol=2e-6)
    if methods:
        found, expected = (model.evaluate(X, Y, verbose=0) for model in models)
        assert_close(found, expected, rtol=2e-5)


def test_without_a_compiled_loss_what_is_added_is_minimised_as_in_keras():
    models = [network(library) for library in (nnx, keras)]
    for model, library in zip(models, (nnx, keras), strict=True):
        model.compile(library.optimizers.Adam(0.02))
        model(X[:2])
    models[1].set_weights(models[0].get_weights())
    settings = {"batch_size": 8, "epochs": 2, "verbose": 0, "shuffle": False}
    ours, theirs = (model.fit(X, **settings).history for model in models)
    assert set(ours) == set(theirs) == {"loss", "largest"}
    assert_close(ours["loss"], theirs["loss"], rtol=2e-5)
    assert_close(models[0].evaluate(X, verbose=0), models[1].evaluate(X, verbose=0), rtol=2e-5)
    for mine, wanted in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        assert_close(mine, wanted, rtol=2e-5, atol=2e-6)


def test_losses_of_a_model_are_those_of_keras():
    models = [network(library) for library in (nnx, keras)]
    for model in models:
        model(X)
    models[1].set_weights(models[0].get_weights())
    for model in models:
        model(X)
        model(X)
    ours, theirs = ([float(value) for value in model.losses] for model in models)
    assert_close(sorted(ours), sorted(theirs), rtol=1e-5)
    assert [metric.name for metric in models[0].metrics] == ["largest"]


@pytest.mark.parametrize("data", [X, (X,), [X, X], (X, Y), (X, Y, WEIGHTS), ([X, X], Y), {"a": X}])
def test_data_of_a_step_are_packed_as_in_keras(data):
    whole = data if isinstance(data, tuple) else (data,)
    ours, theirs = (utils.pack_x_y_sample_weight(*whole) for utils in (nnx.utils, keras.utils))
    assert type(ours) is type(theirs)
    ours, theirs = (utils.unpack_x_y_sample_weight(theirs) for utils in (nnx.utils, keras.utils))
    assert all(mine is wanted for mine, wanted in zip(ours, theirs, strict=True))


@pytest.mark.parametrize(
    "given", [(X,), (X, Y), (X, Y, WEIGHTS), ([X, X],), ({"a": X},)], ids=["x", "x y", "x y w", "list", "dict"]
)
def test_a_step_gets_what_keras_gives(given):
    def form(data: Any) -> Any:
        if isinstance(data, list | tuple):
            return type(data).__name__, [form(part) for part in data]
        return {key: form(part) for key, part in data.items()} if isinstance(data, dict) else tuple(data.shape)

    seen: dict[str, Any] = {}
    for library in (nnx, keras):

        class Seeing(library.Model):
            def test_step(self, data: Any, library: Any = library) -> Any:
                seen[library.__name__] = form(data)
                return {"n": 1.0}

        if library is keras:  # on JAX a step has the state of its model among its arguments

            def test_step(self: Any, state: Any, data: Any) -> Any:
                seen["keras"] = form(data)
                return {"n": 1.0}, state

            Seeing.test_step = test_step
        model = Seeing()
        model.compile()
        x, y, weight = (*given, None, None)[:3]
        if library is keras:
            model.built = True
            model._symbolic_build = lambda *args, **options: None
            model.run_eagerly = True
        model.evaluate(x, y, sample_weight=weight, batch_size=24, verbose=0)
    assert seen["nnx"] == seen["keras"]


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "AdamW", "Lion"])
@pytest.mark.filterwarnings("ignore:no gradient for")
@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_apply_is_that_of_keras(name):
    layers = []
    for library in (nnx, keras):
        layer = library.layers.Dense(2)
        layer.build((None, 3))
        layers.append(layer)
    layers[1].set_weights(layers[0].get_weights())
    ours, theirs = (getattr(library.optimizers, name)(0.05) for library in (nnx, keras))
    generator = Generator(5)
    for step in range(4):
        gradients = [np.float32(generator.normal(shape)) for shape in ((3, 2), (2,))]
        if step == 2:
            gradients[1] = None
        ours.apply([g if g is None else nnx.asarray(g) for g in gradients], layers[0].trainable_variables)
        converted = [g if g is None else keras.ops.convert_to_tensor(g) for g in gradients]
        theirs.apply(converted, layers[1].trainable_variables)
    for mine, wanted in zip(layers[0].get_weights(), layers[1].get_weights(), strict=True):
        assert_close(mine, wanted, rtol=1e-5, atol=1e-6)
    assert ours.iterations == int(theirs.iterations)
    ours.learning_rate.assign(0.5)
    theirs.learning_rate.assign(0.5)
    assert float(ours.learning_rate.numpy()) == float(theirs.learning_rate.numpy())
