"""Locks that a forked process finds free, where a thread held them that this process does not have.

A fork copies the thread that forks and none of the others, but the locks of all as they are; one of those that another
thread held would stay shut for ever. See Python's `os.register_at_fork`.
"""

from __future__ import annotations

import functools
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["LOADING", "cached_property", "lock", "reentrant_lock"]

T = TypeVar("T")

LOADING = threading.RLock()
"""Held while modules are imported for what is used for the first time: Python's own locks of modules would stay shut in
a process that is forked meanwhile, so that a fork waits."""

_locks: weakref.WeakSet[Any] = weakref.WeakSet()


def lock() -> threading.Lock:
    """A lock as `threading.Lock` makes them.

    >>> with lock():
    ...     pass
    """
    made = threading.Lock()
    _locks.add(made)
    return made


def reentrant_lock() -> Any:
    """A lock as `threading.RLock` makes them. What the forking thread holds, it holds in the new process too.

    >>> lock = reentrant_lock()
    >>> with lock, lock:
    ...     pass
    """
    made = threading.RLock()
    _locks.add(made)
    return made


class cached_property(functools.cached_property[T]):  # noqa: N801, as Python names its own
    """`functools.cached_property`, which has a lock before Python 3.12."""

    def __init__(self, function: Callable[[Any], T]) -> None:
        super().__init__(function)
        if hasattr(self, "lock"):
            self.lock = reentrant_lock()


def _free_those_of_other_threads() -> None:
    for one in list(_locks):
        is_owned = getattr(one, "_is_owned", None)
        if is_owned is None or not is_owned():
            one._at_fork_reinit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_those_of_other_threads)
    os.register_at_fork(before=LOADING.acquire, after_in_child=LOADING.release, after_in_parent=LOADING.release)
