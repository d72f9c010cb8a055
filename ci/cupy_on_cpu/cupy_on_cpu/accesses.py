"""Find conflicting accesses of a kernel's threads, and those outside of its arrays.

With ``CUPY_ON_CPU_RACES=1``, kernels are compiled as for the compiler's own
thread sanitizer, which puts a call before each access to memory; `accesses.cpp`
has the functions that are called.  What is known here is which memory there is:
each allocation by the device, with its exact size, and each variable in shared
memory.
"""

import ctypes
import functools
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import toolchain
from .counters import record
from .streams import RaceError

#: Whether accesses are watched in this process.
ON = os.environ.get("CUPY_ON_CPU_RACES", "0") == "1"
#: Bytes before and after each allocation where nothing else lies.
GUARD = 64 << 10 if ON else 0
#: What tells the emulation's own C++ that accesses are watched.
DEFINITION = ("-DCUPY_ON_CPU_RACES=1",) if ON else ()
#: What watched kernels are compiled with.
COMPILER_OPTIONS = (*DEFINITION, "-fsanitize=thread", "-fno-gnu-unique", "-g1") if ON else ()

_GAP = "cupy_on_cpu_gap_"  # names of variables that watch.h puts beside those in shared memory
_SYMBOL = re.compile(r"^([0-9a-f]+) ([0-9a-f]+) [bBuV] (.+)$", re.MULTILINE)
_ENTRY = re.compile(r"^([0-9a-f]+) .*T (cupy_on_cpu_call_\w+)$", re.MULTILINE)


class BoundsError(RuntimeError):
    """A thread of a kernel uses memory outside of what was allocated, or of a variable in shared memory."""


class _Finding(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_uint64) for name in ("address", "caller", "size", "block", "thread")),
        *((name, ctypes.c_uint64) for name in ("other_block", "other_thread")),
        *((name, ctypes.c_int) for name in ("writes", "other_writes")),
    ]


class _Report(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_uint64) for name in ("accesses", "conflicts", "outside")),
        *((name, _Finding) for name in ("conflict", "beyond")),
    ]


@dataclass
class _Memory:
    """An allocation, or a variable in shared memory, from ``start`` to ``stop``; alone from ``first`` to ``end``."""

    name: str
    first: int
    start: int
    stop: int
    end: int

    def add(self, shared: bool) -> None:
        """Let accesses to it be watched."""
        _watch().cupy_on_cpu_add_memory(self.first, self.start, self.stop, self.end, shared)


class SharedMemory:
    """The variables in shared memory that the kernels of a library have; ``dynamic`` is where the rest of it is."""

    def __init__(self, library: ctypes.PyDLL, dynamic: tuple[int, int]) -> None:
        self.path = library._name
        listing = subprocess.run(["nm", "-nSC", self.path], capture_output=True, text=True, check=True).stdout
        offset, entry = _ENTRY.search(listing).groups()
        #: Where the library lies.
        self.base = ctypes.cast(getattr(library, entry), ctypes.c_void_p).value - int(offset, 16)
        symbols = [(self.base + int(start, 16), int(size, 16), name) for start, size, name in _SYMBOL.findall(listing)]
        scopes = {name.rpartition("::")[0] for _, _, name in symbols if _GAP in name}
        start, size = dynamic
        self._dynamic = _Memory("shared memory", start, start, start, start + size)
        self.variables = [self._dynamic]
        first, follows = None, False  # a gap belongs to the variable that it follows, else to the next one
        for start, size, name in symbols:
            scope, _, variable = name.rpartition("::")
            if _GAP in name and follows:
                self.variables[-1].end = start + size
            elif _GAP in name:
                first = first or start
            else:
                follows = scope in scopes
                if follows:
                    self.variables.append(_Memory(variable, first or start, start, start + size, start + size))
                first = None
        for memory in self.variables:
            memory.add(shared=True)

    def begin_launch(self, dynamic: int) -> None:
        """Watch what is done from now on, with so many bytes of dynamic shared memory."""
        self._dynamic.stop = self._dynamic.start + dynamic
        self._dynamic.add(shared=True)
        _watch().cupy_on_cpu_begin_launch()


