"""Shapes as users write them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from nnx.arguments import is_integer

__all__ = [
    "Shape",
    "Sizes",
    "are_of_shapes",
    "as_shapes",
    "behind_batch",
    "broadcast_shapes",
    "check_shape",
    "check_shapes",
    "fit_axes",
    "format_shape",
    "is_shape",
    "of_shapes",
    "same_leading_axes",
]

Check = TypeVar("Check", bound=Callable[..., None])

Shape = tuple[int | None, ...]
"""The shape of a batch; None stands for a size that is not known, as that of the batch axis."""

Sizes = int | Sequence[int]
"""A size for each axis, as of a window, or one number for all."""


def check_shape(shape: Sequence[int | None], what: str) -> Shape:
    """A shape as a tuple; TypeError for what is none, ValueError if a size is not a non-negative integer or None.

    what : the argument, for the error.

    >>> check_shape([None, 784], "input_shape")
    (None, 784)
    """
    if isinstance(shape, str | bytes) or not hasattr(shape, "__iter__"):
        raise TypeError(f"{what} must be a tuple of sizes, such as (None, 784), got {shape!r}")
    sizes = tuple(shape)
    for size in sizes:
        if size is not None and not is_integer(size, least=0):
            raise ValueError(f"{what} must be made of non-negative integers or None, got {sizes}")
    return tuple(None if size is None else size.__index__() for size in sizes)


def check_shapes(shapes: Any, what: str) -> Any:
    """`check_shape` of one shape, or of each in a list.

    >>> check_shapes([4], "input_shape"), check_shapes([[None, 4], [None, 8]], "input_shape")
    ((4,), [(None, 4), (None, 8)])
    """
    if isinstance(shapes, list) and shapes and isinstance(shapes[0], list | tuple):
        return [check_shape(shape, what) for shape in shapes]
    return check_shape(shapes, what)


def same_leading_axes(one: Shape, other: Shape, stop: int) -> bool:
    """Whether the axes of two shapes up to one of them are of equal sizes, where these are known.

    >>> same_leading_axes((2, None, 5), (2, 3, 4), 2), same_leading_axes((2, 5), (1, 5), 1)
    (True, False)
    """
    pairs = zip(one[:stop], other[:stop], strict=False)
    return all(None in pair or pair[0] == pair[1] for pair in pairs)


def is_shape(value: Any) -> bool:
    """Whether a value is one shape, and not several.

    >>> is_shape((None, 4)), is_shape([(None, 4), (None, 8)])
    (True, False)
    """
    # sizes may be open ones
    return isinstance(value, (list, tuple)) and not any(isinstance(part, list | tuple) for part in value)


def as_shapes(shapes: Any) -> list[Shape]:
    """One shape, or several, as a list.

    >>> as_shapes((None, 4)), as_shapes(((None, 4), (None, 8)))
    ([(None, 4)], [(None, 4), (None, 8)])
    """
    return [shapes] if is_shape(shapes) else list(shapes)


def fit_axes(shape: Shape, expected: Shape) -> Shape:
    """A shape with a last axis of length one more or less, as Keras' models take it, where it then is as expected.

    >>> fit_axes((8, 6, 1), (None, 6)), fit_axes((8, 3), (None, 3, 1)), fit_axes((8, 5, 1), (None, 6))
    ((8, 6), (8, 3, 1), (8, 5, 1))
    """
    fitted = shape
    if len(shape) == len(expected) + 1 and shape[-1] == 1:
        fitted = shape[:-1]
    elif len(shape) == len(expected) - 1 and expected[-1] == 1:
        fitted = (*shape, 1)
    pairs = zip(fitted, expected, strict=False)
    return fitted if all(None in (given, wanted) or given == wanted for given, wanted in pairs) else shape


def behind_batch(axes: Any) -> bool:
    """Whether axes, given as one number or several, are certainly not that of the batch.

    >>> behind_batch(-1), behind_batch([1, 2]), behind_batch(0), behind_batch(None)
    (True, True, False, False)
    """
    several = axes if isinstance(axes, (list, tuple)) else [axes]
    return all(is_integer(axis, least=-1) and axis != 0 for axis in several)


def format_shape(shape: tuple[Any, ...] | None) -> str:
    """A shape, or several, as a summary and a drawing show them.

    >>> format_shape((None, 64)), format_shape(((None, 4), (None, 8))), format_shape(None)
    ('(None, 64)', '[(None, 4), (None, 8)]', '?')
    """
    if shape is None:
        return "?"
    if shape and all(isinstance(one, tuple) for one in shape):
        return f"[{', '.join(map(format_shape, shape))}]"
    return f"({', '.join(map(str, shape))})"


def broadcast_shapes(first: Shape, second: Shape, name: str) -> Shape:
    """The shape of an element-wise result; sizes that are not known stay None unless the other is known.

    name : of the layer or the operation, for the ValueError of shapes that do not fit together.

    >>> broadcast_shapes((None, 1, 3), (5, 3), "add")
    (None, 5, 3)
    """
    length = max(len(first), len(second))
    sizes: list[int | None] = []
    for one, other in zip((1,) * (length - len(first)) + first, (1,) * (length - len(second)) + second, strict=True):
        if one == 1 or one is None:
            sizes.append(other if one == 1 or other not in (1, None) else one)
        elif other in (1, None, one):
            sizes.append(one)
        else:
            raise ValueError(f"{name}: the shapes {first} and {second} do not fit together")
    return tuple(sizes)


def of_shapes(check: Check) -> Check:
    """Decorator: a check that depends on shapes alone, so that what was fine once is fine again.

    >>> @of_shapes
    ... def check_targets(y_true, output_shape):
    ...     assert y_true.shape == output_shape
    >>> are_of_shapes(check_targets), are_of_shapes(print)
    (True, False)
    """
    check.of_shapes = True  # type: ignore[attr-defined]
    return check


def are_of_shapes(check: Callable[..., None]) -> bool:
    """Whether a check was decorated by `of_shapes`; one that overrides such a check is another one."""
    return getattr(check, "of_shapes", False)
