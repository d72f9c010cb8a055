"""Output for people: lines, and one line that is rewritten, on whatever standard output happens to be."""

from __future__ import annotations

import errno
import os
import sys
import threading
from typing import Any

from tqdm import tqdm
from tqdm.utils import disp_trim

from nnx import ranks


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
    kind = type(stream).__module__.partition(".")[0]
    if kind == "ipykernel":
        return True
    if "PYCHARM_HOSTED" in os.environ and stream is sys.__stdout__:
        return True
    isatty = getattr(stream, "isatty", None)
    return kind != "idlelib" and isatty is not None and bool(isatty())


def write_line(text: str, stream: Any) -> None:
    """Write a whole line, also where a progress line is being shown on the same terminal.

    A terminal that has gone away, as when a connection is lost, is no error: the training behind it may go on.
    """
    try:
        RewrittenLine.write(encodable(text, stream), file=stream)
        getattr(stream, "flush", lambda: None)()
    except OSError as error:
        if error.errno != errno.EIO:
            raise


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


class RewrittenLine(tqdm):  # type: ignore[misc]
    """The line of a terminal or notebook that shows a text, then another in its place.

    tqdm gets along with other progress bars on the terminal, a loop of the user's around the training for instance,
    and survives a terminal that goes away; the text is ours. A text that is too wide is cut, since a wrapped line
    cannot be rewritten.
    """

    monitor_interval = 0  # no thread that watches for stalled bars: this one is redrawn on request

    def __init__(self, text: str, stream: Any) -> None:
        self.text = text
        columns, lines = _size(stream)
        super().__init__(file=stream, ncols=columns, nrows=lines, disable=False, delay=0)

    def show(self, text: str) -> None:
        """Replace what the line says."""
        self.text = text
        self.refresh()

    def finish(self, text: str | None = None) -> None:
        """Go on below the line, with a last text, or the one it has, left in its full length."""
        self.leave = False
        self.close()
        write_line(self.text if text is None else text, self.fp)

    def __str__(self) -> str:
        columns, self.nrows = _size(self.fp)  # anew each time: windows are resized
        text = encodable(self.text, self.fp)
        return text if columns is None else str(disp_trim(text, columns))


# tqdm would create a lock shared between processes, and thereby settle how multiprocessing starts them
RewrittenLine.set_lock(threading.RLock())


def _size(stream: Any) -> tuple[int | None, int]:
    """Columns that a line may take, None for any number, and lines. A terminal may not know its size, and says 0."""
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return None, 24
    return (columns or 80) - 1, lines or 24
