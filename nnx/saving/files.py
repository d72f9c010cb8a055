"""safetensors files: written so that a crash leaves the old file or the new one, read with errors that help."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

_FOREIGN = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file, as older versions of Keras write them",
    b"PK\x03\x04": "a zip archive, such as Keras's .keras or PyTorch's .pt files",
    b"\x80": "a pickle, which nnx does not read because it could run any code",
    b"\x1f\x8b": "compressed with gzip",
}


def write_file(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write arrays and text under their names, to a temporary file beside it that then takes its place."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder; give the name of a file in it")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {path.parent}")
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
    os.close(handle)
    try:
        save_file({name: np.asarray(array, order="C") for name, array in arrays.items()}, temporary, dict(metadata))
        _flush(temporary)
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes private files
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    if os.name == "posix":
        _flush(path.parent)


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
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118, not a mapping
    except (SafetensorError, TypeError, AttributeError) as error:
        with path.open("rb") as raw:
            start = raw.read(8)
        kind = next((text for magic, text in _FOREIGN.items() if start.startswith(magic)), None)
        reason = f"it is {kind}" if kind else f"it is empty, truncated or not a safetensors file ({error})"
        raise ValueError(f"cannot read {path}: {reason}") from error


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
