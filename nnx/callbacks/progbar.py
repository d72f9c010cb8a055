"""A progress bar for loops of one's own."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nnx.callbacks.console import encodable, write_line
from nnx.callbacks.progress_line import brief_line, finished_line, running_line

Values = Sequence[tuple[str, Any]] | Mapping[str, Any] | None


class Progbar:
    """A progress bar, with the time left and the means of metrics.

    target : how many steps there are; None if that is not known.
    width, unit_name : accepted as in Keras; the bar looks like that of `fit`.
    verbose : 1 for a bar, 2 for one line at the end, 0 for nothing.
    interval : seconds between two drawings, at least.
    stateful_metrics : names of values that are shown as they are; of the others, means over the steps.
    stateless_metrics : in place of it, the names of those of which means are shown. ValueError for both.

    >>> bar = Progbar(3, verbose=2)
    >>> for step in range(3):
    ...     bar.add(1, [("loss", 0.5 * step)])  # doctest: +ELLIPSIS
    3/3 - 0s - ...step - loss: 0.5000
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ) -> None:
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError("Progbar takes either stateful_metrics or stateless_metrics")
        self.target, self.width, self.verbose = target, width, verbose
        self.interval, self.unit_name = interval, unit_name
        self.stateful_metrics = None if stateful_metrics is None else set(stateful_metrics)
        self.stateless_metrics = None if stateless_metrics is None else set(stateless_metrics)
        self._seen = 0
        self._sums: dict[str, tuple[float, float]] = {}  # of each value, and of its steps
        self._start, self._next_drawing = time.perf_counter(), 0.0

    def update(self, current: int, values: Values = None, finalize: bool | None = None) -> None:
        """Be at a step, with the values of it; `finalize` for the last one, by default at the target.

        >>> Progbar(2, verbose=0).update(1, {"loss": 1.0})
        """
        steps = current - self._seen
        self._seen = current
        for name, value in values.items() if isinstance(values, Mapping) else values or ():
            if self._is_mean(name):
                total, count = self._sums.get(name, (0.0, 0.0))
                self._sums[name] = total + float(value) * steps, count + steps
            else:
                self._sums[name] = float(value), 1.0
        over = current == self.target if finalize is None else finalize
        now = time.perf_counter()
        if self.verbose and (over or (self.verbose == 1 and now >= self._next_drawing)):
            self._next_drawing = now + self.interval
            self._draw(now - self._start, over)

    def add(self, n: int, values: Values = None) -> None:
        """Go on by so many steps.

        >>> Progbar(2, verbose=0).add(1, [("loss", 1.0)])
        """
        self.update(self._seen + n, values)

    def _is_mean(self, name: str) -> bool:
        if self.stateless_metrics is not None:
            return name in self.stateless_metrics
        return name not in (self.stateful_metrics or ())

    def _draw(self, elapsed: float, over: bool) -> None:
        logs = {name: total / (count or 1.0) for name, (total, count) in self._sums.items()}
        pace = elapsed / max(self._seen, 1)
        if self.verbose == 2:
            write_line(brief_line(self._seen, self.target, elapsed, pace, logs), sys.stdout)
            return
        draw = finished_line if over else running_line
        line = encodable(draw(self._seen, self.target, elapsed, pace, logs, ascii_only=False), sys.stdout)
        sys.stdout.write(f"\r{line}\n" if over else f"\r{line}")
        sys.stdout.flush()
