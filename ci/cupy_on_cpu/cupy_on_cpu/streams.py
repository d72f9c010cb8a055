"""Find races between streams, by vector clocks.

The emulation does everything at once, in the order in which it was asked for.
A GPU keeps that order within a stream; of two streams, either may be ahead,
unless an event or the host makes one wait for the other.  So for each stream
this keeps what its next work is ordered after, and for memory that was filled
by a copy on a stream of its own, who used it and when.

Memory that only the null stream copies into is not followed.
"""

from dataclasses import dataclass, field

#: For each stream, how much of its work is meant: a point in the order of all.
Clock = dict[int, int]

NULL = 0
_NON_BLOCKING = 1  # cudaStreamNonBlocking


class RaceError(RuntimeError):
    """Two streams use the same memory, and neither waits for the other."""


@dataclass
class _Region:
    """Memory from ``start`` to ``stop``, filled by one copy."""

    start: int
    stop: int
    writer: int
    written: int  # the writer's clock then
    uses: Clock = field(default_factory=dict)  # the last one of each stream


_clocks: dict[int, Clock] = {}
_events: dict[int, Clock] = {}
_host: Clock = {}  # what the host has waited for
_non_blocking: set[int] = set()
_regions: list[_Region] = []


def _join(clock: Clock, other: Clock) -> None:
    for stream, time in other.items():
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


def follows_memory() -> bool:
    """Tell whether there is any memory to look for."""
    return bool(_regions)


def created(stream: int, flags: int) -> int:
    """Note a new stream, and return it."""
    if flags & _NON_BLOCKING:
        _non_blocking.add(stream)
    return stream


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
    for stream in streams or list(_clocks):
        _join(_host, clock_of(stream))


def freed(address: int, size: int) -> None:
    """Note that memory went back to the device, which waits for all of its work."""
    if _regions:
        host_waits_for()
        _regions[:] = [region for region in _regions if not address <= region.start < address + size]


def used(addresses: list[int], stream: int, what: str) -> None:
    """Check a use, by reading or writing, of what lies at these addresses."""
    for region in _regions:
        if any(region.start <= address < region.stop for address in addresses):
            clock = clock_of(stream)
            _expect(clock, region.writer, region.written, f"{what} on stream {stream} uses memory that a copy fills")
            region.uses[stream] = clock[stream] = clock.get(stream, 0) + 1


def copied(target: int, size: int, stream: int) -> None:
    """Check a copy, and follow the memory that it fills."""
    stop = target + size
    touched = [region for region in _regions if region.start < stop and target < region.stop]
    if stream == NULL and not touched:
        return
    clock = clock_of(stream)
    for region in touched:
        _expect(clock, region.writer, region.written, f"a copy on stream {stream} fills memory that another one fills")
        for user, time in region.uses.items():
            _expect(clock, user, time, f"a copy on stream {stream} fills memory that is in use")
    clock[stream] = clock.get(stream, 0) + 1
    for region in touched:
        _regions.remove(region)
        for start, end in ((region.start, target), (stop, region.stop)):  # what is left of it
            if start < end:
                _regions.append(_Region(start, end, region.writer, region.written, dict(region.uses)))
    if size and stream != NULL:
        _regions.append(_Region(target, stop, stream, clock[stream]))


def _expect(clock: Clock, stream: int, time: int, what: str) -> None:
    if clock.get(stream, 0) < time:
        raise RaceError(f"{what} on stream {stream}, and does not wait for that")
