"""Schedules against their formulas; against Keras itself: tests/oracles."""

from __future__ import annotations

import math

import numpy as np
import pytest

import nnx
from nnx.schedules import (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    LearningRateSchedule,
    PiecewiseConstantDecay,
    PolynomialDecay,
    deserialize,
    schedules,
    serialize,
)

# schedule, and what it is at some steps
ROWS = [
    (ExponentialDecay(0.1, 10, 0.5), {0: 0.1, 5: 0.1 / math.sqrt(2.0), 10: 0.05, 30: 0.0125}),
    (ExponentialDecay(0.1, 10, 0.5, staircase=True), {0: 0.1, 9: 0.1, 10: 0.05, 19: 0.05, 20: 0.025}),
    (InverseTimeDecay(0.1, 10, 0.5), {0: 0.1, 5: 0.08, 20: 0.05}),
    (InverseTimeDecay(0.1, 10, 0.5, staircase=True), {0: 0.1, 9: 0.1, 20: 0.05, 29: 0.05}),
    (PiecewiseConstantDecay([3, 5], [1.0, 0.5, 0.1]), {0: 1.0, 3: 1.0, 4: 0.5, 5: 0.5, 6: 0.1, 99: 0.1}),
    (PiecewiseConstantDecay([], [0.2]), {0: 0.2, 9: 0.2}),
    (PolynomialDecay(0.1, 10, 0.02), {0: 0.1, 5: 0.06, 10: 0.02, 11: 0.02}),
    (PolynomialDecay(0.1, 10, 0.0, power=2.0), {5: 0.025, 10: 0.0}),
    (PolynomialDecay(0.1, 10, 0.0, cycle=True), {0: 0.1, 10: 0.0, 11: 0.045, 15: 0.025, 20: 0.0, 25: 0.1 / 6}),
    (CosineDecay(0.1, 10), {0: 0.1, 5: 0.05, 10: 0.0, 20: 0.0}),
    (CosineDecay(0.1, 10, alpha=0.2), {0: 0.1, 5: 0.06, 10: 0.02, 20: 0.02}),
    (CosineDecay(0.0, 10, warmup_target=0.1, warmup_steps=4), {0: 0.0, 1: 0.025, 4: 0.1, 9: 0.05, 14: 0.0, 20: 0.0}),
    (CosineDecay(0.5, 10, warmup_target=0.1), {0: 0.1, 5: 0.05}),
    (
        CosineDecayRestarts(0.1, 10),
        {0: 0.1, 5: 0.05, 10: 0.1, 20: 0.05, 30: 0.1, 70: 0.1, 150: 0.1, 190: 0.05 * (1.0 + math.cos(math.pi * 0.25))},
    ),
    (CosineDecayRestarts(0.1, 10, t_mul=1.0, m_mul=0.5), {0: 0.1, 5: 0.05, 10: 0.05, 20: 0.025, 25: 0.0125}),
    (CosineDecayRestarts(0.1, 10, t_mul=1.5, m_mul=2.0, alpha=0.1), {10: 0.19, 25: 0.37, 5: 0.055}),
]


def test_every_schedule_has_a_row():
    assert {type(row[0]) for row in ROWS} == set(schedules.objects.values())


@pytest.mark.parametrize(("schedule", "expected"), ROWS)
def test_values(schedule: LearningRateSchedule, expected: dict[int, float]):
    for step, value in expected.items():
        assert schedule(step) == pytest.approx(value, rel=1e-12, abs=1e-15), step
        assert type(schedule(step)) is float


@pytest.mark.parametrize(("schedule", "expected"), ROWS)
def test_configuration_round_trip(schedule: LearningRateSchedule, expected: dict[int, float]):
    copy = deserialize(serialize(schedule))
    assert type(copy) is type(schedule)
    assert copy.get_config() == schedule.get_config()
    assert [copy(step) for step in expected] == [schedule(step) for step in expected]


def test_restarts_are_where_the_periods_end():
    """Also where the logarithm of an exact power is not an exact integer."""
    for t_mul in (2.0, 3.0, 5.0, 10.0):
        schedule = CosineDecayRestarts(1.0, 1, t_mul=t_mul)
        for period in range(1, 12):
            step = round((t_mul**period - 1.0) / (t_mul - 1.0))
            assert schedule(step) == 1.0


