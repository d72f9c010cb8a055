"""Reading files that came from elsewhere: bounded memory, and errors that name the file."""

from __future__ import annotations

import contextlib
import gzip
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

MOST_BYTES = 1 << 30  # five times what the largest of these data sets needs
_CHUNK = 1 << 20


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


def read_stream(stream: IO[bytes] | gzip.GzipFile) -> bytearray:
    """All bytes of a stream; memory grows with what really comes, not with what a header promises."""
    content = bytearray()
    while chunk := stream.read(_CHUNK):
        content += chunk
        if len(content) > MOST_BYTES:
            raise ValueError(f"it holds more than {MOST_BYTES >> 20} MiB of data")
    return content


def read_file(path: Path) -> bytearray:
    """The content of a file, decompressed if it is gzip: its first bytes decide, not its name."""
    with open(path, "rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not compressed:
            return read_stream(file)
        with gzip.GzipFile(fileobj=file) as stream:
            return read_stream(stream)
