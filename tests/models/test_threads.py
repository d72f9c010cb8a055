"""One model in several threads: evaluations and predictions beside each other, one training at a time."""

from __future__ import annotations

import concurrent.futures
import contextlib
import copy
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.callbacks import LambdaCallback
from nnx.layers import Dense, Input, Layer
from nnx.random import Generator

LONGEST = 30.0  # seconds that threads wait for each other; they do not, if all is well


def make(regularizer: Any = None, inner: Layer | None = None) -> nnx.Sequential:
    nnx.random.set_seed(3)
    model = nnx.Sequential([Input((4,)), Dense(8, "relu", activity_regularizer=regularizer)])
    if inner is not None:
        model.add(inner)
    model.add(Dense(3, "softmax"))
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def rows(count: int) -> tuple[np.ndarray, np.ndarray]:
    generator = Generator(count)
    return generator.normal((count, 4)).astype(np.float32), (generator.integers(count) % 3).astype(np.int64)


def in_thread(work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What a call returns, or raises, in another thread."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(work, *arguments, **options).result(LONGEST)


class Meeting(Layer):
    """Layer in which as many calls wait for each other as there are threads; alone it does nothing."""

    barrier: threading.Barrier | None = None

    def forward(self, x: Any, *, training: bool = False) -> Any:
        if self.barrier is not None and training is not None:
            self.barrier.wait(LONGEST)
        return x, lambda dy: dy


def together(layer: Meeting, *works: Callable[[], Any]) -> list[Any]:
    """The results of calls in a thread each, which are all in the middle of the model at the same time."""
    layer.barrier = threading.Barrier(len(works))
    try:
        with concurrent.futures.ThreadPoolExecutor(len(works)) as pool:
            return [future.result(LONGEST) for future in [pool.submit(work) for work in works]]
    finally:
        layer.barrier = None


class TestEvaluation:
    @pytest.mark.parametrize("regularizer", [None, "l2"])
    def test_in_several_threads_at_once(self, backend: Any, regularizer: Any) -> None:
        meeting = Meeting()
        model, data = make(regularizer, meeting), [rows(count) for count in (24, 25, 26, 27)]
        works = [lambda x=x, y=y: model.evaluate(x, y, batch_size=8, verbose=0) for x, y in data]  # type: ignore[misc]
        alone = [work() for work in works[1:]]  # they have four batches each
        assert together(meeting, *works[1:]) == alone

    @pytest.mark.parametrize("regularizer", [None, "l2"])
    def test_of_batches(self, regularizer: Any) -> None:
        meeting = Meeting()
        model, data = make(regularizer, meeting), [rows(count) for count in (24, 25, 26, 27)]
        works = [lambda x=x, y=y: model.test_on_batch(x, y) for x, y in data]  # type: ignore[misc]
        alone = [work() for work in works]
        assert together(meeting, *works) == alone

    def test_of_a_model_that_has_seen_no_targets_yet(self) -> None:
        meeting = Meeting()
        model, x, y = make(None, meeting), *rows(16)
        batches = [(x[:8], y[:8]), (x[8:], y[8:])]
        results = together(meeting, *[lambda: model.evaluate(iter(batches), verbose=0)] * 3)
        assert results == [model.evaluate(x, y, batch_size=8, verbose=0)] * 3

    def test_in_the_middle_of_another_one(self) -> None:
        model, (x, y), other = make(), rows(24), rows(9)
        expected, inner = model.evaluate(x, y, batch_size=8, verbose=0), model.evaluate(*other, verbose=0)
        found = []
        callback = LambdaCallback(on_test_batch_end=lambda *_: found.append(model.evaluate(*other, verbose=0)))
        assert model.evaluate(x, y, batch_size=8, verbose=0, callbacks=[callback]) == expected
        assert found == [inner] * 3

    @pytest.mark.parametrize("thread", [False, True])
    def test_in_the_middle_of_a_training(self, thread: bool) -> None:
        x, y = rows(24)
        call = in_thread if thread else lambda work, *arguments, **options: work(*arguments, **options)

        def logs(model: nnx.Sequential, callback: Any) -> Any:
            nnx.random.set_seed(5)
            options = {"batch_size": 8, "epochs": 2, "verbose": 0, "validation_data": (x[:8], y[:8])}
            return model.fit(x, y, callbacks=[callback], **options).history

        model = make()
        callback = LambdaCallback(
            on_train_batch_end=lambda *_: (
                call(model.evaluate, x, y, verbose=0),
                call(model.test_on_batch, x, y),
                call(model.predict, x, verbose=0),
            )
        )
        assert logs(model, callback) == logs(make(), LambdaCallback())

    def test_a_training_that_begins_in_the_middle_of_an_evaluation(self) -> None:
        model, (x, y) = make(), rows(24)
        model.optimizer.learning_rate = 0.0  # else the second half would be of other weights
        expected = model.evaluate(x, y, batch_size=8, verbose=0)
        history = []

        def train(batch: int, logs: Any) -> None:
            if batch == 1:
                history.append(in_thread(model.fit, x, y, batch_size=8, shuffle=False, verbose=0).history)

        callback = LambdaCallback(on_test_batch_end=train)
        objective = model.objective
        assert model.evaluate(x, y, batch_size=8, verbose=0, callbacks=[callback]) == expected
        assert history == [{"loss": [expected[0]], "accuracy": [expected[1]]}]
        assert model.objective is objective

    def test_metrics_of_the_user_have_the_result(self) -> None:
        metric = nnx.metrics.SparseCategoricalAccuracy()
        model, (x, y) = make(), rows(24)
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=[metric])
        assert model.evaluate(x, y, verbose=0)[1] == float(metric.result())
        copied = copy.deepcopy(model)
        assert copied.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)

    def test_a_copy_made_in_a_training_is_in_use_by_nobody(self) -> None:
        model, (x, y), copies = make(), rows(24), []
        model.fit(
            x, y, verbose=0, callbacks=[LambdaCallback(on_epoch_end=lambda *_: copies.append(copy.deepcopy(model)))]
        )
        assert copies[0].objective.free == model.objective.free == [True]

    def test_an_error_gives_the_running_values_back(self) -> None:
        model, (x, y) = make(), rows(24)
        for method in (model.train_on_batch, model.test_on_batch, model.evaluate, model.fit):
            with contextlib.suppress(ValueError):
                method(x, y[:5])
            assert model.objective.free == [True]
        with pytest.raises(ZeroDivisionError):
            model.fit(x, y, verbose=0, callbacks=[LambdaCallback(on_train_batch_end=lambda *_: 1 / 0)])
        assert model.objective.free == [True]
        model.fit(x, y, verbose=0)


