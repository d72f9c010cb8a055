"""Arrays in NumPy's .npz files, without pickle, and without believing their headers."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from nnx.datasets import _files
from nnx.datasets._files import Unread, decoding, filled, length_of_rest
from nnx.names import shortened

_KIND = "an .npz file of NumPy"


def read_npz(path: Path, names: Sequence[str]) -> list[Unread]:
    """The named arrays of numbers in an .npz file.

    Raises ValueError, naming the file, for anything but a whole archive that has them, and for arrays of more than
    MOST_BYTES together.
    """
    with decoding(path, _KIND), zipfile.ZipFile(path) as archive:
        missing = [name for name in names if f"{name}.npy" not in archive.namelist()]
        if missing:
            present = shortened(", ".join(name.removesuffix(".npy") for name in archive.namelist()[:20]))
            raise ValueError(f"expected the arrays {', '.join(names)}, got {present or 'none'}")
        members = [archive.getinfo(f"{name}.npy") for name in names]
        size = sum(member.file_size for member in members)
        if size > _files.MOST_BYTES:
            raise ValueError(f"it holds {size >> 20} MiB of data, more than {_files.MOST_BYTES >> 20}")
        if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
            raise ValueError("it is compressed in another way than NumPy does it")
        if not all(0 <= member.header_offset < path.stat().st_size for member in members):
            raise zipfile.BadZipFile("an array is not in the file")
        return [_unread(path, archive, name) for name in names]


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


def _header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], Any, np.dtype[Any]]:
    """The shape of an array, its order, and its dtype."""
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):  # the later ones are for headers longer than 64 KiB and for names of fields
        raise ValueError(f"{name} is in version {version} of the .npy format, expected (1, 0)")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.kind not in "iuf":
        raise ValueError(f"{name} has dtype {dtype}, expected numbers")
    return shape, "F" if is_fortran else "C", dtype
