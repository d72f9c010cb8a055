"""Functions that make arrays of sizes, which may be open."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.onnx.array import RecordedArray, constant, node
from nnx.onnx.size import Size, shape_vector
from nnx.onnx.standard import as_recorded, standard, xp


def asarray(x: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Any:
    if isinstance(x, list | tuple) and any(isinstance(part, RecordedArray | Size) for part in x):
        x = xp.stack([asarray(part) for part in x])
    made = as_recorded(x)
    made = made if dtype is None else xp.astype(made, dtype)
    return made.copy() if copy else made


xp.asarray = asarray


@standard
def full(shape: Any, fill_value: Any, *, dtype: Any = None) -> Any:
    shape = (shape,) if isinstance(shape, int | Size) else tuple(shape)
    if isinstance(fill_value, RecordedArray):
        return xp.broadcast_to(fill_value if dtype is None else xp.astype(fill_value, dtype), shape)
    value = np.full(1, fill_value, dtype)
    return node("ConstantOfShape", [shape_vector(shape)], shape, value.dtype, value=value)


def _filled(name: str, value: int) -> None:
    def function(shape: Any, *, dtype: Any = None) -> Any:
        return xp.full(shape, value, dtype=np.float64 if dtype is None else dtype)

    def like(x: Any, /, *, dtype: Any = None) -> Any:
        return xp.full(x.shape, value, dtype=x.dtype if dtype is None else dtype)

    function.__name__, like.__name__ = name, f"{name}_like"
    standard(function)
    standard(like)


_filled("zeros", 0)
_filled("ones", 1)
_filled("empty", 0)


@standard
def full_like(x: Any, /, fill_value: Any, *, dtype: Any = None) -> Any:
    return xp.full(x.shape, fill_value, dtype=x.dtype if dtype is None else dtype)


@standard
def arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None) -> Any:
    start, stop = (0, start) if stop is None else (start, stop)
    ends = [end.scalar() if isinstance(end, Size) else constant(end, dtype=np.int64) for end in (start, stop, step)]
    made = node("Range", ends, ((stop - start + (step - 1)) // step,), np.int64)
    return made if dtype is None else xp.astype(made, dtype)


@standard
def eye(n_rows: Any, n_cols: Any = None, /, *, k: int = 0, dtype: Any = None) -> Any:
    rows, columns = xp.arange(n_rows), xp.arange(n_rows if n_cols is None else n_cols)
    on = xp.equal(xp.expand_dims(rows, axis=1) + k, xp.expand_dims(columns, axis=0))
    return xp.astype(on, np.float64 if dtype is None else dtype)


@standard
def linspace(start: Any, stop: Any, /, num: Any, *, dtype: Any = None, endpoint: bool = True) -> Any:
    steps = xp.astype(xp.arange(num), np.float64 if dtype is None else dtype)
    return start + steps * ((stop - start) / (num - 1 if endpoint else num))
