"""Arrays that are larger than kernels for CuPy can count, or on another device: refused, without having such memory."""

from __future__ import annotations

from typing import Any

import pytest

import nnx
from nnx.backends.base import find_backend

_problem = nnx.available_backends()["cupy"]
if _problem:
    pytest.skip(_problem, allow_module_level=True)
import cupy  # noqa: E402

from nnx.kernels.cupy.matrix_products import column_sums, product  # noqa: E402


def large(*shape: int) -> Any:
    """An array of that shape, all of whose elements are one."""
    return cupy.broadcast_to(cupy.ones((), "float32"), shape)


@pytest.mark.parametrize(("kernel", "states", "gates"), [("simple_rnn", 1, 1), ("lstm", 2, 4), ("gru", 1, 3)])
def test_states_that_recurrent_kernels_cannot_count(kernel: str, states: int, gates: int) -> None:
    accepts = find_backend("cupy").kernels[f"{kernel}_recurrence"].accepts
    assert accepts is not None
    units = 2**11
    for rows, expected in ((2**20 - 1, True), (2**20, False)):
        z, kernels = large(3, rows, gates * units), large(units, gates * units)
        assert accepts(z, *[large(rows, units)] * states, kernels) is expected


@pytest.mark.parametrize(("a", "b"), [((2**31, 1), (1, 2)), ((2, 1), (1, 2**31)), ((2, 2**31), (2**31, 2))])
def test_matrices_that_cublas_cannot_count(a: tuple[int, int], b: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="cuBLAS has 32-bit numbers for rows and columns"):
        product(large(*a), large(*b))


@pytest.mark.skipif(cupy.cuda.runtime.getDeviceCount() < 2, reason="there is no second CUDA device")
class TestAnotherDevice:
    """Where CuPy does not look, a GPU fails for all that follows, or computes with what is not there yet."""

    @pytest.mark.parametrize(
        "compute",
        [
            nnx.functional.softmax,
            lambda x: nnx.losses.MeanSquaredError()(x, x),
            column_sums,
            lambda x: nnx.functional.dense(x, x),
            lambda x: nnx.metrics.SparseCategoricalAccuracy().update_state(cupy.zeros(3, int), x),
        ],
        ids=["row kernel", "loss", "sums", "product", "metric"],
    )
    def test_is_named(self, compute: Any) -> None:
        with cupy.cuda.Device(1):
            x = cupy.ones((3, 3), "float32")
        with pytest.raises(ValueError, match=r'device="cuda:1"\):` around what computes there'):
            compute(x)
        assert cupy.asnumpy(x).sum() == 9.0
