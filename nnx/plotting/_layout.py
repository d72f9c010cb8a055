"""Layout of a graph: where its boxes go, and the edges between them (Sugiyama, Tagawa, Toda, 1981).

Boxes stand in ranks, one below the other. An edge that passes ranks gets a place of its own in each, so that it goes
between boxes and never through one. Lengths are inches; x goes to the right, y down, in which all edges lead.
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
from collections.abc import Sequence

GAP = 0.34  # between ranks
SPACE = 0.22  # between neighbours in a rank
_ROUNDS = 24
_STRAIGHT = 8.0  # how much an edge wants to be vertical where it passes ranks
_LIGHT = 1e-9  # the weight of such an edge beside a box, which pushes it aside
_SIDE = 0.01  # of a place in a row, for an inch from the middle of a box


@dataclasses.dataclass(frozen=True)
class Edge:
    """From one box to another with a higher number.

    outlet, inlet : where it leaves and enters, from the middle of the box; None to share its side with other edges.
    """

    source: int
    target: int
    outlet: float | None = None
    inlet: float | None = None


@dataclasses.dataclass(frozen=True)
class Layout:
    """centres : of the boxes. routes : for each edge its corners; between the second and the third, the fourth and the
    fifth, ... it crosses the gap between two ranks, else it is vertical.
    """

    width: float
    height: float
    centres: list[tuple[float, float]]
    routes: list[list[tuple[float, float]]]


def layout(
    sizes: Sequence[tuple[float, float]], edges: Sequence[Edge], first: Sequence[int] = (), last: Sequence[int] = ()
) -> Layout:
    """Places for boxes of these sizes (width, height).

    first, last : boxes that have a rank of their own at the top, or at the bottom: where edges come from outside.
    """
    ranks = _ranks(len(sizes), edges, first, last)
    widths = [width for width, _ in sizes]
    chains = []  # for each edge, the boxes and the places in ranks that it passes
    for edge in edges:
        passed = range(ranks[edge.source] + 1, ranks[edge.target])
        chains.append([edge.source, *range(len(ranks), len(ranks) + len(passed)), edge.target])
        ranks += passed
        widths += [0.0] * len(passed)
    links: Links = {}
    for edge, chain in zip(edges, chains, strict=True):
        for upper, lower in itertools.pairwise(chain):
            outlet = edge.outlet if upper == edge.source else None
            inlet = edge.inlet if lower == edge.target else None
            links.setdefault((upper, lower), (outlet or 0.0, inlet or 0.0))
    rows = _ordered(ranks, links)
    x = _columns(rows, widths, links, len(sizes))
    tops, bottoms = _bands(rows, [height for _, height in sizes])
    centres = [(x[box], (tops[ranks[box]] + bottoms[ranks[box]]) / 2.0) for box in range(len(sizes))]
    width = max((centre + size / 2.0 for centre, size in zip(x, widths, strict=True)), default=0.0)
    outlets, inlets = _ends(edges, chains, x, widths)
    routes = []
    for edge, chain, outlet, inlet in zip(edges, chains, outlets, inlets, strict=True):
        start = 0.0 if edge.source in first else centres[edge.source][1] + sizes[edge.source][1] / 2.0
        end = bottoms[-1] if edge.target in last else centres[edge.target][1] - sizes[edge.target][1] / 2.0
        route = [(outlet, start), (outlet, bottoms[ranks[edge.source]])]
        for place in chain[1:-1]:
            route += [(x[place], tops[ranks[place]]), (x[place], bottoms[ranks[place]])]
        routes.append([*route, (inlet, tops[ranks[edge.target]]), (inlet, end)])
    return Layout(width, bottoms[-1] if bottoms else 0.0, centres, routes)


def _ranks(count: int, edges: Sequence[Edge], first: Sequence[int], last: Sequence[int]) -> list[int]:
    """The length of the longest way to each box; boxes to which no way leads stand right above the next one."""
    ranks = [1 if first and box not in first else 0 for box in range(count)]
    for edge in sorted(edges, key=lambda edge: edge.target):
        ranks[edge.target] = max(ranks[edge.target], ranks[edge.source] + 1)
    reached = {edge.target for edge in edges}
    for box in range(count):
        following = [ranks[edge.target] for edge in edges if edge.source == box]
        if box not in reached and box not in first and following:
            ranks[box] = min(following) - 1
    lowest = max((ranks[box] for box in range(count) if box not in last), default=-1)
    for box in last:
        ranks[box] = lowest + 1
    return ranks


Links = dict[tuple[int, int], tuple[float, float]]
"""From what to what one rank below, and how far from the middles of both."""


def _neighbours(links: Links, count: int) -> tuple[list[list[tuple[int, float, float]]], ...]:
    """What each box or place is linked to above, and below: (which, how far from its middle, from one's own)."""
    above: list[list[tuple[int, float, float]]] = [[] for _ in range(count)]
    below: list[list[tuple[int, float, float]]] = [[] for _ in range(count)]
    for (upper, lower), (outlet, inlet) in links.items():
        above[lower].append((upper, outlet, inlet))
        below[upper].append((lower, inlet, outlet))
    return above, below


def _ordered(ranks: Sequence[int], links: Links) -> list[list[int]]:
    """The rows, in an order in which few links cross: each box near the mean place of its neighbours, again and again,
    in turn from above and from below."""
    rows: list[list[int]] = [[] for _ in range(max(ranks, default=-1) + 1)]
    for box, rank in enumerate(ranks):
        rows[rank].append(box)
    sides = _neighbours(links, len(ranks))
    best, least = rows, _crossings(rows, links)
    for turn in range(_ROUNDS):
        neighbours = sides[turn % 2]
        place = {box: float(index) for row in rows for index, box in enumerate(row)}
        rows = list(rows)
        for rank in range(len(rows)) if turn % 2 == 0 else reversed(range(len(rows))):
            for box in rows[rank]:
                if neighbours[box]:
                    place[box] = sum(place[n] + _SIDE * at for n, at, _ in neighbours[box]) / len(neighbours[box])
            rows[rank] = sorted(rows[rank], key=place.__getitem__)
            place.update((box, float(index)) for index, box in enumerate(rows[rank]))
        crossings = _crossings(rows, links)
        if crossings < least:
            best, least = rows, crossings
    return best


def _crossings(rows: Sequence[Sequence[int]], links: Links) -> int:
    place = {box: (rank, index) for rank, row in enumerate(rows) for index, box in enumerate(row)}
    ends = sorted(
        (place[upper][0], place[upper][1] + _SIDE * outlet, place[lower][1] + _SIDE * inlet)
        for (upper, lower), (outlet, inlet) in links.items()
    )
    count = 0
    for _, group in itertools.groupby(ends, key=lambda end: end[0]):
        passed: list[float] = []
        for _, _, below in group:
            count += len(passed) - bisect.bisect_right(passed, below)
            bisect.insort(passed, below)
    return count


def _columns(rows: Sequence[Sequence[int]], widths: Sequence[float], links: Links, boxes: int) -> list[float]:
    """The x of each box and place: near the median of its neighbours, and not too near to those beside it.

    In turn from above and from below, in the end from both.
    """
    x = [0.0] * len(widths)
    above, below = _neighbours(links, len(widths))
    both = [[*upper, *lower] for upper, lower in zip(above, below, strict=True)]
    for turn in range(_ROUNDS):
        neighbours = both if turn > 2 * _ROUNDS // 3 else (above, below)[turn % 2]
        for row in rows if turn % 2 == 0 else reversed(rows):
            wanted = [
                _median([(x[n] + at - own, _weight(box, n, boxes)) for n, at, own in neighbours[box]], x[box])
                for box in row
            ]
            weights = [_LIGHT if box >= boxes else 1.0 for box in row]
            distances = [(widths[one] + widths[other]) / 2.0 + SPACE for one, other in itertools.pairwise(row)]
            for box, place in zip(row, spread(wanted, distances, weights), strict=True):
                x[box] = place
    left = min((place - width / 2.0 for place, width in zip(x, widths, strict=True)), default=0.0)
    return [place - left for place in x]


def _weight(one: int, other: int, boxes: int) -> float:
    """How much a link should be vertical: most inside an edge that passes ranks, least where such an edge ends."""
    places = (one >= boxes) + (other >= boxes)
    return (2.0, 1.0, _STRAIGHT)[places]


def _median(weighted: list[tuple[float, float]], default: float) -> float:
    """The weighted median; the mean of both where two are."""
    half = sum(weight for _, weight in weighted) / 2.0
    passed = 0.0
    for index, (value, weight) in enumerate(ordered := sorted(weighted)):
        passed += weight
        if passed > half:
            return value
        if passed == half:
            return (value + ordered[index + 1][0]) / 2.0
    return default


def spread(wanted: Sequence[float], distances: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Places in the same order, at least these distances apart, and as near to those wanted as that allows.

    Least squares, by isotonic regression: what is too near becomes a group around its weighted mean (pool adjacent
    violators).
    """
    offsets = [0.0]
    for distance in distances:
        offsets.append(offsets[-1] + distance)
    groups: list[tuple[float, float, int]] = []  # (mean, weight, how many)
    for place, offset, weight in zip(wanted, offsets, weights, strict=False):
        mean, count = place - offset, 1
        while groups and groups[-1][0] > mean:
            before, heavy, many = groups.pop()
            mean = (before * heavy + mean * weight) / (heavy + weight)
            weight, count = heavy + weight, many + count
        groups.append((mean, weight, count))
    means = [mean for mean, _, count in groups for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=False)]


def _bands(rows: Sequence[Sequence[int]], heights: Sequence[float]) -> tuple[list[float], list[float]]:
    """The top and the bottom of each row: as high as its highest box."""
    tops: list[float] = []
    bottoms: list[float] = []
    for row in rows:
        tops.append(bottoms[-1] + GAP if bottoms else 0.0)
        bottoms.append(tops[-1] + max((heights[box] for box in row if box < len(heights)), default=0.0))
    return tops, bottoms


def _ends(
    edges: Sequence[Edge], chains: Sequence[Sequence[int]], x: Sequence[float], widths: Sequence[float]
) -> tuple[list[float], list[float]]:
    """The x at which each edge leaves and enters: right above where it goes, as far as the others leave room."""
    leaving, entering = [], []
    for edge, chain in zip(edges, chains, strict=True):
        after, before = x[chain[1]], x[chain[-2]]
        if len(chain) == 2:
            after, before = after + (edge.inlet or 0.0), before + (edge.outlet or 0.0)
        leaving.append((edge.source, edge.outlet, after))
        entering.append((edge.target, edge.inlet, before))
    return _side_by_side(leaving, x, widths), _side_by_side(entering, x, widths)


def _side_by_side(
    ends: Sequence[tuple[int, float | None, float]], x: Sequence[float], widths: Sequence[float]
) -> list[float]:
    """Places along the sides of boxes. ends : (box, from its middle if that is fixed, x of what is next)."""
    places = [x[box] + (fixed or 0.0) for box, fixed, _ in ends]
    sharing: dict[int, list[int]] = {}
    for index, (box, fixed, _) in enumerate(ends):
        if fixed is None:
            sharing.setdefault(box, []).append(index)
    for box, found in sharing.items():
        found.sort(key=lambda index: ends[index][2])
        half = 0.4 * widths[box]
        low, high = x[box] - half, x[box] + half
        wanted = [min(max(ends[index][2], low), high) for index in found]
        step = min(SPACE, 2.0 * half / len(found))
        chosen = spread(wanted, [step] * (len(found) - 1), [1.0] * len(found))
        for place, index in enumerate(found):
            nearest = max(chosen[place], low + place * step)
            places[index] = min(nearest, high - (len(found) - 1 - place) * step)
    return places
