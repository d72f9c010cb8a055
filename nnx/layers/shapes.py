"""Shapes as users write them, and names as Keras makes them."""

from __future__ import annotations

import re
from collections.abc import Sequence

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
