"""The thread that prepares ahead: order, errors, and that it never outlives its use."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.data.prefetcher import Prefetcher

SECONDS = 5.0  # to wait for another thread before a test fails


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "nnx.data"]


@pytest.fixture(autouse=True)
def _all_threads_end() -> Iterator[None]:
    assert not threads()
    yield
    gc.collect()
    deadline = time.monotonic() + SECONDS
    while threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not threads()


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the thread does not get on"
        time.sleep(0.001)


@pytest.mark.parametrize("count", [1, 2, 100])
def test_all_items_in_their_order(count: int):
    assert list(Prefetcher(range(50), count)) == list(range(50))
    assert list(Prefetcher([], count)) == []
    assert list(Prefetcher([None, None], count)) == [None, None]


@pytest.mark.parametrize("count", [1, 3])
def test_so_many_are_prepared_and_no_more(count: int):
    seen: list[int] = []

    def source() -> Iterator[int]:
        for number in range(20):
            seen.append(number)
            yield number

    prefetcher = Prefetcher(source(), count)
    for taken in range(10):
        wait_for(lambda taken=taken: len(seen) >= taken + count)
        time.sleep(0.002)
        assert len(seen) == taken + count
        assert next(prefetcher) == taken


def test_it_works_while_the_consumer_does():
    def source() -> Iterator[threading.Thread]:
        yield threading.current_thread()

    (thread,) = Prefetcher(source(), 1)
    assert thread is not threading.current_thread()
    assert thread.daemon


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt(), SystemExit(3)])
def test_errors_come_where_the_item_would_have_come(error: BaseException):
    def source_of_trouble() -> Iterator[int]:
        yield 1
        yield 2
        raise error

    prefetcher = Prefetcher(source_of_trouble(), 5)
    assert [next(prefetcher), next(prefetcher)] == [1, 2]
    with pytest.raises(type(error)) as caught:
        next(prefetcher)
    assert caught.value is error
    assert "source_of_trouble" in "".join(traceback.format_exception(caught.value))
    assert list(prefetcher) == []
    assert not threads()


def endless() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


def test_it_ends_when_it_is_closed():
    prefetcher = Prefetcher(endless(), 3)
    assert next(prefetcher) == 0
    prefetcher.close()
    assert not threads()
    assert list(prefetcher) == []
    prefetcher.close()


def test_it_ends_with_the_last_reference():
    for number in Prefetcher(endless(), 3):
        if number == 2:
            break
    assert not threads()


def test_it_ends_after_an_error_of_the_consumer():
    def consume() -> None:
        for _ in Prefetcher(endless(), 3):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        consume()


def test_it_ends_in_a_cycle_of_garbage():
    prefetcher: Any = Prefetcher(endless(), 3)
    prefetcher.itself = prefetcher
    del prefetcher
    gc.collect()


def test_items_in_use_are_not_kept():
    class Item:
        alive = 0

        def __init__(self) -> None:
            Item.alive += 1

        def __del__(self) -> None:
            Item.alive -= 1

    prefetcher = Prefetcher((Item() for _ in range(4)), 1)
    for _ in range(4):
        item = next(prefetcher)
        del item
    assert list(prefetcher) == []
    assert Item.alive == 0


def test_the_thread_is_in_the_same_context():
    with nnx.backend("numpy", dtype="float64"):
        prefetcher = Prefetcher((nnx.asarray([1.0]) for _ in range(1)), 1)
    assert next(prefetcher).dtype == np.float64
    prefetcher.close()


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="the system cannot send Ctrl-C to a thread")
def test_ctrl_c_while_the_consumer_waits():
    wanted = threading.Event()

    def slow() -> Iterator[int]:
        yield 1
        wanted.wait(SECONDS)

    prefetcher = Prefetcher(slow(), 1)
    assert next(prefetcher) == 1
    main = threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(0.1, lambda: signal.pthread_kill(main, signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            next(prefetcher)
        timer.join()
    finally:
        signal.signal(signal.SIGINT, before)
    wanted.set()
    prefetcher.close()


def test_the_interpreter_ends_with_a_thread_that_is_busy():
    code = """
import numpy as np
from nnx.data import DataLoader
loader = iter(DataLoader(np.zeros(1_000_000), map=lambda x: np.sort(np.ones(100_000)), prefetch=4))
next(loader)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
