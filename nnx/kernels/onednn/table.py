"""Tables of oneDNN's kernels, which the other files of this package fill."""

from __future__ import annotations

from nnx.backends.onednn import is_onednn_used
from nnx.kernels.compiled_tables import CompiledTables

_TABLES = CompiledTables(is_onednn_used)
KERNELS, FOR_LARGE_ARRAYS = _TABLES.kernels, _TABLES.for_large_arrays
onednn_kernel = _TABLES.register
