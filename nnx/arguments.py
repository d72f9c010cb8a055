"""Checks of arguments that several layers take."""

from __future__ import annotations

import math
import numbers
from typing import Any

from nnx.backends.context import DTYPES


def number(layer: str, argument: str, value: Any, *, least: float = -math.inf, most: float = math.inf) -> float:
    """A number as a Python float, which never widens an array as one of NumPy's would. ValueError out of the range."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not least <= float(value) <= most:
        limits = f" from {least:g} to {most:g}" if most < math.inf else ", not negative" if least == 0.0 else ""
        raise ValueError(f"{layer}: {argument} must be a number{limits}, got {value!r}")
    return float(value)


def check_name(name: Any) -> None:
    """ValueError for what cannot be the name of a layer, because it could not be a part of a path."""
    if not isinstance(name, str) or "/" in name:
        raise ValueError(f"the name of a layer must be text without '/', got {name!r}")


def dtype_name(layer: str, dtype: Any) -> str | None:
    """The name of a dtype that was given as "float32" or as NumPy's object."""
    name: str | None = getattr(dtype, "__name__", None) or getattr(dtype, "name", dtype)
    if name is not None and name not in DTYPES:
        raise ValueError(f"{layer}: dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    return name