def test_predictions_in_several_threads(backend: Any) -> None:
    meeting = Meeting()
    model, data = make("l2", meeting), [rows(count)[0] for count in (25, 26, 27)]
    for predict in (
        lambda x: model.predict(x, batch_size=8, verbose=0),
        model.predict_on_batch,
        lambda x: nnx.to_numpy(model(backend.asarray(x))),
    ):
        alone = [predict(x) for x in data]
        found = together(meeting, *[lambda x=x: predict(x) for x in data])  # noqa: B023
        assert all(np.array_equal(*pair) for pair in zip(found, alone, strict=True))


class TestBuilding:
    def test_the_first_predictions_build_a_model_once(self) -> None:
        begun = threading.Event()

        def slowly(shape: Any, dtype: Any) -> np.ndarray:
            begun.set()
            time.sleep(0.05)
            return np.ones(shape, dtype)

        model = nnx.Sequential([Dense(2, kernel_initializer=slowly), Dense(3, kernel_initializer=slowly)])
        x = np.ones((2, 4), np.float32)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            first = pool.submit(model.predict, x, verbose=0)
            assert begun.wait(LONGEST)
            second = pool.submit(model.predict, x, verbose=0)
            assert np.array_equal(first.result(LONGEST), second.result(LONGEST))
        assert [weight.path for weight in model.weights] == [
            f"{layer}/{weight}" for layer in ("dense", "dense_1") for weight in ("kernel", "bias")
        ]


class TestTraining:
    @pytest.mark.parametrize("method", ["fit", "train_on_batch", "compile"])
    def test_a_second_one_at_the_same_time_is_an_error(self, method: str) -> None:
        model, (x, y), errors = make(), rows(24), []
        arguments: Any = ("sgd", "mse") if method == "compile" else (x, y)

        def second(*_: Any) -> None:
            with pytest.raises(
                RuntimeError, match=rf"sequential.{method}\(\) was called while sequential.fit\(\) runs"
            ):
                in_thread(getattr(model, method), *arguments)
            errors.append(method)

        model.fit(x, y, batch_size=8, verbose=0, callbacks=[LambdaCallback(on_train_batch_end=second)])
        assert errors == [method] * 3
        assert model.optimizer.iterations == 3
        in_thread(getattr(model, method), *arguments)  # afterwards it is none

    def test_in_a_callback_of_another_one_it_is_none(self) -> None:
        model, (x, y) = make(), rows(24)
        inner = LambdaCallback(
            on_epoch_end=lambda *_: (model.fit(x, y, verbose=0), model.train_on_batch(x, y), model.train_on_batch(x, y))
        )
        model.fit(x, y, verbose=0, callbacks=[inner])
        assert model.optimizer.iterations == 4

    def test_steps_in_several_threads_come_one_after_another(self) -> None:
        """Each is whole: gradients of one are not in the update of another."""
        x, y = rows(24)
        model, reference = make(), make()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            futures = [pool.submit(model.train_on_batch, x, y) for _ in range(40)]
            losses = [future.result(LONGEST)[0] for future in futures]
        expected = [reference.train_on_batch(x, y)[0] for _ in range(40)]
        assert sorted(losses) == sorted(expected)
        assert all(np.array_equal(*pair) for pair in zip(model.get_weights(), reference.get_weights(), strict=True))
