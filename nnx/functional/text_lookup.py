"""Lookup of texts in a table of numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from nnx.backends import Array, to_numpy
from nnx.kernels import accelerated
from nnx.text.values import as_texts

__all__ = ["numbers_of_texts", "texts_of_numbers"]

Table = tuple[Mapping[str, int], int | None]
"""The numbers of known texts, and that of all others; None where there is no such number."""


@accelerated
def numbers_of_texts(
    x: Array, find: Callable[[Sequence[str]], Sequence[int]], table: Callable[[], Table], owner: str
) -> Array:
    """The int64 numbers of an array of texts, in its shape.

    find : what gives them for texts in a list. table : what gives the same as a table, where there is one.
    owner : whose texts they are, for errors.

    >>> numbers_of_texts(np.asarray(["b", "c"]), lambda texts: [ord(text) for text in texts], dict, "x").tolist()
    [98, 99]
    """
    texts = as_texts(x, owner)
    return np.asarray(find(texts.reshape(-1).tolist()), np.int64).reshape(texts.shape)


@accelerated
def texts_of_numbers(x: Array, texts: Sequence[str], other: str) -> np.ndarray:
    """The texts with these numbers, on the host. other : for a number that none has.

    >>> texts_of_numbers(np.asarray([1, 5]), ["a", "b"], "?").tolist()
    ['b', '?']
    """
    numbers = to_numpy(x)
    found = [texts[n] if 0 <= n < len(texts) else other for n in numbers.reshape(-1).tolist()]
    return np.asarray(found, dtype=str).reshape(numbers.shape)
