"""Sums over batches that lose nothing."""

import numpy as np
import pytest

import nnx
from nnx import metrics
from nnx.functional.loss_functions import add_to_sum
from nnx.metrics.tally import RunningSum, Tally
from nnx.testing import assert_close, no_synchronization
from nnx.training.objective import Objective

LIMIT = 1 << 24  # the first whole number that float32 cannot add 1 to


def test_counts_are_exact(backend):
    tally = Tally()
    for amount in ([LIMIT, 5], [1, 1], [1, 1]):
        with no_synchronization():
            tally.add(backend.asarray(amount, "int64"))
    assert np.array_equal(nnx.to_numpy(tally.value()), [LIMIT + 2, 7])


def test_small_weights_are_not_lost(backend):
    tally = Tally()
    tally.add(backend.asarray([float(LIMIT), 0.1]))
    for _ in range(1000):
        with no_synchronization():
            tally.add(backend.asarray([0.5, 0.1]))
    assert float(backend.asarray([float(LIMIT)])[0] + 0.5) == LIMIT  # what a plain sum would stay at
    assert_close(tally.value(), np.asarray([LIMIT + 500.0, 100.1]), rtol=1e-7, atol=0.0)


def test_counts_and_weights_together(backend):
    tally = Tally()
    assert tally.value() is None
    tally.add(backend.asarray([3, 4], "int64"))
    tally.add(backend.asarray([0.5, 0.25]))
    tally.add(backend.asarray([1, 0], "int64"))
    assert_close(tally.value(), np.asarray([4.5, 4.25]), like=backend.zeros(()))


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 200])
@pytest.mark.parametrize("shape", [(), (3,)])
def test_a_running_sum_is_that_of_its_amounts_in_their_order(backend, shape, count):
    """However many of them wait, and whenever somebody looks."""
    running, looked_at, expected = RunningSum(), RunningSum(), None
    assert running.value is running.sums is None
    generator = np.random.default_rng(count)
    for _ in range(count):
        values = generator.normal(size=shape) * 10.0 ** generator.integers(-12, 12, shape)  # so that the order counts
        amount = backend.asarray(values, "float32")
        with no_synchronization():
            for one in (running, looked_at):
                one.add(amount, 3.0)
            expected = add_to_sum(amount, 3.0, expected)
            assert looked_at.value is not None
            assert looked_at.sums is not None
    for one in (running, looked_at):
        assert np.array_equal(nnx.to_numpy(one.value), nnx.to_numpy(expected)[0, ...])
        assert np.array_equal(nnx.to_numpy(one.sums), nnx.to_numpy(expected))


def test_the_value_of_one_amount_is_that_of_its_sum():
    running = RunningSum()
    running.add(np.float32(0.1), 3)
    assert float(running.value) == float(running.sums[0]) == float(np.float32(np.float64(np.float32(0.1)) * 3))


def test_a_running_sum_goes_on_from_another():
    running = RunningSum()
    for amount in (np.float32(1e8), np.float32(1.0)):
        running.add(amount)
    other = RunningSum(running.sums)
    other.add(np.float32(-1e8))
    assert float(other.value) == 1.0
    assert float(running.value) == float(np.float32(1e8) + np.float32(1.0))


TENTH = np.float32(0.1)


def plain_error(count: int) -> float:
    """How far a plain mean of so many float32 tenths is off."""
    total = np.float32(0.0)
    for _ in range(count):
        total += TENTH
    return abs(float(total) / count - float(TENTH))


def test_a_running_sum_of_many_numbers_is_right_to_the_last_digit():
    sums = None
    for _ in range(200_000):
        sums = add_to_sum(TENTH, 1.0, sums)
    assert abs(float(sums[0]) / 200_000 - float(TENTH)) < 1e-8
    assert plain_error(200_000) > 1e-5


def test_what_a_sum_lacks_does_not_drift_itself(backend):
    """What each addition takes off has one sign here, and all of it is more than a float32 beside it could count."""
    sums = backend.asarray([float(1 << 23), 0.0])
    amount = backend.asarray(2.0**-25 + 2.0**-2)
    with no_synchronization():
        for _ in range(3000):
            sums = add_to_sum(amount, 1.0, sums)
    assert_close(sums[0], (1 << 23) + 3000 * (2.0**-25 + 2.0**-2), rtol=6e-8, atol=0.0)
    assert abs(float(nnx.to_numpy(sums)[1])) <= 0.5  # half of the distance from one float32 to the next, there


def test_a_scalar_of_numpy_is_an_array_as_others_are():
    """Sums of float64 are such scalars; a checkpoint gives them back as arrays."""
    for scalar in (np.float64(0.5), np.float32(0.5)):
        tally, again = Tally(), Tally()
        tally.add(scalar)
        again.set_state({name: None if value is None else np.asarray(value) for name, value in tally.state().items()})
        again.add(scalar)
        assert float(again.value()) == 1.0


