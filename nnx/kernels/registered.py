"""All kernels: importing this registers them. Their libraries are imported when a kernel is first used."""

from nnx.kernels import cupy, numpy

__all__ = ["cupy", "numpy"]
