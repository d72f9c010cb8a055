"""Training on a TensorBoard, through tensorboardX."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnx import ranks
from nnx.backends import to_numpy
from nnx.callbacks.callback import Callback
from nnx.file_targets import naming
from nnx.lazy_loading import optional_import
from nnx.user_warnings import warn_user

_NOT_WRITTEN = {
    "write_images": "images of weights",
    "profile_batch": "profiles",
    "embeddings_freq": "embeddings",
    "embeddings_metadata": "embeddings",
    "embeddings_layer_names": "embeddings",
    "embeddings_data": "embeddings",
    "write_grads": "histograms of gradients",
    "batch_size": "anything that a batch size would matter to",
}
"""Arguments that Keras has, or once had, and what nnx does not write."""


class TensorBoard(Callback):
    """Write what TensorBoard shows: `pip install 'nnx-array[tensorboard]'`, then `tensorboard --logdir logs`.

    log_dir : a folder; what is of training goes into "train" in it, what is of validation into "validation".
    histogram_freq : after how many epochs histograms of all weights are written; 0 for none.
    write_graph : whether the summary of the model is written, as text.
    write_steps_per_second : whether the number of training steps per second is.
    update_freq : "epoch"; or "batch" or a number of batches, after which the results so far are written too. Reading
        them makes a GPU wait.

    Names and steps are those of Keras: `epoch_loss` by the epoch, `batch_loss` by the batches trained since `fit`
    began, `evaluation_loss_vs_iterations` by the optimizer's updates, `dense/kernel/histogram` by the epoch.

    The other arguments of Keras are taken with a warning that they write nothing. ImportError, at once, without
    tensorboardX; OSError, with the folder, where it cannot be written.

        model.fit(x, y, validation_split=0.2, callbacks=[TensorBoard("logs/first", histogram_freq=1)])
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: int | str = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
        **old: Any,
    ) -> None:
        _tensorboard()
        if update_freq not in ("epoch", "batch") and not (isinstance(update_freq, int) and update_freq > 0):
            raise ValueError(f"update_freq must be 'epoch', 'batch' or a number of batches, got {update_freq!r}")
        others = {
            "write_images": write_images,
            "profile_batch": profile_batch,
            "embeddings_freq": embeddings_freq,
            "embeddings_metadata": embeddings_metadata,
            **old,
        }
        for name, value in others.items():
            if name not in _NOT_WRITTEN:
                raise TypeError(f"TensorBoard has no argument {name!r}")
            if value:
                warn_user(f"TensorBoard: nnx does not write {_NOT_WRITTEN[name]}; leave out {name}")
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = histogram_freq
        self.write_graph = write_graph
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = update_freq
        self._every = 0 if update_freq == "epoch" else 1 if update_freq == "batch" else int(update_freq)
        self._writers: dict[str, Any] = {}
        self._in_fit = False
        self._graph_is_due = write_graph
        self._trained_batches = self._trained_before = 0
        self._batch_started = self._epoch_started = 0.0

    # Training

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self._in_fit = True
        self._trained_batches = 0
        self._graph_is_due = self.write_graph
        if self.model.built:
            self._write_graph()

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        self._in_fit = False
        self._close()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._trained_before, self._epoch_started = self._trained_batches, time.perf_counter()

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._batch_started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._trained_batches += 1
        if not self._every or self._trained_batches % self._every:
            return
        values = dict(logs or {})
        if self.write_steps_per_second:
            values["steps_per_second"] = 1.0 / max(time.perf_counter() - self._batch_started, 1e-9)
        self._write("train", "batch_{}", values, self._trained_batches)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        logs = logs or {}
        training = {name: value for name, value in logs.items() if not name.startswith("val_")}
        validation = {name.removeprefix("val_"): value for name, value in logs.items() if name.startswith("val_")}
        training["learning_rate"] = float(self.model.optimizer.learning_rate)
        if self.write_steps_per_second:
            seconds = max(time.perf_counter() - self._epoch_started, 1e-9)
            training["steps_per_second"] = (self._trained_batches - self._trained_before) / seconds
        self._write("train", "epoch_{}", training, epoch)
        self._write("validation", "epoch_{}", validation, epoch)
        self._write_graph()
        if self.histogram_freq and ranks.is_main() and epoch % self.histogram_freq == 0:
            self._write_histograms(epoch)
        with naming(self.log_dir):
            for writer in self._writers.values():
                writer.flush()

    # Evaluation, of its own or in `fit`

    def on_test_end(self, logs: Mapping[str, float] | None = None) -> None:
        steps = self.model.optimizer.iterations if self.model.optimizer else 0
        self._write("validation", "evaluation_{}_vs_iterations", logs or {}, steps)
        if not self._in_fit:
            self._close()

    # Writing

    def _writer(self, folder: str) -> Any:
        if folder not in self._writers:
            # by its own name tensorboardX would write over a file of the same second
            suffix = f".{time.time_ns()}"
            path = os.path.join(self.log_dir, folder)
            with naming(self.log_dir):
                self._writers[folder] = _tensorboard().SummaryWriter(path, filename_suffix=suffix)
        return self._writers[folder]

    def _close(self) -> None:
        writers, self._writers = self._writers, {}
        with naming(self.log_dir):
            for writer in writers.values():
                writer.close()

    def _write(self, folder: str, tag: str, values: Mapping[str, float], step: int) -> None:
        if not ranks.is_main():
            return
        for name, value in values.items():
            self._writer(folder).add_scalar(tag.format(name), value, step)

    def _write_graph(self) -> None:
        if self._graph_is_due and ranks.is_main():
            lines: list[str] = []
            self.model.summary(print_fn=lines.append)
            self._writer("train").add_text("model", "\n".join(["```", *lines, "```"]), 0)
            self._graph_is_due = False

    def _write_histograms(self, epoch: int) -> None:
        for path, parameter in self.model.named_weights().items():
            values = to_numpy(parameter.value)
            values = values[np.isfinite(values)]
            if values.size:
                self._writer("train").add_histogram(f"{path}/histogram", values, epoch)

    def state(self) -> dict[str, Any]:
        return {"trained_batches": self._trained_batches}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._trained_batches = self._trained_before = state["trained_batches"]
        self._epoch_started = time.perf_counter()  # an epoch that goes on is timed from here


def _tensorboard() -> Any:
    return optional_import("tensorboardX", "the callback TensorBoard", "tensorboard")
