"""Table of ONNX' kernels, which the other files of this package fill, and what they have in common.

A kernel makes the node that ONNX has for a function. Where it accepts no float64, onnxruntime has no such node for it.
"""

from __future__ import annotations

from typing import Any, NoReturn

from nnx.backends.base import Array, BackendKernel

KERNELS: dict[str, BackendKernel] = {}
"""By the name of the generic function."""


def has_node(x: Array, *args: Any, **options: Any) -> bool:
    """Whether the first argument is of a dtype for which onnxruntime has all nodes."""
    return str(x.dtype) in ("float16", "float32")


def no_pullback(dy: Any, *args: Any, **options: Any) -> NoReturn:
    """In place of a pullback: nobody differentiates what is exported."""
    raise TypeError("an exported graph has no derivatives")
