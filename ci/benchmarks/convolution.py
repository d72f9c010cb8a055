"""train_on_batch of convolutional networks against PyTorch in eager mode, and the memory that a step needs.

    python ci/benchmarks/convolution.py

Both do the same arithmetic on the same data in turn, PyTorch with channels first, its default. A ratio below 1 means
that nnx is faster. The median of the ratios of neighbouring runs is robust against a machine that is busy for a while.
"""

from __future__ import annotations

import dataclasses
import statistics
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import torch
from machine import describe_machine, forget_peak, resident_mb, seconds

import nnx
from nnx.layers import Conv2D, Dense, Flatten, MaxPooling2D


@dataclasses.dataclass(frozen=True)
class Case:
    """A network for images of 28 x 28 and ten classes. `target` is the largest ratio that we accept."""

    name: str
    make: Callable[[], list[nnx.layers.Layer]]
    make_torch: Callable[[], list[torch.nn.Module]]
    batch: int
    target: float


def cnn() -> list[nnx.layers.Layer]:
    convolutions = [Conv2D(32, 3, activation="relu"), Conv2D(64, 3, activation="relu"), MaxPooling2D(2)]
    return [*convolutions, Flatten(), Dense(128, "relu"), Dense(10, "softmax")]


def cnn_torch() -> list[torch.nn.Module]:
    n = torch.nn
    convolutions = [n.Conv2d(1, 32, 3), n.ReLU(), n.Conv2d(32, 64, 3), n.ReLU(), n.MaxPool2d(2)]
    return [*convolutions, n.Flatten(), n.Linear(9216, 128), n.ReLU(), n.Linear(128, 10)]


def lenet() -> list[nnx.layers.Layer]:
    first = [Conv2D(6, 5, padding="same", activation="relu"), MaxPooling2D(2)]
    second = [Conv2D(16, 5, activation="relu"), MaxPooling2D(2)]
    return [*first, *second, Flatten(), Dense(120, "relu"), Dense(84, "relu"), Dense(10, "softmax")]


def lenet_torch() -> list[torch.nn.Module]:
    n = torch.nn
    first = [n.Conv2d(1, 6, 5, padding=2), n.ReLU(), n.MaxPool2d(2)]
    second = [n.Conv2d(6, 16, 5), n.ReLU(), n.MaxPool2d(2)]
    dense = [n.Linear(400, 120), n.ReLU(), n.Linear(120, 84), n.ReLU(), n.Linear(84, 10)]
    return [*first, *second, n.Flatten(), *dense]


CASES = (
    Case("CNN 32C3-64C3-P2-128-10, batch 64", cnn, cnn_torch, 64, 1.0),
    Case("LeNet-5, batch 128", lenet, lenet_torch, 128, 1.0),
)


def nnx_step(case: Case) -> Callable[[], object]:
    """One call is one step of nnx."""
    model = nnx.Sequential([nnx.Input((28, 28, 1)), *case.make()])
    model.compile(nnx.optimizers.Adam(0.001), "sparse_categorical_crossentropy")
    generator = np.random.default_rng(0)
    x = generator.normal(size=(case.batch, 28, 28, 1)).astype(np.float32)
    y = generator.integers(0, 10, case.batch)
    return lambda: model.train_on_batch(x, y)


def torch_step(case: Case) -> Callable[[], object]:
    """One call is one step of PyTorch, written as its tutorials do."""
    model = torch.nn.Sequential(*case.make_torch())
    loss_function, optimizer = torch.nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters(), lr=0.001)
    x, y = torch.randn(case.batch, 1, 28, 28), torch.randint(0, 10, (case.batch,))

    def step() -> float:
        optimizer.zero_grad()
        loss = loss_function(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def compare(case: Case, rounds: int = 15) -> tuple[float, float, float]:
    """Median seconds of a step of nnx and of PyTorch, and the median of their ratios, from interleaved rounds."""
    steps = (nnx_step(case), torch_step(case))
    for step in steps:
        seconds(step, 3)
    times = [[seconds(step, 3) for step in steps] for _ in range(rounds)]
    mine, theirs = (statistics.median(column) for column in zip(*times, strict=True))
    return mine, theirs, statistics.median(a / b for a, b in times)


def peak_of_steps(which: str) -> float:
    """MB by which ten steps of the first case raise the peak of this process, which must be a new one. On Linux."""
    case = CASES[0]
    make = nnx_step if which == "nnx" else torch_step
    make(dataclasses.replace(case, batch=1))()  # loads what there is to load
    forget_peak()  # of loading
    before = resident_mb("VmRSS")
    step = make(case)
    for _ in range(10):
        step()
    return resident_mb("VmHWM") - before


def peak_in_new_process(which: str) -> float:
    run = subprocess.run([sys.executable, __file__, which], capture_output=True, check=True, text=True)
    return float(run.stdout)


def main() -> None:
    print(describe_machine(nnx, np, torch))
    print(f"{'train_on_batch':34} {'nnx':>10} {'PyTorch':>10} {'ratio':>7} {'target':>7}")
    for case in CASES:
        mine, theirs, ratio = compare(case)
        mark = "" if ratio <= case.target else "  above target"
        print(f"{case.name:34} {mine * 1e3:7.1f} ms {theirs * 1e3:7.1f} ms {ratio:7.2f} {case.target:7.2f}{mark}")
    mine, theirs = (peak_in_new_process(which) for which in ("nnx", "torch"))
    mark = "" if mine <= 1.5 * theirs else "  above target"
    title = f"peak memory, {CASES[0].name}"
    print(f"{title:45} {mine:7.1f} MB {theirs:7.1f} MB {mine / theirs:7.2f} {1.5:7.2f}{mark}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(peak_of_steps(sys.argv[1]))
    else:
        main()
