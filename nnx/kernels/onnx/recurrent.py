"""Recurrences as nodes of ONNX: LSTM, GRU and RNN; as a Scan of one step where these lack what is asked for.

The nodes take the inputs before they are multiplied by the kernel, which is found in what the recurrence is given.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnx.backends.base import Array
from nnx.kernels import GENERIC, backend_kernel, name_of
from nnx.kernels.onnx.table import KERNELS, has_node, no_pullback
from nnx.onnx.array import Body, RecordedArray, constant, leaf, made_by, nodes
from nnx.onnx.layout import flipped_axis, is_zero
from nnx.onnx.standard import xp
from nnx.pullbacks import Pullback, linear

_ACTIVATIONS: dict[str, tuple[Any, ...]] = {
    "tanh": ("Tanh",),
    "sigmoid": ("Sigmoid",),
    "relu": ("Relu",),
    "softplus": ("Softplus",),
    "elu": ("Elu", 1.0),
    "leaky_relu": ("LeakyRelu", 0.2),
}
"""By the names of accelerated functions, the names that the nodes have for them, with their parameters."""


@dataclasses.dataclass(frozen=True)
class Projection:
    """What a recurrence is given, z = steps @ kernel + bias, taken apart."""

    steps: RecordedArray
    kernel: RecordedArray
    bias: np.ndarray | None


def _projection(z: Any) -> Projection | None:
    turned = made_by(z, "Transpose")
    if turned is not None:
        inner = _projection(turned.inputs[0])
        order = turned.attributes["perm"]
        return None if inner is None else dataclasses.replace(inner, steps=xp.permute_dims(inner.steps, order))
    added = made_by(z, "Add")
    product, bias = (z, None) if added is None else added.inputs
    if bias is not None and (bias.value is None or bias.ndim != 1):
        return None
    multiplied = made_by(product, "MatMul")
    if multiplied is None or multiplied.inputs[1].value is None:
        return None
    steps, kernel = multiplied.inputs
    return Projection(steps, kernel, None if bias is None else bias.value)


def _of_functions(functions: Sequence[Any]) -> dict[str, Any] | None:
    """The attributes of a node for these activations; None if it has not all of them."""
    found = [("Affine", 1.0, 0.0) if f is linear else _ACTIVATIONS.get(name_of(f) or "") for f in functions]
    if None in found:
        return None
    names = [one[0] for one in found]  # type: ignore[index]
    if names == ["Sigmoid", "Tanh", "Tanh"][: len(names)] or names == ["Tanh"]:
        return {}
    parameters = [(*one[1:], 0.0, 0.0)[:2] for one in found]  # type: ignore[index]
    alpha, beta = zip(*parameters, strict=True)
    return {"activations": names, "activation_alpha": list(alpha), "activation_beta": list(beta)}


def _sequence(
    operator: str,
    z: Any,
    states: Sequence[Any],
    recurrent_kernel: Any,
    order: Sequence[int],
    functions: Sequence[Any],
    recurrent_bias: np.ndarray | None = None,
    **attributes: Any,
) -> Any:
    """A whole recurrence as one node: (sequence, last states...); None where the node cannot do it.

    order : for each gate of the node, which one of the kernel's it is.
    """
    found, named = _projection(z), _of_functions(functions)
    if found is None or named is None or not has_node(z) or recurrent_kernel.value is None:
        return None
    units = recurrent_kernel.shape[0]

    def weight(value: Any, name: str | None = None) -> RecordedArray:
        gates = [value[..., gate * units : (gate + 1) * units] for gate in order]
        return constant(np.ascontiguousarray(np.concatenate(gates, axis=-1).T[None]), name)

    biases = (found.bias, recurrent_bias)
    bias = None
    if any(one is not None for one in biases):
        zero = np.zeros(units * len(order), z.dtype)
        both = [zero if one is None else weight(one).value[0] for one in biases]
        bias = constant(np.concatenate(both)[None])
    reverse = flipped_axis(found.steps) == 0
    steps = xp.flip(found.steps, axis=0) if reverse else found.steps
    if reverse:
        attributes["direction"] = "reverse"
    time, batch = z.shape[:2]
    first = [None if is_zero(state) else xp.expand_dims(state, axis=0) for state in states]
    weights = [weight(found.kernel.value, found.kernel.name), weight(recurrent_kernel.value, recurrent_kernel.name)]
    results = [((time, 1, batch, units), z.dtype), *[((1, batch, units), z.dtype)] * len(states)]
    y, *last = nodes(operator, [steps, *weights, bias, None, *first], results, hidden_size=units, **attributes, **named)
    sequence = xp.squeeze(y, axis=1)
    return xp.flip(sequence, axis=0) if reverse else sequence, *(xp.squeeze(state, axis=0) for state in last)


def _scan(name: str, z: Any, states: Sequence[Any], mask: Any, rest: Callable[[Any], tuple[Any, ...]]) -> Any:
    """A recurrence as a Scan, whose body is its generic form for one step: (sequence, last states...).

    rest : the generic function's arguments after the states, for the mask of one step.
    """
    given = [z] if mask is None else [z, mask]
    before = [leaf("state", state.shape, state.dtype) for state in states]
    now = [leaf("step", one.shape[1:], one.dtype) for one in given]
    alone = [xp.expand_dims(one, axis=0) for one in now]
    (sequence, *after), _ = GENERIC[name](alone[0], *before, *rest(alone[1] if len(alone) > 1 else None))
    output = xp.squeeze(sequence, axis=0)
    results = [*((state.shape, state.dtype) for state in after), ((z.shape[0], *output.shape), output.dtype)]
    body = Body([*before, *now], [*after, output])
    *last, made = nodes("Scan", [*states, *given], results, body=body, num_scan_inputs=len(given))
    return made, *last


def _recurrence(found: Any, name: str, z: Any, states: Sequence[Any], mask: Any, *rest: Any) -> tuple[Any, Pullback]:
    """What a node gave, or else the Scan. rest : arguments of the generic form, MASK for the mask of one step."""
    if found is None:
        found = _scan(name, z, states, mask, lambda one: tuple(one if value is MASK else value for value in rest))
    return found, no_pullback


MASK = object()


@backend_kernel(KERNELS)
def simple_rnn_recurrence(
    z: Any, h: Array, recurrent_kernel: Array, mask: Any = None, factor: Any = None, activation: Any = None
) -> tuple[Any, Pullback]:
    activation = activation or GENERIC["tanh"]
    found = None if mask is not None else _sequence("RNN", z, [h], recurrent_kernel, (0,), [activation])
    return _recurrence(found, "simple_rnn_recurrence", z, [h], mask, recurrent_kernel, MASK, factor, activation)


@backend_kernel(KERNELS)
def lstm_recurrence(
    z: Any,
    h: Array,
    c: Array,
    recurrent_kernel: Array,
    mask: Any = None,
    factor: Any = None,
    activation: Any = None,
    recurrent_activation: Any = None,
) -> tuple[Any, Pullback]:
    functions = [recurrent_activation, activation, activation]
    found = None if mask is not None else _sequence("LSTM", z, [h, c], recurrent_kernel, (0, 3, 1, 2), functions)
    rest = (recurrent_kernel, MASK, factor, activation, recurrent_activation)
    return _recurrence(found, "lstm_recurrence", z, [h, c], mask, *rest)


@backend_kernel(KERNELS)
def gru_recurrence(
    z: Any,
    h: Array,
    recurrent_kernel: Array,
    bias: Any = None,
    mask: Any = None,
    factor: Any = None,
    activation: Any = None,
    recurrent_activation: Any = None,
) -> tuple[Any, Pullback]:
    found = None
    if mask is None and (bias is None or bias.value is not None):
        functions, inner = [recurrent_activation, activation], None if bias is None else bias.value
        found = _sequence("GRU", z, [h], recurrent_kernel, (0, 1, 2), functions, inner, linear_before_reset=1)
    rest = (recurrent_kernel, bias, MASK, factor, activation, recurrent_activation)
    return _recurrence(found, "gru_recurrence", z, [h], mask, *rest)


@backend_kernel(KERNELS)
def gru_reset_before_recurrence(
    z: Any,
    h: Array,
    recurrent_kernel: Array,
    mask: Any = None,
    factor: Any = None,
    activation: Any = None,
    recurrent_activation: Any = None,
) -> tuple[Any, Pullback]:
    functions = [recurrent_activation, activation]
    found = None if mask is not None else _sequence("GRU", z, [h], recurrent_kernel, (0, 1, 2), functions)
    rest = (recurrent_kernel, MASK, factor, activation, recurrent_activation)
    return _recurrence(found, "gru_reset_before_recurrence", z, [h], mask, *rest)
