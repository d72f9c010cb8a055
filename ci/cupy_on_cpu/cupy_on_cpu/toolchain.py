"""Compile C++ with the host compiler, once per content, into a cache on disk."""

import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

#: Kernels run on small arrays once compiled: -O1 takes a fifth less time to
#: compile than -O2, and a third of -O0, which keeps what the templates make.
#: CUDA code relies on wrapping integers and on reinterpreting memory, and no
#: kernel may interpose, or be interposed by, a function of the C library.
FLAGS = (
    "-std=c++17",
    "-O1",
    "-fPIC",
    "-w",
    "-fwrapv",
    "-fno-strict-aliasing",
    "-ffp-contract=off",
)
LINK_FLAGS = ("-shared", "-Wl,-Bsymbolic")

_locks: dict[Path, threading.Lock] = {}  # one for each file, so that threads that want the same compile it once


class CompilationError(RuntimeError):
    """The host compiler rejected the source; the text is its log."""


def find_compiler() -> str | None:
    """Return the path of the C++ compiler, or None."""
    return shutil.which(os.environ.get("CUPY_ON_CPU_CXX", "g++"))


def cache_directory() -> Path:
    """Return the folder of the cache, creating it if needed."""
    configured = os.environ.get("CUPY_ON_CPU_CACHE")
    if configured:
        path = Path(configured)
    else:
        user_cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        path = Path(user_cache) / "cupy_on_cpu"
    path.mkdir(parents=True, exist_ok=True)
    return path.absolute()


@functools.cache
def compiler_version() -> str:
    """Return what the compiler says about itself."""
    command = [find_compiler(), "--version"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def digest(*parts: object) -> str:
    """Return a name for content that also depends on compiler and flags."""
    text = repr((compiler_version(), FLAGS, LINK_FLAGS, parts))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def build_library(
    stem: str,
    source: str,
    options: tuple[str, ...] = (),
    header: Path | None = None,
    folders: tuple[Path, ...] = (),
) -> Path:
    """Compile ``source`` to a shared library, unless the cache has it.

    ``header`` is included first; see build_header, also for ``folders``.
    """
    name = f"{stem}-{digest(source, options, header and header.parent.name)}"
    library = cache_directory() / f"{name}.so"
    with _locks.setdefault(library, threading.Lock()):
        if not library.exists():
            # The source is kept beside the library, for debuggers.
            source_file = library.with_suffix(".cpp")
            write_atomically(source_file, source)
            include = ("-include", str(header)) if header else ()
            _compile([*LINK_FLAGS, *include, *_searching(folders), *options, str(source_file)], library)
    return library


def build_header(stem: str, text: str, options: tuple[str, ...], version: str, folders: tuple[Path, ...]) -> Path:
    """Write and precompile a header, unless the cache has it.

    Parsing CuPy's headers takes most of a kernel's compilation; precompiled,
    they make it about four times faster.  ``version`` stands for the content
    of ``folders``, where includes are searched: wherever these lie, as in one
    virtual environment after the other, what was compiled is found again.
    """
    folder = cache_directory() / f"{stem}-{digest(text, options, version)}"
    header = folder / f"{stem}.h"
    precompiled = folder / f"{stem}.h.gch"
    with _locks.setdefault(precompiled, threading.Lock()):
        if not precompiled.exists():
            folder.mkdir(exist_ok=True)
            write_atomically(header, text)
            _compile(["-x", "c++-header", *_searching(folders), *options, str(header)], precompiled)
    return header


def _searching(folders: tuple[Path, ...]) -> list[str]:
    return [f"-I{folder}" for folder in folders]


def _compile(arguments: list[str], output: Path) -> None:
    # Several processes may build the same file at once: write apart, then rename.
    with tempfile.TemporaryDirectory(dir=output.parent) as scratch:
        result = Path(scratch) / output.name
        command = [find_compiler(), *FLAGS, *arguments, "-o", str(result)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise CompilationError(done.stderr)
        os.replace(result, output)


def write_atomically(path: Path, text: str) -> None:
    """Write a file that other processes may be reading or writing."""
    descriptor, scratch = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    os.replace(scratch, path)
