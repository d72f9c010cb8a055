"""Steps that are replayed from plans: the numbers of the step as ever, and as ever wherever something has changed."""

from __future__ import annotations

import concurrent.futures
import copy
import functools
import gc
import math
import random
import time
import warnings
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest

import nnx
from nnx.layers import (
    Activation,
    ActivityRegularization,
    BatchNormalization,
    Dense,
    Dropout,
    Embedding,
    Input,
    LayerNormalization,
    Masking,
)
from nnx.parameters import ATTRIBUTE_CHANGE
from nnx.random import set_seed
from nnx.testing.rows.layer_case import LayerCase
from nnx.testing.rows.layers import LAYERS

CASES = [case for rows in LAYERS.values() for case in rows if type(case) is LayerCase and case.name != "InputLayer"]
WITHOUT_PLAN = {  # rows whose training takes values out of arrays
    *("AugMix", "CutMix", "Equalization", "MelSpectrogram", "MelSpectrogram of magnitudes", "MixUp", "RandAugment"),
    *("RandomCrop", "RandomElasticTransform", "RandomPerspective", "RandomPosterization"),
}

SAMPLES = np.random.default_rng(5)
X = SAMPLES.normal(size=(6, 8, 4)).astype(np.float32)
Y = SAMPLES.uniform(size=(6, 8, 2)).astype(np.float32)


def plan_of(model: nnx.Model) -> str:
    return str(model.trainer.step.plans)


def is_replayed(model: nnx.Model) -> bool:
    return "are replayed" in plan_of(model)


def two(make: Callable[[], nnx.Model], **options: Any) -> tuple[nnx.Model, nnx.Model]:
    """A model whose steps are replayed where they can be, and its twin, whose steps are not."""
    nnx.random.set_seed(11)
    replayed = make()
    plain = copy.deepcopy(replayed)
    options = {"optimizer": nnx.optimizers.Adam(0.05), "loss": "mse", **options}
    for model, jit_compile in ((replayed, "auto"), (plain, False)):
        model.compile(**{"jit_compile": jit_compile, **copy.deepcopy(options)})
    return replayed, plain


def assert_equal_training(replayed: nnx.Model, plain: nnx.Model, x: Any = X, y: Any = Y, **data: Any) -> None:
    """Train both on each batch: the same results and weights to the last bit."""
    for i in range(len(x)):
        one = {name: values[i] for name, values in data.items()}
        losses = [model.train_on_batch(x[i], y[i], **one) for model in (replayed, plain)]
        assert np.array_equal(losses[0], losses[1], equal_nan=True), (i, losses)
    for found, expected in zip(replayed.get_weights(), plain.get_weights(), strict=True):
        assert np.array_equal(found, expected, equal_nan=True)


def dense() -> nnx.Model:
    return nnx.Sequential([Input((4,)), Dense(5, activation="tanh"), Dense(2)])


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.filterwarnings("ignore")
def test_every_layer(case: LayerCase) -> None:
    """In the middle of a model where it can be, so that its inputs have cotangents."""
    below = [Dense(case.input_shape[-1])]

    def make() -> nnx.Model:
        try:
            model = nnx.Sequential([*below, case.make(), nnx.layers.Flatten(), Dense(2)])
            model.build((None, *case.input_shape[1:]))
        except (TypeError, ValueError, IndexError):  # it reads integers, or the shape does not fit
            model = nnx.Sequential([case.make(), nnx.layers.Flatten(), Dense(2)])
            model.build((None, *case.input_shape[1:]))
        return model

    replayed, plain = two(make, optimizer="sgd")
    x = SAMPLES.uniform(size=(5, *case.input_shape)).astype(np.float32)
    assert_equal_training(replayed, plain, x, SAMPLES.normal(size=(5, case.input_shape[0], 2)).astype(np.float32))
    assert is_replayed(replayed) == (str(case) not in WITHOUT_PLAN), plan_of(replayed)
    assert not is_replayed(plain)


def functional() -> nnx.Model:
    a, b = Input((4,), name="a"), Input((4,), name="b")
    h = Dense(3, activation="relu", kernel_regularizer="l2")(a) + Dropout(0.3)(Dense(3)(b))
    h = BatchNormalization()(h)
    return nnx.Model([a, b], [Dense(2, name="one")(h), Dense(1, activation="sigmoid", name="two")(h)])


def attentive(masked: bool = False, **options: Any) -> nnx.Model:
    start = Input((4,))
    x = nnx.layers.Reshape((4, 1))(start)
    x = Dense(3)(Masking()(x) if masked else x)
    x = x + nnx.layers.MultiHeadAttention(2, 3, **options)(x, x, use_causal_mask=masked)
    return nnx.Model(start, Dense(2)(nnx.layers.GlobalAveragePooling1D()(x)))


