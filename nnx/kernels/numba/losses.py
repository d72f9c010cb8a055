"""Softmax, losses of logits and of squares, compiled: block by block of rows, in the cache from maxima to sums.

Exponentials that the pullback needs are computed there again, which takes less time than to write and to read them.
They are right to one unit in the last place of float32, and 0 where they would be subnormal. Logits in float64 go on to
NumPy's kernels. Softmax is here since numba keeps what it compiled by the file. The formulas are those of
`nnx.functional`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.backends.base import Array
from nnx.kernels.numba.compilation import compiled, compiled_product, compiled_sum
from nnx.kernels.numba.table import are_plain, compiled_kernel, have_shape, plain
from nnx.kernels.numpy.memory import empty
from nnx.pullbacks import Pullback

_LEAST = 32_768
_BLOCK = 4096  # numbers: rows that are in the first cache from one loop to the next
_LONG = 64  # numbers of a row from which on its loops take several at a time


def _accepts_pair(y_true: Array, y_pred: Array) -> bool:
    return y_pred.ndim > 1 and y_pred.size > 0 and are_plain(y_pred, y_true) and have_shape(y_pred.shape, y_true)


@compiled_kernel(least=_LEAST, measured=1, accepts=_accepts_pair)
def mean_squared_error(y_true: Array, y_pred: Array) -> tuple[Array, Pullback]:
    target, y = _rows(y_true), _rows(y_pred)
    share = y.dtype.type(1.0 / y.shape[1])
    values = empty(y, y.shape[:1])
    _mean_squares(values, y, target, share)

    def pullback(dvalues: Array | float) -> Array:
        dy = empty(y, y.shape)
        _pull_squares(dy, _cotangents(dvalues, values), y, target, share + share)
        return dy.reshape(y_pred.shape)

    return values.reshape(y_pred.shape[:-1]), pullback


def _accepts_logits(
    y_true: Array, y_pred: Array, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> bool:
    usual = from_logits and y_pred.dtype == np.float32 and axis in (-1, y_pred.ndim - 1)
    return usual and _accepts_pair(y_true, y_pred)


@compiled_kernel(least=_LEAST, measured=1, accepts=_accepts_logits)
def binary_crossentropy(
    y_true: Array, y_pred: Array, from_logits: bool = True, label_smoothing: float = 0.0, axis: int = -1
) -> tuple[Array, Pullback]:
    target, logits = _rows(y_true), _rows(y_pred)
    numbers = map(np.float32, (1.0 - label_smoothing, 0.5 * label_smoothing, 1.0 / logits.shape[1]))
    given = logits, target, *numbers
    block, values = _block(logits), empty(logits, logits.shape[:1])
    _mean_entropies(values, block, *given)

    def pullback(dvalues: Array | float) -> Array:
        dy = empty(logits, logits.shape)
        _pull_entropies(dy, _cotangents(dvalues, values), *given, len(block))
        return dy.reshape(y_pred.shape)

    return values.reshape(y_pred.shape[:-1]), pullback


@compiled_kernel(least=_LEAST, measured=1, accepts=_accepts_logits)
def categorical_crossentropy(
    y_true: Array, y_pred: Array, from_logits: bool = True, label_smoothing: float = 0.0, axis: int = -1
) -> tuple[Array, Pullback]:
    target, logits = _rows(y_true), _rows(y_pred)
    numbers = map(np.float32, (1.0 - label_smoothing, label_smoothing / logits.shape[1]))
    block, (values, maxima, totals, masses) = _block(logits), empty(logits, (4, len(logits)))
    given = maxima, logits, target, *numbers
    _softmax_parts(maxima, totals, block, logits)
    np.log(totals, out=values)
    _weigh(values, masses, *given)

    def pullback(dvalues: Array | float) -> Array:
        dy = empty(logits, logits.shape)
        _pull_weighed(dy, _cotangents(dvalues, values), masses / totals, *given, len(block))
        return dy.reshape(y_pred.shape)

    return values.reshape(y_pred.shape[:-1]), pullback


def _accepts_labels(
    y_true: Array, y_pred: Array, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> bool:
    usual = from_logits and ignore_class is None and y_pred.dtype == np.float32 and y_true.dtype.kind in "iu"
    usual = usual and axis in (-1, y_pred.ndim - 1) and y_pred.ndim > 1 and y_pred.size > 0
    return usual and are_plain(y_pred) and y_true.shape in (y_pred.shape[:-1], (*y_pred.shape[:-1], 1))


@compiled_kernel(least=_LEAST, measured=1, accepts=_accepts_labels)
def sparse_categorical_crossentropy(
    y_true: Array, y_pred: Array, from_logits: bool = True, ignore_class: int | None = None, axis: int = -1
) -> tuple[Array, Pullback]:
    labels, logits = y_true.reshape(-1).astype(np.int64), _rows(y_pred)
    block, (values, maxima, totals) = _block(logits), empty(logits, (3, len(logits)))
    _softmax_parts(maxima, totals, block, logits)
    np.log(totals, out=values)
    _subtract_labelled(values, maxima, logits, labels)

    def pullback(dvalues: Array | float) -> Array:
        dy, dvalues = empty(logits, logits.shape), _cotangents(dvalues, values)
        _pull_labelled(dy, dvalues, dvalues / totals, maxima, logits, labels, len(block))
        return dy.reshape(y_pred.shape)

    return values.reshape(y_pred.shape[:-1]), pullback


def _accepts_softmax(x: Array, axis: int = -1) -> bool:
    return x.ndim > 1 and x.size > 0 and x.dtype == np.float32 and axis in (-1, x.ndim - 1) and are_plain(x)


@compiled_kernel(least=_LEAST, accepts=_accepts_softmax)
def softmax(x: Array, axis: int = -1) -> tuple[Array, Pullback]:
    logits = _rows(x)
    y, maxima = empty(logits, logits.shape), empty(logits, (len(_block(logits)),))
    _normalize(y, maxima, logits)

    def pullback(dy: Array) -> Array:
        dx = empty(y, y.shape)
        _pull_normalized(dx, plain(dy, y), y)
        return dx.reshape(x.shape)

    return y.reshape(x.shape), pullback


def _rows(array: Array) -> Array:
    return array.reshape(-1, array.shape[-1])


def _block(rows: Array) -> Array:
    """Memory for so many rows as the first cache holds."""
    return empty(rows, (max(1, _BLOCK // rows.shape[1]), rows.shape[1]))


def _cotangents(dvalues: Array | float, values: Array) -> Array:
    """One for each row, as compiled loops read them."""
    return np.full_like(values, dvalues) if isinstance(dvalues, int | float) else plain(dvalues, values)


@compiled
def _mean_squares(values: Any, y: Any, target: Any, share: Any) -> None:
    for i in range(values.size):
        values[i] = _sum_of_squares(y[i], target[i]) * share


@compiled_sum
def _sum_of_squares(y: Any, target: Any) -> Any:
    total = y.dtype.type(0)
    for j in range(y.size):
        total += (y[j] - target[j]) * (y[j] - target[j])
    return total


@compiled
def _pull_squares(dy: Any, dvalues: Any, y: Any, target: Any, share: Any) -> None:
    for i in range(dy.shape[0]):
        slope = dvalues[i] * share
        for j in range(dy.shape[1]):
            dy[i, j] = (y[i, j] - target[i, j]) * slope


@compiled_product
def _exponential(x: Any) -> Any:
    """exp(x) for x <= 0: 2^n * exp(r), with n the integer next to x / log(2), and a polynomial as that of Cephes."""
    shifted = np.float32(x * np.float32(1.44269504) + np.float32(12582912.0))  # whose last bits are n
    n = shifted - np.float32(12582912.0)
    r = x - n * np.float32(0.693359375) - n * np.float32(-2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * (r * r) + r + np.float32(1)
    power = np.int32((shifted.view(np.int32) << 23) + 0x3F800000).view(np.float32)
    return np.float32(0) if x < np.float32(-87.33) else p * power  # NaN stays


@compiled_product
def _logarithm(x: Any) -> Any:
    """log(1 + x) for x from 0 to 1: 2 artanh(x / (2 + x))"""
    s = x / (x + np.float32(2))
    square = s * s
    p = np.float32(1 / 13)
    p = p * square + np.float32(1 / 11)
    p = p * square + np.float32(1 / 9)
    p = p * square + np.float32(1 / 7)
    p = p * square + np.float32(1 / 5)
    p = p * square + np.float32(1 / 3)
    s += s
    return p * square * s + s


@compiled
def _mean_entropies(values: Any, block: Any, logits: Any, target: Any, keep: Any, shift: Any, share: Any) -> None:
    rows, width = logits.shape
    for first in range(0, rows, block.shape[0]):
        last = min(first + block.shape[0], rows)
        z, t, entropies = logits[first:last].reshape(-1), target[first:last].reshape(-1), block.reshape(-1)
        for j in range(z.size):
            above = np.float32(0) if z[j] < np.float32(0) else z[j]
            entropies[j] = above - z[j] * (t[j] * keep + shift) + _logarithm(_exponential(-abs(z[j])))
        if width == 1:
            values[first:last] = entropies[: last - first]
            continue
        for i in range(last - first):
            values[first + i] = _sum(block[i]) * share


@compiled_sum
def _sum(row: Any) -> Any:
    total = row.dtype.type(0)
    for j in range(row.size):
        total += row[j]
    return total


@compiled
def _pull_entropies(
    dy: Any, dvalues: Any, logits: Any, target: Any, keep: Any, shift: Any, share: Any, step: int
) -> None:
    for first in range(0, dy.shape[0], step):
        last = min(first + step, dy.shape[0])
        part, slopes = dy[first:last], dy[first:last].reshape(-1)
        z, t = logits[first:last].reshape(-1), target[first:last].reshape(-1)
        for j in range(z.size):
            decay = _exponential(-abs(z[j]))
            above = decay if z[j] < np.float32(0) else np.float32(1)
            slopes[j] = above / (np.float32(1) + decay) - (t[j] * keep + shift)
        for i in range(part.shape[0]):
            slope = dvalues[first + i] * share
            for j in range(part.shape[1]):
                part[i, j] *= slope


@compiled
def _softmax_parts(maxima: Any, totals: Any, block: Any, logits: Any) -> None:
    rows, width = logits.shape
    bits, ones = logits.view(np.int32), np.ones(block.shape[0], logits.dtype)
    for first in range(0, rows, block.shape[0]):
        part = logits[first : min(first + block.shape[0], rows)]
        for i in range(part.shape[0]):
            maxima[first + i] = _maximum_of_long(bits[first + i]) if width >= _LONG else _maximum(part[i])
        _scaled_exponentials(block[: part.shape[0]], maxima[first:], ones, part)
        for i in range(part.shape[0]):
            totals[first + i] = _sum(block[i])


@compiled
def _maximum(row: Any) -> Any:
    """The largest number, but for NaN, which spreads in what is computed with it."""
    largest = row.dtype.type(-np.inf)
    for j in range(row.size):
        largest = row[j] if row[j] > largest else largest
    return largest


@compiled
def _maximum_of_long(bits: Any) -> Any:
    """The same of a row of float32, given as int32, of which processors compare several at a time.

    Negative numbers are in the order of their bits once all of these but the sign's are turned round. NaN comes out as
    the largest or, with a negative sign, not at all.
    """
    largest = np.int32(-0x80000000)
    for j in range(bits.size):
        place = np.int32(bits[j] ^ ((bits[j] >> np.int32(31)) & np.int32(0x7FFFFFFF)))
        largest = place if place > largest else largest
    return np.int32(largest ^ ((largest >> np.int32(31)) & np.int32(0x7FFFFFFF))).view(np.float32)


@compiled
def _scaled_exponentials(exponentials: Any, maxima: Any, factors: Any, logits: Any) -> None:
    """exp(logits - maximum) * factor, of each row"""
    rows, width = logits.shape
    if width >= _LONG:
        for i in range(rows):
            largest, factor = maxima[i], factors[i]
            for j in range(width):
                exponentials[i, j] = _exponential(logits[i, j] - largest) * factor
        return
    for i in range(rows):
        largest = maxima[i]
        for j in range(width):
            exponentials[i, j] = logits[i, j] - largest
    flat = exponentials.reshape(-1)
    for j in range(flat.size):  # all rows together, where one is too short for several numbers at a time
        flat[j] = _exponential(flat[j])
    for i in range(rows):
        factor = factors[i]
        for j in range(width):
            exponentials[i, j] *= factor


@compiled
def _normalize(y: Any, maxima: Any, logits: Any) -> None:
    rows, width = logits.shape
    bits, ones = logits.view(np.int32), np.ones(maxima.size, logits.dtype)
    for first in range(0, rows, maxima.size):
        last = min(first + maxima.size, rows)
        part, made = logits[first:last], y[first:last]
        for i in range(part.shape[0]):
            maxima[i] = _maximum_of_long(bits[first + i]) if width >= _LONG else _maximum(part[i])
        _scaled_exponentials(made, maxima, ones, part)
        for i in range(part.shape[0]):
            total = _sum(made[i])
            for j in range(width):
                made[i, j] /= total


@compiled
def _pull_normalized(dx: Any, dy: Any, y: Any) -> None:
    for i in range(y.shape[0]):
        mean = _sum_of_products(dy[i], y[i])
        for j in range(y.shape[1]):
            dx[i, j] = (dy[i, j] - mean) * y[i, j]


@compiled_sum
def _sum_of_products(a: Any, b: Any) -> Any:
    total = a.dtype.type(0)
    for j in range(a.size):
        total += a[j] * b[j]
    return total


@compiled
def _subtract_labelled(values: Any, maxima: Any, logits: Any, labels: Any) -> None:
    for i in range(values.size):
        inside = 0 <= labels[i] < logits.shape[1]
        values[i] -= logits[i, labels[i]] - maxima[i] if inside else np.float32(np.nan)


@compiled
def _pull_labelled(dy: Any, dvalues: Any, factors: Any, maxima: Any, logits: Any, labels: Any, step: int) -> None:
    for first in range(0, dy.shape[0], step):
        last = min(first + step, dy.shape[0])
        _scaled_exponentials(dy[first:last], maxima[first:last], factors[first:last], logits[first:last])
    for i in range(dy.shape[0]):
        if 0 <= labels[i] < dy.shape[1]:
            dy[i, labels[i]] -= dvalues[i]


@compiled
def _weigh(values: Any, masses: Any, maxima: Any, logits: Any, target: Any, keep: Any, shift: Any) -> None:
    """From the logarithms of the totals, in values, to the values."""
    for i in range(values.size):
        product, masses[i] = _products(logits[i], maxima[i], values[i], target[i], keep, shift)
        values[i] = -product


@compiled_sum
def _products(logits: Any, maximum: Any, logarithm: Any, target: Any, keep: Any, shift: Any) -> Any:
    product = logits.dtype.type(0)
    mass = logits.dtype.type(0)
    for j in range(logits.size):
        t = target[j] * keep + shift
        product += t * (logits[j] - maximum - logarithm)
        mass += t
    return product, mass


@compiled
def _pull_weighed(
    dy: Any, dvalues: Any, shares: Any, maxima: Any, logits: Any, target: Any, keep: Any, shift: Any, step: int
) -> None:
    for first in range(0, dy.shape[0], step):
        last = min(first + step, dy.shape[0])
        part, targets = dy[first:last], target[first:last]
        _scaled_exponentials(part, maxima[first:last], shares[first:last], logits[first:last])
        for i in range(part.shape[0]):
            slope = dvalues[first + i]
            for j in range(part.shape[1]):
                part[i, j] = (part[i, j] - (targets[i, j] * keep + shift)) * slope
