"""Check the preconditions, then put the emulation in place, in the right order."""

import atexit
import ctypes
import importlib.metadata
import os
import sys

from . import kernels, toolchain

SUPPORTED_VERSION = "14.2.0"
DISTRIBUTIONS = ("cupy-cuda12x", "cupy-cuda13x")

_active = False


class ActivationError(RuntimeError):
    """CuPy cannot be emulated in this process; the message says why."""


def is_active() -> bool:
    """Tell whether this process emulates CuPy's device."""
    return _active


def activate() -> None:
    """Emulate CuPy's device in this process; call it before `import cupy`.

    Calling it again does nothing.  Raises ActivationError where emulation is
    impossible or would hide the real thing.
    """
    global _active
    if _active:
        return
    _check_preconditions()

    # CuPy picks CUB's precompiled device code for reductions unless told not
    # to; only kernels that CuPy compiles from source can be emulated.
    os.environ["CUPY_ACCELERATORS"] = ""

    # Modules that cimport these two take function pointers from their C API
    # when they are first imported, so replace those before importing cupy.
    from cupy_backends.cuda.api import driver, runtime

    from . import accesses, blas, capi, device, libraries, precompiled

    close = capi.replace_functions({runtime: device.runtime_functions(), driver: kernels.driver_functions()})
    # Objects that outlive the interpreter still free device memory and unload
    # modules; by then no Python function can be called any more.
    atexit.register(close)
    libraries.install({"cublas": blas.load_stub})
    precompiled.replace_thrust()

    import cupy  # noqa: F401

    kernels.install_compiler()
    precompiled.refuse_others()
    if accesses.ON:
        accesses.prepare()
    _active = True


def _check_preconditions() -> None:
    if "cupy" in sys.modules or "cupy_backends" in sys.modules:
        raise ActivationError(
            "cupy was already imported: call cupy_on_cpu.activate() before anything"
            " imports cupy (with pytest: -p cupy_on_cpu.plugin)"
        )
    version = installed_cupy_version()
    if version is None:
        raise ActivationError(f"CuPy is not installed: pip install {DISTRIBUTIONS[0]}=={SUPPORTED_VERSION}")
    if version != SUPPORTED_VERSION:
        raise ActivationError(
            f"CuPy {version} is installed, but the emulation is written for CuPy {SUPPORTED_VERSION} exactly"
        )
    if count_gpus():
        raise ActivationError("this machine has a GPU: run on the GPU, without cupy_on_cpu")
    if toolchain.find_compiler() is None:
        raise ActivationError("no C++ compiler: install g++, or name one in CUPY_ON_CPU_CXX")
    try:
        kernels.current_order()
    except ValueError as error:
        raise ActivationError(str(error)) from None


def installed_cupy_version() -> str | None:
    """Return the version of the installed CuPy wheel, without importing it."""
    for distribution in DISTRIBUTIONS:
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def count_gpus() -> int:
    """Return how many GPUs the CUDA driver of this machine offers."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return 0
    return count.value
