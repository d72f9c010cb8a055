"""A service: many threads predict with one model, whose file is replaced and read again once a second.

python ci/service.py [SECONDS]   60 by default; 600 for the long one

Every answer has to be that of one version of the model as a whole, and the memory of the process must not grow. Exits
with an error, and says what was wrong, else.
"""

from __future__ import annotations

import gc
import itertools
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

import nnx
from nnx.layers import BatchNormalization, Dense, Input

THREADS = 32
VERSIONS = 5
PERIOD = 1.0  # seconds between two versions of the file, and between two loads
PAUSE = 0.001  # seconds that a thread waits for the next question; else they may keep the interpreter from all others
MOST_GROWTH = 20.0  # MB, from a fifth of the time on


def make(version: int) -> nnx.Sequential:
    nnx.random.set_seed(version)
    hidden = [Dense(64, "relu"), BatchNormalization(), Dense(64, "relu", activity_regularizer="l2")]
    model = nnx.Sequential([Input((20,)), *hidden, Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


class Service:
    """The threads, and what they saw.

    file : of the model. seconds : how long it runs.
    """

    def __init__(self, file: Path, seconds: float) -> None:
        self.file, self.seconds = file, seconds
        self.models = [make(version) for version in range(VERSIONS)]
        self.data = [np.random.default_rng(i).normal(size=(1 + i % 7, 20)).astype(np.float32) for i in range(THREADS)]
        self.expected = [[model.predict(x, verbose=0) for model in self.models] for x in self.data]
        self.models[0].save(file)
        self.model = nnx.models.load_model(file)
        self.over = threading.Event()
        self.answers = [0] * THREADS
        self.versions: list[set[int]] = [set() for _ in range(THREADS)]
        self.loads = self.saves = 0
        self.errors: list[str] = []

    def answer(self, number: int) -> None:
        x, expected = self.data[number], self.expected[number]
        while not self.over.is_set():
            y = self.model.predict(x, verbose=0)
            version = next((v for v, known in enumerate(expected) if np.array_equal(y, known)), None)
            if version is None:
                raise AssertionError(f"thread {number} got an answer that no version of the model gives: {y[0]}")
            self.versions[number].add(version)
            self.answers[number] += 1
            time.sleep(PAUSE)

    def write(self) -> None:
        for version in itertools.cycle(range(VERSIONS)):
            if self.over.wait(PERIOD):
                return
            self.models[version].save(self.file)
            self.saves += 1

    def reload(self) -> None:
        while not self.over.wait(PERIOD):
            self.model = nnx.models.load_model(self.file)
            self.loads += 1

    def guarded(self, work: object, *arguments: int) -> None:
        try:
            work(*arguments)  # type: ignore[operator]
        except BaseException as error:
            self.errors.append(f"{type(error).__name__}: {error}")
            self.over.set()

    def run(self) -> list[float]:
        """Let it run; returns the memory in MB at a hundred moments."""
        works = [(self.answer, number) for number in range(THREADS)], [(self.write,), (self.reload,)]
        threads = [threading.Thread(target=self.guarded, args=work) for work in itertools.chain(*works)]
        for thread in threads:
            thread.start()
        memory = []
        for _ in range(100):
            if self.over.wait(self.seconds / 100):
                break
            memory.append(resident_mb())
        self.over.set()
        for thread in threads:
            thread.join()
        return memory


def main(seconds: float = 60.0) -> int:
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder) / "model.safetensors", seconds)
        gc.collect()
        memory = service.run()
        left = sorted(path.name for path in Path(folder).iterdir())
    growth = (max(memory[-20:]) - max(memory[:20])) if len(memory) == 100 else float("nan")
    seen = set.union(*service.versions)
    print(
        f"{sum(service.answers):,} answers by {THREADS} threads in {seconds:.0f} s, {min(service.answers):,} at least\n"
        f"{service.saves} versions written, {service.loads} read, {len(seen)} seen\n"
        f"memory {resident_mb():.0f} MB, grown by {growth:.1f} MB (at most {MOST_GROWTH:.0f})"
    )
    wrong = list(service.errors)  # then it ended early
    if not wrong and not growth <= MOST_GROWTH:
        wrong.append(f"the memory grew by {growth:.1f} MB")
    if not wrong and (min(service.answers) == 0 or len(seen) < min(VERSIONS, seconds / PERIOD / 2)):
        wrong.append("a thread did not answer, or not with new versions")
    if left != ["model.safetensors"]:
        wrong.append(f"files were left behind: {left}")
    for what in wrong:
        print(f"error: {what}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*map(float, sys.argv[1:2])))
