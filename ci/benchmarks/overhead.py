"""What nnx itself costs: importing it, building many layers, predicting one row, a step of fit, and memory over many
trainings.

python ci/benchmarks/overhead.py
"""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
import time

import numpy as np
from machine import describe_machine

import nnx
from nnx.layers import Dense, Input


def import_seconds() -> float:
    """The median time of `import nnx` in a new process that has NumPy already."""
    code = "import numpy, time; t = time.perf_counter(); import nnx; print(time.perf_counter() - t)"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, check=True) for _ in range(7)]
    return statistics.median(float(run.stdout) for run in runs)


def build_seconds(layers: int = 1600) -> float:
    """The time of building a model of so many layers: the best of several, since others use the machine too."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        nnx.Sequential([Input((4,)), *(Dense(4) for _ in range(layers))])
        times.append(time.perf_counter() - start)
    return min(times)


def small_model() -> nnx.Sequential:
    model = nnx.Sequential([Input((20,)), Dense(64, "relu"), Dense(64, "relu"), Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def predict_seconds() -> float:
    model, row = small_model(), np.ones((1, 20), np.float32)
    times = []
    for _ in range(500):
        start = time.perf_counter()
        model.predict(row, verbose=0)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def fit_seconds_per_step() -> float:
    model, x = small_model(), np.random.default_rng(0).normal(size=(16000, 20)).astype(np.float32)
    y = np.arange(16000) % 10
    model.fit(x, y, epochs=1, verbose=0)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        model.fit(x, y, epochs=1, verbose=0)
        times.append((time.perf_counter() - start) / 500)
    return statistics.median(times)


def memory_growth() -> float:
    """MB that 200 x fit, evaluate and predict and 100 models built, trained and dropped leave behind."""
    model, x = small_model(), np.random.default_rng(0).normal(size=(64, 20)).astype(np.float32)
    y = np.arange(64) % 10

    def use(model: nnx.Sequential) -> None:
        model.fit(x, y, epochs=1, verbose=0)
        model.evaluate(x, y, verbose=0)
        model.predict(x, verbose=0)

    for _ in range(20):
        use(model)
    gc.collect()
    before = resident_mb()
    for _ in range(200):
        use(model)
    for _ in range(100):
        other = nnx.Sequential([Input((20,)), Dense(1000, "relu"), Dense(10, "softmax")])
        other.compile("adam", "sparse_categorical_crossentropy")
        use(other)
    return resident_mb() - before


def resident_mb() -> float:
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    return pages * 4096 / 1e6


def main() -> None:
    print(describe_machine(nnx, np))
    print(f"import nnx over NumPy          {import_seconds():8.3f} s   (at most 0.3)")
    print(f"build of 1,600 layers          {build_seconds():8.3f} s   (at most 0.3)")
    print(f"predict of one row             {predict_seconds() * 1e6:8.0f} us  (at most 300)")
    print(f"fit of 20-64-64-10, per step   {fit_seconds_per_step() * 1e6:8.0f} us  (at most 400)")
    print(f"memory left behind             {memory_growth():8.1f} MB  (at most 20)")


if __name__ == "__main__":
    main()
