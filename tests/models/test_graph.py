"""Graphs of layers: structure, gradients, training of several outputs, saving, sub-models, traced calls."""

import json
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.debug.watching import watch
from nnx.layers import Dense, Dropout, Input, Lambda, Layer, Operation
from nnx.structure import leaves
from nnx.testing import assert_close, check_gradients


def two_headed():
    """Two inputs, a shared layer, a residual connection, two outputs."""
    a, b = Input((4,), name="a"), Input((5,), name="b")
    shared = Dense(6, "tanh", name="shared")
    left, right = shared(a), shared(Dense(4, name="adapt")(b))
    number = Dense(1, name="number")(left * right + left)
    label = Dense(3, "softmax", name="label")(left - 2.0 * right)
    return nnx.Model([a, b], [number, label])


def data(rows=24):
    generator = np.random.default_rng(0)
    return (
        [generator.normal(size=(rows, 4)), generator.normal(size=(rows, 5))],
        [generator.normal(size=(rows, 1)), generator.integers(0, 3, rows)],
    )


def test_symbols_have_names():
    """Those of their layers, as scripts for Keras look for: `model.inputs[0].name`."""
    model = two_headed()
    assert [symbol.name for symbol in [*model.inputs, *model.outputs]] == ["a", "b", "number", "label"]
    assert model.get_layer("adapt").output.name == "adapt"


class TestGradients:
    def test_of_inputs(self, backend_float64):
        with nnx.backend(backend_float64.name, device=backend_float64.device, dtype="float64"):
            model = two_headed()
        (a, b), _ = data()

        def outputs(a, b):
            y, pullback = model.forward(a, b)
            return tuple(y), pullback

        check_gradients(outputs, a, b, placement=backend_float64)

    def test_of_parameters(self):
        with nnx.backend("numpy", dtype="float64"):
            model = two_headed()
        (a, b), _ = data(7)
        cotangents = [np.random.default_rng(1).normal(size=(7, width)) for width in (1, 3)]

        def value():
            outputs = model.propagate(a, b)[0]
            return sum((y * dy).sum() for y, dy in zip(outputs, cotangents, strict=True))

        _, pullback = model.forward(a, b, training=True)
        pullback(cotangents)
        model.flat.finish_pass()
        gradient, values = model.flat.grads.copy(), model.flat.values
        direction = np.random.default_rng(2).normal(size=values.shape)
        step = 1e-5
        values += step * direction
        above = value()
        values -= 2 * step * direction
        numeric = (above - value()) / (2 * step)
        assert_close(gradient @ direction, numeric, rtol=1e-8)

    @pytest.mark.parametrize(
        "make",
        [
            lambda x: x + x,
            lambda x: 3.0 - x,
            lambda x: 1.0 / (x * x + 2.0),
            lambda x: x / 4.0 - x**3,
            lambda x: -x * x,
            lambda x: x[:, 1:3] + x[..., -1:],
            lambda x: x[:, None, :] @ x[:, :, None],
            lambda x: x[:, 0] * x[:, 2],
        ],
    )
    def test_of_operators(self, make, backend_float64):
        with nnx.backend(backend_float64.name, device=backend_float64.device, dtype="float64"):
            x = Input((4,))
            y = make(x)
            model = nnx.Model(x, y)
        array = np.random.default_rng(3).normal(size=(5, 4))
        value = nnx.to_numpy(model(backend_float64.asarray(array, "float64")))
        assert_close(value, make(array), rtol=1e-12)
        assert value.shape[1:] == y.shape[1:]
        check_gradients(model.forward, array, placement=backend_float64)

    @pytest.mark.parametrize("take", [lambda x: x[:, 0], lambda x: x[:, 1:, -1], lambda x: x[:, None], lambda x: x[:]])
    def test_of_pieces_with_fewer_indices_than_axes(self, take, backend_float64):
        x = Input((3, 4))
        model = nnx.Model(x, take(x))
        array = np.random.default_rng(3).normal(size=(5, 3, 4))
        value = nnx.to_numpy(model.forward(backend_float64.asarray(array, "float64"))[0])
        assert_close(value, take(array), rtol=1e-12)
        assert value.shape[1:] == take(x).shape[1:]
        check_gradients(model.forward, array, placement=backend_float64)

    def test_an_input_that_an_output_does_not_use_gets_zeros(self):
        a, b = Input((2,)), Input((3,))
        model = nnx.Model([a, b], Dense(1)(a))
        _, pullback = model.forward(np.ones((4, 2), "float32"), np.ones((4, 3), "float32"))
        da, db = pullback(np.ones((4, 1), "float32"))
        assert da.shape == (4, 2)
        assert_close(db, np.zeros((4, 3)))


