"""Columns of a data set, with a row for each sample, as users give them."""

from __future__ import annotations

import array
from typing import Any

from nnx.backends import is_array, is_tabular, table_problem, to_numpy
from nnx.backends.base import refuse_masked
from nnx.data.stored_arrays import Stored, is_stored

BUFFERS = (array.array, bytearray, memoryview)
"""Arrays of Python, which NumPy takes as arrays."""


def columns_of(value: Any, what: str, rows: int | None, mapped: bool) -> Any:
    """A dict or tuple of columns, from a dict, tuple or list of arrays or tables; from anything else one column.

    A column is a NumPy array of any dtype, or `Stored`. A list of as many arrays as there are rows is one column, if
    that number is known and the arrays do not have as many rows themselves.

    mapped : whether a function makes numbers of the rows later; else a data frame, or a column of one, has to be of
        numbers now: ValueError.
    """
    if isinstance(value, dict):
        return {name: _column(item, f"{what}[{name!r}]", mapped) for name, item in value.items()}
    if isinstance(value, tuple | list) and value and all(map(_is_columnar, value)):
        if isinstance(value, list) and len(value) == rows and any(item.shape[:1] != (rows,) for item in value):
            return _column(value, what, mapped)
        return tuple(_column(item, f"{what}[{index}]", mapped) for index, item in enumerate(value))
    return None if value is None else _column(value, what, mapped)


def _is_columnar(value: Any) -> bool:
    return is_array(value) or is_stored(value) or is_tabular(value)


def _column(value: Any, what: str, mapped: bool) -> Any:
    refuse_sparse(value, what)
    problem = "" if mapped else table_problem(value, what)
    if problem:
        raise ValueError(f"{what}, a {type(value).__name__}: {problem}; or let map= make numbers of its rows")
    refuse_masked(value, what)
    if is_stored(value):
        return Stored(value)
    try:
        return to_numpy(value)
    except ValueError as error:  # what NumPy says does not name the argument
        raise ValueError(f"{what}: its rows have different shapes; pad them, or pass samples (x, y) alone") from error


def refuse_sparse(value: Any, what: str) -> None:
    """ValueError for a sparse matrix."""
    if is_sparse(value):
        dense = "to_dense" if hasattr(value, "to_dense") else "toarray"
        raise ValueError(
            f"{what} is a sparse {type(value).__name__}, which nnx does not compute with: write {what}.{dense}(), or, "
            f"if that is too large, nnx.data.DataLoader(np.arange({what}.shape[0]), y, "
            f"map=lambda rows, y: ({what}[rows].{dense}(), y)) with {what} in the form csr"
        )


def is_sparse(value: Any) -> bool:
    """Whether a value looks like a sparse matrix of SciPy, or a sparse tensor of PyTorch."""
    if hasattr(value, "toarray"):
        return hasattr(value, "nnz")
    return hasattr(value, "to_dense") and "sparse" in str(getattr(value, "layout", ""))


def named_columns(columns: Any, what: str) -> dict[str, Any]:
    """The columns under the names that errors give them."""
    if isinstance(columns, dict):
        return {f"{what}[{name!r}]": column for name, column in columns.items()}
    if isinstance(columns, tuple):
        return {f"{what}[{index}]": column for index, column in enumerate(columns)}
    return {what: columns}


def count_rows(named: dict[str, Any]) -> int:
    """The common length of arrays; ValueError if they differ or are empty."""
    lengths = {name: value.shape[0] if value.ndim else None for name, value in named.items() if value is not None}
    for name, length in lengths.items():
        if length is None:
            raise ValueError(
                f"{name} is a single number; expected an array whose first axis counts the samples; "
                "nnx.data.DataLoader makes batches of samples that come one by one"
            )
        if length == 0:
            raise ValueError(f"{name} is empty: expected at least one sample")
    if not lengths:
        raise ValueError(f"there are no samples: {', '.join(named)} is None; expected at least one array")
    if len(set(lengths.values())) > 1:
        listing = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise ValueError(f"the arrays must have the same number of samples, but {listing}")
    return next(iter(lengths.values()))  # type: ignore[return-value]
