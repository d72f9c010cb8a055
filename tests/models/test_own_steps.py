"""Steps of one's own: models that say themselves how they are trained, evaluated and asked for predictions."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import layers, losses, metrics, optimizers
from nnx.autodiff.array import TrackedArray
from nnx.testing import assert_close, no_synchronization

RNG = np.random.default_rng(0)
X, Y = RNG.random((20, 4)).astype("float32"), RNG.random((20, 1)).astype("float32")


def xp_of(x: Any) -> Any:
    return nnx.array_namespace(x)


class Net(nnx.Model):
    """A small network, written as `call`."""

    def __init__(self):
        super().__init__()
        self.hidden, self.last = layers.Dense(5, activation="tanh"), layers.Dense(1)

    def call(self, x, training=None):
        return self.last(self.hidden(x))


class Stepping(Net):
    """Trained as `fit` does it, by a step of its own."""

    def train_step(self, data):
        x, y = data
        with nnx.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        for metric in self.metrics:
            metric.update_state(y, y_pred)
        return {"loss": loss, **{metric.name: metric.result() for metric in self.metrics}}


def started(cls, *arguments, weights=None, **compiled):
    nnx.random.set_seed(3)
    model = cls(*arguments)
    model.compile(**compiled)
    model(nnx.asarray(X[:2]))
    if weights is not None:
        model.set_weights(weights)
    return model


# train_step


def test_a_step_trains_as_fit_does(backend):
    built_in = started(Net, optimizer="adam", loss="mse")
    own = started(Stepping, optimizer="adam", loss="mse", weights=built_in.get_weights())
    for model in (built_in, own):
        model.fit(X, Y, epochs=3, batch_size=8, verbose=0, shuffle=False)
    for mine, theirs in zip(own.get_weights(), built_in.get_weights(), strict=True):
        assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", ["graph", "sequential"])
def test_graphs_and_sequential_models_have_steps_too(backend, make):
    class Graph(nnx.Model):
        train_step = Stepping.train_step

    class Stack(nnx.Sequential):
        train_step = Stepping.train_step

    nnx.random.set_seed(1)
    if make == "graph":
        x = nnx.Input((4,))
        model = Graph(x, layers.Dense(1)(layers.Dense(3, activation="relu")(x)))
    else:
        model = Stack([layers.Dense(3, activation="relu", input_dim=4), layers.Dense(1)])
    model.compile(optimizers.Adam(0.05), "mse")
    history = model.fit(X, Y, epochs=8, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert list(history) == ["loss"]


def test_the_loss_falls_with_backward(backend):
    class Backward(Net):
        def train_step(self, data):
            x, y = data
            with nnx.GradientTape() as tape:
                loss = losses.MeanSquaredError()(y, self(x, training=True))
            tape.backward(loss, self)
            self.optimizer.step(self)
            return {"loss": loss}

    model = started(Backward, optimizer=optimizers.Adam(0.05))
    history = model.fit(X, Y, epochs=10, verbose=0).history["loss"]
    assert history[-1] < 0.9 * history[0]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((X,), "array"),
        ((X, Y), "(array, array)"),
        ((X, Y, Y[:, 0]), "(array, array, array)"),
        (([X, X],), "([array, array])"),
        (({"a": X, "b": Y},), "{a: array, b: array}"),
        (([X, X], {"y": Y}), "([array, array], {y: array})"),
    ],
)
def test_data_come_as_keras_gives_them(backend, given, expected):
    seen = []

    def form(data):
        if isinstance(data, tuple):
            return f"({', '.join(map(form, data))})"
        if isinstance(data, list):
            return f"[{', '.join(map(form, data))}]"
        if isinstance(data, dict):
            return f"{{{', '.join(f'{key}: {form(part)}' for key, part in data.items())}}}"
        assert type(data) is type(backend.asarray([1.0]))
        assert data.shape[0] in (4, 8)
        return "array"

    class Seeing(nnx.Model):
        def train_step(self, data):
            seen.append(form(data))
            return {"n": 1.0}

    model = Seeing()
    model.compile()
    x, y, weight = (*given, None, None)[:3]
    model.fit(x, y, sample_weight=weight, batch_size=8, verbose=0)
    assert seen == [expected] * 3
    model.train_on_batch(*_first_rows(given))
    assert seen[-1] == expected


def _first_rows(given):
    cut = {list: lambda p: [a[:8] for a in p], dict: lambda p: {key: a[:8] for key, a in p.items()}}
    return [cut.get(type(part), lambda p: p[:8])(part) for part in given]


def test_iterables_give_whatever_they_give(backend):
    seen = []

    class Seeing(nnx.Model):
        def train_step(self, data):
            seen.append(data)
            return {"n": 1.0}

    model = Seeing()
    model.compile()
    model.fit(iter([(X[:2], (Y[:2], X[:2]), {"a": Y[:2]}), X[:3]]), steps_per_epoch=2, verbose=0)
    assert isinstance(seen[0], tuple)
    assert isinstance(seen[0][1], tuple)
    assert_close(seen[0][2]["a"], Y[:2])
    assert_close(seen[1], X[:3])


@pytest.mark.parametrize("form", ["labels", "column", "one-hot", "batches"])
def test_weights_of_classes_are_sample_weights(backend, form):
    seen = []

    class Seeing(nnx.Model):
        def train_step(self, data):
            seen.append(nnx.to_numpy(data[2]))
            return {"n": 1.0}

    model = Seeing()
    model.compile()
    labels, weights = np.asarray([0, 2, 1, 2]), np.asarray([1.0, 1.0, 2.0, 2.0], "float32")
    y = {"column": labels[:, None], "one-hot": np.eye(3)[labels]}.get(form, labels)
    x = iter([(X[:4], y, weights)]) if form == "batches" else X[:4]
    given = {} if form == "batches" else {"y": y, "sample_weight": weights}
    model.fit(x, **given, class_weight={0: 0.5, 2: 3.0}, verbose=0, shuffle=False)
    assert_close(seen[0], [0.5, 3.0, 2.0, 6.0])


def test_integers_stay_integers(backend):
    kinds = []

    class Seeing(nnx.Model):
        def train_step(self, data):
            kinds.extend(str(part.dtype).rpartition(".")[2] for part in data)
            return {"n": 1.0}

    model = Seeing()
    model.compile()
    model.train_on_batch(np.ones((2, 2), "float64"), np.ones(2, "int64"))
    assert kinds == ["float32", "int64"]


def test_data_are_shuffled_unless_they_are_not(backend):
    seen = []

    class Seeing(nnx.Model):
        def train_step(self, data):
            seen.append(nnx.to_numpy(data)[:, 0])
            return {"n": 1.0}

    model = Seeing()
    model.compile()
    rows = np.arange(20.0, dtype="float32")[:, None]
    model.fit(rows, batch_size=20, epochs=2, verbose=0)
    assert not np.array_equal(seen[0], seen[1])
    assert sorted(seen[0]) == rows[:, 0].tolist()
    model.fit(rows, batch_size=20, verbose=0, shuffle=False)
    assert seen[-1].tolist() == rows[:, 0].tolist()


def test_errors_of_data(backend):
    model = Stepping()
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="x has 20, y has 3"):
        model.fit(X, Y[:3], verbose=0)
    with pytest.raises(ValueError, match="x is missing"):
        model.fit(None, verbose=0)
    with pytest.raises(ValueError, match="class_weight is for one array of targets; give sample_weight"):
        model.fit(X, [Y, Y], class_weight={0: 1.0}, verbose=0)


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        (None, r"train_step\(\) has to return a dict of numbers .*got NoneType"),
        (0.5, "got float"),
        ({"loss": "low"}, "returned str for 'loss', expected a number"),
        ({"loss": metrics.Mean()}, r"returned Mean for 'loss'.*of a metric its result\(\)"),
    ],
)
def test_what_a_step_returns_is_looked_at(returned, says):
    model = type("Odd", (nnx.Model,), {"train_step": lambda self, data: returned})()
    model.compile()
    with pytest.raises(TypeError, match=says):
        model.fit(X, verbose=0)


def test_a_loss_of_several_numbers_is_kept_as_it_is():
    model = type("Several", (nnx.Model,), {"train_step": lambda self, data: {"loss": np.asarray([1.0, 2.0])}})()
    model.compile()
    history = model.fit(X, epochs=1, verbose=0).history
    assert np.asarray(history["loss"]).tolist() == [[1.0, 2.0]]


def test_logs_reach_callbacks_progress_and_history(backend, capsys):
    read = []

    class Reader(nnx.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            read.append(dict(logs))

    class Logging(nnx.Model):
        def train_step(self, data):
            with nnx.GradientTape() as tape:
                x = tape.watch(data)
                tracked = xp_of(x).mean(x)
            return {"tracked": tracked, "array": xp_of(data).sum(data), "number": 2, "several": data[:2, 0]}

    model = Logging()
    model.compile()
    history = model.fit(X, batch_size=10, verbose=2, callbacks=[Reader()], shuffle=False).history
    assert_close(history["tracked"][0], X[10:].mean(), rtol=1e-5)
    assert history["number"] == [2.0]
    assert type(history["number"][0]) is float
    assert_close(history["several"][0], X[10:12, 0])
    assert len(read) == 2
    assert_close(read[0]["array"], X[:10].sum(), rtol=1e-5)
    assert "tracked: " in capsys.readouterr().out
    json.dumps({"number": history["number"], "tracked": history["tracked"]})


def test_a_step_waits_for_nothing(backend):
    model = started(Stepping, optimizer="adam", loss="mse")
    model.fit(X, Y, batch_size=10, verbose=0)
    step, data = model.train_step, (nnx.asarray(X[:5]), nnx.asarray(Y[:5]))
    with no_synchronization():
        logs = step(data)
    assert set(logs) == {"loss"}


class Guide(nnx.Model):
    """As Keras' guide writes it."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)

    def call(self, x):
        return self.dense(x)

    def train_step(self, data):
        x, y = data
        with nnx.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=y_pred)
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, y_pred)
        return {metric.name: metric.result() for metric in self.metrics}


