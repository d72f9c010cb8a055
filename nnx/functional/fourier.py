"""Discrete Fourier transform in pairs of real and imaginary parts."""

from __future__ import annotations

from nnx.backends import Array, array_namespace
from nnx.kernels import accelerated
from nnx.precision import narrow, wide

__all__ = ["fourier_transform"]


@accelerated
def fourier_transform(x: Array, axes: int = 1, inverse: bool = False) -> Array:
    """Transform of complex numbers along the last axes, whose number is given.

    x : floating, real and imaginary parts (2, ...). Returns an array of its shape and dtype; float16 is computed in
    float32. The inverse has the factor of one over the count of numbers.

    >>> import numpy as np
    >>> fourier_transform(np.asarray([[1.0, 1.0], [0.0, 0.0]]))
    array([[2., 0.],
           [0., 0.]])
    """
    xp, parts = array_namespace(x), wide(x)
    dtype = xp.complex64 if parts.dtype == xp.float32 else xp.complex128
    z = xp.astype(parts[0, ...], dtype) + xp.astype(parts[1, ...], dtype) * 1j
    z = (xp.fft.ifftn if inverse else xp.fft.fftn)(z, axes=tuple(range(-axes, 0)))
    return narrow(xp.astype(xp.stack([xp.real(z), xp.imag(z)]), parts.dtype, copy=False), x)
