"""What it costs to read a .keras file of 100 MB: time and memory, beside Keras' own where it is installed.

    python ci/benchmarks/keras_files.py [--megabytes 100] [--folder /tmp]

Each number comes from a process of its own: the time of the processor and of the clock, the best of three, and how much
the peak of resident memory (VmHWM) grows while the file is read. h5py is needed; Keras is run on JAX.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from machine import describe_machine, resident_mb

import nnx
from nnx.layers import Dense, Input

UNITS = 1024


def write_file(path: Path, megabytes: int) -> None:
    """Layers of 4 MiB each; not trained, so without slots."""
    model = nnx.Sequential([Input((UNITS,)), *(Dense(UNITS, use_bias=False) for _ in range(megabytes // 4))])
    model.compile("sgd", "mse")
    model.save(path)


def reader(library: str) -> Callable[[Path], Any]:
    if library == "nnx":
        return nnx.models.load_model
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras

    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).get_weights()  # JAX has started
    return keras.saving.load_model  # type: ignore[no-any-return]


def measure(library: str, path: Path) -> None:
    """Print what one reading takes."""
    small = path.with_name("small.keras")
    read = reader(library)
    read(small)  # what is needed is imported
    before = resident_mb("VmRSS")
    started, worked = time.perf_counter(), time.process_time()
    model = read(path)
    print(json.dumps([time.perf_counter() - started, time.process_time() - worked, resident_mb("VmHWM") - before]))
    assert len(model.layers) > 1


def main(megabytes: int = 100, parent: Path | None = None) -> None:
    print(describe_machine())
    libraries = ["nnx", *(["keras"] if importlib.util.find_spec("keras") else [])]
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        path = Path(folder, "large.keras")
        write_file(path, megabytes)
        write_file(path.with_name("small.keras"), 4)
        size = path.stat().st_size / 1e6
        print(f"{'read by':10} {'seconds':>10} {'of the processor':>18} {'memory, MB':>12} {'times the file':>16}")
        for library in libraries:
            command = [sys.executable, __file__, "--work", library, str(path)]
            runs = [json.loads(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(3)]
            seconds, processor, memory = (min(column) for column in zip(*runs, strict=True))
            print(f"{library:10} {seconds:10.2f} {processor:18.2f} {memory:12.0f} {memory / size:16.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        measure(arguments.work[0], Path(arguments.work[1]))
    else:
        main(arguments.megabytes, arguments.folder)