class TestTraining:
    @pytest.mark.parametrize("form", ["list", "dict"])
    def test_losses_and_metrics_by_output(self, form):
        model = two_headed()
        xs, ys = data()
        losses, metrics = ["mse", "sparse_categorical_crossentropy"], [None, ["acc"]]
        if form == "dict":
            names = ["number", "label"]
            losses, metrics = dict(zip(names, losses, strict=True)), {"label": ["acc"]}
            xs, ys = dict(zip("ab", xs, strict=True)), dict(zip(names, ys, strict=True))
        model.compile("adam", losses, metrics=metrics, loss_weights=[0.5, 2.0])
        history = model.fit(xs, ys, epochs=3, batch_size=10, validation_split=0.25, verbose=0).history
        parts = ("loss", "number_loss", "label_loss", "label_acc")
        assert set(history) == {*parts, *(f"val_{name}" for name in parts)}
        results = model.evaluate(xs, ys, verbose=0, return_dict=True)
        assert_close(results["loss"], 0.5 * results["number_loss"] + 2.0 * results["label_loss"], rtol=1e-6)
        assert [y.shape for y in model.predict(xs, verbose=0)] == [(24, 1), (24, 3)]

    def test_learns_both(self):
        nnx.random.set_seed(0)
        model = two_headed()
        xs, ys = data()
        model.compile(nnx.optimizers.Adam(0.02), ["mse", "sparse_categorical_crossentropy"])
        first, *_ = model.evaluate(xs, ys, verbose=0)
        model.fit(xs, ys, epochs=60, verbose=0)
        assert model.evaluate(xs, ys, verbose=0)[0] < 0.25 * first

    def test_equal_to_a_sequential(self):
        nnx.random.set_seed(5)
        stack = nnx.Sequential([Input((4,)), Dense(6, "relu"), Dense(3, "softmax")])
        x = Input((4,))
        graph = nnx.Model(x, Dense(3, "softmax")(Dense(6, "relu")(x)))
        graph.set_weights(stack.get_weights())
        (inputs, _), (_, labels) = data()
        histories = []
        for model in (stack, graph):
            model.compile("adam", "sparse_categorical_crossentropy", metrics=["acc"])
            histories.append(model.fit(inputs, labels, epochs=3, shuffle=False, verbose=0).history)
        assert histories[0] == histories[1]

    def test_sample_weights_by_output(self):
        model = two_headed()
        xs, ys = data()
        model.compile("sgd", ["mse", "sparse_categorical_crossentropy"])
        weights = np.arange(24.0)
        whole = model.evaluate(xs, ys, sample_weight=weights, verbose=0)
        parts = model.evaluate(xs, ys, sample_weight=[weights, None], verbose=0, return_dict=True)
        assert whole[1] == parts["number_loss"]
        assert whole[2] != parts["label_loss"]

    def test_on_every_backend(self, backend):
        nnx.random.set_seed(2)
        model = two_headed()
        xs, ys = data()
        model.compile("adam", ["mse", "sparse_categorical_crossentropy"])
        history = model.fit(xs, ys, epochs=2, batch_size=8, verbose=0).history
        nnx.random.set_seed(2)
        with nnx.backend("numpy"):
            twin = two_headed()
        twin.compile("adam", ["mse", "sparse_categorical_crossentropy"])
        assert_close(history["loss"], twin.fit(xs, ys, epochs=2, batch_size=8, verbose=0).history["loss"], rtol=1e-4)


