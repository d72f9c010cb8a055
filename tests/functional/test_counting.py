"""Histograms of whole numbers."""

import numpy as np
import pytest

import nnx
from nnx.functional.counting import bin_sums
from nnx.random import Generator
from nnx.testing import assert_close, no_synchronization


@pytest.mark.parametrize("size", [0, 1, 50, 9_000])
@pytest.mark.parametrize("count", [1, 7, 300])
def test_how_many_keys_there_are(backend, size, count):
    keys = Generator(1).integers(size).astype(np.int64) % (count + 3)
    expected = np.asarray([(keys == number).sum() for number in range(count)])
    with no_synchronization():
        found = bin_sums(backend.asarray(keys), count)
    assert np.array_equal(nnx.to_numpy(found), expected)
    assert nnx.to_numpy(found).dtype == np.int64


@pytest.mark.parametrize("size", [0, 1, 50, 9_000])
@pytest.mark.parametrize("count", [1, 7, 300])
def test_what_their_weights_add_up_to(backend, size, count):
    keys = Generator(1).integers(size).astype(np.int64) % (count + 3)
    weights = Generator(2).uniform((size,))
    expected = np.asarray([weights[keys == number].sum() for number in range(count)])
    with no_synchronization():
        found = bin_sums(backend.asarray(keys), count, backend.asarray(weights))
    assert_close(found, expected, length=max(size, 1), like=backend.zeros(()))
