"""Inputs that may be None: where they are given, where they are not, and what cannot do without them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.layers import Add, Dense, Input, Layer
from nnx.random import Generator
from nnx.testing import assert_close

X, Y = Generator(1).normal((20, 3)), Generator(2).normal((20, 2))
TARGET = Generator(3).normal((20, 1))


@nnx.saving.register_keras_serializable()
class Joined(Layer):
    """x, and what a Dense makes of y where there is a y."""

    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.units = units
        self.dense = Dense(units)

    def call(self, x: Any, y: Any = None) -> Any:
        return x if y is None else x + self.dense(y)

    def compute_output_shape(self, x_shape: Any) -> Any:
        return x_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


@nnx.saving.register_keras_serializable()
class Pair(Layer):
    """The list of an input and another one, of which either may be missing, as their sum."""

    def call(self, pair: Any) -> Any:
        x, y = pair
        return y if x is None else x if y is None else x + y


def joined(form: str = "list", cls: Any = nnx.Model) -> nnx.Model:
    x, y = Input((3,), name="x"), Input((2,), name="y", optional=True)
    hidden = Joined(4, name="joined")(Dense(4, name="first")(x), y)
    inputs: Any = {"list": [x, y], "dict": {"x": x, "y": y}, "nested": {"a": x, "b": [y]}}[form]
    return cls(inputs, Dense(1, name="last")(hidden))


def given(form: str, x: Any, y: Any) -> Any:
    return {"list": [x, y], "dict": {"x": x, "y": y}, "nested": {"a": x, "b": [y]}}[form]


def expected(model: nnx.Model, y: Any) -> np.ndarray:
    """The output, by hand."""
    w = {name: nnx.to_numpy(p.value).astype(np.float64) for name, p in model.named_weights().items()}
    hidden = X @ w["first/kernel"] + w["first/bias"]
    if y is not None:
        hidden = hidden + y @ w["joined/dense/kernel"] + w["joined/dense/bias"]
    made: np.ndarray = hidden @ w["last/kernel"] + w["last/bias"]
    return made


@pytest.mark.parametrize("form", ["list", "dict", "nested"])
def test_outputs(backend: Placement, form: str):
    model = joined(form)
    for y in (Y, None, Y, None, None, Y):  # in turn, so that calls are replayed from plans too
        data = given(form, X, y)
        here = given(form, backend.asarray(X), None if y is None else backend.asarray(y))
        for made in (
            model(here),
            model.forward(here)[0],
            model.predict(data, batch_size=8, verbose=0),
            model.predict_on_batch(data),
        ):
            assert_close(made, expected(model, y), length=12)
    if backend.name == "numpy":
        assert "are replayed" in str(model.trainer.step.predictions)


@pytest.mark.parametrize("form", ["list", "dict", "nested"])
def test_gradients_flow_to_the_others(backend: Placement, form: str):
    model = joined(form)
    y, pullback = model.forward(given(form, backend.asarray(X), None))
    dx, none = pullback(backend.xp.ones_like(y))
    w = {name: nnx.to_numpy(p.value).astype(np.float64) for name, p in model.named_weights().items()}
    assert none is None
    assert_close(dx, np.ones((20, 1)) @ w["last/kernel"].T @ w["first/kernel"].T, length=4)
    assert_close(model.get_layer("first").kernel.grad, X.T @ np.ones((20, 1)) @ w["last/kernel"].T, length=20)
    assert not nnx.to_numpy(model.get_layer("joined").dense.kernel.grad).any()


def without(model: nnx.Model) -> nnx.Model:
    """The same layers, in a graph that never had y."""
    x = Input((3,), name="x")
    return nnx.Model(x, model.get_layer("last")(model.get_layer("first")(x)))


def compiled(model: nnx.Model) -> nnx.Model:
    model.compile(nnx.optimizers.SGD(0.05), "mse", metrics=["mae"])
    return model


@pytest.mark.parametrize("form", ["list", "dict"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_training_is_that_of_a_model_without_the_input(backend: Placement, form: str, shuffle: bool):
    model = joined(form)
    other = compiled(without(copy.deepcopy(model)))
    compiled(model)
    options: Any = {"batch_size": 6, "epochs": 3, "verbose": 0, "shuffle": shuffle, "validation_split": 0.2}
    histories = []
    for one, data in ((model, given(form, X, None)), (other, X)):
        nnx.random.set_seed(4)
        one.random = Generator(5)
        histories.append(one.fit(data, TARGET, **options).history)
    for name, values in histories[1].items():
        assert_close(np.asarray(histories[0][name]), np.asarray(values), length=40)
    results = [one.evaluate(data, TARGET, verbose=0) for one, data in ((model, given(form, X, None)), (other, X))]
    assert_close(np.asarray(results[0]), np.asarray(results[1]), length=40)
    assert_close(model.predict(given(form, X, None), verbose=0), other.predict(X, verbose=0), length=40)
    assert_close(
        np.asarray(model.test_on_batch(given(form, X, None), TARGET)),
        np.asarray(other.test_on_batch(X, TARGET)),
        length=40,
    )


def batches(form: str) -> Iterator[Any]:
    while True:
        for y in (Y, None, None):
            yield given(form, X, y), TARGET


def test_batches_with_and_without_it_in_turn(backend: Placement):
    replayed = joined()
    plain = copy.deepcopy(replayed)
    for model, jit_compile in ((replayed, "auto"), (plain, False)):
        model.compile("sgd", "mse", jit_compile=jit_compile)
    histories = [m.fit(batches("list"), steps_per_epoch=6, epochs=3, verbose=0).history for m in (replayed, plain)]
    assert histories[0] == histories[1]
    for y in (None, Y):
        np.testing.assert_array_equal(
            nnx.to_numpy(replayed.predict([X, y], verbose=0)), nnx.to_numpy(plain.predict([X, y], verbose=0))
        )
    assert (str(replayed.trainer.step.plans).count("are replayed") == 2) == (backend.name == "numpy")


class OwnStep(nnx.Model):
    def train_step(self, data: Any) -> dict[str, Any]:
        return super().train_step(data)

    def test_step(self, data: Any) -> dict[str, Any]:
        return super().test_step(data)


class Derived(nnx.Model):
    """A model by `call`, with a graph in it of which one input is missing."""

    def __init__(self, inner: nnx.Model) -> None:
        super().__init__()
        self.inner = inner

    def call(self, x: Any) -> Any:
        return self.inner([x, None])


@pytest.mark.parametrize("way", ["own step", "by call", "nested graph"])
def test_other_ways_to_train(backend: Placement, way: str):
    graph = joined(cls=OwnStep if way == "own step" else nnx.Model)
    reference = compiled(without(copy.deepcopy(graph)))
    data: Any = [X, None]
    model: nnx.Model = graph
    if way == "by call":
        model, data = Derived(graph), X
    elif way == "nested graph":
        x, y = Input((3,)), Input((2,), optional=True)
        model = nnx.Model([x, y], graph([x, y]))
    compiled(model)
    losses = [
        [one.train_on_batch(batch, TARGET)[0] for _ in range(3)] for one, batch in ((model, data), (reference, X))
    ]
    assert_close(np.asarray(losses[0]), np.asarray(losses[1]), length=40)


def test_large_data_come_a_part_at_a_time(tmp_path: Path):
    np.save(tmp_path / "x.npy", X.astype(np.float32))
    model = compiled(joined())
    stored: Any = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert_close(model.predict([stored, None], batch_size=7, verbose=0), expected(model, None), length=12)
    history = model.fit([stored, None], TARGET, batch_size=7, verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_the_first_input_may_be_the_one_that_is_missing(backend: Placement):
    x, y = Input((3,), optional=True), Input((3,), optional=True)
    model = compiled(nnx.Model([x, y], Dense(1)(Pair()([x, y]))))
    whole = model.predict([X, np.zeros_like(X)], verbose=0)
    for data in ([X, None], [None, X]):
        assert_close(model([None if x is None else backend.asarray(x) for x in data]), whole, length=6)
        assert_close(model.predict(data, batch_size=8, verbose=0), whole, length=6)
        model.fit(data, TARGET, batch_size=8, verbose=0)
        whole = model.predict([X, np.zeros_like(X)], verbose=0)


def test_shapes_are_those_with_it():
    model = joined()
    assert model.output_shape == (None, 1)
    assert model.input_shape == [(None, 3), (None, 2)]
    assert model.get_layer("joined").dense.kernel.shape == (2, 4)


class Longest(Layer):
    """A layer that says itself what comes out, for the shapes of its two arguments."""

    def call(self, x: Any, y: Any = None) -> Any:
        return x if y is None else nnx.ops.concatenate([x, y], axis=-1)

    def compute_output_shape(self, x_shape: Any, y_shape: Any = None) -> Any:
        return x_shape if y_shape is None else (*x_shape[:-1], x_shape[-1] + y_shape[-1])


def test_compute_output_shape_of_several_arguments():
    x, y = Input((3,)), Input((2,), optional=True)
    assert Longest()(x, y).shape == (None, 5)
    assert Longest()(x).shape == (None, 3)
    assert Joined(3)(x, y=y).shape == (None, 3)


def test_onnx_is_the_graph_with_it(tmp_path: Path):
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed; pip install onnxruntime")
    pytest.importorskip("onnx", reason="onnx is not installed; pip install 'nnx-array[onnx]'")
    model = joined()
    model.export(tmp_path / "model.onnx", format="onnx", verbose=False)
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    assert [one.name for one in session.get_inputs()] == ["x", "y"]
    (made,) = session.run(None, {"x": X.astype(np.float32), "y": Y.astype(np.float32)})
    assert_close(made, expected(model, Y), length=12)


def summed(*outputs: Callable[[Any, Any], Any]) -> nnx.Model:
    x, y = Input((3,), name="x"), Input((3,), name="y", optional=True)
    made = [make(x, y) for make in outputs]
    return nnx.Model([x, y], made)


def twice(x: Any, y: Any) -> Any:
    return Joined(3)(x, Dense(3, name="before")(y))


class Broken(Layer):
    def call(self, x: Any, y: Any = None) -> Any:
        return None if y is None else x + y


MISTAKES = [
    (lambda: summed(lambda x, y: Add(name="plus")([x, y])), [X, None], "plus needs the input 'y', which is None"),
    (lambda: summed(lambda x, y: x + y * 2.0), [X, None], "multiply needs the input 'y', which is None"),
    (lambda: summed(twice), [X, None], "before needs the input 'y', which is None"),
    (lambda: summed(lambda x, y: x + 1.0, lambda x, y: y), [X, None], "'y' is None, and it is an output too"),
    (lambda: summed(lambda x, y: Broken(name="broken")(x, y)), [X, None], r"broken: call\(\) returned None"),
    (joined, [None, Y], "the input 'x' is not optional, and it is None"),
    (lambda: joined("dict"), {"x": None, "y": Y}, "the input 'x' is not optional, and it is None"),
    (lambda: nnx.Model(z := Input((3,), name="z"), Dense(1)(z)), [None], "the input 'z' is not optional"),
    (
        lambda: nnx.Model([x := Input((3,), optional=True), y := Input((3,), optional=True)], Pair()([x, y])),
        [None, None],
        "every input is None, so there are no samples",
    ),
]


@pytest.mark.parametrize(("make", "data", "message"), MISTAKES, ids=[message for *_, message in MISTAKES])
def test_what_cannot_do_without_it(make: Callable[[], nnx.Model], data: Any, message: str):
    model = make()
    with pytest.raises(ValueError, match=message):
        model(data)
    with pytest.raises(ValueError, match=message):
        model.predict(data, verbose=0)
    with pytest.raises(ValueError, match=message):
        model.forward(data)
    model.compile("sgd", "mse")
    targets = [np.zeros((20, 3)) for _ in model.outputs]
    with pytest.raises(ValueError, match=message):
        model.fit(data, targets if len(targets) > 1 else targets[0], verbose=0)


def test_layers_alone_say_that_an_input_is_none():
    with pytest.raises(TypeError, match="plus: an input is None"):
        Add(name="plus")([X, None])
    with pytest.raises(TypeError, match="one: its input is None"):
        Dense(2, name="one")(None)
    model = Derived(joined())
    with pytest.raises(TypeError, match="derived: its input is None"):
        model(None)
    model(X.astype(np.float32))
    with pytest.raises(ValueError, match="is not optional"):
        model(None)


def test_a_step_of_ones_own_says_that_there_are_no_samples():
    x, y = Input((3,), optional=True), Input((3,), optional=True)
    model = OwnStep([x, y], Dense(1)(Pair()([x, y])))
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="x is missing"):
        model.fit([None, None], TARGET, verbose=0)


@pytest.mark.parametrize("ending", [".safetensors", ".keras"])
def test_saving(tmp_path: Path, ending: str):
    model = joined("dict")
    model.save(tmp_path / f"model{ending}")
    again = nnx.models.load_model(tmp_path / f"model{ending}")
    for one in (again, nnx.models.clone_model(model)):
        assert [layer.optional for layer in one.input_layers] == [False, True]
    for y in (Y, None):
        assert_close(again.predict(given("dict", X, y), verbose=0), expected(model, y), length=12)
    assert "optional" not in model.input_layers[0].get_config()
    assert model.input_layers[1].get_config()["optional"] is True
    lines: list[str] = []
    model.summary(print_fn=lines.append, line_length=140)
    assert "y (InputLayer, optional)" in "\n".join(lines)
    assert "x (InputLayer)" in "\n".join(lines)


def test_checks_for_finite_numbers():
    model = compiled(joined())
    with nnx.debug.check_finite():
        model.train_on_batch([X, None], TARGET)
        with pytest.raises(ValueError, match="clean the data"):
            model.train_on_batch([np.full_like(X, np.nan), None], TARGET)
        model.get_layer("last").kernel.value[...] = np.nan
        with pytest.raises(nnx.debug.NotFiniteError):
            model.predict([X, None], verbose=0)
