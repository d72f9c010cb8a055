"""What goes into graphs and comes out of them: lists, tuples and dicts, in any order, nested, and by keyword."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.layers import LSTM, Dense, Flatten, Input, Layer, MultiHeadAttention, concatenate
from nnx.random import Generator
from nnx.testing import assert_close, check_gradients

A, B = Generator(1).normal((8, 3)), Generator(2).normal((8, 3))
TARGET = Generator(3).normal((8, 2))


def difference(inputs: str) -> nnx.Model:
    """a - 2b, whose inputs are a list, a tuple, or a dict in either order."""
    a, b = Input((3,), name="a"), Input((3,), name="b")
    structure = {"list": [a, b], "tuple": (a, b), "dict": {"a": a, "b": b}, "turned": {"b": b, "a": a}}
    return nnx.Model(structure[inputs], a - 2.0 * b)


@pytest.mark.parametrize("given", [{"a": A, "b": B}, {"b": B, "a": A}], ids=["in order", "turned"])
@pytest.mark.parametrize("inputs", ["list", "tuple", "dict", "turned"])
def test_dicts_go_by_their_keys(backend: Placement, inputs: str, given: dict[str, Any]):
    model = difference(inputs)
    expected = np.float32(A) - 2.0 * np.float32(B)
    arrays = {key: backend.asarray(array) for key, array in given.items()}
    assert_close(model(arrays), expected, length=4)
    assert_close(model.forward(arrays)[0], expected, length=4)
    assert_close(model.predict(given, verbose=0), expected, length=4)
    x, y = Input((3,)), Input((3,))
    outer = nnx.Model([x, y], model({"b": y, "a": x}))
    assert_close(outer([arrays["a"], arrays["b"]]), expected, length=4)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"a": A}, r"the input of functional is a dict of \['a'\], expected \['a', 'b'\]"),
        ({"a": A, "b": B, "c": B}, r"is a dict of \['a', 'b', 'c'\]"),
        ([A], "the input of functional must be a .* got list of 1"),
        (A, "the input of functional must be a .* got ndarray"),
    ],
)
@pytest.mark.parametrize("inputs", ["list", "dict"])
def test_inputs_that_do_not_fit(inputs: str, given: Any, words: str):
    with pytest.raises(ValueError, match=words):
        difference(inputs)(given)


def test_outputs_keep_their_structure_in_the_next_graph():
    a = Input((3,))
    inner = nnx.Model(a, {"p": Dense(2)(a), "q": (Dense(3)(a), 2.0 * a)})
    x = Input((3,))
    made = inner(x)
    assert set(made) == {"p", "q"}
    assert isinstance(made["q"], tuple)
    model = nnx.Model(x, concatenate([made["p"], *made["q"]]))
    value = inner(np.float32(A))
    assert_close(model(np.float32(A)), np.concatenate([value["p"], *value["q"]], axis=-1), length=4)


def test_one_output_in_a_list_is_that_output_when_computed():
    a = Input((3,))
    model = nnx.Model([a], [Dense(2)(a)])
    assert model(A).shape == model([A]).shape == model.predict([A], verbose=0).shape == (8, 2)
    assert model.output_shape == (None, 2)
    assert isinstance(model(a), list)  # as in Keras
    stack = nnx.Sequential([Input((3,)), model, Dense(1)])
    stack.compile("sgd", "mse")
    stack.fit([A], [TARGET[:, :1]], verbose=0)
    assert stack.output_shape == (None, 1)


def test_nested_structures_as_data(tmp_path: Any):
    a, b, c = Input((3,)), Input((3,)), Input((2,))
    outputs = {"u": [Dense(1)(a), Dense(2)(b)], "v": Dense(2)(c)}
    model = nnx.Model([a, {"b": b, "c": c}], outputs)
    x, turned = [A, {"b": B, "c": TARGET}], [A, {"c": TARGET, "b": B}]
    y = {"v": TARGET, "u": [TARGET[:, :1], TARGET]}
    model.compile("sgd", "mse")
    history = model.fit(turned, y, verbose=0, validation_split=0.25).history
    assert {"dense_loss", "dense_1_loss", "dense_2_loss", "loss"} < set(history)
    predicted, called = model.predict(x, verbose=0), model(x)
    assert_close(predicted["u"][1], called["u"][1], length=4)
    assert_close(model.predict([A, B, TARGET], verbose=0)["v"], called["v"], length=4)
    model.save(tmp_path / "nested.safetensors")
    loaded = nnx.models.load_model(tmp_path / "nested.safetensors")
    assert loaded.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)


# Layers of one's own


class Difference(Layer):
    def call(self, first: Any, second: Any) -> Any:
        return first - 2.0 * second


class OfDict(Layer):
    def call(self, parts: Any) -> Any:
        return {"sum": parts["a"] + parts["b"], "difference": parts["a"] - 2.0 * parts["b"]}


class WithStates(Layer):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lstm = LSTM(3)

    def call(self, x: Any, states: Any) -> Any:
        h, c = states
        return self.lstm(x, initial_state=[h, c])


@pytest.mark.parametrize(
    "call",
    [
        lambda layer, a, b: layer(a, b),
        lambda layer, a, b: layer([a, b]),
        lambda layer, a, b: layer(a, second=b),
        lambda layer, a, b: layer(second=b, first=a),
    ],
)
def test_arguments_by_position_in_a_list_and_by_keyword(call: Any):
    expected = np.float32(A) - 2.0 * np.float32(B)
    assert_close(call(Difference(), np.float32(A), np.float32(B)), expected, length=4)
    a, b = Input((3,)), Input((3,))
    assert_close(nnx.Model([a, b], call(Difference(), a, b))([A, B]), expected, length=4)


def test_a_call_with_a_dict():
    layer = OfDict()
    expected = np.float32(A) - 2.0 * np.float32(B)
    for _ in range(2):
        assert_close(layer({"a": np.float32(A), "b": np.float32(B)})["difference"], expected, length=4)
        assert_close(layer({"b": np.float32(B), "a": np.float32(A)})["difference"], expected, length=4)
    with pytest.raises(ValueError, match=r"is a dict of \['a', 'c'\], expected \['a', 'b'\]"):
        layer({"a": A, "c": B})
    a, b = Input((3,)), Input((3,))
    model = nnx.Model([a, b], OfDict()({"b": b, "a": a})["difference"])
    assert_close(model([A, B]), expected, length=4)


def test_a_call_with_a_list_behind_another_argument(backend_float64: Placement):
    with nnx.backend(backend_float64.name, device=backend_float64.device, dtype="float64"):
        x, h, c = Input((4, 2)), Input((3,)), Input((3,))
        model = nnx.Model([x, h, c], WithStates()(x, [h, c]))
    sequence = Generator(5).normal((8, 4, 2))
    check_gradients(model.forward, sequence, A, B, placement=backend_float64)


class Both(nnx.Model):
    def __init__(self) -> None:
        super().__init__()
        self.dense = Dense(2)

    def call(self, inputs: Any) -> Any:
        return {"out": self.dense(inputs["a"]) - self.dense(inputs["b"])}


def test_a_model_of_ones_own_with_a_dict(tmp_path: Any):
    model = Both()
    model.compile("adam", {"out": "mse"})
    model.fit({"b": B, "a": A}, {"out": TARGET}, epochs=2, verbose=0)
    predicted = model.predict({"a": A, "b": B}, verbose=0)["out"]
    assert_close(model({"b": B, "a": A})["out"], predicted, length=4)
    model.save(tmp_path / "both.safetensors")
    loaded = nnx.models.load_model(tmp_path / "both.safetensors", custom_objects={"Both": Both})
    assert_close(loaded.predict({"a": A, "b": B}, verbose=0)["out"], predicted, 0.0, 0.0)
    a, b = Input((3,)), Input((3,))
    outer = nnx.Model([a, b], Both()({"b": b, "a": a})["out"])
    outer.save(tmp_path / "outer.safetensors")
    again = nnx.models.load_model(tmp_path / "outer.safetensors", custom_objects={"Both": Both})
    assert_close(again([A, B]), outer([A, B]), 0.0, 0.0)


# Options


def test_an_attention_mask_may_be_an_input(tmp_path: Any):
    x, mask = Input((5, 4)), Input((5, 5), dtype="bool")
    attention = MultiHeadAttention(2, 2)
    model = nnx.Model([x, mask], attention(x, x, attention_mask=mask))
    sequence, causal = np.float32(Generator(4).normal((3, 5, 4))), np.tril(np.ones((3, 5, 5), bool))
    expected = attention(sequence, sequence, use_causal_mask=True)
    assert_close(model([sequence, causal]), expected, length=20)
    model.compile("sgd", "mse")
    model.fit([sequence, causal], sequence, verbose=0)
    model.save(tmp_path / "attention.safetensors")
    loaded = nnx.models.load_model(tmp_path / "attention.safetensors")
    assert_close(loaded([sequence, causal]), model([sequence, causal]), 0.0, 0.0)


def test_query_value_and_key_by_keyword():
    sequence = np.float32(Generator(4).normal((3, 5, 4)))
    layer = MultiHeadAttention(2, 2)
    expected = layer(sequence, sequence[:, 1:], sequence[:, :-1])
    found = layer(query=sequence, key=sequence[:, :-1], value=sequence[:, 1:])
    assert_close(found, expected, 0.0, 0.0)


@pytest.mark.parametrize("x", [Input((3,)), A], ids=["symbol", "array"])
def test_an_option_that_does_not_exist_is_refused_at_once(x: Any):
    with pytest.raises(TypeError, match="dense takes no 'trainng' when it is called; it takes x, training"):
        Dense(2)(x, trainng=True)
    with pytest.raises(TypeError, match="sequential takes no 'scale'"):
        nnx.Sequential([Flatten()])(x, scale=2.0)
    with pytest.raises(TypeError, match="dense was called without an input"):
        Dense(2)()


@pytest.mark.parametrize("x", [Input((3,)), A], ids=["symbol", "array"])
def test_a_number_for_one_call(x: Any):
    layer = type("Scaled", (Layer,), {"call": lambda self, x, scale=1.0: x * scale})()
    y = layer(x, scale=3.0)
    assert (nnx.Model(x, y).predict(A, verbose=0) if isinstance(x, nnx.layers.Symbol) else y) == pytest.approx(3.0 * A)
    with pytest.raises(TypeError, match="scaled takes no 'scal' when it is called; did you mean 'scale'"):
        layer(x, scal=3.0)


# Targets


def two_outputs(form: str) -> nnx.Model:
    x = Input((3,))
    u, v = Dense(1, name="u")(x), Dense(2, name="v")(x)
    return nnx.Model(x, {"u": u, "v": v} if form == "dict" else [u, v])


@pytest.mark.parametrize(
    ("form", "loss", "y"),
    [
        ("dict", {"u": "mse"}, {"u": TARGET[:, :1]}),
        ("list", ["mse", None], [TARGET[:, :1], None]),
        ("list", {"u": "mse"}, {"u": TARGET[:, :1]}),
        ("list", {"u": "mse"}, [TARGET[:, :1], TARGET]),
    ],
)
def test_an_output_without_a_loss_needs_no_targets(form: str, loss: Any, y: Any):
    model = two_outputs(form)
    model.compile("sgd", loss)
    before = model.get_weights()
    history = model.fit(A, y, epochs=2, verbose=0, validation_data=(A, y)).history
    assert set(history) == {"loss", "val_loss"}
    changed = [bool((old != new).any()) for old, new in zip(before, model.get_weights(), strict=True)]
    assert changed == [True, True, False, False]
    assert model.train_on_batch(A, y) > 0.0


def test_targets_that_are_needed_are_asked_for():
    model = two_outputs("list")
    model.compile("sgd", {"u": "mse"}, metrics={"v": ["mae"]})
    with pytest.raises(ValueError, match=r"y is a dict of \['u'\], expected the names \['u', 'v'\]"):
        model.fit(A, {"u": TARGET[:, :1]}, verbose=0)
    with pytest.raises(ValueError, match="functional has 2 outputs, u, v: give targets for all"):
        model.fit(A, [TARGET[:, :1], None], verbose=0)


NESTED: dict[str, dict[str, Any]] = {
    "by keys and positions": {
        "loss": {"a": ["mse", "mae"], "c": "mse"},
        "metrics": {"a": [["mae"], ["mse"]], "c": "mae"},
    },
    "by names": {"loss": {"p": "mse", "q": "mae", "r": "mse"}, "metrics": {"p": "mae", "q": "mse", "r": "mae"}},
    "in order": {"loss": ["mse", "mae", "mse"], "metrics": [["mae"], ["mse"], ["mae"]]},
}


@pytest.mark.parametrize("form", NESTED)
def test_losses_and_metrics_nested_as_outputs_are(form: str) -> None:
    nnx.random.set_seed(2)
    x = Input((3,))
    p, q, r = (Dense(units, name=name)(x) for units, name in ((2, "p"), (1, "q"), (4, "r")))
    model = nnx.Model(x, {"a": [p, q], "c": r})
    model.compile(
        "sgd", **NESTED[form], loss_weights={"a": [1.0, 2.0], "c": 0.5} if "keys" in form else [1.0, 2.0, 0.5]
    )
    zeros = {"a": [np.zeros((4, 2)), np.zeros((4, 1))], "c": np.zeros((4, 4))}
    made = model.evaluate(np.ones((4, 3)), zeros, verbose=0, return_dict=True)
    outputs = model.predict(np.ones((4, 3)), verbose=0)
    assert_close(made["p_loss"], np.mean(np.square(outputs["a"][0])))
    assert_close(made["q_loss"], np.mean(np.abs(outputs["a"][1])))
    total = np.float32(made["p_loss"] + 2.0 * made["q_loss"] + 0.5 * made["r_loss"])
    assert_close(np.float32(made["loss"]), total)
    assert sorted(name for name in made if name.endswith(("mae", "mse"))) == ["p_mae", "q_mse", "r_mae"]


def test_losses_nested_otherwise_than_outputs():
    x = Input((3,))
    model = nnx.Model(x, {"a": [Dense(2)(x), Dense(1)(x)], "c": Dense(4)(x)})
    with pytest.raises(ValueError, match="loss has 1 entries for 2 outputs in one list"):
        model.compile("sgd", {"a": ["mse"], "c": "mse"})
    with pytest.raises(ValueError, match="loss names the output 'b'"):
        model.compile("sgd", {"b": "mse"})
