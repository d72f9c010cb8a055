"""Threads that share large work on arrays of NumPy, while BLAS has one thread in each of them."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import importlib
import importlib.util
import itertools
import numbers
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from nnx import user_warnings
from nnx.locks import lock

__all__ = ["num_threads", "set_num_threads"]

R = TypeVar("R")

_INSTALL = "pip install 'nnx-array[fast]'"
_count = 1
_working = lock()  # held while threads share something: one of those who ask waits for the other
_inside: contextvars.ContextVar[bool] = contextvars.ContextVar("nnx_inside_of_threads", default=False)


def set_num_threads(count: int) -> None:
    """The number of threads that share the large steps of training, and the updates of large models, on NumPy.

    1 from the start: then BLAS alone uses several cores. With more, each thread computes the loss and the gradients of
    its rows of a batch, with one thread of BLAS, and the sums are those of the whole batch, also in batch
    normalisation: results are those of one thread but for rounding. So are random numbers, where those of a row are a
    multiple of eight and not normal; else they are others. Take the number of cores.

    Steps that are replayed, since they are small, stay in one thread, and so do those of a model whose layers set
    attributes of their own in each step or remember states, of one with a `train_step` of its own, and of one in
    float16. With layers, functions and losses of one's own the first step is computed both ways: where they mix rows,
    or draw numbers for a whole batch, all steps stay in one thread.

    ValueError for what is no such number; ImportError without threadpoolctl, by which BLAS is told.

    >>> set_num_threads(1)
    """
    global _count
    if not isinstance(count, numbers.Integral) or isinstance(count, bool) or count < 1:
        raise ValueError(f"set_num_threads: count must be a positive integer, got {count!r}")
    if count > 1 and importlib.util.find_spec("threadpoolctl") is None:
        raise ImportError(
            f"set_num_threads needs threadpoolctl, which tells BLAS to use one thread beside ours; install it with: "
            f"{_INSTALL}"
        )
    _count = int(count)


def num_threads() -> int:
    """The number that `set_num_threads` was given; 1 in the threads themselves.

    >>> num_threads()
    1
    """
    return 1 if _inside.get() else _count


def are_sharing() -> bool:
    """Whether this is in one of several threads that share something now."""
    return _inside.get()


def run_together(functions: Sequence[Callable[[], R]], give_up: Callable[[], None] = lambda: None) -> list[R]:
    """What functions return that run at once, the first of them in this thread; or an error, when all have ended.

    give_up : called if this thread ends early, as when somebody interrupts it, so that no other one waits for it.
    """
    with _working, _one_thread_of_blas():
        context = contextvars.copy_context()
        context.run(_inside.set, True)
        context.run(user_warnings.waiting.set, user_warnings.place_of_user())
        tasks = [_Task(functools.partial(context.copy().run, function)) for function in functions[1:]]
        try:
            for worker, task in zip(_workers(len(tasks)), tasks, strict=True):  # they may wait for one another
                worker.put(task)
            first = context.run(functions[0])
        except BaseException:
            give_up()
            tasks = [task for task in tasks if not task.take()]  # those that a thread has begun
            raise
        finally:
            _wait_for(tasks)
        return [first, *(task.result() for task in tasks)]


class _Task:
    """A function that another thread calls.

    An interrupt comes up in the main thread, anywhere in Python code: conditions and futures of the standard library
    may stay shut then. Here each step is one call that is not written in Python.
    """

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._free, self._running = threading.Lock(), threading.Lock()
        self._running.acquire()
        self._result: Any = None
        self._error: BaseException | None = None
        self.has_ended = False

    def take(self) -> bool:
        """Whether nobody has taken the task before."""
        return self._free.acquire(blocking=False)

    def run(self) -> None:
        """Call the function."""
        try:
            self._result = self._function()
        except BaseException as error:
            self._error = error
        self.has_ended = True
        self._running.release()

    def wait(self) -> None:
        """Go on when it has ended."""
        while not self.has_ended:
            self._running.acquire()

    def result(self) -> Any:
        """What the function has returned, or its error."""
        if self._error is not None:
            raise self._error
        return self._result


def _wait_for(tasks: Sequence[_Task]) -> None:
    """Go on when all have ended, whose arrays are free only then; an interrupt comes up afterwards."""
    interrupt: BaseException | None = None
    while not all(task.has_ended for task in tasks):
        try:
            for task in tasks:
                task.wait()
        except BaseException as error:
            interrupt = error
    if interrupt is not None:
        raise interrupt


_tasks: list[queue.SimpleQueue[_Task]] = []  # of each thread that there is


def _workers(count: int) -> list[queue.SimpleQueue[_Task]]:
    """What so many threads take their tasks from, which end with the process."""
    while len(_tasks) < count:
        _tasks.append(queue.SimpleQueue())
        threading.Thread(target=_work, args=(_tasks[-1],), name=f"nnx_{len(_tasks)}", daemon=True).start()
    return _tasks[:count]


def _work(tasks: queue.SimpleQueue[_Task]) -> None:
    while True:
        task = tasks.get()
        if task.take():
            task.run()
        del task  # what it refers to is free now


def slices_of(size: int) -> list[slice]:
    """As many parts of so many elements as there are threads, which differ by one element at most."""
    count = num_threads()
    ends = [size * number // count for number in range(count + 1)]
    return [slice(*pair) for pair in itertools.pairwise(ends)]


@contextlib.contextmanager
def _one_thread_of_blas() -> Iterator[None]:
    libraries = _libraries()
    before = [library.get_num_threads() for library in libraries]
    try:
        for library in libraries:
            library.set_num_threads(1)
        yield
    finally:
        for library, count in zip(libraries, before, strict=True):
            library.set_num_threads(count)


@functools.cache
def _libraries() -> list[Any]:
    """Those of BLAS that are loaded, with what sets the number of their threads."""
    controller = importlib.import_module("threadpoolctl").ThreadpoolController()
    return [library for library in controller.lib_controllers if library.user_api == "blas"]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_tasks.clear)
