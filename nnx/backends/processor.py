"""Name of the processor that the host computes with."""

from __future__ import annotations

import platform


def processor() -> str:
    """The processor's name on Linux, elsewhere what Python knows of it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
