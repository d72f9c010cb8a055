"""Memory of large results is used again when no array needs it any more, and never before."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import threading

import numpy as np
import pytest

from nnx.kernels.numpy import memory as numpy_memory
from nnx.kernels.numpy.matrix_products import product
from nnx.kernels.numpy.memory import empty, empty_as

LIKE = np.empty(0, np.float32)
LARGE = (512, 1024)  # 2 MB of float32


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    gc.collect()
    monkeypatch.setattr(numpy_memory, "_free", {})


def address(array: np.ndarray) -> int:
    return int(array.ctypes.data)


def kept() -> int:
    return sum(size * len(blocks) for size, blocks in numpy_memory._free.items())


def test_an_array_is_like_any_other() -> None:
    array = empty(LIKE, LARGE)
    assert (type(array), array.shape, array.dtype) == (np.ndarray, LARGE, np.float32)
    assert array.flags.c_contiguous
    assert array.flags.writeable
    array[...] = 3.0
    assert array.sum() == 3.0 * array.size


def test_memory_is_used_again() -> None:
    array = empty(LIKE, LARGE)
    where = address(array)
    del array
    assert address(empty(np.empty(0, np.int32), (1024, 512))) == where


@pytest.mark.parametrize("view", [lambda a: a[3:5, ::2], lambda a: a.reshape(-1), lambda a: a.T, memoryview])
def test_a_view_keeps_it(view) -> None:
    array = empty(LIKE, LARGE)
    array[...] = 1.0
    part = view(array)
    where = address(array)
    del array
    other = empty(LIKE, LARGE)
    assert address(other) != where
    other[...] = 2.0
    assert np.all(np.asarray(part) == 1.0)
    del part
    assert address(empty(LIKE, LARGE)) == where


@pytest.mark.parametrize("shape", [(0, 5), (3, 4), (1 << 25,)])
def test_small_and_huge_arrays_are_plain(shape: tuple[int, ...]) -> None:
    assert empty(LIKE, shape).base is None


def test_large_results_are_borrowed() -> None:
    for array in (empty_as(np.ones(LARGE)), product(np.ones((512, 3)), np.ones((3, 256)))):
        assert isinstance(array.base, numpy_memory._Loan)


def test_an_array_as_another_one_has_its_order() -> None:
    assert empty_as(np.ones(LARGE).T).flags.f_contiguous


@pytest.mark.parametrize("rows", [3, 2000])
def test_products_are_those_of_numpy(rows: int) -> None:
    a = np.random.default_rng(0).normal(size=(rows, 5)).astype(np.float32)
    for b in (a[:2].T, a[:2].T.astype(np.float64), a.T.copy()[:, :rows]):
        made = product(a, b)
        assert made.dtype == np.dot(a, b).dtype
        assert np.array_equal(made, np.dot(a, b))


def test_no_more_is_kept_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numpy_memory, "_MOST", 7 << 20)
    for rows in (512, 768, 512, 1024):
        arrays = [empty(LIKE, (rows, 1024)) for _ in range(3)]
        del arrays
        assert kept() <= 7 << 20
    assert list(numpy_memory._free)[-1] == 4 << 20  # the latest stayed


def test_copies_of_an_array_and_views_of_what_it_borrowed_do_not_give_it_back() -> None:
    array = empty(LIKE, LARGE)
    array[...] = 1.0
    where = address(array)
    for other in (array.base, array):
        copies = [copy.deepcopy(other), pickle.loads(pickle.dumps(other)), other[1:][1:], other + 1]
        assert all(address(each) != where for each in copies)
        del copies
    assert not numpy_memory._free
    assert np.all(array == 1.0)


def test_arrays_that_die_in_a_circle_and_in_threads() -> None:
    spoilt = []

    def work(mark: int) -> None:
        for _ in range(50):
            array = empty(LIKE, LARGE)
            array[...] = mark
            if not np.all(array == mark):
                spoilt.append(mark)
            circle = [array, array.base]
            circle.append(circle)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(mark,)) for mark in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    gc.collect()
    blocks = [block for blocks in numpy_memory._free.values() for block in blocks]
    assert len({address(block) for block in blocks}) == len(blocks) > 0
    assert not spoilt


def test_a_finaliser_that_brings_an_array_back_keeps_its_memory() -> None:
    kept_alive = []

    class Phoenix:
        def __init__(self) -> None:
            self.array = empty(LIKE, LARGE)
            self.array[...] = 1.0
            self.loan = self.array.base
            self.circle = self

        def __del__(self) -> None:
            kept_alive.append(self.loan)

    Phoenix()
    gc.collect()
    empty(LIKE, LARGE)[...] = 2.0
    assert np.all(kept_alive[0].view(np.float32) == 1.0)


def test_arrays_in_use_do_not_share_memory() -> None:
    arrays = [empty(LIKE, LARGE) for _ in range(5)]
    del arrays[1::2]
    arrays += [empty(LIKE, LARGE) for _ in range(5)]
    assert len({address(array) for array in arrays}) == len(arrays)