def test_the_metrics_of_a_step_are_the_loss_and_those_of_compile():
    nnx.random.set_seed(1)
    model = Guide()
    model.compile("adam", "mse", metrics=["mae"])
    history = model.fit(X, Y, epochs=2, verbose=0).history
    assert set(history) == {"loss", "mae"}
    assert history["loss"][1] < history["loss"][0]


class Plain(metrics.Metric):
    """Takes no weights."""

    def __init__(self):
        super().__init__(name="plain")
        self.sum = self.add_weight(name="sum")

    def update_state(self, y_true, y_pred):
        self.sum.assign_add(nnx.ops.sum(y_pred - y_true))

    def result(self):
        return self.sum + 0.0


def test_a_metric_that_takes_no_weights():
    model = nnx.Sequential([layers.Dense(1, input_dim=4)])
    model.compile("sgd", "mse", metrics=[Plain()])
    assert "plain" in model.fit(X, Y, verbose=0).history


def test_training_stops_where_a_callback_says(backend):
    model = started(Stepping, optimizer=optimizers.SGD(0.0), loss="mse")
    stopper = nnx.callbacks.EarlyStopping(monitor="loss", patience=1)
    assert len(model.fit(X, Y, epochs=9, verbose=0, shuffle=False, callbacks=[stopper]).epoch) < 9


