"""On what a benchmark ran, how long, and how much memory it had."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from nnx.backends.processor import processor


def describe_machine(*modules: ModuleType) -> str:
    """The processor, Python, versions of modules, the BLAS that NumPy was built with, and what threads there are."""
    versions = ", ".join(f"{module.__name__} {module.__version__}" for module in modules)
    built: Any = np.show_config(mode="dicts")
    blas = built["Build Dependencies"]["blas"]["name"]
    pools = ", ".join(
        f"{pool['internal_api']} {pool.get('version')} ({pool.get('architecture', '?')}, {pool['num_threads']} threads)"
        for pool in threadpool_info()
    )
    return (
        f"{processor()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}\n"
        f"{versions}; NumPy's BLAS {blas}; {pools}"
    )


def seconds(step: Callable[[], object], repeats: int) -> float:
    """The time of one call, from so many."""
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    return (time.perf_counter() - start) / repeats


def resident_mb(what: str) -> float:
    """VmRSS now, or VmHWM, the most so far, or since `forget_peak`. On Linux."""
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[what].split()[0]) / 1000


def forget_peak() -> None:
    """Let the most memory so far be that of now."""
    Path("/proc/self/clear_refs").write_text("5")
