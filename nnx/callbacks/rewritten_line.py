"""A line of a terminal or notebook that is rewritten, as a progress bar is. Importing this imports tqdm."""

from __future__ import annotations

import os
from typing import Any

from tqdm import tqdm
from tqdm.utils import disp_len, disp_trim

from nnx.callbacks.console import LINE_LOCK, encodable, write_line


class RewrittenLine(tqdm):  # type: ignore[misc]
    """The line of a terminal or notebook that shows a text, then another in its place.

    tqdm gets along with other progress bars on the terminal, a loop of the user's around the training for instance,
    and survives a terminal that goes away; the text is ours. A text that is too wide is cut, since a wrapped line
    cannot be rewritten.
    """

    monitor_interval = 0  # no thread that watches for stalled bars: this one is redrawn on request

    def __init__(self, text: str, stream: Any, narrow: str | None = None) -> None:
        self.text, self.narrow = text, narrow
        columns, lines = _size(stream)
        super().__init__(file=stream, ncols=columns, nrows=lines, disable=False, delay=0)

    def show(self, text: str, narrow: str | None = None) -> None:
        """Replace what the line says. narrow : what it says instead where there is no room for all of the text."""
        self.text, self.narrow = text, narrow
        self.refresh()

    def finish(self, text: str | None = None) -> None:
        """Go on below the line, with a last text, or the one it has, left in its full length."""
        self.leave = False
        self.close()
        write_line(self.text if text is None else text, self.fp)

    def __str__(self) -> str:
        columns, self.nrows = _size(self.fp)  # anew each time: windows are resized
        fits = columns is None or self.narrow is None or disp_len(self.text) <= columns
        text = encodable(self.text if fits else str(self.narrow), self.fp)
        return text if columns is None else str(disp_trim(text, columns))


RewrittenLine.set_lock(LINE_LOCK)


def _size(stream: Any) -> tuple[int | None, int]:
    """Columns that a line may take, None for any number, and lines. A terminal may not know its size, and says 0."""
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return None, 24
    return (columns or 80) - 1, lines or 24
