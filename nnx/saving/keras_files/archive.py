"""Files of Keras as they lie on the disk: which of its formats one is, and the parts of it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

from nnx.saving.keras_files import hdf5
from nnx.saving.keras_files.hdf5 import Arrays, DamagedError, Window

_ZIP, _HDF5 = b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"
_MEMBERS = CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
ASSETS = "assets/"
_LONGEST_CONFIG = 64 << 20
_SPARE_TEXT = 8 << 20  # bytes that texts may have more than the file, where they are compressed
_MOST_TIMES = 100  # that a part may be larger than the file, where it is compressed
_LOCAL_HEADER = struct.Struct("<4sHHHHHIIIHH")
_STORED, _DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
_FAILURES = (
    *(zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError, OSError, EOFError),
    *(ValueError, LookupError, OverflowError, MemoryError, AttributeError, TypeError),
)


@dataclasses.dataclass(frozen=True)
class KerasFile:
    """An open file of Keras.

    arrays : all arrays in it. config : the text of its config.json, or of a legacy file the attribute model_config;
    None in a file of weights. training : of a legacy file the text of how it was compiled. version : of the Keras that
    wrote it, where it says so. is_legacy : whether weights are by the names of layers. assets : what reads the files
    that layers have written, vocabularies among them, by paths such as "layers/string_lookup/vocabulary.txt".
    """

    arrays: Arrays
    config: str | None
    training: str | None
    version: str | None
    is_legacy: bool
    assets: Mapping[str, Callable[[], bytes]] = dataclasses.field(default_factory=dict)


def is_keras_file(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a file in a format of Keras, by its content, or a folder with such a file unpacked."""
    path = Path(path)
    if path.is_dir():
        return (path / CONFIG).is_file()
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(8)
    return start.startswith(_ZIP) or start == _HDF5


@contextlib.contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[KerasFile]:
    """The parts of a file of Keras, as long as the block lasts. Nothing is unpacked to the disk.

    DamagedError for what is damaged or no such file; ImportError without h5py.
    """
    hdf5.require_h5py(f"read {path}")
    path = Path(path)
    with contextlib.ExitStack() as stack:
        if path.is_dir():
            described = _limited(path / CONFIG).decode("utf-8", "replace")
            metadata = _limited(path / METADATA) if (path / METADATA).is_file() else b""
            file = stack.enter_context((path / WEIGHTS).open("rb", buffering=0))
            arrays = stack.enter_context(_arrays(file, 0, os.fstat(file.fileno()).st_size))
            files = [one for one in sorted((path / ASSETS).rglob("*")) if one.is_file()]
            assets = {one.relative_to(path / ASSETS).as_posix(): one.read_bytes for one in files}
            yield KerasFile(arrays, described, None, _version(metadata), False, assets)
            return
        file = stack.enter_context(path.open("rb", buffering=0))
        size = os.fstat(file.fileno()).st_size
        if file.read(4) == _ZIP:
            yield stack.enter_context(_archive(path, file, size))
            return
        arrays = stack.enter_context(_arrays(file, 0, size))
        config = arrays.text("/", "model_config")
        yield KerasFile(
            arrays,
            config,
            arrays.text("/", "training_config"),
            arrays.text("/", "keras_version"),
            config is not None or arrays.texts("/", "layer_names") is not None,
        )


def _limited(path: Path) -> bytes:
    if path.stat().st_size > _LONGEST_CONFIG:
        raise DamagedError(f"{path.name} is larger than {_LONGEST_CONFIG >> 20} MiB")
    return path.read_bytes()


@contextlib.contextmanager
def _arrays(file: IO[bytes], start: int, size: int) -> Iterator[Arrays]:
    with hdf5.opened(Window(file, start, size), size) as arrays:  # type: ignore[arg-type]
        yield arrays


