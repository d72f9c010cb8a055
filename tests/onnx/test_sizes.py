"""Open sizes of an exported graph: exact arithmetic, and no number where there is none."""

from __future__ import annotations

import math
from typing import Any

import pytest

from nnx.onnx.size import Size, open_size

BATCH, STEPS = open_size("batch", "x", 0), open_size("steps", "x", 1)

EQUAL: list[tuple[Any, Any]] = [
    (BATCH + 2 - 2, BATCH),
    (2 * BATCH - BATCH * 2, 0),
    (math.prod((BATCH, 3, STEPS)), STEPS * BATCH * 3),
    ((BATCH * 6) // 3, BATCH * 2),
    ((BATCH * 6 + 5) // 3, BATCH * 2 + 1),
    ((BATCH * STEPS * 4) // (STEPS * 2), BATCH * 2),
    ((STEPS - 1) // 2 + 1, 1 + (STEPS - 1) // 2),
    (STEPS % 1, 0),
    (0 - (-BATCH), BATCH),
    (3 - BATCH, -BATCH + 3),
]


@pytest.mark.parametrize(("found", "expected"), EQUAL, ids=str)
def test_arithmetic_is_exact(found: Any, expected: Any) -> None:
    assert found == expected
    assert hash(found) == hash(expected)


def test_different_sizes_differ() -> None:
    others = [BATCH + 1, BATCH * 2, STEPS, BATCH * STEPS, BATCH // 2, 1, open_size("batch", "y", 0)]
    assert all(other != BATCH for other in others)


def test_comparisons_are_those_of_large_data() -> None:
    assert BATCH > 1000
    assert BATCH >= BATCH
    assert BATCH - 1 > 1
    assert STEPS // 2 < STEPS
    assert not BATCH <= 5
    assert bool(BATCH)


@pytest.mark.parametrize("use", [int, float, range, [0].__getitem__], ids=["int", "float", "range", "index"])
def test_an_open_size_is_no_number(use: Any) -> None:
    with pytest.raises(TypeError, match=r"size steps is open .* fixed size, as in Input\(shape=\(10, 3\)\)"):
        use(STEPS)


def test_a_quotient_that_is_not_known_to_come_out_even() -> None:
    with pytest.raises(TypeError, match="batch is divided by steps, and not known to be a multiple of it"):
        BATCH // STEPS
    assert isinstance(BATCH // 3, Size)
