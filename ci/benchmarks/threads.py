"""Steps that threads share against steps of one, on as many cores, in seconds of the clock.

    python ci/benchmarks/threads.py [NUMBER OF THREADS]

Needs threadpoolctl, and takes kernels of numba where it is installed. `one core` is a thread with one thread of BLAS,
`BLAS` leaves all cores to that, `threads` shares the step (`nnx.config.set_num_threads`), by default among two. All
have their turn in every round. Where something else runs, a thread waits for its core: the fastest quarter of the
rounds says what they need. The ratio is that of the threads to one core.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import threadpoolctl
from machine import describe_machine

import nnx
from nnx.functional import updates
from nnx.layers import LSTM, Conv2D, Dense, Embedding, Flatten, Input, MaxPooling2D

ROUNDS = 40


def training(model: nnx.Sequential, x: np.ndarray) -> Callable[[], object]:
    y = np.random.default_rng(1).integers(0, 10, len(x))
    model.compile("adam", nnx.losses.SparseCategoricalCrossentropy(from_logits=True))
    return lambda: model.train_on_batch(x, y)


def convolutional() -> Callable[[], object]:
    body = Conv2D(32, 3, activation="relu"), Conv2D(64, 3, activation="relu"), MaxPooling2D(2), Flatten()
    model = nnx.Sequential([Input((28, 28, 1)), *body, Dense(128, "relu"), Dense(10)])
    return training(model, np.random.default_rng(0).normal(size=(64, 28, 28, 1)).astype(np.float32))


def recurrent() -> Callable[[], object]:
    model = nnx.Sequential([Input((100,), dtype="int32"), Embedding(20_000, 128), LSTM(128), Dense(10)])
    return training(model, np.random.default_rng(0).integers(0, 20_000, (32, 100)))


def adam() -> Callable[[], object]:
    random = np.random.default_rng(0)
    w, g, m, v = (random.uniform(0.1, 1.0, 10_000_000).astype(np.float32) for _ in range(4))
    return lambda: updates.adam(w, g, m, v, None, 1e-9, 0.9, 0.999, 1e-7)


CASES: dict[str, tuple[float, Callable[[], Callable[[], object]]]] = {
    # the largest ratio of two threads that we accept
    "a step of a CNN, batch 64": (0.65, convolutional),
    "a step of Embedding + LSTM": (0.8, recurrent),
    "Adam, 10 million parameters": (0.65, adam),
}


def main(count: int) -> None:
    print(describe_machine(nnx, np))
    print(f"{'':30} {'one core':>10} {'BLAS':>10} {f'{count} threads':>10} {'ratio':>7}")
    for name, (target, make) in CASES.items():
        run = make()
        ways = {"one core": (1, 1), "BLAS": (1, count), "threads": (count, count)}
        times: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(ROUNDS):
            for way, (of_nnx, of_blas) in ways.items():
                nnx.config.set_num_threads(of_nnx)
                with threadpoolctl.threadpool_limits(of_blas, user_api="blas"):
                    run()  # threads of BLAS that wait for more to do hold their core for some steps
                    run()
                    start = time.perf_counter()
                    run()
                    if number > 1:
                        times[way].append(time.perf_counter() - start)
        one, of_blas, several = (float(np.quantile(times[way], 0.25)) * 1e3 for way in ways)
        mark = "" if several / one <= target or count != 2 else f"  above target, {target}"
        print(f"{name:30} {one:7.1f} ms {of_blas:7.1f} ms {several:7.1f} ms {several / one:7.2f}{mark}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
