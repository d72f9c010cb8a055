"""Affine maps, and the activation that follows them."""

from __future__ import annotations

import math
from typing import Any

from nnx.backends import Array, array_namespace
from nnx.kernels import accelerated
from nnx.precision import narrow, wide_sum
from nnx.pullbacks import SKIP, Differentiable, Pullback, linear

__all__ = ["dense"]


@accelerated
def dense(
    x: Array, kernel: Array, bias: Array | None = None, activate: Differentiable = linear
) -> tuple[Array, Pullback]:
    """Affine map of the last axis, and an activation of it: y = activate(x @ kernel + bias)

    x (..., n), kernel (n, m) : floating, of one dtype.
    bias : (m,), or None (default) for none.
    activate : an activation function of `nnx.functional`, by default `linear`, which changes nothing.

    Returns y (..., m), and pullback(dy) -> (dx, dkernel, dbias), or (dx, dkernel) without a bias.

        dz = the activation's cotangent for dy
        dx = dz @ kernel.T;  dkernel = x.T @ dz;  dbias = sum(dz), over all axes but the last

    >>> import numpy as np
    >>> y, pullback = dense(np.asarray([[1.0, 2.0]]), np.asarray([[1.0], [3.0]]), np.asarray([0.5]))
    >>> y
    array([[7.5]])
    >>> dx, dkernel, dbias = pullback(np.ones((1, 1)))
    >>> dx, dkernel.tolist(), dbias
    (array([[1., 3.]]), [[1.0], [2.0]], array([1.]))
    """
    xp = array_namespace(x)
    shape, m = tuple(x.shape[:-1]), kernel.shape[1]
    flat_x = _rows(xp, x)  # one 2-D GEMM is what every library does best
    y, pull_end = bias_activation(_reshaped(xp, flat_x @ kernel, (*shape, m)), bias, activate)

    def pullback(dy: Array, out: tuple[Any, ...] = (None, None, None)) -> tuple[Array | None, ...]:
        dz, *dbias = pull_end(dy, (None, *out[2:]))
        flat_dz = _rows(xp, dz)
        dx = None if out[0] is SKIP else _reshaped(xp, flat_dz @ xp.matrix_transpose(kernel), (*shape, x.shape[-1]))
        dkernel = None if out[1] is SKIP else xp.matrix_transpose(flat_x) @ flat_dz
        return dx, dkernel, *dbias

    return y, pullback


def _rows(xp: Any, x: Array) -> Array:
    """An array (..., features) as a matrix."""
    return x if len(x.shape) == 2 else xp.reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))


def _reshaped(xp: Any, x: Array, shape: tuple[int, ...]) -> Array:
    return x if len(shape) == 2 else xp.reshape(x, shape)


def project(
    x: Array, kernel: Array, bias: Array | None = None, inner: int = 1, activate: Differentiable = linear
) -> tuple[Array, Pullback]:
    """Affine map between several axes: `dense` with the kernel and what it maps reshaped to matrices.

    x (free axes..., the kernel's first `inner` axes...), kernel (of the input's axes..., of the output's axes...).
    bias : (of the output's axes...), or None (default).
    activate : as for `dense`.

    Returns y (free axes..., of the output's axes...), and pullback(dy) as that of `dense`.

    >>> import numpy as np
    >>> y, pullback = project(np.ones((5, 2)), np.ones((2, 3, 4)), np.zeros((3, 4)))
    >>> y.shape, [cotangent.shape for cotangent in pullback(y)]
    ((5, 3, 4), [(5, 2), (2, 3, 4), (3, 4)])
    """
    xp = array_namespace(x)
    free, of_output = x.shape[: len(x.shape) - inner], kernel.shape[inner:]
    n, m = math.prod(kernel.shape[:inner]), math.prod(of_output)
    parameters = [kernel] if bias is None else [kernel, bias]
    matrix, row = xp.reshape(kernel, (n, m)), None if bias is None else xp.reshape(bias, (m,))
    y, pullback_dense = dense(xp.reshape(x, (*free, n)), matrix, row, activate)

    def pullback(dy: Array, out: tuple[Any, ...] = (None, None, None)) -> tuple[Array | None, ...]:
        places = [
            place if place is None or place is SKIP else xp.reshape(place, shape)
            for place, shape in zip(out[1:], ((n, m), (m,)), strict=False)
        ]
        cotangents = pullback_dense(xp.reshape(dy, y.shape), out=(out[0], *places))
        return tuple(
            None if cotangent is None else xp.reshape(cotangent, array.shape)
            for cotangent, array in zip(cotangents, (x, *parameters), strict=True)
        )

    return xp.reshape(y, (*free, *of_output)), pullback


@accelerated
def bias_activation(z: Array, bias: Array | None, activate: Differentiable) -> tuple[Array, Pullback]:
    """Bias and activation, as layers with a kernel end: z (..., m), bias (m,) or None -> y = activate(z + bias)

    z is used up: a kernel may write y over it.
    pullback(dy) -> (dz, dbias), or (dz,) without a bias
    """
    if bias is None:
        y, pull_activation = activate(z)
        return y, lambda dy, out=(None,): (pull_activation(dy),)
    xp = array_namespace(z)
    y, pull_activation = activate(z + bias)

    def pullback(dy: Array, out: tuple[Any, ...] = (None, None)) -> tuple[Array | None, ...]:
        dz = pull_activation(dy)
        dbias = None if out[1] is SKIP else narrow(wide_sum(_rows(xp, dz), axis=0), bias)
        return None if out[0] is SKIP else dz, dbias

    return y, pullback
