"""Kernels for NumPy, a file a subject. Importing this package imports all of them, and they register themselves."""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
