"""Tables of pandas, polars and the like as arrays, and which of their columns are no numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


def as_host(value: Any) -> np.ndarray:
    """Host data as a NumPy array: of a table with columns of several dtypes, one that has room for all of them.

    Missing values of columns that can have some are NaN. A table with a column that is not made of numbers is an array
    of objects, as NumPy has it.

    >>> as_host([[1, 2], [3, 4]]).shape
    (2, 2)
    """
    host = np.asarray(value)
    if host.dtype.kind != "O" or not hasattr(value, "to_numpy"):
        return host
    if not _is_table(value):
        column = _numbers(value)
        return host if column is None else column
    columns = [_numbers(column) for _, column in _columns(value)]
    whole = [column for column in columns if column is not None]
    return np.stack(whole, axis=1) if whole and len(whole) == len(columns) else host


def unsuited_columns(value: Any) -> list[str]:
    """The columns of a table that are not made of numbers, each with its dtype; nothing for what is no table."""
    if not _is_table(value):
        return []
    return [f"{name!r} ({column.dtype})" for name, column in _columns(value) if _numbers(column) is None]


def conversion(dtype: Any, what: str) -> str:
    """What to write so that data of a dtype become real numbers and lose nothing; "" where nobody can know.

    what : what the data are called.

    >>> conversion(np.dtype(complex), "x")
    'np.stack([x.real, x.imag], axis=-1)'
    """
    match np.dtype(dtype).kind:
        case "c":
            return f"np.stack([{what}.real, {what}.imag], axis=-1)"
        case "M":
            return f"({what} - np.datetime64('2000-01-01')) / np.timedelta64(1, 'D'), which counts days"
        case "m":
            return f"{what} / np.timedelta64(1, 'D'), which counts days"
        case "U" | "S":
            return f"{what}.astype('float32') if the texts are numbers"
        case "V" if np.dtype(dtype).names:
            return f"np.lib.recfunctions.structured_to_unstructured({what})"
        case "O":
            return f"{what}.astype('float32') if they are numbers"
    return ""


def _is_table(value: Any) -> bool:
    return hasattr(value, "columns") and hasattr(value, "dtypes") and hasattr(value, "to_numpy")


def _columns(table: Any) -> Iterator[tuple[Any, Any]]:
    """The columns with their names, of which several may be equal."""
    yield from table.items() if hasattr(table, "items") else zip(table.columns, table.iter_columns(), strict=True)


def _numbers(column: Any) -> np.ndarray | None:
    """A column as an array of numbers; None for one of anything else."""
    host = np.asarray(column)
    if host.dtype.kind in "fbiu":
        return host
    if getattr(column.dtype, "kind", "O") in "fbiu":  # numbers of which some are missing
        return np.asarray(column.to_numpy(dtype="float64", na_value=np.nan))
    return None
