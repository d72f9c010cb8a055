"""Tapes: what was computed from watched arrays, in its order, and the way back."""

from __future__ import annotations

import contextvars
from collections.abc import Sequence
from typing import Any, Final

from nnx.parameters import Parameter
from nnx.pullbacks import LayerPullback, Skippable

Entry = Any
"""How a value came to be: None for a watched array; else (first, second, pull, kept).

first, second : of a function of one tracked array its index and None, of one of two both indices; of all others None
    and a tuple of indices, None for constants.
pull : from the value's cotangent to that of the one array, to a pair for two, to a tuple for the others; of these it
    may be a tuple of pulls, one for each index, of which only those that are needed are called.
kept : what the pull is given beside the cotangent, so that it can be one function for all entries; None for nothing.
"""

CONSTANT: Final = -1
"""The level of arrays that no tape records any more: below all others."""


class Tape:
    """A list of what was computed from watched arrays.

    level : how many tapes were open around it when it began; a function of arrays of several tapes is recorded on the
        one with the highest level, for which the others' arrays are constants.
    watches_parameters : whether parameters in expressions are leaves of it.
    training : what layers that are called while it is open take for `training` if nobody says; None for inference.
    wants_logits : whether a softmax or sigmoid that ends a layer is an entry of its own, which a loss may leave out.
    calls : while it is tried out what a `call` does, the layers that it calls; else None.
    losses : what layers have added to the loss; None where nobody collects that.
    keeps_losses : whether layers keep what they add to the loss, tracked, for who reads their `losses`.
    in_layer : whether a layer is being called that keeps such values, and so does not begin anew.
    entries : one for each tracked array, see `Entry`. watched : how many of them are None.
    leaves : by the identity of a watched parameter the parameter and the index of its entry.
    layers : the layers of which it has recorded a call as one entry, which send cotangents to their parameters.
    masked : whether one of its arrays has a mask, which what is computed from it then has too.
    written_out : whether functions of nnx are recorded as they are written, and not as one entry each: while one is
        computed that a tape of a higher level records, whose pullback will use what is recorded here.

    A tape does not refer to its tracked arrays, and so dies with them at once.
    """

    __slots__ = (
        *("__weakref__", "calls", "entries", "in_layer", "keeps_losses", "layers", "leaves", "level", "losses"),
        *("masked", "training", "wants_logits", "watched", "watches_parameters", "written_out"),
    )

    def __init__(
        self,
        level: int,
        watches_parameters: bool = False,
        *,
        training: bool | None = None,
        wants_logits: bool = False,
        calls: list[Any] | None = None,
        losses: list[Any] | None = None,
        keeps_losses: bool = False,
    ) -> None:
        self.training, self.wants_logits = training, wants_logits
        self.calls, self.losses = calls, losses
        self.keeps_losses, self.in_layer = keeps_losses, False
        self.entries: list[Entry] = []
        self.watched = 0
        self.masked = self.written_out = False
        self.level = level
        self.watches_parameters = watches_parameters
        self.leaves: dict[int, tuple[Parameter, int]] = {}
        self.layers: dict[Any, None] = {}

    def watch(self) -> int:
        """Record that there is an array, of which nothing is known. Returns its index."""
        self.watched += 1
        entries = self.entries
        entries.append(None)
        return len(entries) - 1

    def add(self, entry: Entry) -> int:
        """Record how a value came to be. Returns its index."""
        entries = self.entries
        entries.append(entry)
        return len(entries) - 1

    def is_inside(self) -> bool:
        """Whether a tape around it may record the cotangents that come to it, also of what that tape does not track."""
        if self.level <= 0:
            return False
        tapes = _OPEN.get()
        return not tapes or tapes[0] is not self

    def release(self) -> None:
        """Forget everything: arrays that were tracked here are constants from now on."""
        self.entries, self.leaves, self.layers = _Nothing(), {}, {}
        self.level = CONSTANT

    def pull(self, seeds: Sequence[tuple[int, Any]], wanted: Sequence[int]) -> list[Any]:
        """The cotangents of the entries `wanted`, from those of others: (index, cotangent). None where none comes."""
        entries = self.entries
        cotangents: list[Any] = [None] * len(entries)
        for index, dy in seeds:
            if dy is not None:
                before = cotangents[index]
                cotangents[index] = dy if before is None else before + dy
        keep = set(wanted)
        leads = None
        if self.watched != len(keep) or self.layers or [entries[index] for index in keep].count(None) < len(keep):
            leads = self._leads_to(wanted)  # else everything leads to wanted entries, and these to nothing
        found: dict[int, Any] = {}
        for entry in reversed(entries):
            dy = cotangents.pop()
            if dy is None:
                continue
            if entry is None:
                found[len(cotangents)] = dy
                continue
            if leads is not None:
                position = len(cotangents)
                if position in keep:
                    found[position] = dy
                if not leads[position]:
                    continue
            first, second, pull, kept = entry
            if second is None:
                dx = pull(dy) if kept is None else pull(dy, kept)
                before = cotangents[first]
                cotangents[first] = dx if before is None else before + dx
            elif first is not None:
                dx, dx_of_second = pull(dy) if kept is None else pull(dy, kept)
                before = cotangents[first]
                cotangents[first] = dx if before is None else before + dx
                before = cotangents[second]
                cotangents[second] = dx_of_second if before is None else before + dx_of_second
            elif type(pull) is tuple:
                for index, pull_one in zip(second, pull, strict=True):
                    if index is not None and (leads is None or leads[index]):
                        dx = pull_one(dy) if kept is None else pull_one(dy, kept)
                        before = cotangents[index]
                        cotangents[index] = dx if before is None else before + dx
            elif (
                leads is not None
                and leads[position] == _SENDS
                and not any(index is not None and leads[index] for index in second)
            ):
                pull(dy, inputs=False)
            else:
                dxs = pull(dy)
                for index, dx in zip(second, dxs if type(dxs) is tuple else (dxs,), strict=True):
                    if index is not None and dx is not None:
                        before = cotangents[index]
                        cotangents[index] = dx if before is None else before + dx
        return [found.get(index) for index in wanted]

    def _leads_to(self, wanted: Sequence[int]) -> bytearray:
        """For each entry whether a wanted one is reached from it: else its cotangent is of no use to anybody."""
        leads = bytearray(len(self.entries))
        for index in wanted:
            leads[index] = 1
        for position, entry in enumerate(self.entries):
            if entry is None:
                continue
            first, second, pull, _ = entry
            if type(pull) in _SENDERS:
                leads[position] = _SENDS
            elif first is not None:
                if leads[first] or (second is not None and leads[second]):
                    leads[position] = 1
            else:
                for index in second:
                    if index is not None and leads[index]:
                        leads[position] = 1
                        break
        return leads


