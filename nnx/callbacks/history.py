"""The record of a training."""

from __future__ import annotations

import html
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nnx import plotting
from nnx.callbacks.callback import Callback
from nnx.callbacks.progress_line import format_value
from nnx.metrics.displayed_results import as_number


class History(Callback):
    """What `fit` returns: the results of every epoch.

    history : for each name, such as "loss" and "val_loss", the list of its values; a name that an epoch did not
        report, with `validation_freq=2` for instance, has none for it. The values are floats, or NumPy arrays for
        metrics that have several.
    epoch : the numbers of the epochs, from 0.
    params : of the training: "epochs", "steps", "verbose".

    In a notebook it shows itself as a table. A History that is given to `fit` again goes on where it was.

    >>> import nnx
    >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
    >>> model.compile("sgd", "mse")
    >>> history = model.fit([[0.0, 1.0]], [[1.0]], epochs=2, verbose=0)
    >>> history.epoch, sorted(history.history), len(history.history["loss"])
    ([0, 1], ['loss'], 2)
    """

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []
        self._model: weakref.ref[Any] | None = None

    # The model keeps its history; a weak reference back lets both go as soon as the model is dropped.
    @property
    def model(self) -> Any:
        """The model that was trained; None when it no longer exists."""
        return None if self._model is None else self._model()

    @model.setter
    def model(self, model: Any) -> None:
        self._model = None if model is None else weakref.ref(model)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_model": None}  # a copy or a pickle is of the numbers, without the model

    def state(self) -> dict[str, Any]:
        return {"history": self.history, "epoch": self.epoch}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.history, self.epoch = state["history"], state["epoch"]

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        if self.model is not None:
            self.model.history = self

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def plot(self, path: str | Path | None = None, ax: Any = None) -> Any:
        """Draw the learning curves, and save them as a picture where a path is given. Needs matplotlib.

        ax : axes of matplotlib's to draw in. Without them a notebook shows the picture below the cell.

        Returns what `nnx.plotting.learning_curves` returns.
        """
        figure = plotting.learning_curves(self, path, ax)
        if ax is None and path is None:
            plotting.show_after_cell(figure)
        return figure

    def _numbers(self) -> Iterator[tuple[str, list[float]]]:
        """What can be shown as one number for each epoch."""
        for name, values in self.history.items():
            numbers = [number for number in map(as_number, values) if number is not None]
            if numbers:
                yield name, numbers

    def __repr__(self) -> str:
        epochs = f"{len(self.epoch)} epoch{'s' * (len(self.epoch) != 1)}"
        curves = (f"{name} {format_value(v[0])} -> {format_value(v[-1])}" for name, v in self._numbers())
        return f"<History: {', '.join([epochs, *curves])}>"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{title}</th>" for title in ("", "first", "last", "lowest", "highest"))
        rows = ""
        for name, values in self._numbers():
            cells = (format_value(value) for value in (values[0], values[-1], min(values), max(values)))
            rows += f"<tr><th>{html.escape(name)}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        title = f"<b>History</b> of {len(self.epoch)} epoch{'s' * (len(self.epoch) != 1)}"
        return f"<div>{title}<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
