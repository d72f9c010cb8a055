"""nnx against the strongest of its peers: PyTorch with the fused optimizer, JAX in one jit, onnxruntime, scikit-learn.

    python ci/benchmarks/peers.py [PART OF A NAME ...]

Needs torch, jax, keras, scikit-learn, onnx and onnxruntime. On one core, in processor time, which is steady where
others use the machine too; every peer has its turn in every round, after a call of its own that is not timed. A ratio
is nnx's time over that of the best peer, the median over the rounds: below 1 nnx is faster. `target` is the largest
ratio that we accept. Where numba is installed, the last two columns are the same with compiled kernels.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

ONE_CORE = {
    **dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "KERAS_BACKEND": "jax",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}
"""What the libraries read when they are imported."""

SECONDS = 3.0  # of the rounds of a case

TARGETS_WITH_COMPILED_KERNELS = {
    "Adam, 10 million parameters": 1.2,
    "layer normalisation 4096 x 512": 1.1,
    "softmax cross-entropy 256 x 10,000": 0.8,
    "step 784-512-10": 0.95,
    "step autoencoder": 1.0,
    "step CNN 32C3-64C3": 0.95,
    "step LeNet-5": 0.85,
    "step ResNet blocks": 1.3,
    "step LSTM 128 x 28 steps": 1.0,
    "step LSTM 128 x 200 steps": 0.95,
    "step GRU 128 x 28 steps": 1.0,
    "step Embedding(20,000) + LSTM": 1.1,
    "step transformer, 2 layers": 1.0,
    "step Conv1D": 1.2,
}


def seconds(run: Callable[[], object], repeats: int) -> float:
    """The processor time of one call, from so many."""
    start = time.process_time()
    for _ in range(repeats):
        run()
    return (time.process_time() - start) / repeats


@contextlib.contextmanager
def compiled_kernels(used: bool) -> Iterator[None]:
    """A block in which nnx has its compiled kernels, or has not."""
    from nnx import config

    (config.enable_compiled_kernels if used else config.disable_compiled_kernels)()
    try:
        yield
    finally:
        config.disable_compiled_kernels()


def compare(runs: dict[str, Callable[[], object]]) -> tuple[dict[str, float], Callable[[str, str], float]]:
    """Median seconds of each, and a function for the median ratio of one to another, from interleaved rounds."""

    def timed(name: str, repeats: int) -> float:
        with compiled_kernels(name == "compiled"):
            runs[name]()  # after another library nothing of this one is in the caches
            return seconds(runs[name], repeats)

    for name in runs:
        timed(name, 3)  # compilers and caches
    repeats = {name: max(1, min(2000, int(0.03 / max(1e-6, timed(name, 1))))) for name in runs}
    rounds: list[dict[str, float]] = []
    end = time.perf_counter() + SECONDS
    while len(rounds) < 5 or (time.perf_counter() < end and len(rounds) < 40):
        rounds.append({name: timed(name, repeats[name]) for name in runs})
    medians = {name: statistics.median(times[name] for times in rounds) for name in runs}
    return medians, lambda one, other: statistics.median(times[one] / times[other] for times in rounds)


def main(*parts: str) -> None:
    import jax  # here, where the environment is as they have to find it
    import numpy as np
    import onnxruntime
    import peers_of_files
    import peers_of_inference
    import peers_of_memory
    import peers_of_parts
    import peers_of_steps
    import sklearn
    import torch
    from machine import describe_machine

    import nnx

    cases = peers_of_steps.CASES | peers_of_parts.CASES | peers_of_inference.CASES | peers_of_files.CASES
    torch.set_num_threads(1)
    print(describe_machine(nnx, np, torch, jax, onnxruntime, sklearn))
    print(f"{'':36} {'nnx':>10} {'best peer':>20} {'ratio':>6} {'target':>6} {'compiled':>8} {'target':>6}  others")
    for name, (target, make) in cases.items():
        if parts and not any(part in name for part in parts):
            continue
        runs = make()
        if importlib.util.find_spec("numba"):
            runs["compiled"] = runs["nnx"]
        medians, ratio = compare(runs)
        peers = {peer: ratio("nnx", peer) for peer in runs if peer not in ("nnx", "compiled")}
        best, *others = sorted(peers, key=lambda peer: -peers[peer])
        listing = ", ".join(f"{peer} {peers[peer]:.2f}" for peer in others)
        mark = "" if peers[best] <= target else "  above target"
        compiled = " " * 15
        if "compiled" in runs:
            reached, goal = ratio("compiled", best), TARGETS_WITH_COMPILED_KERNELS.get(name, target)
            compiled = f"{reached:8.2f} {goal:6.2f}"
            mark += "" if reached <= goal else "  above target with compiled kernels"
        print(
            f"{name:36} {medians['nnx'] * 1e6:7.0f} us {best:>9} {medians[best] * 1e6:7.0f} us {peers[best]:6.2f} "
            f"{target:6.2f} {compiled}  {listing}{mark}",
            flush=True,
        )
    for name, (target, peak) in peers_of_memory.CASES.items():
        if not parts or any(part in name for part in parts):
            mine, theirs = peak("nnx"), peak("torch")
            mark = "" if mine / theirs <= target else "  above target"
            print(f"{name:36} {mine:7.0f} MB     torch {theirs:7.0f} MB {mine / theirs:6.2f} {target:6.2f}{mark}")


if __name__ == "__main__":
    if os.environ.items() >= ONE_CORE.items():
        main(*sys.argv[1:])
    else:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])  # which the new process inherits
        sys.exit(subprocess.run([sys.executable, *sys.argv], env={**os.environ, **ONE_CORE}).returncode)
