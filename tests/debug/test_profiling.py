"""The profile of a model: whose time is counted where, what is counted, and that nothing stays behind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnx
from nnx.layers import LSTM, Bidirectional, Dense, Dropout, Flatten, Input, Lambda, Reshape
from nnx.random import Generator

X = np.float32(Generator(1).normal((24, 4)))
Y = np.float32(Generator(2).normal((24, 2)))


class Clock:
    """Seconds that pass only in layers made by `slow`."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def slow(clock: Clock, name: str, forward: float, backward: float) -> Lambda:
    """A layer that takes so many seconds."""

    def take(seconds: float, value: Any) -> Any:
        clock.now += seconds
        return value

    return Lambda(lambda x: (take(forward, x), lambda dy: take(backward, dy)), name=name)


def rows_of(report: nnx.debug.Profile) -> dict[str, nnx.debug.ProfileRow]:
    return {row.path: row for row in report.rows}


def stack(clock: Clock) -> nnx.Sequential:
    head = nnx.Sequential([Input((3,)), slow(clock, "a", 1.0, 2.0), Dense(2), slow(clock, "b", 4.0, 8.0)], name="head")
    model = nnx.Sequential([Input((4,)), Dense(3), slow(clock, "c", 16.0, 32.0), head])
    model.compile("sgd", "mse")
    return model


def test_time_is_counted_for_each_layer(clock: Clock):
    model = stack(clock)
    with nnx.profile(model, clock=clock) as report:
        model.fit(X, Y, batch_size=8, epochs=2, verbose=0)  # 6 steps
        clock.now += 5.0
    rows = rows_of(report)
    assert report.steps == 6
    assert report.seconds == 6 * 63.0 + 5.0
    assert (rows["c"].calls, rows["c"].forward, rows["c"].backward, rows["c"].own) == (6, 96.0, 192.0, 288.0)
    assert (rows["head/a"].forward, rows["head/a"].backward) == (6.0, 12.0)
    assert (rows["head"].forward, rows["head"].backward, rows["head"].own) == (30.0, 60.0, 0.0)
    assert (rows["loss"].calls, rows["optimizer"].calls, rows["metrics"].calls) == (6, 6, 6)
    assert rows["rest"].own == 5.0
    assert sum(row.own for row in report.rows) == report.seconds
    assert list(rows) == [
        "dense",
        "c",
        "head",
        "head/a",
        "head/dense",
        "head/b",
        "loss",
        "optimizer",
        "metrics",
        "rest",
    ]


def test_what_is_printed(clock: Clock):
    model = stack(clock)
    with nnx.profile(model, clock=clock) as report:
        model.train_on_batch(X, Y)
    assert str(report).splitlines() == [
        "sequential on numpy: 1 step in 63 s",
        "ms of a step       calls    forward   backward   share    output  parameters",
        "dense (Dense)          1      0.000      0.000    0.0%  288.00 B          15",
        "c (Lambda)             1  16000.000  32000.000   76.2%  288.00 B           0",
        "head (Sequential)      1   5000.000  10000.000    0.0%  192.00 B           8",
        "  a (Lambda)           1   1000.000   2000.000    4.8%  288.00 B           0",
        "  dense (Dense)        1      0.000      0.000    0.0%  192.00 B           8",
        "  b (Lambda)           1   4000.000   8000.000   19.0%  192.00 B           0",
        "loss                   1      0.000      0.000    0.0%",
        "optimizer              1      0.000               0.0%",
        "metrics                1      0.000               0.0%",
        "rest                          0.000               0.0%",
        "in all                    63000.000             100.0%",
    ]


def test_bytes_and_parameters():
    model = nnx.Sequential([Input((4,)), Dense(3), Dropout(0.5)])
    model.compile("sgd", "mse")
    with nnx.profile(model) as report:
        model.predict(X, batch_size=8, verbose=1)  # batch after batch
    rows = rows_of(report)
    assert report.steps == 3
    assert (rows["dense"].parameters, rows["dense"].output_bytes) == (15, 8 * 3 * 4)
    assert (rows["dropout"].parameters, rows["dropout"].output_bytes) == (0, 8 * 3 * 4)
    assert rows["loss"].calls == rows["optimizer"].calls == 0
    assert all(row.backward == 0.0 for row in report.rows)


