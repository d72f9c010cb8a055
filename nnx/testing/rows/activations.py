"""Rows of the activations: formula, examples, and whether Keras has them.

A new activation is a function in `nnx/functional/activations.py`, its name in `nnx/activations.py`, and a row here.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nnx import activations
from nnx.functional import activations as functions
from nnx.testing.rows.completeness import row_complaints

Options = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class ActivationRow:
    """An activation.

    formula : the same function of float64 arrays in plain NumPy, accurate from -8 to 8.
    options : keyword arguments to call it with, an example each.
    elementwise : whether each element is computed from one alone.
    keras : whether Keras has it with the same values and arguments, or the examples in which it does.
    keras_range : where Keras computes it; farther out, ours goes on.
    """

    formula: Callable[..., Any]
    options: tuple[Options, ...] = ({},)
    elementwise: bool = True
    keras: bool | tuple[Options, ...] = True
    keras_range: tuple[float, float] = (-math.inf, math.inf)

    @property
    def keras_options(self) -> tuple[Options, ...]:
        """The examples that are compared with Keras."""
        return (self.options if self.keras else ()) if isinstance(self.keras, bool) else self.keras


def _normal_cdf(x: Any) -> Any:
    return np.vectorize(lambda value: 0.5 * math.erfc(-value / math.sqrt(2.0)))(x)


def _elu(x: Any, alpha: float = 1.0) -> Any:
    return np.where(x > 0, x, alpha * (np.exp(x) - 1))


def _gelu(x: Any, approximate: bool = False) -> Any:
    if approximate:
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x * _normal_cdf(x)


def _relu(x: Any, negative_slope: float = 0.0, max_value: float = math.inf, threshold: float = 0.0) -> Any:
    lowest = min(threshold, 0.0) if max_value == math.inf else 0.0  # in Keras a bound above comes with one at 0
    return np.where(x > threshold, np.clip(x, lowest, max_value), negative_slope * (x - threshold))


def _softmax(x: Any, axis: int = -1) -> Any:
    return np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)


def _sparsemax(x: Any, axis: int = -1) -> Any:
    """By bisection for t in sum(max(x - t, 0)) = 1."""
    low, high = x.min(axis=axis, keepdims=True) - 1.0, x.max(axis=axis, keepdims=True)
    for _ in range(100):
        middle = (low + high) / 2.0
        too_much = np.maximum(x - middle, 0.0).sum(axis=axis, keepdims=True) > 1.0
        low, high = np.where(too_much, middle, low), np.where(too_much, high, middle)
    return np.maximum(x - high, 0.0)


ACTIVATIONS: dict[str, ActivationRow] = {
    "celu": ActivationRow(
        lambda x, alpha=1.0: np.where(x > 0, x, alpha * (np.exp(x / alpha) - 1)), ({}, {"alpha": 0.3})
    ),
    "elu": ActivationRow(_elu, ({}, {"alpha": 0.5})),
    "exponential": ActivationRow(np.exp, keras_range=(-math.inf, 80.0)),  # infinite in Keras
    "gelu": ActivationRow(_gelu, ({}, {"approximate": True})),
    "hard_shrink": ActivationRow(
        lambda x, threshold=0.5: np.where(np.abs(x) > threshold, x, 0), ({}, {"threshold": 1.1}, {"threshold": 1.5})
    ),
    "hard_sigmoid": ActivationRow(lambda x: np.clip(x / 6 + 0.5, 0, 1)),
    "hard_silu": ActivationRow(lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    "hard_tanh": ActivationRow(lambda x: np.clip(x, -1, 1)),
    "leaky_relu": ActivationRow(
        lambda x, negative_slope=0.2: np.where(x > 0, x, negative_slope * x),
        ({}, {"negative_slope": 0.01}, {"negative_slope": 1.5}, {"negative_slope": -0.5}),
    ),
    "linear": ActivationRow(lambda x: x),
    "log_sigmoid": ActivationRow(lambda x: -np.log(1 + np.exp(-x))),
    "log_softmax": ActivationRow(lambda x, axis=-1: np.log(_softmax(x, axis)), ({}, {"axis": 0}), elementwise=False),
    "mish": ActivationRow(lambda x: x * np.tanh(np.log(1 + np.exp(x)))),
    "relu": ActivationRow(
        _relu,
        (
            *({}, {"negative_slope": 0.1}, {"max_value": 2.0}, {"max_value": 2.1}, {"max_value": 6}),
            *({"threshold": 1.0}, {"threshold": -1.0}, {"threshold": 1.1}, {"threshold": -1.1}),
            {"max_value": 2.1, "threshold": -1.1},
            {"negative_slope": 0.1, "max_value": 2.0, "threshold": 1.0},
            {"negative_slope": 0.1, "max_value": 2.1, "threshold": 1.1},
        ),
    ),
    "relu6": ActivationRow(lambda x: np.clip(x, 0, 6)),
    "selu": ActivationRow(lambda x: 1.0507009873554805 * _elu(x, 1.6732632423543772)),
    "sigmoid": ActivationRow(lambda x: 1 / (1 + np.exp(-x))),
    "silu": ActivationRow(lambda x: x / (1 + np.exp(-x))),
    "soft_shrink": ActivationRow(
        lambda x, threshold=0.5: x - np.clip(x, -threshold, threshold), ({}, {"threshold": 1.1}, {"threshold": 1.5})
    ),
    "softmax": ActivationRow(_softmax, ({}, {"axis": 0}), elementwise=False),
    "softplus": ActivationRow(lambda x: np.log(1 + np.exp(x))),
    "softsign": ActivationRow(lambda x: x / (1 + np.abs(x))),
    "sparse_plus": ActivationRow(lambda x: np.where(x <= -1, 0, np.where(x >= 1, x, (x + 1) ** 2 / 4))),
    "sparse_sigmoid": ActivationRow(lambda x: np.clip((x + 1) / 2, 0, 1)),
    # Keras 3.15 adds up cumulative sums
    "sparsemax": ActivationRow(_sparsemax, ({}, {"axis": 0}), elementwise=False, keras=False),
    "squareplus": ActivationRow(
        lambda x, b=4: (x + np.sqrt(x**2 + b)) / 2,
        ({}, {"b": 0.5}),
        keras_range=(-30.0, math.inf),  # has no digits left in Keras
    ),
    "step": ActivationRow(lambda x: np.where(x >= 0, 1.0, 0.0), keras=False),
    "tanh": ActivationRow(np.tanh),
    "tanh_shrink": ActivationRow(lambda x: x - np.tanh(x)),
    "threshold": ActivationRow(
        lambda x, threshold=0.0, default_value=0.0: np.where(x > threshold, x, default_value),
        ({}, {"threshold": 1.0, "default_value": -2.0}, {"threshold": 1.1, "default_value": -2.0}),
        keras=({"threshold": 1.1, "default_value": -2.0},),  # has no defaults in Keras
    ),
}


def complaints() -> list[str]:
    """What is missing for an activation, a sentence each: the file, and the line to add to it."""
    elementwise = set(functions.__all__) - {"prelu"}  # has a parameter: a layer
    known = set(activations.registry.objects)
    return [
        *(
            f"nnx/activations.py: add  {name} = _register(_public(functional.{name}))"
            for name in sorted(elementwise - known)
        ),
        *row_complaints(
            "nnx/testing/rows/activations.py",
            ACTIVATIONS,
            elementwise | known,
            '"{name}": ActivationRow(lambda x: <its formula in NumPy>),',
        ),
    ]
