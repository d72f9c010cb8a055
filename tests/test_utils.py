"""One-hot labels, unit vectors, one seed for everything."""

from __future__ import annotations

import random

import numpy as np
import pytest

import nnx.random
from nnx import utils
from nnx.backends import backend_of, to_numpy
from nnx.lazy_loading import optional_import
from nnx.testing import assert_close
from nnx.utils import np_utils


@pytest.mark.parametrize(
    ("labels", "num_classes", "expected"),
    [
        ([0, 2, 1], None, [[1, 0, 0], [0, 0, 1], [0, 1, 0]]),
        ([0, 1], 3, [[1, 0, 0], [0, 1, 0]]),
        ([[1], [0]], None, [[0, 1], [1, 0]]),
        ([[0, 1], [1, 1]], None, [[[1, 0], [0, 1]], [[0, 1], [0, 1]]]),
        (np.array([1.0, 0.0]), None, [[0, 1], [1, 0]]),
        (np.array([True, False]), None, [[0, 1], [1, 0]]),
        (np.array([2], np.uint8), np.int64(3), [[0, 0, 1]]),
        (1, None, [0, 1]),
        ([], 2, np.zeros((0, 2))),
        ([0], None, [[1]]),
    ],
)
def test_to_categorical(labels, num_classes, expected):
    categorical = utils.to_categorical(labels, num_classes)
    assert isinstance(categorical, np.ndarray)
    assert categorical.dtype == np.float32
    np.testing.assert_array_equal(categorical, np.asarray(expected))


@pytest.mark.parametrize(
    ("labels", "num_classes", "error", "message"),
    [
        ([0, -1], None, ValueError, "labels from 0, got -1"),
        ([0, 1.5], None, ValueError, r"integer labels, got 1\.5"),
        ([0, float("nan")], None, ValueError, "integer labels, got nan"),
        ([float("inf")], 3, ValueError, "integer labels, got inf"),
        (["cat", "dog"], None, TypeError, r"dtype <U3; number the classes first.*np\.unique"),
        ([0, 3], 3, ValueError, "label 3 does not fit num_classes=3, which allows 0 to 2; pass num_classes=4 or more"),
        ([], None, ValueError, "pass num_classes"),
        ([0], 0, ValueError, "num_classes must be a positive integer, got 0"),
        ([0], 2.0, ValueError, r"num_classes must be a positive integer, got 2\.0"),
        ([0], True, ValueError, "num_classes must be a positive integer, got True"),
    ],
)
def test_to_categorical_says_what_is_wrong(labels, num_classes, error, message):
    with pytest.raises(error, match=message):
        utils.to_categorical(labels, num_classes)


def test_to_categorical_stays_beside_its_labels(backend):
    labels = backend.asarray(np.array([[2], [0]]))
    categorical = utils.to_categorical(labels)
    assert backend_of(categorical).name == backend.name
    assert backend.holds(categorical)
    assert categorical.dtype == backend.xp.float32
    np.testing.assert_array_equal(to_numpy(categorical), [[0, 0, 1], [1, 0, 0]])


def test_older_scripts_find_to_categorical_in_np_utils():
    assert np_utils.to_categorical is utils.to_categorical
    assert utils.np_utils is np_utils


@pytest.mark.parametrize("order", [1, 2, 3, float("inf")])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_normalize(backend, order, axis):
    x = np.random.default_rng(2).normal(size=(4, 5)).astype(np.float32)
    wide = x.astype(np.float64)
    expected = wide / np.linalg.norm(wide, order, axis=axis, keepdims=True)
    like = backend.asarray(x)
    assert_close(utils.normalize(like, axis=axis, order=order), expected, length=5, like=like)


def test_normalize_keeps_zero_vectors_and_float64():
    x = np.array([[0.0, 0.0], [3.0, 4.0]])
    unit = utils.normalize(x)
    assert unit.dtype == np.float64
    np.testing.assert_array_equal(unit, [[0.0, 0.0], [0.6, 0.8]])
    np.testing.assert_array_equal(x, [[0.0, 0.0], [3.0, 4.0]])


@pytest.mark.parametrize("x", [[3, 4], [3.0, 4.0], np.array([3, 4])])
def test_normalize_gives_float32_for_lists_and_integers(x):
    unit = utils.normalize(x)
    assert unit.dtype == np.float32
    assert_close(unit, np.array([0.6, 0.8], np.float32))


def test_normalize_needs_a_positive_order():
    with pytest.raises(ValueError, match="order must be positive, got 0"):
        utils.normalize([1.0], order=0)


def draws() -> list[float]:
    return [random.random(), float(np.random.random()), *nnx.random.default().uniform((2,))]  # noqa: NPY002


def test_set_random_seed_seeds_every_stream():
    utils.set_random_seed(7)
    first = draws()
    assert draws() != first
    utils.set_random_seed(np.int64(7))
    assert draws() == first
    utils.set_random_seed(8)
    assert all(a != b for a, b in zip(draws(), first, strict=True))


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, "1", None, True])
def test_a_bad_seed_changes_nothing(seed):
    utils.set_random_seed(7)
    first = draws()
    utils.set_random_seed(7)
    with pytest.raises(ValueError, match=r"seed must be an integer from 0 to 2\*\*32 - 1"):
        utils.set_random_seed(seed)
    assert draws() == first


def test_a_missing_package_names_the_extra():
    with pytest.raises(ImportError, match=r"this test needs no_such_package.*pip install 'nnx-array\[examples\]'"):
        optional_import("no_such_package.part", "this test")
    assert optional_import("json", "this test").dumps(1) == "1"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [[0, 0, 1], [0, 2, 3], [5, 6, 7], [0, 0, 0]]),
        ({"maxlen": 2}, [[0, 1], [2, 3], [6, 7], [0, 0]]),
        ({"maxlen": 2, "padding": "post", "truncating": "post", "value": 9}, [[1, 9], [2, 3], [5, 6], [9, 9]]),
        (
            {"maxlen": 4, "padding": "post", "dtype": "float32"},
            [[1, 0, 0, 0], [2, 3, 0, 0], [5, 6, 7, 0], [0, 0, 0, 0]],
        ),
    ],
)
def test_pad_sequences(options, expected):
    padded = utils.pad_sequences([[1], (2, 3), np.array([5, 6, 7]), []], **options)
    assert padded.dtype == options.get("dtype", "int32")
    np.testing.assert_array_equal(padded, expected)


def test_pad_sequences_of_steps():
    padded = utils.pad_sequences([[[1, 2]], [[3, 4], [5, 6]]])
    np.testing.assert_array_equal(padded, [[[0, 0], [1, 2]], [[3, 4], [5, 6]]])
    assert utils.pad_sequences([]).shape == (0, 0)
    with pytest.raises(ValueError, match=r"sequence 1 has steps of shape \(\), the first one of \(2,\)"):
        utils.pad_sequences([[[1, 2]], [3]])
    with pytest.raises(ValueError, match="expects a list of sequences, got 1 as number 0"):
        utils.pad_sequences([1, 2])
    with pytest.raises(ValueError, match="padding must be 'pre' or 'post', got 'left'"):
        utils.pad_sequences([[1]], padding="left")


def test_what_is_not_there_says_what_to_write():
    with pytest.raises(AttributeError, match=r"rearrange"):
        _ = nnx.ops.rearrange
    with pytest.raises(AttributeError, match=r"did you mean 'transpose'"):
        _ = nnx.ops.transposed
