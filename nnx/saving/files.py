"""safetensors files: written so that a crash leaves the old file or the new one, read with errors that help.

The format is that of the package safetensors, whose files are read and which reads these. It is written here because
a file of the same content has to have the same bytes, and read here because a memory map, as the package makes it, ends
the process where another one cuts the file short. See https://huggingface.co/docs/safetensors for the format.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from nnx import ranks
from nnx.descriptions import TooLargeError, parsed
from nnx.file_targets import naming, replacing
from nnx.names import shortened

_CHECKSUM = "nnx-checksum"
_CRC = "crc32:"
_METADATA = "__metadata__"
_LONGEST_HEADER = 100_000_000  # of a safetensors file, in bytes
_MOST_AXES = 64  # of an array of NumPy
_DTYPES = {
    **{name: np.dtype(f"<u{size}") for name, size in (("U8", 1), ("U16", 2), ("U32", 4), ("U64", 8))},
    **{name: np.dtype(f"<i{size}") for name, size in (("I8", 1), ("I16", 2), ("I32", 4), ("I64", 8))},
    **{name: np.dtype(f"<f{size}") for name, size in (("F16", 2), ("F32", 4), ("F64", 8))},
    "BOOL": np.dtype("?"),
    "C64": np.dtype("<c8"),
}
_HALF = "BF16"  # the upper half of a float32, which NumPy does not have
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_FOREIGN = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file, as older versions of Keras write them",
    b"PK\x03\x04": "a zip archive, such as Keras's .keras or PyTorch's .pt files",
    b"\x80": "a pickle, which nnx does not read because it could run any code",
    b"\x1f\x8b": "compressed with gzip",
}


class _UnknownDtypeError(ValueError):
    """Numbers of a kind that nnx does not compute with."""


def write_file(
    path: str | os.PathLike[str],
    arrays: Mapping[str, np.ndarray],
    metadata: Mapping[str, str],
    previous: Path | None = None,
) -> None:
    """Write arrays and text under their names, to a temporary file that then takes the place of the file.

    previous : what the file that was there until now is called from now on; by default it is gone.

    Equal contents are equal bytes. Whenever the process is killed or the power fails, the old file or the new one is
    there, whole, under one of the two names; what else is promised is said by `nnx.file_targets.replacing`. Of several
    ranks only the first writes.
    """
    if not ranks.is_main():
        return
    little = {name: _little_endian(name, array) for name, array in arrays.items()}
    # those of the longest numbers first, so that every array begins at a multiple of what its numbers take
    ordered = dict(sorted(little.items(), key=lambda item: (-item[1].itemsize, item[0])))
    header = _header(ordered, {**metadata, _CHECKSUM: _checksum(little, metadata)})
    with replacing(path, previous) as new, new.open("xb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for array in ordered.values():
            file.write(array.reshape(-1).view(np.uint8).data)


def _little_endian(name: str, array: np.ndarray) -> np.ndarray:
    dtype = array.dtype.newbyteorder("<")
    if dtype not in _NAMES:
        raise TypeError(f"{name} is of dtype {array.dtype}, which a safetensors file cannot have")
    return np.asarray(array, dtype, order="C")


def _header(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    entries: dict[str, Any] = {_METADATA: dict(sorted(metadata.items()))}
    start = 0
    for name, array in arrays.items():
        stop = start + array.nbytes
        entries[name] = {"dtype": _NAMES[array.dtype], "shape": array.shape, "data_offsets": (start, stop)}
        start = stop
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > _LONGEST_HEADER:
        raise ValueError(f"the description of the model has {len(text)} bytes, more than a safetensors file can have")
    return text


def read_file(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays and the text of a safetensors file. Numbers in bfloat16 become float32, which holds all of them.

    FileNotFoundError if there is none, IsADirectoryError for a folder, OSError for a pipe and the like; ValueError,
    with what is wrong, if it is damaged, of another kind, or changes while it is read.
    """
    path = Path(path)
    if (path / "saved_model.pb").is_file():
        raise IsADirectoryError(
            f"cannot read {path}: it is a SavedModel of TensorFlow, which nnx does not read; load it there, and save "
            f"it under a name that ends in .keras or .h5"
        )
    if path.is_dir():
        raise IsADirectoryError(f"cannot read {path}: it is a folder; give the name of a file in it")
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if not path.is_file():
        raise OSError(f"cannot read {path}: it is a pipe, a device or a socket, no file")
    with naming(path), path.open("rb", buffering=0) as file:
        before = _version(file)
        try:
            arrays, metadata = _contents(file, before[0])
        except (_UnknownDtypeError, TooLargeError) as error:
            raise ValueError(f"cannot read {path}: {error}") from None
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
            what = shortened(f"{type(error).__name__}: {error}")
            reason = _kind(path) or f"it is empty, truncated or not a safetensors file ({what})"
            raise ValueError(f"cannot read {path}: {reason}") from None
        checksum = metadata.pop(_CHECKSUM, None)  # files of other programs have none
        check = _checksum if str(checksum).startswith(_CRC) else _old_checksum
        is_damaged = checksum is not None and checksum != check(arrays, metadata)
        if _version(file) != before:
            raise ValueError(f"cannot read {path}: it was written to while it was read; read it again")
    if is_damaged:
        raise ValueError(f"cannot read {path}: it is damaged, what is in it is not what was written (wrong checksum)")
    return arrays, metadata


