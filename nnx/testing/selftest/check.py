"""A check of the selftest: parts, each of which passes, fails or cannot run, and how long they take."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from nnx.backends import Placement

Part = tuple[str, Callable[[], str]]
"""A name, and a function that raises where something is wrong and otherwise says what it found, or nothing."""


class NotRunError(Exception):
    """Reason why a check, or a part of one, cannot run on this machine; it neither passes nor fails."""


@dataclasses.dataclass(frozen=True)
class Check:
    """Check of a backend.

    name : what it proves.
    parts : makes its parts, without computing anything; NotRunError if none of them can run.
    seconds : how long it takes with CuPy where every kernel still has to be compiled, at most.
    elsewhere : how long with another backend; None (default) for what is about CUDA alone.
    shown : whether what the parts found is printed too, as it is written into the report.
    """

    name: str
    parts: Callable[[Placement], list[Part]]
    seconds: float
    elsewhere: float | None = None
    shown: bool = False

    def planned(self, place: Placement) -> tuple[list[Part], float]:
        """The parts for a backend, and how long they take; NotRunError if none of them can run."""
        if place.name == "cupy":
            return self.parts(place), self.seconds
        if self.elsewhere is None:
            raise NotRunError("it is about CUDA")
        return self.parts(place), self.elsewhere
