"""The IDX format of the MNIST files.

Two zero bytes, a byte for the type of the values, a byte for the number of dimensions, each dimension as a big-endian
32-bit integer, then the values in C order (LeCun, Cortes and Burges, "The MNIST database").
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import IO

import numpy as np

from nnx.datasets._files import Unread, decoding, filled, length_of_rest, opened

_UNSIGNED_BYTE = 0x08
_TYPES = {
    0x08: "unsigned byte",
    0x09: "signed byte",
    0x0B: "int16",
    0x0C: "int32",
    0x0D: "float32",
    0x0E: "float64",
}


def read_idx(path: Path, dimensions: int) -> Unread:
    """The uint8 array in an IDX file, plain or gzip.

    dimensions : how many it must have.

    Raises ValueError, naming the file, for anything but a whole IDX file of unsigned bytes with so many dimensions.
    """

    def read() -> np.ndarray:
        with decoding(path, "an IDX file"), opened(path) as stream:
            stream.read(4 + 4 * dimensions)
            return filled(stream, np.empty(shape, np.uint8))

    with decoding(path, "an IDX file"), opened(path) as stream:
        shape = _shape(stream, dimensions)
        promised, present = math.prod(shape), length_of_rest(stream)
        if promised != present:
            sizes = " x ".join(map(str, shape))
            raise ValueError(f"its header promises {sizes} = {promised} bytes of data, {present} are there")
    return Unread(shape, np.dtype(np.uint8), read)


def _shape(stream: IO[bytes], dimensions: int) -> tuple[int, ...]:
    """What the header says, if it is that of such a file."""
    magic = stream.read(4)
    if len(magic) < 4 or magic[0] or magic[1] or magic[2] not in _TYPES:
        raise ValueError(
            f"expected the magic number 00 00 08 {dimensions:02x}, got {magic.hex(' ') or 'an empty file'}"
        )
    if magic[2] != _UNSIGNED_BYTE:
        raise ValueError(f"expected values of type unsigned byte (0x08), got {_TYPES[magic[2]]} ({magic[2]:#04x})")
    if magic[3] != dimensions:
        raise ValueError(
            f"expected {dimensions} dimensions, got {magic[3]} (images have 3, labels 1: are the files swapped?)"
        )
    sizes = stream.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise ValueError(f"expected a header of {4 + 4 * dimensions} bytes, the file ends after {4 + len(sizes)}")
    return struct.unpack(f">{dimensions}I", sizes)
