"""Shapes as users write them, and names as Keras makes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

Shape = tuple[int | None, ...]
"""The shape of a batch; None stands for a size that is not known, as that of the batch axis."""


def snake_case(name: str) -> str:
    """ "LeakyReLU" -> "leaky_re_lu", as Keras names layers."""
    spaced = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", spaced).lower()


def check_shape(shape: Sequence[int | None], what: str) -> Shape:
    """A shape as a tuple; ValueError if a size is not a non-negative integer or None."""
    if isinstance(shape, str | bytes) or not hasattr(shape, "__iter__"):
        raise TypeError(f"{what} must be a tuple of sizes, such as (None, 784), got {shape!r}")
    sizes = tuple(shape)
    for size in sizes:
        if size is not None and (isinstance(size, bool) or not hasattr(size, "__index__") or size < 0):
            raise ValueError(f"{what} must be made of non-negative integers or None, got {sizes}")
    return tuple(None if size is None else size.__index__() for size in sizes)


def check_shapes(shapes: Any, what: str) -> Any:
    """`check_shape` of one shape, or of each in a list."""
    if isinstance(shapes, list) and shapes and isinstance(shapes[0], list | tuple):
        return [check_shape(shape, what) for shape in shapes]
    return check_shape(shapes, what)


def is_shape(value: Any) -> bool:
    """Whether a value is one shape, and not several."""
    return all(size is None or isinstance(size, int) for size in value)


def as_shapes(shapes: Any) -> list[Shape]:
    """One shape, or several, as a list."""
    return [shapes] if is_shape(shapes) else list(shapes)


def name_uniquely(layer: Any, taken: dict[str, Any], owner: str) -> None:
    """Give a layer a name that no other one in `taken` has, by a number; ValueError if the user has named both."""
    if taken.get(layer.name, layer) is not layer:
        if layer.named_by_user:
            raise ValueError(f"{owner}: a layer named {layer.name!r} is already there; names must be unique")
        base, number = layer.name, 1
        while f"{base}_{number}" in taken:
            number += 1
        layer.name = f"{base}_{number}"
    taken[layer.name] = layer
