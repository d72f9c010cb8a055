"""The rows of the kernels that layers with a kernel and a bias are made of; see `nnx.testing.kernel_rows`."""

from __future__ import annotations

import functools

from nnx import functional
from nnx.pullbacks import Differentiable
from nnx.testing.kernel_examples import Example


def _biased(activate: Differentiable) -> Example:
    return Example(lambda v: (v.normal(v.n, 3), v.normal(3), activate), length=6, consumed=1)


def _dense(activate: Differentiable) -> Example:
    return Example(lambda v: (v.normal(v.n, 4), v.normal(4, 3), v.normal(3), activate), length=8)


BEFORE_WHICH_A_BIAS_IS: list[Differentiable] = [
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
ROWS: dict[str, list[Example]] = {
    "bias_activation": [
        *(_biased(activate) for activate in BEFORE_WHICH_A_BIAS_IS),
        Example(lambda v: (v.normal(2, v.n, 4), v.normal(4), functional.relu), length=12, consumed=1),
        Example(lambda v: (v.normal(5, v.n), v.normal(v.n), functional.relu), length=5, consumed=1),
        Example(lambda v: (v.normal(v.n, 50, 300), v.normal(300), functional.relu), length=300, consumed=1),
        Example(lambda v: (v.normal(v.n, 500, 30), v.normal(30), functional.linear), length=3000, consumed=1),
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
}
"""By the name of the generic function."""
