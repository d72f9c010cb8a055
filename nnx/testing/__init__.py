"""Tools for tests, nnx's own and its users': comparisons, the gradient check, the guard, and rows of backends.

A pytest plugin, the module `pytest_nnx`, is active wherever nnx is installed: fixtures `backend`, `backend_float64`,
`module_backend` and `module_backend_float64`, the marks `nnx_backends` and `nnx_static_shapes`, and options.
"""

from nnx.testing.backend_rows import BackendRow, usable_rows
from nnx.testing.close import assert_close
from nnx.testing.gradients import check_gradients
from nnx.testing.guard import no_synchronization

__all__ = ["BackendRow", "assert_close", "check_gradients", "no_synchronization", "usable_rows"]
