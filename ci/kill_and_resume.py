"""Kill a training with SIGKILL again and again, and compare what it ends with: python ci/kill_and_resume.py

A script that trains with `BackupAndRestore` is killed at random moments and started again, until it comes to its end.
A third of the kills is after a random time, while Python starts or later; a third is after a random number of steps; a
third is while a checkpoint is being written. After each, the last checkpoint has to be readable. The file with the
model, optimiser, random streams and history at the end has to be equal, bit for bit, to that of a training that was
left alone.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import nnx
from nnx.callbacks import BackupAndRestore, Callback
from nnx.layers import BatchNormalization, Dense, Dropout, Input
from nnx.saving.files import read_file

EPOCHS, STEPS = 6, 20  # of so many batches


class Slowing(Callback):
    """Lowers the learning rate after two batches that are not better than the best: its counts are a state."""

    best, waited = np.inf, 0

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited}

    def set_state(self, state: Any) -> None:
        self.best, self.waited = state["best"], state["waited"]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.waited = 0 if logs["loss"] < self.best else self.waited + 1
        self.best = min(self.best, logs["loss"])
        if self.waited == 2:
            self.model.optimizer.learning_rate *= 0.8
            self.waited = 0
        print("step", flush=True)


def train(folder: Path, units: int) -> None:
    """The script: it does not know whether it was started before."""
    nnx.random.set_seed(1)
    x = np.float32(nnx.random.Generator(2).normal((STEPS * 16 - 5, 20)))
    y = np.arange(len(x)) % 3
    model = nnx.Sequential(
        [
            Input((20,)),
            Dense(units, "relu"),
            BatchNormalization(),
            Dropout(0.4),
            Dense(units, "tanh"),
            Dense(3, "softmax"),
        ]
    )
    optimizer = nnx.optimizers.Adam(0.002, use_ema=True, gradient_accumulation_steps=3, clipnorm=1.0)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["acc"])
    backup = BackupAndRestore(folder / "backup", save_freq=1)
    options: dict[str, Any] = {"validation_split": 0.1, "class_weight": {1: 2.0}, "verbose": 0}
    model.fit(x, y, batch_size=16, epochs=EPOCHS, callbacks=[Slowing(), backup], **options)
    model.save(folder / "final.safetensors")


class Running:
    """The script in a process of its own."""

    def __init__(self, folder: Path, units: int) -> None:
        command = [sys.executable, __file__, "--train", str(folder), "--units", str(units)]
        self.backup = folder / "backup"
        self.left = set(self.partial())  # by those that were killed before
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)

    def wait_for_steps(self, count: int) -> None:
        assert self.process.stdout is not None
        for _ in range(count):
            self.process.stdout.readline()  # empty, and at once, when the process is gone

    def wait_for_a_write(self) -> None:
        while self.process.poll() is None and not self.writes():
            time.sleep(0.0002)

    def partial(self) -> list[Path]:
        return list(self.backup.glob(".*.partial"))

    def writes(self) -> bool:
        return not self.left.issuperset(self.partial())

    def kill(self) -> bool:
        """Whether it was still alive."""
        self.process.kill()
        self.process.communicate()
        return self.process.returncode < 0


def checkpoint(folder: Path) -> str:
    """Where the last checkpoint is. ValueError if it cannot be read."""
    path = folder / "backup" / "latest.safetensors"
    if not path.exists():
        return "no checkpoint yet"
    run = json.loads(read_file(path)[1]["run"])
    return f"checkpoint of epoch {run['epoch']}, batch {run['batches']['done']}"


def kill_once(running: Running, kind: str, chance: random.Random, most_seconds: float, most_steps: int) -> bool:
    if kind == "time":
        time.sleep(chance.uniform(0.0, most_seconds))
    else:
        running.wait_for_steps(chance.randint(1, most_steps))
        if kind == "write":
            running.wait_for_a_write()
        time.sleep(chance.uniform(0.0, 0.002 if kind == "write" else 0.01))
    return running.kill()


def main(kills: int, seed: int, units: int) -> bool:
    chance = random.Random(seed)
    most_steps = max(1, EPOCHS * STEPS * 3 // (2 * kills))  # so that it comes to its end at about the last
    with tempfile.TemporaryDirectory() as name:
        alone, folder = Path(name) / "alone", Path(name) / "killed"
        for each in (alone, folder):
            each.mkdir()
        running, started = Running(alone, units), time.perf_counter()
        running.wait_for_steps(1)
        most_seconds = 1.5 * (time.perf_counter() - started)
        assert running.process.wait() == 0
        done = in_writes = 0
        while done < kills:
            kind = ("write", "steps", "time")[done % 3]
            running = Running(folder, units)
            if not kill_once(running, kind, chance, most_seconds, most_steps):
                break  # it was faster
            done += 1
            in_writes += running.writes()
            what = "during a write" if running.writes() else f"after some {kind.replace('write', 'steps')}"
            print(f"kill {done}, {what}: {checkpoint(folder)}")
        if not (folder / "final.safetensors").exists():
            assert Running(folder, units).process.wait() == 0
        left = [path.name for path in folder.iterdir()]
        expected, found = (read_file(each / "final.safetensors") for each in (alone, folder))
        equal = found[1] == expected[1] and found[0].keys() == expected[0].keys()
        equal = equal and all(found[0][key].tobytes() == array.tobytes() for key, array in expected[0].items())
        print(f"{done} kills, {in_writes} of them during a write; every checkpoint was readable")
        print(f"the models at the end are {'equal, bit for bit' if equal else 'different'}; left in the folder: {left}")
        return equal and done >= min(kills, 12) and left == ["final.safetensors"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--units", type=int, default=500, help="the width of the model: how large its checkpoints are")
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train:
        train(arguments.train, arguments.units)
    else:
        sys.exit(not main(arguments.kills, arguments.seed, arguments.units))
