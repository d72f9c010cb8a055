"""Backups of a training, which goes on from the last one after it was killed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nnx import ranks
from nnx.arguments import is_integer
from nnx.callbacks.callback import Callback
from nnx.file_targets import make_folder, remove_leftovers
from nnx.saving.checkpoint import restore_checkpoint, save_checkpoint
from nnx.saving.files import read_file
from nnx.user_warnings import warn_user

_Checkpoint = tuple[dict[str, np.ndarray], dict[str, str]]


class BackupAndRestore(Callback):
    """Save checkpoints in a folder; when the same script is started again, `fit` goes on from the last one.

    backup_dir : the folder, of this training alone; made if it is not there.
    save_freq : "epoch" (default), at the end of every epoch; or an integer, after every so many batches.
    double_checkpoint : keep the checkpoint before the last one too, for the case that the last is damaged.
    delete_checkpoint : delete the checkpoints when the training is complete (default), and the folder if it is empty;
        what cannot be removed, such as a mount point, stays, with a warning, and where another callback fails at the
        end they stay too. Otherwise the same script does not train again, and one that asks for more epochs goes on.

    A checkpoint is one file: parameters, optimiser, random streams, the position in the epoch and in the data, running
    metrics, history, and the state of every callback that has one (`Callback.state`). It is written to a temporary
    file that then takes the place of the last one, so a readable checkpoint is there whenever the process is killed or
    the power fails. On NumPy the weights and the history at the end are equal, to the last bit, to those of a training
    that was not interrupted. A checkpoint of one backend is good on every other.

    The script has to make the same model, which has to be built before `fit`, and give the same data. Arrays are
    shuffled as they were. Of an iterable the batches that were seen are drawn again and dropped, so it has to give
    the same ones again: a generator from its beginning, another iterable from the beginning of the epoch.

    Raises ValueError, and leaves the model as it was, for a checkpoint of another model, optimiser, data or list of
    callbacks, naming what differs, and for one that is damaged where there is no other.

    >>> backup = BackupAndRestore("backups/first", save_freq=100)
    """

    runs_last = True

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: int | str = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        if not os.fspath(backup_dir):
            raise ValueError("backup_dir is empty: give the path of a folder")
        if save_freq != "epoch" and not is_integer(save_freq, least=1):
            raise ValueError(f"save_freq must be 'epoch' or a positive number of batches, got {save_freq!r}")
        self.backup_dir = Path(backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._latest, self._previous = (self.backup_dir / f"{name}.safetensors" for name in ("latest", "previous"))
        self._batches = 0  # since the last checkpoint

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self._batches = 0
        self.model.require_built("state to back up and restore")
        try:
            found: _Checkpoint | None = ranks.agreed(self._prepare() if ranks.is_main() else None)
            if found is not None:
                restore_checkpoint(self.model, *found, str(self._latest))
        except ValueError as error:
            raise ValueError(f"{error}. Delete {self.backup_dir} to train from the beginning") from error

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._batches += 1
        if self._batches == self.save_freq:
            self._batches = 0
            if not self.model.stop_training:  # the end of the epoch, which follows now, decides what comes then
                self._save()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        if self.save_freq == "epoch":
            self._save()

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        run = self.model.training_run
        # where another callback failed, `fit` does not return, and the next start is to have the trained model; of
        # several ranks that is where it failed on one of them, which then ends all
        if self.delete_checkpoint and run.complete and not ranks.any_of(bool(run.listeners.errors)) and ranks.is_main():
            try:
                self._remove()
            except OSError as error:  # the training is complete: nothing may be lost because a folder is a mount point
                warn_user(
                    f"BackupAndRestore cannot remove {error.filename or self.backup_dir}, which stays: "
                    f"{error.strerror}. A checkpoint that is there is of a training that is complete: the next one "
                    f"that is to begin anew needs another backup_dir, or {self.backup_dir} without its files"
                )

    def _remove(self) -> None:
        self._latest.unlink(missing_ok=True)
        self._previous.unlink(missing_ok=True)
        if self.backup_dir.is_dir() and not any(self.backup_dir.iterdir()):
            self.backup_dir.rmdir()

    def _save(self) -> None:
        save_checkpoint(self.model, self._latest, self._previous if self.double_checkpoint else None)

    def _prepare(self) -> _Checkpoint | None:
        make_folder(self.backup_dir)
        remove_leftovers(self._latest)
        return self._read()

    def _read(self) -> _Checkpoint | None:
        """What is in the last checkpoint that is whole; it becomes the latest."""
        try:
            return read_file(self._latest)
        except (FileNotFoundError, ValueError) as error:
            damaged = isinstance(error, ValueError)
            if not self._previous.exists():
                if damaged:
                    raise
                return None
            if damaged:
                warn_user(f"{error}; going on from the checkpoint before it")
        found = read_file(self._previous)
        os.replace(self._previous, self._latest)
        return found
