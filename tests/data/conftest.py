"""One rank of several, without MPI, to see what it reads."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nnx import ranks


class Rank:
    """What a group asks a communicator for."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size

    def Get_rank(self) -> int:  # noqa: N802, as mpi4py names it
        return self.rank

    def Get_size(self) -> int:  # noqa: N802
        return self.size


@pytest.fixture
def as_rank(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """A function of a rank and a size: from then on the test is that rank of so many."""
    return lambda rank, size: monkeypatch.setattr(ranks, "_group", ranks.Group(Rank(rank, size)))
