"""Arrays in NumPy's .npz files, without pickle, and without believing their headers."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nnx.datasets._files import decoding, read_file, read_stream


def read_npz(path: Path, names: Sequence[str]) -> list[np.ndarray]:
    """The named arrays of numbers in an .npz file.

    Raises ValueError, naming the file, for anything but a whole archive that has them.
    """
    with decoding(path, "an .npz file of NumPy"), zipfile.ZipFile(read_file(path)) as archive:
        missing = [name for name in names if f"{name}.npy" not in archive.namelist()]
        if missing:
            present = ", ".join(name.removesuffix(".npy") for name in archive.namelist()[:20])
            raise ValueError(f"expected the arrays {', '.join(names)}, got {present or 'none'}")
        arrays = []
        for name in names:
            with archive.open(f"{name}.npy") as stream:
                arrays.append(_parse(read_stream(stream), name))
        return arrays


def _parse(content: io.BytesIO, name: str) -> np.ndarray:
    # np.load allocates what the header asks for before it looks at the data; here the data decide.
    version = np.lib.format.read_magic(content)
    if version != (1, 0):  # the later ones are for headers longer than 64 KiB and for names of fields
        raise ValueError(f"{name} is in version {version} of the .npy format, expected (1, 0)")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(content)
    if dtype.kind not in "iuf":
        raise ValueError(f"{name} has dtype {dtype}, expected numbers")
    data = content.getbuffer()[content.tell() :]
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"the header of {name} promises shape {shape} of {dtype}, its data have {len(data)} bytes")
    return np.frombuffer(data, dtype=dtype).reshape(shape, order="F" if is_fortran else "C")
