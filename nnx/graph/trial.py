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

_LENGTHS = (8, 64, 256)
"""What stands for sizes that are not known, beside that of the batch, when something is tried out."""


def sizes_for(shapes: Sequence[Shape], batch: int, length: int) -> list[tuple[int, ...]]:
    """Shapes with sizes in place of None: `batch` for the first axis, `length` for others.

    >>> sizes_for([(None, None, 3)], 2, 8)
    [(2, 8, 3)]
    """
    return [tuple((length if axis else batch) if n is None else n for axis, n in enumerate(s)) for s in shapes]


def first_that_fits(shapes: Sequence[Shape], function: Callable[[int], T]) -> tuple[T, int]:
    """What a function returns for the first length of unknown sizes that it takes, and that length.

    ValueError, of the function, where it takes none of them: windows may be longer than some.
    """
    lengths = _LENGTHS if any(None in shape[1:] for shape in shapes) else _LENGTHS[:1]
    for length in lengths[:-1]:
        with contextlib.suppress(ValueError):
            return function(length), length
    return function(lengths[-1]), lengths[-1]


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

    Unknown sizes are tried with two values; ValueError, of the function, where it takes none of them.
    """

    def called(batch: int, length: int) -> Any:
        arrays = [
            placement.zeros(size, dtype) if dtype == "bool" else placement.zeros(size, dtype) + 1
            for size, dtype in zip(sizes_for(shapes, batch, length), dtypes, strict=True)
        ]
        arrays = [x if "float" in dtype else x * 0 for x, dtype in zip(arrays, dtypes, strict=True)]
        with placement.computing, np.errstate(all="ignore"):
            return function(*arrays)

    made, length = first_that_fits(shapes, lambda length: called(2, length))
    first = leaves(made)
    known = None not in {n for shape in shapes for n in shape}
    second = first if known else leaves(called(3, length + 1))
    return (
        [common_sizes(_shape(a), _shape(b)) for a, b in zip(first, second, strict=True)],
        [_dtype(a) for a in first],
        made,
    )


def _shape(value: Array) -> tuple[int, ...]:
    return tuple(getattr(value, "shape", ()))


def _dtype(value: Array) -> str:
    return str(getattr(value, "dtype", "float32")).rpartition(".")[2]
