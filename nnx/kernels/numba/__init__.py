"""Kernels that numba compiles, a file a subject: with `pip install 'nnx-array[fast]'`, for large arrays of NumPy.

They stand in front of NumPy's kernels, which do the same in several passes over memory. Importing this package imports
all of them, and so fills its tables; numba itself is imported, and compiles, when the first large array comes.
"""

import importlib
import pkgutil

from nnx.kernels.numba import table

__all__ = ["FOR_LARGE_ARRAYS", "KERNELS"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

KERNELS, FOR_LARGE_ARRAYS = table.KERNELS, table.FOR_LARGE_ARRAYS  # at the end: who finds them finds them complete
