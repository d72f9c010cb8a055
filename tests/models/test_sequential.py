"""Sequential as a stack of layers: building, names, weights, configurations, looks."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

import nnx
from nnx.layers import Activation, Dense, Dropout, Flatten, Input, Layer
from nnx.random import Generator
from nnx.testing import assert_close

X = Generator(1).normal((6, 4))


def small() -> nnx.Sequential:
    return nnx.Sequential([Dense(3, "relu", input_shape=(4,)), Dropout(0.5), Dense(2, "softmax")])


WAYS: dict[str, Callable[[], nnx.Sequential]] = {
    "input_shape": lambda: nnx.Sequential([Dense(3, input_shape=(4,)), Dense(2)]),
    "input_dim": lambda: nnx.Sequential([Dense(3, input_dim=4), Dense(2)]),
    "Input": lambda: nnx.Sequential([Input(shape=(4,)), Dense(3), Dense(2)]),
    "Input of nnx": lambda: nnx.models.Sequential([nnx.Input((4,)), Dense(3), Dense(2)]),
    "add": lambda: added(Dense(3, input_dim=4), Dense(2)),
    "add Input": lambda: added(Input((4,)), Dense(3), Dense(2)),
    "build": lambda: built((None, 4), Dense(3), Dense(2)),
    "build with a batch size": lambda: built((6, 4), Dense(3), Dense(2)),
    "build without a shape": lambda: built(None, Dense(3, input_dim=4), Dense(2)),
    "nested": lambda: nnx.Sequential([nnx.Sequential([Dense(3, input_dim=4)]), nnx.Sequential([Dense(2)])]),
}
LATE: dict[str, Callable[[nnx.Sequential], object]] = {
    "call": lambda model: model(X),
    "predict": lambda model: model.predict(X, verbose=0),
    "predict_on_batch": lambda model: model.predict_on_batch(X),
    "fit": lambda model: model.fit(X, X[:, :2], verbose=0),
    "train_on_batch": lambda model: model.train_on_batch(X, X[:, :2]),
    "evaluate": lambda model: model.evaluate(X, X[:, :2], verbose=0),
}


def added(*layers: Layer) -> nnx.Sequential:
    model = nnx.Sequential()
    for layer in layers:
        model.add(layer)
    return model


def built(shape: tuple[int | None, ...] | None, *layers: Layer) -> nnx.Sequential:
    model = nnx.Sequential(list(layers))
    model.build(shape)
    return model


@pytest.mark.parametrize("way", WAYS)
def test_ways_to_say_the_input_shape(way: str):
    nnx.random.set_seed(3)
    model = WAYS[way]()
    assert model.built
    assert model.input_shape == (None, 4)
    assert model.output_shape == (None, 2)
    assert model.count_params() == 3 * 5 + 2 * 4
    nnx.random.set_seed(3)
    assert_close(model.predict(X, verbose=0), WAYS["Input"]().predict(X, verbose=0), 0.0, 0.0)


def test_the_input_is_not_among_the_layers():
    model = nnx.Sequential([Input((4,))])
    assert model.layers == []
    model.add(Dense(3))
    assert [layer.name for layer in model.layers] == ["dense"]
    model.layers.clear()  # a list of one's own
    assert len(model.layers) == 1


@pytest.mark.parametrize("way", LATE)
def test_building_by_the_first_data(way: str):
    model = nnx.Sequential([Dense(3), Dense(2)])
    model.compile("sgd", "mse")
    assert not model.built
    LATE[way](model)
    assert model.input_shape == (None, 4)
    assert [parameter.path for parameter in model.weights] == [
        "dense/kernel",
        "dense/bias",
        "dense_1/kernel",
        "dense_1/bias",
    ]


def test_what_needs_a_built_model_says_how_to_build_it():
    model = nnx.Sequential([Dense(3)], name="mine")
    for use in (
        lambda: model.input_shape,
        lambda: model.output_shape,
        lambda: model.flat,
        lambda: model.to("numpy"),
        lambda: model.save("x"),
    ):
        with pytest.raises(ValueError, match=r"mine is not built.*input_shape, start with Input.*call build"):
            use()
    with pytest.raises(ValueError, match=r"mine has no parameters to count before it is built"):
        model.count_params()
    with pytest.raises(ValueError, match=r"mine: give build the shape of the input"):
        model.build()
    with pytest.raises(ValueError, match=r"mine has no layers"):
        nnx.Sequential(name="mine").build((None, 3))
    assert model.weights == []


def test_building_twice_keeps_the_weights():
    model = small()
    before = model.get_weights()
    model.build((None, 4))
    model.build()
    for old, new in zip(before, model.get_weights(), strict=True):
        assert_close(new, old, 0.0, 0.0)


def test_names():
    model = nnx.Sequential([Dense(1, input_dim=4), Dense(2, name="hidden"), Dense(3), Activation("relu"), Dense(4)])
    assert [layer.name for layer in model.layers] == ["dense", "hidden", "dense_1", "activation", "dense_2"]
    assert model.name == "sequential"
    assert nnx.Sequential(name="mine").name == "mine"
    with pytest.raises(ValueError, match=r"sequential: a layer named 'hidden' is already there"):
        model.add(Dense(2, name="hidden"))
    with pytest.raises(ValueError, match=r"sequential: layer 'hidden' is already in the stack"):
        model.add(model.layers[1])
    assert len(model.layers) == 5
    inner = nnx.Sequential([Dense(2), nnx.Sequential([Dense(2)])])
    model.add(inner)
    assert [parameter.path for parameter in inner.weights] == [
        "sequential/dense/kernel",
        "sequential/dense/bias",
        "sequential/sequential/dense/kernel",
        "sequential/sequential/dense/bias",
    ]


def test_get_layer():
    model = small()
    assert model.get_layer("dense_1") is model.get_layer(index=2) is model.get_layer(index=-1) is model.layers[2]
    for arguments, words in [
        ({"name": "dens"}, r"sequential has no layer 'dens'; it has dense, dropout, dense_1"),
        ({"index": 3}, r"sequential has 3 layers, there is none at index 3"),
        ({}, r"either a name or an index"),
        ({"name": "dense", "index": 0}, r"either a name or an index"),
    ]:
        with pytest.raises(ValueError, match=words):
            model.get_layer(**arguments)


def test_add_and_pop_after_training():
    model = small()
    model.compile("adam", "mse")
    model.fit(X, X[:, :2], verbose=0)
    kept = model.layers[0].get_weights()
    last = model.pop()
    assert isinstance(last, Dense)
    assert model.output_shape == (None, 3)
    assert_close(model.layers[0].get_weights()[0], kept[0], 0.0, 0.0)
    model.add(Dense(4))
    assert model.output_shape == (None, 4)
    assert model.layers[-1].name == "dense_1"
    model.fit(X, X, verbose=0)
    assert (model.layers[0].get_weights()[0] != kept[0]).any()


def test_another_last_layer_means_another_loss_path():
    """The loss took the logits of a softmax; after `pop` there is none."""
    one_hot = np.eye(2)[[0, 1, 0, 1, 1, 0]]
    model = small()
    model.compile("sgd", "categorical_crossentropy", metrics=["acc"])
    model.fit(X, one_hot, verbose=0)
    model.pop()
    model.add(Dense(2, "relu"))
    model.add(Activation(lambda x: (x + 1.0, lambda dy: dy)))
    model.add(Activation("softplus"))
    outputs = model.predict(X, verbose=0)
    expected = nnx.losses.CategoricalCrossentropy()(one_hot, outputs)
    assert model.evaluate(X, one_hot, verbose=0)[0] == pytest.approx(float(expected), rel=1e-5)


def test_pop_until_nothing_is_left():
    model = nnx.Sequential([Dense(3, input_dim=4)])
    model.pop()
    assert not model.built
    assert model.layers == []
    with pytest.raises(ValueError, match=r"sequential has no layer to pop"):
        model.pop()
    model.add(Dense(2, input_dim=5))
    assert model.input_shape == (None, 5)


@pytest.mark.parametrize(
    ("thing", "error", "words"),
    [
        (Dense, TypeError, r"expected a layer, got .*Dense.*; write its parentheses"),
        ("dense", TypeError, r"expected a layer, got 'dense'"),
        (None, TypeError, r"expected a layer, got None"),
        (Input((3,)), ValueError, r"Input must be the first layer"),
    ],
)
def test_what_cannot_be_added(thing: object, error: type[Exception], words: str):
    model = small()
    with pytest.raises(error, match=words):
        model.add(thing)
    assert len(model.layers) == 3
    assert model.predict(X, verbose=0).shape == (6, 2)


def test_a_layer_that_does_not_fit_is_not_added():
    model = small()
    with pytest.raises(ValueError, match=r"reshape: cannot reshape samples of shape \(2,\)"):
        model.add(nnx.layers.Reshape((3,)))
    dense = Dense(2, name="built_elsewhere")
    dense.build_on(nnx.get_backend(), (None, 7))
    with pytest.raises(ValueError, match=r"built_elsewhere: expected an input of shape \(batch, ..., 7\)"):
        model.add(dense)
    assert len(model.layers) == 3
    model.add(Flatten())


def test_one_layer_in_place_of_a_list():
    with pytest.raises(TypeError, match=r"write Sequential\(\[layer\]\)"):
        nnx.Sequential(Dense(3))


# Configurations and looks


@pytest.mark.parametrize("make", [small, *WAYS.values()])
def test_configuration_round_trip(make: Callable[[], nnx.Sequential]):
    model = make()
    text = model.to_json()
    config = json.loads(text)
    assert config["class_name"] == "Sequential"
    copy = nnx.Sequential.from_config(config["config"])
    assert copy.to_json() == text
    assert copy.input_shape == model.input_shape
    copy.set_weights(model.get_weights())
    assert_close(copy.predict(X, verbose=0), model.predict(X, verbose=0), 0.0, 0.0)


def test_configuration_of_a_model_that_is_not_built():
    copy = nnx.Sequential.from_config(nnx.Sequential([Dense(3), Dense(2)], name="mine").get_config())
    assert not copy.built
    assert copy.name == "mine"
    assert copy.predict(X, verbose=0).shape == (6, 2)


def test_summary(capsys: pytest.CaptureFixture[str]):
    model = small()
    model.layers[0].trainable = False
    model.summary()
    printed = capsys.readouterr().out
    for words in ('Model: "sequential"', "dense (Dense)", "(None, 3)", "Total params: 23 (92.00 B)"):
        assert words in printed
    assert "Non-trainable params: 15 (60.00 B)" in printed
    lines: list[str] = []
    model.summary(print_fn=lines.append, show_trainable=True, line_length=100)
    assert "Trainable" in "\n".join(lines)
    outer = nnx.Sequential([model, Dense(1)])
    outer.summary(expand_nested=True)
    assert "dropout (Dropout)" in capsys.readouterr().out
    nnx.Sequential([Dense(3)]).summary()
    assert "unbuilt" in capsys.readouterr().out
    assert "<table>" in model._repr_html_()


def test_sizes_left_open_by_the_first_data(backend, tmp_path):
    """As in Keras, a stack that was built by data takes other sizes, where its layers do."""
    steps = nnx.Sequential([nnx.layers.Embedding(9, 4), nnx.layers.LSTM(3, return_sequences=True), nnx.layers.Dense(1)])
    images = nnx.Sequential([nnx.layers.Conv2D(2, 3), nnx.layers.GlobalMaxPooling2D(), nnx.layers.Dense(1)])
    for model in (steps, images):
        model.compile("sgd", "mse", metrics=["mae"])
    for size in (5, 7, 4):
        steps.fit(np.ones((2, size)), np.zeros((2, size, 1)), verbose=0)
        images.fit(np.ones((2, size, size + 1, 3)), np.zeros((2, 1)), verbose=0)
    steps.save(tmp_path / "steps.safetensors")
    loaded = nnx.models.load_model(tmp_path / "steps.safetensors")
    assert loaded.predict(np.ones((2, 11)), verbose=0).shape == (2, 11, 1)
    assert steps.output_shape == (None, None, 1)


def test_sizes_that_a_layer_cannot_take():
    model = nnx.Sequential([nnx.layers.Flatten(), nnx.layers.Dense(1)])
    model.predict(np.ones((2, 3, 3)), verbose=0)
    assert model.output_shape == (None, 1)
    for wrong, message in (((2, 4, 3), "dense: expected an input of shape .*9.*got"), ((2, 9), "sequential: expected")):
        with pytest.raises(ValueError, match=message):
            model.predict(np.ones(wrong), verbose=0)
    told = nnx.Sequential([nnx.layers.Dense(1)])
    told.build((None, 3))
    with pytest.raises(ValueError, match="sequential: expected an input of shape"):
        told(np.ones((2, 4)))


def test_losses_nested_as_the_outputs():
    x = nnx.Input((3,))
    a, b, c = (nnx.layers.Dense(1, name=name)(x) for name in "abc")
    model = nnx.Model(x, [a, [b, c]])
    model.compile("sgd", ["mse", ["mae", "mse"]], loss_weights=[1.0, [0.0, 0.5]])
    y = np.zeros((4, 1), "float32")
    history = model.fit(np.ones((4, 3)), [y, [y, y]], verbose=0).history
    assert history["loss"][0] == pytest.approx(history["a_loss"][0] + 0.5 * history["c_loss"][0], rel=1e-5)


def test_an_output_without_a_loss_beside_nested_ones():
    x = nnx.Input((3,))
    p, q, r = (nnx.layers.Dense(1, name=name)(x) for name in "pqr")
    y = np.zeros((4, 1), "float32")
    for outputs, targets, loss, name in (
        (
            {"first": p, "others": [q, r]},
            {"first": y, "others": [y, y]},
            {"first": "mse", "others": ["mae", None]},
            "q",
        ),
        ([p, [q, r]], [y, [y, y]], ["mse", [None, "mae"]], "r"),
    ):
        model = nnx.Model(x, outputs)
        model.compile("sgd", loss)
        history = model.fit(np.ones((4, 3)), targets, verbose=0).history
        assert set(history) == {"loss", "p_loss", f"{name}_loss"}
        assert history["loss"][0] == pytest.approx(history["p_loss"][0] + history[f"{name}_loss"][0], rel=1e-5)
