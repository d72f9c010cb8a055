"""Find races between streams, by vector clocks.

The emulation does everything at once, in the order in which it was asked for.
A GPU keeps that order within a stream; of two streams, either may be ahead,
unless an event or the host makes one wait for the other.  So for each stream
this keeps what its next work is ordered after, and for memory that was written
to, who did that, and who has used it since.
"""

import threading
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

#: For each stream, how much of its work is meant: a point in the order of all.
Clock = dict[int, int]

NULL = 0
_NON_BLOCKING = 1  # cudaStreamNonBlocking


class RaceError(RuntimeError):
    """Two streams use the same memory, and neither waits for the other."""


#: Memory: its first address, and the first one behind it.
Span = tuple[int, int]


@dataclass(slots=True)
class _Use:
    """What a stream did with memory, and the stream's clock then."""

    what: str
    stream: int
    time: int

    def is_known(self, clock: Clock) -> bool:
        """Tell whether work with that clock comes after it."""
        return clock.get(self.stream, 0) >= self.time


@dataclass(slots=True)
class _Region:
    """Memory of which all has been used in the same way."""

    start: int
    stop: int
    writer: _Use | None = None
    readers: dict[int, _Use] = field(default_factory=dict)  # since then, the last one of each stream


_clocks: dict[int, Clock] = {}
_events: dict[int, Clock] = {}
_host: Clock = {}  # what the host has waited for
_non_blocking: set[int] = set()
_ended: set[int] = set()  # streams that the device forgets when their work is done
_regions: list[_Region] = []  # by their place, none over another
_starts: list[int] = []  # where each of them begins
_lock = threading.RLock()  # an array may die, by garbage collection, in the middle of anything


def _join(clock: Clock, other: Clock) -> None:
    for stream, time in list(other.items()):
        clock[stream] = max(time, clock.get(stream, 0))


def clock_of(stream: int) -> Clock:
    """Return what work that is now given to ``stream`` is ordered after."""
    clock = _clocks.setdefault(stream, {})
    _join(clock, _host)
    # The null stream and those that are not non-blocking wait for each other.
    if stream == NULL:
        for other in _clocks.keys() - _non_blocking:
            _join(clock, _clocks[other])
    elif stream not in _non_blocking:
        _join(clock, _clocks.get(NULL, {}))
    return clock


def created(stream: int, flags: int) -> int:
    """Note a new stream, and return it."""
    if flags & _NON_BLOCKING:
        _non_blocking.add(stream)
    return stream


def ended(stream: int) -> None:
    """Note that no more work comes on a stream."""
    _ended.add(stream)


def recorded(event: int, stream: int) -> None:
    """Let ``event`` stand for all work that ``stream`` has."""
    _events[event] = dict(clock_of(stream))


def destroyed(event: int) -> None:
    """Forget an event; what waits for it still does."""
    _events.pop(event, None)


def waits(stream: int, event: int) -> None:
    """Let later work of ``stream`` wait for ``event``."""
    _join(clock_of(stream), _events.get(event, {}))


def host_waits_for_event(event: int) -> None:
    """Let all later work wait for ``event``."""
    _join(_host, _events.get(event, {}))


def host_waits_for(*streams: int) -> None:
    """Let all later work wait for these streams, or for all."""
    with _lock:
        for stream in streams or list(_clocks):
            _join(_host, clock_of(stream))
        if all(_host.get(stream, 0) >= clock.get(stream, 0) for stream, clock in _clocks.items()):
            _put(0, len(_regions), [])  # whatever was done is over
            for stream in tuple(_ended):
                _clocks.pop(stream, None)
            _non_blocking.difference_update(_ended)
            _ended.clear()


def freed() -> None:
    """Note that memory went back to the device, which waits for all of its work."""
    for stream in list(_clocks):
        _join(_host, clock_of(stream))


def works(what: str, stream: int, reads: Sequence[Span] = (), writes: Sequence[Span] = ()) -> None:
    """Check work on a stream, which may also read what it writes to, and note what it does."""
    with _lock:
        clock = clock_of(stream)
        use = _Use(what, stream, clock.get(stream, 0) + 1)
        _regions_of((*reads, *writes))  # the borders of all are there before any are kept
        read, written = _regions_of(reads), _regions_of(writes)
        for region in read:
            if region.writer and not region.writer.is_known(clock):
                raise RaceError(
                    f"{what} on stream {stream} uses memory that {region.writer.what} fills"
                    f" on stream {region.writer.stream}, and does not wait for that"
                )
        for region in written:
            for other in (*region.readers.values(), region.writer):
                if other and not other.is_known(clock):
                    raise RaceError(
                        f"{what} on stream {stream} fills memory that is in use on stream {other.stream},"
                        f" by {other.what}, and does not wait for that"
                    )
        clock[stream] = use.time
        for region in read:
            region.readers[stream] = use
        for region in written:
            region.writer, region.readers = use, {}


def _regions_of(spans: Sequence[Span]) -> list[_Region]:
    """Return the regions that memory consists of, with borders where it has, and new ones where there were none."""
    found = []
    for start, stop in spans:
        first = bisect_left(_starts, start)
        if first < len(_starts) and _starts[first] == start and _regions[first].stop == stop:
            found.append(_regions[first])  # as for most work
            continue
        for border in (start, stop):
            last = bisect_left(_starts, border) - 1
            if last >= 0 and _regions[last].stop > border:
                whole = _regions[last]
                _put(last + 1, last + 1, [_Region(border, whole.stop, whole.writer, dict(whole.readers))])
                whole.stop = border
        first, last = bisect_left(_starts, start), bisect_left(_starts, stop)
        parts, end = [], start
        for region in _regions[first:last]:
            parts += [_Region(end, region.start)] * (end < region.start) + [region]
            end = region.stop
        parts += [_Region(end, stop)] * (end < stop)
        _put(first, last, parts)
        found += parts
    return found


def _put(first: int, last: int, regions: list[_Region]) -> None:
    """Put regions in the place of others."""
    _regions[first:last] = regions
    _starts[first:last] = [region.start for region in regions]
