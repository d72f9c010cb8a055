"""Arrays in NumPy's .npz files, without pickle, and without believing their headers."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nnx.datasets._files import decoding, read_file, read_stream

_LONGEST_HEADER = 10 + (1 << 16)  # bytes, in version 1.0 of the format


def read_npz(path: Path, names: Sequence[str]) -> list[np.ndarray]:
    """The named arrays of numbers in an .npz file.

    Raises ValueError, naming the file, for anything but a whole archive that has them.
    """
    with decoding(path, "an .npz file of NumPy"), zipfile.ZipFile(io.BytesIO(read_file(path))) as archive:
        missing = [name for name in names if f"{name}.npy" not in archive.namelist()]
        if missing:
            present = ", ".join(name.removesuffix(".npy") for name in archive.namelist()[:20])
            raise ValueError(f"expected the arrays {', '.join(names)}, got {present or 'none'}")
        arrays = []
        for name in names:
            with archive.open(f"{name}.npy") as stream:
                arrays.append(_parse(read_stream(stream), name))
        return arrays


def _parse(data: bytearray, name: str) -> np.ndarray:
    header = io.BytesIO(data[:_LONGEST_HEADER])
    # np.load allocates what the header asks for before it looks at the data; here the data decide.
    version = np.lib.format.read_magic(header)
    if version != (1, 0):  # the later ones are for headers longer than 64 KiB and for names of fields
        raise ValueError(f"{name} is in version {version} of the .npy format, expected (1, 0)")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(header)
    if dtype.kind not in "iuf":
        raise ValueError(f"{name} has dtype {dtype}, expected numbers")
    size = len(data) - header.tell()
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size:
        raise ValueError(f"the header of {name} promises shape {shape} of {dtype}, its data have {size} bytes")
    return np.frombuffer(data, dtype=dtype, offset=header.tell()).reshape(shape, order="F" if is_fortran else "C")
