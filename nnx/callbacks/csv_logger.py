"""The results of every epoch in a text file."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from nnx import ranks
from nnx.callbacks.callback import Callback
from nnx.file_targets import naming, target_of
from nnx.names import shortened
from nnx.user_warnings import warn_user

_LONGEST_LINE = 1 << 20  # bytes


class CSVLogger(Callback):
    """Write the results of every epoch to a CSV file, each at once, so that those of complete epochs are never lost.

    filename : the file; its folder has to exist.
    separator : what separates the values of a line.
    append : go on in a file that exists, with the columns that it has. False: it is replaced, by the first line.

    The first column is "epoch", counted from 0; then come the names in the logs of the first epoch, sorted, and, where
    there is a validation, also if it comes later, its names. A value that an epoch does not have is "NA".

    A line that was cut short, because the disk was full or the power failed, stays, and the next one begins behind it.

    ValueError if the file to go on in does not begin like this; OSError, with the path, where it cannot be written.

    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = Path(folder.name, "log.csv")
    >>> import nnx
    >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
    >>> model.compile("sgd", "mse")
    >>> history = model.fit([[0.0, 1.0]], [[1.0]], epochs=2, callbacks=[CSVLogger(file)], verbose=0)
    >>> file.read_text().splitlines()[0], len(file.read_text().splitlines())
    ('epoch,loss', 3)
    >>> folder.cleanup()
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        if not isinstance(separator, str) or len(separator) != 1 or separator in '"\r\n':
            raise ValueError(f"CSVLogger: separator must be one character, such as ',' or ';', got {separator!r}")
        self.filename = os.fspath(filename)
        self.sep = separator
        self.append = append
        self._file: TextIO | None = None
        self._names: list[str] | None = None
        self._kept: int | None = 0

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self.on_train_end()
        if not ranks.is_main():
            return
        place = target_of(self.filename)
        if self.append:
            self._columns(self._first_line())
        self._names = None
        self._kept = None if self.append else 0
        with naming(self.filename):
            # what cannot be written, half of a character in a name, is written as "\\ud83d"
            self._file = place.open("a", newline="", encoding="utf-8", errors="backslashreplace")

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        logs = logs or {}
        if self._file is None:  # another rank writes
            return
        with naming(self.filename):
            if self._names is None:
                self._names = self._begin(logs)
            self._write(self._line([epoch, *(_text(logs.get(name, "NA")) for name in self._names)]))

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        file, self._file = self._file, None
        if file is not None:
            with naming(self.filename):
                file.close()

    def state(self) -> dict[str, Any]:
        """The size of the file in bytes: lines behind it are of epochs that will be trained again."""
        begun = ranks.is_main() and (self._names is not None or self._kept is None)
        return {"size": os.path.getsize(self.filename) if begun else self._kept}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._kept = state["size"]

    def _begin(self, logs: Mapping[str, Any]) -> list[str]:
        """Cut off what is not to be kept, and write the first line if none is left. Returns the names of the values."""
        file: Any = self._file
        if self._kept is not None and self._kept < os.path.getsize(self.filename):
            file.truncate(self._kept)
        names = sorted(logs)
        if self._validates() and not any(name.startswith("val_") for name in names):
            names += [f"val_{name}" for name in names]
        header, first = self._line(["epoch", *names]), self._first_line()
        if not first.endswith("\n") and header.startswith(first):  # nothing, or the beginning of the same line
            file.truncate(0)
            self._write(header)
            return names
        self._write(self._missing_end())
        names = self._columns(first)
        if missing := [name for name in logs if name not in names]:
            warn_user(
                f"CSVLogger goes on in {self.filename}, which has no column for {', '.join(missing)}; to log "
                f"everything, give it another filename, or append=False"
            )
        return names

    def _validates(self) -> bool:
        """Whether there may be a validation in a later epoch; nobody knows where `fit` does not call."""
        run = getattr(self.model, "training_run", None)
        return run is None or run.validation is not None

    def _first_line(self) -> str:
        """The first line of the file, with its end; "" if there is no file, or nothing in it."""
        try:
            with naming(self.filename), open(self.filename, "rb") as file:
                return file.readline(_LONGEST_LINE).decode()
        except FileNotFoundError:
            return ""
        except UnicodeDecodeError as error:
            raise ValueError(f"CSVLogger cannot go on in {self.filename}: it is no text in UTF-8 ({error})") from None

    def _missing_end(self) -> str:
        """What the last line of the file, which is not empty, needs to be complete."""
        with open(self.filename, "rb") as file:
            file.seek(-1, os.SEEK_END)
            return {b"\n": "", b"\r": "\n"}.get(file.read(), "\r\n")

    def _columns(self, line: str) -> list[str]:
        """The names of the values in the first line of the file; none if that is empty."""
        try:
            first = next(csv.reader([line], delimiter=self.sep), [])
        except csv.Error as error:
            raise ValueError(f"CSVLogger cannot go on in {self.filename}: its first line is no CSV ({error})") from None
        is_cut = not line.endswith(("\n", "\r")) and "epoch".startswith(line)
        if first[:1] != ["epoch"] and not is_cut:
            found = shortened(line.rstrip())
            raise ValueError(
                f"CSVLogger cannot go on in {self.filename}: its first line, {found!r}, does not begin with 'epoch' "
                f"and names separated by {self.sep!r}; give the separator it has, or another filename"
            )
        return first[1:]

    def _line(self, cells: list[Any]) -> str:
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self.sep).writerow(cells)
        return text.getvalue()

    def _write(self, text: str) -> None:
        file: Any = self._file
        file.write(text)
        file.flush()


def _text(value: Any) -> Any:
    """What is written of a value: of several, a list in brackets."""
    if isinstance(value, str) or not isinstance(value, Iterable) or getattr(value, "shape", None) == ():
        return value
    return f'"[{", ".join(map(str, value))}]"'
