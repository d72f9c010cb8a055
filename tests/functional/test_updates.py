"""Every kernel of an update formula against its generic twin. Formulas: see tests/optimizers and tests/oracles."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np
import pytest

from nnx.backends import to_numpy
from nnx.backends.base import find_backend
from nnx.functional import updates
from nnx.kernels import GENERIC
from nnx.testing import assert_close

ARRAY = "array"

# For each function what follows w: the gradient and slots, then the hyper-parameters. Slots are positive here, as those
# under a root have to be.
ROWS: dict[str, list[tuple[Any, ...]]] = {
    "sgd": [(ARRAY, 0.1)],
    "momentum": [(ARRAY, ARRAY, 0.1, 0.9, False), (ARRAY, ARRAY, 0.1, 0.9, True)],
    "rmsprop": [
        (ARRAY, ARRAY, None, None, 0.1, 0.9, 0.0, 1e-7),
        (ARRAY, ARRAY, None, ARRAY, 0.1, 0.9, 0.8, 1e-7),
        (ARRAY, ARRAY, ARRAY, None, 0.1, 0.9, 0.0, 1.0),
        (ARRAY, ARRAY, ARRAY, ARRAY, 0.1, 0.9, 0.8, 1.0),
    ],
    "adagrad": [(ARRAY, ARRAY, 0.1, 1e-7)],
    "adadelta": [(ARRAY, ARRAY, ARRAY, 1.0, 0.95, 1e-7)],
    "adam": [
        (ARRAY, ARRAY, ARRAY, None, 0.1, 0.9, 0.999, 1e-7),
        (ARRAY, ARRAY, ARRAY, ARRAY, 0.1, 0.9, 0.999, 1e-7),
    ],
    "adamax": [(ARRAY, ARRAY, ARRAY, 0.1, 0.9, 0.999, 1e-7)],
    "nadam": [(ARRAY, ARRAY, ARRAY, 0.1, 0.2, 1.5, 0.9, 0.999, 1e-7)],
    "lion": [(ARRAY, ARRAY, 0.1, 0.9, 0.99)],
    "ftrl": [(ARRAY, ARRAY, ARRAY, 0.1, -0.5, 0.1, 0.2, 0.3), (ARRAY, ARRAY, ARRAY, 0.1, -0.8, 0.0, 0.0, 0.0)],
    "decay_weights": [(None, 0.01), (ARRAY, 0.01)],
    "moving_average": [(ARRAY, 0.9)],
    "moving_moments": [(ARRAY, ARRAY, ARRAY, 0.9)],
}
CASES = [pytest.param(name, row, id=f"{name}-{i}") for name, rows in ROWS.items() for i, row in enumerate(rows)]
KERNELS = [case for case in CASES if case.values[0] in find_backend("numpy").kernels]


def arguments(row: tuple[Any, ...], size: int, dtype: str) -> list[Any]:
    generator = np.random.default_rng(size)
    filled = [generator.uniform(0.1, 1.0, size) if value is ARRAY else value for value in row]
    if len(row) > 2:  # the first is a gradient
        filled[0] = generator.normal(size=size)
    w = generator.normal(size=size)
    return [value.astype(dtype) if isinstance(value, np.ndarray) else value for value in (w, *filled)]


def test_every_update_has_a_row():
    marked = {name for name, generic in GENERIC.items() if generic.__module__ == updates.__name__}
    assert marked == set(ROWS)


def test_what_numpy_does_better_is_registered():
    assert {case.values[0] for case in KERNELS} == {
        "rmsprop",
        "adagrad",
        "adadelta",
        "adam",
        "adamax",
        "nadam",
        "lion",
    }


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [0, 1, 5, 65_536, 70_000, 2_000_003])
@pytest.mark.parametrize(("name", "row"), KERNELS)
def test_numpy_kernel_agrees_with_the_generic_form(name: str, row: tuple[Any, ...], size: int, dtype: str):
    ours, reference = arguments(row, size, dtype), arguments(row, size, dtype)
    getattr(updates, name)(*ours)
    GENERIC[name](*reference)
    for mine, theirs in zip(ours, reference, strict=True):
        if isinstance(mine, np.ndarray):
            assert mine.dtype == dtype
            assert_close(mine, theirs, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize(("name", "row"), KERNELS)
def test_numpy_kernel_is_called_like_the_generic_form(name: str, row: tuple[Any, ...]):
    kernel = find_backend("numpy").kernels[name].function
    names = list(inspect.signature(GENERIC[name]).parameters)
    assert list(inspect.signature(kernel).parameters) == names
    ours, reference = arguments(row, 70_000, "float32"), arguments(row, 70_000, "float32")
    getattr(updates, name)(ours[0], **dict(zip(names[1:], ours[1:], strict=True)))
    GENERIC[name](*reference)
    assert_close(ours[0], reference[0])


@pytest.mark.parametrize(("name", "row"), CASES)
def test_in_place_on_views_and_nowhere_else(name: str, row: tuple[Any, ...], backend):
    """Slots, parameters and gradients may be pieces of larger arrays; what is beside them and the gradient stay."""
    hosts = arguments(row, 24, "float32")
    whole = [backend.asarray(a.copy()) if isinstance(a, np.ndarray) else a for a in hosts]
    pieces = [a[8:16] if isinstance(host, np.ndarray) else a for a, host in zip(whole, hosts, strict=True)]
    getattr(updates, name)(*pieces)
    expected = copy.deepcopy(hosts)
    GENERIC[name](*[a[8:16] if isinstance(a, np.ndarray) else a for a in expected])
    for actual, wanted in zip(whole, expected, strict=True):
        if isinstance(wanted, np.ndarray):
            assert_close(actual, wanted, rtol=1e-6, like=whole[0])
    if name != "decay_weights":
        assert_close(whole[1], hosts[1], rtol=0.0)
    assert not np.array_equal(expected[0][8:16], hosts[0][8:16])


@pytest.mark.parametrize("name", [name for name in ROWS if name != "decay_weights" and "moving" not in name])
def test_a_gradient_that_is_not_a_number_is_not_hidden(name: str, backend):
    hosts = arguments(ROWS[name][0], 4, "float32")
    hosts[1][2] = np.nan
    arrays = [backend.asarray(a) if isinstance(a, np.ndarray) else a for a in hosts]
    getattr(updates, name)(*arrays)
    assert np.isnan(to_numpy(arrays[0])).tolist() == [False, False, True, False]
