"""Update formulas of the optimisers, compiled: one pass over the parameters and their slots.

Where these are larger than the cache, an update takes as long as the memory needs: Adam, of 10 million parameters, a
third of the time of NumPy's kernel, which works block by block. The formulas are those of `nnx.functional.updates`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from nnx.kernels.numba.compilation import compiled
from nnx.kernels.numba.table import are_plain, compiled_kernel, have_shape
from nnx.kernels.numpy.updates import in_threads

_LEAST = 65_536  # elements: there Adam saves a tenth of a millisecond a step


def _accepts(w: np.ndarray, *arguments: Any, **named: Any) -> bool:
    arrays = [w, *(value for value in (*arguments, *named.values()) if not isinstance(value, int | float))]
    return w.ndim == 1 and are_plain(*arrays) and have_shape(w.shape, *arrays)


def _update(update: Callable[..., None]) -> Callable[..., None]:
    """Enter an update as a kernel, which threads share where they do that."""

    @functools.wraps(update)
    def function(*arguments: Any, **named: Any) -> None:
        in_threads(functools.partial(update, **named), *arguments)

    return compiled_kernel(least=_LEAST, accepts=_accepts)(function)


def _in_dtype(w: np.ndarray, *numbers: float) -> tuple[Any, ...]:
    return tuple(map(w.dtype.type, numbers))


@_update
def sgd(w: np.ndarray, g: np.ndarray, rate: float) -> None:
    _sgd(w, g, *_in_dtype(w, rate))


@compiled
def _sgd(w: Any, g: Any, rate: Any) -> None:
    for i in range(w.size):
        w[i] -= rate * g[i]


@_update
def momentum(w: np.ndarray, g: np.ndarray, m: np.ndarray, rate: float, decay: float, nesterov: bool) -> None:
    (_nesterov if nesterov else _momentum)(w, g, m, *_in_dtype(w, rate, decay))


@compiled
def _momentum(w: Any, g: Any, m: Any, rate: Any, decay: Any) -> None:
    for i in range(w.size):
        m[i] = m[i] * decay - rate * g[i]
        w[i] += m[i]


@compiled
def _nesterov(w: Any, g: Any, m: Any, rate: Any, decay: Any) -> None:
    for i in range(w.size):
        step = rate * g[i]
        m[i] = m[i] * decay - step
        w[i] += decay * m[i] - step


@_update
def rmsprop(
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
    _rmsprop(w, g, v, a, m, *_in_dtype(w, rate, rho, 1.0 - rho, decay, epsilon))


@compiled
def _rmsprop(w: Any, g: Any, v: Any, a: Any, m: Any, rate: Any, rho: Any, rest: Any, decay: Any, epsilon: Any) -> None:
    for i in range(w.size):
        v[i] = v[i] * rho + g[i] * g[i] * rest
        variance = v[i]
        if a is not None:
            a[i] = a[i] * rho + g[i] * rest
            variance -= a[i] * a[i]
        step = rate * g[i] / np.sqrt(variance + epsilon)
        if m is not None:
            m[i] = m[i] * decay + step
            step = m[i]
        w[i] -= step


@_update
def adagrad(w: np.ndarray, g: np.ndarray, v: np.ndarray, rate: float, epsilon: float) -> None:
    _adagrad(w, g, v, *_in_dtype(w, rate, epsilon))


@compiled
def _adagrad(w: Any, g: Any, v: Any, rate: Any, epsilon: Any) -> None:
    for i in range(w.size):
        v[i] += g[i] * g[i]
        w[i] -= rate * g[i] / np.sqrt(v[i] + epsilon)


@_update
def adadelta(
    w: np.ndarray, g: np.ndarray, v: np.ndarray, u: np.ndarray, rate: float, rho: float, epsilon: float
) -> None:
    _adadelta(w, g, v, u, *_in_dtype(w, rate, rho, 1.0 - rho, epsilon))


@compiled
def _adadelta(w: Any, g: Any, v: Any, u: Any, rate: Any, rho: Any, rest: Any, epsilon: Any) -> None:
    for i in range(w.size):
        v[i] = v[i] * rho + g[i] * g[i] * rest
        d = np.sqrt(u[i] + epsilon) * g[i] / np.sqrt(v[i] + epsilon)
        u[i] = u[i] * rho + d * d * rest
        w[i] -= rate * d


@_update
def adam(
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
    numbers = _in_dtype(w, rate, 1.0 - beta_1, 1.0 - beta_2, epsilon)
    if largest_v is None:
        _adam(w, g, m, v, *numbers)
    else:
        _amsgrad(w, g, m, v, largest_v, *numbers)


@compiled
def _adam(w: Any, g: Any, m: Any, v: Any, rate: Any, share_1: Any, share_2: Any, epsilon: Any) -> None:
    for i in range(w.size):
        m[i] += share_1 * (g[i] - m[i])
        v[i] += share_2 * (g[i] * g[i] - v[i])
        w[i] -= m[i] / (np.sqrt(v[i]) + epsilon) * rate


@compiled
def _amsgrad(
    w: Any, g: Any, m: Any, v: Any, largest_v: Any, rate: Any, share_1: Any, share_2: Any, epsilon: Any
) -> None:
    for i in range(w.size):
        m[i] += share_1 * (g[i] - m[i])
        v[i] += share_2 * (g[i] * g[i] - v[i])
        largest_v[i] = _larger(largest_v[i], v[i])
        w[i] -= m[i] / (np.sqrt(largest_v[i]) + epsilon) * rate


@compiled
def _larger(a: Any, b: Any) -> Any:
    """The larger one, and NaN where one of them is."""
    return a if a >= b or a != a else b


@_update
def adamax(
    w: np.ndarray,
    g: np.ndarray,
    m: np.ndarray,
    u: np.ndarray,
    rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    _adamax(w, g, m, u, *_in_dtype(w, rate, 1.0 - beta_1, beta_2, epsilon))


@compiled
def _adamax(w: Any, g: Any, m: Any, u: Any, rate: Any, share: Any, decay: Any, epsilon: Any) -> None:
    for i in range(w.size):
        m[i] += share * (g[i] - m[i])
        u[i] = _larger(decay * u[i], abs(g[i]))
        w[i] -= m[i] / (u[i] + epsilon) * rate


@_update
def nadam(
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
    _nadam(w, g, m, v, *_in_dtype(w, rate_m, rate_g, correction, 1.0 - beta_1, 1.0 - beta_2, epsilon))


@compiled
def _nadam(
    w: Any,
    g: Any,
    m: Any,
    v: Any,
    rate_m: Any,
    rate_g: Any,
    correction: Any,
    share_1: Any,
    share_2: Any,
    epsilon: Any,
) -> None:
    for i in range(w.size):
        m[i] += share_1 * (g[i] - m[i])
        v[i] += share_2 * (g[i] * g[i] - v[i])
        w[i] -= (rate_m * m[i] + rate_g * g[i]) / (np.sqrt(correction * v[i]) + epsilon)


@_update
def lion(w: np.ndarray, g: np.ndarray, m: np.ndarray, rate: float, beta_1: float, beta_2: float) -> None:
    _lion(w, g, m, *_in_dtype(w, rate, beta_1, 1.0 - beta_1, beta_2, 1.0 - beta_2))


@compiled
def _lion(w: Any, g: Any, m: Any, rate: Any, beta_1: Any, rest_1: Any, beta_2: Any, rest_2: Any) -> None:
    for i in range(w.size):
        direction = beta_1 * m[i] + rest_1 * g[i]
        step = rate if direction > 0 else direction  # itself where it is 0 or NaN
        w[i] -= -rate if direction < 0 else step
        m[i] = beta_2 * m[i] + rest_2 * g[i]


@_update
def decay_weights(w: np.ndarray, mask: np.ndarray | None, rate: float) -> None:
    if mask is None:
        _decay(w, *_in_dtype(w, rate))
    else:
        _decay_masked(w, mask, *_in_dtype(w, rate))


@compiled
def _decay(w: Any, rate: Any) -> None:
    for i in range(w.size):
        w[i] -= rate * w[i]


@compiled
def _decay_masked(w: Any, mask: Any, rate: Any) -> None:
    for i in range(w.size):
        w[i] -= rate * mask[i] * w[i]


@_update
def moving_average(average: np.ndarray, w: np.ndarray, decay: float) -> None:
    _moving_average(average, w, *_in_dtype(average, decay, 1.0 - decay))


@compiled
def _moving_average(average: Any, w: Any, decay: Any, rest: Any) -> None:
    for i in range(average.size):
        average[i] = decay * average[i] + rest * w[i]
