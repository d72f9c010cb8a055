"""Tables and columns of pandas, polars and the like as arrays, and what keeps one from being made of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

_MOST_NAMED = 5  # columns that one error names


def as_host(value: Any) -> np.ndarray:
    """Host data as a NumPy array: of a table with columns of several dtypes, one that has room for all of them.

    Columns are converted one by one, so truth values beside floats are numbers. A table or column that is not made of
    numbers, or has missing values that are not NaN, is an array of objects; `table_problem` says why.

    >>> as_host([[1, 2], [3, 4]]).shape
    (2, 2)
    """
    if _is_table(value):
        return _table_as_host(value)
    if _is_column(value):
        numbers = _numbers(value)
        return np.asarray(value, dtype=object) if numbers is None else numbers
    return np.asarray(value)


def is_tabular(value: Any) -> bool:
    """Whether a value is a table, or a column of one, as pandas and polars have them.

    >>> is_tabular(np.zeros((2, 3)))
    False
    """
    return _is_table(value) or _is_column(value)


def by_name(value: Any) -> Any:
    """A table as a dict of its columns; anything else as it is.

    >>> by_name([1, 2])
    [1, 2]
    """
    return {name: value[name] for name in value.columns} if _is_table(value) else value


def table_problem(value: Any, what: str) -> str:
    """What keeps a table or a column from being numbers, column by column, and what to write; "" where nothing does.

    what : what the data are called, such as "x".
    """
    if _is_table(value):
        problems = [
            f"the column {name!r} ({column.dtype}) {problem}"
            for name, column in _columns(value)
            if (problem := _column_problem(column, f"{what}[{name!r}]", what, name))
        ]
        more = len(problems) - _MOST_NAMED
        return "; ".join([*problems[:_MOST_NAMED], *([f"and {more} more"] if more > 0 else [])])
    if _is_column(value):
        problem = _column_problem(value, what)
        name = getattr(value, "name", None)
        return f"the column {name!r} ({value.dtype}) {problem}" if problem else ""
    if hasattr(value, "collect") and hasattr(type(value), "columns"):
        return f"the table is not computed yet: write {what}.collect()"
    return ""


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
    return hasattr(value, "to_numpy") and hasattr(value, "columns") and hasattr(value, "dtypes")


def _is_column(value: Any) -> bool:
    """Whether a value is a column of a table, an index, or an array of pandas' own."""
    return hasattr(value, "to_numpy") and hasattr(value, "dtype")


def _columns(table: Any) -> Iterator[tuple[Any, Any]]:
    """The columns with their names, of which several may be equal."""
    yield from table.items() if hasattr(table, "items") else zip(table.columns, table.iter_columns(), strict=True)


def _table_as_host(table: Any) -> np.ndarray:
    kinds = set(table.dtypes)
    if len(kinds) == 1 and isinstance(kind := kinds.pop(), np.dtype) and kind.kind in "fbiu":
        return np.asarray(table)  # as it lies there
    columns = []
    for _, column in _columns(table):
        numbers = _numbers(column)
        if numbers is None:
            return np.asarray(table, dtype=object)
        columns.append(numbers)
    if not columns:
        return np.asarray(table)
    host = np.empty((len(columns[0]), len(columns)), np.result_type(*columns))
    for index, numbers in enumerate(columns):
        host[:, index] = numbers
    return host


def _numbers(column: Any) -> np.ndarray | None:
    """A column as an array of numbers; None for one of anything else, or with missing values."""
    if _is_categorical(column) or _count_missing(column):
        return None
    host = np.asarray(column)
    return host if host.dtype.kind in "fbiu" and host.ndim == 1 else None


def _is_categorical(column: Any) -> bool:
    return hasattr(column.dtype, "categories")


def _count_missing(column: Any) -> int:
    """How many values are missing in another way than NaN, which is a number of NumPy's floats."""
    if _is_of_polars(column):
        return int(column.null_count())
    dtype = column.dtype
    if isinstance(dtype, np.dtype) or hasattr(dtype, "subtype") or not hasattr(column, "isna"):
        return 0  # nothing can be missing; also in a sparse column, whose NaN are NaN
    return int(np.asarray(column.isna()).sum())


def _column_problem(column: Any, this: str, table: str = "", name: Any = None) -> str:
    """What is wrong with a column and what to write; "" if it is made of numbers.

    this : how the column is written. table, name : the table's and the column's, if it is in one.
    """
    if _numbers(column) is not None:
        return ""
    kind, missing = _kind(column), _count_missing(column)
    if kind == "M" and getattr(column.dtype, "tz", None):
        this = f"{this}.dt.tz_localize(None)"
    words = _POLARS if _is_of_polars(column) else _PANDAS
    zero = False if kind == "b" else 0
    write = {key: word.format(this=this, table=table, name=name, zero=zero) for key, word in words.items()}
    leave_out = f", or leave out the column, {write['drop']}" if table else ""
    if kind in "fbiu" and missing:
        rows = f", or leave out such rows, {write['rows']}" if table else ""
        return f"has {missing} of {len(column)} values missing: write {write['fill']}{rows}{leave_out}"
    if kind in "Mm":
        return f"holds {'dates' if kind == 'M' else 'durations'}: write {write[kind]}{leave_out}"
    if kind == "c":
        return f"holds complex numbers: write real and imaginary parts as two columns{leave_out}"
    holds, codes = ("categories", write["codes"]) if _is_categorical(column) else ("texts or objects", write["ranks"])
    codes = write["indicators"] if table else codes
    return f"holds {holds}: write {codes}, or {write['numbers']} if they are numbers{leave_out}"


def _is_of_polars(column: Any) -> bool:
    return hasattr(column, "null_count")


def _kind(column: Any) -> str:
    """The kind of a column's values, as NumPy has it, whatever is missing among them."""
    kind = getattr(column.dtype, "kind", None)
    return kind or np.asarray(column.drop_nulls()).dtype.kind


_PANDAS = {
    "fill": "{this}.fillna({zero})",
    "rows": "{table}.dropna()",
    "drop": "{table}.drop(columns=[{name!r}])",
    "M": "({this} - pd.Timestamp('2000-01-01')) / pd.Timedelta('1D')",
    "m": "{this} / pd.Timedelta('1D')",
    "indicators": "pd.get_dummies({table}, columns=[{name!r}])",
    "ranks": "pd.factorize({this}, sort=True)[0]",
    "codes": "{this}.cat.codes",
    "numbers": "{this}.astype('float32')",
}
_POLARS = {
    "fill": "{this}.fill_null({zero})",
    "rows": "{table}.drop_nulls()",
    "drop": "{table}.drop({name!r})",
    "M": "{this}.dt.epoch('s')",
    "m": "{this}.dt.total_seconds()",
    "indicators": "{table}.to_dummies({name!r})",
    "ranks": "{this}.rank('dense') - 1",
    "codes": "{this}.to_physical()",
    "numbers": "{this}.cast(pl.String).cast(pl.Float32)",
}
"""What to write for a column: `this` in a `table`, where its name is `name`; `zero` is of its kind."""
