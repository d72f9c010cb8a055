"""Data that are no arrays of real numbers: what becomes of them, or what the error says to write."""

from __future__ import annotations

import array
import datetime
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.data import DataLoader
from nnx.testing import assert_close

X = np.float32([[1.0, -2.5], [0.5, 3.0], [4.0, 0.0], [-1.0, 2.0]])
Y = np.zeros((4, 1), np.float32)


def model() -> nnx.Sequential:
    nnx.random.set_seed(1)
    made = nnx.Sequential([nnx.layers.Dense(1, input_dim=2)])
    made.compile("sgd", "mse")
    return made


WAYS: dict[str, Callable[[Any], Any]] = {
    "fit": lambda x: model().fit(x, Y, verbose=0),
    "evaluate": lambda x: model().evaluate(x, Y, verbose=0),
    "predict": lambda x: model().predict(x, verbose=0),
    "train_on_batch": lambda x: model().train_on_batch(x, Y),
    "a loader": lambda x: model().fit(DataLoader(x, Y), verbose=0),
    "targets": lambda x: model().fit(X, x, verbose=0),
    "asarray": nnx.asarray,
}


@pytest.fixture(params=WAYS)
def give(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return WAYS[request.param]


DATES = np.full((4, 2), "2020-02-03", dtype="M8[D]")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (X + 1j, r"of dtype complex64; write np.stack\(\[\w+.real, \w+.imag\], axis=-1\)"),
        (DATES, r"of dtype datetime64\[D\]; write \(\w+ - np.datetime64\('2000-01-01'\)\) / np.timedelta64\(1, 'D'\)"),
        (DATES - DATES, r"of dtype timedelta64\[D\]; write \w+ / np.timedelta64\(1, 'D'\), which counts days"),
        (X.astype("U4"), r"of dtype <U4; write \w+.astype\('float32'\) if the texts are numbers"),
        (X.astype(object), r"of dtype object; write \w+.astype\('float32'\) if they are numbers"),
        (X.view([("a", "f4"), ("b", "f4")]), r"write np.lib.recfunctions.structured_to_unstructured\(\w+\)"),
        (X.view("V4"), r"of dtype \|V4"),
    ],
    ids=["complex", "dates", "durations", "texts", "objects", "fields", "bytes"],
)
def test_the_hint_loses_nothing(give: Callable[[Any], Any], data: np.ndarray, words: str):
    with pytest.raises((ValueError, TypeError), match=words):
        give(data)


def test_what_the_hints_say_to_write():
    x = X + 2j
    assert_close(nnx.asarray(np.stack([x.real, x.imag], axis=-1)), np.stack([X, np.full_like(X, 2.0)], axis=-1))
    days = (DATES - np.datetime64("2000-01-01")) / np.timedelta64(1, "D")
    assert days[0, 0] == (datetime.date(2020, 2, 3) - datetime.date(2000, 1, 1)).days
    assert_close(nnx.asarray((DATES - DATES) / np.timedelta64(1, "D")), np.zeros((4, 2), np.float32))


def test_lists_of_dates_have_no_hint_that_fails(give: Callable[[Any], Any]):
    with pytest.raises((ValueError, TypeError), match="of dtype object") as caught:
        give([[datetime.date(2020, 2, 3)] * 2] * 4)
    assert "datetime" not in str(caught.value)


@pytest.mark.parametrize("kind", [memoryview, lambda x: memoryview(x.tobytes()).cast("f", x.shape)], ids=["x", "bytes"])
def test_buffers_of_python_are_arrays(give: Callable[[Any], Any], kind: Callable[[Any], Any]):
    if give is WAYS["targets"]:
        return
    expected, found = give(X), give(kind(X))
    if isinstance(expected, nnx.callbacks.History):
        expected, found = expected.history["loss"], found.history["loss"]
    assert_close(np.asarray(found), np.asarray(expected), 0.0, 0.0)


def test_arrays_of_python_are_arrays():
    one = nnx.Sequential([nnx.layers.Dense(1, input_dim=1)])
    one.compile("sgd", "mse")
    values = array.array("f", [1.0, 2.0, 3.0, 4.0])
    assert_close(one.predict(values, verbose=0), one.predict(np.float32(values), verbose=0), 0.0, 0.0)
    assert len(one.fit(DataLoader(values, Y, batch_size=2), verbose=0).history["loss"]) == 1
    for kind in (bytearray(b"abcd"), memoryview(b"abcd")):
        assert one.predict(kind, verbose=0).shape == (4, 1)


def test_kinds_of_numbers_that_numpy_does_not_have(give: Callable[[Any], Any]):
    """bfloat16 and the like have their values in float32."""
    torch = pytest.importorskip("torch")
    for dtype in (torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2):
        x = torch.tensor(X).to(dtype)
        assert nnx.to_numpy(x).dtype == np.float32
        assert_close(nnx.to_numpy(x), X, 0.0, 0.0)
        if give is not WAYS["targets"]:
            give(x)
    assert nnx.to_numpy(torch.tensor([1 + 2j]).conj()).tolist() == [1 - 2j]


@pytest.mark.filterwarnings("ignore:Sparse CSC tensor support is in beta")
def test_sparse_tensors_say_what_to_write(give: Callable[[Any], Any]):
    torch = pytest.importorskip("torch")
    for x in (torch.tensor(X).to_sparse(), torch.tensor(X).to_sparse_csc()):
        with pytest.raises(ValueError, match=r"a sparse [tT]ensor.*write \w+\.to_dense\(\)"):
            give(x)
