"""train_on_batch of recurrent networks and of attention against PyTorch in eager mode.

    python ci/benchmarks/recurrent.py

Sequences of 28 steps of 28 numbers, batch 64, 128 units, Dense(10) with softmax, Adam. Both do the same arithmetic on
the same data in turn; a ratio below 1 means that nnx is faster.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import numpy as np
import torch
from machine import describe_machine, seconds

import nnx
from nnx.layers import Dense
from nnx.layers.bidirectional import Bidirectional
from nnx.layers.gru import GRU
from nnx.layers.lstm import LSTM
from nnx.layers.simple_rnn import SimpleRNN

STEPS, FEATURES, UNITS, BATCH, CLASSES = 28, 28, 128, 64, 10

CASES: dict[str, tuple[Callable[[], nnx.layers.Layer], Callable[[], torch.nn.Module], float]] = {
    # nnx's layer, PyTorch's, and the largest ratio that we accept
    "LSTM 128 x 28 steps, batch 64": (
        lambda: LSTM(UNITS),
        lambda: torch.nn.LSTM(FEATURES, UNITS, batch_first=True),
        1.5,
    ),
    "GRU": (lambda: GRU(UNITS), lambda: torch.nn.GRU(FEATURES, UNITS, batch_first=True), 1.5),
    "SimpleRNN": (lambda: SimpleRNN(UNITS), lambda: torch.nn.RNN(FEATURES, UNITS, batch_first=True), 1.5),
    "Bidirectional LSTM": (
        lambda: Bidirectional(LSTM(UNITS)),
        lambda: torch.nn.LSTM(FEATURES, UNITS, batch_first=True, bidirectional=True),
        1.5,
    ),
}


def data() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return generator.normal(size=(BATCH, STEPS, FEATURES)).astype(np.float32), generator.integers(0, CLASSES, BATCH)


def nnx_step(layer: nnx.layers.Layer) -> Callable[[], float]:
    """One call is one step of nnx."""
    model = nnx.Sequential([nnx.Input((STEPS, FEATURES)), layer, Dense(CLASSES, "softmax")])
    model.compile(nnx.optimizers.Adam(0.001), "sparse_categorical_crossentropy")
    x, y = data()
    return lambda: model.train_on_batch(x, y)


def torch_step(layer: torch.nn.Module) -> Callable[[], float]:
    """One call is one step of PyTorch, written as its tutorials do."""
    last = torch.nn.Linear(UNITS * (2 if getattr(layer, "bidirectional", False) else 1), CLASSES)
    loss_function = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam([*layer.parameters(), *last.parameters()], lr=0.001)
    x, y = (torch.from_numpy(array) for array in data())

    def step() -> float:
        optimizer.zero_grad()
        sequence, _ = layer(x)
        loss = loss_function(last(sequence[:, -1]), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def compare(case: str, rounds: int = 25) -> tuple[float, float, float]:
    """Median seconds of a step of nnx and of PyTorch, and the median of their ratios, from interleaved rounds."""
    mine, theirs, _ = CASES[case]
    steps = (nnx_step(mine()), torch_step(theirs()))
    repeats = [max(3, int(0.02 / seconds(step, 5))) for step in steps]
    times = [[seconds(step, n) for step, n in zip(steps, repeats, strict=True)] for _ in range(rounds)]
    mine_time, theirs_time = (statistics.median(column) for column in zip(*times, strict=True))
    return mine_time, theirs_time, statistics.median(a / b for a, b in times)


def main() -> None:
    print(describe_machine(nnx, np, torch))
    print(f"{'train_on_batch':34} {'nnx':>10} {'PyTorch':>10} {'ratio':>7} {'target':>7}")
    for case, (_, _, target) in CASES.items():
        mine, theirs, ratio = compare(case)
        mark = "" if ratio <= target else "  above target"
        print(f"{case:34} {mine * 1e3:7.2f} ms {theirs * 1e3:7.2f} ms {ratio:7.2f} {target:7.2f}{mark}")


if __name__ == "__main__":
    main()
