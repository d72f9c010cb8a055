"""Places of boxes and edges: nothing overlaps, no edge runs through a box, and few edges cross."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from nnx.plotting._layout import GAP, SPACE, Edge, Layout, layout, spread

Size = tuple[float, float]


def box_of(found: Layout, sizes: list[Size], box: int) -> tuple[float, float, float, float]:
    (x, y), (width, height) = found.centres[box], sizes[box]
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def check(found: Layout, sizes: list[Size], edges: list[Edge]) -> None:
    """What holds for every layout."""
    boxes = [box_of(found, sizes, box) for box in range(len(sizes))]
    for one, other in itertools.combinations(boxes, 2):
        beside = max(one[0] - other[2], other[0] - one[2])
        below = max(one[1] - other[3], other[1] - one[3])
        assert beside >= SPACE - 1e-9 or below >= GAP - 1e-9
    for left, top, right, bottom in boxes:
        assert left >= -1e-9
        assert right <= found.width + 1e-9
        assert top >= -1e-9
        assert bottom <= found.height + 1e-9
    for edge, route in zip(edges, found.routes, strict=True):
        source, target = boxes[edge.source], boxes[edge.target]
        assert source[0] <= route[0][0] <= source[2]
        assert target[0] <= route[-1][0] <= target[2]
        assert (np.diff([y for _, y in route]) >= -1e-9).all()
        for (x, y), (next_x, next_y) in itertools.pairwise(route):
            for left, top, right, bottom in boxes:  # a gap is crossed between y and next_y, so there is no box there
                assert max(x, next_x) <= left or min(x, next_x) >= right or next_y <= top + 1e-9 or y >= bottom - 1e-9


def crossings(edges: list[Edge], found: Layout) -> int:
    """How many pairs of edges change sides in a gap."""
    gaps: dict[float, list[tuple[float, float]]] = {}
    for route in found.routes:
        for (x, y), (next_x, _) in zip(route[1::2], route[2::2], strict=False):
            gaps.setdefault(round(y, 6), []).append((x, next_x))
    return sum(
        (one[0] - other[0]) * (one[1] - other[1]) < -1e-12
        for passed in gaps.values()
        for one, other in itertools.combinations(passed, 2)
    )


@pytest.mark.parametrize("seed", range(30))
def test_random_graphs(seed: int):
    generator = np.random.default_rng(seed)
    count = int(generator.integers(1, 25))
    sizes = [(float(w), float(h)) for w, h in generator.uniform(0.1, 2.5, (count, 2))]
    edges = [
        Edge(int(source), target)
        for target in range(1, count)
        for source in generator.choice(target, min(target, int(generator.integers(0, 4))), replace=False)
    ]
    check(layout(sizes, edges), sizes, edges)


@pytest.mark.parametrize("seed", range(10))
def test_random_graphs_with_an_outside(seed: int):
    """Points at the top and at the bottom, edges that begin and end at given places."""
    generator = np.random.default_rng(seed)
    count, points = 8, 2
    sizes = [(1.0, 0.2), *[(0.0, 0.0)] * points, *[(1.5, 0.5)] * count, *[(0.0, 0.0)] * points]
    first, last = range(1 + points), range(1 + points + count, 1 + 2 * points + count)
    edges = [Edge(1 + int(generator.integers(points)), 1 + points + box) for box in range(count // 2)]
    for target in range(count // 2, count):
        edges += [Edge(1 + points + int(s), 1 + points + target) for s in generator.choice(target, 2, replace=False)]
    edges += [Edge(int(generator.integers(1, 1 + points + count)), point) for point in last]
    edges.append(Edge(1 + points, 2 + points + count // 2, outlet=-0.6, inlet=0.7))
    found = layout(sizes, edges, first, last)
    check(found, sizes, edges)
    assert {route[0][1] for edge, route in zip(edges, found.routes, strict=True) if edge.source in first} == {0.0}
    assert {route[-1][1] for edge, route in zip(edges, found.routes, strict=True) if edge.target in last} == {
        found.height
    }
    assert found.routes[-1][0][0] == pytest.approx(found.centres[1 + points][0] - 0.6)
    assert found.routes[-1][-1][0] == pytest.approx(found.centres[2 + points + count // 2][0] + 0.7)


def test_a_chain_is_straight():
    sizes = [(1.0 + 0.1 * i % 3, 0.5) for i in range(30)]
    edges = [Edge(i, i + 1) for i in range(29)]
    found = layout(sizes, edges)
    check(found, sizes, edges)
    assert np.ptp([x for x, _ in found.centres]) < 1e-6
    assert all(np.ptp([x for x, _ in route]) < 1e-6 for route in found.routes)
    assert found.height == pytest.approx(30 * 0.5 + 29 * GAP)


def test_a_residual_edge_goes_around_a_straight_chain():
    sizes = [(1.0, 0.5)] * 4
    edges = [Edge(0, 1), Edge(1, 2), Edge(2, 3), Edge(0, 3)]
    found = layout(sizes, edges)
    check(found, sizes, edges)
    assert np.ptp([x for x, _ in found.centres]) < 1e-6
    assert len(found.routes[-1]) == 8
    assert np.ptp([x for x, _ in found.routes[-1][2:6]]) < 1e-6  # vertical beside both boxes
    assert crossings(edges, found) == 0


def test_edges_are_uncrossed_where_that_is_possible():
    """Two towers whose boxes are given in an order in which they cross."""
    sizes = [(1.0, 0.5)] * 8
    edges = [Edge(0, 3), Edge(1, 2), Edge(2, 5), Edge(3, 4), Edge(4, 7), Edge(5, 6), Edge(0, 2 + 2)]
    found = layout(sizes, edges)
    check(found, sizes, edges)
    assert crossings(edges, found) == 0


def test_a_source_that_is_read_late_stands_near_its_reader():
    found = layout([(1.0, 0.5)] * 5, [Edge(0, 2), Edge(2, 3), Edge(1, 4), Edge(3, 4)])
    assert found.centres[1][1] == found.centres[3][1]
    assert found.centres[0][1] == 0.25


def test_several_edges_share_a_side_in_their_order():
    sizes = [(1.0, 0.5)] * 4 + [(3.0, 0.5)]
    edges = [Edge(i, 4) for i in range(4)]
    found = layout(sizes, edges)
    ends = [route[-1][0] for route in found.routes]
    assert [found.centres[i][0] for i in np.argsort(ends)] == sorted(x for x, _ in found.centres[:4])
    assert min(np.diff(sorted(ends))) > 0.1
    many = [Edge(0, 1)] * 20  # more than have room at the usual distance
    check(layout(sizes[:2], many), sizes[:2], many)


def test_nothing_and_one_box():
    assert layout([], []) == Layout(0.0, 0.0, [], [])
    assert layout([(2.0, 1.0)], []).centres == [(1.0, 0.5)]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ([0.0, 5.0], [0.0, 5.0]),
        ([0.0, 0.0], [-0.5, 0.5]),
        ([0.0, 0.0, 0.0], [-1.0, 0.0, 1.0]),
        ([5.0, 0.0], [2.0, 3.0]),
        ([0.0, 10.0, 10.0], [0.0, 9.5, 10.5]),
    ],
)
def test_spread(wanted: list[float], expected: list[float]):
    found = spread(wanted, [1.0] * (len(wanted) - 1), [1.0] * len(wanted))
    np.testing.assert_allclose(found, expected)


def test_spread_moves_the_light_ones():
    np.testing.assert_allclose(spread([0.0, 0.0], [1.0], [3.0, 1.0]), [-0.25, 0.75])


@pytest.mark.parametrize("seed", range(5))
def test_spread_is_the_nearest(seed: int):
    """No other places that keep the distances are nearer, in weighted squares."""
    generator = np.random.default_rng(seed)
    wanted, weights = generator.normal(size=6), generator.uniform(0.2, 3.0, 6)
    distances = generator.uniform(0.1, 1.0, 5)

    def cost(places: Any) -> float:
        return float((weights * (places - wanted) ** 2).sum())

    found = np.array(spread(list(wanted), list(distances), list(weights)))
    assert (np.diff(found) >= distances - 1e-12).all()
    for _ in range(300):
        moved = found + 0.05 * generator.normal(size=6)
        if (np.diff(moved) >= distances).all():
            assert cost(moved) >= cost(found)