def _version(file: IO[bytes]) -> tuple[int, int]:
    """The size of a file and the time of its last change."""
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


def _kind(path: Path) -> str | None:
    """What a file is that is not a safetensors file, if its first bytes say so."""
    with path.open("rb") as raw:
        start = raw.read(8)
    if start.startswith(b"\x80") and int.from_bytes(start, "little") < _LONGEST_HEADER:
        return None  # it begins with the length of a header, as a safetensors file does
    if start.startswith(b"{") and start.isascii() and start.decode().replace("\n", " ").isprintable():
        return (
            "it is a text of JSON; weights in several files, .weights.json, are not read: save them in one, .weights.h5"
        )
    return next((f"it is {text}" for magic, text in _FOREIGN.items() if start.startswith(magic)), None)


def _contents(file: IO[bytes], size: int) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read a file of that size. Nothing is asked for that is larger than what is there."""
    length = int.from_bytes(_filled(file, np.empty(8, np.uint8)).tobytes(), "little") if size >= 8 else size
    if not 0 < length <= min(size - 8, _LONGEST_HEADER):
        raise ValueError(f"a header of {length} bytes in a file of {size}")
    header = parsed(str(_filled(file, np.empty(length, np.uint8)).data, "utf-8"))
    metadata = header.pop(_METADATA, {})
    if not all(isinstance(text, str) for text in metadata.values()):
        raise ValueError("a text that is no text")
    arrays, place = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        kind, shape, (start, stop) = entry["dtype"], entry["shape"], entry["data_offsets"]
        if kind not in _DTYPES and kind != _HALF:
            what = f"{shortened(name)} is in {shortened(str(kind))}"
            raise _UnknownDtypeError(f"{what}, which nnx does not read: convert it to F32, F16 or BF16")
        if len(shape) > _MOST_AXES or not all(type(n) is int and n >= 0 for n in (*shape, start, stop)):
            raise ValueError(f"{shortened(name)} has no valid shape or place")
        dtype = np.dtype("<u2") if kind == _HALF else _DTYPES[kind]
        if start != place or stop - start != math.prod(shape) * dtype.itemsize or stop > size - 8 - length:
            raise ValueError(f"{shortened(name)} of shape {shortened(str(shape))} is not where the header says")
        array = _filled(file, np.empty(shape, dtype))
        array = _widened(array) if kind == _HALF else array
        arrays[name], place = array.astype(array.dtype.newbyteorder("="), copy=False), stop
    if place != size - 8 - length:
        raise ValueError("its end is missing, or there is something behind it")
    return arrays, metadata


def _filled(file: IO[bytes], array: np.ndarray) -> np.ndarray:
    """An array with the next bytes of a file."""
    room = array.reshape(-1).view(np.uint8).data
    while room.nbytes:
        count = file.readinto(room)  # type: ignore[attr-defined]
        if not count:
            raise ValueError("it became shorter while it was read")
        room = room[count:]
    return array


def _widened(upper: np.ndarray) -> np.ndarray:
    """float32 of which these are the upper 16 bits."""
    bits = upper.astype("<u4")
    bits <<= 16
    return bits.view("<f4")


def _checksum(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    """What tells that bits of a file have changed."""
    total = 0
    for part in _checked(arrays, metadata):
        total = zlib.crc32(part, total)
    return f"{_CRC}{total:08x}"


def _old_checksum(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    """What earlier versions wrote; it takes more than twice the time."""
    digest = hashlib.sha256()
    for part in _checked(arrays, metadata):
        digest.update(part)
    return digest.hexdigest()


def _checked(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> Iterator[bytes | memoryview]:
    """All that a checksum is of: the texts, then for each name its dtype and shape, and the values."""
    yield json.dumps(sorted(metadata.items())).encode()
    for name, array in sorted(arrays.items()):
        yield json.dumps([name, array.dtype.name, array.shape]).encode()
        yield array.reshape(-1).view(np.uint8).data
