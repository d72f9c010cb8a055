"""Repetition in the selftest: equal arguments give equal results, 100 times over, at sizes that keep a device busy."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import nnx
from nnx import functional
from nnx.backends import Array, Placement, to_numpy
from nnx.functional import updates
from nnx.kernels import is_deterministic, set_deterministic
from nnx.pullbacks import Differentiable
from nnx.random import Draw
from nnx.testing import assert_close
from nnx.testing.selftest.check import Part

TIMES = 100
LARGEST = 1 << 14  # rows, of up to 1000 numbers
SECONDS = 2e-3  # that one computation may take: no more rows where it would take more

Case = Callable[[Placement, int], list[Array]]
"""Computes something of so many rows in a place, always from the same numbers."""


def repeats(place: Placement) -> list[Part]:
    """Everything that adds up what many threads have, with `set_deterministic` and without."""
    return [
        (f"{name}, {'' if how else 'not '}deterministic", functools.partial(_repeat, place, name, how))
        for how in (False, True)
        for name in CASES
    ]


def _repeat(place: Placement, name: str, deterministic: bool) -> str:
    before = is_deterministic()
    set_deterministic(deterministic)
    try:
        with nnx.backend(place.name, device=place.device):
            return _compare(place, functools.partial(CASES[name], place), deterministic or name != "embedding")
    finally:
        set_deterministic(before)


def _compare(place: Placement, case: Callable[[int], list[Array]], exact: bool) -> str:
    xp, rows = place.xp, _rows(place, case)
    first = case(rows)
    equal = xp.asarray(True, device=place.backend.device_of(first[0]))
    last = first
    for _ in range(TIMES - 1):
        last = case(rows)
        for mine, theirs in zip(last, first, strict=True):
            equal = xp.logical_and(equal, xp.all(mine == theirs))
    if bool(to_numpy(equal)):
        return f"{rows} rows, equal bit for bit"
    if exact:
        raise AssertionError(f"{rows} rows: the results of {TIMES} times are not equal bit for bit")
    for mine, theirs in zip(last, first, strict=True):
        assert_close(mine, theirs, length=max(rows // 100, 1))
    return f"{rows} rows, equal up to rounding: threads add up in any order"


def _rows(place: Placement, case: Callable[[int], list[Array]]) -> int:
    """As many rows as are computed in so many seconds, a power of two."""
    rows = 32
    while rows < LARGEST:
        case(2 * rows)  # what is made once is made
        place.backend.synchronize(place.device)
        start = time.perf_counter()
        case(2 * rows)
        place.backend.synchronize(place.device)
        if time.perf_counter() - start > SECONDS:
            break
        rows *= 2
    return rows


@functools.lru_cache(maxsize=4)
def _numbers(place: Placement, shape: tuple[int, ...]) -> Array:
    """Normal numbers, made once for the case that is running."""
    return place.asarray(np.random.default_rng(len(shape)).standard_normal(shape, np.float32))


def _with_pullback(function: Differentiable, *arrays: Array, **options: Any) -> list[Array]:
    """A value, and the cotangents of what it was computed from for the value itself as its cotangent."""
    y, pullback = function(*arrays, **options)
    value = y[0] if isinstance(y, tuple) else y
    cotangents = pullback(value) if value.ndim else pullback()
    parts = cotangents if isinstance(cotangents, tuple) else (cotangents,)
    return [value, *(part for part in parts if part is not None)]


def _embedding(place: Placement, n: int) -> list[Array]:
    keys = place.asarray(np.arange(n) * 7 % 100)
    return _with_pullback(functional.embedding, keys, _numbers(place, (100, 64)))


def _adam(place: Placement, n: int) -> list[Array]:
    g = _numbers(place, (64 * n,))
    w, m, v = g + 1.0, g * 0.5, g * g
    updates.adam(w, g, m, v, None, 0.1, 0.9, 0.999, 1e-7)
    return [w, m, v]


CASES: dict[str, Case] = {
    "dense": lambda place, n: _with_pullback(
        functional.dense, *(_numbers(place, shape) for shape in ((n, 256), (256, 256), (256,))), functional.relu
    ),
    "convolution": lambda place, n: _with_pullback(
        functional.conv, _numbers(place, (n // 32, 16, 16, 8)), _numbers(place, (3, 3, 8, 16)), _numbers(place, (16,))
    ),
    "pooling": lambda place, n: _with_pullback(functional.max_pool, _numbers(place, (n // 32, 16, 16, 8)), 2),
    "softmax": lambda place, n: _with_pullback(functional.softmax, _numbers(place, (n, 1000))),
    "layer normalisation": lambda place, n: _with_pullback(
        functional.layer_normalization, _numbers(place, (n, 512)), *(_numbers(place, (512,)) for _ in "gb")
    ),
    "batch normalisation": lambda place, n: _with_pullback(
        functional.batch_normalization, _numbers(place, (n, 64)), *(_numbers(place, (64,)) for _ in "gb")
    ),
    "embedding": _embedding,
    "dropout": lambda place, n: _with_pullback(functional.dropout, _numbers(place, (n, 512)), 0.4, Draw(1, 2, 512 * n)),
    "squared error": lambda place, n: _with_pullback(
        functional.mean_squared_error, _numbers(place, (n, 64)), _numbers(place, (64,)) * _numbers(place, (n, 1))
    ),
    "Adam": _adam,
}
"""What is repeated, by name."""
