"""Table of NumPy's kernels, which the other files of this package fill."""

from __future__ import annotations

from nnx.backends.base import BackendKernel

KERNELS: dict[str, BackendKernel] = {}
"""By the name of the generic function."""
