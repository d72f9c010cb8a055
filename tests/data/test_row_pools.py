"""Rows of arrays in memory and on disk: each of them once, in batches, shuffled, and without staying in memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnx.data import row_pools
from nnx.data.row_pools import RowPools
from nnx.data.stored_arrays import Stored, has_stored, is_stored, with_stored
from nnx.random import Generator

N = 1000


class Dataset:
    """What h5py and zarr have in common. It gives slices only, and remembers which."""

    chunks = None

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.shape, self.dtype = array.shape, array.dtype
        self.read: list[tuple[int, int]] = []

    def __getitem__(self, rows: Any) -> np.ndarray:
        assert type(rows) is slice, "anything but a slice is slow in h5py"
        self.read.append((rows.start, rows.stop))
        return self.array[rows]


def stream_for(shuffle: bool) -> Generator | None:
    return Generator(1) if shuffle else None


@pytest.fixture
def file(tmp_path: Path) -> np.memmap:
    np.save(tmp_path / "x.npy", np.arange(3 * N, dtype=np.float32).reshape(N, 3))
    return np.load(tmp_path / "x.npy", mmap_mode="r")  # type: ignore[no-any-return]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 10 rows and pools of 96: not a multiple of blocks, and 1000 rows are not one of pools."""
    monkeypatch.setattr(row_pools, "BLOCK_BYTES", 10 * 16)


def read(columns: list[Any], stream: Generator | None, **options: Any) -> list[list[np.ndarray]]:
    """Pools whose rows are in the order of the epoch."""
    found = []
    for pool, order, _ in RowPools(columns, 32, **options).read(stream):
        found.append([column[slice(None) if order is None else order] for column in pool])
    return found


def columns_of(kind: str, file: np.memmap) -> list[Any]:
    y = np.arange(N, dtype=np.int32)
    return {
        "memory": [np.array(file), y],
        "memory map": [Stored(file), y],
        "data sets": [Stored(Dataset(np.array(file))), Stored(Dataset(y))],
    }[kind]


each_kind = pytest.mark.parametrize("kind", ["memory", "memory map", "data sets"])


@each_kind
@pytest.mark.parametrize("shuffle", [False, True])
def test_every_row_once_and_rows_stay_together(kind: str, shuffle: bool, file: np.memmap, small: None):
    pools = read(columns_of(kind, file), Generator(1) if shuffle else None, pool=100)
    assert [len(y) for _, y in pools] == [96] * 10 + [40]
    x, y = (np.concatenate(column) for column in zip(*pools, strict=True))
    assert np.array_equal(x, np.array(file)[y])
    assert np.array_equal(np.sort(y), np.arange(N))
    assert np.array_equal(y, np.arange(N)) is not shuffle


@each_kind
def test_what_fits_into_a_pool_is_shuffled_as_if_it_were_in_memory(kind: str, file: np.memmap):
    ((_, y),) = read(columns_of(kind, file), Generator(5))
    assert np.array_equal(y, Generator(5).permutation(N))


def test_rows_in_memory_are_shuffled_freely_whatever_the_size_of_pools(file: np.memmap):
    pools = read(columns_of("memory", file), Generator(5), pool_bytes=0)
    assert max(len(y) for _, y in pools) == 32
    assert np.array_equal(np.concatenate([y for _, y in pools]), Generator(5).permutation(N))


