"""Texts in arrays of NumPy: of str, bytes and objects, and NumPy's variable-width strings."""

from __future__ import annotations

from typing import Any

import numpy as np

_KINDS = "UST"


def is_texts(value: Any) -> bool:
    """Whether a value is a text, or an array or nested list of texts.

    >>> is_texts(["a", "b"]), is_texts(np.asarray(["a"], dtype=object)), is_texts([1])
    (True, True, False)
    """
    while isinstance(value, list | tuple) and value:
        value = value[0]
    if isinstance(value, str | bytes):
        return True
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind != "O" or not hasattr(value, "__array__"):  # an extension type of a table calls itself "O" too
        return kind in tuple(_KINDS)
    first = next(iter(np.asarray(value).flat), "")
    return isinstance(first, str | bytes)


def as_texts(value: Any, what: str) -> np.ndarray:
    """Texts as an array of objects, each a str; bytes are read as UTF-8.

    what : the argument, for the TypeError where something is no text.

    >>> as_texts([[b"a"], ["b"]], "x").tolist()
    [['a'], ['b']]
    """
    host = np.asarray(value)
    if host.dtype.kind not in f"{_KINDS}O":
        raise TypeError(f"{what}: expected texts, got {type(value).__name__} of dtype {host.dtype}")
    texts = np.empty(host.shape, object)
    flat = texts.reshape(-1)
    for index, item in enumerate(host.reshape(-1).tolist()):
        if isinstance(item, bytes):
            item = item.decode("utf-8", "surrogateescape")  # which gives the same bytes back
        elif not isinstance(item, str):
            raise TypeError(f"{what}: expected texts, got {item!r} at {index}; missing ones may be written as ''")
        flat[index] = item
    return texts


def as_bytes(text: str) -> bytes:
    """A text in UTF-8, which is what fingerprints are of.

    >>> as_bytes("é")
    b'\\xc3\\xa9'
    """
    return text.encode("utf-8", "surrogateescape")
