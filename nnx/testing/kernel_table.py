"""The table of kernels: examples for each, by the name of the generic function."""

from __future__ import annotations

from nnx.testing import kernel_rows, kernel_rows_affine, kernel_rows_convolution, kernel_rows_shaped_updates
from nnx.testing.kernel_examples import Example

PARTS = kernel_rows, kernel_rows_affine, kernel_rows_convolution, kernel_rows_shaped_updates
ROWS: dict[str, list[Example]] = {name: examples for part in PARTS for name, examples in part.ROWS.items()}
