"""nnx.ops of neural networks, linear algebra, segments, control flow and images against keras.ops on JAX."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="the oracle JAX is not installed; pip install 'nnx-array[oracle]'")
keras = pytest.importorskip("keras", reason="the oracle Keras is not installed; pip install 'nnx-array[oracle]'")
if keras.backend.backend() != "jax":
    pytest.skip(f"Keras runs on {keras.backend.backend()}, and JAX is wanted", allow_module_level=True)

from nnx import ops  # noqa: E402
from nnx.testing import assert_close  # noqa: E402
from tests.oracles import neural_operation_cases  # noqa: E402
from tests.oracles.operation_cases import Case  # noqa: E402

RTOL = 2e-5  # of the largest element of what is compared: JAX adds up in another order, in float32
CASES = [pytest.param(case, id=f"{case.name}-{i}") for i, case in enumerate(neural_operation_cases.ROWS)]
MODULES = tuple(f"keras.src.ops.{name}" for name in ("nn", "linalg", "math", "core", "image"))

# Names without a case, and why.
NOT_COMPARED = {
    "custom_gradient": "returns a function",
    "dtype": "float64 arrays stay float64 in nnx",
    "eig": "vectors are determined up to a factor; tested by what they must give",
    "eigh": "vectors are determined up to their sign; tested by what they must give",
    "image.elastic_transform": "draws random numbers",
    "qr": "vectors are determined up to their sign; tested by what they must give",
    "sparsemax": "wrong in Keras 3.15",
}


def find(owner: Any, name: str) -> Any:
    for part in name.split("."):
        owner = getattr(owner, part)
    return owner


def told(arguments: Any, which: Any) -> Any:
    """Functions among arguments are called with an `ops`; arrays become those of JAX for that of Keras."""
    made = []
    for value in arguments:
        if inspect.isfunction(value):
            made.append(value(which))
        elif which is keras.ops and isinstance(value, np.ndarray):
            made.append(jax.numpy.asarray(value))
        elif which is keras.ops and isinstance(value, tuple) and all(isinstance(part, np.ndarray) for part in value):
            made.append(tuple(map(jax.numpy.asarray, value)))
        else:
            made.append(value)
    return made


@pytest.mark.parametrize("case", CASES)
def test_agrees_with_keras(case: Case) -> None:
    found, expected = (
        find(which, case.name)(
            *told(case.args, which), **dict(zip(case.options, told(case.options.values(), which), strict=True))
        )
        for which in (ops, keras.ops)
    )
    agree(found, expected)


def agree(found: Any, expected: Any) -> None:
    if isinstance(expected, list | tuple):
        assert isinstance(found, list | tuple)
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            agree(one, other)
    elif expected is None or isinstance(expected, int | float | bool | str):
        assert found == expected
    else:
        found, expected = np.asarray(found), np.asarray(expected)
        assert found.shape == expected.shape
        assert found.dtype.kind.replace("u", "i") == expected.dtype.kind.replace("u", "i")
        if expected.dtype.kind not in "fc":
            np.testing.assert_array_equal(found, expected)
            return
        assert found.dtype == expected.dtype
        rtol = max(RTOL, 4.0 * float(np.finfo(expected.dtype).eps))
        largest = np.abs(expected[np.isfinite(expected)]).max(initial=1.0)
        if expected.dtype.kind == "c":
            np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * largest)
        else:
            assert_close(found, expected, rtol=rtol, atol=rtol * largest)


def names() -> set[str]:
    """Names of Keras that the cases are of; those of images with their prefix."""
    plain = {name for name in dir(keras.ops) if getattr(getattr(keras.ops, name), "__module__", "") in MODULES}
    images = {f"image.{name}" for name in dir(keras.ops.image) if not name.startswith("_")}
    return plain | images


def test_every_name_is_compared_or_has_a_reason() -> None:
    compared = {case.name for case in neural_operation_cases.ROWS}
    assert names() - compared == set(NOT_COMPARED)
    assert len(names()) >= 130
    assert len(neural_operation_cases.ROWS) >= 400


def test_names_have_the_arguments_of_keras() -> None:
    """The same names in the same order; `**kwargs` of Keras are old names that are left out."""
    different = []
    for name in names() - {"custom_gradient"}:  # which is nnx's own
        ours, theirs = (inspect.signature(find(which, name)).parameters.values() for which in (ops, keras.ops))
        wanted = [p.name for p in theirs if p.kind is not p.VAR_KEYWORD]
        if [p.name for p in ours] != wanted:
            different.append(f"{name}: {[p.name for p in ours]} instead of {wanted}")
    assert different == []


def test_defaults_are_those_of_keras() -> None:
    different = []
    for name in names() - {"multi_hot"}:  # whose num_classes only has a default to have an old name
        ours, theirs = (inspect.signature(find(which, name)).parameters for which in (ops, keras.ops))
        for argument, parameter in theirs.items():
            if argument in ours and parameter.default != ours[argument].default:
                different.append(f"{name}: {argument}={ours[argument].default!r} instead of {parameter.default!r}")
    assert different == []
