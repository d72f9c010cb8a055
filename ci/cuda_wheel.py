"""Which wheel of CuPy this machine needs: the extra of nnx-array and the wheel's name, in one line.

Needs nothing installed: the CUDA driver itself is asked which CUDA it is for, and what its cards are. A message, and
exit status 1, where there is no GPU.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

MAJOR, MINOR = 75, 76  # CUDA's numbers for the attributes of a compute capability


def choose(driver: int, capabilities: list[tuple[int, int]]) -> tuple[str, str]:
    """The extra and the wheel for a driver, by the CUDA it is for, and for the compute capabilities of all cards.

    Drivers also serve earlier versions of CUDA than their own, and CUDA 13 does not serve the cards before Turing.
    """
    if driver < 12:
        raise ValueError(f"the driver is for CUDA {driver}, but CuPy 14 needs CUDA 12 or later: update the driver")
    if driver == 12 or min(capabilities) < (7, 5):
        return "cupy", "cupy-cuda12x"
    return "cupy13", "cupy-cuda13x"


def ask(driver: Any) -> tuple[int, list[tuple[int, int]]]:
    """Which CUDA the driver, libcuda, is for, and the compute capabilities of its cards."""
    problem = driver.cuInit(0)
    if problem:
        raise ValueError(f"there is no GPU here: cuInit failed with CUDA error {problem}; see nvidia-smi")
    found = ctypes.c_int()

    def number(function: Any, *arguments: int) -> int:
        function(ctypes.byref(found), *arguments)
        return found.value

    version, count = number(driver.cuDriverGetVersion), number(driver.cuDeviceGetCount)
    if not count:
        raise ValueError("there is no GPU here: the NVIDIA driver finds no device; see nvidia-smi")
    devices = [number(driver.cuDeviceGet, index) for index in range(count)]
    attribute = driver.cuDeviceGetAttribute
    return version // 1000, [(number(attribute, MAJOR, card), number(attribute, MINOR, card)) for card in devices]


if __name__ == "__main__":
    try:
        print(*choose(*ask(ctypes.CDLL("libcuda.so.1"))))
    except OSError as error:
        sys.exit(f"there is no GPU here: the NVIDIA driver is not installed ({error})")
    except ValueError as error:
        sys.exit(str(error))
