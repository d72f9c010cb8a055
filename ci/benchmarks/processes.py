"""Training a convolutional network in two processes against one, with a thread and a core for each.

    OPENBLAS_NUM_THREADS=1 mpirun -n 2 python ci/benchmarks/processes.py

Both train the CNN of convolution.py on the same data with the same batch size, in turn: while rank 0 trains alone, the
other one sleeps. The median of the ratios of neighbouring epochs is robust against a machine that is busy for a while.
On one that is always busy, processes wait for cores; there the processor time says what cores of their own would need:
that of the rank which took most, against that of one process.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
from machine import describe_machine

import nnx
from nnx import ranks
from nnx.layers import Conv2D, Dense, Flatten, Input, MaxPooling2D

TARGET = 0.6  # the largest ratio that we accept, of two processes
BATCH, STEPS, ROUNDS = 64, 10, 9


def cnn() -> nnx.Sequential:
    """The network of convolution.py, which needs PyTorch."""
    convolutions = [Conv2D(32, 3, activation="relu"), Conv2D(64, 3, activation="relu"), MaxPooling2D(2)]
    model = nnx.Sequential([Input((28, 28, 1)), *convolutions, Flatten(), Dense(128, "relu"), Dense(10, "softmax")])
    model.compile(nnx.optimizers.Adam(0.001), "sparse_categorical_crossentropy")
    return model


def seconds_of_step(model: nnx.Sequential, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """What a step of an epoch takes: seconds, and seconds of this process's core."""
    start, busy = time.perf_counter(), time.process_time()
    model.fit(x, y, batch_size=BATCH, verbose=0)
    return (time.perf_counter() - start) / STEPS, (time.process_time() - busy) / STEPS


def main() -> None:
    nnx.distributed.initialize()
    group = ranks.group()
    assert group is not None, "start it with mpirun -n 2"
    generator = np.random.default_rng(0)
    x = generator.normal(size=(BATCH * STEPS, 28, 28, 1)).astype(np.float32)
    y = generator.integers(0, 10, BATCH * STEPS)
    model, of_one = cnn(), cnn()
    alone, together = [], []
    for _ in range(ROUNDS + 1):
        if group.rank == 0:
            ranks.join(None)
            alone.append(seconds_of_step(of_one, x, y))
            ranks.join(group)
        group.barrier()
        together.append(tuple(map(max, zip(*group.gather(seconds_of_step(model, x, y)), strict=True))))
    if group.rank:
        return
    print(describe_machine(nnx, np))
    print(f"{'a step of the CNN, batch 64':34} {'1 process':>10} {f'{group.size} processes':>12} {'ratio':>7}")
    for index, what in enumerate(("seconds", "processor time")):
        one, several = ([each[index] for each in times[1:]] for times in (alone, together))  # the first warms up
        ratio = statistics.median(b / a for a, b in zip(one, several, strict=True))
        mark = "" if ratio <= TARGET or group.size != 2 else f"  above target, {TARGET}"
        one_ms, several_ms = (statistics.median(times) * 1e3 for times in (one, several))
        print(f"{what:34} {one_ms:7.1f} ms {several_ms:9.1f} ms {ratio:7.2f}{mark}")


if __name__ == "__main__":
    main()
