"""Looking up rows, and the sums that are its gradient: in every form, and far from zero."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.functional.embedding import embedding
from nnx.functional.scatter import sums_by_one_hot, sums_by_sorting
from nnx.kernels.numpy import embedding as numpy_embedding
from nnx.pullbacks import SKIP
from nnx.random import Generator
from nnx.testing import assert_close, check_gradients, no_synchronization

assert numpy_embedding  # NumPy's kernel registers itself: it is what is tested there


def table(rows: int, size: int) -> np.ndarray:
    return Generator(1).normal((rows, size))


def indices(shape: tuple[int, ...], vocabulary: int) -> np.ndarray:
    return (Generator(2).integers(int(np.prod(shape))) % vocabulary).astype(np.int64).reshape(shape)


def sums(keys: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """In float64, one after the other."""
    total = np.zeros((count, values.shape[-1]))
    for key, value in zip(keys.reshape(-1), values.reshape(-1, values.shape[-1]), strict=True):
        total[key] += value
    return total


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize(("shape", "rows"), [((4, 5), 7), ((3,), 2), ((2, 3, 4), 30), ((0, 3), 4), ((5, 2), 1)])
def test_value_and_gradient(backend, shape, rows, dtype):
    x, w = indices(shape, rows), table(rows, 3)
    dy = Generator(3).normal((*shape, 3))
    weights = backend.asarray(w)
    with no_synchronization():
        y, pullback = embedding(backend.asarray(x, dtype), weights)
        dx, dw = pullback(backend.asarray(dy))
    assert dx is None
    assert_close(y, w[x].astype(np.float32), 0.0, 0.0, like=weights)
    assert_close(dw, sums(x, dy, rows), length=20, like=weights)


@pytest.mark.parametrize("form", [sums_by_one_hot, sums_by_sorting])
@pytest.mark.parametrize(("count", "rows"), [(1, 5), (4, 40), (50, 20), (6, 0), (3, 1)])
def test_forms_of_the_sum(backend, form, count, rows):
    keys, values = indices((rows,), count), Generator(4).normal((rows, 3))
    placed = backend.asarray(values)
    with no_synchronization():
        found = form(backend.asarray(keys), placed, count)
    assert_close(found, sums(keys, values, count), length=100, like=placed)


@pytest.mark.parametrize("form", [sums_by_one_hot, sums_by_sorting])
def test_keys_that_are_missing_have_the_sum_zero(backend, form):
    found = form(backend.asarray(np.array([4, 1, 4])), backend.asarray(np.array([[1.0], [2.0], [4.0]])), 6)
    assert_close(found, [[0.0], [2.0], [0.0], [0.0], [5.0], [0.0]], 1e-6, 1e-6)


def test_running_sums_keep_their_digits(backend):
    """Gradients with a mean, in a long batch: the running sum reaches 30,000."""
    keys, values = indices((10_000,), 500), np.float32(3.0 + Generator(5).normal((10_000, 2)))
    found = sums_by_sorting(backend.asarray(keys), backend.asarray(values), 500)
    assert_close(found, sums(keys, values, 500), rtol=3e-5, atol=0.0)


def test_large_and_small_tables_agree(backend):
    """Above some size the generic form sorts instead of making a large matrix, and NumPy's kernel works in blocks."""
    x, dy = indices((60, 50), 900), Generator(6).normal((60, 50, 12))
    weights = backend.asarray(table(900, 12))
    _, dw = embedding(backend.asarray(x), weights)[1](backend.asarray(dy))
    assert_close(dw, sums(x, dy, 900), rtol=1e-5, atol=1e-5, like=weights)


def test_gradient(backend_float64):
    x = backend_float64.asarray(indices((3, 4), 5))

    def function(w):
        y, pullback = embedding(x, w)
        return y, lambda dy: pullback(dy)[1]

    check_gradients(function, table(5, 2), placement=backend_float64)


def test_gradient_goes_where_it_may_and_only_if_it_is_wanted(backend):
    x, weights = backend.asarray(indices((3, 4), 5)), backend.asarray(table(5, 2))
    _, pullback = embedding(x, weights)
    dy = backend.asarray(Generator(6).normal((3, 4, 2)))
    assert pullback(dy, out=(None, SKIP)) == (None, None)
    place = backend.asarray(np.full((5, 2), 7.0))
    _, dw = pullback(dy, out=(None, place))
    assert_close(dw, nnx.to_numpy(pullback(dy)[1]))


def test_numpy_writes_into_the_gradient_and_not_into_strided_memory():
    x, weights, dy = indices((3, 4), 5), table(5, 2), np.ones((3, 4, 2))
    _, pullback = embedding(x, weights)
    place = np.full((5, 2), 7.0)
    assert pullback(dy, out=(None, place))[1] is place
    strided = np.full((5, 4), 7.0)[:, ::2]
    found = pullback(dy, out=(None, strided))[1]
    assert_close(found, place, 0.0, 0.0)


def test_float16_sums_have_the_digits_of_float32():
    x, weights = np.zeros(3000, np.int64), np.zeros((2, 1), np.float16)
    _, dw = embedding(x, weights)[1](np.ones((3000, 1), np.float16))
    assert dw.dtype == np.float16
    assert_close(dw, [[3000.0], [0.0]], rtol=1e-3)


@pytest.mark.parametrize("rows", [30, 900])
def test_sums_repeat_bit_for_bit_for_those_who_ask(backend, rows):
    x, dy = indices((60, 50), rows), Generator(7).normal((60, 50, 12))
    weights, placed = backend.asarray(table(rows, 12)), backend.asarray(dy)
    nnx.set_deterministic()
    try:
        first, second = (nnx.to_numpy(embedding(backend.asarray(x), weights)[1](placed)[1]) for _ in "12")
    finally:
        nnx.set_deterministic(False)
    assert first.tobytes() == second.tobytes()
    assert_close(first, sums(x, dy, rows), rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("wrong", [-1, 5])
def test_numpy_finds_what_is_out_of_range(wrong):
    with pytest.raises(ValueError, match="indices must be from 0 to 4, got some from"):
        embedding(np.array([[0, wrong]]), table(5, 2))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64"])
@pytest.mark.parametrize("rows", [5, 300])
def test_an_index_out_of_range_is_nan_without_a_host_read(backend, rows, dtype):
    """Neither the last row, nor one at the other end of the table, nor what lies beside it in memory."""
    if backend.name == "numpy":
        pytest.skip("on the host it is an error: test_numpy_finds_what_is_out_of_range")
    outside = {"uint8": [255], "int8": [-1, -128]}.get(dtype, [rows, rows + 1, -1, -rows, 2**31 - 1, -(2**31)])
    x = np.array([0, *outside, rows - 1 if rows < 100 else 7])
    if rows > 200 and dtype == "uint8":
        x = np.array([0, 255, 7])
        outside = []
    w, dy = table(rows, 3), Generator(3).normal((len(x), 3))
    weights = backend.asarray(w)
    inside = (x >= 0) & (x < rows)
    expected = np.where(inside[:, None], w[x * inside], np.nan).astype(np.float32)
    with no_synchronization():
        y, pullback = embedding(backend.asarray(x, dtype), weights)
        _, dw = pullback(backend.asarray(np.where(inside[:, None], dy, np.nan)))
    assert np.array_equal(nnx.to_numpy(y), expected, equal_nan=True)
    assert inside.sum() == len(x) - len(outside)
    assert_close(dw, sums(x[inside], dy[inside], rows), length=20, like=weights)
