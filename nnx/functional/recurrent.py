"""Recurrent layers over whole sequences: what they share, and the simplest of them.

Inputs take part in one GEMM for all time steps, states in one a step, kernels in one for their whole gradient.
Sequences are (batch, time, features) outside and (time, batch, features) inside, where a step is one block of memory.

What is common to `simple_rnn`, `lstm` and `gru`:

mask : (batch, time), bool. Where it is false, a step leaves the states as they were, and its output is the last one.
go_backwards : from the last step to the first; outputs come in the order of the computation.
dropout, recurrent_dropout : a rate, and the draw of the masks, which hold for all steps. Without recurrent dropout the
    gates share a mask, a draw of batch * n words; with it each gate has masks of its own, draws of gates * batch * n
    and of gates * batch * units words. That is what Keras does.
initial states : (batch, units), or None for zeros, which have no cotangent (None).
-> (sequence (batch, time, units), last states...)
pullback : takes a tuple of their cotangents, each of which may be None for zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnx.backends import Array, array_namespace, backend_of
from nnx.functional.activations import tanh
from nnx.functional.affine import dense
from nnx.functional.dropout import dropout as drop
from nnx.kernels import accelerated, alike
from nnx.pullbacks import SKIP, Differentiable, Pullback
from nnx.random import Draw

__all__ = ["simple_rnn"]

RateAndDraw = tuple[float, Draw]
"""The rate of a dropout, and the random words of its masks."""


def simple_rnn(
    x: Array,
    h: Array | None,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None = None,
    mask: Array | None = None,
    *,
    activation: Differentiable = tanh,
    go_backwards: bool = False,
    dropout: RateAndDraw | None = None,
    recurrent_dropout: RateAndDraw | None = None,
) -> tuple[tuple[Array, Array], Pullback]:
    """Simple recurrent layer: h <- activation(x_t @ kernel + h @ recurrent_kernel + bias), for each step

    x : (batch, time, n).
    h : (batch, units), or None for zeros.
    kernel, recurrent_kernel : (n, units) and (units, units).
    bias : (units,), or None (default) for none.
    mask : (batch, time), bool. Where it is false, a step leaves the state as it was, and its output is the last one.
    activation : an activation function, by default `tanh`.
    go_backwards : from the last step to the first; outputs come in the order of the computation. By default False.
    dropout, recurrent_dropout : a rate, and the draw of the masks, which hold for all steps; by default None. Draws
        have batch * n and batch * units words.

    Returns (sequence, h), sequence (batch, time, units) and h (batch, units), and pullback((dsequence, dh)) ->
    (dx, dh, dkernel, drecurrent_kernel, dbias), or without dbias; dsequence or dh may be None for zero, and the dh
    returned is None where h was. ValueError for a sequence without steps.

    Elman, "Finding structure in time", 1990.

    >>> import numpy as np
    >>> from nnx.functional import linear
    >>> x, one = np.asarray([[[1.0], [2.0], [4.0]]]), np.ones((1, 1))
    >>> (sequence, h), pullback = simple_rnn(x, None, one, one, activation=linear)  # running sums
    >>> sequence.ravel(), h
    (array([1., 3., 7.]), array([[7.]]))
    """
    x, h, kernel, recurrent_kernel, bias = alike(x, h, kernel, recurrent_kernel, bias)

    def recur(z: Array, steps: Array | None, factor: Array | None) -> tuple[tuple[Array, ...], Pullback]:
        first = zero_state(z, recurrent_kernel) if h is None else h
        return simple_rnn_recurrence(z, first, recurrent_kernel, steps, factor, activation)

    values, pullback_values = over_time(recur, x, kernel, bias, mask, 1, go_backwards, dropout, recurrent_dropout)

    def pullback(dy: Sequence[Array | None], out: Sequence[Any] = (None,) * 5) -> tuple[Array | None, ...]:
        out_h = SKIP if h is None else out[1]
        (dx, dkernel, *dbias), (dh, drecurrent) = pullback_values(dy, (out[0], out[2], *out[4:]), (out_h, out[3]))
        return dx, dh, dkernel, drecurrent, *dbias

    return values, pullback


@accelerated
def simple_rnn_recurrence(
    z: Array,
    h: Array,
    recurrent_kernel: Array,
    mask: Array | None = None,
    factor: Array | None = None,
    activation: Differentiable = tanh,
) -> tuple[tuple[Array, Array], Pullback]:
    """Recurrent part of `simple_rnn`.

    z (time, batch, units) from the inputs, h (batch, units), mask (time, batch, 1), factor (1, batch, units) of dropout
    -> (states (time, batch, units), the last one)
    pullback((dstates, dlast)) -> (dz, dh, drecurrent_kernel)
    """
    xp = array_namespace(z)
    product = RecurrentProduct(recurrent_kernel, factor)
    states, pullbacks = [h], []
    for t in range(z.shape[0]):
        new, pullback_new = activation(z[t, ...] + product(states[-1]))
        states.append(hold(mask, t, new, states[-1]))
        pullbacks.append(pullback_new)
    sequence = xp.stack(states[1:])

    def pullback(dy: Sequence[Array | None], out: Sequence[Any] = (None,) * 3) -> tuple[Array | None, ...]:
        dstates, dh = dy[0], xp.zeros_like(h) if dy[1] is None else dy[1]
        dz = []
        for t in reversed(range(z.shape[0])):
            dnew, dheld = release(mask, t, add(dh, None if dstates is None else dstates[t, ...]))
            dz.append(pullbacks[t](dnew))
            if t > 0 or out[1] is not SKIP:
                dh = add(product.pull_back(dz[-1]), dheld)
        dsteps = xp.stack(dz[::-1])
        drecurrent = None if out[2] is SKIP else product.kernel_cotangent(xp.stack(states[:-1]), dsteps)
        return wanted(dsteps, out[0]), wanted(dh, out[1]), drecurrent

    return (sequence, states[-1]), pullback


# What all recurrent functions share


def over_time(
    recur: Callable[[Array, Array | None, Array | None], tuple[tuple[Array, ...], Pullback]],
    x: Array,
    kernel: Array,
    bias: Array | None,
    mask: Array | None,
    gates: int,
    go_backwards: bool,
    dropout: RateAndDraw | None,
    recurrent_dropout: RateAndDraw | None,
) -> tuple[Any, Callable[..., tuple[Any, Any]]]:
    """Run of a recurrence over inputs brought into its form, with its sequence brought back.

    recur(z, mask, factor) : for z (time, batch, gates * units), mask (time, batch, 1), factor (gates, batch, units) it
        returns (sequence (time, batch, units), last states...), and a pullback whose first cotangent is that of z.
    The pullback returned takes cotangents, `out` for (x, kernel, bias), and `out` for what the recurrence has after z;
    it returns the cotangents of these two groups.
    """
    xp = array_namespace(x)
    batch, time, n = x.shape
    if time == 0:
        raise ValueError("a recurrent function needs at least one time step, got a sequence of length 0")
    parts = 1 if recurrent_dropout is None else gates
    x_factor = None if dropout is None else _dropout_factor(x, (parts, batch, n), *dropout)
    units = kernel.shape[1] // gates
    h_factor = None if recurrent_dropout is None else _dropout_factor(x, (gates, batch, units), *recurrent_dropout)
    if mask is not None:
        mask = xp.permute_dims(mask, (1, 0))[:, :, None]
        mask = xp.flip(mask, axis=0) if go_backwards else mask
    steps = xp.permute_dims(x, (1, 0, 2))
    z, pullback_z = _project(xp.flip(steps, axis=0) if go_backwards else steps, kernel, bias, x_factor)
    (sequence, *last), pullback_recurrence = recur(z, mask, h_factor)

    def pullback(dy: Sequence[Array | None], out: Sequence[Any], out_recurrence: Sequence[Any]) -> tuple[Any, Any]:
        dsequence = None if dy[0] is None else xp.permute_dims(dy[0], (1, 0, 2))
        dz, *cotangents = pullback_recurrence((dsequence, *dy[1:]), out=(None, *out_recurrence))
        dx, *of_parameters = pullback_z(dz, out)
        if dx is not None:
            dx = xp.permute_dims(xp.flip(dx, axis=0) if go_backwards else dx, (1, 0, 2))
        return (dx, *of_parameters), cotangents

    return (xp.permute_dims(sequence, (1, 0, 2)), *last), pullback


def _project(x: Array, kernel: Array, bias: Array | None, factor: Array | None) -> tuple[Array, Pullback]:
    """x @ kernel + bias for all steps at once; x (time, batch, n), factor (1 or gates, batch, n) of dropout."""
    if factor is None:
        return dense(x, kernel, bias)
    xp = array_namespace(x)
    gates = factor.shape[0]
    size = kernel.shape[1] // gates
    columns = [slice(gate * size, (gate + 1) * size) for gate in range(gates)]
    pieces = [
        dense(x * factor[gate, ...], kernel[:, own], None if bias is None else bias[own])
        for gate, own in enumerate(columns)
    ]

    def pullback(dz: Array, out: Sequence[Any]) -> tuple[Array | None, ...]:
        out = [SKIP if entry is SKIP else None for entry in out]
        cotangents = [pull(dz[:, :, own], out=out) for (_, pull), own in zip(pieces, columns, strict=True)]
        dx = None
        for gate, (dpiece, *_) in enumerate(cotangents):
            dx = None if dpiece is None else add(dpiece * factor[gate, ...], dx)
        of_parameters = list(zip(*cotangents, strict=True))[1:]
        return dx, *(None if some[0] is None else xp.concat(some, axis=-1) for some in of_parameters)

    return xp.concat([z for z, _ in pieces], axis=-1), pullback


class RecurrentProduct:
    """Product h @ kernel, with a factor of dropout for each gate's share of the kernel.

    kernel (units, gates * units), factor (gates, batch, units) or None
    """

    def __init__(self, kernel: Array, factor: Array | None) -> None:
        self._xp = array_namespace(kernel)
        self._kernel, self._factor = kernel, factor
        gates = 1 if factor is None else factor.shape[0]
        size = kernel.shape[1] // gates
        self._columns = [slice(gate * size, (gate + 1) * size) for gate in range(gates)]

    def __call__(self, h: Array) -> Array:
        if self._factor is None:
            return h @ self._kernel
        pieces = [(h * self._factor[g, ...]) @ self._kernel[:, of_g] for g, of_g in enumerate(self._columns)]
        return self._xp.concat(pieces, axis=-1)

    def pull_back(self, dz: Array) -> Array:
        """The cotangent of h."""
        transposed = self._xp.matrix_transpose(self._kernel)
        if self._factor is None:
            return dz @ transposed
        dh = None
        for g, of_g in enumerate(self._columns):
            dh = add((dz[:, of_g] @ transposed[of_g, :]) * self._factor[g, ...], dh)
        return dh

    def kernel_cotangent(self, states: Array, dz: Array) -> Array:
        """The cotangent of the kernel, for all steps: states (time, batch, units), dz (time, batch, gates * units)."""
        xp = self._xp
        if self._factor is None:
            return _rows_product(states, dz)
        pieces = [_rows_product(states * self._factor[g, ...], dz[:, :, of_g]) for g, of_g in enumerate(self._columns)]
        return xp.concat(pieces, axis=-1)


def _rows_product(a: Array, b: Array) -> Array:
    """The sum over time and batch of the outer products of a (time, batch, n) and b (time, batch, m)."""
    xp = array_namespace(a)
    rows = a.shape[0] * a.shape[1]
    return xp.matrix_transpose(xp.reshape(a, (rows, a.shape[2]))) @ xp.reshape(b, (rows, b.shape[2]))


def zero_state(z: Array, recurrent_kernel: Array) -> Array:
    """State of zeros (batch, units), on the device and of the dtype of z (time, batch, ...)."""
    xp = array_namespace(z)
    return xp.zeros((z.shape[1], recurrent_kernel.shape[0]), dtype=z.dtype, device=backend_of(z).device_of(z))


def hold(mask: Array | None, t: int, new: Array, old: Array) -> Array:
    """State after a step: the new one where the step counts, else the old one."""
    return new if mask is None else array_namespace(new).where(mask[t, ...], new, old)


def release(mask: Array | None, t: int, dstate: Array) -> tuple[Array, Array | None]:
    """Cotangents of `hold`: that of its value, divided between the new and the old state."""
    if mask is None:
        return dstate, None
    xp = array_namespace(dstate)
    return xp.where(mask[t, ...], dstate, 0.0), xp.where(mask[t, ...], 0.0, dstate)


def add(a: Array, b: Array | None) -> Array:
    """Sum a + b, where None is zero"""
    return a if b is None else a + b


def wanted(cotangent: Array, out: Any) -> Array | None:
    """Cotangent, or None where it is skipped."""
    return None if out is SKIP else cotangent


def _dropout_factor(x: Array, shape: tuple[int, ...], rate: float, draw: Draw) -> Array:
    """What dropout multiplies by: 0 or 1 / (1 - rate)."""
    ones = array_namespace(x).ones(shape, dtype=x.dtype, device=backend_of(x).device_of(x))
    return drop(ones, rate, draw)[0]
