"""Descriptions in files: JSON texts, read in bounded memory, that name no other file to read."""

from __future__ import annotations

import contextlib
import contextvars
import json
import os
from collections.abc import Iterator
from typing import Any

from nnx.names import shortened

_MOST_BYTES = 64 << 20  # that a description may take, beside as many as its text has
_MOST_OBJECTS = 40_000  # layers, initializers, losses and the like, which take a kilobyte or two
_BYTES_OF_ONE = 1000  # of a file: for so many there may be one more
_OBJECTS_OF_A_LAYER = 4  # as a described one in a list is, with the initializers that its description may leave out
_BYTES_OF = {"{": 200, "[": 80, ",": 32, ":": 60, '"': 31}  # what Python takes for each of these, about


_IS_ALONE: contextvars.ContextVar[bool] = contextvars.ContextVar("nnx_description_is_alone", default=False)


@contextlib.contextmanager
def without_other_files() -> Iterator[None]:
    """A block in which layers are made of a description that may come from anybody: `require_own_files` refuses."""
    token = _IS_ALONE.set(True)
    try:
        yield
    finally:
        _IS_ALONE.reset(token)


def require_own_files(path: str | os.PathLike[str], owner: str, remedy: str) -> None:
    """ValueError while a description is made into layers: a file that is loaded has no other files read.

    path : what is to be read. owner : the layer that asks. remedy : what to write in its place.

    >>> require_own_files("words.txt", "lookup", "give it a list")
    >>> with without_other_files():
    ...     require_own_files("words.txt", "lookup", "give it a list")
    Traceback (most recent call last):
    ValueError: lookup: 'words.txt' would be read, and what is loaded may have no other file read: give it a list
    """
    if _IS_ALONE.get():
        named = shortened(os.fspath(path))
        raise ValueError(f"{owner}: {named!r} would be read, and what is loaded may have no other file read: {remedy}")


class TooLargeError(ValueError):
    """A description of more than any model has: more than a file may ask for."""


def parsed(text: str) -> Any:
    """What a JSON text says.

    ValueError for what is no JSON or nested too deeply, TooLargeError for what takes far more memory than that.

    >>> parsed('{"units": [3, 4]}')
    {'units': [3, 4]}
    """
    taken = sum(text.count(mark) * size for mark, size in _BYTES_OF.items())
    if not text.isascii() or "\\u" in text:
        taken += 4 * len(text)  # one character of that kind makes all of them wide
    if taken > _MOST_BYTES + len(text):
        raise TooLargeError(f"a description of {len(text)} characters would take about {taken >> 20} MiB of memory")
    try:
        return json.loads(text)
    except RecursionError:
        what = f"a description of {len(text)} characters is nested too deeply"
        raise json.JSONDecodeError(what, "", 0) from None


def check_objects(description: Any, size: int = 0) -> None:
    """TooLargeError for a description of more layers, losses and metrics than a file of that size has.

    size : of the file, in bytes.

    >>> check_objects({"class_name": "Dense", "config": {"units": 3}})
    """
    count, open_ones = 0, [description]
    while open_ones:
        one = open_ones.pop()
        if isinstance(one, dict):
            count += "class_name" in one
            open_ones.extend(one.values())
        elif isinstance(one, list):
            objects = [item for item in one if isinstance(item, dict | list)]
            names = len(one) - len(objects) if any(isinstance(item, str) for item in one) else 0
            for item in objects:  # what has no class is a call of a layer, or less
                count += _OBJECTS_OF_A_LAYER - 1 if "class_name" in item else 1
            count += names
            open_ones.extend(objects)
    most = _MOST_OBJECTS + size // _BYTES_OF_ONE
    if count > most:
        raise TooLargeError(f"it describes about {count} layers, losses and the like, more than {most}")