@contextlib.contextmanager
def _archive(path: Path, file: IO[bytes], size: int) -> Iterator[KerasFile]:
    with contextlib.ExitStack() as stack:
        try:
            archive = stack.enter_context(zipfile.ZipFile(path))
            infos = [info for info in archive.infolist() if info.filename in _MEMBERS or _is_asset(info)]
        except _FAILURES as error:
            raise DamagedError(f"is truncated or damaged (zip: {error})") from None
        members = {info.filename: info for info in infos}
        if len(members) < len(infos):
            raise DamagedError("is damaged: it has a part twice")
        for name in (CONFIG, WEIGHTS):
            if name not in members:
                raise DamagedError(f"is a zip archive without {name}, so no .keras file")
        most = min(_LONGEST_CONFIG, _MOST_TIMES * size, _SPARE_TEXT + size)
        config = _unpacked(archive, members[CONFIG], most).decode("utf-8", "replace")
        metadata = _unpacked(archive, members[METADATA], 1 << 20) if METADATA in members else b""
        files = {name.removeprefix(ASSETS): info for name, info in members.items() if _is_asset(info)}
        total = sum(info.file_size for info in files.values())
        if total > _SPARE_TEXT + size:
            raise DamagedError(f"has assets of {total} bytes, more than {_SPARE_TEXT + size}")
        assets = {name: functools.partial(_unpacked, archive, info, info.file_size) for name, info in files.items()}
        weights = members[WEIGHTS]
        if weights.compress_type == _STORED and not weights.flag_bits & 1:
            start = _start_of(file, weights, size)
            arrays = stack.enter_context(_arrays(file, start, weights.file_size))
        else:
            data = _unpacked(archive, weights, _MOST_TIMES * size)
            arrays = stack.enter_context(hdf5.opened(io.BytesIO(data), len(data)))
        yield KerasFile(arrays, config, None, _version(metadata), False, assets)


def _is_asset(info: zipfile.ZipInfo) -> bool:
    return info.filename.startswith(ASSETS) and not info.is_dir()


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> bytes:
    """A part of an archive; it is not larger than it says, nor than is allowed."""
    if info.file_size > most:
        raise DamagedError(f"has a {info.filename} of {info.file_size} bytes, more than {most}")
    if info.compress_type not in (_STORED, _DEFLATED):
        raise DamagedError(f"is compressed in a way that nnx does not read: {info.filename}")
    try:
        with archive.open(info) as member:
            data = member.read(info.file_size + 1)
            member.read(1)  # reads to the end, where the checksum is compared
    except _FAILURES as error:
        raise DamagedError(f"is truncated or damaged (zip: {error})") from None
    if len(data) != info.file_size:
        raise DamagedError(f"is damaged: {info.filename} has not the size that it should have")
    return data


def _start_of(file: IO[bytes], info: zipfile.ZipInfo, size: int) -> int:
    """Where a part that is not compressed begins; its checksum is compared."""
    file.seek(info.header_offset)
    header = file.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or not header.startswith(_ZIP):
        raise DamagedError(f"is truncated or damaged (zip: no header of {info.filename})")
    *_, name_length, extra_length = _LOCAL_HEADER.unpack(header)
    start: int = info.header_offset + _LOCAL_HEADER.size + name_length + extra_length
    if start + info.file_size > size or info.compress_size != info.file_size:
        raise DamagedError(f"is truncated or damaged (zip: {info.filename} is not as long as it should be)")
    checksum, left = 0, info.file_size
    file.seek(start)
    block = bytearray(1 << 20)
    while left:
        count = file.readinto(memoryview(block)[: min(left, len(block))])  # type: ignore[attr-defined]
        if not count:
            raise DamagedError("became shorter while it was read")
        checksum = zlib.crc32(memoryview(block)[:count], checksum)
        left -= count
    if checksum != info.CRC:
        raise DamagedError(f"is damaged: {info.filename} is not what was written (wrong checksum)")
    return start


def _version(metadata: bytes) -> str | None:
    """The version of Keras, found without a parser: nothing else in that part is needed."""
    _, found, rest = metadata.partition(b'"keras_version"')
    text = rest.partition(b'"')[2].partition(b'"')[0]
    return text[:40].decode("ascii", "replace") if found else None
