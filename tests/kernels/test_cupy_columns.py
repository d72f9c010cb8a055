"""Statistics of columns on CuPy: their rows are divided among so many blocks of threads that a GPU has enough to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnx
from nnx.testing import assert_close

_problem = nnx.available_backends()["cupy"]
if _problem:
    pytest.skip(_problem, allow_module_level=True)
import cupy  # noqa: E402

from nnx.kernels.cupy import column_statistics  # noqa: E402
from nnx.kernels.cupy.column_statistics import Statistics, moments, products_and_sums  # noqa: E402
from nnx.kernels.cupy.cuda_kernels import RawKernel  # noqa: E402


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Any]]:
    """The grid and the block of each launch."""
    seen: list[tuple[Any, Any]] = []
    launch = RawKernel.__call__

    def noting(kernel: RawKernel, dtype: Any, grid: Any, block: Any, *arguments: Any) -> None:
        seen.append((grid, block))
        launch(kernel, dtype, grid, block, *arguments)

    monkeypatch.setattr(RawKernel, "__call__", noting)
    return seen


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [
        (1, 1, [((1, 1), (1, 256))]),
        (256, 64, [((2, 1), (32, 8))]),
        (257, 33, [((2, 2), (32, 8)), ((2, 1), (32, 32))]),
        (16_385, 1, [((1, 3), (1, 256)), ((1, 1), (1, 1024))]),
        (4_200, 3, [((1, 3), (4, 64)), ((1, 1), (4, 256))]),
        (5_000, 64, [((2, 20), (32, 8)), ((2, 1), (32, 32))]),
    ],
)
def test_of_few_columns(rows: int, columns: int, expected: Any, launches: list[tuple[Any, Any]]) -> None:
    numbers = np.random.default_rng(rows)
    x, dy = 100.0 + numbers.normal(size=(rows, columns)), numbers.normal(size=(rows, columns))
    mean, variance = moments(cupy.asarray(x))
    x_wide = x.astype(np.longdouble)  # NumPy adds rows one after the other
    assert launches == expected
    assert_close(cupy.asnumpy(mean), np.float64(x_wide.mean(0)), rtol=1e-14)
    assert_close(cupy.asnumpy(variance), np.float64(x_wide.var(0)), rtol=1e-13, atol=1e-25)
    by = Statistics(mean, variance, 1e-3, rows, columns, 1)
    products, sums = products_and_sums(cupy.asarray(x), cupy.asarray(dy), by, (None, None))
    assert launches == 2 * expected
    normal = (x_wide - x_wide.mean(0)) / np.sqrt(x_wide.var(0) + 1e-3)
    assert_close(cupy.asnumpy(products), np.float64((dy * normal).sum(0)), rtol=0.0, atol=1e-11)
    assert_close(cupy.asnumpy(sums), dy.sum(0), rtol=0.0, atol=1e-12)


def test_of_very_many_rows_have_longer_chunks(monkeypatch: pytest.MonkeyPatch, launches: list[tuple[Any, Any]]) -> None:
    monkeypatch.setattr(column_statistics, "_BLOCKS", 4)
    x = np.random.default_rng(0).normal(size=(3_000, 40))
    mean, variance = moments(cupy.asarray(x))
    assert launches[0][0] == (2, 2)
    assert_close(cupy.asnumpy(mean), x.mean(0), rtol=0.0, atol=1e-14)
    assert_close(cupy.asnumpy(variance), x.var(0), rtol=1e-13)
