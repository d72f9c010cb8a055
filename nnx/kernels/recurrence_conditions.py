"""Conditions under which the kernels of recurrences apply: the usual activations, and no dropout of the states.

They are the same for every backend; for all other recurrences the generic form runs.
"""

from __future__ import annotations

from typing import Any

from nnx.backends.base import Array
from nnx.kernels import name_of


def accepts_simple_rnn(
    z: Array, h: Array, recurrent_kernel: Array, mask: Any = None, factor: Any = None, activation: Any = None
) -> bool:
    """Whether a simple recurrence has tanh, no dropout of its states, and all arrays of one dtype."""
    return factor is None and _is_default(activation, "tanh") and _have_one_dtype(z, h, recurrent_kernel)


def accepts_lstm(
    z: Array,
    h: Array,
    c: Array,
    recurrent_kernel: Array,
    mask: Any = None,
    factor: Any = None,
    activation: Any = None,
    recurrent_activation: Any = None,
) -> bool:
    """Whether an LSTM has tanh and sigmoid, no dropout of its states, and all arrays of one dtype."""
    default = _is_default(activation, "tanh") and _is_default(recurrent_activation, "sigmoid")
    return factor is None and default and _have_one_dtype(z, h, c, recurrent_kernel)


def accepts_gru(
    z: Array,
    h: Array,
    recurrent_kernel: Array,
    bias: Any = None,
    mask: Any = None,
    factor: Any = None,
    activation: Any = None,
    recurrent_activation: Any = None,
) -> bool:
    """Whether a GRU has tanh and sigmoid, no dropout of its states, and all arrays of one dtype."""
    default = _is_default(activation, "tanh") and _is_default(recurrent_activation, "sigmoid")
    return factor is None and default and _have_one_dtype(z, h, recurrent_kernel, z if bias is None else bias)


def _is_default(activation: Any, name: str) -> bool:
    """Whether an activation is that of nnx (the default, if it was not given)."""
    return activation is None or name_of(activation) == name


def _have_one_dtype(first: Array, *others: Array) -> bool:
    return all(other.dtype == first.dtype for other in others)
