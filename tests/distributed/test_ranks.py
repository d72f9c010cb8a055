"""What ranks do, without MPI: their rows, their random numbers, and how one is alone."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import ranks
from nnx.data import DataLoader
from nnx.random import Generator, host_words
from nnx.training.batches import IterableBatches

ROWS = np.arange(8.0)


def columns(x: np.ndarray, y: np.ndarray) -> Any:
    return [x], [y], [None]


class Communicator:
    """One rank of a group whose others say the same."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size

    def Get_rank(self) -> int:  # noqa: N802, as mpi4py names it
        return self.rank

    def Get_size(self) -> int:  # noqa: N802
        return self.size

    def allgather(self, value: Any) -> list[Any]:
        return [value] * self.size

    def bcast(self, value: Any, root: int) -> Any:
        return value


def parts(whole: int, size: int) -> list[ranks.Shard]:
    return [ranks.Shard(ranks.Group(Communicator(rank, size)), whole) for rank in range(size)]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in list(os.environ):
        if name.startswith(("OMPI_", "PMI", "MV2_")):
            monkeypatch.delenv(name)
    yield
    ranks.join(None)


class TestParts:
    @pytest.mark.parametrize(("whole", "size"), [(8, 2), (9, 4), (7, 7), (3, 1), (2, 4), (1, 3)])
    def test_are_the_batch(self, whole: int, size: int) -> None:
        found = parts(whole, size)
        rows = np.arange(whole)
        assert np.concatenate([part.cut([rows])[0] for part in found if not part.is_surplus]).tolist() == rows.tolist()
        assert sum(part.share for part in found if not part.is_surplus) == pytest.approx(1.0)
        assert all(part.rows >= 1 for part in found)
        assert max(part.rows for part in found) - min(part.rows for part in found) <= 1

    def test_without_rows_compute_one_that_is_dropped(self) -> None:
        part = parts(2, 4)[3]
        assert part.is_surplus
        assert part.cut([np.arange(2), None]) == [np.arange(1), None]

    def test_are_known_inside_a_block(self) -> None:
        assert ranks.shard() is None
        with parts(8, 4)[1] as part:
            assert ranks.shard() is part
            assert ranks.share() == 0.25
        assert ranks.share() == 1.0


class TestRandomNumbers:
    def test_of_rows_are_those_of_one_process(self) -> None:
        each, whole = 16, 10
        expected = host_words(Generator(3).draw(whole * each)).reshape(whole, each)
        for part in parts(whole, 4):
            with part:
                words = host_words(Generator(3).draw(part.rows * each, by_rows=True))
            assert (words.reshape(-1, each) == part.cut([expected])[0]).all()

    @pytest.mark.parametrize("each", [1, 5, 8, 9])
    def test_differ_by_rank_and_streams_move_on_alike(self, each: int) -> None:
        found, states = [], []
        for part in parts(11, 4):
            stream = Generator(3)
            with part:
                found += host_words(stream.draw(part.rows * each, by_rows=True)).tolist()
            states.append(stream.state())
        assert len(set(found)) == 11 * each
        assert all(state == states[0] for state in states)

    def test_for_all_rows_together_are_the_same(self) -> None:
        with parts(8, 2)[1]:
            assert Generator(3).draw(5) == Generator(3).draw(5)
            assert Generator(3).draw(5).counter == 0


class TestMetrics:
    def test_r2_of_ranks_with_origins_of_their_own(self) -> None:
        numbers = np.random.default_rng(1)
        y = 100.0 + numbers.normal(size=(12, 2))
        p = y + 0.3 * numbers.normal(size=(12, 2))
        whole, states = nnx.metrics.R2Score(), []
        whole.update_state(y, p)
        for rows in (slice(0, 5), slice(5, 12), slice(0, 0)):
            metric = nnx.metrics.R2Score()
            metric.update_state(y[rows], p[rows])
            states.append(metric.state())
        metric.set_state(metric.together(states))
        assert float(metric.result()) == pytest.approx(float(whole.result()), rel=1e-12)

    def test_of_one_s_own_without_running_values(self) -> None:
        class Own(nnx.metrics.Metric):
            def reset_state(self) -> None:
                self.most = 0.0

        with pytest.raises(TypeError, match="nor be that of several ranks"):
            Own().state()


@pytest.mark.usefixtures("alone")
class TestInitialize:
    def test_started_alone(self) -> None:
        nnx.distributed.initialize()
        array = np.ones(2)
        nnx.distributed.all_reduce(array)
        nnx.distributed.barrier()
        assert (nnx.distributed.rank(), nnx.distributed.size(), array.tolist()) == (0, 1, [1.0, 1.0])
        assert ranks.is_main()

    def test_without_mpi4py(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
        monkeypatch.setitem(sys.modules, "mpi4py.MPI", None)
        with pytest.raises(ImportError, match=r"pip install 'nnx-array\[mpi\]'"):
            nnx.distributed.initialize()

    def test_with_mpi4py_of_another_mpi(self, monkeypatch: pytest.MonkeyPatch) -> None:
        other = types.ModuleType("mpi4py.MPI")
        other.COMM_WORLD = Communicator(0, 1)  # type: ignore[attr-defined]
        other.Get_library_version = lambda: "MPICH Version: 4.1\nand more"  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "mpi4py.MPI", other)
        monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "4")
        with pytest.raises(RuntimeError, match=r"4 processes .* sees 1: it uses MPICH Version: 4.1, which is not"):
            nnx.distributed.initialize()
        assert ranks.group() is None


class TestOtherRanks:
    @pytest.fixture
    def rank_1(self, alone: None) -> None:
        ranks.join(ranks.Group(Communicator(1, 2)))

    @pytest.mark.usefixtures("rank_1")
    def test_neither_print_nor_write(self, tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
        model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
        model.summary()
        model.predict(np.ones((3, 2)), verbose=1)
        model.save(tmp_path / "model.safetensors")
        assert capsys.readouterr().out == ""
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.usefixtures("rank_1")
    def test_get_whole_batches_from_what_iterates_in_its_own_way(self) -> None:
        class Own(DataLoader):
            def __iter__(self) -> Any:
                yield from super().__iter__()

        for source in (Own(ROWS, ROWS, batch_size=4), [(ROWS[:4], ROWS[:4])]):
            batch = next(iter(IterableBatches(source, columns, shared=True)))
            assert len(batch) == 3
            assert len(batch[0][0]) == 4

    @pytest.mark.usefixtures("rank_1")
    def test_keep_the_number_of_rows(self) -> None:
        loader = DataLoader(ROWS, ROWS, batch_size=4, map=lambda x, y: (x[1:], y[1:]))
        with pytest.raises(ValueError, match=r"has 2 of the 4 rows of a batch, and the map .* made 1 of them"):
            list(IterableBatches(loader, columns, shared=True))

    @pytest.mark.usefixtures("alone")
    def test_go_on_from_their_own_sums(self) -> None:
        model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
        model.compile("sgd", "mse")
        sums = []
        for scale in (1.0, 2.0):
            model.test_on_batch(np.full((8, 2), scale), ROWS)
            sums.append(model.objective.state())
        model.objective.reset()
        none = model.objective.state()
        ranks.join(ranks.Group(Communicator(1, 2)))
        for of_ranks, expected in ((sums, sums[1]), (sums[:1], none), (sums * 2, none)):
            model.objective.set_state({**sums[0], "of_ranks": of_ranks})
            assert np.array_equal(model.objective._own_state()["total"], expected["total"])
            assert model.objective._count == 8  # of the batches of all
