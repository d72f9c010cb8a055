"""Data frames as pandas and polars make them: wherever data may be given, and what is said of them."""

from __future__ import annotations

import datetime
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.data import DataLoader
from nnx.layers import Dense, Normalization
from nnx.testing import assert_close

TEXT = np.asarray(["x", "y", "z"], dtype=object)


def model(columns: int) -> nnx.Sequential:
    nnx.random.set_seed(0)
    made = nnx.Sequential([Dense(1, input_dim=columns)])
    made.compile("sgd", "mse")
    return made


def pandas() -> Any:
    return pytest.importorskip("pandas", reason="pandas is not installed; pip install -e '.[test]' from a clone")


def polars() -> Any:
    return pytest.importorskip("polars", reason="polars is not installed; pip install -e '.[oracle]' from a clone")


def frame_of_pandas() -> Any:
    """Three rows of numbers in dtypes of each kind, and what is none in columns of its own."""
    pd = pandas()
    return pd.DataFrame(
        {
            "float": [1.0, np.nan, 3.0],
            "bool": [True, False, True],
            "Int64": pd.array([1, 2, 3], dtype="Int64"),
            "Float64": pd.array([0.5, 1.5, 2.5], dtype="Float64"),
            "boolean": pd.array([True, True, False], dtype="boolean"),
            "sparse": pd.arrays.SparseArray([0.0, 0.0, 7.0]),
            "missing": pd.array([1, None, None], dtype="Int64"),
            "unknown": pd.array([True, None, False], dtype="boolean"),
            "text": ["1", "2", "3"],
            "category": pd.Categorical([1, 2, 1]),
            "date": pd.to_datetime(["2000-01-03"] * 3),
            "zoned": pd.to_datetime(["2000-01-03"] * 3, utc=True),
            "duration": pd.to_timedelta(["2D"] * 3),
            "object": pd.Series([1, 2, None], dtype=object),
        }
    )


def frame_of_polars() -> Any:
    pl, day = polars(), datetime.date(2000, 1, 3)
    return pl.DataFrame(
        {
            "float": [1.0, float("nan"), 3.0],
            "bool": [True, False, True],
            "Int64": [1, 2, 3],
            "Float64": [0.5, 1.5, 2.5],
            "boolean": [True, True, False],
            "sparse": pl.Series([0, 0, 7], dtype=pl.UInt8),
            "missing": [1, None, None],
            "unknown": [True, None, False],
            "text": ["1", "2", "3"],
            "category": pl.Series(["1", "2", "1"], dtype=pl.Categorical),
            "date": [day] * 3,
            "duration": [datetime.timedelta(days=2)] * 3,
            "object": [[1, 2], [3], []],
        }
    )


both = pytest.mark.parametrize("frame_of", [frame_of_pandas, frame_of_polars], ids=["pandas", "polars"])
GOOD = ["float", "bool", "Int64", "Float64", "boolean", "sparse"]
ROWS = np.asarray([[1.0, 1, 1, 0.5, 1, 0], [np.nan, 0, 2, 1.5, 1, 0], [3.0, 1, 3, 2.5, 0, 7]])


@both
def test_columns_are_converted_one_by_one(frame_of: Callable[[], Any]) -> None:
    frame = frame_of()
    assert_close(nnx.asarray(frame[GOOD]), ROWS)
    assert_close(nnx.asarray(frame[GOOD[1:]]), ROWS[:, 1:])
    for index, name in enumerate(GOOD):
        assert_close(nnx.asarray(frame[name]), ROWS[:, index])
        assert_close(nnx.asarray(frame[[name]]), ROWS[:, index : index + 1])


# What the error says to write for each column, and the numbers that this gives, where they are the same everywhere
ADVICE: list[tuple[str, str, list[float] | None]] = [
    ("missing", r"has 2 of 3 values missing: write y.fill(na|_null)\(0\)", [1, 0, 0]),
    ("unknown", r"has 1 of 3 values missing", None),
    ("text", "holds texts or objects: write ", [0, 1, 2]),
    ("category", "holds categories: write ", [0, 1, 0]),
    ("date", "holds dates: write ", None),
    ("zoned", "holds dates: write ", [2, 2, 2]),
    ("duration", "holds durations: write ", None),
    ("object", "holds texts or objects: write ", None),
]


