"""Kernels for ONNX, a file a subject. Importing this package imports all of them, and so fills its table."""

import importlib
import pkgutil

from nnx.kernels.onnx import table

__all__ = ["KERNELS"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

KERNELS = table.KERNELS  # at the end: who finds it finds it complete
