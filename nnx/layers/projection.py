"""Affine maps whose kernels have more than two axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nnx import functional
from nnx.backends import Array, array_namespace
from nnx.parameters import Parameter
from nnx.pullbacks import SKIP, LayerPullback


class Projection:
    """An affine map between several axes: `dense` with the kernel and the output reshaped.

    kernel : (of the input's axes..., of the output's axes...), the first `inner` of which belong to the input.
    bias : (of the output's axes...), or None.
    bias_counts : False where what follows is the same for any bias. Then its gradient is 0, and not the rounding errors
        of a sum that cancels, which an optimiser such as Adam would follow as if they were a direction.
    """

    def __init__(self, kernel: Parameter, bias: Parameter | None, inner: int, bias_counts: bool = True) -> None:
        self.kernel, self.bias, self.inner, self.bias_counts = kernel, bias, inner, bias_counts

    def __call__(self, x: Array) -> tuple[Array, LayerPullback]:
        xp = array_namespace(x)
        free, of_output = x.shape[: len(x.shape) - self.inner], self.kernel.shape[self.inner :]
        n, m = math.prod(self.kernel.shape[: self.inner]), math.prod(of_output)
        parameters = [self.kernel] if self.bias is None else [self.kernel, self.bias]
        matrices = [xp.reshape(p.value, shape) for p, shape in zip(parameters, [(n, m), (m,)], strict=False)]
        y, pullback = functional.dense(xp.reshape(x, (*free, n)), *matrices)

        def pull_back(dy: Array, out: Sequence[Any]) -> tuple[Array | None, ...]:
            places = [
                place if place is None or place is SKIP else xp.reshape(place, w.shape)
                for place, w in zip(out[1:], matrices, strict=True)
            ]
            if not self.bias_counts:
                places[1:] = [SKIP] * len(places[1:])
            cotangents = list(pullback(xp.reshape(dy, y.shape), out=(out[0], *places)))
            if self.bias is not None and not self.bias_counts and out[2] is not SKIP:
                cotangents[2] = xp.zeros_like(self.bias.value)
            shapes = [x.shape, *(parameter.shape for parameter in parameters)]
            return tuple(
                None if cotangent is None else xp.reshape(cotangent, shape)
                for cotangent, shape in zip(cotangents, shapes, strict=True)
            )

        return xp.reshape(y, (*free, *of_output)), LayerPullback(pull_back, (None, *parameters), direct=True)
