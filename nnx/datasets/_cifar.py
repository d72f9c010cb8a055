"""CIFAR: colour images of 32 x 32 pixels in pickle files, in a folder or in the tar archive that is downloaded.

The archive is read as it is: nothing in it is written anywhere, and only regular files with the expected names are
looked at.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from nnx.datasets._download import Source, place_of
from nnx.datasets._files import decoding, length_of_rest, opened
from nnx.datasets._pickle import MANY_STEPS, Described, integers_in, unpickled
from nnx.datasets._split import Pair

_KIND = "a batch of CIFAR in a pickle file"
_ARCHIVE = "a tar archive of CIFAR"
_SIZE = 32
_BLOCK = 512  # of a tar archive
_SPARE_BYTES = 24 << 20  # that a file may unfold to, however small it is, and beside that
_MOST_TIMES = 2  # as many as it has; 1.1 for CIFAR


def load_batches(
    source: Source, path: str | os.PathLike[str] | None, folder: str, names: Sequence[str], labels: str, classes: int
) -> list[Pair]:
    """The images (n, 32, 32, 3), uint8, and labels (n,), int32, of each batch.

    path : the archive, a folder that has it, one that has the batches, or one that has the folder with the batches.
    folder : what that is called. names : of the batches. labels : what the labels of a batch are called.
    classes : how many there are.
    """
    place = place_of(source, path)
    (archive,) = source.checksums
    if not place.is_dir():
        return _from_archive(place, folder, names, labels, classes)
    for inner in (place, place / folder):
        if (inner / names[0]).is_file():
            return [_from_file(inner / name, labels, classes) for name in names]
    if (place / archive).is_file():
        return _from_archive(place / archive, folder, names, labels, classes)
    raise FileNotFoundError(f"the folder {place} has neither {names[0]} nor {folder} nor {archive}")


def joined(batches: list[Pair]) -> Pair:
    """The images and labels of batches together, as many times in memory as they have to be: the list is emptied."""
    labels = np.concatenate([labels for _, labels in batches])
    images, start = np.empty((len(labels), _SIZE, _SIZE, 3), np.uint8), 0
    while batches:
        batch, _ = batches.pop(0)
        images[start : start + len(batch)] = batch
        start += len(batch)
    return images, labels


def _from_file(path: Path, labels: str, classes: int) -> Pair:
    if not path.is_file():
        raise FileNotFoundError(f"the folder {path.parent} has no file {path.name}")
    with decoding(path, _KIND):
        with opened(path) as stream:
            size = length_of_rest(stream, _SPARE_BYTES + _MOST_TIMES * path.stat().st_size)
        with opened(path) as stream:
            return _batch(stream, size, labels, classes)


def _from_archive(path: Path, folder: str, names: Sequence[str], labels: str, classes: int) -> list[Pair]:
    """The archive is read once, from one end to the other."""
    wanted = {f"{folder}/{name}": name for name in names}
    found: dict[str, Pair] = {}
    left = _SPARE_BYTES + _MOST_TIMES * path.stat().st_size
    with decoding(path, _ARCHIVE), opened(path) as stream:
        while (member := _next_member(stream)) is not None:
            padded = -(-member.size // _BLOCK) * _BLOCK
            left -= _BLOCK + padded
            if left < 0:
                raise ValueError(f"it holds more than {_SPARE_BYTES >> 20} MiB and twice its own size")
            name = wanted.get(member.name.removeprefix("./"))
            if name is None or member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
                _skip(stream, padded)
                continue
            if name in found:
                raise ValueError(f"it has {name} twice")
            part = _Part(stream, member.size)
            try:
                found[name] = _batch(part, member.size, labels, classes)  # type: ignore[arg-type]
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
            _skip(stream, padded - member.size + part.left)
        length_of_rest(stream, left)
        missing = [name for name in names if name not in found]
        if missing:
            raise ValueError(f"expected {', '.join(wanted)}, {', '.join(missing)} is not there")
        return [found[name] for name in names]


class _Part:
    """So many of the next bytes of a stream."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self.stream, self.left = stream, size

    def read(self, count: int) -> bytes:
        found = self.stream.read(min(count, self.left))
        self.left -= len(found)
        return found


def _next_member(stream: IO[bytes]) -> tarfile.TarInfo | None:
    """What the header says that is next; None at the end of the archive."""
    header = stream.read(_BLOCK)
    if header == bytes(_BLOCK):
        return None
    member = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    if member.size < 0:
        raise ValueError("a file in it has a negative size")
    return member


def _skip(stream: IO[bytes], count: int) -> None:
    while count:
        skipped = len(stream.read(min(count, 1 << 18)))
        if not skipped:
            raise EOFError("it ends too early")
        count -= skipped


def _batch(stream: IO[bytes], size: int, labels: str, classes: int) -> Pair:
    """The images and labels that a pickle file describes."""
    content = unpickled(stream, size, MANY_STEPS)
    if not isinstance(content, dict) or "data" not in content or labels not in content:
        raise ValueError(f"expected a dict with data and {labels}")
    data = content["data"].value if isinstance(content["data"], Described) else None
    if data is None or data.dtype != np.uint8 or data.shape[1:] != (3 * _SIZE * _SIZE,):
        raise ValueError(f"expected data of uint8 and shape (n, {3 * _SIZE * _SIZE})")
    found = integers_in(content[labels])
    if found is None or len(found) != len(data) or not found:
        raise ValueError(f"expected as many {labels}, integers in a list, as images, which are {len(data)}")
    if min(found) < 0 or max(found) >= classes:
        raise ValueError(f"expected {labels} from 0 to {classes - 1}, got {min(found)} to {max(found)}")
    return data.reshape(-1, 3, _SIZE, _SIZE).transpose(0, 2, 3, 1), np.asarray(found)
