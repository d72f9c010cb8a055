"""Replayed steps: steps of training that are replayed in a row, with one look at what their plans depend on."""

from __future__ import annotations

from typing import Any

from nnx import ranks
from nnx.backends import Array
from nnx.parameters import ATTRIBUTE_CHANGE, recorders
from nnx.structure import first_given
from nnx.training.model_plans import ModelPlan
from nnx.training.step import BatchStep

_MOST_LOOKS = 8  # the second step of a form makes the plan, the third one that of the update


class ReplayedSteps:
    """Training on batches of the same arrays, between which no code runs that is not nnx's: an epoch of `fit`.

    `BatchStep.train` compares in each step all that its plan depends on. Here this is done once; from then on the plan
    of the loss, the metrics and the gradients is replayed, and that of the update. A batch of another size is trained
    on as ever, and so are all that follow an attribute that was set: another thread may do so.

    step : of the model.
    """

    def __init__(self, step: BatchStep) -> None:
        self._step = step
        self._looks = _MOST_LOOKS
        self._plan: ModelPlan | None = None

    def train(self, xs: list[Array], ys: list[Array], weights: list[Array | None], *whole: int) -> None:
        """As `BatchStep.train`."""
        arrays, rows = [*xs, *ys, *weights], first_given(xs).shape[0]
        if self._plan is not None and self._holds(rows):
            made = self._plan.run(arrays)
            if made is not None:
                loss, parts, _ = made if isinstance(made, tuple) else (made, (), None)
                self._optimizer.replay(self._update, self._flat)
                self._flat.start_pass()
                self._objective.update(loss, parts, rows)
                return
        self._step.train(xs, ys, weights, *whole)
        if self._plan is None and self._looks:
            self._looks -= 1
            self._look(arrays, rows)

    def _holds(self, rows: int) -> bool:
        """Whether the next step is like the last ones, as far as that can be seen at a glance."""
        same = rows == self._rows and ATTRIBUTE_CHANGE.last is self._compared
        return same and self._optimizer.known_update(self._flat) is self._update

    def _look(self, arrays: list[Array | None], rows: int) -> None:
        """See whether the next step on a batch like this is replayed as a whole."""
        model, compared = self._step.model(), ATTRIBUTE_CHANGE.last
        optimizer: Any = model.optimizer
        if ranks.group() is not None or recorders or _calls_code(optimizer):
            return
        objective, flat = self._step.objective or model.require_compiled(), model.flat
        plan, update = self._step.plans.known(arrays, objective), optimizer.known_update(flat)
        if plan is not None and plan.has_metrics and update is not None:
            self._plan, self._update, self._rows, self._compared = plan, update, rows, compared
            self._objective, self._optimizer, self._flat = objective, optimizer, flat


def _calls_code(optimizer: Any) -> bool:
    """Whether a step of an optimizer calls code that is not nnx's, for the learning rate."""
    schedule = optimizer.schedule
    return schedule is not None and not type(schedule).__module__.startswith("nnx.")