MODELS: dict[str, tuple[Callable[[], nnx.Model], dict[str, Any]]] = {
    "self-attention": (attentive, {}),
    "self-attention with masks and dropout": (lambda: attentive(masked=True, dropout=0.3, use_bias=False), {}),
    "penalties": (
        lambda: nnx.Sequential(
            [Input((4,)), Dense(5, activity_regularizer="l1"), ActivityRegularization(0.1), Dense(2)]
        ),
        {},
    ),
    "dropout and statistics": (
        lambda: nnx.Sequential(
            [Input((4,)), Dense(5), BatchNormalization(), Dropout(0.5), LayerNormalization(), Dense(2)]
        ),
        {"metrics": ["mae"]},
    ),
    "a model inside": (lambda: nnx.Sequential([Input((4,)), dense(), Activation("relu"), Dense(2)]), {}),
    "frozen layers": (
        lambda: nnx.Sequential([Input((4,)), Dense(5, trainable=False), BatchNormalization(trainable=False), Dense(2)]),
        {},
    ),
    "masks": (
        lambda: nnx.Sequential([Input((4,)), nnx.layers.Reshape((4, 1)), Masking(), nnx.layers.LSTM(3), Dense(2)]),
        {},
    ),
    "accumulation": (dense, {"optimizer": nnx.optimizers.SGD(0.1, gradient_accumulation_steps=2, global_clipnorm=0.5)}),
    "averages": (dense, {"optimizer": nnx.optimizers.AdamW(0.1, use_ema=True, clipnorm=0.1)}),
    "a schedule": (dense, {"optimizer": nnx.optimizers.SGD(nnx.schedules.ExponentialDecay(0.1, 2, 0.5), momentum=0.9)}),
    "a constraint": (lambda: nnx.Sequential([Dense(5, kernel_constraint="max_norm", input_dim=4), Dense(2)]), {}),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_kind_of_training(name: str) -> None:
    make, options = MODELS[name]
    replayed, plain = two(make, **options)
    assert_equal_training(replayed, plain)
    assert is_replayed(replayed), plan_of(replayed)


LOSSES = {
    "sparse_categorical_crossentropy": ("softmax", SAMPLES.integers(0, 2, size=(6, 8))),
    "categorical_crossentropy": ("softmax", np.eye(2, dtype=np.float32)[SAMPLES.integers(0, 2, size=(6, 8))]),
    "binary_crossentropy": ("sigmoid", np.float32(Y > 0.5)),
    "kl_divergence": ("softmax", Y / Y.sum(axis=-1, keepdims=True)),
    **dict.fromkeys(("mae", "huber", "log_cosh", "mape", "msle", "cosine_similarity"), (None, Y)),
    "poisson": ("softplus", Y),
    **{name: ("tanh", np.float32(np.sign(Y - 0.5))) for name in ("hinge", "squared_hinge", "categorical_hinge")},
}


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_with_weights_and_without(loss: str) -> None:
    activation, y = LOSSES[loss]
    replayed, plain = two(lambda: nnx.Sequential([Input((4,)), Dense(2, activation=activation)]), loss=loss)
    assert_equal_training(replayed, plain, X, y)
    weights = SAMPLES.uniform(size=(6, 8)).astype(np.float32)
    assert_equal_training(replayed, plain, X, y, sample_weight=weights)
    assert plan_of(replayed).count("are replayed") == 1 + (";" in plan_of(replayed)), plan_of(replayed)


def test_several_inputs_and_outputs():
    replayed, plain = two(functional, loss={"one": "mse", "two": "binary_crossentropy"}, loss_weights=[1.0, 0.5])
    for _ in range(5):
        x = [SAMPLES.normal(size=(8, 4)).astype(np.float32) for _ in range(2)]
        y = [SAMPLES.uniform(size=(8, n)).astype(np.float32) for n in (2, 1)]
        assert replayed.train_on_batch(x, y) == plain.train_on_batch(x, y)
    assert is_replayed(replayed), plan_of(replayed)


def test_whole_epochs_with_a_smaller_last_batch():
    x, y = X.reshape(-1, 4), SAMPLES.integers(0, 2, size=(48,))
    make = lambda: nnx.Sequential([Input((4,)), Dense(5), Dropout(0.2), Dense(2, activation="softmax")])  # noqa: E731
    replayed, plain = two(make, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    histories = [m.fit(x, y, 20, 4, verbose=0, validation_split=0.1, shuffle=False) for m in (replayed, plain)]
    assert histories[0].history == histories[1].history
    assert all(map(np.array_equal, replayed.get_weights(), plain.get_weights()))


def test_indices_out_of_range_are_the_error_that_they_are():
    replayed, plain = two(lambda: nnx.Sequential([Embedding(5, 3, input_length=4), nnx.layers.Flatten(), Dense(2)]))
    x = SAMPLES.integers(0, 5, size=(6, 8, 4))
    assert_equal_training(replayed, plain, x)
    assert is_replayed(replayed)
    x[0, 0, 0] = 5
    for model in (replayed, plain):
        with pytest.raises(ValueError, match="from 0 to 4"):
            model.train_on_batch(x[0], Y[0])


def test_values_that_take_another_way_are_computed_as_ever():
    """Layer normalisation of values whose squares are too large for float32 branches."""
    make = lambda: nnx.Sequential([Input((4,)), Dropout(0.5), BatchNormalization(), LayerNormalization(), Dense(2)])  # noqa: E731
    replayed, plain = two(make, optimizer="sgd")
    x = X.copy()
    x[3] *= 1e25
    for model in (replayed, plain):
        model.layers[1].momentum = 0.0
    with np.errstate(all="ignore"):
        assert_equal_training(replayed, plain, x)
    assert is_replayed(replayed)


def retrained(change: Callable[[nnx.Model], Any], make: Callable[[], nnx.Model] = dense) -> None:
    """Equal training before a change and after it."""
    replayed, plain = two(make)
    assert_equal_training(replayed, plain)
    assert is_replayed(replayed)
    for model in (replayed, plain):
        change(model)
    assert_equal_training(replayed, plain)
    assert is_replayed(replayed), plan_of(replayed)


def _set(layer: int, **values: Any) -> Callable[[nnx.Model], None]:
    def change(model: nnx.Model) -> None:
        for name, value in values.items():
            setattr(model.layers[layer], name, value)

    return change


def _reload(model: nnx.Model) -> None:
    model.set_weights([weight * 0.5 for weight in model.get_weights()])


def _freeze_and_compile(model: nnx.Model) -> None:
    wished = model.compile_arguments["jit_compile"]
    model.layers[0].trainable = False
    model.compile("sgd", "mae", jit_compile=wished)


CHANGES: dict[str, Callable[[nnx.Model], Any]] = {
    "an attribute of a layer": _set(1, epsilon=0.5),
    "a rate of dropout": _set(2, rate=0.9),
    "an activation": _set(0, activation=nnx.functional.relu),
    "weights": _reload,
    "freezing and compiling": _freeze_and_compile,
    "freezing, which counts when it is compiled": _set(0, trainable=False),
    "the rate of learning": lambda model: setattr(model.optimizer, "learning_rate", 0.5),
    "an optimizer": lambda model: setattr(model, "optimizer", nnx.optimizers.SGD(0.1)),
    "a stream": lambda model: model.layers[2].random.set_state(nnx.random.Generator(3).state()),
    "a state": lambda model: model.layers[1].moving_mean.assign(np.full(5, 2.0, np.float32)),
    "a state in another array": lambda model: setattr(
        model.layers[1].moving_mean, "value", np.full(5, 2.0, np.float32)
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_counts_at_once(name: str) -> None:
    make = lambda: nnx.Sequential([Input((4,)), Dense(5, "tanh"), BatchNormalization(), Dropout(0.5), Dense(2)])  # noqa: E731
    retrained(CHANGES[name], make)


def test_a_change_of_a_loss_counts_at_once():
    replayed, plain = two(dense, loss=nnx.losses.Huber(delta=1.0))
    for delta in (1.0, 0.01):
        for model in (replayed, plain):
            model.objective.by_output[0].loss.delta = delta
        assert_equal_training(replayed, plain)
    assert is_replayed(replayed)


def test_changes_elsewhere_do_not_hide_a_change():
    """Who compares attributes after one was set somewhere compares them again after the next."""
    replayed, plain = two(lambda: nnx.Sequential([Input((4,)), Dropout(0.5), Dense(2)]))
    assert_equal_training(replayed, plain)
    before = str(replayed.trainer.step.plans)
    for rate in (0.25, 0.5):
        Dense(3).name = "elsewhere"
        assert_equal_training(replayed, plain, X[:1], Y[:1])
        for model in (replayed, plain):
            model.layers[0].rate = rate
        assert_equal_training(replayed, plain)
    assert str(replayed.trainer.step.plans) == before


def test_attributes_are_compared_only_after_one_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    replayed, plain = two(dense)
    assert_equal_training(replayed, plain)
    compared: list[Any] = []
    monkeypatch.setattr("nnx.training.model_plans.are_as_they_were", lambda attributes: not compared.append(attributes))
    assert_equal_training(replayed, plain)
    first = len(compared)  # whatever the test itself has set before
    assert_equal_training(replayed, plain)
    assert len(compared) == first
    for number, change in enumerate(
        (
            lambda: setattr(replayed.layers[0], "note", 1),
            lambda: delattr(replayed.layers[0], "note"),
            lambda: setattr(replayed.objective.by_output[0].loss, "note", 1),
            lambda: setattr(replayed.objective.by_output[0], "note", 1),
        )
    ):
        change()
        replayed.train_on_batch(X[0], Y[0])
        replayed.train_on_batch(X[0], Y[0])
        assert len(compared) == first + number + 1


def test_what_changes_again_and_again_is_given_up():
    replayed, plain = two(lambda: nnx.Sequential([Input((4,)), Dropout(0.5), Dense(2)]))
    for step in range(12):
        for model in (replayed, plain):
            model.layers[0].rate = 0.1 + 0.05 * step
        assert_equal_training(replayed, plain, X[:2], Y[:2])
    assert "change again and again" in plan_of(replayed)


class Settings:
    """Numbers that code of one's own reads, each in another way."""

    share = 0.5
    shares: ClassVar[dict[str, float]] = {"share": 0.5}


class Scaled(nnx.layers.Layer):
    """A layer of one's own: how it is scaled depends on a function of it."""

    def __init__(self, share: Callable[[Any], Any]) -> None:
        super().__init__()
        self.share = share
        self.rate = 0.5
        self.rates = [0.5]
        self.inner = [Dense(4), Dense(4, "tanh")]

    def call(self, x: Any, training: bool = False) -> Any:
        for layer in self.inner:
            x = layer(x)
        return x * self.share(self) if training else x


SHARE = 0.5
SHARES = [0.5]
TABLE = {"share": 0.5}
SETTINGS = Settings()
SEEN: list[float] = []
RNG = np.random.default_rng(0)
NUMBERS = np.full(2, 0.5, np.float32)
LARGE = np.ones(1 << 16)
VARIABLE = nnx.Variable(0.5)
RATES = nnx.optimizers.SGD(0.5)
MEAN = nnx.metrics.Mean()
MSE = nnx.losses.MeanSquaredError()


def _enclosed() -> tuple[Callable[[Any], Any], Callable[[float], None]]:
    share = 0.5

    def read(_: Any) -> float:
        return share

    def write(value: float) -> None:
        nonlocal share
        share = value

    return read, write


READ, WRITE = _enclosed()


def _count(_: Any) -> float:
    SEEN.append(1.0)
    return float(len(SEEN))


def _count_global(_: Any) -> float:
    global SHARE
    SHARE = SHARE + 0.1
    return SHARE


def _with_default(_: Any, table: dict[str, float] = TABLE) -> float:
    return table["share"]


def _with_attribute(_: Any) -> float:
    return _with_attribute.share  # type: ignore[attr-defined, no-any-return]


_with_attribute.share = 0.5  # type: ignore[attr-defined]


def _write_global(value: float) -> None:
    global SHARE
    SHARE = value


def _set_epsilon(value: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that nnx's own losses keep theirs
        nnx.backend.set_epsilon(nnx.epsilon.EPSILON if value == 0.5 else value)


class OneUp:
    """A callable object, whose calls differ."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, _: Any) -> int:
        self.calls += 1
        return self.calls


SHARED: dict[str, tuple[Callable[[Any], Any], Callable[[Scaled, float], Any]]] = {  # how it is read, how it changes
    "a number": (lambda _: 0.5, lambda layer, value: None),
    "a global": (lambda _: SHARE, lambda layer, value: _write_global(value)),
    "a list": (lambda _: SHARES[0], lambda layer, value: SHARES.__setitem__(0, value)),
    "a dict": (lambda _: TABLE["share"], lambda layer, value: TABLE.update(share=value)),
    "an attribute": (lambda layer: layer.rate, lambda layer, value: setattr(layer, "rate", value)),
    "a list in an attribute": (lambda layer: layer.rates[0], lambda layer, value: layer.rates.__setitem__(0, value)),
    "an attribute of a class": (lambda _: Settings.share, lambda layer, value: setattr(Settings, "share", value)),
    "a dict of a class": (
        lambda _: Settings.shares["share"],
        lambda layer, value: Settings.shares.update(share=value),
    ),
    "a variable around it": (READ, lambda layer, value: WRITE(value)),
    "NumPy": (lambda _: np.sqrt(SHARE) + math.pi * float(np.sum([1.0])), lambda layer, value: _write_global(value)),
    "a number of an array": (lambda _: float(NUMBERS[0]), lambda layer, value: NUMBERS.__setitem__(0, value)),
    "what comes of an array": (lambda _: NUMBERS[:1] * 2.0, lambda layer, value: NUMBERS.__setitem__(0, value)),
    "a variable of nnx": (lambda _: VARIABLE.value * 2.0, lambda layer, value: VARIABLE.assign(value)),
    "a default": (_with_default, lambda layer, value: TABLE.update(share=value)),
    "an attribute of a function": (_with_attribute, lambda layer, value: setattr(_with_attribute, "share", value)),
    "a setting of Keras": (lambda _: nnx.backend.epsilon() + 0.5, lambda layer, value: _set_epsilon(value)),
    "an own list": (lambda _: sum([x for x in (1.0, 2.0) if x > SHARE]), lambda layer, value: _write_global(value)),
}

UNSEEN: dict[str, tuple[Callable[[Any], Any], str]] = {
    "an optimizer": (lambda _: RATES.learning_rate, "RATES, a SGD"),
    "a metric": (lambda _: 1.0 + 0.0 * MEAN.result(), "MEAN, a Mean"),
    "a large array": (lambda _: LARGE[0], "an array of 524288 bytes"),
    "the kind of array": (lambda x: 1.0 if isinstance(x, np.ndarray) else 2.0, "asks for np.ndarray"),
    "an object": (lambda _: SETTINGS.share, "whose content may change"),
    "a list that grows": (_count, "changes a list"),
    "a global that it sets": (_count_global, "changes SHARE"),
    "an attribute that it sets": (OneUp(), "OneUp"),
    "a print": (lambda _: print(end="") or 2.0, "calls print"),
    "a seed": (lambda _: float(set_seed(1) is None), "calls nnx.random.streams.set_seed"),
    "a variable that it sets": (lambda _: VARIABLE.assign(0.5) * 1.0, "assigns to a parameter"),
    "the clock": (lambda _: time.monotonic() * 0.0 + 1.0, "the module time"),
    "chance": (lambda _: random.random() * 0.0 + 1.0, "the module random"),
    "chance of NumPy": (lambda _: np.random.rand() * 0.0 + 1.0, "attribute random"),  # noqa: NPY002
    "a generator of NumPy": (lambda _: RNG.uniform() * 0.0 + 1.0, "of which NumPy draws"),
    "an import": (lambda _: __import__("time").monotonic() * 0.0 + 1.0, "calls __import__"),
}


def own(share: Callable[[Any], Any]) -> nnx.Model:
    return nnx.Sequential([Input((4,)), Dense(4), Scaled(share), Dropout(0.3), Dense(2)])


@pytest.mark.parametrize("name", SHARED)
def test_code_of_ones_own_is_replayed_and_what_it_reads_counts_at_once(name: str) -> None:
    read, change = SHARED[name]
    replayed, plain = two(lambda: own(read))
    try:
        for value in (0.5, 0.125, 0.75):
            for model in (replayed, plain):
                change(model.layers[1], value)
            assert_equal_training(replayed, plain)
            assert is_replayed(replayed), plan_of(replayed)
    finally:
        change(replayed.layers[1], 0.5)


@pytest.mark.parametrize("name", UNSEEN)
def test_code_that_may_give_something_else_next_time_is_called_every_time(name: str) -> None:
    read, reason = UNSEEN[name]
    model, _ = two(lambda: own(read))
    calls = len(SEEN)
    for x, y in zip(X, Y, strict=True):
        model.train_on_batch(x, y)
    assert not is_replayed(model)
    assert reason in plan_of(model)
    assert name != "a list that grows" or len(SEEN) == calls + len(X)


def test_what_was_asked_for_is_replayed_whatever_it_calls():
    model, _ = two(lambda: own(lambda layer: _count(layer)), jit_compile=True)
    for x, y in zip(X, Y, strict=True):
        model.train_on_batch(x, y)
    assert is_replayed(model)


def own_loss(y: Any, p: Any) -> Any:
    return MSE(y, p) + SHARE * nnx.ops.mean(nnx.ops.abs(p))


OWN: dict[str, tuple[Callable[[], nnx.Model], dict[str, Any]]] = {
    "a loss": (dense, {"loss": own_loss}),
    "a metric": (dense, {"metrics": [lambda y, p: nnx.ops.mean(p * SHARE, axis=-1), "mae"]}),
    "an activation": (
        lambda: nnx.Sequential([Dense(5, lambda x: x / (1.0 + nnx.ops.exp(-x)), input_dim=4), Dense(2)]),
        {},
    ),
    "a penalty": (
        lambda: nnx.Sequential([Dense(5, input_dim=4, kernel_regularizer=lambda w: nnx.ops.sum(w**4)), Dense(2)]),
        {},
    ),
    "a Lambda": (lambda: nnx.Sequential([Dense(5, input_dim=4), nnx.layers.Lambda(lambda x: x * x), Dense(2)]), {}),
}


@pytest.mark.parametrize("name", OWN)
def test_functions_of_ones_own(name: str) -> None:
    make, options = OWN[name]

    def built() -> nnx.Model:
        model = make()
        model.build((None, 4))
        return model

    replayed, plain = two(built, **options)
    assert_equal_training(replayed, plain)
    assert is_replayed(replayed), plan_of(replayed)
    assert replayed.evaluate(X[0], Y[0], verbose=0) == plain.evaluate(X[0], Y[0], verbose=0)


def _weighed(table: dict[str, float], y: Any, p: Any) -> Any:
    return MSE(y, p) * table["share"]


def test_what_functions_are_given_counts_at_once():
    """By functools.partial, and as arguments of a Lambda."""
    table = {"share": 0.5}
    layers = [Dense(2, input_dim=4), nnx.layers.Lambda(lambda x, shares: x * shares[0], arguments={"shares": [0.5]})]
    replayed, plain = two(lambda: nnx.Sequential(layers))
    for model, jit_compile in ((replayed, "auto"), (plain, False)):
        model.compile("sgd", functools.partial(_weighed, table), jit_compile=jit_compile)
    for value in (0.5, 0.125, 0.75):
        table["share"] = value
        for model in (replayed, plain):
            model.layers[1].arguments["shares"][0] = value
        assert_equal_training(replayed, plain)
        assert is_replayed(replayed), plan_of(replayed)


class Twofold(nnx.Model):
    """A model of one's own, with a loss that it adds."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Dense(5, "tanh"), Dense(2)
        self.rate = 0.1

    def call(self, x: Any, training: bool = False) -> Any:
        h = self.first(x)
        self.add_loss(self.rate * nnx.ops.mean(nnx.ops.square(h)))
        return self.second(h)


def test_models_of_ones_own():
    def make() -> nnx.Model:
        model = Twofold()
        model(X[0])
        return model

    replayed, plain = two(make)
    for rate in (0.1, 10.0):
        for model in (replayed, plain):
            model.rate = rate
        assert_equal_training(replayed, plain)
        assert is_replayed(replayed), plan_of(replayed)
    history = [model.fit(X[0], Y[0], epochs=3, verbose=0, shuffle=False).history for model in (replayed, plain)]
    assert history[0] == history[1]


def test_layers_that_keep_metrics_are_called_every_time():
    class Watched(nnx.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.size = nnx.metrics.Mean(name="size")

        def call(self, x: Any) -> Any:
            self.size.update_state(nnx.ops.abs(x))
            return x

    replayed, plain = two(lambda: nnx.Sequential([Input((4,)), Dense(3), Watched(), Dense(2)]))
    histories = [m.fit(X[0], Y[0], batch_size=2, epochs=3, verbose=0, shuffle=False).history for m in (replayed, plain)]
    assert histories[0] == histories[1]
    assert "size" in histories[0]


class Counting(nnx.layers.Layer):
    """A layer that remembers how often it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def call(self, x: Any) -> Any:
        self.calls += 1
        return x * self.calls


def test_a_layer_that_changes_itself_has_no_plan():
    replayed, plain = two(lambda: nnx.Sequential([Input((4,)), Dense(5), Counting(), Dense(2)]), jit_compile=True)
    plain.compile(nnx.optimizers.Adam(0.05), "mse", jit_compile=False)
    assert_equal_training(replayed, plain)
    assert "changes its attributes in every step" in plan_of(replayed)


def test_observers_see_every_step():
    replayed, plain = two(dense)
    assert_equal_training(replayed, plain)
    with nnx.profile(replayed) as report:
        replayed.train_on_batch(X[0], Y[0])
    plain.train_on_batch(X[0], Y[0])
    assert [row.calls for row in report.rows if row.path == "dense"] == [1]
    assert "are replayed from a plan" in str(report)
    assert_equal_training(replayed, plain)
    assert is_replayed(replayed)


def test_mixed_precision_and_arrays_that_are_large_have_no_plan():
    with nnx.backend("numpy", dtype="float16"):
        half = dense()
    half.compile("adam", "mse")
    wide = nnx.Sequential([Input((4,)), Dense(600_000), Dense(2)])
    wide.compile("sgd", "mse")
    for model, reason in ((half, ""), (wide, "large")):
        for _ in range(3):
            model.train_on_batch(X[0], Y[0])
            model(X[0])
        assert reason in plan_of(model)
        assert not is_replayed(model)
    assert "mixed precision" in str(half.trainer.step.calls)


def test_plans_go_with_the_model_and_are_not_copied():
    replayed, plain = two(dense)
    assert_equal_training(replayed, plain)
    assert plan_of(copy.deepcopy(replayed)) == ""
    replayed.compile("adam", "mse", run_eagerly=True)
    for _ in range(3):
        replayed.train_on_batch(X[0], Y[0])
    assert "jit_compile=False" in plan_of(replayed)
    with pytest.raises(ValueError, match="jit_compile must be"):
        replayed.compile("adam", "mse", jit_compile="yes")


def test_a_model_with_plans_goes_as_soon_as_nobody_uses_it():
    def run() -> list[weakref.ref[Any]]:
        replayed, plain = two(dense)
        assert_equal_training(replayed, plain)
        assert is_replayed(replayed)
        return [weakref.ref(replayed), weakref.ref(replayed.flat), weakref.ref(replayed.trainer)]

    gc.collect()
    gc.disable()
    try:
        alive = [reference() is not None for reference in run()]
    finally:
        gc.enable()
    assert alive == [False] * 3


def predictions(model: nnx.Model, x: Any) -> list[Any]:
    return [model.predict(x, verbose=0), model(x), model.predict_on_batch(x), model(x, training=True)]


def test_predictions_and_calls_are_replayed_and_stay_what_they_are():
    replayed, plain = two(
        lambda: nnx.Sequential([Dense(5, "tanh", input_dim=4), BatchNormalization(), Dense(2, "softmax")])
    )
    for x in X:
        kept = predictions(replayed, x)
        copies = [np.array(made) for made in kept]
        for found, expected in zip(kept, predictions(plain, x), strict=True):
            assert np.array_equal(found, expected)
        predictions(replayed, x + 1.0)  # does not write over what was returned
        predictions(plain, x + 1.0)
        assert all(map(np.array_equal, kept, copies))
        for model in (replayed, plain):
            model.train_on_batch(x, Y[0])
    step = replayed.trainer.step
    assert "are replayed" in str(step.predictions)
    assert "are replayed" in str(step.calls)
    assert not is_replayed(plain)


def test_calls_that_collect_losses_or_are_recorded_are_computed_as_ever():
    model = nnx.Sequential([Dense(3, activity_regularizer="l2", input_dim=4), Dense(2)])
    for _ in range(3):
        model(X[0])
    assert len(model.losses) == 1
    assert "add to the loss" in str(model.trainer.step.calls)
    model = dense()
    for _ in range(3):
        model(X[0])
    assert "are replayed" in str(model.trainer.step.calls)
    with nnx.GradientTape() as tape:
        loss = nnx.ops.sum(model(X[0]))
    assert all(gradient is not None for gradient in tape.gradient(loss, model.trainable_variables))
    model.add(Dropout(0.5))
    assert not np.array_equal(model(X[0], training=True), model(X[0], training=True))
    assert np.array_equal(model(X[0]), model(X[0]))


def test_threads_that_predict_at_the_same_time_get_their_own_rows():
    model = nnx.Sequential([Dense(16, "tanh", input_dim=4), Dense(2)])
    rows = SAMPLES.normal(size=(40, 1, 4)).astype(np.float32)
    expected = [np.array(model(row)) for row in rows]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            assert all(map(np.array_equal, pool.map(model, rows), expected))
            assert all(map(np.array_equal, pool.map(model.predict_on_batch, rows), expected))


def test_what_the_garbage_collector_calls_is_no_code_of_the_step():
    def look(phase: str, info: dict[str, int]) -> None:
        SEEN.append(0.0)

    gc.callbacks.append(look)
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        replayed, plain = two(dense)
        assert_equal_training(replayed, plain)
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(look)
    assert is_replayed(replayed), plan_of(replayed)
    assert gc.isenabled()


def penalised() -> nnx.Model:
    hidden = Dense(5, activation="tanh", kernel_regularizer=nnx.regularizers.L2(0.1))
    return nnx.Sequential([Input((4,)), hidden, Dense(2)])


ATTRIBUTES: dict[str, Callable[[Any], None]] = {
    "a value": lambda layer: setattr(layer.kernel, "value", np.full(layer.kernel.shape, 0.25, np.float32)),
    "another penalty": lambda layer: setattr(layer.kernel, "regularizer", nnx.regularizers.L1(0.3)),
    "no penalty": lambda layer: setattr(layer.kernel, "regularizer", None),
    "a first penalty": lambda layer: setattr(layer.bias, "regularizer", nnx.regularizers.L1(0.3)),
    "a penalty on the output": lambda layer: setattr(layer, "activity_regularizer", nnx.regularizers.L2(0.5)),
    "a constraint": lambda layer: setattr(layer.kernel, "constraint", nnx.constraints.NonNeg()),
}


@pytest.mark.parametrize("change", ATTRIBUTES.values(), ids=ATTRIBUTES)
@pytest.mark.parametrize("make", [dense, penalised])
def test_what_is_set_between_steps_counts_at_once(make: Callable[[], nnx.Model], change: Callable[[Any], None]) -> None:
    replayed, plain = two(make)
    assert_equal_training(replayed, plain)
    unchanged = copy.deepcopy(plain)
    for model in (replayed, plain):
        change(model.layers[0])
    changed = change is not ATTRIBUTES["no penalty"] or make is penalised
    for _ in range(2):  # a constraint shows in the step after
        before = unchanged.train_on_batch(X[0], Y[0])
        results = [model.train_on_batch(X[0], Y[0]) for model in (replayed, plain)]
        assert np.array_equal(*results)
    assert (results[0] != before) == changed
    assert_equal_training(replayed, plain)
    assert is_replayed(replayed), plan_of(replayed)


BATCHES = np.random.default_rng(5).standard_normal((4, 8, 12)).astype(np.float32)


@pytest.mark.parametrize(
    "look",
    [
        lambda x: x[:, ::-1][:, :4],
        lambda x: x[::-1, :4],
        lambda x: x[:, 3:7],
        lambda x: x[:, ::3],
        lambda x: np.broadcast_to(x[:1, :4], (8, 4)),
        lambda x: np.asfortranarray(x[:, :4]),
    ],
    ids=["columns backwards", "rows backwards", "some columns", "every third", "one row", "by columns"],
)
def test_batches_that_lie_in_memory_in_other_ways(look: Callable[[Any], Any]) -> None:
    replayed, plain = two(dense)
    assert_equal_training(replayed, plain, [look(x) for x in BATCHES], Y)
    assert is_replayed(replayed), plan_of(replayed)


def test_a_plan_of_predictions_copies_no_weights():
    """Embedding looks at its indices, so that a replay may have to be undone; its table is not what is undone."""
    model = nnx.Sequential([Embedding(1000, 8, input_length=4), BatchNormalization(), Dense(2)])
    model.build((8, 4))
    x = SAMPLES.integers(0, 1000, size=(8, 4))
    for _ in range(4):
        model(x, training=True)
    (form,) = model.trainer.step.calls._forms.values()
    assert [array.shape for array, _ in form.replay.plan.changed] == [(8,), (8,)]
    states = [np.array(parameter.value) for parameter in model.non_trainable_weights]
    with pytest.raises(ValueError, match="from 0 to 999"):
        model(x + 1000, training=True)
    assert all(map(np.array_equal, states, [parameter.value for parameter in model.non_trainable_weights]))


@pytest.mark.parametrize("where", ["kernel_regularizer", "activity_regularizer"])
def test_attributes_of_regularizers_count_at_once(where):
    def losses(**options):
        layer = Dense(2, input_dim=5, kernel_initializer="ones", **{where: nnx.regularizers.L2(0.1)})
        model = nnx.Sequential([layer])
        model.compile(nnx.optimizers.SGD(0.0), "mse", **options)
        x, y = np.ones((8, 5), "float32"), np.zeros((8, 2), "float32")
        found = [float(model.train_on_batch(x, y)) for _ in range(3)]
        getattr(layer, where).l2 = 1.0
        return [*found, float(model.train_on_batch(x, y)), float(model.test_on_batch(x, y))]

    found = losses()
    assert found[3] > found[2]
    assert found == losses(jit_compile=False)


def test_layers_that_leave_a_model_inside_the_model_are_gone_at_once():
    def losses(**options):
        set_seed(1)
        inner = nnx.Sequential([Dense(4), Dropout(0.5)])
        model = nnx.Sequential([Input((5,)), Dense(4), inner, Dense(2)])
        model.compile("sgd", "mse", **options)
        x, y = np.ones((8, 5), "float32"), np.zeros((8, 2), "float32")
        for _ in range(3):
            model.train_on_batch(x, y)
        inner.pop()
        return [float(model.train_on_batch(x, y)) for _ in range(3)]

    assert losses() == losses(jit_compile=False)


def test_predict_sets_no_attribute_that_plans_compare():
    """Else each call would walk through all layers, which takes longer than a small network."""
    model = dense()
    for _ in range(3):  # the second call, and the third, make the plan
        model.predict(X[0], verbose=0)
    before = ATTRIBUTE_CHANGE.last
    model.predict(X[0], verbose=0)
    assert ATTRIBUTE_CHANGE.last is before


@pytest.mark.parametrize("method", ["step", "train", "scale_loss"])
def test_who_observes_an_optimizer_sees_every_step(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for of_class in (False, True):
        replayed, plain = two(dense)
        assert_equal_training(replayed, plain)
        seen: list[Any] = []
        owner: Any = type(replayed.optimizer) if of_class else replayed.optimizer
        observed = getattr(owner, method)
        monkeypatch.setattr(owner, method, lambda *args, seen=seen, do=observed: (seen.append(args), do(*args))[1])
        replayed.fit(X[0], Y[0], batch_size=2, epochs=3, verbose=0, shuffle=False)
        assert len(seen) == 12
        plain.fit(X[0], Y[0], batch_size=2, epochs=3, verbose=0, shuffle=False)
        assert all(map(np.array_equal, replayed.get_weights(), plain.get_weights()))
        monkeypatch.undo()


def test_a_tape_between_two_steps_keeps_the_values_it_has_seen():
    replayed, plain = two(dense)
    assert_equal_training(replayed, plain)
    for model in (replayed, plain):
        kernel = model.layers[0].kernel
        with nnx.GradientTape() as tape:
            squares = nnx.ops.sum(kernel * kernel)
        before = kernel.numpy().copy()
        model.train_on_batch(X[0], Y[0])
        assert np.array_equal(nnx.to_numpy(tape.gradient(squares, kernel)), 2.0 * before)
    assert all(map(np.array_equal, replayed.get_weights(), plain.get_weights()))


def test_what_the_loss_does_not_reach_has_no_gradient_in_a_replayed_step():
    def half() -> nnx.Model:
        x = Input((4,))
        model = nnx.Model(x, [Dense(2, name="used")(x), Dense(2, name="unused")(x)])
        return model

    options = {"optimizer": nnx.optimizers.SGD(0.1, momentum=0.9), "loss": {"used": "mse"}}
    replayed, plain = two(half, **options)
    for i in range(6):
        losses = [model.train_on_batch(X[i], {"used": Y[i]}) for model in (replayed, plain)]
        assert losses[0] == losses[1]
        for model in (replayed, plain):  # somebody leaves gradients where the loss does not come
            model.flat.grads[...] = 7.0
    assert is_replayed(replayed), plan_of(replayed)
    assert all(map(np.array_equal, replayed.get_weights(), plain.get_weights()))