_allocations: dict[int, _Memory] = {}


@functools.cache
def _watch() -> ctypes.PyDLL:
    """Return the library that kernels call; those that are loaded later find its functions, and C++'s, by name."""
    source = (Path(__file__).parent / "accesses.cpp").read_text()
    library = ctypes.PyDLL(str(toolchain.build_library("accesses", source)), mode=ctypes.RTLD_GLOBAL)
    library.cupy_on_cpu_add_memory.argtypes = [ctypes.c_uint64] * 4 + [ctypes.c_int]
    library.cupy_on_cpu_remove_memory.argtypes = [ctypes.c_uint64]
    library.cupy_on_cpu_end_launch.restype = ctypes.POINTER(_Report)
    return library


def prepare() -> None:
    """Let each array be an allocation of its own, and kernels find what they call."""
    import cupy

    cupy.cuda.set_allocator(None)
    _watch()


def allocated(start: int, size: int, end: int) -> None:
    """Note memory of the device, up to ``end`` with what alignment added, and with a guard on both sides."""
    _allocations[start] = _Memory("", start - GUARD, start, start + size, end + GUARD)
    _allocations[start].add(shared=False)


def freed(start: int) -> None:
    """Forget memory of the device."""
    if memory := _allocations.pop(start, None):
        _watch().cupy_on_cpu_remove_memory(memory.first)


@dataclass
class Launch:
    """A launch, as far as messages tell of it: ``pointers`` are where the arguments begin, by their names."""

    kernel: str
    shared: SharedMemory
    pointers: list[tuple[str, int]]
    grid: tuple[int, int, int]
    block: tuple[int, int, int]

    def end(self) -> None:
        """Count what was done since it began, and raise what was wrong with it."""
        report = _watch().cupy_on_cpu_end_launch().contents
        record("accesses", report.accesses)
        if report.outside:
            beyond, memory = report.beyond, self._memory_at(report.beyond.address)
            size = memory.stop - memory.start
            raise BoundsError(
                f"{self._what(beyond, memory)}, which has {size} bytes{self._where(beyond, report.outside)}"
            )
        if report.conflicts:
            conflict, memory = report.conflict, self._memory_at(report.conflict.address)
            other = self._thread(conflict.other_thread, conflict.other_block)
            raise RaceError(
                f"{self._what(conflict, memory)}, which {other} {'writes' if conflict.other_writes else 'reads'},"
                f" and no barrier is between the two{self._where(conflict, report.conflicts)}"
            )

    def _what(self, finding: _Finding, memory: _Memory) -> str:
        does = "writes" if finding.writes else "reads"
        first = finding.address - memory.start
        place = f"{finding.size} bytes from byte {first} on of {memory.name or self._argument(memory)}"
        return f"{self.kernel}: {self._thread(finding.thread, finding.block)} {does} {place}"

    def _thread(self, thread: int, block: int) -> str:
        return f"thread {_nth(thread, self.block)} of block {_nth(block, self.grid)}"

    def _memory_at(self, address: int) -> _Memory:
        known = [*self.shared.variables, *_allocations.values()]
        return next(memory for memory in known if memory.first <= address < memory.end)

    def _argument(self, memory: _Memory) -> str:
        names = [name for name, address in self.pointers if memory.start <= address < memory.stop]
        return names[0] if names else "an array that is no argument"

    def _where(self, finding: _Finding, count: int) -> str:
        """Return the line of the source, if it is known, and of how many findings this is the first."""
        address = hex(finding.caller - 1 - self.shared.base)
        command = ["addr2line", "-i", "-e", self.shared.path, address]
        places = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
        source = Path(self.shared.path).with_suffix(".cpp")
        lines = [
            int(number)
            for path, _, number in (p.partition(" ")[0].rpartition(":") for p in places)
            if path == str(source) and number.isdigit()
        ]
        text = f", in `{source.read_text().splitlines()[lines[0] - 1].strip()}`" if lines else ""
        return text + f", the first of {count} such accesses" * (count > 1)


def _nth(index: int, shape: tuple[int, int, int]) -> tuple[int, int, int]:
    return index % shape[0], index // shape[0] % shape[1], index // shape[0] // shape[1]
