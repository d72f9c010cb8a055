"""Locks in a process that was forked while other threads held them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.callbacks import LambdaCallback
from nnx.layers import Dense, Input
from nnx.locks import LOADING, cached_property, lock, reentrant_lock

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),  # of Python 3.12 and later, on forks
]

X, Y = np.ones((8, 2), np.float32), np.ones((8, 1), np.float32)


def forked(work: Callable[[], Any]) -> bool:
    """Whether a forked process does the work, within a minute."""
    process = os.fork()
    if not process:
        signal.alarm(60)
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitpid(process, 0)[1] == 0


class Thread:
    """Another thread, which is at one place of its work for the length of a block."""

    def __init__(self, work: Callable[[Callable[[], Any]], Any]) -> None:
        self.is_there, self.may_go_on = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=work, args=(self.stay,))

    def stay(self) -> None:
        self.is_there.set()
        assert self.may_go_on.wait(60)

    def __enter__(self) -> None:
        self.thread.start()
        assert self.is_there.wait(60)

    def __exit__(self, *_: object) -> None:
        self.may_go_on.set()
        self.thread.join()


@pytest.mark.parametrize("kind", [lock, reentrant_lock])
def test_it_is_free_where_its_thread_is_not(kind: Callable[[], Any]) -> None:
    held = kind()

    def work(stay: Callable[[], Any]) -> None:
        with held:
            stay()

    with Thread(work):
        assert not held.acquire(blocking=False)
        assert forked(lambda: held.acquire(timeout=30) or os._exit(1))


def test_what_the_forking_thread_holds_it_holds_afterwards() -> None:
    held = reentrant_lock()
    with held:
        assert forked(held.release)
        assert forked(lambda: os._exit(held._is_owned() is False))


def test_a_fork_waits_for_imports() -> None:
    def work(stay: Callable[[], Any]) -> None:
        with LOADING:
            stay()
            loaded.append(True)

    loaded: list[bool] = []
    thread = Thread(work)
    with thread:
        threading.Timer(0.2, thread.may_go_on.set).start()
        assert forked(lambda: (LOADING.acquire(timeout=30) and loaded == [True]) or os._exit(1))


def test_a_value_that_is_computed_for_the_first_time() -> None:
    class Owner:
        stay: Any = None

        @cached_property
        def value(self) -> int:
            if self.stay:
                self.stay()
            return 1

    owner = Owner()

    def work(stay: Callable[[], Any]) -> None:
        owner.stay = stay
        assert owner.value == 1

    with Thread(work):
        owner.stay = None
        assert forked(lambda: os._exit(owner.value != 1))


USES: dict[str, Callable[[nnx.Sequential], Any]] = {
    "predict": lambda model: model.predict(X, verbose=0),
    "evaluate": lambda model: model.evaluate(X, Y, verbose=0),
    "train_on_batch": lambda model: model.train_on_batch(X, Y),
    "fit": lambda model: model.fit(X, Y, verbose=0),
    "compile": lambda model: model.compile("adam", "mse"),
    "a new model": lambda model: nnx.Sequential([Input((2,)), Dense(1)]).predict(X, verbose=0),
    "random numbers": lambda model: nnx.random.default().uniform((2,)),
}


@pytest.mark.parametrize("moment", ["on_train_batch_end", "on_test_begin"])
@pytest.mark.parametrize("use", USES)
def test_a_model_that_another_thread_trains(use: str, moment: str) -> None:
    model = nnx.Sequential([Input((2,)), Dense(3, "tanh"), Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])

    def work(stay: Callable[[], Any]) -> None:
        callback = LambdaCallback(**{moment: lambda *_: stay()})
        model.fit(X, Y, validation_data=(X, Y), verbose=0, callbacks=[callback])

    with Thread(work):
        assert forked(lambda: USES[use](model))
    assert len(model.history.epoch) == 1
