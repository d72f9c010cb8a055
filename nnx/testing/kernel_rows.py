"""Rows of the table of kernels: for each, arguments with which it has to equal its generic twin.

A new kernel needs its name here and a few examples, in `ROWS`, whatever the backends that have it. `Values` lays the
arrays out in memory in every way that matters, and poisons them, one after the other, with NaN and infinities.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

from nnx import functional
from nnx.backends import Array
from nnx.functional import choice, guards, spreading  # noqa: F401, have generic forms
from nnx.functional.layerwise_updates import NEWTON_SCHULZ
from nnx.pullbacks import Differentiable, Ending
from nnx.random import Draw
from nnx.testing.kernel_examples import Example, Values
from nnx.windows import Axis, Windows, along_transposed_axis, windows_of


def _cupy(example: Example) -> Example:
    return dataclasses.replace(example, only="cupy")


def _loss(make: Callable[[Values], tuple[Any, ...]], **options: Any) -> Example:
    return Example(make, options, length=8, number=True)


def _loss_of_many(make: Callable[[Values], tuple[Any, ...]], **options: Any) -> Example:
    """Of more rows than a block has in compiled kernels."""
    return dataclasses.replace(_loss(make, **options), sizes=(1,))


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


def _finite(v: Values, *shape: int) -> Array:
    """Normal numbers that are not poisoned.

    Where windows reach over the border, NaN in a kernel spreads to other elements in each form; and which element of a
    window with NaN gets the gradient of its maximum is not specified.
    """
    poisoned, v.poisoned = v.poisoned, None
    array = v.normal(*shape)
    v.poisoned = poisoned
    return array


def _over(sizes: tuple[int, int], window: tuple[int, int], strides: Any = (1, 1), padding: str = "valid") -> Windows:
    return windows_of("table", sizes, window, strides, padding)


_SEQUENCE = Windows(Axis(9, 3, 1, 2, 4, 9), Axis(1, 1, 1, 1, 0, 1))  # causal and dilated
_DILATED = windows_of("table", (6, 7), (2, 3), (1, 1), "same", (2, 3))
_TRANSPOSED = Windows(along_transposed_axis(3, 3, 2, "same"), along_transposed_axis(4, 2, 3, "valid", 1))

# Sizes, windows, channels of the input and of the output, groups.
_CONVOLUTIONS: list[tuple[Windows, int, int, int]] = [
    (_over((5, 6), (3, 3)), 4, 5, 1),
    (_over((5, 6), (3, 2), (1, 1), "same"), 4, 5, 1),
    (_over((7, 6), (3, 2), (2, 3), "same"), 4, 5, 1),
    (_over((7, 6), (1, 1), (2, 3)), 4, 5, 1),
    (_over((5, 6), (1, 1)), 4, 5, 1),
    (_over((3, 4), (3, 4)), 4, 5, 1),
    (_over((5, 30), (3, 3)), 1, 2, 1),
    (_over((5, 6), (3, 3), (2, 2), "same"), 4, 6, 2),
    (_over((5, 6), (2, 2)), 6, 3, 3),
    (_SEQUENCE, 4, 5, 1),
    (_DILATED, 4, 5, 1),
    (windows_of("table", (8, 11), (3, 3), (2, 2), "same", (1, 2)), 4, 5, 1),
    (windows_of("table", (9, 11), (2, 4), (3, 2), "valid", (2, 3)), 4, 5, 1),
    (windows_of("table", (7, 15), (2, 4), (2, 4), "same", (3, 2)), 4, 5, 1),
    (_TRANSPOSED, 4, 5, 1),
    (_over((5, 6), (3, 3), (1, 1), "same"), 17, 3, 1),
    (_over((7, 6), (3, 2), (2, 3), "same"), 32, 4, 2),
]
_LARGE = _over((40, 41), (3, 3), (1, 1), "same")  # more than a block in float64: one image in several steps


def _correlate(windows: Windows, c: int, f: int, groups: int, sizes: tuple[int, ...]) -> Example:
    return Example(
        lambda v: (
            v.normal(v.n, *windows.sizes, c),
            v.normal(windows.rows.window, windows.columns.window, c // groups, f),
            windows,
            groups,
        ),
        sizes=sizes,
        length=windows.taps * c,
    )


def _transposed(windows: Windows, c: int, f: int, groups: int, sizes: tuple[int, ...]) -> Example:
    return Example(
        lambda v: (
            v.normal(v.n, *windows.counts, f),
            _finite(v, windows.rows.window, windows.columns.window, c // groups, f),
            windows,
            groups,
        ),
        sizes=sizes,
        length=windows.taps * f,
    )


def _kernel(windows: Windows, c: int, f: int, groups: int, sizes: tuple[int, ...]) -> Example:
    return Example(
        lambda v: (v.normal(v.n, *windows.sizes, c), v.normal(v.n, *windows.counts, f), windows, groups),
        sizes=sizes,
        length=6 * windows.counts[0] * windows.counts[1],
    )


def _depthwise(windows: Windows, c: int, m: int) -> Example:
    return Example(
        lambda v: (
            v.normal(v.n, *windows.sizes, c),
            _finite(v, windows.rows.window, windows.columns.window, c, m),
            windows,
        ),
        length=6 * windows.counts[0] * windows.counts[1],
    )


_POOLS = [
    _over((6, 8), (2, 2), (2, 2)),
    _over((7, 8), (3, 2), (3, 2)),
    _over((7, 7), (3, 3), (2, 2)),
    _over((5, 6), (3, 3), (1, 2), "same"),
    _over((7, 8), (2, 2), (3, 3)),
    _over((9, 1), (4, 1), (4, 1)),
    _over((4, 3), (1, 1), (1, 1)),
    _over((3, 4), (5, 5), (5, 5), "same"),
]


def _largest(windows: Windows) -> Example:
    return Example(lambda v: (_finite(v, v.n, *windows.sizes, 3), windows))


def _sum(windows: Windows) -> Example:
    return Example(lambda v: (v.normal(v.n, *windows.sizes, 3), windows), length=9)


_USUAL = (0, 1, 6)


def _biased(activate: Differentiable) -> Example:
    return Example(lambda v: (v.normal(v.n, 3), v.normal(3), activate), length=6, consumed=1)


def _dense(activate: Differentiable) -> Example:
    return Example(lambda v: (v.normal(v.n, 4), v.normal(4, 3), v.normal(3), activate), length=8)


_ACTIVATIONS_OF_A_BIAS: list[Differentiable] = [
    functional.linear,
    functional.relu,
    functional.sigmoid,
    functional.tanh,
    functional.silu,
    functional.softplus,
    functional.log_sigmoid,
    functional.leaky_relu,
    functional.elu,
    functional.selu,
    functional.gelu,
    functional.mish,
    functional.softmax,
    functools.partial(functional.gelu, approximate=True),
]


def _lamb(columns: int) -> Example:
    def make(v: Values) -> tuple[Any, ...]:
        w, g, m = (v.normal(v.n, columns) for _ in range(3))
        return w, g, m, v.positive(v.n, columns), 0.1, 0.9, 0.99, 2.0, 3.0, 1e-6

    return Example(make, length=6 * columns)


def _adafactor(*sizes: int) -> Example:
    def make(v: Values) -> tuple[Any, ...]:
        shape = (v.n, *sizes)
        slots = v.positive(*shape), v.positive(*shape)
        return v.normal(*shape), v.normal(*shape), *slots, 0.1, 0.8, 1e-30, 1e-3, 0.5

    return Example(make, length=6 * max(sizes, default=1))


def _muon(columns: int, nesterov: bool) -> Example:
    def make(v: Values) -> tuple[Any, ...]:
        w, g, m = (v.normal(v.n, columns) for _ in range(3))
        return w, g, m, 0.1, 0.9, nesterov, 2, NEWTON_SCHULZ

    return Example(make, length=12 * columns * 6)  # each of the two steps enlarges an error up to 3.4 times


def _mapped(interpolation: str, fill_mode: str, fill_value: float = 0.0, sign: float = 1.0) -> Example:
    """Images under maps that read far beyond their last edges, or with the sign -1 their first ones."""
    how = interpolation, fill_mode, fill_value
    return Example(lambda v: (_finite(v, v.n, 4, 5, 3), sign * v.constant(v.n, 6), *how), length=80)


def _attention(allowed: tuple[int, int] | None = None, **options: Any) -> Example:
    """Attention of two heads. allowed : the sizes of a mask, of heads and of targets."""

    def make(v: Values) -> tuple[Any, ...]:
        mask = None if allowed is None else v.mask(v.n, *allowed, 5)
        return v.normal(v.n, 2, 3, 4), v.normal(v.n, 2, 5, 4), v.normal(v.n, 2, 5, 3), mask

    return Example(make, options, length=60, several=True, only="cupy")


def _ended(activate: Differentiable) -> Example:
    """Batch normalisation with an addition and an activation that follow it, in several chunks of rows."""
    end = functools.partial(Ending, activate=activate)
    return Example(
        lambda v: (v.normal(900, 20), v.normal(20), v.normal(20), -1, 1e-3, None, end(v.constant(900, 20))),
        sizes=(1,),
        length=900,
    )


def _biased_and_ended(activate: Differentiable) -> Example:
    end = functools.partial(Ending, activate=activate)
    return Example(lambda v: (v.normal(v.n, 2, 4), v.normal(4), end(v.constant(v.n, 2, 4))), length=12, consumed=1)


def _self_attention(biased: bool = True, mask: tuple[int, ...] | None = None, **options: Any) -> Example:
    """Attention of three sequences to themselves, with three heads. mask : its shape, of sequences of four steps."""
    steps = None if mask is None else 4

    def make(v: Values) -> tuple[Any, ...]:
        x, allowed = v.normal(3, steps or v.n, 4), None if mask is None else v.mask(*mask)
        shapes = [((4, 3, 5), (3, 5))] * 3 + [((3, 5, 7), (7,))]
        return x, allowed, *(v.normal(*shape) for each in shapes for shape in (each if biased else each[:1]))

    return Example(make, {"biased": biased, **options}, (1, 6), length=300, several=True)


def _maps(arrays: int, *sizes: int) -> Example:
    return Example(lambda v: (*(v.normal(v.n) for _ in range(arrays)), *sizes), only="cupy")


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
    "adafactor": [_adafactor(), _adafactor(4), _adafactor(300)],
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
    "add_to_sum": [
        Example(lambda v: (v.normal(v.n),)),
        Example(lambda v: (v.normal(v.n), 3.0, v.normal(2, v.n))),
        Example(lambda v: (v.normal(), 32.0, v.normal(2))),
        Example(lambda v: (v.normal(v.n, 3), 0.5, v.normal(2, v.n, 3, scale=1e4))),
    ],
    "affine_transform": [
        _mapped("bilinear", "constant", sign=-1.0),
        _mapped("bilinear", "constant", 2.0),
        _mapped("bilinear", "reflect", sign=-1.0),
        _mapped("bilinear", "wrap"),
        _mapped("nearest", "nearest", sign=-1.0),
        _mapped("nearest", "constant", 2.0),
    ],
    "alpha_dropout": [_alpha_dropout(0.0), _alpha_dropout(0.4)],
    "attend": [
        _attention(),
        _attention(allowed=(1, 1)),
        _attention(allowed=(2, 3), causal=True),
        _attention(window=2),
        _attention(causal=True, window=2),
        Example(lambda v: (*(v.normal(v.n, 2, 3, 4) for _ in "qkv"), None, True), length=60, several=True, only="cupy"),
        Example(
            lambda v: (*(v.normal(v.n, 2, 3, 4) for _ in "qkv"), None, False, None, (0.4, Draw(1, 2, 18 * v.n))),
            length=60,
            several=True,
            only="cupy",
        ),
    ],
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
        Example(lambda v: (v.normal(v.n, 4), v.normal(4), v.normal(4)), {"activate": functional.relu}, length=8),
        Example(lambda v: (v.normal(v.n, 4), v.normal(4), v.normal(4)), {"activate": functional.tanh}, length=8),
        Example(lambda v: (v.normal(2, 4, v.n), v.normal(4)), {"axis": 1, "activate": functional.relu}, length=40),
        *map(_ended, (functional.linear, functional.relu, functional.sigmoid)),
        Example(
            lambda v: (v.normal(900, 20), None, v.normal(20), -1, 1e-3, None, functional.relu), sizes=(1,), length=900
        ),
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
    "bias_activation": [
        *(_biased(activate) for activate in _ACTIVATIONS_OF_A_BIAS),
        *map(_biased_and_ended, (functional.linear, functional.relu, functional.sigmoid)),
        Example(lambda v: (v.normal(2, v.n, 4), v.normal(4), functional.relu), length=12, consumed=1),
        Example(lambda v: (v.normal(5, v.n), v.normal(v.n), functional.relu), length=5, consumed=1),
        Example(lambda v: (v.normal(v.n, 50, 300), v.normal(300), functional.relu), length=300, consumed=1),
        Example(lambda v: (v.normal(v.n, 500, 30), v.normal(30), functional.linear), length=3000, consumed=1),
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
        _loss_of_many(lambda v: (v.binary(5000, 1), v.normal(5000, 1)), from_logits=True),
        _loss_of_many(lambda v: (v.binary(1500, 3), v.normal(1500, 3)), from_logits=True, label_smoothing=0.1),
        _cupy(_loss(lambda v: (v.binary(v.n, 2, 40), v.normal(v.n, 2, 40)), from_logits=True)),
    ],
    "categorical_crossentropy": [
        _loss(lambda v: (v.one_hot(v.n, 4), v.normal(v.n, 4)), from_logits=True),
        _loss(lambda v: (v.distribution(v.n, 4), v.normal(v.n, 4)), from_logits=True, label_smoothing=0.1),
        _loss(lambda v: (v.positive(v.n, 4), v.normal(v.n, 4)), from_logits=True),
        _loss(lambda v: (v.one_hot(v.n, 8), v.normal(v.n, 8, scale=300.0)), from_logits=True, axis=1),
        _loss_of_many(lambda v: (v.one_hot(900, 5), v.normal(900, 5)), from_logits=True, label_smoothing=0.1),
        _cupy(_loss(lambda v: (v.distribution(v.n, 2, 70), v.normal(v.n, 2, 70)), from_logits=True)),
        _cupy(_loss(lambda v: (v.one_hot(v.n, 700), v.normal(v.n, 700)), from_logits=True, label_smoothing=0.1)),
    ],
    "correlate": [
        *(_correlate(*row, _USUAL) for row in _CONVOLUTIONS),
        _correlate(_LARGE, 48, 8, 1, (2,)),
        _correlate(_over((5, 6), (3, 3)), 4, 5, 1, (2000,)),
    ],
    "correlate_depthwise": [
        _depthwise(_over((5, 6), (3, 3)), 4, 1),
        _depthwise(_over((5, 6), (3, 2), (2, 1), "same"), 4, 2),
        _depthwise(_DILATED, 4, 1),
        _depthwise(_SEQUENCE, 4, 3),
    ],
    "correlate_kernel": [
        *(_kernel(*row, _USUAL) for row in _CONVOLUTIONS),
        _kernel(_LARGE, 48, 8, 1, (2,)),
    ],
    "correlate_transposed": [
        *(_transposed(*row, _USUAL) for row in _CONVOLUTIONS),
        _transposed(_SEQUENCE, 64, 5, 1, _USUAL),
        _transposed(_over((9, 1), (3, 1), (2, 1), "same"), 64, 5, 1, _USUAL),
        _transposed(_LARGE, 8, 48, 1, (2,)),
        _transposed(_LARGE, 20, 16, 1, (2,)),
    ],
    "decay_weights": [
        _update(lambda v: (v.normal(v.n), None, 0.01)),
        _update(lambda v: (v.normal(v.n), v.binary(v.n), 0.01)),
    ],
    "dense": [
        *(_dense(activate) for activate in (functional.linear, functional.relu, functional.tanh, functional.softmax)),
        Example(lambda v: (v.normal(v.n, 4), v.normal(4, 3), None, functional.relu), length=8),
        Example(lambda v: (v.normal(v.n, 4), v.normal(4, 3), v.normal(3)), length=8),
        Example(lambda v: (v.normal(v.n, 4), v.normal(4, 3)), length=8),
        Example(lambda v: (v.normal(2, v.n, 4), v.normal(4, 3), v.normal(3), functional.relu), length=12),
        Example(lambda v: (v.normal(5, v.n), v.normal(v.n, 3), v.normal(3)), length=8),
        Example(lambda v: (v.normal(5, 4), v.normal(4, v.n), v.normal(v.n)), length=8),
    ],
    "dropout": [
        Example(lambda v: (v.normal(v.n, 3), 0.4, Draw(1, 2, 3 * v.n))),
        Example(lambda v: (v.normal(v.n, 3), 0.0, Draw(1, 2, 3 * v.n))),
        Example(lambda v: (v.normal(v.n, 3), 1.0, Draw(1, 2, 3 * v.n))),
        Example(lambda v: (v.normal(v.n, 3), 0.4, Draw(1, 2, 3 * v.n), (v.n, 3))),
    ],
    "elu": [*_UNARY, Example(lambda v: (v.normal(v.n), 0.3))],
    "embedding": [
        Example(lambda v: (v.labels(v.n, 3, classes=4), v.normal(4, 5)), length=18, without_cotangent=1),
        Example(lambda v: (v.labels(v.n, classes=4, dtype="int32"), v.normal(4, 5)), length=6, without_cotangent=1),
        Example(
            lambda v: (v.labels(40, 90, classes=700), v.normal(700, 30)), sizes=(1,), length=40, without_cotangent=1
        ),
    ],
    "erfc": _UNARY,
    "ftrl": [
        _update(lambda v: (v.normal(v.n), v.normal(v.n), v.positive(v.n), v.normal(v.n), 0.5, -0.5, 0.4, 0.2, 0.05))
    ],
    "gaussian_dropout": [*_noise(lambda v, x, draw: (x, 0.2, draw))],
    "gaussian_noise": [*_noise(lambda v, x, draw: (x, 0.3, draw))],
    "gelu": [*_UNARY, Example(lambda v: (v.normal(v.n),), {"approximate": True})],
    "group_normalization": [
        Example(lambda v: (v.normal(v.n, 6), v.normal(6), v.normal(6), 2), length=8),
        Example(lambda v: (v.normal(v.n, 6), None, v.normal(6), 3), length=8),
        Example(lambda v: (v.normal(v.n, 6), v.normal(6), None, 1), length=8),
        Example(lambda v: (v.normal(v.n, 6), None, None, 6), length=8),
        Example(lambda v: (v.normal(v.n, 3, 2, 6), v.normal(6), v.normal(6), 2), {"epsilon": 1e-2}, length=40),
        Example(lambda v: (v.normal(3, 31, 20, 12), v.normal(12), v.normal(12), 4), sizes=(1,), length=2000),
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
        Example(lambda v: (v.binary(v.n, 4), v.labels(v.n, classes=4)), sizes=(16, 40)),  # NumPy's looks along columns
    ],
    "lamb": [_lamb(4), _lamb(300)],
    "largest_of_windows": [
        *map(_largest, _POOLS),
        Example(lambda v: (_finite(v, v.n, 7, 9, 33), _over((7, 9), (3, 2), (3, 2)))),
        Example(lambda v: (_finite(v, v.n, 20, 20, 64), _over((20, 20), (2, 2), (2, 2))), sizes=(24,)),
    ],
    "layer_normalization": [
        Example(lambda v: (v.normal(v.n, 4), v.normal(4), v.normal(4)), length=8),
        Example(lambda v: (v.normal(v.n, 4), None, v.normal(4)), length=8),
        Example(lambda v: (v.normal(v.n, 4), v.normal(4)), length=8),
        Example(lambda v: (v.normal(v.n, 4),), {"epsilon": 1e-2}, length=8),
        Example(lambda v: (v.normal(v.n, 3, 4), v.normal(3, 4), v.normal(3, 4)), {"axis": (1, 2)}, length=20),
        Example(lambda v: (v.normal(9, 31, 47), v.normal(47), v.normal(47)), sizes=(1,), length=280),
        Example(lambda v: (v.normal(600, 450), v.normal(450), v.normal(450)), sizes=(1,), length=600),  # in two blocks
        Example(lambda v: (v.normal(600, 450),), sizes=(1,), length=450),
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
    "matrix_products": [
        Example(lambda v: (v.normal(v.n, 3), v.normal(3, 2)), length=3),
        Example(lambda v: (v.normal(v.n, 3, 4), v.normal(v.n, 4, 2)), length=4),
        Example(lambda v: (v.normal(2, 128, 3), v.normal(2, 3, 256)), sizes=(1,), length=3),
    ],
    "mean_of_windows": [*map(_sum, _POOLS)],
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
    "flush_subnormals": [_update(lambda v: (v.normal(v.n),)), _update(lambda v: (v.normal(v.n, scale=1e-38),))],
    "moving_average": [_update(lambda v: (v.normal(v.n), v.normal(v.n), 0.9))],
    "moving_moments": [_update(lambda v: (v.normal(v.n), v.normal(v.n), v.positive(v.n), v.positive(v.n), 0.9))],
    "muon": [_muon(4, True), _muon(9, False)],
    "nadam": [
        _update(
            lambda v: (
                *(v.normal(v.n), v.normal(v.n), v.normal(v.n), v.positive(v.n)),
                *(0.1, 0.2, 1.5, 0.9, 0.999, 1e-7),
            )
        )
    ],
    "orthogonalized": [
        Example(lambda v: (v.normal(v.n, 4), 2, NEWTON_SCHULZ), length=12 * 24),
        Example(lambda v: (v.normal(v.n, 9), 2, NEWTON_SCHULZ), length=12 * 54),
    ],
    "prelu": [
        Example(lambda v: (v.normal(v.n, 3), v.normal(3)), length=6),
        Example(lambda v: (v.normal(v.n, 2, 3), v.normal(1, 3)), length=12),
        Example(lambda v: (v.normal(v.n, 2, 3), v.normal(2, 1)), length=18),
        Example(lambda v: (v.normal(v.n, 1, 3), v.normal(1, 1)), length=18),
    ],
    "relu": _UNARY,
    "rms_normalization": [
        Example(lambda v: (v.normal(v.n, 4), v.normal(4)), length=8),
        Example(lambda v: (v.normal(v.n, 4),), {"epsilon": 1e-2}, length=8),
        Example(lambda v: (v.normal(v.n, 3, 4), v.normal(3, 4)), {"axis": (-2, -1)}, length=20),
        Example(lambda v: (v.normal(9, 31, 47), v.normal(47)), sizes=(1,), length=280),
    ],
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
    "scaled_sum": [
        Example(lambda v: (v.normal(v.n), 0.25), sizes=(0, 1, 6, 600), length=600),
        Example(lambda v: (v.normal(v.n, 3), 1.0), length=18),
    ],
    "scatter_add": [
        Example(lambda v: (_finite(v, v.n, 5), v.labels(v.n, classes=4), 4), length=6),
        Example(lambda v: (_finite(v, v.n, 1), v.labels(v.n, classes=4, dtype="int32"), 6), length=6),
        Example(lambda v: (_finite(v, v.n, 3), v.labels(v.n, classes=4) - 4, 4), length=6),  # from the end
        Example(lambda v: (_finite(v, 3600, 30), v.labels(3600, classes=700), 700), sizes=(1,), length=40),
    ],
    "spread": [
        Example(lambda v: (v.normal(v.n, 1), v.normal(v.n, 4))),
        Example(lambda v: (v.normal(), v.normal(v.n))),
    ],
    "where": [
        Example(lambda v: (v.normal(v.n) > 0, v.normal(v.n), 0.0)),
        Example(lambda v: (v.normal(v.n, 90) > 0, v.normal(v.n, 90), 0.0), sizes=(1, 100), length=90),
        Example(lambda v: (v.normal(v.n, 90) > 0, 0.0, v.normal(v.n, 90)), sizes=(1, 400), length=90),
        Example(lambda v: (v.normal(v.n, 90) > 0, v.normal(v.n, 90), v.normal(v.n, 90)), sizes=(1, 400), length=90),
    ],
    "where_zero": [
        Example(lambda v: (v.normal(v.n), 1.0, v.normal(v.n))),
        Example(lambda v: (v.normal(v.n) > 0, 0.0, v.normal(v.n))),
    ],
    "rotations": [_maps(1, 4, 5)],
    "self_attention": [
        _self_attention(),
        _self_attention(biased=False),
        _self_attention(mask=(3, 1, 4, 4), causal=True),
        _self_attention(mask=(3, 4, 4), window=2),
        _self_attention(mask=(4, 4), activate=functional.relu),
        _self_attention(mask=(3, 3, 4, 4), dropout=(0.4, Draw(1, 2, 144))),
        _self_attention(biased=False, activate=functional.gelu),
    ],
    "selu": _UNARY,
    "sgd": [_update(lambda v: (v.normal(v.n), v.normal(v.n), 0.1))],
    "shears": [_maps(3)],
    "sigmoid": _UNARY,
    "share_out": [
        Example(lambda v: (v.normal(v.n, 1, 4), 0.2, (v.n, 5, 4))),
        Example(lambda v: (v.normal(v.n, 4, 1, 1), 0.1, (v.n, 4, 2, 5))),
    ],
    "silu": _UNARY,
    "simple_rnn_recurrence": [
        Example(lambda v: (v.normal(3, v.n, 4), v.normal(v.n, 4), v.normal(4, 4)), length=100, several=True),
    ],
    "softmax": [
        Example(lambda v: (v.normal(v.n, 5),), length=5),
        Example(lambda v: (v.normal(v.n, 5),), sizes=(16, 40), length=5),  # NumPy's looks along columns
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
        _loss(lambda v: (v.labels(v.n, classes=900), v.normal(v.n, 900, scale=30.0)), from_logits=True),
        _loss_of_many(lambda v: (v.labels(900, classes=5), v.normal(900, 5)), from_logits=True),
        _loss_of_many(lambda v: (v.labels(90, classes=12_000), v.normal(90, 12_000)), from_logits=True),
        _loss_of_many(lambda v: (v.labels(90, classes=12_000), v.normal(90, 12_000, scale=30.0)), from_logits=True),
        _cupy(_loss(lambda v: (v.labels(v.n, 2, classes=4), v.normal(v.n, 2, 4)), from_logits=True)),
        _cupy(_loss(lambda v: (v.labels(v.n, classes=4), v.normal(v.n, 4)), from_logits=True, ignore_class=1)),
        _cupy(_loss(lambda v: (v.labels(v.n, classes=3, dtype="uint8"), v.normal(v.n, 700)), from_logits=True)),
    ],
    "sum_of_windows": [
        *map(_sum, _POOLS),
        Example(lambda v: (v.normal(v.n, 20, 20, 64), _over((20, 20), (2, 2), (2, 2))), sizes=(24,), length=4),
    ],
    "tanh": [  # 1 - y * y has the error of y, whatever is left of it: there are slopes next to 1 in each example
        *_UNARY[:3],
        Example(lambda v: (v.normal(v.n, 64, scale=4.0),)),
        Example(lambda v: (v.normal(2, 2000, scale=200.0),), sizes=(1,)),
        *_UNARY[4:],
    ],
    "translations": [_maps(2)],
    "uniform_beside": [Example(lambda v: (v.normal(v.n, 3), Draw(7, 2**64, 3 * v.n)))],
    "words_below": [_words_below(threshold) for threshold in (0, 1, 2**31, 2**32)],
    "zooms": [_maps(2, 4, 5)],
}
"""By the name of the generic function."""

assert math.prod(map(len, ROWS.values())) > 0, "a row without examples proves nothing"