@pytest.mark.parametrize("excess", [2.3e-16, 1e-12, 1e-9, 1e-4, 0.5])
def test_restarts_of_periods_that_hardly_grow(excess: float):
    """Where a power of t_mul is 1 to all of its digits but a few; and no loop looks for the period."""
    schedule = CosineDecayRestarts(1.0, 1, t_mul=1.0 + excess)
    assert schedule(0) == 1.0
    assert schedule(1) == 1.0
    if excess < 1e-6:  # half of the thousandth period, which is shorter than the thousand before together by this
        assert schedule(999.5) == pytest.approx(0.5, abs=2e3 * 500 * excess + 1e-9)
    assert 0.0 <= schedule(10**15) <= 1.0


def test_names_are_those_of_keras():
    assert nnx.optimizers.schedules.ExponentialDecay is nnx.schedules.ExponentialDecay
    assert set(nnx.optimizers.schedules.__all__) == {
        *schedules.objects,
        "LearningRateSchedule",
        "serialize",
        "deserialize",
    }
    assert ExponentialDecay(0.1, 1, 0.9).name == "ExponentialDecay"
    assert CosineDecayRestarts(0.1, 1).name == "SGDRDecay"


def test_a_configuration_written_by_keras():
    config = {
        "module": "keras.optimizers.schedules",
        "class_name": "CosineDecay",
        "config": {
            "initial_learning_rate": 0.1,
            "decay_steps": 10,
            "alpha": 0.0,
            "name": "CosineDecay",
            "warmup_target": None,
            "warmup_steps": 0,
        },
        "registered_name": None,
    }
    assert deserialize(config)(5) == pytest.approx(0.05)


class Halving(LearningRateSchedule):
    def __init__(self, start: float) -> None:
        self.start = start

    def __call__(self, step: int) -> float:
        return self.start * 0.5**step


def test_a_schedule_of_ones_own():
    copy = deserialize(serialize(Halving(0.4)), custom_objects={"Halving": Halving})
    assert copy(2) == pytest.approx(0.1)
    with pytest.raises(NotImplementedError, match="must define __call__"):
        LearningRateSchedule()(0)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ExponentialDecay("0.1", 10, 0.5), TypeError, "initial_learning_rate must be a number, got '0.1'"),
        (lambda: ExponentialDecay(-0.1, 10, 0.5), ValueError, "initial_learning_rate must be at least 0"),
        (lambda: ExponentialDecay(0.1, 0, 0.5), ValueError, "decay_steps must be greater than 0 and finite, got 0"),
        (lambda: InverseTimeDecay(0.1, 10, math.nan), ValueError, "decay_rate must be"),
        (lambda: InverseTimeDecay(True, 10, 0.5), TypeError, "initial_learning_rate must be a number, got True"),
        (lambda: PolynomialDecay(0.1, -1), ValueError, "decay_steps must be"),
        (lambda: CosineDecay(0.1, 10, warmup_target=math.inf), ValueError, "warmup_target must be"),
        (lambda: CosineDecayRestarts(0.1, 0), ValueError, "first_decay_steps must be"),
        (lambda: CosineDecayRestarts(0.1, 10, t_mul=0.5), ValueError, "t_mul must be at least 1"),
        (
            lambda: PiecewiseConstantDecay([1, 2], [0.1, 0.2]),
            ValueError,
            "one entry more than boundaries, got 2 values",
        ),
        (lambda: PiecewiseConstantDecay([2, 2], [0.1, 0.2, 0.3]), ValueError, "boundaries must increase"),
        (lambda: deserialize({"class_name": "ExponentialDekay"}), ValueError, "did you mean 'ExponentialDecay'"),
    ],
)
def test_wrong_arguments_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_numbers_of_numpy_become_python_numbers():
    config = ExponentialDecay(np.float32(0.5), np.int64(10), 0.9).get_config()
    assert type(config["initial_learning_rate"]) is float
    assert type(config["decay_steps"]) is int
