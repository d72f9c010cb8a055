"""Arrays of more than 2**31 elements in the selftest, whose indices 32 bits cannot hold."""

from __future__ import annotations

import functools

import numpy as np

from nnx import functional
from nnx.backends import Placement, to_numpy
from nnx.callbacks.console import format_bytes
from nnx.functional import updates
from nnx.random import Draw
from nnx.testing.selftest.check import NotRunError, Part

SIZE = (1 << 31) + (1 << 20)
NEEDED = 3 * 2 * SIZE  # bytes of three arrays of float16
END = 1 << 12  # elements at the end that are looked at


def large_arrays(place: Placement) -> list[Part]:
    """An activation, dropout, a step of SGD and a sum, beside what the last elements have to be."""
    free = place.backend.free_bytes(place.device)
    if free < NEEDED:
        raise NotRunError(f"they need {format_bytes(NEEDED)}, and {format_bytes(free)} are free")
    tasks = {"relu": _relu, "dropout": _dropout, "SGD": _sgd, "sum": _sum}
    return [(name, functools.partial(task, place, SIZE)) for name, task in tasks.items()]


def _require_equal(found: np.ndarray, expected: np.ndarray) -> str:
    if not np.array_equal(found, expected):
        raise AssertionError(f"{np.sum(found != expected)} of the last {len(found)} elements are wrong")
    return ""


def _relu(place: Placement, size: int) -> str:
    x = place.zeros((size,), "float16")
    x[-END:] = place.asarray(np.arange(END) % 7 - 3, "float16")
    y, _ = functional.relu(x)
    return _require_equal(to_numpy(y[-END:]), np.maximum(np.arange(END) % 7 - 3, 0))


def _dropout(place: Placement, size: int) -> str:
    """The last elements are those of a small array whose words come so much later: a block makes eight."""
    rate, draw = 0.4, Draw(5, 7, size)
    y, _ = functional.dropout(place.zeros((size,), "float16") + 1.0, rate, draw)
    ones = place.zeros((END,), "float16") + 1.0
    expected, _ = functional.dropout(ones, rate, Draw(draw.key, draw.counter + (size - END) // 8, END))
    return _require_equal(to_numpy(y[-END:]), to_numpy(expected))


def _sgd(place: Placement, size: int) -> str:
    w, g = place.zeros((size,), "float16"), place.zeros((size,), "float16")
    g[-END:] = place.asarray(np.arange(END) % 7, "float16")
    updates.sgd(w, g, 0.5)
    return _require_equal(to_numpy(w[-END:]), np.arange(END) % 7 * -0.5)


def _sum(place: Placement, size: int) -> str:
    x = place.zeros((2, size // 2), "bool")
    x[:, -END:] = True
    return _require_equal(to_numpy(place.xp.sum(x, axis=1)), np.full(2, END))
