"""NVIDIA's compute-sanitizer in the selftest, over every kernel once; `python -m nnx.testing.selftest.sanitizer`."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys

from nnx.backends import Placement
from nnx.backends.base import usable_backend
from nnx.testing.selftest.check import NotRunError, Part
from nnx.testing.selftest.parity import call_kernel

SANITIZER = "compute-sanitizer"
TOOLS = ("memcheck", "racecheck", "initcheck", "synccheck")
SECONDS = 30.0  # for each of them
FAULTS = 9  # the exit status where one finds something


def sanitizer(place: Placement) -> list[Part]:
    """Every kernel under each tool of compute-sanitizer, without CuPy's pool, which hides what is out of bounds."""
    path = shutil.which(SANITIZER)
    if path is None:
        raise NotRunError(f"{SANITIZER} is not on the PATH; NVIDIA's CUDA toolkit has it")
    return [(tool, functools.partial(_run, path, tool, place.device)) for tool in TOOLS]


def _run(path: str, tool: str, device: str | None) -> str:
    command = [path, "--tool", tool, "--error-exitcode", str(FAULTS), sys.executable, "-m", __name__]
    command += [] if device is None else [device]
    try:
        done = subprocess.run(command, timeout=SECONDS, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except subprocess.TimeoutExpired:
        raise NotRunError(f"it was not done after {SECONDS:.0f} s; run it alone: {' '.join(command)}") from None
    if done.returncode:
        raise AssertionError(f"exit status {done.returncode} of {' '.join(command)}\n{done.stdout[-4000:]}")
    return done.stdout.strip().rpartition("\n")[2]


def main(device: str | None = None) -> None:
    """Call every kernel once, each array in memory of its own."""
    import cupy

    cupy.cuda.set_allocator(None)
    place = Placement(usable_backend("cupy"), device)
    for name in sorted(place.backend.kernels):
        call_kernel(place, name, "float32")
    place.backend.synchronize(device)


if __name__ == "__main__":
    main(*sys.argv[1:])
