"""Memory of the process on the host, measured."""

from __future__ import annotations

import math
import os
import sys

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


def resident_bytes() -> int | None:
    """The memory of this process that is in RAM: now on Linux, the most it has been on macOS; None elsewhere."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss if sys.platform == "darwin" else None


def free_bytes() -> float:
    """The memory that processes can still have, with what the system would give back; else infinite."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file)
        return int(lines["MemAvailable"].split()[0]) * 1024.0
    except (OSError, LookupError, ValueError):  # no Linux
        return math.inf


def bytes_of_machine() -> float:
    """All the memory that there is for processes, used or not: of the machine, or of the container; else infinite."""
    try:
        machine: float = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return math.inf
    try:
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as file:
            return min(machine, float(file.read().replace("max", "inf")))
    except (OSError, ValueError):
        return machine