# Models that hold others


class Adversarial(nnx.Model):
    """Keras' example of two networks that train against each other, without `call`."""

    def __init__(self, critic, generator):
        super().__init__()
        self.critic, self.generator = critic, generator

    def compile(self, critic_optimizer, generator_optimizer, loss):
        super().compile()
        self.critic_optimizer, self.generator_optimizer, self.loss_fn = critic_optimizer, generator_optimizer, loss
        self.critic_loss = metrics.Mean(name="critic_loss")
        self.generator_loss = metrics.Mean(name="generator_loss")

    @property
    def metrics(self):
        return [self.critic_loss, self.generator_loss]

    def train_step(self, real):
        xp, rows = xp_of(real), real.shape[0]
        both = xp.concat([self.generator(real[:, :2]), real], axis=0)
        labels = xp.concat([xp.ones_like(real[:, :1]), xp.zeros_like(real[:, :1])], axis=0)
        with nnx.GradientTape() as tape:
            critic_loss = self.loss_fn(labels, self.critic(both))
        gradients = tape.gradient(critic_loss, self.critic.trainable_weights)
        self.critic_optimizer.apply_gradients(zip(gradients, self.critic.trainable_weights, strict=True))
        with nnx.GradientTape() as tape:
            generator_loss = self.loss_fn(labels[rows:, ...], self.critic(self.generator(real[:, :2])))
        gradients = tape.gradient(generator_loss, self.generator.trainable_weights)
        self.generator_optimizer.apply(gradients, self.generator.trainable_weights)
        self.critic_loss.update_state(critic_loss)
        self.generator_loss.update_state(generator_loss)
        return {"critic_loss": self.critic_loss.result(), "generator_loss": self.generator_loss.result()}


def adversarial(kind=Adversarial):
    nnx.random.set_seed(4)
    model = kind(
        nnx.Sequential([nnx.Input((4,)), layers.Dense(6, activation="tanh"), layers.Dense(1)]),
        nnx.Sequential([nnx.Input((2,)), layers.Dense(6, activation="tanh"), layers.Dense(4)]),
    )
    model.compile(optimizers.Adam(0.01), optimizers.Adam(0.02), losses.BinaryCrossentropy(from_logits=True))
    return model


class BuiltByHand(Adversarial):
    """As Keras' guides have it where all that is inside is built."""

    def __init__(self, critic, generator):
        super().__init__(critic, generator)
        self.built = True


@pytest.mark.parametrize("kind", [Adversarial, BuiltByHand])
def test_what_only_holds_others_is_compiled_before_and_after_it_is_built(kind):
    expected, model = adversarial(), adversarial(kind)
    for again in range(2):
        if again:
            for one in (expected, model):
                one.compile(optimizers.SGD(0.1), optimizers.SGD(0.1), losses.BinaryCrossentropy(from_logits=True))
        assert (
            model.fit(X, batch_size=10, verbose=0, shuffle=False).history
            == expected.fit(X, batch_size=10, verbose=0, shuffle=False).history
        )
    for mine, theirs in zip(model.get_weights(), expected.get_weights(), strict=True):
        assert_close(mine, theirs, 0.0, 0.0)


