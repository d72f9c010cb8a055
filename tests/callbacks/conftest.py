"""Clocks that stand still, and terminals that remember what is on their screen."""

from __future__ import annotations

import io
import os
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class FakeTerminal(io.StringIO):
    """A terminal of unknown width."""

    def isatty(self) -> bool:
        return True


class Encoded(io.TextIOWrapper):
    """A stream with an encoding that cannot take everything, as on an older Windows console or in a C locale."""

    def __init__(self, encoding: str, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, newline="\n")
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def getvalue(self) -> str:
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)  # type: ignore[attr-defined]


def render(written: str, columns: int) -> list[str]:
    """What a screen shows after everything that was written to it: lines wrap, and can be written over."""
    screen: list[list[str]] = [[]]
    row = column = 0
    position = 0
    while position < len(written):
        character = written[position]
        position += 1
        if character == "\r":
            column = 0
        elif character == "\n":
            row, column = row + 1, 0
        elif written.startswith("\x1b[A", position - 1):
            position += 2
            row -= 1
        else:
            assert character >= " ", f"a screen does not know {written[position - 1 : position + 5]!r}"
            if column == columns:
                row, column = row + 1, 0
            while len(screen) <= row:
                screen.append([])
            screen[row] += " " * (column + 1 - len(screen[row]))
            screen[row][column] = character
            column += 1
        while len(screen) <= row:
            screen.append([])
    return ["".join(line).rstrip() for line in screen]


class PseudoTerminal:
    """A real terminal, as the operating system makes it, with a number of columns."""

    def __init__(self, columns: int, lines: int = 24) -> None:
        import fcntl
        import pty
        import termios

        self.columns = columns
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.stream = os.fdopen(slave, "w", encoding="utf-8")
        self._received = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                received = os.read(self._master, 4096)
            except OSError:  # the other end has been closed
                return
            if not received:
                return
            self._received += received

    def written(self) -> str:
        """Everything written until now; nothing can be written afterwards."""
        self.stream.close()
        self._reader.join(timeout=10)
        return self._received.decode("utf-8").replace("\r\n", "\n")

    def screen(self) -> list[str]:
        return render(self.written(), self.columns)

    def close(self) -> None:
        self.stream.close()
        self._reader.join(timeout=10)
        os.close(self._master)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fake_terminal() -> FakeTerminal:
    return FakeTerminal()


@pytest.fixture
def encoded() -> type[Encoded]:
    return Encoded


@pytest.fixture
def rendered() -> Callable[[str, int], list[str]]:
    return render


@pytest.fixture
def pseudo_terminal() -> Iterator[Callable[..., PseudoTerminal]]:
    pytest.importorskip("pty", reason="there are no pseudo-terminals on this operating system", exc_type=ImportError)
    opened: list[PseudoTerminal] = []

    def open_terminal(columns: int, **options: Any) -> PseudoTerminal:
        opened.append(PseudoTerminal(columns, **options))
        return opened[-1]

    yield open_terminal
    for terminal in opened:
        terminal.close()
