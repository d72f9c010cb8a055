"""What it costs to feed a model: memory and time of data on disk and in memory, and of `fit` around its steps.

    python ci/benchmarks/streaming.py [--gigabytes 4] [--folder /tmp]

Every number comes from a process of its own. Resident memory is the peak that the system reports (VmHWM), mapped pages
of files included. Times are of the processor, in turn with bare steps on batches that lie ready: the median of ratios.
"""

from __future__ import annotations

import argparse
import os
import pty
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from machine import describe_machine, resident_mb

import nnx
from nnx.layers import Dense, Input

BATCH = 32
COLUMNS = 784
CLASSES = 10


def network(columns: int) -> nnx.Sequential:
    layers = [Input((columns,)), Dense(64, "relu"), Dense(64, "relu"), Dense(CLASSES, "softmax")]
    model = nnx.Sequential(layers)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def write_rows(path: Path, rows: int) -> None:
    """Normal numbers, a piece at a time."""
    generator = np.random.default_rng(0)
    file = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, COLUMNS))
    for start in range(0, rows, 1 << 14):
        piece = file[start : start + (1 << 14)]
        piece[:] = generator.normal(size=piece.shape)
    file.flush()


# What the processes do


def train_on_file(path: str) -> None:
    x = np.load(path, mmap_mode="r")
    y = np.random.default_rng(1).integers(0, CLASSES, len(x))
    model = network(COLUMNS)
    start = time.process_time()
    model.fit(x, y, batch_size=BATCH, verbose=0)
    step = (time.process_time() - start) / -(-len(x) // BATCH)
    peak = resident_mb("VmHWM")
    rows = np.array(x[: 1000 * BATCH])
    bare = seconds_of_bare_steps(model, rows, y) / 1000
    report(f"peak {peak:5.0f} MB, {step * 1e6:4.0f} us a step, {step / bare:.2f} of a bare step")


def train_on_a_million() -> None:
    """Memory in the middle of three epochs: the first fills what there is to fill, and then it must not grow."""
    x = np.random.default_rng(0).normal(size=(1_000_000, 64)).astype(np.float32)
    y = np.random.default_rng(1).integers(0, CLASSES, len(x))
    model, steps = network(64), -(-len(x) // BATCH)
    before = resident_mb("VmRSS")
    seen: list[float] = []

    def look(batch: int, logs: object) -> None:
        if batch == steps // 2:
            seen.append(resident_mb("VmRSS"))

    watching = nnx.callbacks.LambdaCallback(on_train_batch_end=look)
    ratios = []
    for _ in range(3):
        bare = seconds_of_bare_steps(model, x, y)
        start = time.process_time()
        model.fit(x, y, batch_size=BATCH, verbose=0, callbacks=watching)
        ratios.append((time.process_time() - start) / bare)
    report(
        f"{bare / steps * 1e6:4.0f} us a bare step, fit {statistics.median(ratios):.2f} of it; "
        f"memory +{seen[0] - before:.0f} MB, from the second epoch to the third {seen[2] - seen[1]:+.1f} MB"
    )


def fit_with_a_bar() -> None:
    """All default callbacks and the progress bar, on whatever standard output is."""
    x = np.random.default_rng(0).normal(size=(2000 * BATCH, 20)).astype(np.float32)
    y = np.random.default_rng(1).integers(0, CLASSES, len(x))
    model = network(20)
    ratios, steps = [], []
    for _ in range(15):
        bare = seconds_of_bare_steps(model, x, y)
        start = time.process_time()
        model.fit(x, y, batch_size=BATCH)
        ratios.append((time.process_time() - start) / bare)
        steps.append(bare / 2000)
    report(f"{statistics.median(steps) * 1e6:4.0f} us a bare step, fit +{(statistics.median(ratios) - 1) * 100:.1f} %")


def seconds_of_bare_steps(model: nnx.Sequential, x: np.ndarray, y: np.ndarray) -> float:
    """What `fit` calls for each batch, on batches that are cut already, in an order as random as in `fit`."""
    order = np.random.default_rng(2).permutation(len(x) // BATCH) * BATCH
    batches = [([x[start : start + BATCH]], [y[start : start + BATCH]]) for start in order.tolist()]
    model.fit(x[:BATCH], y[:BATCH], verbose=0)  # whatever is done only once
    start = time.process_time()
    for xs, ys in batches:
        model.trainer.step.train(xs, ys, [None])
    return time.process_time() - start


def report(text: str) -> None:
    print(text, file=sys.stderr)


# The processes


def run(*arguments: str, terminal: bool = False) -> str:
    """What a process of this file reports; its standard output is a pipe, or a terminal."""
    command = [sys.executable, __file__, *arguments]
    alone = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # threads that wait count as busy
    if not terminal:
        return subprocess.run(command, capture_output=True, text=True, check=True, env=alone).stderr.strip()
    ours, theirs = pty.openpty()
    reader = threading.Thread(target=_read_all, args=(ours,), daemon=True)
    reader.start()
    done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, text=True, check=True, env=alone)
    os.close(theirs)
    return done.stderr.strip()


def _read_all(descriptor: int) -> None:
    try:
        while os.read(descriptor, 1 << 16):
            pass
    except OSError:  # Linux says so where others give no bytes
        pass


def main(gigabytes: float = 4.0, folder: str | None = None) -> None:
    print(describe_machine(nnx, np))
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path, size = Path(place) / "rows.npy", int(gigabytes * 2**30)
        if shutil.disk_usage(place).free < size * 1.1:
            print(f"no room for {gigabytes} GB in {place}: choose another --folder")
        else:
            write_rows(path, size // (4 * COLUMNS))
            print(f"{gigabytes:g} GB .npy, memory-mapped        {run('file', str(path))}   (at most 600 MB)")
    print(f"a million rows in memory       {run('million')}   (flat)")
    print(f"20-64-64-10, bar in a pipe     {run('bar')}   (at most 15 %)")
    print(f"20-64-64-10, bar in a terminal {run('bar', terminal=True)}   (at most 15 %)")


TASKS: dict[str, Callable[..., None]] = {"file": train_on_file, "million": train_on_a_million, "bar": fit_with_a_bar}

if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in TASKS:
        TASKS[sys.argv[1]](*sys.argv[2:])
    else:
        parser = argparse.ArgumentParser()
        parser.add_argument("--gigabytes", type=float, default=4.0)
        parser.add_argument("--folder")
        main(**vars(parser.parse_args()))
