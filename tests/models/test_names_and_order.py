"""What subclasses and dicts of outputs decide: names, the order of layers, and inputs that are not known yet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.layers import Dense, Input
from nnx.testing import assert_close

A, B = np.ones((4, 3), dtype=np.float32), np.ones((4, 5), dtype=np.float32)


class Two(nnx.Model):
    def __init__(self) -> None:
        super().__init__()
        self.of_a, self.of_b = Dense(2), Dense(2)

    def call(self, inputs: Any) -> Any:
        a, b = inputs
        return self.of_a(a) + self.of_b(b)


class TwoByName(Two):
    def call(self, inputs: Any) -> Any:
        return self.of_a(inputs["a"]) + self.of_b(inputs["b"])


class TwoArguments(Two):
    def call(self, a: Any, b: Any) -> Any:
        return self.of_a(a) + self.of_b(b)


class Alike(nnx.Model):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = Dense(2, name="same"), Dense(2, name="same")

    def call(self, x: Any) -> Any:
        return self.other(self.one(x))


@pytest.mark.parametrize(
    ("cls", "x"), [(Two, [A, B]), (Two, (A, B)), (TwoArguments, [A, B]), (TwoByName, {"b": B, "a": A})]
)
def test_several_inputs_build_a_model(cls: type[nnx.Model], x: Any, backend: Placement) -> None:
    model = cls()
    assert_close(model.predict(x, verbose=0), model.predict_on_batch(x))


def test_inputs_of_other_lengths_are_named_before_there_are_names() -> None:
    with pytest.raises(ValueError, match=r"x\[0\].*x\[1\]|x\[1\].*x\[0\]"):
        Two().predict([A, B[:2]], verbose=0)


def test_layers_of_one_name_in_a_subclass_keep_their_weights_apart(tmp_path: Any) -> None:
    model, again = Alike(), Alike()
    model(A), again(A)
    assert list(model.named_weights()) == ["same/kernel", "same/bias", "same_1/kernel", "same_1/bias"]
    model.save_weights(tmp_path / "weights")
    again.load_weights(tmp_path / "weights")
    assert_close(again(A), model(A))


def test_layers_of_one_name_in_a_graph_are_an_error() -> None:
    x = Input((3,))
    with pytest.raises(ValueError, match="a layer named 'same' is already there"):
        nnx.Model(x, Dense(2, name="same")(Dense(2, name="same")(x)))


class TestDictOfOutputs:
    @staticmethod
    def model() -> nnx.Model:
        x = Input((3,))
        return nnx.Model(x, {"b": Dense(2, name="first")(x), "a": Dense(4, name="second")(x)})

    def test_the_order_is_that_of_the_keys(self) -> None:
        model = self.model()
        assert model.output_names == ["a", "b"]
        assert [layer.name for layer in model.layers[1:]] == ["second", "first"]
        assert [weight.shape for weight in model.weights] == [(3, 4), (4,), (3, 2), (2,)]
        assert model.output_shape == [(None, 4), (None, 2)]

    def test_what_comes_out_has_the_form_of_the_dict(self, backend: Placement) -> None:
        model = self.model()
        y = model.predict(A, verbose=0)
        assert list(y) == ["b", "a"]
        assert {name: value.shape for name, value in y.items()} == {"a": (4, 4), "b": (4, 2)}
        model.compile("sgd", {"b": "mse", "a": "mae"})
        assert len(model.evaluate(A, {"b": y["b"], "a": y["a"]}, verbose=0, return_dict=True)) == 3
        assert model.evaluate(A, [y["a"], y["b"]], verbose=0)[0] == 0.0

    def test_a_copy_has_the_same_order(self) -> None:
        model = self.model()
        again = nnx.models.clone_model(model)
        again.set_weights(model.get_weights())
        assert_close(again.predict(A, verbose=0)["a"], model.predict(A, verbose=0)["a"])

    def test_inputs_too(self, backend: Placement) -> None:
        a, b = Input((3,)), Input((5,))
        model = nnx.Model({"b": b, "a": a}, Dense(2)(a) + Dense(2)(b))
        assert model.input_names == ["a", "b"]
        expected = model.predict({"a": A, "b": B}, verbose=0)
        assert_close(model.predict([A, B], verbose=0), expected)
        assert_close(model.predict({"b": B, "a": A}, verbose=0), expected)
        assert_close(model({"b": backend.asarray(B), "a": backend.asarray(A)}), expected)


@pytest.mark.parametrize("make", [nnx.Sequential, nnx.Model, Two])
def test_hasattr_knows_what_a_model_does_not_have_yet(make: Any) -> None:
    model = make()
    assert not any(
        hasattr(model, name) for name in ("input_shape", "output_shape", "inputs", "output", "flat", "metrics_names")
    )
    for name in dir(model):
        hasattr(model, name)  # nothing else is raised
    with pytest.raises(ValueError, match=r"is not built, so it has no input_shape: give the first layer"):
        _ = model.input_shape