def test_on_every_backend(backend):
    """Real time: everything is counted once, and results are those without a profile."""

    def losses(profiled: bool) -> list[float]:
        nnx.random.set_seed(3)
        model = nnx.Sequential([Input((4,)), Reshape((2, 2)), Bidirectional(LSTM(3)), Dense(2, "softmax")])
        model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
        y = np.eye(2)[np.arange(24) % 2]
        if not profiled:
            return model.fit(X, y, epochs=2, verbose=0).history["loss"]
        with nnx.profile(model) as report:
            history = model.fit(X, y, epochs=2, verbose=0)
        rows = rows_of(report)
        assert {"bidirectional", "bidirectional/forward_lstm", "bidirectional/backward_lstm", "dense"} <= set(rows)
        for path in ("bidirectional", "bidirectional/forward_lstm", "dense"):
            assert rows[path].calls == 2
            assert rows[path].forward > 0.0
            assert rows[path].backward > 0.0
        inside = rows["bidirectional/forward_lstm"].forward + rows["bidirectional/backward_lstm"].forward
        assert inside < rows["bidirectional"].forward
        assert sum(row.own for row in report.rows) == pytest.approx(report.seconds)
        assert all(row.own >= 0.0 for row in report.rows)
        return history.history["loss"]

    assert losses(profiled=True) == losses(profiled=False)


def test_a_shared_layer_is_one_row_with_all_its_calls():
    x = Input((4,))
    shared = Dense(4)
    model = nnx.Model(x, shared(shared(x)) + x)
    model.compile("sgd", "mse")
    with nnx.profile(model) as report:
        model.train_on_batch(X, X)
    assert rows_of(report)["dense"].calls == 2


def test_a_loop_of_ones_own(clock: Clock):
    model = nnx.Sequential([Input((4,)), Dense(3), slow(clock, "c", 1.0, 2.0)])
    optimizer = nnx.optimizers.SGD(0.1)
    with nnx.profile(model, clock=clock) as report:
        for _ in range(3):
            y, pullback = model.forward(X, training=True)
            pullback(y)
            optimizer.step(model)
        y, late = model.forward(X, training=True)
    late(y)  # after the block, and so not counted
    row = rows_of(report)["c"]
    assert (row.calls, row.forward, row.backward) == (4, 4.0, 6.0)
    assert report.seconds == 10.0


def test_nothing_stays_behind_also_after_an_error(clock: Clock):
    model = stack(clock)

    def interrupted() -> None:
        with nnx.profile(model, clock=clock) as report:
            reports.append(report)
            model.train_on_batch(X, Y)
            raise ZeroDivisionError

    reports: list[nnx.debug.Profile] = []
    with pytest.raises(ZeroDivisionError):
        interrupted()
    report = reports[0]
    clock.now += 100.0
    assert report.seconds == 63.0
    for thing in (*model.named_layers().values(), model.objective, model.optimizer):
        assert not {"run", "run_masked", "preactivation", "apply", "update"} & set(vars(thing))
    model.train_on_batch(X, Y)
    assert report.steps == 1


def test_with_check_finite_both_stand_beside_the_model(clock: Clock):
    model = stack(clock)
    with nnx.profile(model, clock=clock) as report, nnx.debug.check_finite():
        model.train_on_batch(X, Y)
        model.layers[0].kernel.value[0, 0] = np.nan
        with pytest.raises(nnx.debug.NotFiniteError, match="dense: its parameter kernel has 1 values"):
            model.train_on_batch(X, Y)
    assert rows_of(report)["c"].calls == 1
    assert "run" not in vars(model.layers[0])


def test_mistakes():
    with pytest.raises(TypeError, match=r"profile expects a model, got <Flatten flatten, not built>: put layers into"):
        nnx.profile(Flatten()).__enter__()
    with pytest.raises(ValueError, match="is not built, so it has no layers to measure"):
        nnx.profile(nnx.Sequential([Dense(2)])).__enter__()


def test_ranges_and_waiting_are_the_backend_s(clock: Clock, monkeypatch: pytest.MonkeyPatch):
    """A backend that works later and has a profiler of its own is asked to wait, and told what runs."""
    model = stack(clock)
    told: list[str] = []

    class Range:
        def __init__(self, name: str) -> None:
            self.name = name

        def __enter__(self) -> None:
            told.append(f"> {self.name}")

        def __exit__(self, *error: Any) -> None:
            told.append(f"< {self.name}")

    backend = model.placement.backend
    monkeypatch.setattr(backend, "range", Range)
    monkeypatch.setattr(backend, "synchronize", lambda device: told.append("wait"))
    with nnx.profile(model, clock=clock):
        model.predict_on_batch(X[:1])
    assert told[:6] == ["> dense forward", "wait", "wait", "< dense forward", "> c forward", "wait"]
    assert told[8:13] == ["> head forward", "wait", "> head/a forward", "wait", "wait"]
