"""Peak memory of the first five training steps, by nnx and PyTorch, each in a process of its own. On Linux.

It is what the resident set has at most, less what it had when the libraries were imported and no model was made.
Without compiled kernels: numba, which the first step imports, and what LLVM makes of its kernels are 110 MB of a
process, oneDNN is 25 MB.
"""

from __future__ import annotations

import functools
import gc
import subprocess
import sys
from collections.abc import Callable

from machine import forget_peak, resident_mb

STEPS = 5


def peak(case: str, which: str) -> float:
    """MB of a case of `peers_of_steps`, measured in a new process. which : "nnx" or "torch"."""
    command = [sys.executable, "-W", "ignore", __file__, case, which]
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def _measure(case: str, which: str) -> float:
    import torch
    from peers_of_steps import NETWORKS, step_of_nnx, step_of_torch

    from nnx import config

    torch.set_num_threads(1)
    config.disable_compiled_kernels()
    _, network = NETWORKS[case]
    gc.collect()
    forget_peak()  # of the imports
    before = resident_mb("VmRSS")
    step = step_of_torch(network, fused=True) if which == "torch" else step_of_nnx(network)
    for _ in range(STEPS):
        step()
    return resident_mb("VmHWM") - before


CASES: dict[str, tuple[float, Callable[[str], float]]] = {
    "peak memory, CNN": (0.5, functools.partial(peak, "step CNN 32C3-64C3")),
    "peak memory, transformer": (0.7, functools.partial(peak, "step transformer, 2 layers")),
}
"""By their names, the largest ratio to PyTorch that we accept, and what measures nnx or PyTorch."""


if __name__ == "__main__":
    print(_measure(*sys.argv[1:]))