def test_networks_against_each_other(backend):
    model = adversarial()
    before = model.get_weights()
    history = model.fit(X, epochs=2, batch_size=10, verbose=0).history
    assert set(history) == {"critic_loss", "generator_loss"}
    assert all(not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert model.critic_optimizer.iterations == model.generator_optimizer.iterations == 4


def test_each_optimizer_trains_its_own_list(backend):
    model = adversarial()
    other = adversarial()
    model.train_on_batch(X)
    critic, generator = other.critic, other.generator
    real = nnx.asarray(X)
    labels = np.concatenate([np.ones((20, 1)), np.zeros((20, 1))]).astype("float32")
    both = nnx.asarray(np.concatenate([nnx.to_numpy(generator(real[:, :2])), X]))
    y, pullback = critic.forward(both)
    pullback(losses.BinaryCrossentropy(from_logits=True).forward(nnx.asarray(labels), y)[1]())
    optimizers.Adam(0.01).step(critic)
    for mine, theirs in zip(model.critic.get_weights(), critic.get_weights(), strict=True):
        assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_weights_of_a_model_that_holds_others(backend, tmp_path):
    model, other = adversarial(), adversarial()
    model.train_on_batch(X)
    assert len(model.trainable_variables) == len(model.weights) == 8
    assert model.count_params() == sum(weight.size for weight in model.get_weights())
    model.save_weights(tmp_path / "w.safetensors")
    other.load_weights(tmp_path / "w.safetensors")
    for mine, theirs in zip(other.get_weights(), model.get_weights(), strict=True):
        assert_close(mine, theirs)
    model.save(tmp_path / "m.safetensors")
    with nnx.utils.custom_object_scope({"Adversarial": Adversarial}):
        loaded = nnx.models.load_model(tmp_path / "m.safetensors", compile=False)
    assert_close(loaded.get_weights()[0], model.get_weights()[0])
    with pytest.raises(AttributeError, match=r"neither a call\(\) nor inputs and outputs"):
        model(nnx.asarray(X))


def test_backward_into_a_model_that_holds_others(backend):
    class Pair(nnx.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = layers.Dense(3, activation="tanh"), layers.Dense(1)

        def train_step(self, data):
            with nnx.GradientTape() as tape:
                y = self.second(self.first(data))
                loss = xp_of(y).mean((y - 1.0) ** 2)
            tape.backward(loss, self)
            self.optimizer.step(self)
            return {"loss": loss}

    model = Pair()
    model.compile(optimizers.Adam(0.05))
    history = model.fit(X, epochs=10, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]


@pytest.mark.nnx_backends(skip=["torch"], reason="float16 on the CPU is not fast there")
def test_a_model_in_float16_is_trained_by_apply(backend):
    class Half(Net):
        def train_step(self, data):
            x, y = data
            with nnx.GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x, training=True))
                scaled = self.optimizer.scale_loss(loss)
            gradients = tape.gradient(scaled, self.trainable_variables)
            self.optimizer.apply(gradients, self.trainable_variables)
            return {"loss": loss}

    if not hasattr(backend.xp, "float16"):
        pytest.skip("the library has no float16")
    with nnx.backend(backend.name, dtype="float16"):
        model = started(Half, optimizer=optimizers.Adam(0.02), loss="mse")
        history = model.fit(X, Y, epochs=8, verbose=0).history["loss"]
    assert history[-1] < 0.9 * history[0]
    assert model.optimizer.loss_scale.numbers()[0] == 2.0**15


def test_a_variational_autoencoder_without_call(backend):
    class Autoencoder(nnx.Model):
        def __init__(self):
            super().__init__()
            self.encoder = nnx.Sequential([nnx.Input((4,)), layers.Dense(6, activation="relu")])
            self.mean, self.log_variance = layers.Dense(2), layers.Dense(2)
            self.decoder = nnx.Sequential([nnx.Input((2,)), layers.Dense(4, activation="sigmoid")])
            self.total = metrics.Mean(name="loss")

        def train_step(self, data):
            with nnx.GradientTape() as tape:
                hidden = self.encoder(data)
                mean, log_variance = self.mean(hidden), self.log_variance(hidden)
                xp = xp_of(mean)
                noise = nnx.random.normal(tuple(mean.shape))
                made = self.decoder(mean + xp.exp(0.5 * log_variance) * noise)
                reconstruction = xp.mean(xp.sum(losses.binary_crossentropy(data, made)[:, None], axis=1))
                divergence = -0.5 * xp.mean(1 + log_variance - mean**2 - xp.exp(log_variance))
                loss = reconstruction + divergence
            gradients = tape.gradient(loss, self.trainable_weights)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
            self.total.update_state(loss)
            return {"loss": self.total.result()}

    nnx.random.set_seed(5)
    model = Autoencoder()
    model.compile(optimizer=optimizers.Adam(0.02))
    history = model.fit(X, epochs=15, verbose=0).history["loss"]
    assert history[-1] < history[0]
    assert model.optimizer.iterations == 15


# compute_loss, compute_metrics, test_step, predict_step


def test_a_loss_of_ones_own(backend):
    class Own(Net):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
            return xp_of(y_pred).mean((y_pred - y) ** 2)

    built_in = started(Net, optimizer="adam", loss="mse", metrics=["mae"])
    own = started(Own, optimizer="adam", metrics=["mae"], weights=built_in.get_weights())
    settings = {"epochs": 3, "batch_size": 8, "verbose": 0, "shuffle": False, "validation_data": (X, Y)}
    expected, found = built_in.fit(X, Y, **settings).history, own.fit(X, Y, **settings).history
    assert list(found) == list(expected)
    for name in expected:
        assert_close(found[name], expected[name], rtol=1e-5)
    assert_close(own.evaluate(X, Y, verbose=0), built_in.evaluate(X, Y, verbose=0), rtol=1e-5)
    assert_close(own.train_on_batch(X, Y), built_in.train_on_batch(X, Y), rtol=1e-5)
    assert_close(own.test_on_batch(X, Y), built_in.test_on_batch(X, Y), rtol=1e-5)


