"""Prefetching: a thread prepares the items of an iterable while earlier ones are in use."""

from __future__ import annotations

import contextlib
import contextvars
import queue
import threading
import weakref
from collections.abc import Iterable, Iterator
from typing import Any

from nnx.backends.base import following_this_thread

_END = object()
PATIENCE = 1.0  # seconds to wait for the thread when its items are no longer wanted; it may be reading


class Prefetcher(Iterator[Any]):
    """The items of an iterable in their order, of which a thread prepares up to `count` before they are asked for.

    An error of the iterable is raised where its item would have come, with the traceback of the thread. The thread
    ends with the items, with `close`, when nothing refers to this object any more, and with the interpreter. It sees
    the same context, such as `with nnx.backend(...)`, as the one who makes this object, and computes on the same device
    and CUDA stream: arrays that it makes there are for that stream, as if they were made when they are asked for.
    """

    def __init__(self, items: Iterable[Any], count: int) -> None:
        self._ready: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        self._room = threading.Semaphore(count)
        stop = threading.Event()
        # the thread does not refer to this object, or it would keep it alive
        run = contextvars.copy_context().run
        work = (iter(items), self._ready, self._room, stop, following_this_thread())
        thread = threading.Thread(target=run, args=(_prepare, *work), daemon=True, name="nnx.data")
        self.close = weakref.finalize(self, _end, thread, self._room, stop)
        thread.start()

    def __next__(self) -> Any:
        if not self.close.alive:
            raise StopIteration
        item, error = self._ready.get()
        if item is not _END:
            self._room.release()
            return item
        self.close()
        if error is None:
            raise StopIteration
        try:
            raise error
        finally:
            del error  # its traceback refers to this frame


def _prepare(
    items: Iterator[Any],
    ready: queue.SimpleQueue[Any],
    room: threading.Semaphore,
    stop: threading.Event,
    place: contextlib.AbstractContextManager[Any],
) -> None:
    """The work of the thread: put items into the queue while there is room, then the end or an error."""
    try:
        with place:
            while room.acquire() and not stop.is_set():
                item = next(items, _END)
                ready.put((item, None))
                if item is _END:
                    return
                del item  # while it waits for room, the thread holds nothing but what is ready
    except BaseException as error:  # also one that would end the thread silently, such as SystemExit
        ready.put((_END, error))


def _end(thread: threading.Thread, room: threading.Semaphore, stop: threading.Event) -> None:
    stop.set()
    room.release()
    if thread is not threading.current_thread() and thread.is_alive():  # garbage may be collected in any thread
        thread.join(PATIENCE)
