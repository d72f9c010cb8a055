"""Arrays in NumPy's .npz files, without Python's pickle, and without believing their headers."""

from __future__ import annotations

import contextlib
import math
import zipfile
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from nnx.datasets import _files
from nnx.datasets._files import Unread, decoding, filled, length_of_rest
from nnx.datasets._pickle import MANY_STEPS, Described, integers_in, unpickled
from nnx.names import shortened

_KIND = "an .npz file of NumPy"
_SPARE_BYTES = 2 << 20  # that lists may unfold to, however small their file is, and beside that
_MOST_TIMES = 4  # as many as it has; 2 for IMDB and Reuters


def read_npz(path: Path, names: Sequence[str]) -> list[Unread]:
    """The named arrays of numbers in an .npz file.

    Raises ValueError, naming the file, for anything but a whole archive that has them, and for arrays of more than
    MOST_BYTES together.
    """
    with _opened(path, names, _files.MOST_BYTES) as archive:
        return [_unread(path, archive, name) for name in names]


def read_lists(path: Path, name: str) -> list[np.ndarray]:
    """The lists of integers in an array of objects in an .npz file, each as an int64 array.

    Raises ValueError, naming the file, for anything else.
    """
    most_bytes = _SPARE_BYTES + _MOST_TIMES * path.stat().st_size
    with _opened(path, [name], most_bytes) as archive, archive.open(f"{name}.npy") as stream:
        shape, _, _ = _header(stream, name, "O")
        content = unpickled(stream, archive.getinfo(f"{name}.npy").file_size, MANY_STEPS)
        length_of_rest(stream)
        if not isinstance(content, Described) or content.objects is None or shape != (len(content.objects),):
            raise ValueError(f"{name} is no array of lists")
        numbers, ends = array("i"), []
        for position, described in enumerate(content.objects):
            found = integers_in(described)
            if found is None:
                raise ValueError(f"{name} has something at {position} that is no list of integers")
            numbers.extend(found)
            ends.append(len(numbers))
            if len(numbers) > most_bytes:
                raise ValueError(f"{name} has the same list many times")
        del content
        return np.split(np.asarray(numbers, np.int64), ends[:-1]) if ends else []


@contextlib.contextmanager
def _opened(path: Path, names: Sequence[str], most_bytes: int) -> Iterator[zipfile.ZipFile]:
    """An archive that has those arrays, of at most that size together."""
    with decoding(path, _KIND), zipfile.ZipFile(path) as archive:
        missing = [name for name in names if f"{name}.npy" not in archive.namelist()]
        if missing:
            present = shortened(", ".join(name.removesuffix(".npy") for name in archive.namelist()[:20]))
            raise ValueError(f"expected the arrays {', '.join(names)}, got {present or 'none'}")
        members = [archive.getinfo(f"{name}.npy") for name in names]
        size = sum(member.file_size for member in members)
        if size > most_bytes:
            raise ValueError(f"it holds {size >> 20} MiB of data, more than {most_bytes >> 20}")
        if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
            raise ValueError("it is compressed in another way than NumPy does it")
        if not all(0 <= member.header_offset < path.stat().st_size for member in members):
            raise zipfile.BadZipFile("an array is not in the file")
        yield archive


def _unread(path: Path, archive: zipfile.ZipFile, name: str) -> Unread:
    """An array that has turned out to be whole."""

    def read() -> np.ndarray:
        with decoding(path, _KIND), zipfile.ZipFile(path) as again, again.open(f"{name}.npy") as stream:
            _, order, _ = _header(stream, name)
            return filled(stream, np.empty(math.prod(shape), dtype)).reshape(shape, order=order)

    with archive.open(f"{name}.npy") as stream:
        shape, _, dtype = _header(stream, name)
        size = length_of_rest(stream)
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size:
        raise ValueError(f"the header of {name} promises shape {shape} of {dtype}, its data have {size} bytes")
    return Unread(shape, dtype, read)


def _header(stream: IO[bytes], name: str, kinds: str = "iuf") -> tuple[tuple[int, ...], Any, np.dtype[Any]]:
    """The shape of an array, its order, and its dtype."""
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):  # the later ones are for headers longer than 64 KiB and for names of fields
        raise ValueError(f"{name} is in version {version} of the .npy format, expected (1, 0)")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.kind not in kinds:
        raise ValueError(f"{name} has dtype {dtype}, expected {'lists of integers' if kinds == 'O' else 'numbers'}")
    return shape, "F" if is_fortran else "C", dtype
