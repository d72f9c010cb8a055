"""CuPy's kernels in float16, which the table leaves out: stored in 16 bits, computed in 32."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from nnx.backends import to_numpy
from nnx.backends.base import find_backend
from nnx.kernels import GENERIC
from tests.kernels.table import Example, Values
from tests.kernels.test_kernels import ROWS, described, without_kernels

CUPY = find_backend("cupy")
pytestmark = pytest.mark.skipif(CUPY.problem() is not None, reason=f"cupy cannot be used: {CUPY.problem()}")

NAMES = [
    *("correlate", "correlate_transposed", "correlate_kernel", "correlate_depthwise", "sum_of_positions"),
    *("largest_of_windows", "sum_of_windows", "embedding"),
    *("simple_rnn_recurrence", "lstm_recurrence", "gru_recurrence"),
    *("alpha_dropout", "gaussian_dropout", "gaussian_noise", "gelu", "mish", "prelu"),
]
UNIT = 2.0**-11  # how much rounding to float16 changes a number, relative to it
STEPS = 16  # how often a result is rounded on its way, at most: as often as 3 steps of a recurrence store something


def wide(value: Any) -> Any:
    """The same numbers in float32."""
    return value.astype(np.float32) if str(getattr(value, "dtype", "")) == "float16" else value


def results(function: Callable[..., Any], arguments: Sequence[Any], example: Example) -> list[np.ndarray]:
    """All that a function and its pullback give."""
    result = function(*arguments, **example.options)
    values, pullback = result if isinstance(result, tuple) else (result, None)
    values = values if isinstance(values, tuple) else (values,)
    random = np.random.default_rng(1)
    hosts = [random.normal(size=value.shape).astype(np.float16).astype(str(value.dtype)) for value in values]
    dy = tuple(map(CUPY.from_host, hosts))
    cotangents = () if pullback is None else pullback(dy if example.several else dy[0])
    cotangents = cotangents if isinstance(cotangents, tuple) else (cotangents,)
    return [to_numpy(part) for part in (*values, *cotangents) if part is not None]


@pytest.mark.parametrize(("name", "example"), [(name, row) for name in NAMES for row in ROWS[name] if 6 in row.sizes])
def test_float16_has_the_digits_of_its_storage(name: str, example: Example) -> None:
    kernel, arguments = CUPY.kernels[name], example.make(Values(CUPY, "float16", "contiguous", 6))
    assert kernel.accepts is None or kernel.accepts(*arguments, **example.options)
    found = results(kernel.function, arguments, example)
    with without_kernels(CUPY):
        expected = results(GENERIC[name], [wide(argument) for argument in arguments], example)
    for position, (mine, theirs) in enumerate(zip(found, expected, strict=True)):
        assert mine.dtype == np.float16
        with described(f"result {position}"):
            np.testing.assert_allclose(mine, theirs, STEPS * UNIT, STEPS * UNIT * np.abs(theirs).max(initial=1.0))
