"""The methods of data sets that scripts for Keras call: one after another, read ahead, and gone on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.data import AUTOTUNE, Dataset

X = np.arange(10)


def numbers(dataset: Dataset) -> list[Any]:
    return [np.asarray(item).tolist() for item in dataset]


def test_rows_of_arrays_in_their_structure(backend: Placement) -> None:
    """As `tf.data.Dataset.from_tensor_slices` gives them: tuples and dicts stay, lists are arrays."""
    x = backend.asarray(np.arange(6.0).reshape(3, 2))
    ages = [[[30, 40], [50]], [["a", "b"], ["c"]], [[0, 1], [2]]]
    data = Dataset.from_tensor_slices(({"age": [30, 40, 50], "name": ["a", "b", "c"]}, np.arange(3)))
    assert len(data) == 3
    rows = [(a["age"], a["name"], b) for a, b in data.batch(2)]
    assert [[one.tolist() for one in column] for column in zip(*rows, strict=True)] == ages
    assert numbers(Dataset.from_tensor_slices(x).batch(2)) == [[[0.0, 1.0], [2.0, 3.0]], [[4.0, 5.0]]]
    assert sorted(np.concatenate(numbers(Dataset.from_tensor_slices([4, 5, 6]).shuffle(3).batch(2)))) == [4, 5, 6]
    model = nnx.Sequential([nnx.layers.Dense(1, input_dim=2)])
    model.compile("sgd", "mse")
    pairs = Dataset.from_tensor_slices((np.ones((3, 2), "float32"), [1.0, 2.0, 3.0])).batch(3)
    assert model.fit(pairs, verbose=0).params["steps"] == 1
    for wrong in ((np.ones(2), np.ones(3)), 3.0, ()):
        with pytest.raises(ValueError, match="from_tensor_slices takes arrays with as many rows each, got"):
            Dataset.from_tensor_slices(wrong)


def test_each_method_returns_another_data_set() -> None:
    pairs = Dataset(X, X * 2, batch_size=4)
    doubled = pairs.map(lambda x, y: x + y, num_parallel_calls=AUTOTUNE).map(np.negative)
    assert numbers(doubled.prefetch(AUTOTUNE)) == [[0, -3, -6, -9], [-12, -15, -18, -21], [-24, -27]]
    singles = Dataset(X, batch_size=4)
    assert numbers(singles.take(1)) == [[0, 1, 2, 3]]
    assert numbers(singles.skip(1)) == [[4, 5, 6, 7], [8, 9]]
    assert [len(made) for made in (singles, singles.take(2), singles.take(-1), singles.skip(2))] == [3, 2, 3, 1]
    assert numbers(Dataset(range(10), batch_size=None).batch(4, drop_remainder=True)) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert numbers(singles) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    for wrong in (lambda: singles.take(-2), lambda: singles.prefetch(1.5), lambda: singles.shuffle(0)):
        with pytest.raises(ValueError, match="must be a"):
            wrong()
    with pytest.raises(ValueError, match="each pass has a new order"):
        singles.shuffle(3, reshuffle_each_iteration=False)


def test_orders_and_what_is_kept() -> None:
    read = []

    def reading(x: np.ndarray) -> np.ndarray:
        read.append(x)
        return x

    kept = Dataset(X, batch_size=1, shuffle=True, map=reading, seed=1).cache()
    assert len(kept) == 10
    first = numbers(kept)
    assert first == numbers(kept) != numbers(Dataset(X, batch_size=1))
    assert len(read) == 10
    shuffled = kept.shuffle(10)
    one, other = numbers(shuffled), numbers(shuffled)
    assert sorted(one) == sorted(other) == sorted(first)
    assert one != other
    assert numbers(kept.shuffle(4, seed=5)) == numbers(kept.shuffle(4, seed=5))


@pytest.mark.filterwarnings("ignore:.*has no file")
def test_training_goes_on_to_the_last_bit(tmp_path: Path) -> None:
    def trained(epochs: int, kept: bool) -> list[Any]:
        nnx.random.set_seed(1)
        model = nnx.Sequential([nnx.Input((1,)), nnx.layers.Dense(1)])
        model.compile("sgd", "mse")
        data = Dataset(X[:, None] / 10, X / 5, batch_size=3, shuffle=True, seed=4)
        data = data.cache().shuffle(2).map(lambda x, y: (x + 1, y)).prefetch(2)
        going_on = nnx.callbacks.BackupAndRestore(tmp_path / "kept", delete_checkpoint=False)
        model.fit(data, epochs=epochs, callbacks=[going_on] if kept else [], verbose=0)
        return [nnx.to_numpy(weight).tolist() for weight in model.get_weights()]

    trained(2, kept=True)
    assert trained(4, kept=True) == trained(4, kept=False)
