"""Data-parallel training: several processes, started by mpirun, train one model together, each on a device of its own.

A script calls `initialize` before anything else, and is then started as one process, or as several:

    python train.py
    mpirun -n 4 python train.py

What then holds on each of the processes, the ranks, which all run the whole script:

- Every rank is given all of the data. A batch, also one of `train_on_batch`, is that of all ranks together: each
  computes its rows, as evenly as they go, and gradients are added up, once a step. `batch_size` means what it means to
  one process.
- `fit` and `evaluate` read only the rows of this rank: of arrays on disk, and of a `DataLoader`, which looks up, stacks
  and maps no other samples. What comes as whole batches (generators, a `PyDataset`, `batch_size=None`) is read by every
  rank and cut; an iterable of samples is gone through by every rank. A `map` with random numbers needs other ones on
  each rank: `np.random.default_rng((seed, rank()))`.
- The losses, metrics and weights are those of one process, but for rounding, and equal on all ranks. The statistics of
  `BatchNormalization` are of the whole batch. Random numbers differ from row to row as they should; dropout masks are
  those of one process where each sample has a multiple of eight of them. Not those of one process: a loss or a metric
  that looks at all samples of a batch at once, such as `Dice(axis=None)`, which is taken of the rows of each rank.
- Only rank 0 prints and writes: the progress bar, `summary`, `save`, checkpoints, logs. Callbacks run on every rank and
  see the same numbers, so that they decide alike. A script's own output belongs under `if rank() == 0:`.
- `fit`, `evaluate`, `train_on_batch`, `test_on_batch`, and reading the logs of a batch in a callback are done by all
  ranks together: one that does it alone waits for ever. `predict` and `save` are done by each rank alone.
- A rank that ends before the others ends all of them, within seconds and with the reason: by an error, by `sys.exit`
  or the end of its script where others wait for it, or killed, which mpirun sees; and so does one that does something
  else than they do, as where its data end earlier. `BackupAndRestore` goes on from the
  last checkpoint, which is whole whichever rank it was; with as many ranks the end is the same, bit for bit.
"""

from __future__ import annotations

import atexit
import os
import random as python_random
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import numpy as np

from nnx import random, ranks
from nnx.backends import Array
from nnx.backends.base import best_backend
from nnx.lazy_loading import optional_import

__all__ = ["all_reduce", "barrier", "initialize", "rank", "size"]

_LAUNCHERS = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK")
"""What tells a process that it was started by mpirun or srun: of Open MPI, MPICH and Intel MPI, MVAPICH, and SLURM."""

# seconds, while a rank waits for others
_AT_ONCE = 0.002  # until when it asks again and again whether they have come; then it sleeps in between
_REST = 0.01  # how long at most
_LOOK = 0.5  # how often it looks whether one has left

_BARRIER, _SUM, _GATHER, _BROADCAST = range(4)  # what ranks do together


def initialize() -> None:
    """Make this process one of those that were started together; a process that was started alone stays so.

    Each gets the GPU of its number on its machine, where CuPy has one, and the random numbers of rank 0: nnx's default
    stream and the global generators of NumPy and Python. Calling it again changes nothing.

    ImportError without mpi4py; RuntimeError if mpi4py was made for another MPI than the one that started the process.
    """
    if ranks.group() is not None or not any(name in os.environ for name in _LAUNCHERS):
        return
    mpi = optional_import("mpi4py.MPI", "training in several processes, started by mpirun,", "mpi")
    world = mpi.COMM_WORLD
    expected = next((int(os.environ[name]) for name in _LAUNCHERS[:3] if name in os.environ), world.Get_size())
    if world.Get_size() != expected:
        version = mpi.Get_library_version().partition("\n")[0].rstrip("\0 ")
        raise RuntimeError(
            f"{expected} processes were started together, but mpi4py sees {world.Get_size()}: it uses {version}, which "
            f"is not the MPI of the mpirun that started them. Start them with that one's mpirun, or make mpi4py anew "
            f"with: pip install --force-reinstall --no-binary mpi4py mpi4py"
        )
    if expected == 1:
        return
    _end_all_on_errors(world)
    best_backend().use_device(world.Split_type(mpi.COMM_TYPE_SHARED).Get_rank())
    group = ranks.Group(_Meetings(world, mpi.Is_finalized, mpi.MAX))
    ranks.join(group)
    _share_random_numbers(group)


def rank() -> int:
    """The number of this process, from 0; 0 if it is alone.

    >>> rank()
    0
    """
    group = ranks.group()
    return 0 if group is None else group.rank


def size() -> int:
    """The number of processes; 1 if this one is alone.

    >>> size()
    1
    """
    group = ranks.group()
    return 1 if group is None else group.size


def barrier() -> None:
    """Wait until every rank is here: before reading a file that rank 0 has written, for instance.

    >>> barrier()  # a process that is alone waits for nobody
    """
    ranks.wait_for_all()


