"""Layers with a dtype of their own in a model of another: the float32 head of a model in mixed precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.layers import Activation, Dense, Input, Layer, Reshape, Softmax, TimeDistributed
from nnx.random import Generator
from nnx.testing import assert_close

X = np.float32(Generator(1).normal((16, 5)))
Y = np.arange(16) % 3


@pytest.fixture(params=[("float16", "float32"), ("float32", "float64")], ids="-".join)
def two_dtypes(backend_float64: Placement, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """The dtype of the context, and a wider one for a layer."""
    narrow, wide = request.param
    if narrow == "float16" and backend_float64.name == "array-api-strict":
        pytest.skip("the standard has no float16")
    with nnx.backend(backend_float64.name, device=backend_float64.device, dtype=narrow):
        yield narrow, wide


@pytest.fixture
def half(backend_float64: Placement) -> Iterator[None]:
    """A context in float16, which array-api-strict does not have."""
    if backend_float64.name == "array-api-strict":
        pytest.skip("the standard has no float16")
    with nnx.backend(backend_float64.name, device=backend_float64.device, dtype="float16"):
        yield


def sequential(*layers: Layer) -> nnx.Model:
    return nnx.Sequential([Input((5,)), *layers])


def functional(*layers: Layer) -> nnx.Model:
    x = y = Input((5,))
    for layer in layers:
        y = layer(y)
    return nnx.Model(x, y)


class Subclassed(nnx.Model):
    def __init__(self, *layers: Layer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stack = list(layers)

    def call(self, x: Any) -> Any:
        for layer in self.stack:
            x = layer(x)
        return x


def subclassed(*layers: Layer) -> nnx.Model:
    model = Subclassed(*layers)
    model.build((None, 5))
    return model


MAKERS = [sequential, functional, subclassed]
Make = Callable[..., nnx.Model]


def dtype_of(array: Any) -> str:
    return str(array.dtype).rpartition(".")[2]


@pytest.mark.parametrize("make", MAKERS)
def test_a_layer_computes_and_returns_in_its_own_dtype(two_dtypes: tuple[str, str], make: Make) -> None:
    narrow, wide = two_dtypes
    model = make(Dense(3), Activation("softmax", dtype=wide), Activation("relu"), Softmax(dtype=wide))
    body, *after = model.stack if isinstance(model, Subclassed) else model.layers[-4:]
    x = nnx.asarray(X)
    values = [body(x)]
    for layer in after:
        values.append(layer(values[-1]))
    assert [dtype_of(value) for value in values] == [narrow, wide, narrow, wide]
    predicted = model(x)
    assert_close(predicted, values[-1], 0.0, 0.0)
    assert dtype_of(predicted) == wide == dtype_of(model.predict(X, verbose=0))
    y, pullback = model.forward(x)
    assert dtype_of(y) == wide
    assert dtype_of(pullback(y)) == narrow
    assert dtype_of(body.kernel.grad) == narrow


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", "mse"])
def test_a_head_without_parameters_trains(two_dtypes: tuple[str, str], make: Make, loss: str) -> None:
    """By the gradient that the same layers have in float64."""
    narrow, wide = two_dtypes
    results = []
    here = nnx.get_backend()
    for place, device, dtype in ((here.name, here.device, narrow), ("numpy", None, "float64")):
        with nnx.backend(place, device=device, dtype=dtype):
            nnx.random.set_seed(1)
            model = make(Dense(4, "tanh"), Dense(3), Activation("softmax", dtype=wide if dtype == narrow else None))
            model.compile(nnx.optimizers.SGD(0.5), loss, metrics=["accuracy"])
            y = Y if loss != "mse" else np.eye(3, dtype=np.float32)[Y]
            logs = [model.train_on_batch(X, y, return_dict=True)["loss"] for _ in range(2)]
            results.append((logs, model.get_weights()))
    (logs, weights), (expected_logs, expected) = results
    rounding = 4e-3 if narrow == "float16" else 1e-5  # some units of the last place of numbers up to 1
    assert logs == pytest.approx(expected_logs, abs=rounding)
    for weight, one in zip(weights, expected, strict=True):
        assert_close(weight, one, 0.0, rounding)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", "mse"])
def test_a_head_with_parameters_trains_them_in_its_dtype(half: None, make: Make, loss: str) -> None:
    """By the gradient that the same layers have in float64; below it, the parameters stay float16."""
    results = []
    here = nnx.get_backend()
    for place, device, dtype in ((here.name, here.device, "float16"), ("numpy", None, "float64")):
        with nnx.backend(place, device=device, dtype=dtype):
            nnx.random.set_seed(1)
            model = make(Dense(4, "tanh"), Dense(3, "softmax", dtype="float32" if dtype == "float16" else None))
            model.compile(nnx.optimizers.SGD(0.5), loss, metrics=["accuracy"])
            y = Y if loss != "mse" else np.eye(3, dtype=np.float32)[Y]
            logs = [model.train_on_batch(X, y, return_dict=True)["loss"] for _ in range(2)]
            results.append((logs, model.get_weights()))
            if dtype == "float16":
                assert [p.dtype for p in model.weights] == 2 * ["float16"] + 2 * ["float32"]
                assert model.predict(X, verbose=0).dtype == np.float32
    (logs, weights), (expected_logs, expected) = results
    assert logs == pytest.approx(expected_logs, abs=2e-3)
    for weight, one in zip(weights, expected, strict=True):
        assert_close(weight, one, 0.0, 2e-3)  # some units of the last place of float16, of numbers below 1


def several() -> nnx.optimizers.Optimizer:
    other = nnx.optimizers.Adam(0.02, use_ema=True)
    return nnx.optimizers.MultiOptimizer(nnx.optimizers.OptimizerMap(nnx.optimizers.Adam(0.01), {".*bias": other}))


OPTIMIZERS = {
    "Adam": lambda: nnx.optimizers.Adam(0.01, use_ema=True, ema_overwrite_frequency=3),
    "several": several,
    "accumulating": lambda: nnx.optimizers.SGD(0.1, momentum=0.9, gradient_accumulation_steps=2, clipnorm=0.5),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_parameters_of_two_dtypes_are_those_of_one_float32_copy(half: None, optimizer: Any, tmp_path: Any) -> None:
    """Training goes on from a file as it would have; values that somebody sets count; averages are rounded."""
    model = sequential(Dense(4, "tanh", kernel_constraint="max_norm"), Dense(3, "softmax", dtype="float32"))
    model.compile(optimizer(), "sparse_categorical_crossentropy")
    for _ in range(3):
        model.train_on_batch(X, Y)
    model.save(tmp_path / "model.nnx")
    again = nnx.models.load_model(tmp_path / "model.nnx")
    for one in (model, again):
        one.layers[0].kernel.assign([[0.25] * 4] * 5)
        one.layers[1].bias.assign([1.0, 2.0, 3.0])
        one.train_on_batch(X, Y)
        assert np.abs(one.layers[0].kernel.numpy() - 0.25).max() < 0.1
        one.optimizer.finalize(one.flat)
    for mine, other in zip(model.get_weights(), again.get_weights(), strict=True):
        assert_close(mine, other, 0.0, 0.0)
    flat = model.flat
    assert [p.dtype for p in flat.parameters] == 2 * ["float16"] + 2 * ["float32"]
    assert_close(flat.values, np.concatenate([w.ravel() for w in model.get_weights()]).astype(np.float32), 0.0, 0.0)


def test_gradients_too_large_for_float16_are_left_out(half: None) -> None:
    model = sequential(Dense(4), Dense(3, dtype="float32"))
    model.compile(nnx.optimizers.SGD(0.1), "mse")
    model.train_on_batch(X, X[:, :3])
    before, scale = model.get_weights(), float(model.optimizer.loss_scale.value)
    model.train_on_batch(X, X[:, :3] + 1e4)
    assert float(model.optimizer.loss_scale.value) == scale / 2
    for weight, one in zip(model.get_weights(), before, strict=True):
        assert_close(weight, one, 0.0, 0.0)


def test_a_head_of_its_own_dtype_keeps_it_when_copied_and_saved(two_dtypes: tuple[str, str], tmp_path: Any) -> None:
    _, wide = two_dtypes
    model = sequential(Dense(3), Activation("softmax", dtype=wide))
    model.save(tmp_path / "model.nnx")
    for one in (nnx.models.clone_model(model), nnx.models.load_model(tmp_path / "model.nnx")):
        one.set_weights(model.get_weights())
        assert_close(one(nnx.asarray(X)), model(nnx.asarray(X)), 0.0, 0.0)
        assert dtype_of(one(nnx.asarray(X))) == wide


def test_a_wrapper_has_the_dtype_of_the_layer_in_it(two_dtypes: tuple[str, str]) -> None:
    narrow, wide = two_dtypes
    inner = Activation("softmax", dtype=wide)
    with pytest.raises(ValueError, match=rf"computes in {narrow}.*as in TimeDistributed\(\.\.\., dtype='{wide}'\)"):
        sequential(Reshape((5, 1)), TimeDistributed(inner)).predict(X, verbose=0)
    model = sequential(Reshape((5, 1)), TimeDistributed(inner, dtype=wide))
    assert dtype_of(model.predict(X, verbose=0)) == wide
