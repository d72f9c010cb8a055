"""Rows of the table of kernels: convolution and pooling."""

from __future__ import annotations

from typing import Any

from nnx.backends import Array
from nnx.testing.kernel_examples import Example, Values
from nnx.windows import Axis, Windows, along_transposed_axis, windows_of


def finite(v: Values, *shape: int) -> Array:
    """Normal numbers that are not poisoned.

    Where windows reach over the border, NaN in a kernel spreads to other elements in each form; and which element of a
    window with NaN gets the gradient of its maximum is not specified.
    """
    poisoned, v.poisoned = v.poisoned, None
    array = v.normal(*shape)
    v.poisoned = poisoned
    return array


def over(sizes: tuple[int, int], window: tuple[int, int], strides: Any = (1, 1), padding: str = "valid") -> Windows:
    return windows_of("table", sizes, window, strides, padding)


SEQUENCE = Windows(Axis(9, 3, 1, 2, 4, 9), Axis(1, 1, 1, 1, 0, 1))  # causal and dilated
DILATED = windows_of("table", (6, 7), (2, 3), (1, 1), "same", (2, 3))
TRANSPOSED = Windows(along_transposed_axis(3, 3, 2, "same"), along_transposed_axis(4, 2, 3, "valid", 1))

# Sizes, windows, channels of the input and of the output, groups.
CONVOLUTIONS: list[tuple[Windows, int, int, int]] = [
    (over((5, 6), (3, 3)), 4, 5, 1),
    (over((5, 6), (3, 2), (1, 1), "same"), 4, 5, 1),
    (over((7, 6), (3, 2), (2, 3), "same"), 4, 5, 1),
    (over((7, 6), (1, 1), (2, 3)), 4, 5, 1),
    (over((5, 6), (1, 1)), 4, 5, 1),
    (over((3, 4), (3, 4)), 4, 5, 1),
    (over((5, 30), (3, 3)), 1, 2, 1),
    (over((5, 6), (3, 3), (2, 2), "same"), 4, 6, 2),
    (over((5, 6), (2, 2)), 6, 3, 3),
    (SEQUENCE, 4, 5, 1),
    (DILATED, 4, 5, 1),
    (TRANSPOSED, 4, 5, 1),
    (over((5, 6), (3, 3), (1, 1), "same"), 17, 3, 1),
    (over((7, 6), (3, 2), (2, 3), "same"), 32, 4, 2),
]
LARGE = over((40, 41), (3, 3), (1, 1), "same")  # more than a block in float64: one image in several steps


def _correlate(windows: Windows, c: int, f: int, groups: int, sizes: tuple[int, ...]) -> Example:
    return Example(
        lambda v: (
            v.normal(v.n, *windows.sizes, c),
            v.normal(windows.rows.window, windows.columns.window, c // groups, f),
            windows,
            groups,
        ),
        sizes=sizes,
        length=windows.taps * c,
    )


def _transposed(windows: Windows, c: int, f: int, groups: int, sizes: tuple[int, ...]) -> Example:
    return Example(
        lambda v: (
            v.normal(v.n, *windows.counts, f),
            finite(v, windows.rows.window, windows.columns.window, c // groups, f),
            windows,
            groups,
        ),
        sizes=sizes,
        length=windows.taps * f,
    )


def _kernel(windows: Windows, c: int, f: int, groups: int, sizes: tuple[int, ...]) -> Example:
    return Example(
        lambda v: (v.normal(v.n, *windows.sizes, c), v.normal(v.n, *windows.counts, f), windows, groups),
        sizes=sizes,
        length=6 * windows.counts[0] * windows.counts[1],
    )


def _depthwise(windows: Windows, c: int, m: int) -> Example:
    return Example(
        lambda v: (
            v.normal(v.n, *windows.sizes, c),
            finite(v, windows.rows.window, windows.columns.window, c, m),
            windows,
        ),
        length=6 * windows.counts[0] * windows.counts[1],
    )


POOLS = [
    over((6, 8), (2, 2), (2, 2)),
    over((7, 8), (3, 2), (3, 2)),
    over((7, 7), (3, 3), (2, 2)),
    over((5, 6), (3, 3), (1, 2), "same"),
    over((7, 8), (2, 2), (3, 3)),
    over((9, 1), (4, 1), (4, 1)),
    over((4, 3), (1, 1), (1, 1)),
    over((3, 4), (5, 5), (5, 5), "same"),
]


def _largest(windows: Windows) -> Example:
    return Example(lambda v: (finite(v, v.n, *windows.sizes, 3), windows))


def _sum(windows: Windows) -> Example:
    return Example(lambda v: (v.normal(v.n, *windows.sizes, 3), windows), length=9)


USUAL = (0, 1, 6)

ROWS: dict[str, list[Example]] = {
    "correlate": [
        *(_correlate(*row, USUAL) for row in CONVOLUTIONS),
        _correlate(LARGE, 48, 8, 1, (2,)),
        _correlate(over((5, 6), (3, 3)), 4, 5, 1, (2000,)),
    ],
    "correlate_transposed": [
        *(_transposed(*row, USUAL) for row in CONVOLUTIONS),
        _transposed(LARGE, 8, 48, 1, (2,)),
        _transposed(LARGE, 20, 16, 1, (2,)),
    ],
    "correlate_kernel": [
        *(_kernel(*row, USUAL) for row in CONVOLUTIONS),
        _kernel(LARGE, 48, 8, 1, (2,)),
    ],
    "correlate_depthwise": [
        _depthwise(over((5, 6), (3, 3)), 4, 1),
        _depthwise(over((5, 6), (3, 2), (2, 1), "same"), 4, 2),
        _depthwise(DILATED, 4, 1),
        _depthwise(SEQUENCE, 4, 3),
    ],
    "largest_of_windows": [
        *map(_largest, POOLS),
        Example(lambda v: (finite(v, v.n, 20, 20, 64), over((20, 20), (2, 2), (2, 2))), sizes=(24,)),
    ],
    "sum_of_windows": [
        *map(_sum, POOLS),
        Example(lambda v: (v.normal(v.n, 20, 20, 64), over((20, 20), (2, 2), (2, 2))), sizes=(24,), length=4),
    ],
}
"""By the name of the generic function."""
