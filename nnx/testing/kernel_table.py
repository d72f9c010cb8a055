"""The table of kernels: examples for each, by the name of the generic function."""

from __future__ import annotations

from nnx.testing import kernel_rows, kernel_rows_affine, kernel_rows_convolution
from nnx.testing.kernel_examples import Example

ROWS: dict[str, list[Example]] = kernel_rows.ROWS | kernel_rows_affine.ROWS | kernel_rows_convolution.ROWS
