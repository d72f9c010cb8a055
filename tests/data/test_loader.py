"""DataLoader: every kind of source, shuffling, mapping, thread, lengths and mistakes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.data import DataLoader
from nnx.random import Generator

N = 23
X = np.float32(Generator(1).normal((N, 3)))
Y = np.arange(N)
W = np.linspace(0.5, 1.5, N)


class Samples:
    """A sequence of samples, as a map-style data set of PyTorch is."""

    def __len__(self) -> int:
        return N

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return X[index], index


def on_disk(folder: Path) -> np.ndarray:
    np.save(folder / "x.npy", X)
    return np.load(folder / "x.npy", mmap_mode="r")  # type: ignore[no-any-return]


def pairs() -> Iterator[tuple[np.ndarray, int]]:
    return zip(X, Y.tolist(), strict=True)


SOURCES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "arrays": lambda folder: {"x": X, "y": Y},
    "lists": lambda folder: {"x": X.tolist(), "y": Y.tolist()},
    "list of arrays": lambda folder: {"x": list(X), "y": Y},
    "arrays of a device": lambda folder: {"x": nnx.asarray(X), "y": nnx.asarray(Y)},
    "memory map": lambda folder: {"x": on_disk(folder), "y": Y},
    "memory map in small pools": lambda folder: {"x": on_disk(folder), "y": Y, "buffer_size": 8},
    "sequence of samples": lambda folder: {"x": Samples()},
    "list of samples": lambda folder: {"x": list(pairs())},
    "function": lambda folder: {"x": pairs, "buffer_size": 10},
    "batches": lambda folder: {
        "x": [(X[i : i + 5], Y[i : i + 5]) for i in range(0, N, 5)],
        "batch_size": None,
    },
}
each_source = pytest.mark.parametrize("source", SOURCES)


def load(source: str, folder: Path, **options: Any) -> DataLoader:
    return DataLoader(**{"batch_size": 5, "seed": 3, **SOURCES[source](folder), **options})


@each_source
@pytest.mark.parametrize("prefetch", [0, 2])
def test_batches_in_order(source: str, prefetch: int, tmp_path: Path):
    loader = load(source, tmp_path, prefetch=prefetch)
    for _ in range(2):
        batches = list(loader)
        assert [type(batch) for batch in batches] == [tuple] * 5
        assert [len(y) for _, y in batches] == [5, 5, 5, 5, 3]
        assert np.array_equal(np.concatenate([y for _, y in batches]), Y)
        assert np.allclose(np.concatenate([x for x, _ in batches]), X)
        assert all(type(part) is np.ndarray for batch in batches for part in batch)


@each_source
def test_shuffled_batches(source: str, tmp_path: Path):
    loader = load(source, tmp_path, shuffle=True)
    epochs = []
    for _ in range(2):
        x, y = (np.concatenate(part) for part in zip(*loader, strict=True))
        assert np.allclose(x, X[y])
        assert np.array_equal(np.sort(y), Y)
        epochs.append(y.tolist())
    assert epochs[0] != epochs[1]
    assert epochs[0] != Y.tolist()
    ahead = load(source, tmp_path, shuffle=True, prefetch=2)
    assert [np.concatenate([y for _, y in ahead]).tolist() for _ in range(2)] == epochs


@each_source
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("prefetch", [0, 2])
def test_the_parts_of_all_ranks_are_the_batches(
    source: str, shuffle: bool, prefetch: int, tmp_path: Path, as_rank: Callable[[int, int], None]
):
    options = {"shuffle": shuffle, "prefetch": prefetch, "drop_last": source == "list of samples"}
    whole = list(load(source, tmp_path, **options))
    of_ranks = []
    for rank in range(2):
        as_rank(rank, 2)
        of_ranks.append(list(load(source, tmp_path, **options).parts()))
        assert len(list(load(source, tmp_path, **options))) == len(whole)  # a loop of one's own has whole batches
    for expected, ((first, rows), (second, others)) in zip(whole, zip(*of_ranks, strict=True), strict=True):
        assert rows == others == (None if source == "batches" else len(expected[1]))
        for column, one, other in zip(expected, first, second, strict=True):
            assert np.array_equal(column, one if rows is None else np.concatenate([one, other]))


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_rank_reads_and_maps_its_own_samples(shuffle: bool, as_rank: Callable[[int, int], None]):
    read, mapped = [], []

    class Remembering(Samples):
        def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
            read.append(index)
            return super().__getitem__(index)

    as_rank(2, 3)
    parts = list(
        DataLoader(Remembering(), shuffle=shuffle, seed=3, batch_size=6, map=lambda *b: mapped.append(b) or b).parts()
    )
    assert [(len(y), rows) for (_, y), rows in parts] == [(2, 6), (2, 6), (2, 6), (1, 5)]
    assert [y.tolist() for _, y in mapped] == [y.tolist() for (_, y), _ in parts]
    assert read == np.concatenate([y for (_, y), _ in parts]).tolist()


def test_an_epoch_can_be_repeated_from_the_state_of_its_stream():
    for source in (X, pairs, Samples()):
        loader = DataLoader(source, batch_size=4, shuffle=True, buffer_size=5, seed=1)
        state = loader.random.state()
        first = [batch[0].tolist() for batch in loader]
        between = loader.random.state()
        half = iter(loader)  # an epoch that is not finished draws as much as one that is
        next(half)
        after = loader.random.state()
        loader.random.set_state(state)
        assert [batch[0].tolist() for batch in loader] == first
        assert loader.random.state() == between != after


def test_seeds():
    def order(**options: Any) -> list[float]:
        return np.concatenate([x for (x,) in DataLoader(Y, shuffle=True, batch_size=7, **options)]).tolist()  # type: ignore[no-any-return]

    assert order(seed=1) == order(seed=1) != order(seed=2)
    nnx.random.set_seed(5)
    first = order()
    assert first != order()
    nnx.random.set_seed(5)
    assert order() == first


def test_a_buffer_mixes_as_far_as_it_reaches():
    order = [int(y) for (ys,) in DataLoader(lambda: range(1000), shuffle=True, buffer_size=50, seed=1) for y in ys]
    assert sorted(order) == list(range(1000))
    places = np.argsort(order)
    assert all(place > number - 50 for number, place in enumerate(places))  # none comes before it is read
    assert 30 < np.abs(places - np.arange(1000)).mean() < 70
    assert max(places - np.arange(1000)) > 150  # some wait for long


def test_every_order_of_a_buffer_is_as_likely():
    counts = np.zeros((4, 4))
    loader = DataLoader(lambda: range(4), batch_size=4, shuffle=True, buffer_size=4, seed=1)
    for _ in range(1000):
        ((order,),) = loader
        counts[order, np.arange(4)] += 1
    # 16 counts of binomial(1000, 1/4): the deviation is 13.7, and 5 of them happen once in 10^5 tests
    assert np.abs(counts - 250).max() < 5 * 13.7


# Forms of samples and columns


def test_several_inputs_outputs_and_weights(tmp_path: Path):
    file = on_disk(tmp_path)
    structures: list[tuple[Any, Any]] = [
        ({"a": X, "b": file}, {"p": Y, "q": W}),
        ((X, file), (Y, W)),
        ([X, file], [Y, W]),
    ]
    for x, y in structures:
        for options in ({}, {"shuffle": True}, {"buffer_size": 6, "shuffle": True}):
            for xs, ys, weights in DataLoader(x, y, W, batch_size=5, seed=1, **options):
                (a, b), (p, q) = (list(part.values()) if isinstance(x, dict) else part for part in (xs, ys))
                assert np.array_equal(a, b)
                assert np.array_equal(a, X[p])
                assert np.array_equal(q, W[p])
                assert np.array_equal(weights, q)


def test_samples_of_dicts_tuples_and_numbers():
    samples = [({"a": X[i], "b": [i, i + 1]}, (i, float(i)), W[i]) for i in range(N)]
    ((x, y, weights), *_) = DataLoader(samples, batch_size=4)
    assert np.array_equal(x["a"], X[:4])
    assert x["b"].tolist() == [[0, 1], [1, 2], [2, 3], [3, 4]]
    assert y[0].tolist() == y[1].tolist() == [0, 1, 2, 3]
    assert np.array_equal(weights, W[:4])
    assert [batch[0].tolist() for batch in DataLoader(range(5), batch_size=2)] == [[0, 1], [2, 3], [4]]
    assert [batch[0].shape for batch in DataLoader(iter(X), batch_size=20)] == [(20, 3), (3, 3)]


def test_columns_of_anything_when_a_function_makes_numbers_of_them(tmp_path: Path):
    names = []
    for i in range(5):
        np.save(tmp_path / f"{i}.npy", X[i])
        names.append(str(tmp_path / f"{i}.npy"))
    loader = DataLoader(names, Y[:5], batch_size=2, map=lambda files, y: (np.stack([np.load(f) for f in files]), y))
    assert np.array_equal(np.concatenate([x for x, _ in loader]), X[:5])


def test_map():
    assert [batch[0].tolist() for batch in DataLoader(Y[:4], batch_size=2, map=lambda x: x * 2)] == [[0, 2], [4, 6]]
    (batch,) = DataLoader(X, Y, batch_size=N, map=lambda x, y: [x, y, y * 2])
    assert type(batch) is tuple
    assert np.array_equal(batch[2], Y * 2)
    (batch,) = DataLoader([(X, Y)], batch_size=None, map=lambda x, y: {"a": x})
    assert list(batch[0]) == ["a"]


@each_source
def test_lengths(source: str, tmp_path: Path):
    loader = load(source, tmp_path)
    if source == "function":
        with pytest.raises(TypeError, match="len"):
            len(loader)
    else:
        assert len(loader) == 5
        if source != "batches":
            assert len(load(source, tmp_path, drop_last=True)) == 4
    if source != "batches":
        for shuffle in (False, True):
            batches = list(load(source, tmp_path, drop_last=True, shuffle=shuffle))
            assert [len(y) for _, y in batches] == [5] * 4


def test_a_generator_is_used_up():
    loader = DataLoader(pairs(), batch_size=10)
    assert [len(list(loader)) for _ in range(2)] == [3, 0]
    first = next(iter(DataLoader(itertools.count(), batch_size=3)))
    assert first[0].tolist() == [0, 1, 2]


# Mistakes


@pytest.mark.parametrize("prefetch", [0, 3])
def test_errors_name_the_batch(prefetch: int):
    def ends_badly() -> Iterator[tuple[np.ndarray, int]]:
        yield from itertools.islice(pairs(), 12)
        raise OSError("the disk is gone")

    def changes() -> Iterator[tuple[Any, int]]:
        yield from itertools.islice(pairs(), 12)
        yield X[0, :2], 3

    def no_third(x: np.ndarray) -> np.ndarray:
        if 10 in x:
            raise ZeroDivisionError("the mean of this batch")
        return x

    cases: list[tuple[DataLoader, type[Exception], str]] = [
        (DataLoader(ends_badly, batch_size=5, prefetch=prefetch), OSError, "the disk is gone"),
        (
            DataLoader(changes, batch_size=5, prefetch=prefetch),
            ValueError,
            r"sample 2 .*\(\(2,\), \(\)\).*\(\(3,\), \(\)\)",
        ),
        (DataLoader(Y, batch_size=5, map=no_third, prefetch=prefetch), ZeroDivisionError, "of this batch"),
    ]
    for loader, kind, words in cases:
        seen: list[Any] = []
        with pytest.raises(kind, match=words) as caught:
            seen.extend(loader)
        assert len(seen) == 2
        assert caught.value.__notes__ == ["in batch 3 of an epoch of a DataLoader, counted from 1"]


def test_a_function_that_stops_the_iteration_does_not_end_the_epoch_silently():
    with pytest.raises(RuntimeError, match="StopIteration"):
        list(DataLoader(Y, map=lambda x: next(iter(()))))


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"x": X, "y": Y[:5]}, ValueError, "x has 23, y has 5"),
        ({"x": {"a": X, "b": X[:4]}, "y": Y}, ValueError, r"x\['a'\] has 23, x\['b'\] has 4, y has 23"),
        ({"x": X, "y": Y, "sample_weight": [1.0]}, ValueError, "y has 23, sample_weight has 1"),
        ({"x": X, "sample_weight": W}, ValueError, "needs targets"),
        ({"x": [X, X[:4]], "y": Y}, ValueError, r"x\[0\] has 23, x\[1\] has 4, y has 23"),
        ({"x": [X[0], X[0, :2]], "y": Y[:2]}, ValueError, "x: its rows have different shapes"),
        ({"x": X[:0]}, ValueError, "x is empty"),
        ({"x": []}, ValueError, "x is empty"),
        ({"x": np.float32(3)}, ValueError, "x is a single number"),
        ({"x": [[1.0], [1.0, 2.0]]}, ValueError, "x: its rows have different shapes"),
        ({"x": pairs(), "y": Y}, ValueError, r"x, a zip, gives samples.*\(x, y, sample_weight\)"),
        ({"x": [(X, Y)], "sample_weight": Y, "batch_size": None}, ValueError, "sample_weight go into them"),
        ({"x": 3}, TypeError, "x must be arrays, samples or batches, got int"),
        ({"x": None}, TypeError, "got NoneType"),
        ({"x": pairs(), "shuffle": True}, ValueError, "buffer_size"),
        ({"x": X, "batch_size": 0}, ValueError, "batch_size must be an integer of at least 1, got 0"),
        ({"x": X, "batch_size": 2.5}, ValueError, "batch_size.* got 2.5"),
        ({"x": X, "buffer_size": 0}, ValueError, "buffer_size.* got 0"),
        ({"x": X, "prefetch": -1}, ValueError, "prefetch must be an integer of at least 0"),
        ({"x": X, "prefetch": True}, ValueError, "prefetch.* got True"),
        ({"x": X, "map": 3}, TypeError, "map must be a function of a batch, got int"),
        ({"x": X, "seed": -1}, ValueError, "seed"),
    ],
)
def test_mistakes(arguments: dict[str, Any], kind: type[Exception], words: str):
    with pytest.raises(kind, match=words):
        DataLoader(**arguments)


def test_sparse_matrices_say_what_to_do():
    sparse = pytest.importorskip("scipy.sparse")
    x = sparse.csr_array(X)
    with pytest.raises(ValueError, match=r"x is a sparse csr_array.*x.toarray\(\).*DataLoader"):
        DataLoader(x, Y)
    loader = DataLoader(np.arange(x.shape[0]), Y, map=lambda rows, y: (x[rows].toarray(), y))  # as it says
    assert np.array_equal(np.concatenate([x for x, _ in loader]), X)
