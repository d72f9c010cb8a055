"""nnx.ops against keras.ops on JAX: values, shapes, kinds of dtype, and what both refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="the oracle JAX is not installed; pip install 'nnx-array[oracle]'")
keras = pytest.importorskip("keras", reason="the oracle Keras is not installed; pip install 'nnx-array[oracle]'")
if keras.backend.backend() != "jax":
    pytest.skip(f"Keras runs on {keras.backend.backend()}, and JAX is wanted", allow_module_level=True)

from nnx import ops  # noqa: E402
from nnx.testing import assert_close  # noqa: E402
from tests.oracles import operation_cases  # noqa: E402
from tests.oracles.operation_cases import Case  # noqa: E402

RTOL = 2e-5  # relative to the largest element: JAX adds up in another order, in float32

CASES = list(operation_cases.ROWS)


def find(owner: Any, name: str) -> Any:
    """An operation by its name, which may be that of a submodule too: "image.resize"."""
    for part in name.split("."):
        owner = getattr(owner, part)
    return owner


@pytest.mark.parametrize("case", CASES, ids=str)
def test_agrees_with_keras(case: Case) -> None:
    ours, theirs = find(ops, case.name), find(keras.ops, case.name)
    if case.raises is not None:
        with pytest.raises(Exception):  # noqa: B017, of whatever type
            theirs(*case.args, **case.options)
        with pytest.raises(case.raises):
            ours(*case.args, **case.options)
        return
    with np.errstate(all="ignore"):
        found = ours(*case.args, **case.options)
    agree(found, theirs(*case.args, **case.options), case)


def agree(found: Any, expected: Any, case: Case) -> None:
    if isinstance(expected, list | tuple):
        assert isinstance(found, list | tuple)
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            agree(one, other, case)
        return
    if isinstance(expected, int | float | bool | str):
        assert found == expected
        assert type(found) is type(expected)
        return
    expected = np.asarray(expected)
    assert tuple(found.shape) == expected.shape
    assert _kind(np.asarray(found)) == _kind(expected)
    if case.only_shapes:
        return
    if expected.dtype.kind not in "fc":
        np.testing.assert_array_equal(np.asarray(found), expected)
        return
    rtol = max(RTOL, 16.0 * float(np.finfo(expected.dtype).eps))
    finite = np.abs(expected[np.isfinite(expected)])
    assert_close(found, expected, rtol=rtol, atol=rtol * max(float(finite.max(initial=0.0)), 1.0))


def _kind(array: np.ndarray) -> str:
    return {"u": "i"}.get(array.dtype.kind, array.dtype.kind)


def test_every_operation_of_keras_numpy_has_a_case() -> None:
    tested = {case.name for case in CASES}
    missing = [
        name
        for name in dir(keras.ops)
        if getattr(getattr(keras.ops, name), "__module__", "") == "keras.src.ops.numpy" and name not in tested
    ]
    assert missing == ["vectorize"], "operations without a case"  # which takes a function, and is tested in tests/ops
