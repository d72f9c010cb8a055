"""Threads that share steps of training compute what one thread does, and end when one of them fails."""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import layers, ranks
from nnx.backends import threads
from nnx.functional import updates
from nnx.training import thread_team
from nnx.user_warnings import warn_user

threadpoolctl = pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed")

ROWS = 29
# rows that draw a multiple of eight numbers get those of one thread, see `nnx.ranks.words_of_rows`


@pytest.fixture(autouse=True)
def one_thread_afterwards() -> Iterator[None]:
    yield
    nnx.config.set_num_threads(1)


def features(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(ROWS, *shape)).astype("float32")


def labels(classes: int = 3) -> np.ndarray:
    return np.random.default_rng(4).integers(0, classes, ROWS)


class Scaled(layers.Layer):
    """Array code, with a weight and a part of the loss."""

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight((shape[-1],), "ones", name="scale")

    def call(self, x: Any, training: bool = False) -> Any:
        self.add_loss(0.01 * nnx.ops.mean(nnx.ops.square(x)))
        return x * self.scale * (2.0 if training else 1.0)


class Branches(nnx.Model):
    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.end = layers.Dense(8, "tanh"), layers.Dense(3)

    def call(self, x: Any, training: bool = False) -> Any:
        return self.end(nnx.ops.concatenate([self.hidden(x), x], axis=-1))


def dense() -> tuple[Any, Any, Any, dict[str, Any]]:
    hidden = layers.Dense(16, "tanh", kernel_regularizer="l2", activity_regularizer="l1"), layers.Dropout(0.4)
    model = nnx.Sequential([layers.Input((5,)), *hidden, layers.Dense(3, "softmax")])
    model.compile(
        nnx.optimizers.Adam(0.01, global_clipnorm=0.3),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        weighted_metrics=[nnx.metrics.SparseCategoricalCrossentropy(name="weighted")],
    )
    return model, features(5), labels(), {"sample_weight": np.linspace(0.0, 2.0, ROWS), "class_weight": {1: 3.0}}


