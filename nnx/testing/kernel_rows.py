"""A row for every kernel: arguments with which it has to equal its generic twin.

To add a kernel, add its name and a few examples; `Values` lays the arrays out in memory in every way that matters, and
poisons them, one after the other, with NaN and infinities.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from nnx.backends import Array
from nnx.random import Draw
from nnx.testing.kernel_examples import Example, Values


def _cupy(example: Example) -> Example:
    return dataclasses.replace(example, only="cupy")


def _loss(make: Callable[[Values], tuple[Any, ...]], **options: Any) -> Example:
    return Example(make, options, length=8, number=True)


def _update(make: Callable[[Values], tuple[Any, ...]]) -> Example:
    return Example(make, sizes=(0, 1, 6, 65_536, 70_001))  # NumPy's kernels work in blocks of 65,536


def _noise(make: Callable[[Values, Array, Draw], tuple[Any, ...]]) -> list[Example]:
    """Normal noise on even and odd numbers of elements, one block of random words and several."""

    def of(shape: Callable[[int], tuple[int, ...]]) -> Example:
        return Example(lambda v: make(v, v.normal(*shape(v.n)), Draw(7, 2**64, -(-math.prod(shape(v.n)) // 2) * 2)))

    return [of(lambda n: (n, 3)), of(lambda n: (2, n, 5)), of(lambda n: (n, 7, 11))]


def _alpha_dropout(rate: float) -> Example:
    return Example(lambda v: (v.normal(v.n, 3), rate, Draw(1, 2, 3 * v.n)))


def _words_below(threshold: int) -> Example:
    return Example(lambda v: (v.normal(v.n, 3), Draw(7, 2**64, 3 * v.n), threshold))


_UNARY = [
    Example(lambda v: (v.normal(v.n),)),
    Example(lambda v: (v.normal(v.n, 5),)),
    Example(lambda v: (v.normal(2, v.n, 3),)),
    Example(lambda v: (v.normal(v.n, 4, scale=200.0),)),
    Example(lambda v: (v.normal(),)),
    Example(lambda v: (v.normal(200, 50),), sizes=(1,)),
]

ROWS: dict[str, list[Example]] = {
    "adadelta": [_update(lambda v: (v.normal(v.n), v.normal(v.n), v.positive(v.n), v.positive(v.n), 0.5, 0.95, 1e-7))],
    "alpha_dropout": [_alpha_dropout(0.0), _alpha_dropout(0.4)],
    "adagrad": [_update(lambda v: (v.normal(v.n), v.normal(v.n), v.positive(v.n), 0.5, 1e-7))],
    "adam": [
        _update(lambda v: (v.normal(v.n), v.normal(v.n), v.normal(v.n), v.positive(v.n), None, 0.1, 0.9, 0.99, 1e-7)),
        _update(
            lambda v: (
                *(v.normal(v.n), v.normal(v.n), v.normal(v.n), v.positive(v.n), v.positive(v.n)),
                *(0.1, 0.9, 0.999, 1e-7),
            )
        ),
    ],
    "adamax": [_update(lambda v: (v.normal(v.n), v.normal(v.n), v.normal(v.n), v.positive(v.n), 0.1, 0.9, 0.99, 1e-7))],
    "batch_normalization": [
        Example(lambda v: (v.normal(v.n, 4), v.normal(4), v.normal(4)), length=8),
        Example(lambda v: (v.normal(v.n, 4), None, v.normal(4)), length=8),
        Example(lambda v: (v.normal(v.n, 4), v.normal(4)), length=8),
        Example(lambda v: (v.normal(v.n, 4),), {"epsilon": 1e-2}, length=8),
        Example(lambda v: (v.normal(2, v.n, 3, 4), v.normal(4), v.normal(4)), length=40),
        Example(lambda v: (v.normal(2, 4, v.n, 3), v.normal(4), v.normal(4)), {"axis": 1}, length=40),
        Example(lambda v: (v.normal(2, v.n, 3, 4), v.normal(3), v.normal(3)), {"axis": 2}, length=60),
        Example(lambda v: (v.normal(9, 31, 47), v.normal(47), v.normal(47)), sizes=(1,), length=280),
        Example(lambda v: (v.normal(2, 60, 50, 48), v.normal(48), v.normal(48)), sizes=(1,), length=6000),
    ],
    "batch_normalization_inference": [
        Example(lambda v: (v.normal(v.n, 4), v.constant(4), v.constant(4), v.normal(4), v.normal(4)), length=8),
        Example(lambda v: (v.normal(v.n, 4), v.constant(4), v.constant(4), None, v.normal(4)), length=8),
        Example(lambda v: (v.normal(v.n, 4), v.constant(4), v.constant(4)), {"epsilon": 1e-2}, length=8),
        Example(lambda v: (v.normal(2, 4, v.n, 3), v.constant(4), v.constant(4), v.normal(4)), {"axis": 1}, length=40),
        Example(
            lambda v: (v.normal(9, 31, 47), v.constant(47), v.constant(47), v.normal(47), v.normal(47)),
            sizes=(1,),
            length=280,
        ),
    ],
    "bin_sums": [
        Example(lambda v: (v.labels(v.n, classes=5), 5)),
        Example(lambda v: (v.labels(v.n, classes=5, dtype="int32"), 3)),  # those from 3 on are left out
        Example(lambda v: (v.labels(v.n, classes=5), 4, v.constant(v.n)), length=6),
        Example(lambda v: (v.labels(9_000, classes=400), 400), sizes=(1,)),
        Example(lambda v: (v.labels(9_000, classes=400), 400, v.constant(9_000)), sizes=(1,), length=9_000),
    ],
    "binary_crossentropy": [
        _loss(lambda v: (v.binary(v.n, 1), v.normal(v.n, 1)), from_logits=True),
        _loss(lambda v: (v.binary(v.n, 3), v.normal(v.n, 3)), from_logits=True),
        _loss(lambda v: (v.positive(v.n, 3), v.normal(v.n, 3)), from_logits=True, label_smoothing=0.1),
        _loss(lambda v: (v.binary(v.n, 2), v.normal(v.n, 2, scale=300.0)), from_logits=True, axis=1),
        _cupy(_loss(lambda v: (v.binary(v.n, 2, 40), v.normal(v.n, 2, 40)), from_logits=True)),
    ],
    "categorical_crossentropy": [
        _loss(lambda v: (v.one_hot(v.n, 4), v.normal(v.n, 4)), from_logits=True),
        _loss(lambda v: (v.distribution(v.n, 4), v.normal(v.n, 4)), from_logits=True, label_smoothing=0.1),
        _loss(lambda v: (v.positive(v.n, 4), v.normal(v.n, 4)), from_logits=True),
        _loss(lambda v: (v.one_hot(v.n, 8), v.normal(v.n, 8, scale=300.0)), from_logits=True, axis=1),
        _cupy(_loss(lambda v: (v.distribution(v.n, 2, 70), v.normal(v.n, 2, 70)), from_logits=True)),
        _cupy(_loss(lambda v: (v.one_hot(v.n, 700), v.normal(v.n, 700)), from_logits=True, label_smoothing=0.1)),
    ],
    "decay_weights": [
        _update(lambda v: (v.normal(v.n), None, 0.01)),
        _update(lambda v: (v.normal(v.n), v.binary(v.n), 0.01)),
    ],
    "dropout": [
        Example(lambda v: (v.normal(v.n, 3), 0.4, Draw(1, 2, 3 * v.n))),
        Example(lambda v: (v.normal(v.n, 3), 0.0, Draw(1, 2, 3 * v.n))),
        Example(lambda v: (v.normal(v.n, 3), 1.0, Draw(1, 2, 3 * v.n))),
        Example(lambda v: (v.normal(v.n, 3), 0.4, Draw(1, 2, 3 * v.n), (v.n, 3))),
    ],
    "embedding": [
        Example(lambda v: (v.labels(v.n, 3, classes=4), v.normal(4, 5)), length=18, without_cotangent=1),
        Example(lambda v: (v.labels(v.n, classes=4, dtype="int32"), v.normal(4, 5)), length=6, without_cotangent=1),
        Example(
            lambda v: (v.labels(40, 90, classes=700), v.normal(700, 30)), sizes=(1,), length=40, without_cotangent=1
        ),
    ],
    "erfc": _UNARY,
    "elu": [*_UNARY, Example(lambda v: (v.normal(v.n), 0.3))],
    "gelu": [*_UNARY, Example(lambda v: (v.normal(v.n),), {"approximate": True})],
    "gaussian_dropout": [*_noise(lambda v, x, draw: (x, 0.2, draw))],
    "gaussian_noise": [*_noise(lambda v, x, draw: (x, 0.3, draw))],
    "ftrl": [
        _update(lambda v: (v.normal(v.n), v.normal(v.n), v.positive(v.n), v.normal(v.n), 0.5, -0.5, 0.4, 0.2, 0.05))
    ],
    "group_normalization": [
        Example(lambda v: (v.normal(v.n, 6), v.normal(6), v.normal(6), 2), length=8),
        Example(lambda v: (v.normal(v.n, 6), None, v.normal(6), 3), length=8),
        Example(lambda v: (v.normal(v.n, 6), v.normal(6), None, 1), length=8),
        Example(lambda v: (v.normal(v.n, 6), None, None, 6), length=8),
        Example(lambda v: (v.normal(v.n, 3, 2, 6), v.normal(6), v.normal(6), 2), {"epsilon": 1e-2}, length=40),
        Example(lambda v: (v.normal(3, 31, 20, 12), v.normal(12), v.normal(12), 4), sizes=(1,), length=2000),
    ],
    "layer_normalization": [
        Example(lambda v: (v.normal(v.n, 4), v.normal(4), v.normal(4)), length=8),
        Example(lambda v: (v.normal(v.n, 4), None, v.normal(4)), length=8),
        Example(lambda v: (v.normal(v.n, 4), v.normal(4)), length=8),
        Example(lambda v: (v.normal(v.n, 4),), {"epsilon": 1e-2}, length=8),
        Example(lambda v: (v.normal(v.n, 3, 4), v.normal(3, 4), v.normal(3, 4)), {"axis": (1, 2)}, length=20),
        Example(lambda v: (v.normal(9, 31, 47), v.normal(47), v.normal(47)), sizes=(1,), length=280),
    ],
    "gru_recurrence": [
        Example(
            lambda v: (v.normal(3, v.n, 12), v.normal(v.n, 4), v.normal(4, 12), v.normal(12)), length=100, several=True
        ),
        Example(lambda v: (v.normal(3, v.n, 6), v.normal(v.n, 2), v.normal(2, 6)), length=100, several=True),
        Example(
            lambda v: (v.normal(3, v.n, 6), v.normal(v.n, 2), v.normal(2, 6), v.normal(6), v.mask(3, v.n, 1)),
            length=100,
            several=True,
        ),
    ],
    "is_largest": [
        Example(lambda v: (v.normal(v.n, 4), v.labels(v.n, classes=4))),
        Example(lambda v: (v.binary(v.n, 3, 2), v.labels(v.n, 3, classes=3))),  # equal elements, and no such index
        Example(lambda v: (v.normal(v.n, 1), v.labels(v.n, classes=1))),
        Example(lambda v: (v.normal(v.n, 700), v.labels(v.n, classes=3))),
    ],
    "leaky_relu": [*_UNARY, Example(lambda v: (v.normal(v.n), 0.3))],
    "lion": [_update(lambda v: (v.normal(v.n), v.normal(v.n), v.normal(v.n), 0.1, 0.9, 0.99))],
    "log_sigmoid": _UNARY,
    "log_softmax": [*_UNARY[1:4], Example(lambda v: (v.normal(v.n, 5, 2),), {"axis": 1})],
    "lstm_recurrence": [
        Example(
            lambda v: (v.normal(3, v.n, 16), v.normal(v.n, 4), v.normal(v.n, 4), v.normal(4, 16)),
            length=100,
            several=True,
        ),
        Example(
            lambda v: (v.normal(3, v.n, 8), v.normal(v.n, 2), v.normal(v.n, 2), v.normal(2, 8), v.mask(3, v.n, 1)),
            length=100,
            several=True,
        ),
    ],
    "mean_squared_error": [
        _loss(lambda v: (v.normal(v.n, 1), v.normal(v.n, 1))),
        _loss(lambda v: (v.normal(v.n, 3), v.normal(v.n, 3))),
        _loss(lambda v: (v.normal(2, v.n, 3), v.normal(2, v.n, 3))),
    ],
    "mish": _UNARY,
    "momentum": [
        _update(lambda v: (v.normal(v.n), v.normal(v.n), v.normal(v.n), 0.1, 0.9, False)),
        _update(lambda v: (v.normal(v.n), v.normal(v.n), v.normal(v.n), 0.1, 0.9, True)),
    ],
    "moving_average": [_update(lambda v: (v.normal(v.n), v.normal(v.n), 0.9))],
    "nadam": [
        _update(
            lambda v: (
                *(v.normal(v.n), v.normal(v.n), v.normal(v.n), v.positive(v.n)),
                *(0.1, 0.2, 1.5, 0.9, 0.999, 1e-7),
            )
        )
    ],
    "prelu": [
        Example(lambda v: (v.normal(v.n, 3), v.normal(3)), length=6),
        Example(lambda v: (v.normal(v.n, 2, 3), v.normal(1, 3)), length=12),
        Example(lambda v: (v.normal(v.n, 2, 3), v.normal(2, 1)), length=18),
        Example(lambda v: (v.normal(v.n, 1, 3), v.normal(1, 1)), length=18),
    ],
    "relu": _UNARY,
    "rmsprop": [
        _update(lambda v: (v.normal(v.n), v.normal(v.n), v.positive(v.n), None, None, 0.1, 0.9, 0.0, 1e-7)),
        _update(lambda v: (v.normal(v.n), v.normal(v.n), v.positive(v.n), None, v.normal(v.n), 0.1, 0.9, 0.8, 1e-7)),
        _update(lambda v: (v.normal(v.n), v.normal(v.n), v.positive(v.n), v.normal(v.n), None, 0.1, 0.9, 0.0, 9.0)),
        _update(
            lambda v: (
                *(v.normal(v.n), v.normal(v.n), v.positive(v.n), v.normal(v.n), v.normal(v.n)),
                *(0.1, 0.9, 0.8, 9.0),
            )
        ),
    ],
    "rms_normalization": [
        Example(lambda v: (v.normal(v.n, 4), v.normal(4)), length=8),
        Example(lambda v: (v.normal(v.n, 4),), {"epsilon": 1e-2}, length=8),
        Example(lambda v: (v.normal(v.n, 3, 4), v.normal(3, 4)), {"axis": (-2, -1)}, length=20),
        Example(lambda v: (v.normal(9, 31, 47), v.normal(47)), sizes=(1,), length=280),
    ],
    "scaled_sum": [
        Example(lambda v: (v.normal(v.n), 0.25), sizes=(0, 1, 6, 600), length=600),
        Example(lambda v: (v.normal(v.n, 3), 1.0), length=18),
    ],
    "selu": _UNARY,
    "sgd": [_update(lambda v: (v.normal(v.n), v.normal(v.n), 0.1))],
    "sigmoid": _UNARY,
    "silu": _UNARY,
    "simple_rnn_recurrence": [
        Example(lambda v: (v.normal(3, v.n, 4), v.normal(v.n, 4), v.normal(4, 4)), length=100, several=True),
    ],
    "softmax": [
        Example(lambda v: (v.normal(v.n, 5),), length=5),
        Example(lambda v: (v.normal(2, v.n, 3),), length=3),
        Example(lambda v: (v.normal(v.n, 4, scale=200.0),), length=4),
        Example(lambda v: (v.normal(v.n, 5, 2),), {"axis": 1}, length=5),
        Example(lambda v: (v.normal(3, 1),), sizes=(1,)),
        Example(lambda v: (v.normal(3, 700),), sizes=(1,), length=700),
    ],
    "softplus": _UNARY,
    "sparse_categorical_crossentropy": [
        _loss(lambda v: (v.labels(v.n, classes=4), v.normal(v.n, 4)), from_logits=True),
        _loss(lambda v: (v.labels(v.n, 1, classes=4, dtype="int32"), v.normal(v.n, 4)), from_logits=True),
        _loss(lambda v: (v.labels(v.n, classes=8), v.normal(v.n, 8, scale=300.0)), from_logits=True, axis=1),
        _cupy(_loss(lambda v: (v.labels(v.n, 2, classes=4), v.normal(v.n, 2, 4)), from_logits=True)),
        _cupy(_loss(lambda v: (v.labels(v.n, classes=4), v.normal(v.n, 4)), from_logits=True, ignore_class=1)),
        _cupy(_loss(lambda v: (v.labels(v.n, classes=3, dtype="uint8"), v.normal(v.n, 700)), from_logits=True)),
    ],
    "tanh": _UNARY,
    "uniform": [Example(lambda v: (v.normal(v.n, 3), Draw(7, 2**64, 3 * v.n)))],
    "words_below": [_words_below(threshold) for threshold in (0, 1, 2**31, 2**32)],
}
"""By the name of the generic function."""

assert math.prod(map(len, ROWS.values())) > 0, "a row without examples proves nothing"
