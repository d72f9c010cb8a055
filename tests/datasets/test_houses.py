"""The prices of houses in Boston and California from .npz files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnx.datasets import boston_housing, california_housing

MODULES = [(boston_housing, "boston_housing.npz", 13), (california_housing, "california_housing.npz", 8)]


def write(path: Path, rows: int, measures: int, dtype: str = "float64") -> None:
    x = np.arange(rows * measures, dtype=dtype).reshape(rows, measures)
    np.savez(path, x=x, y=x[:, 0] * 10)


@pytest.mark.parametrize(("module", "name", "measures"), MODULES)
def test_order_and_division(module: Any, name: str, measures: int, tmp_path: Path):
    write(tmp_path / name, 7, measures)
    for place, arguments, in_training in (
        (tmp_path / name, {}, 5),
        (tmp_path, {"test_split": 0.0, "seed": 3}, 7),
        (tmp_path, {"test_split": 0.5}, 3),
    ):
        (x, y), (x_test, y_test) = module.load_data(path=place, **arguments)
        assert (x.shape, y.shape) == ((in_training, measures), (in_training,))
        assert (x.dtype, y_test.dtype) == (np.float64, np.float64)
        rows = np.concatenate([x, x_test])
        order = np.random.RandomState(arguments.get("seed", 113)).permutation(7)
        np.testing.assert_array_equal(rows[:, 0] // measures, order)
        np.testing.assert_array_equal(np.concatenate([y, y_test]), rows[:, 0] * 10)


@pytest.mark.parametrize(("module", "name", "measures"), MODULES)
def test_what_is_refused(module: Any, name: str, measures: int, tmp_path: Path):
    path = tmp_path / name
    write(path, 7, measures + 1)
    with pytest.raises(ValueError, match=rf"{name}: expected x of shape \(n, {measures}\) and y of shape \(n,\), got"):
        module.load_data(path=path)
    write(path, 0, measures)
    with pytest.raises(ValueError, match=rf"{name}: expected x of shape"):
        module.load_data(path=path)
    with pytest.raises(ValueError, match=r"test_split must be a fraction from 0 to below 1, got -0\.1"):
        module.load_data(path=path, test_split=-0.1)
    np.savez(path, a=np.ones(3))
    with pytest.raises(ValueError, match=rf"{name} .*: expected the arrays x, y, got a"):
        module.load_data(path=path)


def test_small_is_the_beginning_of_large(tmp_path: Path):
    path = tmp_path / "california_housing.npz"
    write(path, 700, 8, "float32")
    (x, _), (x_test, _) = california_housing.load_data("small", path)
    assert (len(x), len(x_test)) == (480, 120)
    assert x.dtype == np.float32
    assert np.concatenate([x, x_test])[:, 0].max() == 599 * 8
    assert len(california_housing.load_data("large", path, 0.0)[0][0]) == 700
    with pytest.raises(ValueError, match='version must be "small" or "large", got \'tiny\''):
        california_housing.load_data("tiny", path)
