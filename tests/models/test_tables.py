"""Tables of pandas, polars and the like: columns of several dtypes, and errors that name the columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.data import DataLoader
from nnx.layers import Dense, Normalization
from nnx.testing import assert_close

COLUMNS = {"a": np.asarray([1.0, 2.0, 3.0]), "n": np.asarray([1, 2, 3]), "flag": np.asarray([True, False, True])}
NUMBERS = np.stack([column.astype(np.float64) for column in COLUMNS.values()], axis=1)
TEXT = np.asarray(["x", "y", "z"], dtype=object)


class Table:
    """What nnx looks at in a data frame."""

    def __init__(self, columns: dict[str, np.ndarray]) -> None:
        self._of_name = columns
        self.columns = list(columns)
        self.dtypes = [column.dtype for column in columns.values()]
        self.shape = (3, len(columns))

    def items(self) -> Any:
        return self._of_name.items()

    def to_numpy(self) -> np.ndarray:
        return np.stack([column.astype(object) for column in self._of_name.values()], axis=1)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.to_numpy().astype(dtype or object)

    def __len__(self) -> int:
        return 3


def of_pandas(columns: dict[str, np.ndarray]) -> Any:
    return pytest.importorskip("pandas").DataFrame(columns)


each_kind = pytest.mark.parametrize("table", [Table, of_pandas])


def model(columns: int = 3) -> Any:
    nnx.random.set_seed(0)
    made = nnx.Sequential([Dense(1, input_dim=columns)])
    made.compile("sgd", "mse")
    return made


@each_kind
def test_numbers_beside_truth_values(table: Callable[..., Any], backend: Placement) -> None:
    frame, y = table(COLUMNS), np.ones((3, 1))
    given, expected = model(), model()
    assert given.fit(frame, y, verbose=0).history == expected.fit(NUMBERS, y, verbose=0).history
    assert_close(given.predict(frame, verbose=0), expected.predict(NUMBERS, verbose=0))
    assert_close(given(frame), expected(backend.asarray(NUMBERS)))
    layer = Normalization()
    layer.adapt(frame)
    assert_close(layer.mean, NUMBERS.mean(axis=0, keepdims=True))


@each_kind
def test_columns_that_are_not_numbers_are_named(table: Callable[..., Any]) -> None:
    frame = table({**COLUMNS, "city": TEXT})
    for use in (
        lambda: model(4).fit(frame, np.ones((3, 1)), verbose=0),
        lambda: model(4).predict(frame, verbose=0),
        lambda: model(4).train_on_batch(frame, np.ones((3, 1))),
        lambda: DataLoader(frame),
        lambda: Normalization().adapt(frame),
    ):
        with pytest.raises(
            ValueError, match=r"the column 'city' \((object|str)\) holds texts or objects: write pd.get"
        ):
            use()
    with pytest.raises(TypeError, match=r"expected real numbers, the column 'city'"):
        Dense(1)(frame)


def test_adapt_refuses_objects() -> None:
    with pytest.raises(ValueError, match=r"normalization.adapt expects numbers: got others, ndarray of dtype object"):
        Normalization().adapt(TEXT[:, None])
