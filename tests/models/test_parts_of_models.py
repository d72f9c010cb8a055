"""Parts of models as models: values in the middle, stacks as graphs, names that stay, copies, and what is frozen."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.layers import BatchNormalization, Dense, Dropout, Input, Layer, TimeDistributed, add
from nnx.random import Generator
from nnx.testing import assert_close

X = np.float32(Generator(1).normal((8, 3)))
Y = np.float32(Generator(2).normal((8, 1)))


def stack(**options: Any) -> nnx.Sequential:
    return nnx.Sequential([Input((3,)), Dense(4, "tanh", name="hidden"), Dense(2, name="last")], **options)


# Values in the middle


@pytest.mark.parametrize("start", [lambda: Input((3,)), None], ids=["Input", "input_shape"])
def test_a_stack_is_a_graph_too(start: Any):
    first = Dense(4, "tanh") if start else Dense(4, "tanh", input_shape=(3,))
    model = nnx.Sequential([*([start()] if start else []), first, Dropout(0.5), Dense(2)])
    assert (model.input.shape, model.output.shape) == ((None, 3), (None, 2))
    assert [symbol.shape for symbol in (*model.inputs, *model.outputs)] == [(None, 3), (None, 2)]
    middle = nnx.Model(model.inputs, [layer.output for layer in model.layers])
    hidden, _, last = middle.predict(X, verbose=0)
    assert_close(hidden, first(X), length=4)
    assert_close(last, model.predict(X, verbose=0), length=4)
    head = nnx.Model(model.input, Dense(5)(model.layers[-2].output))
    assert head.output_shape == (None, 5)
    assert head.layers[1] is first


def test_a_stack_that_is_built_later_and_changed():
    model = nnx.Sequential([Dense(4)])
    with pytest.raises(ValueError, match="sequential is not built, so it has no graph"):
        _ = model.output
    model.build((None, 3))
    model.add(Dense(5))
    assert model.output.shape == (None, 5)
    model.pop()
    assert model.output.shape == (None, 4)
    model.add(Dense(6, name="other"))
    assert nnx.Model(model.input, model.get_layer("other").output).output_shape == (None, 6)


def test_the_middle_of_a_model_in_a_model():
    inner = stack(name="inner")
    x = Input((3,))
    model = nnx.Model(x, Dense(1)(inner(x)))
    found = model.get_layer("inner")
    middle = nnx.Model(found.input, found.get_layer("hidden").output)
    assert_close(middle.predict(X, verbose=0), inner.layers[0](X), length=4)


def test_a_tail_begins_in_the_middle():
    x = Input((3,))
    hidden = Dense(4, "tanh")(x)
    model = nnx.Model(x, Dense(2)(hidden))
    head, tail = nnx.Model(x, hidden), nnx.Model(hidden, model.output)
    assert_close(tail.predict(head.predict(X, verbose=0), verbose=0), model.predict(X, verbose=0), length=8)


def test_an_input_of_the_same_name_is_another_one():
    hidden = Dense(4)(Input((3,)))
    with pytest.raises(ValueError, match=r"not among its inputs \(input_layer\): it is another one of that name"):
        nnx.Model(Input((3,)), hidden)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
@pytest.mark.parametrize("make", [stack, lambda: nnx.Model(*(lambda s: (s.input, s.output))(stack()))])
def test_a_copy_is_a_graph_of_its_own(make: Any, copied: Any):
    model = make()
    twin = copied(model)
    middle = nnx.Model(twin.input, twin.get_layer("hidden").output)
    assert middle.layers[-1] is twin.get_layer("hidden")
    assert_close(middle(X), model.get_layer("hidden")(X), 0.0, 0.0)
    twin.compile("sgd", "mse")
    before = model.get_weights()
    twin.fit(X, X[:, :2], verbose=0)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


# Names


def test_names_stay_when_layers_go_into_another_model():
    x = Input((3,))
    first, second = Dense(3), Dense(3)
    model = nnx.Model(x, second(first(x)))
    names = list(model.named_weights())
    y = Input((3,))
    other = nnx.Model(y, second(Dense(3)(y)))
    assert list(model.named_weights()) == names == ["dense/kernel", "dense/bias", "dense_1/kernel", "dense_1/bias"]
    assert set(other.named_weights()) == set(names)  # the new layer is the one that makes room
    assert other.get_layer("dense_1") is second


def test_models_that_are_joined_keep_their_names(tmp_path: Any):
    def make() -> nnx.Model:
        x = Input((3,))
        return nnx.Model(x, Dense(2)(Dense(4)(x)))

    one, other = make(), make()
    other.save_weights(tmp_path / "other.safetensors")
    both = nnx.Model([one.input, other.input], Dense(1)(add([one.output, other.output])))
    assert len(both.named_weights()) == len(set(both.weights)) == 10
    assert both.input_names == ["input_layer", "input_layer_1"]
    assert list(other.named_weights()) == list(one.named_weights())
    assert other.input_names == ["input_layer"]
    other.load_weights(tmp_path / "other.safetensors")
    both.compile("sgd", "mse")
    both.fit({"input_layer": X, "input_layer_1": X}, Y, verbose=0)
    both.save(tmp_path / "both.safetensors")
    loaded = nnx.models.load_model(tmp_path / "both.safetensors")
    assert list(loaded.named_weights()) == list(both.named_weights())
    assert_close(loaded.predict([X, X], verbose=0), both.predict([X, X], verbose=0), 0.0, 0.0)
    for path, parameter in both.named_weights().items():
        assert parameter in both.get_layer(path.split("/")[0]).weights


def test_a_name_of_the_users_goes_before_automatic_ones():
    x = Input((3,))
    model = nnx.Model(x, Dense(1, name="dense")(Dense(2)(x)))
    assert [layer.name for layer in model.layers] == ["input_layer", "dense_1", "dense"]
    with pytest.raises(ValueError, match="a layer named 'dense' is already there"):
        nnx.Sequential([Dense(2), Dense(1, name="dense")])


# Frozen parts


class Normalised(Layer):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dense, self.normalization = Dense(3), BatchNormalization()

    def call(self, x: Any) -> Any:
        return self.normalization(self.dense(x))


def normalised(**options: Any) -> nnx.Sequential:
    return nnx.Sequential([Dense(3), BatchNormalization()], **options)


def frozen(layer: Any) -> Any:
    layer.trainable = False
    return layer


def in_a_graph(layer: Any) -> nnx.Model:
    x = Input((3,))
    return nnx.Model(x, layer(x))


@pytest.mark.parametrize(
    "make",
    [
        lambda: frozen(normalised()),
        lambda: normalised(trainable=False),
        lambda: frozen(nnx.Sequential([normalised()])),
        lambda: frozen(in_a_graph(normalised())),
        lambda: in_a_graph(normalised(trainable=False)),
        lambda: frozen(Normalised()),
        lambda: Normalised(trainable=False),
        lambda: frozen(in_a_graph(Normalised())),
    ],
)
def test_a_frozen_part_does_not_change_at_all(make: Any, tmp_path: Any):
    part = make()
    model = nnx.Sequential([Input((3,)), part, Dense(1)])
    model.compile("sgd", "mse")
    before = [w.copy() for w in part.get_weights()]
    model.fit(X, Y, epochs=2, verbose=0)
    assert all((a == b).all() for a, b in zip(before, part.get_weights(), strict=True))
    assert [parameter.path for parameter in model.trainable_weights] == ["dense/kernel", "dense/bias"]
    model.save(tmp_path / "frozen.safetensors")
    loaded = nnx.models.load_model(tmp_path / "frozen.safetensors", custom_objects={"Normalised": Normalised})
    loaded.fit(X, Y, verbose=0)
    assert all((a == b).all() for a, b in zip(before, loaded.layers[0].get_weights(), strict=True))
    part.trainable = True
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)
    assert all((a != b).any() for a, b in zip(before, part.get_weights(), strict=True))


def test_a_layer_inside_a_wrapper_is_frozen_with_it():
    wrapper = frozen(TimeDistributed(normalised()))
    assert not any(layer.trainable for layer in wrapper.layer.layers)
    assert not wrapper.layer.trainable


def test_freezing_all_but_the_last_layers():
    base = nnx.Sequential([Input((3,)), Dense(3), Dense(3), Dense(3)])
    model = nnx.Sequential([base, Dense(1)])
    base.trainable = True
    for layer in base.layers[:-1]:
        layer.trainable = False
    assert [parameter.path for parameter in model.trainable_weights[::2]] == [
        "sequential/dense_2/kernel",
        "dense/kernel",
    ]


class Chain(nnx.Model):
    def __init__(self, depth: int) -> None:
        super().__init__()
        self.parts = [Dense(2) for _ in range(depth)]

    def call(self, x: Any) -> Any:
        for part in self.parts:
            x = x + part(x) * 0.01
        return x


def deep_graph(depth: int) -> nnx.Model:
    x = made = Input((2,))
    for _ in range(depth):
        made = add([made, Dense(2)(made)])
    return nnx.Model(x, made)


@pytest.mark.parametrize("make", [Chain, deep_graph])
def test_deep_models_can_be_copied(make: Any) -> None:
    model, x = make(120), np.ones((3, 2), "float32")
    expected = model.predict(x, verbose=0)
    np.testing.assert_array_equal(copy.deepcopy(model).predict(x, verbose=0), expected)
