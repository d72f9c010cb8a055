"""Output for people, in whole lines, on whatever standard output happens to be."""

from __future__ import annotations

import errno
import os
import sys
from typing import Any

from nnx import ranks
from nnx.locks import reentrant_lock

# tqdm would create a lock shared between processes, and thereby settle how multiprocessing starts them
LINE_LOCK = reentrant_lock()
"""Held while a line is written or rewritten."""


def standard_output() -> Any:
    """What `sys.stdout` is at this moment; None where there is none, where it is closed, and on ranks other than 0."""
    if not ranks.is_main():
        return None
    return None if sys.stdout is None or getattr(sys.stdout, "closed", False) else sys.stdout


def can_encode(text: str, stream: Any) -> bool:
    """Whether a stream can take a text. One without an encoding, such as io.StringIO, takes any."""
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def encodable(text: str, stream: Any) -> str:
    """The text, with what the stream cannot take replaced by question marks."""
    if can_encode(text, stream):
        return text
    return text.encode(stream.encoding, "replace").decode(stream.encoding)


def is_interactive(stream: Any) -> bool:
    r"""Whether somebody watches and `\r` rewrites the line: a terminal or a notebook; not a file or a pipe."""
    if _is_of("ipykernel", stream):
        return True
    if "PYCHARM_HOSTED" in os.environ and stream is sys.__stdout__:
        return True
    isatty = getattr(stream, "isatty", None)
    return not _is_of("idlelib", stream) and isatty is not None and bool(isatty())


def is_notebook(stream: Any) -> bool:
    """Whether it is the output of a notebook's cell, which can also hold displays."""
    return _is_of("ipykernel", stream) and "IPython" in sys.modules


def _is_of(package: str, stream: Any) -> bool:
    return type(stream).__module__.partition(".")[0] == package


def write_line(text: str, stream: Any) -> None:
    """Write a whole line, also where a progress line is being shown on the same terminal.

    A terminal that has gone away, as when a connection is lost, is no error: the training behind it may go on.
    """
    try:
        _write(f"{encodable(text, stream)}\n", stream)
        getattr(stream, "flush", lambda: None)()
    except OSError as error:
        if error.errno != errno.EIO:
            raise


def _write(text: str, stream: Any) -> None:
    bars = getattr(sys.modules.get("tqdm"), "tqdm", None)
    if bars is None:  # nobody has drawn a bar, and nothing is gained by importing tqdm, which costs 40 ms
        stream.write(text)
        return
    with LINE_LOCK:
        bars.write(text, file=stream, end="", nolock=True)


def say(text: str) -> None:
    """Write a line to standard output, if there is one: what a callback has done, for instance."""
    stream = standard_output()
    if stream is not None:
        write_line(text, stream)


def format_bytes(size: float) -> str:
    """A number of bytes in the unit that suits it.

    >>> format_bytes(5376)
    '5.25 KB'
    """
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 1024:
            return f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} PB"
