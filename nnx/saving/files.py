"""safetensors files: written so that a crash leaves the old file or the new one, read with errors that help."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from nnx import ranks

_CHECKSUM = "nnx-checksum"
_PARTIAL = ".partial"
_LONGEST_HEADER = 100_000_000  # of a safetensors file, in bytes
_FOREIGN = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file, as older versions of Keras write them",
    b"PK\x03\x04": "a zip archive, such as Keras's .keras or PyTorch's .pt files",
    b"\x80": "a pickle, which nnx does not read because it could run any code",
    b"\x1f\x8b": "compressed with gzip",
}


def write_file(
    path: str | os.PathLike[str],
    arrays: Mapping[str, np.ndarray],
    metadata: Mapping[str, str],
    previous: Path | None = None,
) -> None:
    """Write arrays and text under their names, to a temporary file that then takes the place of the file.

    previous : what the file that was there until now is called from now on; by default it is gone.

    Whenever the process is killed or the power fails, the old file or the new one is there, whole, under one of the two
    names. Of several ranks only the first writes.
    """
    if not ranks.is_main():
        return
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder; give the name of a file in it")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {path.parent}")
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    # in a folder of its own, where everything is removed that a killed process leaves, safetensors' files as well
    folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=_PARTIAL))
    try:
        temporary = folder / path.name
        save_file(arrays, temporary, {**metadata, _CHECKSUM: _checksum(arrays, metadata)})
        os.chmod(temporary, 0o666 & ~_umask())
        _flush(temporary)
        if previous is not None and path.exists():
            os.replace(path, previous)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _flush_folder(path.parent)


def read_file(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays and the text of a safetensors file.

    FileNotFoundError if there is none; ValueError, with what is wrong, if it is damaged or of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a mapping
    except (SafetensorError, TypeError, AttributeError) as error:
        with path.open("rb") as raw:
            start = raw.read(8)
        kind = next((text for magic, text in _FOREIGN.items() if start.startswith(magic)), None)
        if start.startswith(b"\x80") and int.from_bytes(start, "little") < _LONGEST_HEADER:
            kind = None  # it begins with the length of a header, as a safetensors file does
        reason = f"it is {kind}" if kind else f"it is empty, truncated or not a safetensors file ({error})"
        raise ValueError(f"cannot read {path}: {reason}") from error
    checksum = metadata.pop(_CHECKSUM, None)  # files of other programs have none
    if checksum is not None and checksum != _checksum(arrays, metadata):
        raise ValueError(f"cannot read {path}: it is damaged, what is in it is not what was written (wrong checksum)")
    return arrays, metadata


def make_folder(path: Path) -> None:
    """Make a folder, and those that it is in, so that they are still there after a power failure."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        _flush_folder(path.parent)


def remove_leftovers(path: Path) -> None:
    """Remove the temporary folders that processes left that were killed while they wrote this file."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*{_PARTIAL}"):
        shutil.rmtree(leftover, ignore_errors=True)


def _checksum(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(sorted(metadata.items())).encode())
    for name, array in sorted(arrays.items()):
        digest.update(json.dumps([name, array.dtype.name, array.shape]).encode())
        digest.update(array)  # type: ignore[arg-type]  # arrays are buffers, from Python 3.12 on also by their types
    return digest.hexdigest()


def _flush_folder(path: Path) -> None:
    if os.name == "posix":
        _flush(path)


def _flush(path: str | Path) -> None:
    """Make sure that a file, or a folder's list of files, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
