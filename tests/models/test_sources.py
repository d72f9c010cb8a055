"""Every source of data, in fit, evaluate and predict, gives what arrays give: weights, several inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.data import DataLoader, row_pools
from nnx.layers import Concatenate, Dense
from nnx.random import Generator
from nnx.testing import assert_close

N, SIZE = 22, 5
X = np.float32(Generator(1).normal((N, 3)))
LABELS = np.arange(N) % 3
WEIGHTS = np.linspace(0.5, 2.0, N).astype(np.float32)
CLASS_WEIGHT = {0: 0.5, 2: 3.0}


class Dataset:
    """An array on disk, as h5py and zarr give it."""

    chunks = None

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.shape, self.dtype = array.shape, array.dtype

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise AssertionError("the whole data set is read")

    def __getitem__(self, rows: Any) -> np.ndarray:
        return self.array[rows]


class Batches:
    """A sequence of batches, as Keras has it."""

    def __init__(self, columns: Any) -> None:
        self.items = list(cut(columns))
        self.begun = self.ended = 0

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]

    def on_epoch_begin(self) -> None:
        self.begun += 1

    def on_epoch_end(self) -> None:
        self.ended += 1


class Changing(Batches):
    """A sequence whose epochs have one batch, then two, then one, ..."""

    def __init__(self, columns: Any, hook: str) -> None:
        super().__init__(columns)
        self.hook, self.seen, self.length = hook, [[]], 0 if hook == "begin" else 1

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Any:
        if index >= self.length:
            raise IndexError
        self.seen[-1].append(index)
        return super().__getitem__(index)

    def on_epoch_begin(self) -> None:
        self._change("begin")

    def on_epoch_end(self) -> None:
        self._change("end")

    def _change(self, hook: str) -> None:
        if hook == self.hook:
            self.length = 2 if self.length == 1 else 1
        if hook == "end":
            self.seen.append([])


def apply(function: Callable[[Any], Any], structure: Any) -> Any:
    if isinstance(structure, dict):
        return {name: apply(function, item) for name, item in structure.items()}
    return tuple(apply(function, item) for item in structure) if isinstance(structure, tuple) else function(structure)


def cut(columns: Any) -> Iterator[Any]:
    for start in range(0, N, SIZE):
        yield apply(lambda column, start=start: column[start : start + SIZE], columns)


def memory_map(folder: Path, array: np.ndarray) -> np.ndarray:
    path = folder / f"{len(list(folder.iterdir()))}.npy"
    np.save(path, array)
    return np.load(path, mmap_mode="r")  # type: ignore[no-any-return]


def torch_loader(columns: Any) -> Any:
    data = pytest.importorskip("torch.utils.data")
    samples = [apply(lambda column, i=i: column[i], columns) for i in range(N)]
    return data.DataLoader(samples, batch_size=SIZE)


# From a folder and columns (x, y[, sample_weight]), of arrays or dicts of them, to arguments of fit.
SOURCES: dict[str, Callable[[Path, Any], tuple[Any, ...]]] = {
    "memory maps": lambda folder, columns: apply(lambda array: memory_map(folder, array), columns),
    "inputs on disk": lambda folder, columns: (apply(Dataset, columns[0]), *columns[1:]),
    "targets on disk": lambda folder, columns: (columns[0], apply(Dataset, columns[1]), *columns[2:]),
    "data sets": lambda folder, columns: apply(Dataset, columns),
    "list of batches": lambda folder, columns: (list(cut(columns)),),
    "generator": lambda folder, columns: (cut(columns),),
    "sequence": lambda folder, columns: (Batches(columns),),
    "loader": lambda folder, columns: (DataLoader(*columns, batch_size=SIZE),),
    "loader with a thread": lambda folder, columns: (DataLoader(*columns, batch_size=SIZE, prefetch=2),),
    "loader of a memory map": lambda folder, columns: (
        DataLoader(apply(lambda array: memory_map(folder, array), columns[0]), *columns[1:], batch_size=SIZE),
    ),
    "loader of samples": lambda folder, columns: (
        DataLoader([apply(lambda array, i=i: array[i], columns) for i in range(N)], batch_size=SIZE),
    ),
    "loader of batches": lambda folder, columns: (DataLoader(list(cut(columns)), batch_size=None, prefetch=1),),
    "PyTorch's loader": lambda folder, columns: (torch_loader(columns),),
}
each_source = pytest.mark.parametrize("source", SOURCES)


@pytest.fixture(autouse=True)
def _small_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_pools, "BLOCK_BYTES", 3 * 16)
    monkeypatch.setattr("nnx.training.pipeline.POOL_BYTES", 12 * 16)


def one() -> nnx.Sequential:
    nnx.random.set_seed(4)
    model = nnx.Sequential([Dense(4, "tanh", input_dim=3), Dense(3, "softmax")])
    model.compile(nnx.optimizers.SGD(0.3), "sparse_categorical_crossentropy", weighted_metrics=["acc"])
    return model


def several() -> nnx.Model:
    nnx.random.set_seed(4)
    a, b = nnx.Input((3,), name="a"), nnx.Input((1,), name="b")
    hidden = Concatenate()([a, b])
    model = nnx.Model([a, b], [Dense(3, "softmax", name="p")(hidden), Dense(1, name="q")(hidden)])
    model.compile("sgd", {"p": "sparse_categorical_crossentropy", "q": "mse"})
    return model


COLUMNS: dict[str, tuple[Callable[[], nnx.Model], Any]] = {
    "one": (one, (X, LABELS)),
    "weighted": (one, (X, LABELS, WEIGHTS)),
    "several": (several, ({"a": X, "b": WEIGHTS[:, None]}, {"p": LABELS, "q": X[:, :1]})),
    "several weighted": (
        several,
        ({"a": X, "b": X[:, 1:2]}, {"p": LABELS, "q": X[:, :1]}, {"p": WEIGHTS, "q": WEIGHTS[::-1].copy()}),
    ),
}


def named(arguments: Any) -> dict[str, Any]:
    return dict(zip(("x", "y", "sample_weight"), arguments, strict=False))


@each_source
@pytest.mark.parametrize("columns", COLUMNS)
def test_the_same_training_as_with_arrays(source: str, columns: str, tmp_path: Path):
    make, data = COLUMNS[columns]
    expected, model = make(), make()
    options: dict[str, Any] = {"shuffle": False, "batch_size": SIZE, "verbose": 0}
    history = expected.fit(**named(data), **options).history
    found = model.fit(**named(SOURCES[source](tmp_path, data)), **options).history
    assert list(found) == list(history)
    for name in history:
        assert_close(found[name], history[name], 1e-6)
    assert_close(model.flat.values, expected.flat.values, 1e-6)
    assert_close(
        model.evaluate(**named(SOURCES[source](tmp_path, data)), batch_size=SIZE, verbose=0),
        expected.evaluate(**named(data), batch_size=SIZE, verbose=0),
        1e-5,
    )
    for a, b in zip(
        *(model.predict(x, batch_size=SIZE, verbose=0) for x in (SOURCES[source](tmp_path, data)[0], data[0])),
        strict=True,
    ):
        assert_close(a, b, 1e-6)


@each_source
def test_class_weights_and_validation_data(source: str, tmp_path: Path):
    expected, model = one(), one()
    for each, data in ((expected, (X, LABELS)), (model, SOURCES[source](tmp_path, (X, LABELS)))):
        validation = data if each is expected or len(data) > 1 else SOURCES[source](tmp_path, (X, LABELS))[0]
        options = {"shuffle": False, "batch_size": SIZE, "verbose": 0, "class_weight": CLASS_WEIGHT}
        each.fit(**named(data), validation_data=validation, **options)
    assert list(model.history.history) == ["acc", "loss", "val_acc", "val_loss"]
    for name, values in expected.history.history.items():
        assert_close(model.history.history[name], values, 1e-6)


# Arrays on disk


def test_what_is_on_disk_trains_as_arrays_do_on_every_backend(backend: Placement, tmp_path: Path, monkeypatch: Any):
    monkeypatch.setattr("nnx.training.pipeline.POOL_BYTES", 1 << 20)  # all rows in one pool: the same order
    histories = []
    for x in (X, memory_map(tmp_path, X), Dataset(np.float64(X))):
        model = one()
        history = model.fit(x, LABELS, epochs=2, batch_size=SIZE, validation_split=0.25, verbose=0)
        histories.append(dict(history.history) | {"weights": model.flat.values})
    for found in histories[1:]:
        for name, expected in histories[0].items():
            # arrays are evaluated several batches at once, so that they are added up in another order
            assert_close(found[name], expected, 1e-6 if name == "val_loss" else 0.0, 0.0)


def test_an_epoch_in_pools_takes_every_sample_once(tmp_path: Path):
    model = one()
    seen: list[np.ndarray] = []
    step = model.trainer.step.train
    model.trainer.step.train = lambda x, y, w: (seen.append(np.array(x[0])), step(x, y, w))  # type: ignore[method-assign]
    model.fit(memory_map(tmp_path, X), LABELS, batch_size=SIZE, epochs=2, verbose=0)
    assert [len(x) for x in seen] == [5, 5, 5, 5, 2] * 2
    for epoch in (seen[:5], seen[5:]):
        order = np.concatenate(epoch)[:, 0]
        assert np.array_equal(np.sort(order), np.sort(X[:, 0]))
    assert not np.array_equal(np.concatenate(seen[:5]), np.concatenate(seen[5:]))


def test_small_numbers_on_disk_become_floats_in_batches(tmp_path: Path):
    images = np.arange(N * 3, dtype=np.uint8).reshape(N, 3)
    model = one()
    assert_close(model.predict(memory_map(tmp_path, images), verbose=0), model(np.float32(images)), length=10)


def test_large_arrays_of_another_dtype_are_converted_in_batches(monkeypatch: pytest.MonkeyPatch):
    expected = one().fit(X, LABELS, epochs=2, batch_size=SIZE, verbose=0).history
    monkeypatch.setattr("nnx.training.pipeline.LARGEST_COPY", 0)
    assert one().fit(np.float64(X), LABELS, epochs=2, batch_size=SIZE, verbose=0).history == expected
    assert_close(one().predict(np.float64(X), verbose=0), one().predict(X, verbose=0), 0.0, 0.0)


def test_wrong_labels_on_disk_name_the_batch(tmp_path: Path):
    labels = LABELS.copy()
    labels[13] = 7
    model = one()
    with pytest.raises(ValueError, match=r"^batch 3 of epoch 1: .*got 7 at index 3"):
        model.fit(memory_map(tmp_path, X), Dataset(labels), batch_size=SIZE, shuffle=False, verbose=0)
    assert model.optimizer.iterations == 2
    with pytest.raises(ValueError, match="x has 22, y has 5"):
        model.fit(memory_map(tmp_path, X), LABELS[:5], verbose=0)
    with pytest.raises(ValueError, match=r"expected an input of shape \(None, 3\), got \(5, 2\)"):
        model.fit(Dataset(X[:, :2]), LABELS, batch_size=SIZE, verbose=0)
    with pytest.raises(ValueError, match=r"x: .*not real numbers.*complex"):
        model.predict(Dataset(X.astype(complex)), verbose=0)


# Sequences, loaders and tables of others


def test_a_sequence_is_shuffled_in_batches_and_told_about_epochs():
    orders = []
    for shuffle in (True, False):
        sequence, model = Batches((X, LABELS)), one()
        seen: list[float] = []
        step = model.trainer.step.train
        model.trainer.step.train = lambda x, y, w, seen=seen, step=step: (seen.append(float(x[0][0, 0])), step(x, y, w))  # type: ignore[misc]
        model.fit(sequence, epochs=3, shuffle=shuffle, verbose=0)
        assert (sequence.begun, sequence.ended) == (3, 3)
        firsts = X[::SIZE, 0].tolist()
        orders.append([[firsts.index(first) for first in seen[start : start + 5]] for start in (0, 5, 10)])
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in orders[0])
    assert len({tuple(order) for order in orders[0]}) > 1
    assert orders[1] == [[0, 1, 2, 3, 4]] * 3


def test_loaders_of_pytorch_without_a_length():
    data = pytest.importorskip("torch.utils.data")

    class Stream(data.IterableDataset):  # type: ignore[misc, name-defined]
        def __iter__(self) -> Iterator[Any]:
            return zip(X, LABELS, strict=True)

    loader = data.DataLoader(Stream(), batch_size=SIZE)
    history = one().fit(loader, epochs=2, verbose=0).history
    expected = one().fit(X, LABELS, epochs=2, shuffle=False, batch_size=SIZE, verbose=0).history
    assert_close(history["loss"], expected["loss"], 1e-6)


def test_data_sets_of_pytorch_are_samples_for_our_loader():
    data = pytest.importorskip("torch.utils.data")
    torch = pytest.importorskip("torch")
    samples = data.TensorDataset(torch.tensor(X), torch.tensor(LABELS))
    loader = DataLoader(samples, batch_size=SIZE, prefetch=2)
    expected = one().fit(X, LABELS, shuffle=False, batch_size=SIZE, verbose=0).history
    assert_close(one().fit(loader, verbose=0).history["loss"], expected["loss"], 1e-6)


def test_data_frames():
    pandas = pytest.importorskip("pandas")
    table, series = pandas.DataFrame(X, columns=list("abc")), pandas.Series(LABELS)
    options: dict[str, Any] = {"batch_size": SIZE, "verbose": 0, "validation_split": 0.3}
    history = one().fit(table, series, sample_weight=pandas.Series(WEIGHTS), **options).history
    assert history == one().fit(X, LABELS, sample_weight=WEIGHTS, **options).history
    table["a"] = "text"
    with pytest.raises(ValueError, match=r"x, a DataFrame, .* the column 'a' .* holds texts"):
        one().fit(table, series)


@pytest.mark.parametrize("form", ["csr_array", "csr_matrix", "coo_array"])
def test_sparse_matrices_say_what_to_do(form: str):
    sparse = getattr(pytest.importorskip("scipy.sparse"), form)(X)
    for use in (
        lambda: one().fit(sparse, LABELS, verbose=0),
        lambda: one().predict(sparse, verbose=0),
        lambda: one().fit([(sparse, LABELS)], verbose=0),
        lambda: one().train_on_batch(sparse, LABELS),
    ):
        with pytest.raises(ValueError, match=rf"x is a sparse {form}.*write x.toarray\(\)"):
            use()


def test_objects_say_what_to_write():
    with pytest.raises(ValueError, match=r"ndarray of dtype object; write x.astype\('float32'\)"):
        one().fit(X.astype(object), LABELS)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("hook", ["begin", "end"])
def test_a_sequence_that_changes_its_length_between_epochs(shuffle: bool, hook: str, capsys: pytest.CaptureFixture):
    data = Changing((np.zeros((N, 3), "float32"), np.zeros((N, 1), "float32")), hook)
    validation = Changing((np.zeros((N, 3), "float32"), np.zeros((N, 1), "float32")), hook)
    model = nnx.Sequential([nnx.layers.Dense(1, input_dim=3)])
    model.compile("sgd", "mse")
    model.fit(data, epochs=5, shuffle=shuffle, validation_data=validation, verbose=1)
    expected = [1, 2, 1, 2, 1, 0]
    assert [len(epoch) for epoch in data.seen] == [len(epoch) for epoch in validation.seen] == expected
    assert [sorted(epoch) for epoch in data.seen[:5]] == [[0], [0, 1], [0], [0, 1], [0]]
    if hook == "end":
        lines = capsys.readouterr().out.splitlines()[1::2]
        assert all(f"{n}/{n}" in line for n, line in zip(expected[:5], lines, strict=True))
