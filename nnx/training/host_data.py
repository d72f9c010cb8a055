"""Host data: what users give, on its way to lists of arrays in the place of the model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnx.backends import (
    Array,
    Placement,
    array_namespace,
    backend_of,
    conversion,
    is_array,
    is_tabular,
    table_problem,
    to_numpy,
)
from nnx.backends.base import is_on_device, refuse_masked
from nnx.backends.context import device_name
from nnx.backends.tables import by_name
from nnx.data.columns import BUFFERS, count_rows, is_sparse, refuse_sparse
from nnx.data.stored_arrays import Stored
from nnx.precision import narrow, wide
from nnx.shapes import Shape, fit_axes
from nnx.structure import leaves, leaves_like, rebuild
from nnx.text.values import is_texts
from nnx.user_warnings import warn_user


def as_host_or_array(value: Any, what: str, texts: bool = False) -> Any:
    """Lists, numbers, data frames and the like, and arrays of any backend that are on the host, as NumPy arrays.

    texts : whether they may be texts.

    Arrays of a device stay as they are, and so do arrays on disk.
    """
    if is_array(value) and not isinstance(value, np.ndarray):
        refuse_sparse(value, what)
        backend = backend_of(value)
        return backend.to_host(value) if backend.is_on_host(value) else value
    if value is None:
        raise ValueError(f"{what} is missing: expected an array, a list, or an iterable of batches")
    refuse_sparse(value, what)
    refuse_masked(value, what)
    try:
        host = value if isinstance(value, Stored) else to_numpy(value)
    except ValueError:  # what NumPy says does not name the argument
        host = np.empty((), dtype=object)
    if host.dtype.kind not in "fbiu" and not (texts and is_texts(host)):
        problem = table_problem(value, what)
        if problem:
            raise ValueError(f"{what}, a {type(value).__name__}, is not made of numbers: {problem}")
        raise ValueError(
            f"{what}: its rows have different lengths or are not real numbers; expected an array of numbers, got "
            f"{type(value).__name__} of dtype {host.dtype}{_hint(value, host.dtype, what)}"
        )
    return host


def host_structure(value: Any, what: str, texts: bool = False) -> Any:
    """Data for a model whose inputs are not known yet: a dict, or a list of arrays, is several inputs.

    Some of them may be None.
    """
    if isinstance(value, dict):
        return {key: _part_of_structure(part, f"{what}[{key!r}]", texts) for key, part in value.items()}
    if isinstance(value, list | tuple):
        given = [part for part in leaves(value) if part is not None]
        if value and not given:
            return as_host_or_array(None, what)
        if given and all(map(_is_whole, given)):
            return [_part_of_structure(part, f"{what}[{i}]", texts) for i, part in enumerate(value)]
    return as_host_or_array(value, what, texts)


def _part_of_structure(part: Any, what: str, texts: bool) -> Any:
    return None if part is None else host_structure(part, what, texts)


def _hint(value: Any, dtype: np.dtype[Any], what: str) -> str:
    """What to write for an array or a table of that dtype."""
    written = conversion(dtype, what) if hasattr(value, "astype") or dtype.kind == "c" else ""
    return f"; write {written}" if written else ""


def place(value: Any, placement: Placement, dtype: str | None, what: str, model_name: str) -> Array:
    """An array in the model's place: host data are brought there, arrays of another device raise."""
    if not is_on_device(value):
        try:
            return placement.asarray(value, dtype)
        except TypeError as error:  # texts, which another input takes
            raise TypeError(f"{what}: {error}") from error
    if not placement.holds(value):
        name, device = backend_of(value).name, device_name(value)
        there = "" if device is None else f", device={device!r}"
        raise ValueError(
            f"{what} is on {name}{f' ({device})' if device else ''}, {model_name} is on {placement}: bring the data to "
            f"the host with nnx.to_numpy, or move the model with {model_name}.to({name!r}{there})"
        )
    return placement.asarray(value, dtype)


def check_rows(
    input_names: Sequence[str], xs: list[Any], output_names: Sequence[str], ys: list[Any], weights: list[Any]
) -> int:
    """`count_rows` of inputs, targets and weights, named as the user knows them."""
    named = {name if len(xs) > 1 else "x": x for name, x in zip(input_names, xs, strict=True)}
    named |= {f"y[{name!r}]" if len(ys) > 1 else "y": y for name, y in zip(output_names, ys, strict=True)}
    named |= {f"sample_weight {i}" if i else "sample_weight": weight for i, weight in enumerate(weights)}
    return count_rows(named)


