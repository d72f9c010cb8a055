"""On what a benchmark ran."""

from __future__ import annotations

import os
import platform
from types import ModuleType

from threadpoolctl import threadpool_info

from nnx.backends.processor import processor


def describe_machine(*modules: ModuleType) -> str:
    """The processor, Python, the versions of modules, and the BLAS that NumPy uses."""
    versions = ", ".join(f"{module.__name__} {module.__version__}" for module in modules)
    blas = ", ".join(
        f"{pool['internal_api']} {pool.get('version')} ({pool.get('architecture', '?')}, {pool['num_threads']} threads)"
        for pool in threadpool_info()
    )
    return (
        f"{processor()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}\n"
        f"{versions}; {blas}"
    )
