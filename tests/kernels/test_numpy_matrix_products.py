"""Matrix products for NumPy: whichever function makes one, its bits are those of `dot`."""

from __future__ import annotations

import numpy as np
import pytest

from nnx.backends import onednn
from nnx.kernels.numpy.matrix_products import product

A = np.random.default_rng(0).standard_normal((600, 24))
B = np.random.default_rng(1).standard_normal((24, 500))

PAIRS = {
    "float32": (A.astype(np.float32), B.astype(np.float32)),
    "float64": (A, B),
    "two dtypes": (A.astype(np.float32), B),
    "float16": (A.astype(np.float16), B.astype(np.float16)),
    "whole numbers": ((A * 9).astype(np.int64), (B * 9).astype(np.int64)),
    "transposed": (A.T.copy().T, B.T.copy().T),
    "with gaps": (np.repeat(A, 2, axis=1)[:, ::2], np.repeat(B, 2, axis=0)[::2]),
    "backwards": (A[::-1, ::-1], B[:, ::-1]),
    "one row again and again": (np.broadcast_to(A[:1], A.shape), B),
    "its own transpose": (A, A.T),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("given", [False, True], ids=["new memory", "out"])
def test_large_products_are_those_of_dot(name: str, given: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onednn, "is_onednn_used", lambda: False)
    a, b = PAIRS[name]
    expected = np.dot(a, b)
    assert expected.nbytes >= 1 << 18  # so that it is a large one
    out = np.full_like(expected, 9) if given else None
    found = product(a, b, out)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    assert out is None or found is out


def test_a_large_result_in_memory_with_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onednn, "is_onednn_used", lambda: False)
    a, b = PAIRS["float32"]
    memory = np.full((600, 1000), 9, np.float32)
    with pytest.raises(ValueError, match="output array"):  # as `dot` does, which takes no such memory
        product(a, b, memory[:, ::2])
