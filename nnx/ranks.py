"""Several processes, the ranks of a group, that train one model together, each on its rows of every batch.

Nothing here knows MPI: `nnx.distributed` makes the group of those that mpirun started. Without one, a process is alone.
"""

from __future__ import annotations

import contextlib
import contextvars
import math
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np

from nnx.backends import Array, array_namespace, backend_of

Part = tuple[int, int, int | None]
"""Where a rank's rows of a batch begin and end, and how many rows the batch of all ranks has; None if these are all."""


class Group:
    """All ranks. What a method does is done when all have called it: every rank has to, in the same order.

    communicator : one of mpi4py, or an object with the methods that are used of it.
    """

    def __init__(self, communicator: Any) -> None:
        self.communicator = communicator
        self.rank: int = communicator.Get_rank()
        self.size: int = communicator.Get_size()

    def all_reduce(self, array: Array) -> None:
        """Replace a contiguous array by its sum over the ranks, in place, where it is."""
        backend_of(array).all_reduce(array, self.communicator)

    def gather(self, value: Any) -> list[Any]:
        """The values of all ranks, in their order, on every rank; plain data and NumPy arrays."""
        found: list[Any] = self.communicator.allgather(value)
        return found

    def broadcast(self, value: Any) -> Any:
        """The value of rank 0, on every rank; plain data and NumPy arrays."""
        return self.communicator.bcast(value, root=0)

    def barrier(self) -> None:
        """Wait until every rank is here."""
        self.communicator.Barrier()


class Shard:
    """The rows of a batch that one rank computes; in a `with` block, what is computed is of these rows.

    whole : the number of rows of the whole batch.
    rows : the number of rows that are computed here.
    is_surplus : there are fewer rows than ranks, and this one has none of its own: it computes the first row, because
        the others wait for it in the middle of layers, and what comes out of it is dropped.
    share : rows / whole. The mean over the batch is the sum over the ranks of share * mean over their rows.
    """

    def __init__(self, group: Group, whole: int) -> None:
        each, more = divmod(whole, group.size)
        rank = group.rank
        self.group, self.whole = group, whole
        self.start = each * rank + min(rank, more)
        self.rows = each + (rank < more)
        self.is_surplus = self.rows == 0
        if self.is_surplus:
            self.start, self.rows = 0, 1
        self.share = self.rows / whole

    def cut(self, columns: Sequence[Array | None]) -> list[Any]:
        """The rows of this shard, of arrays that have all of the batch."""
        rows = slice(self.start, self.start + self.rows)
        return [None if column is None else column[rows, ...] for column in columns]

    def total(self, amount: Array) -> Array:
        """The sum over the ranks of what each found in its rows."""
        xp = array_namespace(amount)
        whole = xp.zeros_like(amount) if self.is_surplus else xp.asarray(amount, copy=True)
        self.group.all_reduce(whole)
        return whole

    def __enter__(self) -> Self:
        self._token = _shard.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _shard.reset(self._token)


_group: Group | None = None
_shard: contextvars.ContextVar[Shard | None] = contextvars.ContextVar("nnx_shard", default=None)
_ALONE: contextlib.nullcontext[None] = contextlib.nullcontext()


def group() -> Group | None:
    """The group of this process; None if it is alone."""
    return _group


def join(group: Group | None) -> None:
    """Make this process a rank of a group, or let it be alone again."""
    global _group
    _group = group


def is_main() -> bool:
    """Whether this is the process that writes and prints: rank 0, or one that is alone."""
    return _group is None or _group.rank == 0


def agreed(value: Any) -> Any:
    """What rank 0 says, on every rank."""
    return value if _group is None else _group.broadcast(value)


def any_of(value: bool) -> bool:
    """Whether one of the ranks says so; every rank has to ask."""
    return value if _group is None else any(_group.gather(value))


def wait_for_all() -> None:
    """Go on when every rank is here."""
    if _group is not None:
        _group.barrier()


def shard_of(whole: int) -> Shard | contextlib.nullcontext[None]:
    """A `with` block for this rank's shard of a batch, which it gives; for a process that is alone it gives None.

    whole : the number of rows of the batch.
    """
    return _ALONE if _group is None else Shard(_group, whole)


def parts_of(rows: int, batch_size: int, shared: bool = True) -> Iterator[Part]:
    """This rank's part of each of the batches that so many rows are cut into; the last batch may be smaller.

    shared : whether the ranks share each batch; else all of its rows are of this rank.
    """
    for start in range(0, rows, batch_size):
        whole = min(batch_size, rows - start)
        if _group is None or not shared:
            yield start, start + whole, None
        else:
            shard = Shard(_group, whole)
            yield start + shard.start, start + shard.start + shard.rows, whole


def rows_of(parts: Sequence[Part], order: np.ndarray | None = None) -> tuple[np.ndarray, list[Part]]:
    """The numbers of the rows of some parts, one part after the other, and where the parts are among them.

    order : which row stands at each place of the whole; None: they are in order.
    """
    places = [slice(start, stop) for start, stop, _ in parts]
    rows = [np.arange(each.start, each.stop) if order is None else order[each] for each in places]
    ends = np.cumsum([len(each) for each in rows]).tolist()
    moved = [(end - len(each), end, part[2]) for end, each, part in zip(ends, rows, parts, strict=True)]
    return np.concatenate(rows), moved


def shard() -> Shard | None:
    """The shard of a batch that is being computed; None outside of such a block, or if it is the whole batch."""
    return _shard.get()


def share() -> float:
    """What a mean over the rows at hand counts for in that over the whole batch."""
    shard = _shard.get()
    return 1.0 if shard is None else shard.share


def total(amount: Array) -> Array:
    """A sum over the rows at hand, as one over the whole batch."""
    shard = _shard.get()
    return amount if shard is None else shard.total(amount)


def words_of_rows(size: int) -> tuple[int, int]:
    """Where in a random stream the words of this rank's rows begin, and where those of the batch end.

    size : how many 32-bit words the rows at hand need. Every row gets whole blocks of eight, so that the ranks' numbers
    differ and all streams move on alike; if a row needs a multiple of eight, they are those of one process.
    """
    shard = _shard.get()
    if shard is None:
        return 0, size
    each = math.ceil(math.ceil(size / shard.rows) / 8) * 8
    return shard.start * each, shard.whole * each