_SENDERS = (LayerPullback, Skippable)  # they send cotangents into parameters, whoever wants those of their inputs
_SENDS = 2


class _Nothing(list[Entry]):
    """The entries of a tape that records nothing."""

    def append(self, entry: Entry) -> None:
        pass


CONSTANTS: Final = Tape(CONSTANT)
"""The tape of constants, which keeps nothing."""
CONSTANTS.release()

_OPEN: contextvars.ContextVar[tuple[Tape, ...]] = contextvars.ContextVar("nnx_tapes", default=())


def open_tapes() -> tuple[Tape, ...]:
    """The tapes that are open in this thread and task, the outermost first."""
    return _OPEN.get()


Before = contextvars.Token[tuple[Tape, ...]]
"""Which tapes were open before."""


def set_open_tapes(tapes: tuple[Tape, ...]) -> Before:
    """Let these be the open tapes of this thread and task, and no others; `recording` does it for a block.

    Returns what `open_as_before` takes. To set what was there leaves a value in the context, if only (): each call
    of NumPy then looks longer for a variable of its own.
    """
    return _OPEN.set(tapes)


def open_as_before(before: Before) -> None:
    """Let the tapes be open that were before `set_open_tapes`."""
    _OPEN.reset(before)


def next_level() -> int:
    """The level of a tape that is opened now: above all that are open."""
    tapes = _OPEN.get()
    return tapes[-1].level + 1 if tapes else 0


class recording:  # noqa: N801, a block as those of contextlib, without the generator that these take time for
    """Inside the block these are the open tapes, and no others."""

    __slots__ = ("_before", "_tapes")

    def __init__(self, *tapes: Tape) -> None:
        self._tapes = tapes

    def __enter__(self) -> None:
        self._before = _OPEN.get()
        _OPEN.set(self._tapes)

    def __exit__(self, *_: object) -> None:
        _OPEN.set(self._before)


def open_tape(tape: Tape) -> None:
    """Open a tape inside of those that are open."""
    _OPEN.set((*_OPEN.get(), tape))


def close_tape(tape: Tape) -> None:
    """Close a tape, wherever it stands among those that are open."""
    _OPEN.set(tuple(one for one in _OPEN.get() if one is not tape))
