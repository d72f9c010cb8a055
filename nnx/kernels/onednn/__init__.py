"""Kernels of oneDNN, a file a subject: with `pip install 'nnx-array[fast]'`, for large arrays of NumPy in float32."""

import importlib
import pkgutil

from nnx.kernels.onednn import table

__all__ = ["FOR_LARGE_ARRAYS", "KERNELS"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

KERNELS, FOR_LARGE_ARRAYS = table.KERNELS, table.FOR_LARGE_ARRAYS  # at the end: who finds them finds them complete
