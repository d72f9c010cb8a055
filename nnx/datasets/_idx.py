"""The IDX format of the MNIST files.

Two zero bytes, a byte for the type of the values, a byte for the number of dimensions, each dimension as a big-endian
32-bit integer, then the values in C order (LeCun, Cortes and Burges, "The MNIST database").
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np

from nnx.datasets._files import decoding, read_file

_UNSIGNED_BYTE = 0x08
_TYPES = {
    0x08: "unsigned byte",
    0x09: "signed byte",
    0x0B: "int16",
    0x0C: "int32",
    0x0D: "float32",
    0x0E: "float64",
}


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """The uint8 array in an IDX file, plain or gzip.

    dimensions : how many it must have.

    Raises ValueError, naming the file, for anything but a whole IDX file of unsigned bytes with so many dimensions.
    """
    with decoding(path, "an IDX file"):
        return _parse(read_file(path), dimensions)


def _parse(data: bytearray, dimensions: int) -> np.ndarray:
    if len(data) < 4 or data[0] or data[1] or data[2] not in _TYPES:
        raise ValueError(
            f"expected the magic number 00 00 08 {dimensions:02x}, got {bytes(data[:4]).hex(' ') or 'an empty file'}"
        )
    if data[2] != _UNSIGNED_BYTE:
        raise ValueError(f"expected values of type unsigned byte (0x08), got {_TYPES[data[2]]} ({data[2]:#04x})")
    if data[3] != dimensions:
        raise ValueError(
            f"expected {dimensions} dimensions, got {data[3]} (images have 3, labels 1: are the files swapped?)"
        )
    start = 4 + 4 * dimensions
    if len(data) < start:
        raise ValueError(f"expected a header of {start} bytes, the file ends after {len(data)}")
    shape = struct.unpack_from(f">{dimensions}I", data, 4)
    promised, present = math.prod(shape), len(data) - start
    if promised != present:
        sizes = " x ".join(map(str, shape))
        raise ValueError(f"its header promises {sizes} = {promised} bytes of data, {present} are there")
    return np.frombuffer(data, dtype=np.uint8, offset=start).reshape(shape)
