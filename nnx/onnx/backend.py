"""ONNX as a backend: where models run that are exported. It is not registered, since nothing is computed there."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.backends.base import Array, Backend, Namespace
from nnx.onnx.array import RecordedArray, constant
from nnx.onnx.namespace import xp


class OnnxBackend(Backend):
    """The backend of recorded arrays. Arrays of the host become constants."""

    name = "onnx"
    module = "nnx.onnx"
    install = "pip install 'nnx-array[onnx]'"
    kernel_package = "nnx.kernels.onnx"

    def __deepcopy__(self, memo: dict[int, Any]) -> OnnxBackend:
        return self

    def load(self) -> Namespace:
        return xp

    def device_of(self, array: Array) -> None:
        return None

    def from_host(self, array: np.ndarray, *, device: str | None = None) -> Array:
        return constant(array)

    def put_beside(self, like: Array, array: np.ndarray) -> Array:
        return constant(array)

    def to_host(self, array: Any) -> np.ndarray:
        return np.asarray(array.__array__())


ONNX = OnnxBackend()
RecordedArray.backend = ONNX
