"""Peak memory of the first five training steps, by nnx and PyTorch, each in a process of its own. On Linux.

It is what the resident set has at most, less what it had when the libraries were imported and no model was made.
Without compiled kernels: numba, which the first step imports, and what LLVM makes of its kernels are 110 MB of a
process, oneDNN is 25 MB.
"""

from __future__ import annotations

import functools
import gc
import pathlib
import subprocess
import sys
from collections.abc import Callable

STEPS = 5


def peak(case: str, which: str) -> float:
    """MB of a case of `peers_of_steps`, measured in a new process. which : "nnx" or "torch"."""
    command = [sys.executable, "-W", "ignore", __file__, case, which]
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def _measure(case: str, which: str) -> float:
    import peers_of_steps
    import torch

    from nnx import config

    torch.set_num_threads(1)
    config.disable_compiled_kernels()
    _, network = peers_of_steps.NETWORKS[case]
    of_torch = functools.partial(peers_of_steps.step_of_torch, fused=True)
    gc.collect()
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of the imports
    before = _status("VmRSS")
    step = of_torch(network) if which == "torch" else peers_of_steps.step_of_nnx(network)
    for _ in range(STEPS):
        step()
    return (_status("VmHWM") - before) / 1024


def _status(field: str) -> int:
    """A number of KiB that the kernel knows of this process."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


CASES: dict[str, tuple[float, Callable[[str], float]]] = {
    "peak memory, CNN": (0.5, functools.partial(peak, "step CNN 32C3-64C3")),
    "peak memory, transformer": (0.7, functools.partial(peak, "step transformer, 2 layers")),
}
"""By their names, the largest ratio to PyTorch that we accept, and what measures nnx or PyTorch."""


if __name__ == "__main__":
    print(_measure(*sys.argv[1:]))
