"""train_on_batch against PyTorch in eager mode: forward, backward, optimiser step, loss read.

    python ci/benchmarks/training_step.py

Both do the same arithmetic on the same data in turn; a ratio below 1 means that nnx is faster. The median of the ratios
of neighbouring runs is robust against a machine that is slower for a while.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable

import numpy as np
import torch
from machine import describe_machine, seconds

import nnx


@dataclasses.dataclass(frozen=True)
class Case:
    """A network, its optimiser and the size of a batch. `target` is the largest ratio that we accept."""

    name: str
    sizes: tuple[int, ...]
    activation: str
    loss: str
    optimizer: str
    batch: int
    target: float


CASES = (
    Case("XOR 2-32-1, SGD, batch 4", (2, 32, 1), "relu", "mse", "SGD", 4, 0.35),
    Case("30-64-64-2, Adam, batch 32", (30, 64, 64, 2), "relu", "softmax", "Adam", 32, 0.5),
    Case("784-392-196-10, SGD, batch 10", (784, 392, 196, 10), "sigmoid", "sigmoid mse", "SGD", 10, 1.0),
    Case("784-512-10, Adam, batch 128", (784, 512, 10), "relu", "softmax", "Adam", 128, 1.0),
    Case("1024 x 3, Adam, batch 256", (1024, 1024, 1024, 1024), "relu", "mse", "Adam", 256, 1.0),
)


def data(case: Case) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(case.batch, case.sizes[0])).astype(np.float32)
    if case.loss == "softmax":
        return x, generator.integers(0, case.sizes[-1], case.batch)
    return x, generator.random((case.batch, case.sizes[-1])).astype(np.float32)


def nnx_step(case: Case) -> Callable[[], float]:
    """One call is one step of nnx."""
    last = {"softmax": "softmax", "sigmoid mse": "sigmoid", "mse": None}[case.loss]
    hidden = [nnx.layers.Dense(units, case.activation) for units in case.sizes[1:-1]]
    model = nnx.Sequential([nnx.Input((case.sizes[0],)), *hidden, nnx.layers.Dense(case.sizes[-1], last)])
    loss = "sparse_categorical_crossentropy" if case.loss == "softmax" else "mse"
    model.compile(getattr(nnx.optimizers, case.optimizer)(0.001), loss)
    x, y = data(case)
    return lambda: model.train_on_batch(x, y)


def torch_step(case: Case) -> Callable[[], float]:
    """One call is one step of PyTorch, written as its tutorials do."""
    modules: list[torch.nn.Module] = []
    for n, m in zip(case.sizes, case.sizes[1:], strict=False):
        modules += [torch.nn.Linear(n, m), torch.nn.ReLU() if case.activation == "relu" else torch.nn.Sigmoid()]
    if case.loss != "sigmoid mse":
        modules.pop()  # the loss takes logits, or the output is linear
    model = torch.nn.Sequential(*modules)
    loss_function = torch.nn.CrossEntropyLoss() if case.loss == "softmax" else torch.nn.MSELoss()
    optimizer = getattr(torch.optim, case.optimizer)(model.parameters(), lr=0.001)
    x, y = (torch.from_numpy(array) for array in data(case))

    def step() -> float:
        optimizer.zero_grad()
        loss = loss_function(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def compare(case: Case, rounds: int = 25) -> tuple[float, float, float]:
    """Median seconds of a step of nnx and of PyTorch, and the median of their ratios, from interleaved rounds."""
    steps = (nnx_step(case), torch_step(case))
    repeats = [max(3, int(0.02 / seconds(step, 5))) for step in steps]
    times = [[seconds(step, n) for step, n in zip(steps, repeats, strict=True)] for _ in range(rounds)]
    mine, theirs = (statistics.median(column) for column in zip(*times, strict=True))
    return mine, theirs, statistics.median(a / b for a, b in times)


def main() -> None:
    print(describe_machine(nnx, np, torch))
    print(f"{'train_on_batch':34} {'nnx':>10} {'PyTorch':>10} {'ratio':>7} {'target':>7}")
    for case in CASES:
        mine, theirs, ratio = compare(case)
        mark = "" if ratio <= case.target else "  above target"
        print(f"{case.name:34} {mine * 1e6:7.0f} us {theirs * 1e6:7.0f} us {ratio:7.2f} {case.target:7.2f}{mark}")


if __name__ == "__main__":
    main()