def convolutional() -> tuple[Any, Any, Any, dict[str, Any]]:
    body = layers.Conv2D(8, 3, use_bias=False), layers.BatchNormalization(momentum=0.7), layers.AveragePooling2D(2)
    end = layers.SpatialDropout2D(0.3), layers.GlobalAveragePooling2D(), layers.Dense(3)
    model = nnx.Sequential([layers.Input((8, 8, 2)), *body, *end])
    model.compile("sgd", nnx.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model, features(8, 8, 2), labels(), {}


def recurrent() -> tuple[Any, Any, Any, dict[str, Any]]:
    words = np.random.default_rng(5).integers(0, 9, (ROWS, 7))
    words[:, 4:] *= np.random.default_rng(6).integers(0, 2, (ROWS, 3))
    first = layers.Embedding(9, 8, mask_zero=True), layers.LSTM(5, return_sequences=True, dropout=0.2)
    model = nnx.Sequential([layers.Input((7,), dtype="int32"), *first, layers.TimeDistributed(layers.Dense(2))])
    model.compile("rmsprop", "mse", metrics=["mae"])
    return model, words, features(7, 2), {}


def several() -> tuple[Any, Any, Any, dict[str, Any]]:
    a, b = layers.Input((4,), name="a"), layers.Input((6, 3), name="b")
    attended = layers.MultiHeadAttention(2, 4)(b, b)
    both = layers.Concatenate()([layers.Dense(4, "relu")(a), layers.Flatten()(layers.LayerNormalization()(attended))])
    outputs = {"one": layers.Dense(1, name="one")(both), "two": layers.Dense(2, "sigmoid", name="two")(both)}
    model = nnx.Model([a, b], outputs)
    losses = {"one": "mse", "two": "binary_crossentropy"}
    model.compile("adam", losses, loss_weights={"one": 0.5, "two": 2.0}, metrics={"two": ["binary_accuracy", "auc"]})
    return model, [features(4), features(6, 3)], {"one": features(1), "two": (features(2) > 0) * 1.0}, {}


def own_layers() -> tuple[Any, Any, Any, dict[str, Any]]:
    model = nnx.Sequential([layers.Input((5,)), layers.Dense(4), Scaled(), layers.Dense(3)])
    model.compile("adam", nnx.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model, features(5), labels(), {}


def own_model() -> tuple[Any, Any, Any, dict[str, Any]]:
    model = Branches()
    model.compile("adam", nnx.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model, features(5), labels(), {}


def frozen() -> tuple[Any, Any, Any, dict[str, Any]]:
    first = layers.Dense(6), layers.BatchNormalization(), layers.SpectralNormalization(layers.Dense(4))
    model = nnx.Sequential([layers.Input((5,)), *first, layers.Dense(3)])
    model.layers[0].trainable = False
    model.compile("adam", nnx.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model, features(5), labels(), {}


def masked() -> tuple[Any, Any, Any, dict[str, Any]]:
    words = np.random.default_rng(5).integers(0, 9, (ROWS, 6))
    words[:, 3:] *= np.random.default_rng(6).integers(0, 2, (ROWS, 3))
    steps = layers.Embedding(9, 4, mask_zero=True)(inputs := layers.Input((6,), dtype="int32"))
    outputs = [layers.Dense(3, "softmax", name="kind")(steps), layers.Dense(1, name="size")(steps)]
    model = nnx.Model(inputs, outputs)
    losses = [nnx.losses.SparseCategoricalCrossentropy(ignore_class=1), nnx.losses.MeanSquaredError(reduction="sum")]
    model.compile("adam", losses, loss_weights=[2.0, 0.1])
    return model, words, [words % 3, features(6, 1)], {}


MODELS = [dense, convolutional, recurrent, several, own_layers, own_model, frozen, masked]


def trained(make: Callable[[], Any], count: int) -> tuple[list[np.ndarray], dict[str, list[float]]]:
    nnx.random.set_seed(11)
    with nnx.backend("numpy", dtype="float64"):
        model, x, y, options = make()
        model.jit_compile = False  # a step that is replayed is not shared
        nnx.config.set_num_threads(count)
        history = model.fit(x, y, batch_size=12, epochs=4, verbose=0, **options)
    nnx.config.set_num_threads(1)
    return [np.array(weight) for weight in model.get_weights()], history.history


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_threads_train_as_one(make: Callable[[], Any], count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = []
    differentiate = thread_team.ThreadTeam.differentiate
    monkeypatch.setattr(
        thread_team.ThreadTeam, "differentiate", lambda self, *given: shared.append(1) or differentiate(self, *given)
    )
    weights, history = trained(make, count)
    assert shared
    expected, of_one = trained(make, 1)
    for found, wanted in zip(weights, expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
    for name, values in of_one.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-9, atol=1e-12, err_msg=name)


def compiled(loss: Any = "mse", *inner: Any) -> Any:
    body = layers.Dense(4), layers.BatchNormalization(), *inner, layers.Dense(4), layers.BatchNormalization()
    model = nnx.Sequential([layers.Input((5,)), *body])
    model.compile("sgd", loss, jit_compile=False)
    return model


def test_an_error_of_one_thread_is_that_of_the_step() -> None:
    def loss(y: Any, p: Any) -> Any:
        if y.max() > 100.0:
            raise RuntimeError("a row that it does not take")
        return nnx.ops.mean(nnx.ops.square(p - y), axis=-1)

    model, x, y = compiled(loss), features(5), features(4)
    nnx.config.set_num_threads(2)
    for _ in range(4):
        model.train_on_batch(x, y)
    bad = y.copy()
    bad[-1] = 1000.0
    with pytest.raises(RuntimeError, match="a row that it does not take"):
        model.train_on_batch(x, bad)  # while the other thread waits for sums over the batch
    assert np.isfinite(model.train_on_batch(x, y))


def test_a_thread_that_waits_for_one_that_does_not_come() -> None:
    nnx.config.set_num_threads(2)
    with pytest.raises(RuntimeError, match="another thread of this step has ended"):
        thread_team._by_rank(lambda rank, shard: rank or ranks.total(np.ones(2)), 8, 2)
    assert [total.tolist() for total in thread_team._by_rank(lambda rank, _: ranks.total(np.ones(2)), 8, 2)] == [
        [2, 2]
    ] * 2


@pytest.mark.parametrize("started", [0, 1, 2])
def test_an_interrupt_leaves_no_thread_that_waits(started: int, monkeypatch: pytest.MonkeyPatch) -> None:
    workers = threads._workers(2)

    class Interrupted:
        def put(self, task: Any) -> None:
            raise KeyboardInterrupt

    def first_ends(rank: int, _: Any) -> Any:
        if rank == 0 and started == 2:
            raise KeyboardInterrupt
        return ranks.total(np.ones(2))

    with monkeypatch.context() as patch:
        patch.setattr(threads, "_workers", lambda count: [*workers[:started], *[Interrupted()] * (2 - started)])
        with pytest.raises(KeyboardInterrupt):
            thread_team._by_rank(first_ends, 9, 3)
    made = thread_team._by_rank(lambda rank, _: ranks.total(np.ones(2)), 9, 3)
    assert [total.tolist() for total in made] == [[3, 3]] * 3


def test_an_interrupt_comes_up_when_all_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    ended, go_on = [], threading.Event()
    wait = threads._Task.wait

    def interrupted_once(task: Any) -> None:
        if not go_on.is_set():
            go_on.set()
            raise KeyboardInterrupt
        wait(task)

    def second() -> None:
        go_on.wait()
        ended.append(True)

    monkeypatch.setattr(threads._Task, "wait", interrupted_once)
    with pytest.raises(KeyboardInterrupt):
        threads.run_together([lambda: None, second])
    assert ended


def test_the_number_of_threads_is_set_during_a_step() -> None:
    model = compiled()
    nnx.config.set_num_threads(3)
    expected = model.predict(features(5), verbose=0)

    def set_number(count: int) -> Any:
        nnx.config.set_num_threads(count)
        return count

    assert threads.run_together([functools.partial(set_number, 1)]) == [1]
    for count in (1, 2, 4):
        nnx.config.set_num_threads(3)
        made = thread_team._by_rank(lambda rank, _, count=count: (set_number(count), ranks.total(np.ones(1))), 9, 3)
        assert [total.tolist() for _, total in made] == [[3]] * 3
    np.testing.assert_allclose(model.predict(features(5), verbose=0), expected, rtol=1e-6)


class Counts(layers.Layer):
    """Changes itself in every step."""

    def call(self, x: Any) -> Any:
        self.count = getattr(self, "count", 0) + 1
        return x


def test_a_model_that_changes_itself_is_trained_by_one_thread() -> None:
    model = compiled("mse", Counts())
    nnx.config.set_num_threads(2)
    counts = []
    for _ in range(12):
        model.train_on_batch(features(5), features(4))
        counts.append(model.layers[2].count)
    assert np.diff(counts).tolist() == [1] * 11
    assert model.trainer.step._teams == 4


def test_attributes_that_are_set_reach_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(count: int) -> list[np.ndarray]:
        nnx.random.set_seed(5)
        with nnx.backend("numpy", dtype="float64"):
            model = compiled()
            nnx.config.set_num_threads(count)
            for step in range(8):
                if step == 4:
                    model.layers[1].momentum = 0.5
                    model.layers[2].trainable = False
                    model.compile("sgd", "mse", jit_compile=False)
                if step == 6:
                    model.set_weights([1.1 * weight for weight in model.get_weights()])
                model.train_on_batch(features(5), features(4))
        return model.get_weights()

    for found, wanted in zip(train(2), train(1), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


class Factors(nnx.Model):
    """Has its numbers in attributes of several kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.factor, self.named, self.array = 1.0, {"factor": 1.0}, np.ones(4)
        self.hidden = layers.Dense(4, activity_regularizer=nnx.regularizers.L1(0.3), kernel_regularizer="l2")
        self.scaled, self.end = layers.Lambda(self.scale), layers.Dense(4)
        self.tool = Tool()
        self.bent = layers.Activation(self.tool.bend)

    def scale(self, x: Any) -> Any:
        return x * self.named["factor"] * self.array.astype(x.dtype)

    def call(self, x: Any) -> Any:
        return self.end(self.bent(self.scaled(self.hidden(x) * self.factor)))


class Tool:
    """Is no layer, and has a method that a layer calls."""

    power = 1

    def bend(self, x: Any) -> Any:
        return nnx.ops.tanh(x) ** self.power


CHANGES: dict[str, Callable[[Any], Any]] = {
    "attribute of a model": lambda model: setattr(model, "factor", 0.5),
    "element of a dict": lambda model: model.named.update(factor=0.5),
    "element of an array": lambda model: model.array.__setitem__(0, 0.5),
    "attribute of what has a method": lambda model: setattr(model.tool, "power", 3),
    "attribute of a penalty on outputs": lambda model: setattr(model.hidden.activity_regularizer, "l1", 0.1),
    "penalty of a weight": lambda model: setattr(model.hidden.kernel, "regularizer", nnx.regularizers.L1(0.1)),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_attributes_refer_to_reaches_all_threads(what: str) -> None:
    def train(count: int) -> list[np.ndarray]:
        nnx.random.set_seed(5)
        with nnx.backend("numpy", dtype="float64"):
            model = Factors()
            model.compile("sgd", "mse", jit_compile=False)
            nnx.config.set_num_threads(count)
            for step in range(8):
                if step == 5:
                    assert (model.trainer.step._team is None) == (count == 1)
                    CHANGES[what](model)
                model.train_on_batch(features(5), features(4))
        return model.get_weights()

    for found, wanted in zip(train(2), train(1), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


class Noise(layers.Layer):
    """Draws from a stream of its own, which does not know of rows."""

    def __init__(self) -> None:
        super().__init__()
        self.seeds = nnx.random.SeedGenerator(3)

    def call(self, x: Any) -> Any:
        return x + nnx.random.normal(tuple(x.shape), seed=self.seeds, dtype=str(x.dtype))


class OfTheDefaultStream(layers.Layer):
    def call(self, x: Any) -> Any:
        return x + nnx.random.normal(tuple(x.shape), dtype=str(x.dtype))


class Locked(layers.Layer):
    """Cannot be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()

    def call(self, x: Any) -> Any:
        with self.lock:
            return x * 2.0


def sum_of_batch(y: Any, p: Any) -> Any:
    return nnx.ops.sum(nnx.ops.square(y - p))


def apart_from_means(y: Any, p: Any) -> Any:
    apart = y - p - nnx.ops.mean(y - p, axis=0, keepdims=True)
    return nnx.ops.mean(nnx.ops.square(apart), axis=-1)


def in_a_graph(function: Callable[[Any], Any]) -> Any:
    x = layers.Input((4,))
    return nnx.Model(x, function(x))


ONE_THREAD: dict[str, tuple[Callable[[], list[Any]], Any]] = {
    "sum": (list, sum_of_batch),
    "mean over rows": (list, apart_from_means),
    "pairs of rows": (lambda: [layers.UnitNormalization()], nnx.losses.Circle()),
    "axis of rows": (lambda: [layers.Softmax(axis=0), layers.Dense(4)], "mse"),
    "operation": (lambda: [in_a_graph(lambda x: x[::-1])], "mse"),
    "function of an axis": (lambda: [in_a_graph(lambda x: nnx.ops.cumsum(x, axis=0))], "mse"),
    "function": (lambda: [layers.Lambda(lambda x: x - nnx.ops.mean(x, axis=0, keepdims=True))], "mse"),
    "own stream": (lambda: [Noise()], "mse"),
    "default stream": (lambda: [OfTheDefaultStream()], "mse"),
    "no copy": (lambda: [Locked()], "mse"),
    "states": (lambda: [layers.Reshape((2, 2)), layers.LSTM(4, stateful=True)], "mse"),
}


@pytest.mark.parametrize("what", ONE_THREAD)
def test_what_threads_would_compute_otherwise_is_computed_by_one(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnx.training.step._SHARED", 16)
    make, loss = ONE_THREAD[what]
    y = labels() if isinstance(loss, nnx.losses.Circle) else features(4)

    def train(count: int) -> list[Any]:
        nnx.random.set_seed(5)
        with nnx.backend("numpy", dtype="float64"):
            model = nnx.Sequential([layers.Input((5,)), layers.Dense(4), layers.Dropout(0.2), *make()])
            model.compile("sgd", loss, jit_compile=False)
            nnx.config.set_num_threads(count)
            found = [model.train_on_batch(features(5), y) for _ in range(4)]
            assert model.trainer.step._team is None
            return [*found, model.evaluate(features(5), y, verbose=0), *model.get_weights()]

    for found, wanted in zip(train(2), train(1), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_code_of_ones_own_that_computes_by_rows_is_shared() -> None:
    model = compiled(lambda y, p: nnx.ops.mean(nnx.ops.square(y - p)), layers.Dense(3), layers.Dropout(0.2), Scaled())
    nnx.config.set_num_threads(3)
    for _ in range(4):
        model.train_on_batch(features(5), features(4))
    assert model.trainer.step._team is not None


def test_a_warning_of_several_threads_is_one_of_the_line_that_waits() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        threads.run_together([functools.partial(warn_user, "look at this")] * 3)
    assert [str(one.message) for one in caught] == ["look at this"]
    assert caught[0].filename == __file__


def test_small_steps_are_replayed_as_ever() -> None:
    model = compiled()
    model.jit_compile = "auto"
    nnx.config.set_num_threads(2)
    for _ in range(4):
        model.train_on_batch(features(5), features(4))
    assert "replayed from a plan" in str(model.trainer.step.plans)
    assert model.trainer.step._team is None


def test_evaluation_and_prediction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnx.training.step._SHARED", 16)
    shared = []
    by_rank = thread_team._by_rank
    monkeypatch.setattr(thread_team, "_by_rank", lambda *given: shared.append(1) or by_rank(*given))
    with nnx.backend("numpy", dtype="float64"):
        model, x, y, _ = several()
        expected, values = model.predict(x, verbose=0), model.evaluate(x, y, verbose=0)
        assert not shared
        nnx.config.set_num_threads(3)
        found = model.predict(x, verbose=0)
        assert len(shared) == 1
        np.testing.assert_allclose(model.evaluate(x, y, verbose=0), values, rtol=1e-9)
        assert len(shared) == 2
    for name, wanted in expected.items():
        np.testing.assert_allclose(found[name], wanted, rtol=1e-9, atol=1e-12)


def test_rows_that_depend_on_others_stay_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnx.training.step._SHARED", 16)
    centred = nnx.Sequential([layers.Input((5,)), layers.Lambda(lambda x: x - nnx.ops.mean(x, axis=0, keepdims=True))])
    expected = centred.predict(features(5), verbose=0)
    nnx.config.set_num_threads(2)
    np.testing.assert_array_equal(centred.predict(features(5), verbose=0), expected)


@pytest.mark.parametrize("name", ["adam", "momentum", "rmsprop", "lion"])
def test_updates_of_large_arrays_have_the_same_bits(name: str) -> None:
    def update() -> list[np.ndarray]:
        numbers = np.random.default_rng(2)
        w, g, m, v = (numbers.uniform(0.1, 1.0, 600_001).astype("float32") for _ in range(4))
        given: dict[str, tuple[Any, ...]] = {
            "adam": (w, g, m, v, None, 0.1, 0.9, 0.999, 1e-7),
            "momentum": (w, g, m, 0.1, 0.9, True),
            "rmsprop": (w, g, v, None, m, 0.1, 0.9, 0.8, 1e-7),
            "lion": (w, g, m, 0.1, 0.9, 0.99),
        }
        getattr(updates, name)(*given[name])
        return [w, m, v]

    expected = update()
    nnx.config.set_num_threads(3)
    for found, wanted in zip(update(), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_blas_has_one_thread_meanwhile_and_as_many_as_before_afterwards() -> None:
    def counts() -> list[int]:
        return [library.get_num_threads() for library in threads._libraries()]

    nnx.config.set_num_threads(2)
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        assert set(counts()) == {2}
        assert all(set(found) == {1} for found in threads.run_together([counts, counts]))
        with pytest.raises(ZeroDivisionError):
            threads.run_together([lambda: 1 // 0, counts])
        assert set(counts()) == {2}


def test_threads_share_nothing_further() -> None:
    nnx.config.set_num_threads(2)
    assert threads.run_together([nnx.config.num_threads] * 2) == [1, 1]
    assert nnx.config.num_threads() == 2


@pytest.mark.parametrize("count", [0, -1, 1.5, "2", None, True])
def test_numbers_that_are_none(count: Any) -> None:
    with pytest.raises(ValueError, match="count must be a positive integer"):
        nnx.config.set_num_threads(count)


def test_without_threadpoolctl_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'nnx-array\[fast\]'"):
        nnx.config.set_num_threads(2)
    nnx.config.set_num_threads(1)
