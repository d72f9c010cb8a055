"""Files of the model, saved while it is trained."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnx import ranks
from nnx.arguments import is_integer
from nnx.callbacks.console import say
from nnx.callbacks.monitor import MonitorCallback
from nnx.file_targets import make_folder
from nnx.user_warnings import warn_user


class ModelCheckpoint(MonitorCallback):
    """Save the model, or its weights, after every epoch or every so many batches.

    filepath : the file, a safetensors file whatever its name; folders are made. It may have fields for `epoch`,
        counted from 1, for `batch` if `save_freq` is a number, and for what is in the logs:
        "{epoch:02d}-{val_loss:.2f}.safetensors".
    monitor : the value that says which model is the best.
    verbose : 1 to say what is saved and why.
    save_best_only : save only a model that is better than all before, also those of earlier calls of `fit`. Where the
        monitored value is missing, the model is saved, with a warning.
    save_weights_only : whether to write weights (`save_weights`), or the whole model with its optimizer (`save`).
    mode : "min", "max", or "auto" to go by what the monitored value is.
    save_freq : "epoch", or a number of batches.
    initial_value_threshold : what the first model that is saved has to be better than.
    period : the number of epochs between two savings; old, as `save_freq` has taken its place.

    A file is complete or not there, also when training is interrupted while it is written. ValueError for a filepath
    that is no template and for an unknown save_freq; KeyError, at the first saving, if the logs lack one of its fields.

    >>> checkpoint = ModelCheckpoint("models/{epoch:02d}.safetensors", "val_loss", save_best_only=True)
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: int | str = "epoch",
        initial_value_threshold: float | None = None,
        *,
        period: int | None = None,
    ) -> None:
        super().__init__(monitor, mode, best=initial_value_threshold)
        self.filepath = _template(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        if save_freq != "epoch" and not is_integer(save_freq, least=1):
            raise ValueError(
                f"Unrecognized save_freq: {save_freq!r}. Expected 'epoch' or the number of batches between two savings"
            )
        self.save_freq = save_freq
        self._every = 1 if isinstance(save_freq, str) else save_freq
        if period is not None:
            warn_user(
                f"ModelCheckpoint: period is an old argument; write save_freq={period} * batches of an epoch",
                DeprecationWarning,
            )
            self._every = period
        self._waited = 0
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        if self.save_freq != "epoch":
            self._count(self._epoch, batch, logs or {})

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        if self.save_freq == "epoch":
            self._count(epoch, None, logs or {})

    def _count(self, epoch: int, batch: int | None, logs: Mapping[str, float]) -> None:
        self._waited += 1
        if self._waited >= self._every:
            self._waited = 0
            path = self._path(epoch, batch, logs)
            if self._is_to_be_saved(epoch, path, logs):
                self._save(path, epoch)

    def _is_to_be_saved(self, epoch: int, path: str, logs: Mapping[str, float]) -> bool:
        if not self.save_best_only:
            self._say(epoch, f"saving model to {path}")
            return True
        current = self.watched(logs, f"Can save best model only with {self.monitor} available.")
        if current is None:
            return True
        before = "None" if self.best is None else f"{self.best:.5f}"
        if not self.improves(current, self.best):
            self._say(epoch, f"{self.monitor} did not improve from {before}")
            return False
        self._say(epoch, f"{self.monitor} improved from {before} to {current:.5f}, saving model to {path}")
        self.best = current
        return True

    def _save(self, path: str, epoch: int) -> None:
        if ranks.is_main():
            make_folder(Path(path).parent)
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)
        ranks.wait_for_all()
        self._say(epoch, f"finished saving model to {path}")

    def _say(self, epoch: int, text: str) -> None:
        if self.verbose:
            say(f"Epoch {epoch + 1}: {text}")

    def _path(self, epoch: int, batch: int | None, logs: Mapping[str, float]) -> str:
        fields = {"epoch": epoch + 1, **({} if batch is None else {"batch": batch + 1}), **logs}
        try:
            return self.filepath.format(**fields)
        except KeyError as error:
            raise KeyError(
                f"Failed to format this callback filepath: {self.filepath!r}. There is no {error}; there are "
                f"{', '.join(fields)}"
            ) from None

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self._waited, "epoch": self._epoch}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.best, self._waited, self._epoch = state["best"], state["waited"], state["epoch"]


def _template(filepath: str | os.PathLike[str]) -> str:
    """A path as text, once it has turned out to take an epoch and values."""
    text = os.fspath(filepath)
    try:
        text.format_map(defaultdict(float, epoch=1, batch=1))
    except ValueError as error:
        raise ValueError(
            f"ModelCheckpoint cannot fill in filepath={text!r}: {error}. Fields look like {{epoch:02d}} and "
            f"{{val_loss:.2f}}; a brace of the name itself is written twice"
        ) from None
    return text
