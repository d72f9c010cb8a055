"""The rows of the updates that look at a parameter as a whole; see `nnx.testing.kernel_rows`."""

from __future__ import annotations

from typing import Any

from nnx.functional.layerwise_updates import NEWTON_SCHULZ
from nnx.testing.kernel_examples import Example, Values


def _lamb(columns: int) -> Example:
    def make(v: Values) -> tuple[Any, ...]:
        w, g, m = (v.normal(v.n, columns) for _ in range(3))
        return w, g, m, v.positive(v.n, columns), 0.1, 0.9, 0.99, 2.0, 3.0, 1e-6

    return Example(make, length=6 * columns)


def _adafactor(*sizes: int) -> Example:
    def make(v: Values) -> tuple[Any, ...]:
        shape = (v.n, *sizes)
        slots = v.positive(*shape), v.positive(*shape)
        return v.normal(*shape), v.normal(*shape), *slots, 0.1, 0.8, 1e-30, 1e-3, 0.5

    return Example(make, length=6 * max(sizes, default=1))


def _muon(columns: int, nesterov: bool) -> Example:
    def make(v: Values) -> tuple[Any, ...]:
        w, g, m = (v.normal(v.n, columns) for _ in range(3))
        return w, g, m, 0.1, 0.9, nesterov, 2, NEWTON_SCHULZ

    return Example(make, length=12 * columns * 6)  # each of the two steps enlarges an error up to 3.4 times


ROWS: dict[str, list[Example]] = {
    "adafactor": [_adafactor(), _adafactor(4), _adafactor(300)],
    "lamb": [_lamb(4), _lamb(300)],
    "muon": [_muon(4, True), _muon(9, False)],
    "orthogonalized": [
        Example(lambda v: (v.normal(v.n, 4), 2, NEWTON_SCHULZ), length=12 * 24),
        Example(lambda v: (v.normal(v.n, 9), 2, NEWTON_SCHULZ), length=12 * 54),
    ],
}
"""By the name of the generic function."""
