"""nnx against the strongest of its peers: PyTorch with the fused optimizer, JAX in one jit, onnxruntime, scikit-learn.

    python ci/benchmarks/peers.py [PART OF A NAME ...]

Needs torch, jax, keras, scikit-learn, onnx and onnxruntime. On one core, in processor time, which is steady where
others use the machine too; every peer has its turn in every round. A ratio is nnx's time over that of the best peer,
the median over the rounds: below 1 nnx is faster. `target` is the largest ratio that we accept.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

ONE_CORE = {
    **dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "KERAS_BACKEND": "jax",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}
"""What the libraries read when they are imported."""

SECONDS = 3.0  # of the rounds of a case


def seconds(run: Callable[[], object], repeats: int) -> float:
    """The processor time of one call, from so many."""
    start = time.process_time()
    for _ in range(repeats):
        run()
    return (time.process_time() - start) / repeats


def compare(runs: dict[str, Callable[[], object]]) -> tuple[dict[str, float], dict[str, float]]:
    """Median seconds of each, and the median of the ratios of nnx to it, from interleaved rounds."""
    for run in runs.values():
        seconds(run, 3)  # compilers and caches
    repeats = {name: max(1, min(2000, int(0.03 / max(1e-6, seconds(run, 1))))) for name, run in runs.items()}
    rounds: list[dict[str, float]] = []
    end = time.perf_counter() + SECONDS
    while len(rounds) < 5 or (time.perf_counter() < end and len(rounds) < 40):
        rounds.append({name: seconds(run, repeats[name]) for name, run in runs.items()})
    medians = {name: statistics.median(times[name] for times in rounds) for name in runs}
    ratios = {name: statistics.median(times["nnx"] / times[name] for times in rounds) for name in runs}
    return medians, ratios


def main(*parts: str) -> None:
    import jax  # here, where the environment is as they have to find it
    import numpy as np
    import onnxruntime
    import peers_of_files
    import peers_of_inference
    import peers_of_parts
    import peers_of_steps
    import sklearn
    import torch
    from machine import describe_machine

    import nnx

    cases = peers_of_steps.CASES | peers_of_parts.CASES | peers_of_inference.CASES | peers_of_files.CASES
    torch.set_num_threads(1)
    print(describe_machine(nnx, np, torch, jax, onnxruntime, sklearn))
    print(f"{'':36} {'nnx':>10} {'best peer':>20} {'ratio':>6} {'target':>6}  others")
    for name, (target, make) in cases.items():
        if parts and not any(part in name for part in parts):
            continue
        medians, ratios = compare(make())
        best, *others = sorted((peer for peer in ratios if peer != "nnx"), key=lambda peer: -ratios[peer])
        listing = ", ".join(f"{peer} {ratios[peer]:.2f}" for peer in others)
        mark = "" if ratios[best] <= target else "  above target"
        print(
            f"{name:36} {medians['nnx'] * 1e6:7.0f} us {best:>9} {medians[best] * 1e6:7.0f} us {ratios[best]:6.2f} "
            f"{target:6.2f}  {listing}{mark}",
            flush=True,
        )


if __name__ == "__main__":
    if os.environ.items() >= ONE_CORE.items():
        main(*sys.argv[1:])
    else:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])  # which the new process inherits
        sys.exit(subprocess.run([sys.executable, *sys.argv], env={**os.environ, **ONE_CORE}).returncode)
