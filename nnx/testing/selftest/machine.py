"""What the selftest runs on, and the two things that CuPy leaves to NVIDIA's libraries: a product and a sum."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

from nnx.backends import Placement, to_numpy
from nnx.callbacks.console import format_bytes
from nnx.testing import assert_close
from nnx.testing.selftest.check import NotRunError, Part


def versions(place: Placement) -> list[Part]:
    """The hardware and its memory, and the versions of what computes there."""
    found: dict[str, Callable[[], str]] = {"hardware": lambda: place.backend.hardware(place.device)}
    if place.name == "cupy":
        found |= {"NVRTC": _nvrtc, "cuBLAS": functools.partial(_cublas, place), "accelerators": _accelerators}
    found["free memory"] = functools.partial(_memory, place)
    return list(found.items())


def _nvrtc() -> str:
    from cupy.cuda import nvrtc

    return ".".join(map(str, nvrtc.getVersion()))


def _cublas(place: Placement) -> str:
    from cupy.cuda import cublas, device

    with place.computing:
        version = cublas.getVersion(device.get_cublas_handle())
    return f"{version // 10_000}.{version // 100 % 100}.{version % 100}"


def _accelerators() -> str:
    return ", ".join(accelerators()) or "none: the environment variable CUPY_ACCELERATORS is empty"


def accelerators() -> list[str]:
    """What CuPy reduces arrays with beside its own kernels, such as "cub"."""
    import cupy

    kinds = cupy._core._accelerator
    names = {kinds.ACCELERATOR_CUB: "cub", kinds.ACCELERATOR_CUTENSOR: "cutensor"}
    return [names.get(kind, str(kind)) for kind in cupy._core.get_reduction_accelerators()]


def _memory(place: Placement) -> str:
    free = place.backend.free_bytes(place.device)
    return format_bytes(free) if math.isfinite(free) else "that of the host"


def product_and_sum(place: Placement) -> list[Part]:
    """A product of matrices, and sums over the last axis and over the first."""
    random = np.random.default_rng(1)
    a, b = (random.normal(size=(300, 300)).astype(np.float32) for _ in "ab")

    def multiply() -> str:
        assert_close(to_numpy(place.asarray(a) @ place.asarray(b)), a.astype(np.float64) @ b, length=300)
        return ""

    def add(axis: int) -> str:
        found = place.xp.sum(place.asarray(a), axis=axis)
        assert_close(to_numpy(found), a.sum(axis=axis, dtype=np.float64), rtol=16 * 2.0**-23 * math.sqrt(300))
        return ""

    def add_by_cub() -> str:
        if "cub" not in accelerators():
            raise NotRunError("the environment variable CUPY_ACCELERATORS is empty")
        return add(-1)

    sums: list[Part] = [(f"sum over axis {axis}", functools.partial(add, axis)) for axis in (0, 1)]
    return [("product", multiply), *sums, *([("sum by CUB", add_by_cub)] if place.name == "cupy" else [])]
