"""Backend for array-api-strict: the standard and nothing else, with pretended devices. It guards the portable code."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from nnx.backends.base import Array, Backend, Namespace, register_backend


class StrictBackend(Backend):
    """array-api-strict: three devices, which are all the host, and one without float64."""

    name = "array-api-strict"
    module = "array_api_strict"
    install = "pip install array-api-strict"

    def load(self) -> Namespace:
        import array_api_strict

        return array_api_strict

    def devices(self) -> list[str]:
        names = ["CPU_DEVICE", "device1", "device2"]  # and no_x64, which lacks the int64 of labels and indices
        with contextlib.suppress(ValueError):  # array-api-strict before 2.6 does not have this one
            self.xp.Device("no_float64")
            names.append("no_float64")
        return names

    def device(self, name: str | None) -> Any:
        super().device(name)
        return self.xp.Device(name or "CPU_DEVICE")

    def float_dtypes(self, device: str | None) -> tuple[str, ...]:
        return ("float32",) if device == "no_float64" else ("float32", "float64")

    def to_host(self, array: Array) -> np.ndarray:
        return np.array(array.to_device(self.xp.Device("CPU_DEVICE")))


register_backend(StrictBackend())
