"""no_synchronization: what waits for a device raises, on every backend; what does not, works."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.backends.base import find_backend
from nnx.testing import no_synchronization

xp = find_backend("array-api-strict").xp

CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "float": float,
    "int": int,
    "bool": bool,
    "complex": complex,
    "if": lambda x: 1 if x else 0,
    "in": lambda x: x in [x + 1],
    "index": lambda x: [0, 1, 2][x],
    "range": range,
    "a slice bound": lambda x: xp.ones(4, device=x.device)[:x],
    "a format": lambda x: f"{float(x):.3f}",
    "numpy.asarray": np.asarray,
    "an operand of NumPy": lambda x: np.ones(3) * x,
    "numpy.from_dlpack": np.from_dlpack,
    "from_dlpack": lambda x: xp.from_dlpack(x),
    "nnx.to_numpy": nnx.to_numpy,
    "another device": lambda x: nnx.asarray(x),
}
if sys.version_info >= (3, 12):
    CONVERSIONS["a buffer"] = memoryview


@pytest.mark.parametrize("device", ["CPU_DEVICE", "device1", "no_float64"])
@pytest.mark.parametrize("conversion", CONVERSIONS.values(), ids=list(CONVERSIONS))
def test_conversions_of_strict_arrays(conversion: Callable[[Any], Any], device: str) -> None:
    x = xp.asarray(1, device=xp.Device(device))
    with no_synchronization(), pytest.raises(AssertionError, match=r"inside no_synchronization\(\)"):
        conversion(x)


def test_the_message_names_the_conversion_and_the_place() -> None:
    x = xp.ones(())
    with (
        no_synchronization(),
        pytest.raises(AssertionError, match=r"^__float__ of an array of shape \(\) .*guard\.py:"),
    ):
        float(x)


def test_the_export_of_every_backend(backend: Placement) -> None:
    x = backend.asarray([1.0])
    with no_synchronization(), pytest.raises(AssertionError, match=r"nnx\.to_numpy inside no_synchronization\(\)"):
        nnx.to_numpy(x)
    assert nnx.to_numpy(x).tolist() == [1.0]


def test_host_data_may_travel_to_the_device(backend: Placement) -> None:
    with no_synchronization():
        for value in (1.0, [1.0], np.ones(2), np.float32(3.0), backend.zeros((2,))):
            x = nnx.asarray(value)
            backend.backend.put_beside(x, np.ones(3, np.float32))
            backend.backend.gather_rows(backend.zeros((2, 3)), np.asarray([1, 0, 1]))


def test_computing_goes_on(backend: Placement) -> None:
    bxp = backend.xp
    x = backend.asarray(np.arange(6.0).reshape(2, 3))
    with no_synchronization():
        y = bxp.where(x > 2.0, x, 0.0) @ bxp.matrix_transpose(x) + bxp.sum(x, axis=1, keepdims=True)
        y = bxp.reshape(bxp.stack([y, y]), (-1,))[1:3]
        y = bxp.take(bxp.concat([y, bxp.exp(y)]), backend.asarray([3, 0]), axis=0)
        y[...] = bxp.minimum(bxp.max(x), y)
        x[0, :] = 7.0
        x += 1.0
        assert repr(y)
    assert nnx.to_numpy(x).tolist() == [[8.0, 8.0, 8.0], [4.0, 5.0, 6.0]]


def test_everything_works_again_after_the_block_also_after_an_exception() -> None:
    x = xp.asarray(2.0)
    with pytest.raises(KeyError), no_synchronization():
        raise KeyError
    assert float(x) == 2.0
    assert nnx.to_numpy(x) == 2.0
    assert np.asarray(x) == 2.0


def test_blocks_nest() -> None:
    x = xp.asarray(2.0)
    with no_synchronization():
        with no_synchronization():
            pass
        with pytest.raises(AssertionError):
            float(x)
    assert float(x) == 2.0


def test_backends_registered_by_others_are_guarded() -> None:
    class Mine(nnx.Backend):
        name, module, install = "mine", "mine", "pip install mine"

        def to_host(self, array: Any) -> np.ndarray:
            return np.asarray(array)

    with no_synchronization(), pytest.raises(AssertionError, match="the host would wait"):
        Mine().to_host([1.0])
    assert Mine().to_host([1.0]).tolist() == [1.0]
