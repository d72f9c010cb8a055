"""The data sets that come with scikit-learn."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import nnx.random
from nnx.datasets import breast_cancer, digits

sklearn_datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")


def test_digits_are_those_of_scikit_learn():
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    assert x_train.shape == (1437, 8, 8)
    assert x_test.shape == (360, 8, 8)
    assert x_train.dtype == np.float32
    assert y_train.dtype == np.int64
    assert x_train.min() == 0.0
    assert x_train.max() == 1.0
    bundled = sklearn_datasets.load_digits()
    rows = {(image * np.float32(16)).tobytes(): label for image, label in zip(x_train, y_train, strict=True)}
    rows |= {(image * np.float32(16)).tobytes(): label for image, label in zip(x_test, y_test, strict=True)}
    expected = zip(bundled.images.astype(np.float32), bundled.target, strict=True)
    assert rows == {image.tobytes(): label for image, label in expected}


def test_breast_cancer_is_that_of_scikit_learn():
    (x_train, y_train), (x_test, y_test) = breast_cancer.load_data()
    assert x_train.shape == (455, 30)
    assert x_test.shape == (114, 30)
    assert x_train.dtype == x_test.dtype == np.float32
    assert y_train.dtype == np.int64
    bundled = sklearn_datasets.load_breast_cancer()
    order = np.lexsort(np.concatenate([x_train, x_test]).T)
    expected = np.lexsort(bundled.data.astype(np.float32).T)
    np.testing.assert_array_equal(np.concatenate([x_train, x_test])[order], bundled.data[expected].astype(np.float32))
    np.testing.assert_array_equal(np.concatenate([y_train, y_test])[order], bundled.target[expected])


def test_standardize_uses_the_training_data_alone():
    (raw_train, _), (raw_test, y_test) = breast_cancer.load_data()
    (x_train, _), (x_test, labels) = breast_cancer.load_data(standardize=True)
    assert x_train.dtype == x_test.dtype == np.float32
    np.testing.assert_allclose(x_train.mean(axis=0, dtype=np.float64), 0.0, atol=1e-6)
    np.testing.assert_allclose(x_train.std(axis=0, dtype=np.float64), 1.0, rtol=1e-6)
    mean, deviation = raw_train.mean(axis=0, dtype=np.float64), raw_train.std(axis=0, dtype=np.float64)
    np.testing.assert_allclose(x_test, (raw_test - mean) / deviation, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(labels, y_test)


@pytest.mark.parametrize("module", [digits, breast_cancer])
def test_the_split_depends_on_its_seed_alone(module):
    (_, first), (_, first_test) = module.load_data()
    nnx.random.set_seed(9)
    np.random.seed(9)  # noqa: NPY002, the global generator must not matter
    state = nnx.random.default().state()
    (_, second), (_, second_test) = module.load_data()
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first_test, second_test)
    assert nnx.random.default().state() == state
    (_, other), _ = module.load_data(seed=114)
    assert (other != first).any()


def test_the_order_of_the_digits_stays_what_it_is():
    _, (_, labels) = digits.load_data()
    assert labels[:12].tolist() == [2, 4, 4, 3, 1, 9, 5, 2, 7, 7, 3, 3]


@pytest.mark.parametrize(("test_split", "count"), [(0.0, 0), (0.25, 143), (0.999, 568)])
def test_test_split_is_the_fraction_for_testing(test_split, count):
    (x_train, y_train), (x_test, y_test) = breast_cancer.load_data(test_split=test_split)
    assert len(x_test) == len(y_test) == count
    assert len(x_train) == len(y_train) == 569 - count


@pytest.mark.parametrize("test_split", [-0.1, 1.0, 5, float("nan")])
def test_test_split_has_to_be_a_fraction(test_split):
    with pytest.raises(ValueError, match="test_split must be a fraction"):
        digits.load_data(test_split=test_split)


@pytest.mark.parametrize("module", [digits, breast_cancer])
def test_without_scikit_learn_the_error_names_the_extra(module, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"needs sklearn.*pip install 'nnx-array\[examples\]'"):
        module.load_data()
