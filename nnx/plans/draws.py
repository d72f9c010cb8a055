"""Draws of a plan: each replay takes the next piece of the random stream, as each step does."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from typing import Any

import numpy as np

from nnx.plans.array import PlannedArray
from nnx.plans.plan import NotPlannable, Plan
from nnx.random.streams import Draw, Generator, drawing_by


class PlannedDraw:
    """In place of a `Draw`: what the generator gives when the plan is replayed.

    The stream does not move on while the plan is made; the words are some others then.
    """

    __slots__ = ("_draw", "_generator", "_options", "_plan", "size")

    def __init__(self, generator: Generator, size: int, by_rows: bool, plan: Plan) -> None:
        self._generator, self.size, self._options = generator, size, by_rows
        self._plan = plan
        self._draw = Draw(1, 0, size)
        plan.draws = True
        plan.note(self._renew)

    def _renew(self) -> None:
        self._draw = self._generator.draw(self.size, by_rows=self._options)

    def words(self) -> Any:
        """The words, uint32 (size,)."""
        words = self._draw.words()
        self._plan.note(self._write_words, words)
        return PlannedArray(words, self._plan)

    def _write_words(self, memory: np.ndarray) -> None:
        memory[...] = self._draw.words()


def planned_draws(
    plan: Plan, generators: Collection[Generator] | None = None
) -> contextlib.AbstractContextManager[None]:
    """A block in which what is drawn becomes part of a plan.

    generators : those that may be drawn from, NotPlannable from any other; None for all.
    """

    def draw(generator: Generator, size: int, by_rows: bool) -> Any:
        if generators is not None and not any(generator is known for known in generators):
            raise NotPlannable("random numbers are drawn from a stream that no layer has")
        return PlannedDraw(generator, size, by_rows, plan)

    return drawing_by(draw)
