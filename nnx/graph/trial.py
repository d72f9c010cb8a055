"""Shapes of what a function returns, found by calling it on small arrays."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from nnx.backends import Array, Placement
from nnx.shapes import Shape
from nnx.structure import leaves

T = TypeVar("T")

_LENGTHS = (8, 64, 256, 3)
"""What stands for sizes that are not known, beside that of the batch, when something is tried out.

Windows may be longer than some, and tables of positions shorter.
"""


def sizes_for(shapes: Sequence[Shape], batch: int, length: int) -> list[tuple[int, ...]]:
    """Shapes with sizes in place of None: `batch` for the first axis, `length` for others.

    >>> sizes_for([(None, None, 3)], 2, 8)
    [(2, 8, 3)]
    """
    return [tuple((length if axis else batch) if n is None else n for axis, n in enumerate(s)) for s in shapes]


def first_that_fits(shapes: Sequence[Shape], function: Callable[[int], T]) -> tuple[T, int]:
    """What a function returns for the first length of unknown sizes that it takes, and that length.

    Where it takes none of them, what it raised for the first.
    """
    lengths = _LENGTHS if any(None in shape[1:] for shape in shapes) else _LENGTHS[:1]
    refused: list[Exception] = []
    for length in lengths:
        try:
            return function(length), length
        except (IndexError, ValueError) as error:
            refused.append(error)
    raise refused[0]


def beside(length: int, function: Callable[[int], T]) -> T:
    """What a function returns for one more than a length that it takes, or for one less, which always fits in a table.

    Where it takes neither, what it raised for the first.
    """
    try:
        return function(length + 1)
    except (IndexError, ValueError) as error:
        with contextlib.suppress(IndexError, ValueError):
            return function(length - 1)
        raise error


def common_sizes(one: Sequence[int], other: Sequence[int]) -> Shape:
    """A shape from those for two sizes of what is not known: None where they differ.

    >>> common_sizes((2, 5), (3, 5))
    (None, 5)
    """
    return tuple(a if a == b else None for a, b in zip(one, other, strict=True))


def shapes_and_dtypes(
    function: Callable[..., Any], shapes: Sequence[Shape], dtypes: Sequence[str], placement: Placement
) -> tuple[list[Shape], list[str], Any]:
    """The shapes and dtypes of what a function returns for arrays of these, and what it returned, a structure.

    Unknown sizes are tried with two values, then with those of other arrays at their places; ValueError, of the
    function, where it takes none of them.
    """
    try:
        return _tried(function, shapes, dtypes, placement)
    except ValueError:
        aligned = aligned_sizes(shapes)
        if aligned == list(shapes):
            raise
        with contextlib.suppress(ValueError):
            return _tried(function, aligned, dtypes, placement)
        raise


def aligned_sizes(shapes: Sequence[Shape]) -> list[Shape]:
    """Shapes in which an unknown size is that of another shape at its place, counted from the last, if one has one.

    >>> aligned_sizes([(None, 3), (2, None)]), aligned_sizes([(None, 1), (None,)])
    ([(2, 3), (2, 3)], [(None, 1), (None,)])
    """
    rank = max(map(len, shapes), default=0)
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    known = [{size for size in sizes if size not in (None, 1)} for sizes in zip(*padded, strict=True)]
    wanted = [next(iter(sizes)) if len(sizes) == 1 else None for sizes in known]
    return [
        tuple(size if size is not None else wanted[axis] for axis, size in enumerate(shape, rank - len(shape)))
        for shape in shapes
    ]


def _tried(
    function: Callable[..., Any], shapes: Sequence[Shape], dtypes: Sequence[str], placement: Placement
) -> tuple[list[Shape], list[str], Any]:
    def called(batch: int, length: int) -> Any:
        sizes = sizes_for(shapes, batch, length)
        arrays = [placement.asarray(_values(size, dtype), dtype) for size, dtype in zip(sizes, dtypes, strict=True)]
        with placement.computing, np.errstate(all="ignore"):
            return function(*arrays)

    made, length = first_that_fits(shapes, lambda length: called(2, length))
    first = leaves(made)
    known = None not in {n for shape in shapes for n in shape}
    second = first if known else leaves(beside(length, lambda length: called(3, length)))
    return (
        [common_sizes(_shape(a), _shape(b)) for a, b in zip(first, second, strict=True)],
        [_dtype(a) for a in first],
        made,
    )


def _values(size: tuple[int, ...], dtype: str) -> np.ndarray:
    """Ones, and twos on the diagonal of square matrices, which have an inverse then; zeros that are no fractions."""
    if "float" not in dtype:
        return np.zeros(size, dtype)
    values = np.ones(size, dtype)
    return values + np.eye(size[-1], dtype=dtype) if len(size) > 1 and size[-2] == size[-1] else values


def _shape(value: Array) -> tuple[int, ...]:
    return tuple(getattr(value, "shape", ()))


def _dtype(value: Array) -> str:
    return str(getattr(value, "dtype", "float32")).rpartition(".")[2]
