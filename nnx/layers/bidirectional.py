"""Recurrent layers in both directions of a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from nnx.arguments import refuse
from nnx.backends import Array, array_namespace
from nnx.functional import Pullback
from nnx.layers.layer import Layer, registry
from nnx.layers.recurrent import Recurrent, sequence_shape, with_initial_state
from nnx.layers.rnn import RNN
from nnx.pullbacks import Skippable, call_pullback
from nnx.registry import constructor_arguments

MERGE_MODES = ("concat", "sum", "mul", "ave", None)


@registry.register()
class Bidirectional(Layer):
    """A recurrent layer forwards, and another one backwards over the same sequence.

    layer : the layer forwards, such as LSTM(10); a new one is made from its configuration.
    merge_mode : what becomes of the two outputs: "concat", "sum", "mul", "ave" (their mean), or None for a tuple.
    weights : None; ValueError for anything else: call `set_weights`.
    backward_layer : the layer backwards, with go_backwards=True; by default one like `layer`.

    Input (batch, time, n), output (batch, units) or, of layers with return_sequences, (batch, time, units), with
    2 units for "concat"; the sequence of the backward layer is turned round before it is merged. Weights are those of
    the forward layer, then those of the backward layer. Steps that a mask leaves out have the output 0 in sequences.
    With return_state, or with `initial_state=[...]` when called, the states of the forward layer come first.

    TypeError for layers that are not recurrent; ValueError for two that go in one direction, or differ in
    return_sequences, return_state or stateful. Schuster and Paliwal, "Bidirectional recurrent neural networks", 1997.

    >>> import numpy as np
    >>> from nnx.layers.lstm import LSTM
    >>> Bidirectional(LSTM(4, return_sequences=True))(np.ones((2, 3, 5))).shape
    (2, 3, 8)
    """

    supports_masking = True

    uses_mask = True

    refused = ("weights",)

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: None = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        refuse(self.name, weights=weights)
        for argument, given in (("layer", layer), ("backward_layer", backward_layer)):
            if not isinstance(given, Recurrent | RNN) and not (argument == "backward_layer" and given is None):
                raise TypeError(f"{self.name}: {argument} must be a recurrent layer such as LSTM(10), got {given!r}")
        if merge_mode not in MERGE_MODES:
            raise ValueError(f"{self.name}: merge_mode must be one of {MERGE_MODES}, got {merge_mode!r}")
        self.merge_mode = merge_mode
        self.layer = self.forward_layer = _copied(layer, "forward_")
        if backward_layer is None:
            backward_layer = _copied(layer, "backward_", go_backwards=True)
        self.backward_layer: Recurrent | RNN = backward_layer
        self._check_directions()
        for one in self.sublayers():
            one.zero_output_for_mask = one.return_sequences
        if self.batch_input_shape is None:
            self.batch_input_shape = layer.batch_input_shape
        self.return_sequences: bool = layer.return_sequences
        self.return_state: bool = layer.return_state
        self.stateful: bool = layer.stateful

    def _check_directions(self) -> None:
        one, other = self.sublayers()
        if one.go_backwards == other.go_backwards:
            raise ValueError(
                f"{self.name}: one layer must have go_backwards=False and the other go_backwards=True, got "
                f"{one.go_backwards} for both"
            )
        for option in ("return_sequences", "return_state", "stateful"):
            if getattr(one, option) != getattr(other, option):
                raise ValueError(f"{self.name}: both layers must have the same {option}; they differ")
        if one.name == other.name:
            other.name = f"backward_{other.name}"

    def sublayers(self) -> Sequence[Recurrent | RNN]:
        return (self.forward_layer, self.backward_layer)

    def build(self, input_shape: Any) -> None:
        shape = sequence_shape(input_shape)
        for layer in self.sublayers():
            layer.dtype = layer.dtype or self.dtype
            layer.build_on(self.placement, shape)
        super().build(input_shape)

    def arrange(self, inputs: tuple[Any, ...], options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return with_initial_state(inputs, options)

    def forward(
        self, x: Array, *states: Array, training: bool = False, mask: Any = None, initial_state: Any = None
    ) -> tuple[Any, Pullback]:
        given = states or initial_state
        halves: Any = ((), ()) if given is None else (given[: len(given) // 2], given[len(given) // 2 :])
        runs = [
            layer.run(x, *half, training=training, mask=mask)
            for layer, half in zip(self.sublayers(), halves, strict=True)
        ]
        outputs = [y if self.return_state else (y,) for y, _ in runs]
        merged, pullback_merge = self._merge(*(y for y, *_ in outputs))
        last = [state for _, *of_one in outputs for state in of_one]

        def pull_back(dy: Any, inputs: bool = True) -> Any:
            dmerged, *dlast = self._split_cotangent(dy, len(last))
            cotangents = []
            for (_, pullback), doutput, start in zip(runs, pullback_merge(dmerged), (0, len(last) // 2), strict=True):
                dlayer = (doutput, *dlast[start : start + len(last) // 2]) if self.return_state else doutput
                cotangent = call_pullback(pullback, dlayer, inputs)
                cotangents.append(cotangent if given is not None else (cotangent,))
            dx = cotangents[0][0] + cotangents[1][0] if inputs else None
            return dx if given is None else (dx, *cotangents[0][1:], *cotangents[1][1:])

        if not last:
            return merged, Skippable(pull_back)
        return (*(merged if self.merge_mode is None else (merged,)), *last), Skippable(pull_back)

    def _split_cotangent(self, dy: Any, states: int) -> tuple[Any, ...]:
        """The cotangent of the merged output, and those of the states."""
        if not states:
            return (dy,)
        return (dy[:2], *dy[2:]) if self.merge_mode is None else dy

    def _merge(self, forwards: Array, backwards: Array) -> tuple[Any, Pullback]:
        """The two outputs as one; the pullback returns the cotangents of both, None where there is none."""

        def turn(y: Array | None) -> Array | None:
            return array_namespace(y).flip(y, axis=1) if self.return_sequences and y is not None else y

        y, pullback = merge(forwards, turn(backwards), self.merge_mode)

        def pull_back(dy: Any) -> tuple[Array | None, Array | None]:
            dforwards, dbackwards = (None, None) if dy is None else pullback(dy)
            return dforwards, turn(dbackwards)

        return y, pull_back

    def reset_states(self) -> None:
        """Forget the states of both layers, if they are stateful."""
        for layer in self.sublayers():
            layer.reset_states()

    reset_state = reset_states

    def compute_output_shape(self, input_shape: Any) -> Any:
        outputs = [layer.compute_output_shape(input_shape) for layer in self.sublayers()]
        if not self.return_state:
            outputs = [(shape,) for shape in outputs]
        (one, *states), (other, *other_states) = outputs
        if self.merge_mode is None:
            return (one, other, *states, *other_states)
        if self.merge_mode != "concat" and one != other:
            raise ValueError(f"{self.name}: merge_mode {self.merge_mode!r} needs outputs of one shape: {one}, {other}")
        merged = (*one[:-1], one[-1] + other[-1]) if self.merge_mode == "concat" else one
        return (merged, *states, *other_states) if self.return_state else merged

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        mask = mask[0] if isinstance(mask, list | tuple) else mask
        masks = (mask if self.return_sequences else None,) * (2 if self.merge_mode is None else 1)
        states = (None,) * (sum(layer.state_count for layer in self.sublayers()) if self.return_state else 0)
        return (*masks, *states) if len(masks) + len(states) > 1 else masks[0]

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        given = {name: config.get(name) for name in ("layer", "backward_layer")}
        layers = {name: registry.build(layer) for name, layer in given.items() if isinstance(layer, dict)}
        return cls(**{**config, **layers})


def merge(one: Array, other: Array | None, mode: str | None) -> tuple[Any, Pullback]:
    """Two outputs as one, in one of the MERGE_MODES; the pullback returns a tuple of two cotangents."""
    xp = array_namespace(one)
    if mode is None:
        return (one, other), lambda dy: dy
    if mode == "concat":
        size = one.shape[-1]
        return xp.concat([one, other], axis=-1), lambda dy: (dy[..., :size], dy[..., size:])
    if mode == "mul":
        return one * other, lambda dy: (dy * other, dy * one)
    if mode == "ave":
        return (one + other) * 0.5, lambda dy: (dy * 0.5,) * 2
    return one + other, lambda dy: (dy, dy)


def _copied(layer: Recurrent | RNN, prefix: str, **changes: Any) -> Any:
    """A new layer with the same arguments and other weights."""
    names = set(constructor_arguments(type(layer))) - set(layer.refused)  # type: ignore[arg-type]
    arguments = {name: getattr(layer, name) for name in names}
    if isinstance(layer, RNN):
        arguments["cell"] = type(layer.cell).from_config(layer.cell.get_config())
    return type(layer)(**{**arguments, "name": f"{prefix}{layer.name.removeprefix(prefix)}", **changes})
