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


def _blocked(scratch: int) -> Callable[[_Update], _Update]:
    """Make `update(*scratch arrays, *arguments)`, an update of one block, NumPy's kernel for arrays of any size."""

    def register(update: _Update) -> _Update:
        signature = inspect.signature(update)
        signature = signature.replace(parameters=list(signature.parameters.values())[scratch:])

        @functools.wraps(update)
        def function(*arguments: Any, **named: Any) -> None:
            if named:
                arguments = signature.bind(*arguments, **named).args
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
    np.subtract(target, average, out=s)
    np.multiply(s, share, out=s)
    np.add(average, s, out=average)


def _mix(average: np.ndarray, target: np.ndarray, rho: float, s: np.ndarray) -> None:
    """average <- rho * average + (1 - rho) * target; `target` may be the scratch s"""
    np.multiply(target, 1.0 - rho, out=s)
    np.multiply(average, rho, out=average)
    np.add(average, s, out=average)


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
    np.multiply(g, g, out=s)
    _mix(v, s, rho, s)
    if a is None:
        np.add(v, epsilon, out=s)
    else:
        _mix(a, g, rho, s)
        np.multiply(a, a, out=s)
        np.subtract(v, s, out=s)
        np.add(s, epsilon, out=s)
    np.sqrt(s, out=s)
    np.multiply(g, rate, out=r)
    np.divide(r, s, out=r)
    if m is not None:
        np.multiply(m, decay, out=m)
        r = np.add(m, r, out=m)
    np.subtract(w, r, out=w)


@_blocked(scratch=2)
def adagrad(
    s: np.ndarray, r: np.ndarray, w: np.ndarray, g: np.ndarray, v: np.ndarray, rate: float, epsilon: float
) -> None:
    np.multiply(g, g, out=s)
    np.add(v, s, out=v)
    np.add(v, epsilon, out=s)
    np.sqrt(s, out=s)
    np.multiply(g, rate, out=r)
    np.divide(r, s, out=r)
    np.subtract(w, r, out=w)


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
    np.multiply(g, g, out=s)
    _mix(v, s, rho, s)
    np.add(u, epsilon, out=r)
    np.sqrt(r, out=r)
    np.multiply(r, g, out=r)
    np.add(v, epsilon, out=s)
    np.sqrt(s, out=s)
    np.divide(r, s, out=r)
    np.multiply(r, r, out=s)
    _mix(u, s, rho, s)
    np.multiply(r, rate, out=r)
    np.subtract(w, r, out=w)


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
    np.multiply(g, g, out=s)
    _approach(v, s, 1.0 - beta_2, s)
    if largest_v is not None:
        v = np.maximum(largest_v, v, out=largest_v)
    np.sqrt(v, out=s)
    np.add(s, epsilon, out=s)
    np.divide(m, s, out=s)
    np.multiply(s, rate, out=s)
    np.subtract(w, s, out=w)


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
    np.multiply(u, beta_2, out=u)
    np.abs(g, out=s)
    np.maximum(u, s, out=u)
    np.add(u, epsilon, out=s)
    np.divide(m, s, out=s)
    np.multiply(s, rate, out=s)
    np.subtract(w, s, out=w)


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
    np.multiply(g, g, out=s)
    _approach(v, s, 1.0 - beta_2, s)
    np.multiply(m, rate_m, out=r)
    np.multiply(g, rate_g, out=s)
    np.add(r, s, out=r)
    np.multiply(v, correction, out=s)
    np.sqrt(s, out=s)
    np.add(s, epsilon, out=s)
    np.divide(r, s, out=r)
    np.subtract(w, r, out=w)


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
    np.multiply(g, 1.0 - beta_1, out=s)
    np.multiply(m, beta_1, out=r)
    np.add(s, r, out=s)
    np.sign(s, out=s)
    np.multiply(s, rate, out=s)
    np.subtract(w, s, out=w)
    _mix(m, g, beta_2, s)


@_blocked(scratch=1)
def flush_subnormals(s: np.ndarray, x: np.ndarray) -> None:
    np.abs(x, out=s)
    np.copyto(x, 0.0, where=s < np.finfo(x.dtype).smallest_normal)
