"""Tools for tests, nnx's own and its users': comparisons, the gradient check, and the guard.

A pytest plugin, the module `pytest_nnx` (fixtures `backend` and `backend_float64`, option `--nnx-backend`), is active
wherever nnx is installed.
"""

from nnx.testing.close import assert_close
from nnx.testing.gradients import check_gradients
from nnx.testing.guard import no_synchronization

__all__ = ["assert_close", "check_gradients", "no_synchronization"]
