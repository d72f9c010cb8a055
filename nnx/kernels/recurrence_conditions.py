"""What recurrences have to be for kernels that are made for the usual case, whatever the backend."""

from __future__ import annotations

from typing import Any

from nnx.backends.base import Array
from nnx.kernels import name_of


def is_plain_rnn(
    z: Array, h: Array, recurrent_kernel: Array, mask: Any = None, factor: Any = None, activation: Any = None
) -> bool:
    """tanh, without dropout of the states, and all arrays of one dtype."""
    return factor is None and _is_usual(activation, "tanh") and _of_one_dtype(z, h, recurrent_kernel)


def is_plain_lstm(
    z: Array,
    h: Array,
    c: Array,
    recurrent_kernel: Array,
    mask: Any = None,
    factor: Any = None,
    activation: Any = None,
    recurrent_activation: Any = None,
) -> bool:
    """tanh and sigmoid, without dropout of the states, and all arrays of one dtype."""
    usual = _is_usual(activation, "tanh") and _is_usual(recurrent_activation, "sigmoid")
    return factor is None and usual and _of_one_dtype(z, h, c, recurrent_kernel)


def is_plain_gru(
    z: Array,
    h: Array,
    recurrent_kernel: Array,
    bias: Any = None,
    mask: Any = None,
    factor: Any = None,
    activation: Any = None,
    recurrent_activation: Any = None,
) -> bool:
    """tanh and sigmoid, without dropout of the states, and all arrays of one dtype."""
    usual = _is_usual(activation, "tanh") and _is_usual(recurrent_activation, "sigmoid")
    return factor is None and usual and _of_one_dtype(z, h, recurrent_kernel, z if bias is None else bias)


def _is_usual(activation: Any, name: str) -> bool:
    """Whether an activation is that of nnx (the default, if it was not given)."""
    return activation is None or name_of(activation) == name


def _of_one_dtype(first: Array, *others: Array) -> bool:
    return all(other.dtype == first.dtype for other in others)
