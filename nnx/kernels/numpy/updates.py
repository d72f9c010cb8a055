"""Update formulas of the optimisers for NumPy: with scratch arrays in place of temporaries, block by block.

A plain expression writes each temporary to memory and reads it back. From about 30,000 elements that costs more than
the arithmetic, and several times as much where each large temporary is mapped afresh. Here a block of the parameters,
its slots and the scratch stay in the cache. Gradient descent and momentum, with one temporary, have nothing to gain.
Where threads share the steps of training (`nnx.config.set_num_threads`), each updates a part of large arrays.
The formulas, in the same order of operations, are those of `nnx.functional.updates`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from nnx.backends.threads import are_sharing, num_threads, run_together, slices_of
from nnx.kernels import backend_kernel
from nnx.kernels.numpy.table import KERNELS

_LEAST_FOR_THREADS = 1 << 19  # elements: Adam takes a millisecond for them
_BLOCK = 65_536  # elements; measured: from 32k to 128k is equally fast, 16k is slower by a fifth
_BLOCK_OF_SEVERAL = 131_072  # in threads, which meet at the interpreter's lock between the calls of NumPy

_Update = Callable[..., None]


@functools.lru_cache(maxsize=256)
def number(value: float, dtype: np.dtype[Any]) -> np.ndarray:
    """A number as the array that NumPy makes of it beside one of that dtype, which takes it as long as a short loop."""
    made = np.asarray(value, dtype)
    made.flags.writeable = False
    return made


def _blocked(scratch: int) -> Callable[[_Update], _Update]:
    """Make `update(*scratch arrays, *arguments)`, an update of one block, NumPy's kernel for arrays of any size."""

    def register(update: _Update) -> _Update:
        signature = inspect.signature(update)
        signature = signature.replace(parameters=list(signature.parameters.values())[scratch:])

        @functools.wraps(update)
        def function(*arguments: Any, **named: Any) -> None:
            if named:
                arguments = signature.bind(*arguments, **named).args
            w = arguments[0]
            if w.shape[0] <= _BLOCK:
                update(*(np.empty_like(w) for _ in range(scratch)), *arguments)
            else:
                in_threads(blocks, *arguments)

        def blocks(*arguments: Any) -> None:
            w = arguments[0]
            size, step = w.shape[0], _BLOCK_OF_SEVERAL if are_sharing() else _BLOCK
            spare = [np.empty(min(size, step), w.dtype) for _ in range(scratch)]
            if size <= step:
                update(*spare, *arguments)
                return
            for start in range(0, size, step):
                block = slice(start, min(start + step, size))
                pieces = [value[block] if isinstance(value, np.ndarray) else value for value in arguments]
                update(*[array[: len(pieces[0])] for array in spare], *pieces)

        function.__signature__ = signature  # type: ignore[attr-defined]
        return backend_kernel(KERNELS)(function)

    return register


def in_threads(update: _Update, *arguments: Any) -> None:
    """Call an update, or where the first of its 1-D arrays is large, one for a part of them in each thread."""
    w = arguments[0]
    if num_threads() == 1 or type(w) is not np.ndarray or w.size < _LEAST_FOR_THREADS:
        update(*arguments)
        return

    def update_part(part: slice) -> None:
        update(*(value[part] if isinstance(value, np.ndarray) else value for value in arguments))

    run_together([functools.partial(update_part, part) for part in slices_of(w.size)])


def _approach(average: np.ndarray, target: np.ndarray, share: float, s: np.ndarray) -> None:
    """average += share * (target - average); `target` may be the scratch s"""
    np.subtract(target, average, s)
    np.multiply(s, number(share, s.dtype), s)
    np.add(average, s, average)


def _mix(average: np.ndarray, target: np.ndarray, rho: float, s: np.ndarray) -> None:
    """average <- rho * average + (1 - rho) * target; `target` may be the scratch s"""
    np.multiply(target, number(1.0 - rho, s.dtype), s)
    np.multiply(average, number(rho, s.dtype), average)
    np.add(average, s, average)


@_blocked(scratch=2)
def rmsprop(
    s: np.ndarray,
    r: np.ndarray,
    w: np.ndarray,
    g: np.ndarray,
    v: np.ndarray,
    a: np.ndarray | None,
    m: np.ndarray | None,
    rate: float,
    rho: float,
    decay: float,
    epsilon: float,
) -> None:
    np.multiply(g, g, s)
    _mix(v, s, rho, s)
    if a is None:
        np.add(v, number(epsilon, s.dtype), s)
    else:
        _mix(a, g, rho, s)
        np.multiply(a, a, s)
        np.subtract(v, s, s)
        np.add(s, number(epsilon, s.dtype), s)
    np.sqrt(s, s)
    np.multiply(g, np.asarray(rate, s.dtype), r)
    np.divide(r, s, r)
    if m is not None:
        np.multiply(m, number(decay, s.dtype), m)
        r = np.add(m, r, m)
    np.subtract(w, r, w)