@both
@pytest.mark.parametrize(("name", "words", "numbers"), ADVICE, ids=[name for name, *_ in ADVICE])
def test_what_is_no_number_is_named_with_what_to_write(
    frame_of: Callable[[], Any], name: str, words: str, numbers: list[float] | None
) -> None:
    frame = frame_of()
    if name not in frame.columns:
        pytest.skip("polars has no such column beside the other dates")
    x, y = np.ones((3, 1)), frame[name]
    uses: dict[str, Callable[[], Any]] = {
        "y": lambda: model(1).fit(x, y, verbose=0),
        "sample_weight": lambda: model(1).evaluate(x, x, sample_weight=y, verbose=0),
        "x": lambda: model(2).predict(frame[["Int64", name]], verbose=0),
        "y\\['a'\\]": lambda: DataLoader(x, {"a": y}),
    }
    for place, use in uses.items():
        with pytest.raises(ValueError, match=rf"{place}, a (Series|DataFrame).*the column '{name}' \(") as caught:
            use()
        if place == "y":
            assert re.search(words, str(caught.value))
            write = re.search(r"write (.*?)(?:, or|$)", str(caught.value))
    assert write
    written = eval(write[1], {"y": y, "pd": sys.modules.get("pandas"), "pl": sys.modules.get("polars")})
    if numbers is not None:
        assert_close(nnx.asarray(written, "float32"), np.asarray(numbers, "float32"))
    elif name != "object":
        nnx.asarray(written)


def test_of_many_wrong_columns_some_are_named() -> None:
    frame = pandas().DataFrame({f"c{index}": TEXT for index in range(7)})
    with pytest.raises(ValueError, match=r"'c4' \(\w+\) holds [^;]*; and 2 more$"):
        model(7).predict(frame, verbose=0)


def test_a_table_that_is_not_computed_yet() -> None:
    with pytest.raises(ValueError, match=r"x, a LazyFrame, is not made of numbers: .* write x.collect\(\)"):
        model(1).predict(polars().DataFrame({"a": [1.0]}).lazy(), verbose=0)


@both
def test_wherever_data_may_be_given(frame_of: Callable[[], Any]) -> None:
    """Frames and columns of all kinds train as the arrays that they stand for, in lists, dicts, batches and loaders."""
    frame, numbers = frame_of()[GOOD[1:]], ROWS[:, 1:].astype("float32")
    x, y, weight = frame[["bool", "Float64"]], frame["Int64"], frame["Float64"]
    array, target, weights = numbers[:, [0, 2]], numbers[:, 1], numbers[:, 2]
    ways: list[Callable[[Any, Any, Any, Any], Any]] = [
        lambda m, x, y, w: m.fit(x, y, sample_weight=w, validation_data=(x, y, w), verbose=0).history,
        lambda m, x, y, w: m.fit(DataLoader(x, y, w, batch_size=2), verbose=0).history,
        lambda m, x, y, w: m.fit([(x, y), (x, y)], verbose=0).history,
        lambda m, x, y, w: m.evaluate(x, y, sample_weight=w, verbose=0),
        lambda m, x, y, w: m.train_on_batch([x], y, w),
        lambda m, x, y, w: m.test_on_batch(x, y, w),
        lambda m, x, y, w: m.predict([x], verbose=0).tolist(),
    ]
    for number, way in enumerate(ways):
        assert way(model(2), x, y, weight) == way(model(2), array, target, weights), number
    a, b = nnx.layers.Input((2,), name="a"), nnx.layers.Input((1,), name="b")
    two = nnx.Model([a, b], Dense(1)(nnx.layers.concatenate([a, b])))
    assert_close(two.predict([x, y], verbose=0), two.predict({"a": array, "b": target}, verbose=0))
    layers = [Normalization(), Normalization()]
    layers[0].adapt([x, x])
    layers[1].adapt(array)
    assert_close(layers[0].mean, layers[1].mean)
