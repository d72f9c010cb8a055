"""Training a convolutional network in two processes against one, with a thread and a core for each.

    OPENBLAS_NUM_THREADS=1 mpirun -n 2 python ci/benchmarks/processes.py

Both train the CNN of convolution.py on the same data with the same batch size, an epoch in turn; while rank 0 trains
alone, the other one sleeps. Where something else runs, a process waits for its core and two wait for the slower: the
fastest quarter of the steps says what they need, the median what they got.
"""

from __future__ import annotations

import time

import numpy as np
from machine import describe_machine

import nnx
from nnx import ranks
from nnx.layers import Conv2D, Dense, Flatten, Input, MaxPooling2D

TARGET = 0.6  # the largest ratio that we accept, of two processes
BATCH, STEPS, ROUNDS = 64, 20, 5


def cnn() -> nnx.Sequential:
    """The network of convolution.py, which needs PyTorch."""
    convolutions = [Conv2D(32, 3, activation="relu"), Conv2D(64, 3, activation="relu"), MaxPooling2D(2)]
    model = nnx.Sequential([Input((28, 28, 1)), *convolutions, Flatten(), Dense(128, "relu"), Dense(10, "softmax")])
    model.compile(nnx.optimizers.Adam(0.001), "sparse_categorical_crossentropy")
    return model


class Clock(nnx.callbacks.Callback):
    """The seconds of each step."""

    def __init__(self) -> None:
        self.steps: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self.last = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        now = time.perf_counter()
        self.steps.append(now - self.last)
        self.last = now


def main() -> None:
    nnx.distributed.initialize()
    group = ranks.group()
    assert group is not None, "start it with mpirun -n 2"
    generator = np.random.default_rng(0)
    x = generator.normal(size=(BATCH * STEPS, 28, 28, 1)).astype(np.float32)
    y = generator.integers(0, 10, BATCH * STEPS)
    model, of_one = cnn(), cnn()
    alone, together = Clock(), Clock()
    for number in range(ROUNDS + 1):
        if number == 1:  # the first round warms up
            alone.steps, together.steps = [], []
        if group.rank == 0:
            ranks.join(None)
            of_one.fit(x, y, batch_size=BATCH, verbose=0, callbacks=[alone])
            ranks.join(group)
        group.barrier()
        model.fit(x, y, batch_size=BATCH, verbose=0, callbacks=[together])
    if group.rank:
        return
    print(describe_machine(nnx, np))
    print(f"{'a step of the CNN, batch 64':34} {'1 process':>10} {f'{group.size} processes':>12} {'ratio':>7}")
    for part, what in ((8, "fastest quarter"), (2, "median")):
        one, several = (sorted(clock.steps)[len(clock.steps) // part] for clock in (alone, together))
        mark = "" if several / one <= TARGET or group.size != 2 else f"  above target, {TARGET}"
        print(f"{what:34} {one * 1e3:7.1f} ms {several * 1e3:9.1f} ms {several / one:7.2f}{mark}")


if __name__ == "__main__":
    main()
