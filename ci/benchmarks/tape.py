"""Value and gradient of a chain of 31 operations: the tape against its pullbacks written by hand, and against PyTorch.

    python ci/benchmarks/tape.py

All compute the same numbers in float32, in turn; the lower decile of the times is what each needs when nothing disturbs
it. In arrays of 8 x 8 most of the time is calls, in 64 x 64 about half is arithmetic. The tape guards quotients and
exponentials against 0 times infinity, which the form by hand does not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from machine import describe_machine

import nnx
from nnx.autodiff.namespace import recording_namespace
from nnx.autodiff.transforms import value_and_grad

BLOCKS = 3  # of ten operations, and a sum at the end
SIZES = (8, 64)
TARGETS = {"by hand": 2.0, "PyTorch": 0.6}


def block(xp: Any, x: Any, w: Any, b: Any) -> Any:
    h = xp.tanh(x * w + b) * 0.5
    h = h / (xp.exp(h) + 1.0) - b
    return xp.sin(h @ w)


def by_hand(x: Any, w: Any, b: Any) -> tuple[Any, tuple[Any, Any, Any]]:
    """Value and gradient of the chain, as one would write it in NumPy."""
    pulls = []
    for _ in range(BLOCKS):
        x, pull = block_by_hand(x, w, b)
        pulls.append(pull)
    y, d, dw, db = np.sum(x), np.ones_like(x), 0.0, 0.0
    for pull in reversed(pulls):
        d, dw_here, db_here = pull(d)
        dw, db = dw + dw_here, db + db_here
    return y, (d, dw, db)


def block_by_hand(x: Any, w: Any, b: Any) -> tuple[Any, Callable[[Any], tuple[Any, Any, Any]]]:
    t = np.tanh(x * w + b)
    half = t * 0.5
    e = np.exp(half)
    below = e + 1.0
    q = half / below
    h = q - b
    z = h @ w

    def pull(d: Any) -> tuple[Any, Any, Any]:
        d = d * np.cos(z)
        dw = h.T @ d
        d = d @ w.T
        db = -d
        d = d / below - d * q / below * e
        d = d * 0.5 * (1.0 - t * t)
        return d * w, dw + d * x, db + d

    return np.sin(z), pull


def with_nnx(*arrays: np.ndarray) -> Callable[[], Any]:
    xp = recording_namespace(arrays[0])

    def chain(x: Any, w: Any, b: Any) -> Any:
        for _ in range(BLOCKS):
            x = block(xp, x, w, b)
        return xp.sum(x)

    both = value_and_grad(chain, (0, 1, 2))
    return lambda: both(*arrays)


def with_torch(*arrays: np.ndarray) -> Callable[[], Any]:
    tensors = [torch.from_numpy(a.copy()).requires_grad_() for a in arrays]

    def run() -> Any:
        x, w, b = tensors
        for _ in range(BLOCKS):
            x = block(torch, x, w, b)
        y = x.sum()
        return y, torch.autograd.grad(y, tensors)

    return run


def lower_deciles(functions: dict[str, Callable[[], Any]], rounds: int, calls: int) -> dict[str, float]:
    """Seconds a call of each, measured in turn, each after a call that is not."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            function()  # the caches are not those of another library
            start = time.thread_time()
            for _ in range(calls):
                function()
            times[name].append((time.thread_time() - start) / calls)
    return {name: float(np.quantile(found, 0.1)) for name, found in times.items()}


def main() -> None:
    print(describe_machine(nnx, np, torch))
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    for size in SIZES:
        arrays = [random.normal(size=(size, size)).astype(np.float32) * scale for scale in (1.0, 0.3, 0.3)]
        forms = {"nnx": with_nnx(*arrays), "by hand": lambda a=arrays: by_hand(*a), "PyTorch": with_torch(*arrays)}
        value, gradients = forms["by hand"]()
        for name in ("nnx", "PyTorch"):
            y, found = forms[name]()
            np.testing.assert_allclose(float(y), value, rtol=1e-4)
            for one, other in zip(found, gradients, strict=True):
                np.testing.assert_allclose(np.asarray(one), other, rtol=1e-3, atol=1e-4)
        times = lower_deciles(forms, 2000, 1)
        print(f"tape, 31 operations, {size} x {size}: {times['nnx'] * 1e6:.0f} us")
        for name, target in TARGETS.items():
            ratio = times["nnx"] / times[name]
            print(f"  against {name:8}  {times[name] * 1e6:6.0f} us, ratio {ratio:5.2f}  (at most {target})")


if __name__ == "__main__":
    main()
