"""Sums over batches that lose nothing."""

import numpy as np
import pytest

import nnx
from nnx import metrics
from nnx.metrics.tally import Tally
from nnx.testing import assert_close, no_synchronization

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