def test_the_compiled_loss_with_weights_and_penalties(backend):
    class Own(nnx.Sequential):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return super().compute_loss(x, y, y_pred, sample_weight)

    def make(cls):
        nnx.random.set_seed(1)
        model = cls(
            [
                layers.Dense(5, "tanh", input_dim=4, kernel_regularizer="l2", activity_regularizer="l1"),
                layers.Dense(3, activation="softmax"),
            ]
        )
        model.compile(optimizers.SGD(0.1), "sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
        return model

    labels, weights = np.arange(20) % 3, RNG.random(20)
    built_in, own = make(nnx.Sequential), make(Own)
    settings = {"epochs": 2, "batch_size": 8, "verbose": 0, "shuffle": False, "sample_weight": weights}
    expected, found = built_in.fit(X, labels, **settings).history, own.fit(X, labels, **settings).history
    for name in expected:
        assert_close(found[name], expected[name], rtol=2e-5)
    for mine, theirs in zip(own.get_weights(), built_in.get_weights(), strict=True):
        assert_close(mine, theirs, rtol=2e-5, atol=1e-6)


def test_a_loss_that_is_no_number():
    class Own(Net):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
            return (y_pred - y) ** 2

    with pytest.raises(ValueError, match=r"compute_loss\(\) has to return one number .*shape \(20, 1\)"):
        started(Own, optimizer="sgd").train_on_batch(X, Y)


def test_no_loss_at_all():
    class Own(Net):
        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            return {}

    with pytest.raises(ValueError, match=r"compiled without a loss, and its layers add none: write compile"):
        started(Own, optimizer="sgd").fit(X, Y, verbose=0)


class Reconstructing(Net):
    """An autoencoder whose loss is all added by its own code and its layers."""

    def __init__(self, adds=True):
        super().__init__()
        self.adds = adds
        self.hidden = layers.Dense(5, activation="tanh", kernel_regularizer="l2", activity_regularizer="l1")
        self.last = layers.Dense(4)

    def call(self, x, training=None):
        y = super().call(x)
        if self.adds:
            self.add_loss(nnx.ops.mean(nnx.ops.square(y - x)))
        return y


def test_without_a_loss_what_is_added_is_minimised(backend):
    compiled = started(Reconstructing, False, optimizer="adam", loss="mse")
    alone, batched = (started(Reconstructing, weights=compiled.get_weights(), optimizer="adam") for _ in range(2))
    settings = {"epochs": 2, "batch_size": 8, "verbose": 0, "shuffle": False}
    expected = compiled.fit(X, X, validation_data=(X, X), **settings).history
    found = alone.fit(X, validation_data=(X,), **settings).history
    of_batches = batched.fit(iter([(X[:8],), X[8:16], (X[16:],)] * 2), steps_per_epoch=3, epochs=2, verbose=0).history
    assert set(found) == set(expected) == {"loss", "val_loss"}
    for name, values in expected.items():
        assert_close(found[name], values, rtol=1e-5)
    assert_close(of_batches["loss"], expected["loss"], rtol=1e-5)
    assert_close(alone.evaluate(X, verbose=0), compiled.evaluate(X, X, verbose=0), rtol=1e-5)
    assert_close(alone.test_on_batch(X), compiled.test_on_batch(X, X), rtol=1e-5)
    assert_close(alone.train_on_batch(X), compiled.train_on_batch(X, X), rtol=1e-5)
    assert set(alone.fit(X, validation_split=0.25, **settings).history) == {"loss", "val_loss"}


def test_metrics_that_layers_keep(backend):
    class Watched(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.level = metrics.Mean(name="level")

        def call(self, x):
            self.level.update_state(nnx.ops.mean(x))
            return x

    watched = Watched()
    watched(nnx.asarray(X))
    assert_close(watched.level.result(), X.mean(), rtol=1e-6)  # and not of what the call was tried out with
    nnx.random.set_seed(1)
    inputs = nnx.Input((4,))
    model = nnx.Model(inputs, layers.Dense(1)(watched(inputs)))
    model.distance = metrics.Mean(name="distance")
    model.compile("sgd", "mse", metrics=["mae"])
    history = model.fit(X, Y, epochs=2, batch_size=10, validation_data=(X[:5], Y[:5]), verbose=0).history
    assert set(history) == {f"{of}{name}" for of in ("", "val_") for name in ("loss", "mae", "level", "distance")}
    assert_close(history["level"], [X.mean()] * 2, rtol=1e-5)
    assert_close(history["val_level"], [X[:5].mean()] * 2, rtol=1e-5)
    assert [metric.name for metric in model.metrics] == ["mae", "distance", "level"]
    results = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert model.metrics_names == ["loss", "mae", "distance", "level"]
    assert list(results) == sorted(model.metrics_names)
    assert_close(results["level"], X.mean(), rtol=1e-5)
    assert_close(model.train_on_batch(X[:3], Y[:3])[3], X[:3].mean(), rtol=1e-5)


def test_streams_that_layers_keep_are_not_drawn_from_before_the_first_call(backend):
    class Noisy(layers.Layer):
        def __init__(self):
            super().__init__()
            self.seeds = nnx.random.SeedGenerator(3)

        def call(self, x):
            return x + nnx.random.normal(x.shape, seed=self.seeds)

    zeros = nnx.asarray(np.zeros((2, 3)))
    assert_close(Noisy()(zeros), nnx.random.normal((2, 3), seed=nnx.random.SeedGenerator(3)))


def test_metrics_of_ones_own(backend):
    class Own(Net):
        def __init__(self):
            super().__init__()
            self.spread = metrics.Mean(name="spread")

        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            assert not isinstance(y_pred, TrackedArray)
            found = super().compute_metrics(x, y, y_pred, sample_weight)
            found["twice"] = 2.0 * found["mae"]
            self.spread.update_state(xp_of(y_pred).max(y_pred) - xp_of(y_pred).min(y_pred))
            return found

    model = started(Own, optimizer="sgd", loss="mse", metrics=["mae"])
    assert [metric.name for metric in model.metrics][-1] == "spread"
    history = model.fit(X, Y, verbose=0, batch_size=20, epochs=2).history
    assert_close(history["twice"], 2.0 * np.asarray(history["mae"]), rtol=1e-6)
    assert set(history) == {"loss", "mae", "spread", "twice"}


def test_own_metrics_begin_anew_with_every_epoch(backend):
    class Counting(nnx.Model):
        def __init__(self):
            super().__init__()
            self.counts = {"rows": metrics.Sum(name="rows")}

        def train_step(self, data):
            self.counts["rows"].update_state(xp_of(data).ones_like(data[:, 0]))
            return {"rows": self.counts["rows"].result()}

        test_step = train_step

    model = Counting()
    model.compile()
    assert model.metrics == [model.counts["rows"]]
    history = model.fit(X, epochs=3, batch_size=6, verbose=0, validation_data=(X[:7],)).history
    assert history == {"rows": [20.0] * 3, "val_rows": [7.0] * 3}
    assert model.evaluate(X, verbose=0, batch_size=6) == 20.0
    assert model.evaluate(X, verbose=0, return_dict=True) == {"rows": 20.0}
    assert model.train_on_batch(X[:5]) == 5.0


def test_validation_split_without_targets(backend):
    seen: dict[str, int] = {"train": 0, "test": 0}

    class Seeing(nnx.Model):
        def train_step(self, data):
            seen["train"] += data.shape[0]
            return {"n": 1.0}

        def test_step(self, data):
            data, _, _ = nnx.utils.unpack_x_y_sample_weight(data)
            seen["test"] += data.shape[0]
            return {"n": 1.0}

    model = Seeing()
    model.compile()
    history = model.fit(X, validation_split=0.25, verbose=0).history
    assert seen == {"train": 15, "test": 5}
    assert history == {"n": [1.0], "val_n": [1.0]}


def test_validation_by_the_compiled_loss_beside_a_step(backend):
    model = started(Stepping, optimizer="adam", loss="mse", metrics=["mae"])
    history = model.fit(X, Y, verbose=0, validation_data=(X, Y)).history
    assert_close([history["val_loss"][0], history["val_mae"][0]], model.evaluate(X, Y, verbose=0), rtol=1e-6)


def test_predictions_of_ones_own(backend):
    class Own(Net):
        def predict_step(self, data):
            y = super().predict_step(data)
            return {"y": y, "double": [2.0 * y]}

    model = started(Own)
    made = model.predict(X, batch_size=6, verbose=0)
    plain = nnx.to_numpy(model(nnx.asarray(X)))
    assert isinstance(made["y"], np.ndarray)
    assert_close(made["y"], plain, rtol=1e-5)
    assert_close(made["double"][0], 2.0 * plain, rtol=1e-5)
    assert_close(model.predict_on_batch(X[:3])["y"], plain[:3], rtol=1e-5)
    placed = model.predict(nnx.asarray(X), verbose=0)["y"]
    assert type(placed) is type(nnx.asarray(X))


# losses


class Adding(layers.Layer):
    """Adds the mean square of its input to the loss."""

    def call(self, x):
        self.add_loss(0.1 * xp_of(x).mean(x * x))
        return x


def test_losses_of_the_last_call(backend):
    model = nnx.Sequential(
        [layers.Dense(3, input_dim=4, kernel_regularizer="l2"), Adding(), layers.Dense(1, activity_regularizer="l2")]
    )
    x = nnx.asarray(X)
    assert len(model.losses) == 1  # before any call, the penalty on the kernel
    for _ in range(2):
        y = model(x)
    assert len(model.losses) == 3
    hidden = nnx.to_numpy(model.layers[0](x))
    outside = sorted(float(value) for value in model.losses)
    expected = [0.1 * np.mean(hidden**2), 0.01 * np.sum(nnx.to_numpy(y) ** 2) / 20]
    expected.append(0.01 * np.sum(model.get_weights()[0] ** 2))
    assert_close(outside, sorted(expected), rtol=1e-5)
    with nnx.GradientTape() as tape:
        model(x)
        inside = model.losses
    assert all(isinstance(value, TrackedArray) for value in inside)
    assert_close(sorted(float(value) for value in inside), outside, rtol=1e-6)
    gradients = tape.gradient(inside, model.trainable_variables)
    assert gradients[0] is not None


def test_add_loss_in_a_step_is_that_of_fit(backend):
    class Penalised(Net):
        def call(self, x):
            hidden = self.hidden(x)
            self.add_loss(xp_of(hidden).mean(hidden**2))
            return self.last(hidden)

    class PenalisedStepping(Penalised):
        train_step = Stepping.train_step

    built_in = started(Penalised, optimizer="sgd", loss="mse")
    own = started(PenalisedStepping, optimizer="sgd", loss="mse", weights=built_in.get_weights())
    for model in (built_in, own):
        model.fit(X, Y, epochs=2, batch_size=10, verbose=0, shuffle=False)
    for mine, theirs in zip(own.get_weights(), built_in.get_weights(), strict=True):
        assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_losses_that_nobody_adds_do_not_count(backend):
    model = nnx.Sequential([layers.Dense(3, input_dim=4, activity_regularizer="l2"), Adding(), layers.Dense(1)])
    plain = nnx.Sequential([layers.Dense(3, input_dim=4), layers.Dense(1)])
    plain.set_weights(model.get_weights())
    found = []
    for one in (model, plain):
        with nnx.GradientTape() as tape:
            y = one(nnx.asarray(X))
            loss = xp_of(y).mean(y**2)
        found.append(tape.gradient(loss, one.trainable_variables))
    for a, b in zip(*found, strict=True):
        assert_close(a, b, rtol=1e-5, atol=1e-7)


# optimizer.apply


def make_layer(units=2):
    nnx.random.set_seed(6)
    layer = layers.Dense(units)
    layer.build((None, 3))
    return layer


def gradients_like(variables, seed=0):
    rng = np.random.default_rng(seed)
    return [nnx.asarray(rng.normal(size=parameter.shape), parameter.dtype) for parameter in variables]


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop", "lamb", "muon", "adafactor"])
def test_apply_is_a_step_of_the_optimizer(backend, optimizer):
    model, layer = nnx.Sequential([layers.Dense(2, input_dim=3)]), make_layer()
    layer.set_weights(model.get_weights())
    for parameter, known in zip(layer.weights, model.weights, strict=True):
        parameter.path = known.path
    ours, theirs = optimizers.get(optimizer), optimizers.get(optimizer)
    for step in range(3):
        gradients = gradients_like(layer.weights, step)
        ours.apply(gradients, layer.trainable_variables)
        for parameter, gradient in zip(model.flat.parameters, gradients, strict=True):
            parameter.receive(gradient)
        theirs.step(model)
    for a, b in zip(layer.get_weights(), model.get_weights(), strict=True):
        assert_close(a, b, rtol=1e-6)


def test_apply_to_a_model_uses_its_buffer(backend):
    model = nnx.Sequential([layers.Dense(2, input_dim=3)])
    flat, optimizer = model.flat, optimizers.Adam()
    optimizer.apply(gradients_like(model.trainable_variables), model.trainable_variables)
    assert optimizer.slots.flat is flat
    assert model.flat is flat


def test_two_optimizers_of_parts_of_one_model(backend):
    model = nnx.Sequential([layers.Dense(2, input_dim=3), layers.Dense(1)])
    first, second = model.layers[0].trainable_variables, model.layers[1].trainable_variables
    whole = optimizers.Adam()
    reference = nnx.models.clone_model(model)
    reference.set_weights(model.get_weights())
    one, other = optimizers.Adam(), optimizers.Adam()
    for step in range(3):
        gradients = gradients_like(model.trainable_variables, step)
        one.apply(gradients[:2], first)
        other.apply(gradients[2:], second)
        whole.apply(gradients, reference.trainable_variables)
    for a, b in zip(model.get_weights(), reference.get_weights(), strict=True):
        assert_close(a, b, rtol=1e-6)


def test_apply_without_variables_takes_those_of_before(backend):
    layer, optimizer = make_layer(), optimizers.SGD(1.0)
    gradients = gradients_like(layer.weights)
    optimizer.apply(gradients, layer.weights)
    before = layer.get_weights()
    optimizer.apply(gradients)
    assert_close(layer.get_weights()[0], before[0] - nnx.to_numpy(gradients[0]), rtol=1e-6)


def test_a_parameter_without_gradient_stays_and_a_warning_names_it(backend):
    layer, optimizer = make_layer(), optimizers.Adam(weight_decay=0.1)
    before = layer.get_weights()
    gradients = [gradients_like(layer.weights)[0], None]
    with pytest.warns(UserWarning, match="no gradient for bias: .*are not trained"):
        optimizer.apply(gradients, layer.weights)
    optimizer.apply(gradients, layer.weights)  # said once
    assert_close(layer.get_weights()[1], before[1])
    assert not np.array_equal(layer.get_weights()[0], before[0])


def test_errors_of_apply(backend):
    layer, other, optimizer = make_layer(), make_layer(3), optimizers.Adam()
    gradients = gradients_like(layer.weights)
    with pytest.raises(ValueError, match="no gradient for any of kernel, bias"):
        optimizer.apply([None, None], layer.weights)
    with pytest.raises(ValueError, match="got 1 gradients and 2 parameters"):
        optimizer.apply(gradients[:1], layer.weights)
    with pytest.raises(ValueError, match=r"gradient of bias has shape \(3, 2\), expected \(2,\)"):
        optimizer.apply([gradients[0], gradients[0]], layer.weights)
    with pytest.raises(TypeError, match="gradients first"):
        optimizer.apply(layer.weights, gradients)
    optimizer.apply(gradients, layer.weights)
    with pytest.raises(ValueError, match="give each list of parameters an optimizer of its own"):
        optimizer.apply(gradients_like(other.weights), other.weights)


def test_numbers_of_an_optimizer(backend):
    layer, optimizer = make_layer(), optimizers.Adam(0.1)
    optimizer.apply(gradients_like(layer.weights), layer.weights)
    assert optimizer.iterations == 1
    assert [variable.name for variable in optimizer.variables][:3] == ["iterations", "learning_rate", "momentum/kernel"]
    assert [variable.shape for variable in optimizer.variables[2:]] == [(3, 2), (3, 2), (2,), (2,)]
    assert float(optimizer.variables[1].numpy()) == 0.1
    optimizer.learning_rate.assign(0.5)
    assert optimizer.learning_rate.value == 0.5
    assert optimizer.learning_rate == optimizer.lr == 0.5
    optimizer.variables[2].assign(0.0)
    assert_close(optimizer.slots["momentum"][:6], np.zeros(6))
    with pytest.raises(TypeError, match="follows ExponentialDecay"):
        optimizers.SGD(nnx.schedules.ExponentialDecay(0.1, 5, 0.5)).learning_rate.assign(0.5)


def test_a_scaled_loss(backend):
    layer, plain = make_layer(), make_layer()
    scaling, usual = optimizers.SGD(0.1, loss_scale_factor=8.0), optimizers.SGD(0.1)
    for one, optimizer in ((layer, scaling), (plain, usual)):
        with nnx.GradientTape() as tape:
            y = one(nnx.asarray(X[:, :3]))
            loss = optimizer.scale_loss(xp_of(y).mean(y**2))
        optimizer.apply(tape.gradient(loss, one.trainable_variables), one.trainable_variables)
    assert_close(layer.get_weights()[0], plain.get_weights()[0], rtol=1e-6)


# Losses of losses


def test_losses_compose(backend):
    x, y = nnx.asarray(X), nnx.asarray(Y)
    model = started(Net)
    with nnx.GradientTape(persistent=True) as tape:
        p = model(x)
        whole = losses.mse(y, p) + 0.1 * losses.mae(y, p)
        loss = xp_of(whole).mean(whole)
        parts = losses.MeanSquaredError()(y, p) + 0.1 * losses.MeanAbsoluteError()(y, p)
    for a, b in zip(*(tape.gradient(one, model.trainable_variables) for one in (loss, parts)), strict=True):
        assert_close(a, b, rtol=1e-5, atol=1e-7)


def test_a_loss_object_is_one_entry_of_the_tape(backend):
    with nnx.GradientTape() as tape:
        p = tape.watch(nnx.asarray(Y))
        before = len(tape._tape.entries)
        loss = losses.Huber()(nnx.asarray(X[:, :1]), p, sample_weight=[1.0] * 20)
        assert len(tape._tape.entries) == before + 1
    gradient = tape.gradient(loss, p)
    assert_close(gradient, losses.Huber().forward(nnx.asarray(X[:, :1]), nnx.asarray(Y))[1](), rtol=1e-6)


def test_gradients_reach_targets_too(backend):
    with nnx.GradientTape() as tape:
        p, y = tape.watch([nnx.asarray(Y), nnx.asarray(X[:, :1])])
        loss = losses.MeanSquaredError()(y, p)
    of_p, of_y = tape.gradient(loss, [p, y])
    assert_close(of_p, -of_y, rtol=1e-6)


def test_metrics_take_plain_values(backend):
    mean, mse = metrics.Mean(), metrics.MeanSquaredError()
    with nnx.GradientTape() as tape:
        p = tape.watch(nnx.asarray(Y))
        mean.update_state(xp_of(p).mean(p))
        mse.update_state(nnx.asarray(Y), p)
    assert not isinstance(mean.result(), TrackedArray)
    assert float(mse.result()) == 0.0
    assert_close(mean.result(), Y.mean(), rtol=1e-6)
