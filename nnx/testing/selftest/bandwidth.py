"""Bandwidth of kernels in the selftest, as a fraction of what a copy on the device has: they all wait for memory."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from nnx import functional
from nnx.backends import Placement
from nnx.functional import updates
from nnx.kernels.cupy.column_statistics import moments
from nnx.kernels.cupy.cuda_kernels import CUDA_KERNELS
from nnx.kernels.cupy.window_geometry import geometry
from nnx.random import Draw
from nnx.testing.selftest.check import Part
from nnx.windows import windows_of

LARGEST = 1 << 25  # numbers, of float32
SECONDS = 2e-3  # that one launch may take: no more numbers where it would take more
TIMES = 10


def bandwidth(place: Placement) -> list[Part]:
    """Bytes that a kernel has to read and write, over the time between two events."""
    copied: dict[str, float] = {}

    def measure(name: str) -> str:
        bytes_of, make = KERNELS[name]
        size, seconds = _timed(place, make)
        rate = copied[name] = bytes_of * size / seconds
        text = f"{rate / 1e9:9.4g} GB/s of {size:,} numbers"
        return text if name == "copy" else f"{text}, {rate / copied['copy']:.0%} of a copy"

    return [(name, functools.partial(measure, name)) for name in KERNELS]


def _timed(place: Placement, make: Callable[[Placement, int], Callable[[], Any]]) -> tuple[int, float]:
    """How many numbers were gone over, and how many seconds that takes."""
    size = 1 << 14
    while True:
        launch = make(place, size)
        _seconds(launch, 1)  # it is compiled, and has its memory
        seconds = _seconds(launch, 1)
        if seconds > SECONDS or size == LARGEST:
            return size, min(seconds, _seconds(launch, TIMES))
        size *= 2


def _seconds(launch: Callable[[], Any], times: int) -> float:
    """Seconds of a launch on the device."""
    import cupy

    start, stop = cupy.cuda.Event(), cupy.cuda.Event()
    start.record()
    for _ in range(times):
        launch()
    stop.record()
    stop.synchronize()
    return float(cupy.cuda.get_elapsed_time(start, stop)) / 1e3 / times


def _numbers(place: Placement, *shape: int) -> Any:
    return place.asarray(np.random.default_rng(1).random(shape, np.float32))


def _copy(place: Placement, n: int) -> Callable[[], Any]:
    x, y = (_numbers(place, n) for _ in "xy")
    return lambda: y.data.copy_from_device_async(x.data, x.nbytes)


def _adam(place: Placement, n: int) -> Callable[[], Any]:
    w, g, m, v = (_numbers(place, n) for _ in "wgmv")
    return lambda: updates.adam(w, g, m, v, None, 1e-3, 0.9, 0.999, 1e-7)


def _softmax(place: Placement, n: int) -> Callable[[], Any]:
    x = _numbers(place, n // 256, 256)
    return lambda: functional.softmax(x)


def _moments(place: Placement, n: int) -> Callable[[], Any]:
    x = _numbers(place, n // 64, 64)
    return lambda: moments(x)


def _unfold(place: Placement, n: int) -> Callable[[], Any]:
    images, channels = n // (16 * 16 * 8), 8
    windows = windows_of("selftest", (16, 16), (3, 3), (1, 1), "same")
    x, columns = _numbers(place, images, 16, 16, channels), place.zeros((images * 16 * 16, 9 * channels))
    unfold: Any = CUDA_KERNELS["unfold"]
    return lambda: unfold(x, *geometry(windows), channels, channels, images, columns)


def _dropout(place: Placement, n: int) -> Callable[[], Any]:
    x = _numbers(place, n)
    return lambda: functional.dropout(x, 0.4, Draw(1, 2, n))


def _noise(place: Placement, n: int) -> Callable[[], Any]:
    x = _numbers(place, n)
    return lambda: functional.gaussian_noise(x, 0.3, Draw(1, 2, n))


KERNELS: dict[str, tuple[int, Callable[[Placement, int], Callable[[], Any]]]] = {
    "copy": (8, _copy),
    "Adam": (28, _adam),  # reads four, writes three
    "softmax": (8, _softmax),
    "moments": (4, _moments),
    "unfold": (40, _unfold),  # reads each number once from memory, writes it nine times
    "dropout": (8, _dropout),
    "noise": (8, _noise),
}
"""How many bytes go over the bus for each number, and what makes the launch for so many numbers."""
