"""Profile of a training: where its time goes, layer by layer, forwards and backwards."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

from nnx.backends import is_array
from nnx.callbacks.console import format_bytes
from nnx.debug.tables import table
from nnx.debug.watching import Work, watch
from nnx.precision import dtype_bytes
from nnx.structure import leaves

_OF_MODEL = {"loss": "loss", "loss backward": "loss", "update": "optimizer", "metrics": "metrics"}


@dataclasses.dataclass
class ProfileRow:
    """A layer; or "loss", "optimizer", "metrics", and "rest" for everything else: data, callbacks, Python.

    path : such as "encoder/dense_1". kind : the class of the layer.
    calls : how often it was computed.
    forward, backward : seconds in all, those of layers inside included.
    own : seconds in all, forward and backward, without those of layers inside.
    output_bytes : the memory of its outputs, mean of the calls.
    parameters : how many numbers it has.
    """

    path: str
    kind: str = ""
    calls: int = 0
    forward: float = 0.0
    backward: float = 0.0
    own: float = 0.0
    output_bytes: float = 0.0
    parameters: int = 0


class Profile:
    """What `profile` has measured so far; printed as a table with the times of a step.

    seconds : of the block, in all. steps : of training; where nothing was trained, of evaluation or of predictions.
    rows : a list of `ProfileRow`.
    """

    def __init__(self, model: Any, clock: Callable[[], float]) -> None:
        self.name: str = model.name
        self._plans = model.trainer.step.plans
        self._placement = model.placement
        self._clock = clock
        self._rows: dict[str, ProfileRow] = {}
        for path, layer in model.named_layers().items():
            if path:
                self._rows[path] = ProfileRow(path, type(layer).__name__, parameters=layer.count_params())
        self._of_model = {name: ProfileRow(name) for name in ("loss", "optimizer", "metrics")}
        self._inside = [0.0]  # for each computation that is running, the seconds of those inside it
        self._began = clock()
        self._ended: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds since the block began, until it ended."""
        return (self._clock() if self._ended is None else self._ended) - self._began

    @property
    def steps(self) -> int:
        """Steps of training that were measured, or of evaluation or prediction where nothing was trained."""
        calls = [row.calls for row in self._rows.values()]
        return self._of_model["optimizer"].calls or self._of_model["loss"].calls or max(calls, default=0)

    @property
    def rows(self) -> list[ProfileRow]:
        """The layers of the model, in its order, then what else a step does; those that took no time are left out."""
        known = [*(row for row in self._rows.values() if row.calls), *self._of_model.values()]
        rest = ProfileRow("rest", own=self.seconds - sum(row.own for row in known))
        rest.forward = rest.own
        return [*known, rest]

    def observe(self, work: Work, compute: Callable[[], Any]) -> Any:
        """The observer of `watch`."""
        if self._ended is not None:  # a pullback that was made in the block is called after it
            return compute()
        if work.phase == "total":
            return compute()
        row = self._rows[work.path] if work.path else self._of_model[_OF_MODEL[work.phase]]
        backend, device = self._placement.backend, self._placement.device
        with backend.range(f"{work.path or row.path} {work.phase}"):
            backend.synchronize(device)
            self._inside.append(0.0)
            began = self._clock()
            try:
                result = compute()
                backend.synchronize(device)
            finally:
                elapsed = self._clock() - began
                inside = self._inside.pop()
                self._inside[-1] += elapsed
        row.own += elapsed - inside
        if "backward" in work.phase:
            row.backward += elapsed
        else:
            row.forward += elapsed
            row.calls += 1
        if work.phase == "forward":
            row.output_bytes += (_bytes(result[0]) - row.output_bytes) / row.calls
        return result

    def end(self) -> None:
        """The block is over."""
        self._ended = self._clock()

    def __str__(self) -> str:
        steps, seconds = max(self.steps, 1), self.seconds
        lines = []
        for row in self.rows:
            indent = "  " * row.path.count("/")
            name = row.path.rpartition("/")[2]
            lines.append(
                [
                    f"{indent}{name}{f' ({row.kind})' if row.kind else ''}",
                    f"{row.calls:,}" if row.calls else "",
                    f"{1e3 * row.forward / steps:.3f}",
                    f"{1e3 * row.backward / steps:.3f}" if row.kind or row.path == "loss" else "",
                    f"{row.own / max(seconds, 1e-12):.1%}",
                    format_bytes(row.output_bytes) if row.kind else "",
                    f"{row.parameters:,}" if row.kind else "",
                ]
            )
        lines.append(["in all", "", f"{1e3 * seconds / steps:.3f}", "", "100.0%", "", ""])
        heads = ["ms of a step", "calls", "forward", "backward", "share", "output", "parameters"]
        counted = f"{steps} step{'s' * (steps > 1)} in {seconds:.3g} s"
        replayed = f"\nWhere nobody measures, {self._plans}." if str(self._plans) else ""
        return f"{self.name} on {self._placement}: {counted}\n{table(heads, lines)}{replayed}"

    __repr__ = __str__


@contextlib.contextmanager
def profile(model: Any, *, clock: Callable[[], float] = time.perf_counter) -> Iterator[Profile]:
    """Measure the layers of a model while the block runs: `fit`, `train_on_batch`, `predict` or a loop of one's own.

    model : a built model. Train a step before, so that nothing is measured that happens only once.
    clock : a function that returns seconds.

    To measure a layer, one waits for the device before and after it, and computes it, also where steps otherwise are
    replayed (see `jit_compile` of `Model.compile`): the block takes longer than it would. With CuPy,
    each computation is also an NVTX range, which NVIDIA's profilers show. Outside of the block nothing is slower.

    >>> import nnx
    >>> model = nnx.Sequential([nnx.layers.Dense(2, activation="relu", input_dim=3), nnx.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x, y = [[0.0, 1.0, 2.0]], [[1.0]]
    >>> with profile(model) as report:
    ...     loss = model.train_on_batch(x, y)
    >>> [(row.path, row.calls) for row in report.rows]
    [('dense', 1), ('dense_1', 1), ('loss', 1), ('optimizer', 1), ('metrics', 1), ('rest', 0)]
    """
    if not hasattr(model, "named_layers"):
        raise TypeError(f"profile expects a model, got {model!r}: put layers into one with nnx.Sequential([...])")
    model.require_built("layers to measure")
    report = Profile(model, clock)
    with watch(model, report.observe):
        try:
            yield report
        finally:
            report.end()


def _bytes(output: Any) -> int:
    arrays = [leaf for leaf in leaves(output) if is_array(leaf)]
    return sum(math.prod(array.shape) * _item_bytes(array) for array in arrays)


def _item_bytes(array: Any) -> int:
    name = str(array.dtype).rpartition(".")[2]
    return 1 if name == "bool" else dtype_bytes(name)
