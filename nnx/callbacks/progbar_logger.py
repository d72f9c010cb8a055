"""The progress bar of training, evaluation and prediction."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from nnx import ranks
from nnx.callbacks.callback import Callback
from nnx.callbacks.console import can_encode, format_bytes, is_interactive, is_notebook, standard_output, write_line
from nnx.callbacks.notebook_line import NotebookLine
from nnx.callbacks.progress_line import DONE, LEFT, brief_line, finished_line, running_line

if TYPE_CHECKING:
    from nnx.callbacks.rewritten_line import RewrittenLine

INTERVAL = 0.1  # seconds between two drawings, and so between two looks at numbers on the device


_interactive = [True]


def enable_interactive_logging() -> None:
    """Progress bars for `verbose="auto"`, as from the start.

    >>> enable_interactive_logging()
    """
    _interactive[0] = True


def disable_interactive_logging() -> None:
    """A line for each epoch, in place of a progress bar, for `verbose="auto"`, in the whole process.

    >>> disable_interactive_logging()
    >>> verbosity("auto"), is_interactive_logging_enabled()
    (2, False)
    >>> enable_interactive_logging()
    """
    _interactive[0] = False


def is_interactive_logging_enabled() -> bool:
    """Whether `verbose="auto"` means progress bars.

    >>> is_interactive_logging_enabled()
    True
    """
    return _interactive[0]


def verbosity(verbose: object) -> int:
    """What `verbose=` means: 0 silent, 1 (True) a progress bar, 2 a line for each epoch.

    "auto" is 1, or 2 after `nnx.config.disable_interactive_logging()`. Raises ValueError for anything else.

    >>> verbosity("auto"), verbosity(False), verbosity(2)
    (1, 0, 2)
    """
    if isinstance(verbose, str) and verbose == "auto":
        return 1 if _interactive[0] else 2
    if isinstance(verbose, int) and verbose in (0, 1, 2):
        return int(verbose)
    raise ValueError(
        f"verbose must be 0 (silent), 1 (progress bar), 2 (a line for each epoch) or 'auto', got {verbose!r}"
    )


class ProgbarLogger(Callback):
    """Show how far training, evaluation or prediction is, on standard output.

    On a terminal and in a notebook a bar that is redrawn at most ten times a second, and only then are the metrics
    read; in a log file or pipe one line for each epoch. How much is shown is decided by `verbose` of `fit`,
    `evaluate` and `predict`. While the bar grows, the line has the time left, and at its end the memory that the
    process holds on the device of the model, or in RAM; the line that stays has the time taken, as in Keras. A notebook
    gets one display for an epoch, which is updated in place, so that it is saved and exported with one line.

    stream : where to write; by default what `sys.stdout` is when an epoch begins.
    clock : a function that returns seconds.

    >>> import io
    >>> import nnx
    >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
    >>> model.compile("sgd", "mse")
    >>> stream = io.StringIO()
    >>> loss = model.evaluate([[0.0, 1.0]], [[1.0]], callbacks=[ProgbarLogger(stream=stream)], verbose=1)
    >>> "1/1" in stream.getvalue()
    True
    """

    def __init__(self, *, stream: Any = None, clock: Callable[[], float] = time.perf_counter) -> None:
        self.stream = stream
        self.clock = clock
        self._verbose = 1
        self._epochs = 1
        self._target: int | None = None
        self._in_fit = False
        self._line: RewrittenLine | NotebookLine | None = None
        self._heading = ""  # of the epoch, in a notebook; elsewhere it has a line of its own
        self._redraws = False
        self._next_drawing = 0.0
        self._begin()

    def set_params(self, params: Mapping[str, Any]) -> None:
        super().set_params(params)
        self._verbose = verbosity(params.get("verbose", "auto"))
        self._epochs = params.get("epochs") or 1
        self._target = params.get("steps")

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self._in_fit = True

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        self._in_fit = False
        self._leave_line()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._begin_together()
        run = getattr(self.model, "training_run", None)
        if self._target is not None and run is not None:
            self._target = run.batches.steps  # the data may have grown since the last epoch
        if self._verbose and self._epochs > 1 and self._output is not None:
            heading = f"Epoch {epoch + 1}/{self._epochs}"
            if self._in_notebook:
                self._heading = f"{heading} - "
            else:
                write_line(heading, self._output)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._count(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._finish(logs)

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        if not self._in_fit:
            self._begin_together()
        elif self._line is not None:  # validation may take long: say that all of the epoch's batches are done
            self._draw(self._shown)

    def on_test_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        if not self._in_fit:
            self._count(batch, logs)

    def on_test_end(self, logs: Mapping[str, float] | None = None) -> None:
        if not self._in_fit:
            self._finish(logs)

    def on_predict_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self._begin()

    def on_predict_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._count(batch, None)

    def on_predict_end(self, logs: Mapping[str, float] | None = None) -> None:
        self._finish(None)

    def _begin_together(self) -> None:
        self._begin()
        self._redraws = ranks.agreed(self._redraws)  # all ranks take part when the first one looks at the numbers

    def _begin(self) -> None:
        self._leave_line()
        stream = standard_output() if self.stream is None or not ranks.is_main() else self.stream
        self._output = stream if self._verbose else None
        self._redraws = self._verbose == 1 and self._output is not None and is_interactive(self._output)
        self._in_notebook, self._heading = self._redraws and is_notebook(self._output), ""
        self._ascii_only = not can_encode(DONE + LEFT, self._output)
        self._seen = 0
        self._shown: Mapping[str, float] = {}
        self._started = self.clock()
        self._first_step_ended: float | None = None

    def _count(self, batch: int, logs: Mapping[str, float] | None) -> None:
        self._seen = batch + 1
        now = self.clock()
        if self._first_step_ended is None and batch == 0:
            self._first_step_ended = now
        if not self._redraws:
            return
        due = now >= self._next_drawing
        if due if logs is None else ranks.agreed(due):
            self._draw(dict(logs or {}))

    def _draw(self, logs: Mapping[str, float]) -> None:
        if self._output is None:  # a rank that only took part in reading them
            return
        self._shown = logs
        target = self._target if self._target is None else max(self._target, self._seen)
        progress, memory = (self._seen, target, *self._times(), logs), self._memory()
        text, narrow = (
            self._heading + running_line(*progress, ascii_only=self._ascii_only, loss_first=first) + memory
            for first in (False, True)
        )
        if self._line is None:
            self._line = self._new_line(text, narrow)
        else:
            self._line.show(text, narrow)
        self._next_drawing = self.clock() + INTERVAL

    def _new_line(self, text: str, narrow: str) -> RewrittenLine | NotebookLine:
        if self._in_notebook:
            return NotebookLine(text)
        from nnx.callbacks.rewritten_line import RewrittenLine  # imports tqdm, in 40 ms

        return RewrittenLine(text, self._output, narrow)

    def _finish(self, logs: Mapping[str, float] | None) -> None:
        """Leave the final line of an epoch, evaluation or prediction, unless an error ended it before any batch."""
        if self._output is None or self._seen == 0:
            return
        if self._target is None:
            self._target = self._seen  # the epochs to come are probably as long
        progress = (self._seen, max(self._seen, self._target), *self._times(), logs or {})
        if self._verbose == 2:
            write_line(brief_line(*progress), self._output)
            return
        text = self._heading + finished_line(*progress, ascii_only=self._ascii_only)
        if self._line is not None:
            self._leave_line(text)
        elif self._in_notebook:
            NotebookLine(text)
        else:
            write_line(text, self._output)

    def _leave_line(self, text: str | None = None) -> None:
        if self._line is not None:
            self._line.finish(text)
            self._line = None

    def _memory(self) -> str:
        """What the process holds, where the model is; only while a line is running: what stays looks as in Keras."""
        if self.model is None or not self.model.built:
            return ""
        held = self.model.placement.backend.held_bytes(self.model.placement.device)
        return "" if held is None else f" - {format_bytes(held)}"

    def _times(self) -> tuple[float, float]:
        """Seconds since the beginning, and seconds for a step: the first, which warms up, counts only if alone."""
        now = self.clock()
        elapsed = now - self._started
        if self._first_step_ended is not None and self._seen > 1:
            return elapsed, (now - self._first_step_ended) / (self._seen - 1)
        return elapsed, elapsed / max(1, self._seen)
