"""Reading files that came from elsewhere: bounded memory, and errors that name the file.

Nothing large is asked for before the file has turned out to be whole, and to have what is expected: a file is read
through first, and what is in it is read when its shape and its dtype are right. So a damaged file, or a small one that
would unfold to gigabytes, costs no memory.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

MOST_BYTES = 1 << 30  # of all arrays of one file: five times what the largest of these data sets needs
_CHUNK = 1 << 18


@dataclasses.dataclass(frozen=True)
class Unread:
    """An array in a file that is whole. `read` makes it."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[], np.ndarray]


@contextlib.contextmanager
def decoding(path: Path, kind: str) -> Iterator[None]:
    """Name the file in whatever a decoder raises, as a ValueError; errors of the file system pass.

    kind : what the file should have been, such as "an IDX file".
    """
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        reason = str(error) or type(error).__name__
        raise ValueError(f"{path} is not {kind}, or is damaged or incomplete: {reason}") from error
    except OSError:
        raise
    except Exception as error:  # damaged bytes make a decoder raise anything, MemoryError among it
        raise ValueError(f"{path} is not {kind} that can be read: {str(error) or type(error).__name__}") from error


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The content of a file, decompressed if it is gzip: its first bytes decide, not its name."""
    with open(path, "rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not compressed:
            yield file
            return
        with gzip.GzipFile(fileobj=file) as stream:
            yield stream  # type: ignore[misc]  # which has what is used of it


def length_of_rest(stream: IO[bytes], most: int | None = None) -> int:
    """How many bytes a stream still has, without keeping them; at its end formats compare their checksums.

    most : how many it may have, by default MOST_BYTES; ValueError for more.
    """
    most, length = MOST_BYTES if most is None else most, 0
    while chunk := stream.read(_CHUNK):
        length += len(chunk)
        if length > most:
            raise ValueError(f"it holds more than {most >> 20} MiB of data")
    return length


def filled(stream: IO[bytes], array: np.ndarray) -> np.ndarray:
    """An array, contiguous in C order, with the next bytes of a stream."""
    room = array.reshape(-1).view(np.uint8).data
    while room.nbytes:
        chunk = stream.read(min(room.nbytes, _CHUNK))
        if not chunk:
            raise EOFError("it became shorter while it was read")
        room[: len(chunk)] = chunk
        room = room[len(chunk) :]
    return array
