"""The namespace of recorded arrays, complete: the names of the Array API standard."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from nnx.backends.base import backend_of, is_array
from nnx.onnx import creation, elementwise, layout, products, reductions
from nnx.onnx.array import RecordedArray, give_operators
from nnx.onnx.size import Size
from nnx.onnx.standard import ELEMENT_TYPES, host, xp

__all__ = ["xp"]

FILES = (creation, elementwise, layout, products, reductions)
"""What has filled it, each by its import."""


def _dtype(kind: Any) -> Any:
    return kind.dtype if isinstance(kind, RecordedArray) else np.dtype(kind)


def _missing(name: str) -> NoReturn:
    raise AttributeError(f"{name} is not exported to ONNX")


def _is_operand(value: Any) -> bool:
    """Numbers, sizes and plain arrays of any library; tracked ones record themselves."""
    if isinstance(value, bool | int | float | Size):
        return True
    return is_array(value) and backend_of(value).plain is backend_of(value)


for _name in ELEMENT_TYPES:
    setattr(xp, _name, np.dtype(_name))
for _name in ("e", "inf", "nan", "newaxis", "pi"):
    setattr(xp, _name, getattr(np, _name))
xp.isdtype = lambda dtype, kind: host().isdtype(dtype, kind)
xp.can_cast = lambda source, to: host().can_cast(_dtype(source), to)
xp.finfo = lambda kind: np.finfo(_dtype(kind))
xp.iinfo = lambda kind: np.iinfo(_dtype(kind))
xp.__array_namespace_info__ = lambda: host().__array_namespace_info__()
xp.__array_api_version__ = "2024.12"
xp.__getattr__ = _missing
give_operators(xp, _is_operand)
