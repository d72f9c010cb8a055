"""Replace the device code that CuPy's wheel holds precompiled.

Launched without a device it would do nothing, silently.  Three modules have
some: Thrust's sorts are done by NumPy; CUB and the random generators refuse.
"""

import ctypes
import sys
from types import ModuleType

import numpy as np

from . import libraries, streams
from .counters import record
from .device import is_elsewhere


def view(address: int, dtype: object, shape: tuple[int, ...], written: bool = False) -> np.ndarray:
    """Return device memory at ``address`` as a NumPy array, for a sort on the current stream."""
    from cupy.cuda import get_current_stream

    if is_elsewhere(address):
        raise RuntimeError("Thrust was called on memory of another device than the current one")
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    span = [(address, address + size)]
    streams.works("a sort", get_current_stream().ptr, **{"writes" if written else "reads": span})
    memory = (ctypes.c_char * size).from_address(address)
    return np.frombuffer(memory, dtype=dtype).reshape(shape)


def sort(dtype, data: int, keys: int, shape) -> None:
    """Sort along the last axis, in place."""
    record("sorts")
    view(data, dtype, tuple(shape), written=True).sort(axis=-1, kind="stable")


def argsort(dtype, indices: int, data: int, keys: int, shape) -> None:
    """Write the indices that sort along the last axis."""
    record("sorts")
    values = view(data, dtype, tuple(shape))
    order = np.argsort(values, axis=-1, kind="stable")
    view(indices, np.intp, tuple(shape), written=True)[...] = order


def lexsort(dtype, indices: int, keys: int, k: int, n: int) -> None:
    """Write the indices that sort by several keys, the last one first."""
    record("sorts")
    view(indices, np.intp, (n,), written=True)[...] = np.lexsort(view(keys, dtype, (k, n)))


def replace_thrust() -> None:
    """Make ``cupy.cuda.thrust`` this module's functions; before `import cupy`."""
    module = ModuleType("cupy.cuda.thrust", "Thrust, by NumPy.")
    module.available = True
    module.get_build_version = lambda: 0
    module.sort, module.argsort, module.lexsort = sort, argsort, lexsort
    sys.modules[module.__name__] = module


def refuse_others() -> None:
    """Let CUB and the random generators raise; after `import cupy`."""
    import cupy
    from cupy.cuda import cub

    def no_cub(*args, **kwargs) -> None:
        raise NotImplementedError("cupy_on_cpu does not emulate CUB: leave CuPy's accelerators empty")

    for name in vars(cub):
        if name.startswith(("cub_", "device_")):
            setattr(cub, name, no_cub)

    def no_generator(*args, **kwargs) -> None:
        raise ImportError(libraries.why_missing("curand"))

    generators = ModuleType("cupy.random._generator_api", "No random generators.")
    # A class, because CuPy tests for instances of it.
    generators.Generator = type("Generator", (), {"__init__": no_generator})
    for name in ("FeistelBijection", "init_curand", "random_raw"):
        setattr(generators, name, no_generator)
    sys.modules[generators.__name__] = cupy.random._generator_api = generators