def test_a_sum_that_cancels(backend):
    sums = None
    for amount in (1e8, 1.0, -1e8):
        sums = add_to_sum(backend.asarray(amount), 1.0, sums)
    assert float(nnx.to_numpy(sums)[0]) == 1.0


@pytest.mark.parametrize("amounts", [(np.inf, 1.0), (1.0, np.inf, 1.0), (-np.inf, 1.0), (np.nan, 1.0), (1.0, np.nan)])
def test_sums_that_are_not_finite(backend, amounts):
    sums = None
    for amount in amounts:
        sums = add_to_sum(backend.asarray(amount), 2.0, sums)
    assert_close(sums[0], sum(amounts))


WAYS = {
    "Mean": lambda: metrics.Mean(),
    "weighted Mean": lambda: metrics.Mean(),
    "Sum": lambda: metrics.Sum(),
    "RootMeanSquaredError": lambda: metrics.RootMeanSquaredError(),
    "MeanAbsoluteError": lambda: metrics.MeanAbsoluteError(),
}


@pytest.mark.parametrize("way", WAYS)
def test_means_do_not_drift(backend, way):
    """After a large value small ones no longer change a plain sum; a thousand of them have to."""
    large, small, count = float(LIMIT), 0.25, 1000
    metric = WAYS[way]()
    zero = backend.zeros((1,))

    def take_in(value: float) -> None:
        values = backend.asarray([value])
        if way in ("RootMeanSquaredError", "MeanAbsoluteError"):
            metric.update_state(zero, values)
        elif way == "weighted Mean":
            metric.update_state(values, backend.asarray([0.5]))
        else:
            metric.update_state(values)

    power = 2 if way == "RootMeanSquaredError" else 1
    with no_synchronization():
        take_in(large ** (1 / power))
        for _ in range(count):
            take_in(small ** (1 / power))
    total = large + count * small
    expected = total if way == "Sum" else (total / (count + 1)) ** (1 / power)
    assert_close(metric.result(), expected, rtol=2e-7, atol=0.0)


def test_weights_do_not_drift(backend):
    mean = metrics.Mean()
    mean.update_state(backend.asarray([1.0]), backend.asarray([float(LIMIT)]))
    for _ in range(1000):
        mean.update_state(backend.asarray([0.0]), backend.asarray([0.25]))
    assert_close(mean.count.value(), LIMIT + 250.0, rtol=0.0, atol=0.0)


@pytest.mark.parametrize("outputs", [["y"], ["y", "z"]], ids=["one output", "two"])
def test_losses_do_not_drift(backend, outputs):
    objective = Objective("mse", None, None, None, outputs)

    def take_in(loss: float, rows: int) -> None:
        part = backend.asarray(loss)
        objective.update(part * len(outputs), [part] * len(outputs), rows)

    with no_synchronization():
        take_in(float(LIMIT), 1)
        for _ in range(1000):
            take_in(0.125, 2)
    expected = (LIMIT + 250.0) / 2001
    results = objective.read()
    assert_close(results["loss"], expected * len(outputs), rtol=2e-7, atol=0.0)
    if len(outputs) > 1:
        assert_close(results["z_loss"], expected, rtol=2e-7, atol=0.0)
    state = objective.state()
    other = Objective("mse", None, None, None, outputs)
    other.set_state(state)
    assert other.read() == results


@pytest.mark.parametrize("weight", [None, 1.0], ids=["counts", "weights"])
def test_a_metric_counts_beyond_what_float32_can(weight):
    metric = metrics.TruePositives()
    ones = np.ones(LIMIT, np.float32)
    metric.update_state(ones, ones, weight)
    for _ in range(3):
        metric.update_state(ones[:1], ones[:1], weight)
    assert float(metric.result()) == (LIMIT + 3 if weight is None else LIMIT + 4)  # float32 has no LIMIT + 3


def test_the_confusion_matrix_counts_beyond_what_float32_can():
    metric = metrics.ConfusionMatrix(2)
    ones = np.ones(LIMIT, np.int64)
    metric.update_state(ones, ones)
    metric.update_state([1, 0], [1, 1])
    assert metric.result().tolist() == [[0, 1], [0, LIMIT + 1]]


def test_a_number_that_its_owner_writes_into_was_added_as_it_was():
    weight, mean = np.zeros((), "float32"), nnx.metrics.Mean()
    for i in range(10):
        weight[...] = i
        mean.update_state(np.asarray(float(i), "float32"), sample_weight=weight)
    assert float(mean.result()) == pytest.approx(285 / 45)
