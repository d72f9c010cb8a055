"""Run the unmodified CuPy wheel on a machine without a GPU, for tests.

    import cupy_on_cpu
    cupy_on_cpu.activate()      # before the first `import cupy`
    import cupy

See README.md for what a passing test then proves, and what it does not.
"""

from .accesses import BoundsError
from .activation import SUPPORTED_VERSION, ActivationError, activate, is_active
from .counters import Counts, count
from .streams import RaceError

__all__ = [
    "SUPPORTED_VERSION",
    "ActivationError",
    "BoundsError",
    "Counts",
    "RaceError",
    "activate",
    "count",
    "is_active",
]