@_blocked(scratch=2)
def adagrad(
    s: np.ndarray, r: np.ndarray, w: np.ndarray, g: np.ndarray, v: np.ndarray, rate: float, epsilon: float
) -> None:
    np.multiply(g, g, s)
    np.add(v, s, v)
    np.add(v, number(epsilon, s.dtype), s)
    np.sqrt(s, s)
    np.multiply(g, np.asarray(rate, s.dtype), r)
    np.divide(r, s, r)
    np.subtract(w, r, w)


@_blocked(scratch=2)
def adadelta(
    s: np.ndarray,
    r: np.ndarray,
    w: np.ndarray,
    g: np.ndarray,
    v: np.ndarray,
    u: np.ndarray,
    rate: float,
    rho: float,
    epsilon: float,
) -> None:
    np.multiply(g, g, s)
    _mix(v, s, rho, s)
    np.add(u, number(epsilon, s.dtype), r)
    np.sqrt(r, r)
    np.multiply(r, g, r)
    np.add(v, number(epsilon, s.dtype), s)
    np.sqrt(s, s)
    np.divide(r, s, r)
    np.multiply(r, r, s)
    _mix(u, s, rho, s)
    np.multiply(r, np.asarray(rate, s.dtype), r)
    np.subtract(w, r, w)


@_blocked(scratch=1)
def adam(
    s: np.ndarray,
    w: np.ndarray,
    g: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    largest_v: np.ndarray | None,
    rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    _approach(m, g, 1.0 - beta_1, s)
    np.multiply(g, g, s)
    _approach(v, s, 1.0 - beta_2, s)
    if largest_v is not None:
        v = np.maximum(largest_v, v, out=largest_v)
    np.sqrt(v, s)
    np.add(s, number(epsilon, s.dtype), s)
    np.divide(m, s, s)
    np.multiply(s, np.asarray(rate, s.dtype), s)
    np.subtract(w, s, w)


@_blocked(scratch=1)
def adamax(
    s: np.ndarray,
    w: np.ndarray,
    g: np.ndarray,
    m: np.ndarray,
    u: np.ndarray,
    rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    _approach(m, g, 1.0 - beta_1, s)
    np.multiply(u, number(beta_2, s.dtype), u)
    np.abs(g, s)
    np.maximum(u, s, out=u)
    np.add(u, number(epsilon, s.dtype), s)
    np.divide(m, s, s)
    np.multiply(s, np.asarray(rate, s.dtype), s)
    np.subtract(w, s, w)


@_blocked(scratch=2)
def nadam(
    s: np.ndarray,
    r: np.ndarray,
    w: np.ndarray,
    g: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    rate_m: float,
    rate_g: float,
    correction: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    _approach(m, g, 1.0 - beta_1, s)
    np.multiply(g, g, s)
    _approach(v, s, 1.0 - beta_2, s)
    np.multiply(m, np.asarray(rate_m, s.dtype), r)
    np.multiply(g, np.asarray(rate_g, s.dtype), s)
    np.add(r, s, r)
    np.multiply(v, np.asarray(correction, s.dtype), s)
    np.sqrt(s, s)
    np.add(s, number(epsilon, s.dtype), s)
    np.divide(r, s, r)
    np.subtract(w, r, w)


@_blocked(scratch=2)
def lion(
    s: np.ndarray,
    r: np.ndarray,
    w: np.ndarray,
    g: np.ndarray,
    m: np.ndarray,
    rate: float,
    beta_1: float,
    beta_2: float,
) -> None:
    np.multiply(g, number(1.0 - beta_1, s.dtype), s)
    np.multiply(m, number(beta_1, s.dtype), r)
    np.add(s, r, s)
    np.sign(s, s)
    np.multiply(s, np.asarray(rate, s.dtype), s)
    np.subtract(w, s, w)
    _mix(m, g, beta_2, s)


@_blocked(scratch=1)
def flush_subnormals(s: np.ndarray, x: np.ndarray) -> None:
    np.abs(x, s)
    np.copyto(x, 0.0, where=s < np.finfo(x.dtype).smallest_normal)
