"""Checks of what scikit-learn hands to an estimator: samples, targets and weights, as arrays of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.backends import is_tabular, table_problem, to_numpy
from nnx.lazy_loading import optional_import
from nnx.text.values import is_texts

validation = optional_import("sklearn.utils.validation", "nnx.sklearn", "sklearn")


def as_samples(estimator: Any, X: Any, reset: bool) -> np.ndarray:
    """Samples (n, features), or (n, ..., channels), of finite numbers.

    reset : whether the estimator learns from them what samples look like, in `n_features_in_` and `feature_names_in_`;
        else they have to look like that.

    Raises what scikit-learn raises for the like, and of a data frame names the columns that are not made of numbers.
    """
    numbers = _as_numbers(X, "X")
    samples: np.ndarray = validation.check_array(numbers, allow_nd=True, estimator=estimator, input_name="X")
    validation.validate_data(estimator, X=X, reset=reset, skip_check_array=True)
    return samples


def as_target_numbers(estimator: Any, y: Any) -> np.ndarray:
    """Targets (n,) or (n, outputs) of finite numbers."""
    require_targets(estimator, y)
    numbers = _as_numbers(y, "y")
    targets: np.ndarray = validation.check_array(numbers, ensure_2d=False, estimator=estimator, input_name="y")
    return targets


def as_labels(estimator: Any, y: Any) -> np.ndarray:
    """Labels (n,), or (n, labels) of 0 and 1, of any dtype. A column (n, 1) is taken with scikit-learn's warning."""
    require_targets(estimator, y)
    if is_tabular(y) and not table_problem(y, "y"):
        y = to_numpy(y)  # scikit-learn makes floats of pandas' nullable integers
    labels: np.ndarray = validation.check_array(y, ensure_2d=False, dtype=None, estimator=estimator, input_name="y")
    return validation.column_or_1d(labels, warn=True) if labels.shape[1:] == (1,) else labels


def require_targets(estimator: Any, y: Any) -> None:
    """ValueError, as scikit-learn words it, where there are no targets."""
    if y is None:
        name = type(estimator).__name__
        raise ValueError(f"This {name} estimator requires y to be passed, but the target y is None.")


def as_weights(estimator: Any, sample_weight: Any, samples: np.ndarray) -> np.ndarray | None:
    """Weights (n,) of samples as float64, none of them negative; None where they are all equal, or not given."""
    if sample_weight is None:
        return None
    numbers = _as_numbers(sample_weight, "sample_weight")
    weights: np.ndarray = validation.check_array(
        numbers, ensure_2d=False, dtype=np.float64, estimator=estimator, input_name="sample_weight"
    )
    if weights.shape != samples.shape[:1]:
        raise ValueError(f"sample_weight.shape == {weights.shape}, expected {samples.shape[:1]}, one for each sample")
    if weights.min() < 0.0:
        raise ValueError("Negative values in data passed to `sample_weight`")
    if not weights.any():
        raise ValueError("all values of sample_weight are zero: no sample is left, and no class")
    return weights


def _as_numbers(value: Any, what: str) -> Any:
    """A data frame, or a column of one, as an array; anything else as it is."""
    problem = table_problem(value, what)
    if problem:
        raise ValueError(f"{what}, a {type(value).__name__}, is not made of numbers: {problem}")
    if is_texts(value):
        raise ValueError(
            f"{what} are texts, and the estimator takes numbers: put a TfidfVectorizer or an OrdinalEncoder of "
            f"scikit-learn before it in a pipeline, or train a model of nnx that begins with TextVectorization"
        )
    return to_numpy(value) if is_tabular(value) else value
