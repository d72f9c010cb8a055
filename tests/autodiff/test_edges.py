"""Derivatives at ties, kinks, poles and zeros, on every backend, with and without an outer tape."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from nnx.autodiff.namespace import recording_namespace
from nnx.autodiff.transforms import differentiable
from nnx.backends import to_numpy
from nnx.testing.rows.derivative_edges import EdgeRow, derivative_edges

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy says that it divides by 0


def found(row: EdgeRow, backend: Any) -> tuple[Any, list[Any], list[Any] | None]:
    """Value, gradients and second derivatives."""
    arrays = [backend.asarray(np.asarray(a, row.dtype)) for a in row.arguments]
    arrays = [
        a if str(a.dtype).endswith(row.dtype) else backend.xp.astype(a, getattr(backend.xp, row.dtype)) for a in arrays
    ]
    xp = recording_namespace(arrays[0])

    def function(*xs: Any) -> Any:
        return row.function(xp, *xs)

    def gradients(*xs: Any) -> tuple[Any, ...]:
        y, pullback = differentiable(function)(*xs)
        made = pullback(xp.base.ones(y.shape, dtype=y.dtype, device=xp.device_of(y)))
        return made if isinstance(made, tuple) else (made,)

    def total(*xs: Any) -> Any:
        return functools.reduce(xp.add, [0.0 * xp.sum(xs[0]), *map(xp.sum, gradients(*xs))])

    value = to_numpy(differentiable(function)(*arrays)[0])
    first = [to_numpy(g) for g in gradients(*arrays)]
    if row.second is None:
        return value, first, None
    y, pullback = differentiable(total)(*arrays)
    made = pullback(xp.base.ones(y.shape, dtype=y.dtype, device=xp.device_of(y)))
    return value, first, [to_numpy(g) for g in (made if isinstance(made, tuple) else (made,))]


@pytest.mark.parametrize("row", derivative_edges(), ids=lambda row: row.name)
def test_edge(row: EdgeRow, backend: Any) -> None:
    if not row.standard and backend.name == "array-api-strict":
        pytest.skip("the standard does not have it")
    value, first, second = found(row, backend)
    if row.value is not None:
        np.testing.assert_allclose(value, row.value, rtol=1e-6)
    for one, expected in zip(first, row.gradients, strict=True):
        assert one.dtype == row.dtype
        rounding = 1e-3 if row.dtype == "float16" else 2e-6
        np.testing.assert_allclose(one, np.broadcast_to(expected, one.shape), rtol=rounding, atol=1e-7)
    if row.second is not None and second is not None:
        for one, expected in zip(second, row.second, strict=True):
            np.testing.assert_allclose(one, np.broadcast_to(expected, one.shape), rtol=2e-6, atol=1e-6)