def as_list(
    value: Any,
    names: Sequence[str],
    what: str,
    template: Any = None,
    same_for_all: bool = False,
    texts: bool = False,
) -> list[Any]:
    """One array for each name, from an array, a list in their order, or a dict or data frame with these names.

    template : how inputs or outputs are nested in each other, if they are.
    same_for_all : whether one array, or None, stands for all of them. texts : whether they may be texts.
    """
    count = len(names)
    if _is_nested(template) and isinstance(value, dict | list | tuple):
        value = leaves_like(template, value, what)
    if count == 1 and isinstance(value, np.ndarray):
        return [as_host_or_array(value, what, texts)]
    if value is None:
        return [None] * count
    if count > 1:
        value = by_name(value)
    if isinstance(value, dict):
        if set(value) != set(names):
            raise ValueError(f"{what} is a dict of {sorted(map(str, value))}, expected the names {sorted(names)}")
        items = [(value[name], f"{what}[{name!r}]") for name in names]
        return [None if item is None else as_host_or_array(item, where, texts) for item, where in items]
    if count == 1:
        if isinstance(value, list | tuple) and len(value) == 1 and (value[0] is None or _is_table(value[0])):
            value = value[0]
            if value is None:
                return [None]
        return [as_host_or_array(value, what, texts)]
    if isinstance(value, list | tuple) and len(value) == count:
        return [None if v is None else as_host_or_array(v, f"{what}[{i}]", texts) for i, v in enumerate(value)]
    if same_for_all and _is_whole(value):
        return [as_host_or_array(value, what)] * count
    given = f"{type(value).__name__}{f' of {len(value)}' if hasattr(value, '__len__') else ''}"
    raise ValueError(f"{what} must be a list or dict of {count} arrays, for {', '.join(names)}; got {given}")


def _is_nested(template: Any) -> bool:
    parts = template.values() if isinstance(template, dict) else template if isinstance(template, list | tuple) else ()
    return any(isinstance(part, dict | list | tuple) for part in parts)


def _is_whole(value: Any) -> bool:
    """Whether a value is an array already, in memory or on disk, or a data frame or a column of one."""
    return is_array(value) or isinstance(value, Stored) or is_tabular(value)


def _is_table(value: Any) -> bool:
    return _is_whole(value) and len(value.shape) > 1


def with_ndim(x: Any, expected: Shape) -> Any:
    """An input with a last axis of length one more or less, where the model expects it so, as in Keras."""
    if x is None:
        return None
    shape = tuple(x.shape)
    if len(shape) == len(expected):
        return x
    fitted = fit_axes(shape, expected)
    return x if fitted == shape else array_namespace(x).reshape(x, fitted)


def is_iterable_of_batches(x: Any) -> bool:
    """Whether x gives batches, other than an array, a table or a list of samples."""
    if is_array(x) or hasattr(x, "__array__") or isinstance(x, (str, bytes, dict, *BUFFERS)) or is_sparse(x):
        return False
    if isinstance(x, list | tuple):
        return bool(x) and isinstance(x[0], tuple) and any(map(_is_whole, leaves(x[0])))
    return hasattr(x, "__iter__") or (hasattr(x, "__getitem__") and hasattr(x, "__len__"))


def three(batch: Sequence[Any]) -> tuple[Any, ...]:
    """(x, y, sample_weight) with None for what is missing."""
    return (*batch, *[None] * (3 - len(batch)))


def split_validation(structures: Sequence[Any], rows: int, fraction: float) -> tuple[list[Any], list[Any]]:
    """The first part for training, the last for validation, as Keras splits: before shuffling."""
    if not isinstance(fraction, int | float | np.number) or not 0.0 < fraction < 1.0:
        raise ValueError(f"validation_split must be between 0 and 1, got {fraction!r}")
    split = math.floor(rows * (1.0 - fraction))
    if split == 0 or split == rows:
        raise ValueError(f"validation_split={fraction} of {rows} samples leaves one part empty")
    return (
        [rebuild(s, [None if a is None else a[:split, ...] for a in leaves(s)]) for s in structures],
        [rebuild(s, [None if a is None else a[split:, ...] for a in leaves(s)]) for s in structures],
    )


def widened(outputs: Sequence[Array], pullback: Callable[..., Any]) -> tuple[list[Array], Callable[..., Any]]:
    """The outputs of a float16 model as float32, in which losses are computed, and the pullback to the model's own."""

    def pull_back(cotangents: Sequence[Array | None], inputs: bool = True) -> Any:
        with np.errstate(over="ignore", invalid="ignore"):  # the optimizer looks at the gradients
            narrowed = [None if dy is None else narrow(dy, y) for dy, y in zip(cotangents, outputs, strict=True)]
            return pullback(narrowed, inputs=inputs)

    return [wide(y) for y in outputs], pull_back


def warn_of_missing_values(**data: Any) -> None:
    """Say which of the arrays on the host have values that are not numbers: for a loss that is none."""
    for what, value in data.items():
        for leaf in leaves(value):
            host = None if leaf is None or not hasattr(leaf, "__array__") or is_on_device(leaf) else to_numpy(leaf)
            if host is None or host.dtype.kind != "f" or not host.ndim:
                continue
            rows = np.flatnonzero(np.isnan(host.reshape(host.shape[0], -1)).any(axis=1))
            if rows.size:
                warn_user(
                    f"{what} has NaN in {rows.size} of {host.shape[0]} samples, the first of them {rows[0]}, and so "
                    f"the loss is NaN: leave these samples out, or fill in the missing values"
                )