def test_on_disk_blocks_of_the_whole_file_are_mixed(file: np.memmap, small: None):
    x = Dataset(np.arange(N, dtype=np.int32))
    (first, *_) = read([Stored(x), *columns_of("memory", file)], Generator(3), pool=96)
    assert np.unique(first[0] // 10).size >= 10  # of 100 blocks
    assert first[0].min() < N / 4
    assert first[0].max() > N * 3 / 4
    assert (np.abs(np.diff(first[0])) == 1).mean() < 0.2  # neighbours are apart


def test_a_pass_draws_when_it_begins_and_can_be_repeated(file: np.memmap, small: None):
    columns, stream = columns_of("memory map", file), Generator(3)
    begun = stream.state()
    passes = RowPools(columns, 32, pool=96).read(stream)
    next(passes)
    drawn = stream.state()
    assert len(list(passes)) == 10
    assert stream.state() == drawn != begun
    first, second = (read(columns, Generator.from_state(state), pool=96) for state in (begun, drawn))
    assert not np.array_equal(first[0][1], second[0][1])
    stream.set_state(begun)
    again = read(columns, stream, pool=96)
    assert all(
        np.array_equal(a, b) for one, other in zip(first, again, strict=True) for a, b in zip(one, other, strict=True)
    )


def test_pools_have_a_size_in_bytes(file: np.memmap):
    wide, narrow = (RowPools([column], 10, pool_bytes=2400) for column in (Stored(file), np.zeros(N, np.int8)))
    assert len(next(wide.read(None))[0][0]) == 200  # of 12 bytes
    assert len(next(narrow.read(None))[0][0]) == 600  # as float32
    assert len(next(RowPools([Stored(file)], 32, pool_bytes=1).read(None))[0][0]) == 32  # one batch at least


def test_data_sets_are_read_in_slices(small: None):
    source = Dataset(np.arange(N, dtype=np.float64))
    read([Stored(source)], Generator(1), pool=96)
    assert len(source.read) < N / 10 + 2 * math.ceil(N / 96)
    assert sum(stop - start for start, stop in source.read) == N


# Shared by several ranks


@each_kind
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("size", [2, 3, 7])
def test_each_rank_reads_its_rows_of_every_batch(
    kind: str, shuffle: bool, size: int, file: np.memmap, small: None, as_rank: Callable[[int, int], None]
):
    expected = [
        column[start : start + 32]
        for _, column in read(columns_of(kind, file), stream_for(shuffle), pool=100)
        for start in range(0, len(column), 32)
    ]
    found = []
    for rank in range(size):
        as_rank(rank, size)
        columns, mine = columns_of(kind, file), []
        for (x, y), order, parts in RowPools(columns, 32, pool=100).read(stream_for(shuffle), shared=True):
            x, y = (x, y) if order is None else (x[order], y[order])
            assert np.array_equal(x, np.array(file)[y])
            assert [whole for *_, whole in parts] in ([32, 32, 32], [32, 8])
            mine += [y[start:stop] for start, stop, _ in parts]
        if kind == "data sets":
            rows = [row for read in columns[0]._source.read for row in range(*read)]
            assert sorted(rows) == sorted(np.concatenate(mine).tolist())
        found.append(mine)
    assert [np.concatenate(parts).tolist() for parts in zip(*found, strict=True)] == [y.tolist() for y in expected]


def test_a_rank_reads_neighbours_together(as_rank: Callable[[int, int], None]):
    as_rank(1, 2)
    source = Dataset(np.arange(N))
    list(RowPools([Stored(source)], 100).read(None, shared=True))
    assert source.read == [(start + 50, start + 100) for start in range(0, N, 100)]


# Arrays on disk


def test_slices_of_what_is_on_disk_stay_there(file: np.memmap):
    source = Dataset(np.array(file))
    for stored in (Stored(file), Stored(source)):
        part = stored[200:, ...][:-300][10:]
        assert (part.shape, part.ndim, part.dtype, len(part)) == ((490, 3), 2, np.float32, 490)
        assert source.read == []
        assert np.array_equal(np.asarray(part), np.array(file)[210:700])
        assert len(stored[5:3]) == 0


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_pages_that_are_given_back_lose_nothing(tmp_path: Path, mode: Any):
    np.save(tmp_path / "x.npy", np.zeros((5000, 7)))
    array = np.load(tmp_path / "x.npy", mmap_mode=mode)
    if mode != "r":
        array[100] = 3.0
    for stored in (Stored(array), Stored(array[50:])):
        for _ in range(2):
            assert np.asarray(stored).sum() == (0.0 if mode == "r" else 21.0)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell what is resident")
def test_reading_a_file_does_not_keep_it_in_memory(tmp_path: Path):
    def resident() -> int:
        lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
        return int(lines["RssFile"].split()[0]) * 1024

    size = 64 << 20
    np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype=np.uint8, shape=(size // 1024, 1024))[:] = 1
    array = np.load(tmp_path / "x.npy", mmap_mode="r")
    before, most, total = resident(), 0, 0
    for (pool,), *_ in RowPools([Stored(array)], 32, pool_bytes=16 << 20).read(Generator(1)):
        total += int(pool.sum())
        most = max(most, resident())
    assert total == size
    assert most - before < size / 4


def test_what_counts_as_on_disk(file: np.memmap):
    no = [np.zeros(3), np.asarray(file), [1.0], {"a": file}, None, "x", np.float32(3), range(3)]
    assert all(map(is_stored, [file, file[3:], Dataset(np.zeros(3))]))
    assert not any(map(is_stored, no))


def test_data_sets_of_h5py(tmp_path: Path):
    h5py = pytest.importorskip("h5py")
    x = np.arange(60).reshape(20, 3)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for options in ({}, {"chunks": (4, 3), "compression": "gzip"}):
            stored = file.create_dataset(f"x{len(file)}", data=x, **options)
            assert is_stored(stored)
            pools = read([Stored(stored)[5:]], Generator(1), pool=8)
            assert np.array_equal(np.sort(np.concatenate([pool for (pool,) in pools]), axis=0), x[5:])


def test_structures_of_arrays_are_looked_through_and_lists_of_numbers_are_not(file: np.memmap):
    memory = np.zeros(3)
    found = with_stored({"a": [file, memory], "b": (None, memory), "c": memory})
    assert isinstance(found["a"][0], Stored)
    assert found["a"][1] is found["b"][1] is found["c"] is memory
    assert has_stored(found)
    assert not has_stored(found["b"])
    numbers = [[1.0, 2.0]] * 3
    assert with_stored(numbers) is numbers
    assert not has_stored(numbers)
    assert with_stored(found)["a"][0] is found["a"][0]
