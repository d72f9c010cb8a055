"""Pooling as nodes of ONNX, which have channels first."""

from __future__ import annotations

from typing import Any

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.onnx.convolution import Channels, attributes_of
from nnx.kernels.onnx.table import KERNELS, has_node, no_pullback
from nnx.onnx.array import node
from nnx.pullbacks import Pullback
from nnx.windows import Windows


def _pool(name: str, operator: str, **attributes: Any) -> None:
    def function(x: Array, windows: Windows) -> tuple[Array, Pullback]:
        channels = Channels(x, windows)
        shape = (x.shape[0], x.shape[3], *(axis.count for axis in channels.axes))
        y = node(operator, [channels.first], shape, x.dtype, **attributes_of(channels.axes), **attributes)
        return channels.last(y), no_pullback

    function.__name__ = name
    backend_kernel(KERNELS, accepts=has_node)(function)


_pool("largest_of_windows", "MaxPool")
_pool("mean_of_windows", "AveragePool", count_include_pad=0)
