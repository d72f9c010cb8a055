"""Backend for NumPy: the host, and always there."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.backends.base import Array, Backend, Namespace, all_reduce_on_host, register_backend


class NumpyBackend(Backend):
    """NumPy on the host, whose arrays are used as they are."""

    name = "numpy"
    module = "numpy"
    install = "pip install numpy"
    kernel_package = "nnx.kernels.numpy"
    compiled_kernel_packages = "nnx.kernels.onednn", "nnx.kernels.numba"

    def load(self) -> Namespace:
        import array_api_compat.numpy as xp  # here, since it imports all of NumPy: half of the time of `import nnx`

        return xp

    def device_of(self, array: Array) -> str:
        return "cpu"  # NumPy's scalars have no `device` before NumPy 2.1

    def is_on_host(self, array: Array) -> bool:
        return True

    def from_host(self, array: np.ndarray, *, device: str | None = None) -> Array:
        self.device(device)
        return array

    def put_beside(self, like: Array, array: np.ndarray) -> Array:
        return array

    def all_reduce(self, array: Array, communicator: Any) -> None:
        all_reduce_on_host(array, communicator)

    def gather_rows(self, array: Array, rows: np.ndarray) -> Array:
        return array.take(rows, axis=0)


register_backend(NumpyBackend())
