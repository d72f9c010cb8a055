"""Kill trainings of twenty kinds with SIGKILL, and compare what they end with: python ci/kill_and_resume.py

A script that trains with `BackupAndRestore`, one of ci/trainings.py, is killed at random moments and started again,
until it comes to its end. A third of the kills is after a random time, while Python starts or later; a third is after a
random number of steps; a third is while a checkpoint is being written. Of two processes by MPI, chance says which is
killed, or mpirun, and soon all have to be gone. After each kill the last checkpoint has to be readable. What is in the
folder at the end, with the model, optimiser, random streams and history, has to be equal, bit for bit, to what a
training leaves there that was left alone.

By default there are 400 kills, which takes a quarter of an hour on two cores.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import trainings

from nnx.saving.files import read_file

GONE = 30.0  # seconds after which all processes of a training have ended, when one of them has
SCRIPT = Path(trainings.__file__)


class Running:
    """A training, as a process of its own or as two."""

    def __init__(self, kind: str, folder: Path, width: int) -> None:
        self.folder, self.backup = folder, folder / "backup"
        self.by_mpi = kind in trainings.BY_MPI
        self.left = set(self.partial())  # by those that were killed before
        start = ["mpirun", "--oversubscribe", "-n", "2"] if self.by_mpi else []
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            "OMPI_MCA_mpi_yield_when_idle": "1",  # there may be fewer cores than processes
            "OMPI_MCA_btl_vader_single_copy_mechanism": "none",  # which containers forbid
        }
        command = [*start, sys.executable, str(SCRIPT), kind, str(folder), str(width)]
        self.said = tempfile.TemporaryFile("w+")  # noqa: SIM115, open as long as the process
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.said, env=environment)

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

    def members(self) -> list[int]:
        """The processes of this training that are there, mpirun among them."""
        if not self.by_mpi:
            return [self.process.pid]
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has gone
                if str(self.folder).encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
        return sorted(found)

    def kill(self, chance: random.Random) -> bool:
        """Kill one process, and see that all are gone soon: whether it was still alive."""
        with contextlib.suppress(ProcessLookupError):
            if self.process.poll() is None:
                os.kill(chance.choice(self.members() or [self.process.pid]), signal.SIGKILL)
        return not self.end(GONE)

    def end(self, seconds: float | None = None) -> bool:
        """Wait for its end: whether it has come to that of the script. RuntimeError for one that failed."""
        self.process.communicate(timeout=seconds)
        until = time.monotonic() + GONE
        while self.by_mpi and self.members():
            if time.monotonic() > until:
                raise RuntimeError(f"processes {self.members()} are still there")
            time.sleep(0.01)
        code = self.process.returncode
        if code not in (0, -signal.SIGKILL, 128 + signal.SIGKILL):
            self.said.seek(0)
            raise RuntimeError(f"it ended with {code}:\n{self.said.read()}")
        return code == 0


class Kind:
    """A training of one kind that is killed again and again, and one that is left alone."""

    def __init__(self, name: str, folder: Path, chance: random.Random, width: int) -> None:
        self.name, self.chance, self.width = name, chance, width
        self.alone, self.folder = folder / "alone", folder / "killed"
        self.in_writes = self.ends = 0
        for each in (self.alone, self.folder):
            each.mkdir(parents=True)

    def run(self, kills: int) -> str | None:
        """Kill so often, and come to the end: what is wrong, if anything."""
        running, started = Running(self.name, self.alone, self.width), time.perf_counter()
        running.wait_for_steps(1)
        most_seconds = 1.5 * (time.perf_counter() - started)
        assert running.end()
        most_steps = max(1, trainings.EPOCHS * trainings.STEPS * 3 // (2 * kills))  # so that it ends at about the last
        if self.name in trainings.BY_EPOCH:
            most_steps = max(most_steps, 3 * trainings.STEPS)
        done, ways = 0, itertools.cycle(self.chance.sample(["write", "steps", "time"], 3))
        while done < kills or self.ends == 0:
            running = Running(self.name, self.folder, self.width)
            if done < kills and self.kill(running, next(ways), most_seconds, most_steps):
                done += 1
                self.in_writes += running.writes()
                self.read_checkpoint()
                continue
            running.end()
            self.ends += 1
            wrong = different(self.alone, self.folder)
            if wrong:
                return f"after {done} kills {wrong}"
            shutil.rmtree(self.folder)
            self.folder.mkdir()
        return None

    def kill(self, running: Running, way: str, most_seconds: float, most_steps: int) -> bool:
        """Wait, and kill: whether it has not come to its end before."""
        if way == "time":
            time.sleep(self.chance.uniform(0.0, most_seconds))
        else:
            running.wait_for_steps(self.chance.randint(1, most_steps))
            if way == "write":
                running.wait_for_a_write()
            time.sleep(self.chance.uniform(0.0, 0.002 if way == "write" else 0.01))
        return running.kill(self.chance)

    def read_checkpoint(self) -> None:
        """ValueError unless the last checkpoint, if there is one, is whole."""
        path = self.folder / "backup" / "latest.safetensors"
        if not path.exists():  # between two, that before it is there
            path = path.with_name("previous.safetensors")
        if path.exists():
            json.loads(read_file(path)[1]["run"])


def different(expected: Path, found: Path) -> str | None:
    """What two folders differ in, but for the files that writing was killed at."""
    names, others = ({path.name for path in each.iterdir() if path.suffix != ".partial"} for each in (expected, found))
    if names != others:
        return f"{sorted(others)} are left, not {sorted(names)}"
    for name in sorted(names):
        if name.endswith(".safetensors"):
            (arrays, texts), (other_arrays, other_texts) = (read_file(each / name) for each in (expected, found))
            same = texts == other_texts and arrays.keys() == other_arrays.keys()
            same = same and all(other_arrays[key].tobytes() == array.tobytes() for key, array in arrays.items())
        else:
            same = (expected / name).read_bytes() == (found / name).read_bytes()
        if not same:
            return f"{name} is another one"
    return None


def main(kills: int, seed: int, width: int, names: Sequence[str], jobs: int) -> bool:
    """Whether all trainings that were killed ended as they should; says so of each kind."""
    shares = {name: kills // len(names) + (number < kills % len(names)) for number, name in enumerate(names)}

    def run(name: str) -> int:
        with tempfile.TemporaryDirectory() as folder:
            kind = Kind(name, Path(folder), random.Random(f"{seed} {name}"), width)
            try:
                wrong = kind.run(shares[name])
            except (AssertionError, OSError, RuntimeError, ValueError, subprocess.TimeoutExpired) as error:
                wrong = f"{type(error).__name__}: {error}"
        result = wrong or f"{kind.ends} times at the end, equal, bit for bit"
        print(f"{name}: {shares[name]} kills, {kind.in_writes} of them during a write; {result}", flush=True)
        return 0 if wrong else shares[name]

    chosen = [name for name, share in shares.items() if share]
    with ThreadPoolExecutor(jobs) as threads:
        good = sum(threads.map(run, chosen))
    print(
        f"{good} of {kills} kills, in {len(chosen)} kinds of training: after each the last checkpoint was readable, and"
    )
    print(f"the models at the end are {'equal, bit for bit' if good == kills else 'different, or there are none'}")
    return good == kills


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=400, help="of all kinds together")
    parser.add_argument("--kinds", nargs="+", choices=trainings.KINDS, metavar="KIND", help=", ".join(trainings.KINDS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--units", type=int, default=500, help="of wide models: how large checkpoints are")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many kinds at a time")
    arguments = parser.parse_args()
    kinds = arguments.kinds or list(trainings.KINDS)
    if shutil.which("mpirun") is None or importlib.util.find_spec("mpi4py") is None:
        print(f"without mpirun or mpi4py: {', '.join(trainings.BY_MPI.intersection(kinds))} are left out")
        kinds = [kind for kind in kinds if kind not in trainings.BY_MPI]
    sys.exit(not main(arguments.kills, arguments.seed, arguments.units, kinds, arguments.jobs))