def all_reduce(array: Array) -> None:
    """Replace a contiguous array of any backend by its sum over the ranks, in place; every rank has to call it.

    Of bools, the "sum" is whether one of them is True.

    For a training loop of one's own: between the pullback and the optimizer's step, `model.flat.finish_pass()` and
    `all_reduce(model.flat.grads)`.

    >>> sums = np.asarray([1.0, 2.0])
    >>> all_reduce(sums)  # of one process alone
    >>> sums
    array([1., 2.])
    """
    group = ranks.group()
    if group is not None:
        group.all_reduce(array)


def _share_random_numbers(group: ranks.Group) -> None:
    of_numpy: Any = np.random.get_state()  # noqa: NPY002, the global generator, which scripts draw from
    own, of_numpy, of_python = group.broadcast((random.default().state(), of_numpy, python_random.getstate()))
    random.default().set_state(own)
    np.random.set_state(of_numpy)  # noqa: NPY002
    python_random.setstate(of_python)


class _Meetings:
    """The communicator of all ranks, whose operations begin when every rank has come to them.

    A rank that waits looks from time to time whether another one has left: by the last line of its script, or by
    `sys.exit`. Then what it waits for cannot happen, and all are ended with a message; MPI by itself would wait for
    ever. So they are where ranks come to different operations. Nobody is kept from leaving early: a rank that does
    waits for the others, which may have work of their own.

    world : all ranks. is_over : whether the script has ended MPI by itself. largest : MPI's operation of that name.
    """

    def __init__(self, world: Any, is_over: Callable[[], bool], largest: Any) -> None:
        # of our own: whatever else the script sends cannot be taken for ours
        self._operations, self._notices = world.Dup(), world.Dup()
        self._world = world
        self._is_over, self._largest = is_over, largest
        self._count = 0  # of operations that this rank has come to
        self._left: dict[int, int] = {}  # the ranks that have left, and their counts
        self._process = os.getpid()
        self._others = [rank for rank in range(world.Get_size()) if rank != world.Get_rank()]
        atexit.register(self._leave)

    def Get_rank(self) -> int:  # noqa: N802, as mpi4py names it
        return int(self._world.Get_rank())

    def Get_size(self) -> int:  # noqa: N802
        return int(self._world.Get_size())

    def Allreduce(self, *buffers: Any, op: Any) -> None:  # noqa: N802
        self._meet(_SUM, buffers[-1].nbytes)
        self._operations.Allreduce(*buffers, op=op)

    def allgather(self, value: Any) -> Any:
        self._meet(_GATHER)
        return self._operations.allgather(value)

    def bcast(self, value: Any, root: int) -> Any:
        self._meet(_BROADCAST)
        return self._operations.bcast(value, root=root)

    def Barrier(self) -> None:  # noqa: N802
        self._meet(_BARRIER)

    def _meet(self, what: int, nbytes: int = 0) -> None:
        """Wait until every rank has come, to the same operation on as many bytes."""
        self._count += 1
        form = what << 56 | nbytes
        largest = np.empty(2, np.int64)  # of the forms, and of what they lack
        self._wait_for(self._operations.Iallreduce(np.asarray([form, -form], np.int64), largest, op=self._largest))
        if largest[0] != -largest[1]:
            _end_all(
                self._world,
                f"rank {self.Get_rank()} has come to another operation than others, so all are ended: every rank has "
                "to do the same, with data that give each as many batches",
            )

    def _wait_for(self, meeting: Any) -> None:
        if meeting.Test():
            return
        began = looked = time.perf_counter()
        while not meeting.Test():
            now = time.perf_counter()
            if now - began > _AT_ONCE:  # there may be other work for this core
                time.sleep(min((now - began) / 20, _REST))
            if now - looked > _LOOK:
                looked = now
                self._look_for_the_left()

    def _look_for_the_left(self) -> None:
        while self._notices.iprobe():
            self._receive()
        for rank, count in self._left.items():
            if count < self._count:
                _end_all(
                    self._world,
                    f"rank {rank} has left, by sys.exit or the end of its script, and rank {self.Get_rank()} waits for "
                    f"it, in fit, evaluate, all_reduce, barrier or the like, so all are ended: every rank has to run "
                    f"the whole script",
                )

    def _receive(self) -> None:
        rank, count = self._notices.recv()
        self._left[rank] = count

    def _leave(self) -> None:
        """Tell the others that this rank does not come again, and wait until they leave too."""
        if os.getpid() != self._process or self._is_over():  # it is a process that the rank has forked
            return
        sent = [self._notices.isend((self.Get_rank(), self._count), dest=rank) for rank in self._others]
        meeting = self._notices.Ibarrier()
        while not meeting.Test():
            time.sleep(_REST)
        while len(self._left) < len(self._others):
            self._receive()
        for notice in sent:
            notice.wait()


def _end_all(world: Any, reason: str) -> None:
    print(reason, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    world.Abort(1)


def _end_all_on_errors(world: Any) -> None:
    """Let an error that ends this process end the others too, which would wait for it for ever."""
    report = sys.excepthook

    def end_all(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        report(kind, error, trace)
        _end_all(world, f"rank {world.Get_rank()} of {world.Get_size()} was ended by this error, and so are all")

    sys.excepthook = end_all
