"""The results of every epoch in a text file."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from nnx import ranks
from nnx.callbacks.callback import Callback
from nnx.user_warnings import warn_user


class CSVLogger(Callback):
    """Write the results of every epoch to a CSV file, each at once, so that those of complete epochs are never lost.

    filename : the file; its folder has to exist.
    separator : what separates the values of a line.
    append : go on in a file that exists, with the columns that it has. False: it is replaced, by the first line.

    The first column is "epoch", counted from 0; then come the names in the logs of the first epoch, sorted, and, where
    there is a validation, also if it comes later, its names. A value that an epoch does not have is "NA".

    ValueError if the file to go on in does not begin like this.

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
        if self.append:
            self._columns()
        self._names = None
        self._kept = None if self.append else 0
        self._file = Path(self.filename).open("a", newline="", encoding="utf-8")  # noqa: SIM115, closed at the end

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        logs = logs or {}
        if self._file is None:  # another rank writes
            return
        if self._names is None:
            self._names = self._begin(logs)
        self._write([epoch, *(_text(logs.get(name, "NA")) for name in self._names)])

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

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
        names = self._columns()
        if names is None:
            names = sorted(logs)
            if self._validates() and not any(name.startswith("val_") for name in names):
                names += [f"val_{name}" for name in names]
            self._write(["epoch", *names])
        elif missing := [name for name in logs if name not in names]:
            warn_user(
                f"CSVLogger goes on in {self.filename}, which has no column for {', '.join(missing)}; to log "
                f"everything, give it another filename, or append=False"
            )
        return names

    def _validates(self) -> bool:
        """Whether there may be a validation in a later epoch; nobody knows where `fit` does not call."""
        run = getattr(self.model, "training_run", None)
        return run is None or run.validation is not None

    def _columns(self) -> list[str] | None:
        """The names of the values in the first line of the file; None if there is no file, or nothing in it."""
        if not os.path.exists(self.filename):
            return None
        with Path(self.filename).open(newline="", encoding="utf-8") as file:
            first = next(csv.reader(file, delimiter=self.sep), None)
        if first is None:
            return None
        if first[:1] != ["epoch"]:
            raise ValueError(
                f"CSVLogger cannot go on in {self.filename}: its first line, {self.sep.join(first)!r}, does not begin "
                f"with 'epoch' and names separated by {self.sep!r}; give the separator it has, or another filename"
            )
        return first[1:]

    def _write(self, cells: list[Any]) -> None:
        file: Any = self._file
        csv.writer(file, delimiter=self.sep).writerow(cells)
        file.flush()


def _text(value: Any) -> Any:
    """What is written of a value: of several, a list in brackets."""
    if isinstance(value, str) or not isinstance(value, Iterable) or getattr(value, "shape", None) == ():
        return value
    return f'"[{", ".join(map(str, value))}]"'