class TestParts:
    def test_a_sub_model_shares_its_layers(self):
        model = two_headed()
        (a, _), _ = data()
        features = nnx.Model(model.inputs[0], model.get_layer("shared").output)
        before = features.predict(a, verbose=0)
        shared = model.get_layer("shared")
        kernel, bias = shared.get_weights()
        assert_close(before, np.tanh(a.astype("float32") @ kernel + bias), rtol=1e-5)
        shared.set_weights([0.0 * w for w in shared.get_weights()])
        assert not features.predict(a, verbose=0).any()

    def test_models_nest(self):
        inner = nnx.Sequential([Input((6,)), Dense(6, "relu"), Dropout(0.5)], name="inner")
        x = Input((6,))
        model = nnx.Model(x, Dense(2, "softmax")(x + inner(inner(x))))
        model.compile("adam", "categorical_crossentropy")
        inputs, targets = np.ones((8, 6)), np.eye(2)[[0, 1] * 4]
        model.fit(inputs, targets, epochs=2, verbose=0)
        stacked = nnx.Sequential([Input((6,)), model, Dense(1)])
        assert stacked.predict(inputs, verbose=0).shape == (8, 1)
        assert {path.split("/")[0] for path in model.named_weights()} == {"inner", "dense"}

    def test_summary_says_what_is_connected_to_what(self, capsys):
        two_headed().summary(line_length=100)
        text = capsys.readouterr().out
        assert "Connected to" in text
        row = next(line for line in text.splitlines() if "shared (Dense)" in line)
        assert "a[0][0], adapt[0][0]" in row

    @pytest.mark.parametrize("through", ["config", "json", "file"])
    def test_comes_back_from(self, through, tmp_path):
        model = two_headed()
        xs, ys = data()
        model.compile("adam", ["mse", "sparse_categorical_crossentropy"])
        model.fit(xs, ys, verbose=0)
        if through == "file":
            model.save(tmp_path / "graph.safetensors")
            twin = nnx.models.load_model(tmp_path / "graph.safetensors")
            assert twin.evaluate(xs, ys, verbose=0) == model.evaluate(xs, ys, verbose=0)
        else:
            config = model.get_config()
            twin = nnx.Model.from_config(json.loads(json.dumps(config)) if through == "json" else config)
            twin.set_weights(model.get_weights())
        for mine, theirs in zip(twin.predict(xs, verbose=0), model.predict(xs, verbose=0), strict=True):
            assert (mine == theirs).all()


class Block(Layer):
    """A layer that composes others, and has a parameter of its own."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.inner = Dense(units, "tanh")
        self.dropout = Dropout(0.5, seed=1)

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(1,), initializer="ones", name="scale")
        super().build(input_shape)

    def call(self, x, training=None):
        return x + self.dropout(self.inner(x), training=training) * self.scale


class Tower(nnx.Model):
    def __init__(self, units):
        super().__init__()
        self.units = units
        self.blocks = [Block(units), Block(units)]
        self.head = Dense(1)

    def call(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class TestCall:
    def test_a_layer_trains_what_it_composes(self):
        model = nnx.Sequential([Input((4,)), Block(4), Dense(1)])
        assert list(model.named_weights()) == [
            "block/scale",
            "block/dense/kernel",
            "block/dense/bias",
            "dense/kernel",
            "dense/bias",
        ]
        before = model.get_weights()
        model.compile("sgd", "mse")
        (a, _), (y, _) = data()
        model.fit(a, y, verbose=0)
        assert all((old != new).any() for old, new in zip(before, model.get_weights(), strict=True))

    def test_gradients(self):
        with nnx.backend("numpy", dtype="float64"):
            block = Block(4)
            block(np.ones((2, 4)))
        check_gradients(lambda x: block.forward(x, training=False), np.random.default_rng(0).normal(size=(3, 4)))

    def test_training_reaches_the_inner_layers(self):
        block = Block(4)
        x = np.ones((64, 4), "float32")
        assert (block(x) == block(x)).all()
        assert (block(x, training=True) != block(x)).any()

    def test_a_model_is_built_by_its_first_data(self):
        model = Tower(4)
        model.compile("adam", "mse", metrics=["mae"])
        (a, _), (y, _) = data()
        history = model.fit(a, y, epochs=2, verbose=0).history
        assert set(history) == {"loss", "mae"}
        assert model.count_params() == 2 * (1 + 20) + 5
        assert model.predict(a, verbose=0).shape == (24, 1)

    def test_saved_by_its_constructor_arguments(self, tmp_path):
        model = Tower(4)
        model.build((None, 4))
        (a, _), _ = data()
        model.save_weights(tmp_path / "tower.safetensors")
        twin = Tower(4)
        twin.build((None, 4))
        twin.load_weights(tmp_path / "tower.safetensors")
        assert (twin.predict(a, verbose=0) == model.predict(a, verbose=0)).all()

    @pytest.mark.parametrize(
        ("call", "words"),
        [
            (lambda self, x: 3.0, r"call\(\) has to return"),
            (lambda self, x: x @ Input((7, 3)), "symbolic value takes|mismatch"),
            (lambda self, x: float(x), "only 0-dimensional|only length-1|only size-1"),
        ],
    )
    def test_a_call_that_fails_leaves_nothing(self, call, words):
        layer = type("Mine", (Layer,), {"call": call})()
        with pytest.raises((TypeError, ValueError, IndexError), match=words):
            layer(np.ones((2, 4)))
        assert not layer.built


def residual(norm: bool) -> nnx.Model:
    x = start = Input((4, 4, 3))
    for _ in range(2):
        body = nnx.layers.Conv2D(3, 3, padding="same", use_bias=not norm)(x)
        if norm:
            body = nnx.layers.BatchNormalization()(nnx.layers.ReLU()(nnx.layers.BatchNormalization()(body)))
        x = nnx.layers.Activation("relu")(nnx.layers.Add()([x, body]))
    return nnx.Model(start, nnx.layers.GlobalAveragePooling2D()(x))


def perceptron_of_layers() -> nnx.Model:
    x = start = Input((3,))
    x = nnx.layers.ReLU()(Dense(3)(x)) + Dense(3)(start)  # one sum can be the end of one layer
    x = x + Dense(3, activity_regularizer="l2")(x)  # which looks at its own output
    y = Dense(3)(x)
    return nnx.Model(start, [nnx.layers.Activation("tanh")(x + y), y])  # y is an output: not the end of its layer


def attentive(**options: Any) -> nnx.Model:
    x = start = Input((4, 3))
    if options.pop("masked", False):
        x = nnx.layers.Masking()(x)
    x = x + nnx.layers.MultiHeadAttention(2, 3)(x, x, **options)
    inner = Dense(5, "relu")(nnx.layers.LayerNormalization()(x))
    return nnx.Model(start, nnx.layers.LayerNormalization()(x + Dense(3)(inner)))


def attentive_with_matrices() -> nnx.Model:
    x = Input((4, 3))
    found = [nnx.layers.MultiHeadAttention(2, 3, output_shape=(2, 3))(x, x) for _ in range(2)]
    return nnx.Model(x, nnx.layers.Activation("softmax")(nnx.layers.Add()(found)))


class TestEndings:
    """Additions and activations that alone follow a layer are its end, unless somebody watches the layers."""

    @pytest.mark.parametrize(
        ("make", "calls"),
        [
            (lambda: residual(norm=True), 7),
            (lambda: residual(norm=False), 3),
            (perceptron_of_layers, 7),
            (attentive, 5),
            (lambda: attentive(use_causal_mask=True), 5),
            (lambda: attentive(masked=True), 6),
            (attentive_with_matrices, 4),
        ],
    )
    def test_nothing_changes(self, make: Any, calls: int, backend: nnx.backends.Placement) -> None:
        results = []
        for watched in (False, True):
            nnx.random.set_seed(3)
            model = make()
            model.compile("sgd", "mse")
            x = np.random.default_rng(0).normal(size=(4, *model.input_shape[1:])).astype(np.float32)
            x[0] = 0.0
            targets = [np.zeros((4, *shape[1:]), np.float32) for shape in nnx.shapes.as_shapes(model.output_shape)]
            with watch(model, lambda work, compute: compute()) if watched else nullcontext():
                losses = [model.train_on_batch(x, targets if len(targets) > 1 else targets[0]) for _ in range(2)]
            results.append([*model.get_weights(), *losses, model.predict(x, verbose=0)])
        assert model._composition is not None
        assert len(model._composition.program._plan) == calls
        for mine, theirs in zip(leaves(results[0]), leaves(results[1]), strict=True):
            assert_close(np.asarray(mine), np.asarray(theirs), rtol=2e-5, atol=2e-6)

    def test_what_changes_after_the_model_is_built_counts(self) -> None:
        x = Input((2,))
        model = nnx.Model(x, nnx.layers.Activation("relu", name="end")(Dense(2, kernel_initializer="ones")(x)))
        assert model(np.asarray([[-1.0, -1.0]], np.float32)).tolist() == [[0.0, 0.0]]
        model.get_layer("end").set_activation("linear")
        assert model(np.asarray([[-1.0, -1.0]], np.float32)).tolist() == [[-2.0, -2.0]]


class TestMistakes:
    def test_of_building_a_graph(self):
        x = Input((4,))
        y = Dense(2)(x)
        with pytest.raises(TypeError, match="call the layer on its input"):
            nnx.Model(x, Dense(2))
        with pytest.raises(TypeError, match=r"got an array of shape \(2, 4\)$"):
            nnx.Model(np.ones((2, 4)), y)
        with pytest.raises(ValueError, match=r"depend on the input 'input_layer'.*not among its inputs"):
            nnx.Model(Input((3,), name="other"), y)
        with pytest.raises(ValueError, match="expected an input of shape"):
            nnx.Model(x, y)(np.ones((2, 5)))
        with pytest.raises(ValueError, match="do not fit together"):
            x + Input((3,))
        with pytest.raises(TypeError, match="symbolic values and on"):
            Operation("add")(x, np.ones((2, 4)))
        with pytest.raises(ValueError, match="names must be unique"):
            nnx.Model(x, Dense(1, name="a")(Dense(1, name="a")(x)))

    def test_of_data_and_compile(self):
        model = two_headed()
        xs, ys = data()
        with pytest.raises(ValueError, match="loss names the output 'numbr'; the outputs are number, label"):
            model.compile("sgd", {"numbr": "mse"})
        with pytest.raises(ValueError, match="an entry for each of 2 outputs, got 1"):
            model.compile("sgd", ["mse"])
        with pytest.raises(ValueError, match="metrics of a model with several outputs"):
            model.compile("sgd", "mse", metrics="acc")
        model.compile("sgd", ["mse", "sparse_categorical_crossentropy"])
        with pytest.raises(ValueError, match="x must be a list or dict of 2 arrays, for a, b"):
            model.fit(xs[0], ys)
        with pytest.raises(ValueError, match="same number of samples"):
            model.fit([xs[0][:5], xs[1]], ys)
        with pytest.raises(ValueError, match=r"y is a dict of \['label'\], expected the names"):
            model.fit(xs, {"label": ys[1]})
        with pytest.raises(ValueError, match="got 3 at index 2, but the model has 3 classes"):
            model.fit(xs, [ys[0], ys[1] + 1])
        model.fit(xs, ys, verbose=0)

    def test_a_lambda_of_array_code_is_differentiated(self):
        x = Input((4,))
        model = nnx.Model(x, Lambda(lambda a: a[:, :2] * 2.0)(Dense(4)(x)))
        assert model.output_shape == (None, 2)
        model.compile("sgd", "mse")
        before = model.get_weights()[0]
        model.fit(np.ones((2, 4)), np.ones((2, 2)), verbose=0)
        assert ((model.get_weights()[0] != before).any(axis=0) == [True, True, False, False]).all()
