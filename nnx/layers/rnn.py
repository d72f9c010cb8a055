"""Recurrence with a cell of one's own: a layer that computes one step, applied to every step of a sequence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from nnx.autodiff.array import lower
from nnx.autodiff.tape import open_tapes
from nnx.backends import Array, Placement, array_namespace
from nnx.layers.layer import Layer, registry
from nnx.layers.recurrent import Recurrent, sequence_shape
from nnx.lazy_loading import names_of
from nnx.shapes import Shape
from nnx.structure import leaves, rebuild


@registry.register()
class StackedRNNCells(Layer):
    """Cells on top of each other as one cell: each one's output is the next one's input.

    cells : a list of cells, such as [LSTMCell(8), GRUCell(4)]; see `RNN`. TypeError for what is no cell,
        ValueError for an empty list.

    Its states are a list with those of each cell, for a cell with several states a list of these.

    >>> import numpy as np
    >>> from nnx.layers import GRUCell, LSTMCell
    >>> RNN(StackedRNNCells([LSTMCell(8), GRUCell(4)]))(np.ones((2, 3, 5))).shape
    (2, 4)
    """

    def __init__(self, cells: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not cells:
            raise ValueError(f"{self.name}: cells must be one cell or more, got none")
        self.cells = [check_cell(f"{self.name}: each of cells", _made(cell)) for cell in cells]

    @property
    def state_size(self) -> list[Any]:
        """The sizes of the states of each cell."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """How many features the last cell's output has."""
        return output_size_of(self.cells[-1])

    def get_initial_state(self, batch_size: int) -> list[Any]:
        """The states that a sequence begins with, for each cell."""
        return [
            state if isinstance(cell.state_size, list | tuple) else leaves(state)[0]
            for cell in self.cells
            for state in [initial_state_of(cell, batch_size)]
        ]

    def build(self, input_shape: Any) -> None:
        input_shape = sequence_shape(input_shape)
        for cell in self.cells:
            build_cell(cell, self, input_shape)
            input_shape = (input_shape[0], output_size_of(cell))
        super().build(input_shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shapes of the output and of each state."""
        batch = sequence_shape(input_shape)[0]
        return ((batch, self.output_size), *((batch, size) for size in leaves(self.state_size)))

    def draw_dropout(self, batch: int, features: int) -> list[Any]:
        """For each cell what its `draw_dropout` returns, or None."""
        sizes = [features, *(output_size_of(cell) for cell in self.cells)]
        return [draws_of(cell, batch, size) for cell, size in zip(self.cells, sizes, strict=False)]

    def call(self, inputs: Any, states: Any = None, training: bool = False, draws: Any = None) -> tuple[Any, list[Any]]:
        """The step of all cells, one after the other. draws : what `draw_dropout` returned."""
        if isinstance(inputs, list | tuple):
            inputs, *states = inputs
        states = rebuild(self.state_size, leaves(states))
        after = []
        for number, (cell, before) in enumerate(zip(self.cells, states, strict=True)):
            inputs, new = step_of(cell, inputs, before, training, None if draws is None else draws[number])
            after.append(new if isinstance(before, list | tuple) else new[0])
        return inputs, after

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**{**config, "cells": [registry.build(cell) for cell in config["cells"]]})


@registry.register()
class RNN(Layer):
    """A recurrent layer with a cell of one's own, which computes one step.

        output, states = cell(x_t, states)    for each step t

    cell : a layer with `call(inputs, states)`, which returns the output and the new states, and with `state_size`, a
        number or a list of numbers: the features of each state. It may have `output_size`, by default the size of the
        first state, and `get_initial_state(batch_size)`, by default zeros. Cells are `LSTMCell`, `GRUCell`,
        `SimpleRNNCell`, `StackedRNNCells` and one's own. A list of cells is stacked. TypeError for anything else.
    return_sequences, return_state, go_backwards, stateful, zero_output_for_mask, unroll : as for `SimpleRNN`; with
        zero_output_for_mask the last output of a sequence is 0 too where the mask leaves its step out.

    Input (batch, time, ...), output (batch, output_size), or (batch, time, output_size) with return_sequences. Steps at
    which a mask (batch, time) is False leave the states as they are, and the output is the one before, at first 0.
    Called with `initial_state=[...]`, it starts there.

    >>> import numpy as np
    >>> import nnx
    >>> class Minimal(nnx.layers.Layer):
    ...     def __init__(self, units, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.units = self.state_size = units
    ...     def build(self, input_shape):
    ...         self.kernel = self.add_weight((input_shape[-1], self.units), name="kernel")
    ...         self.recurrent_kernel = self.add_weight((self.units, self.units), name="recurrent_kernel")
    ...         super().build(input_shape)
    ...     def call(self, inputs, states):
    ...         output = nnx.ops.tanh(inputs @ self.kernel + states[0] @ self.recurrent_kernel)
    ...         return output, [output]
    >>> RNN(Minimal(4), return_sequences=True)(np.ones((2, 3, 5))).shape
    (2, 3, 4)
    """

    supports_masking = True

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cell = check_cell(f"{self.name}: cell", StackedRNNCells(cell) if isinstance(cell, list | tuple) else cell)
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask
        self.states: list[Any] | None = None

    @property
    def state_size(self) -> list[Any]:
        """The sizes of the cell's states, in a list."""
        return sizes_of_states(self.cell)

    @property
    def state_count(self) -> int:
        """How many states there are, those of all stacked cells."""
        return len(leaves(self.state_size))

    def get_initial_state(self, batch_size: int) -> list[Any]:
        """The states that a sequence begins with: those of the cell."""
        return initial_state_of(self.cell, batch_size)

    def build(self, input_shape: Any) -> None:
        batch, _, *features = self._check_input(sequence_shape(input_shape))
        build_cell(self.cell, self, (batch, *features))
        super().build(input_shape)

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        """The outputs, or (outputs, *states) with return_state."""
        if isinstance(sequences, list | tuple):
            sequences, *initial_state = sequences
        shape: tuple[int, ...] = tuple(sequences.shape)
        self._check_input(shape)
        states = self._first_states(initial_state, shape[0])
        draws = draws_of(self.cell, shape[0], math.prod(shape[2:])) if training else None
        mask = self._read_mask(mask, shape)
        steps: Sequence[int] = range(shape[1])
        if self.go_backwards:
            steps = steps[::-1]
        inputs = array_namespace(sequences).unstack(sequences, axis=1)
        outputs: list[Any] = []
        for t in steps:
            output, new = step_of(self.cell, inputs[t], states, training, draws)
            if mask is not None:
                kept = mask[:, t]
                last = outputs[-1] if outputs and not self.zero_output_for_mask else 0.0
                output = _where(kept, output, last)
                new = [_where(kept, one, other) for one, other in zip(leaves(new), leaves(states), strict=True)]
            states = rebuild(states, leaves(new))
            outputs.append(output)
        if self.stateful and not _is_tried_out():
            self.states = rebuild(states, [_kept(state) for state in leaves(states)])
        y = outputs[-1]
        if self.return_sequences:
            y = array_namespace(y).stack(outputs, axis=1)  # it may be tracked where the sequences are not
        return (y, *states) if self.return_state else y

    def _first_states(self, given: Any, batch: int) -> list[Any]:
        """The states that the sequence begins with: given ones, those that are remembered, or the cell's."""
        if given is None or len(leaves(given)) == 0:
            if self.states is None:
                return self.get_initial_state(batch)
            remembered = leaves(self.states)[0].shape[0]
            if remembered != batch:
                raise ValueError(
                    f"{self.name} is stateful and remembers {remembered} sequences, but got a batch of {batch}: call "
                    f"reset_states() first, or give batches of one size"
                )
            return self.states
        if len(leaves(given)) != self.state_count:
            raise ValueError(f"{self.name}: expected {self.state_count} initial states, got {len(leaves(given))}")
        for state, size in zip(leaves(given), leaves(self.state_size), strict=True):
            sizes = tuple(state.shape)
            if sizes[:1] != (batch,) or (len(sizes) == 2 and sizes[1] != size):
                raise ValueError(f"{self.name}: expected an initial state of shape {(batch, size)}, got {sizes}")
        return list(rebuild(self.state_size, leaves(given)))

    def _read_mask(self, mask: Any, shape: Shape) -> Array | None:
        mask = mask[0] if isinstance(mask, list | tuple) else mask
        if mask is None:
            return None
        mask = self.placement.asarray(lower(mask), "bool")
        if tuple(mask.shape) != shape[:2]:
            raise ValueError(f"{self.name}: expected a mask (batch, time) = {shape[:2]}, got shape {tuple(mask.shape)}")
        return mask

    def _check_input(self, shape: Shape) -> Shape:
        if len(shape) < 3 or shape[1] == 0:
            raise ValueError(
                f"{self.name}: expected an input of shape (batch, time, features), with at least one time step, got "
                f"{shape}"
            )
        return shape

    def reset_states(self, states: Any = None) -> None:
        """Forget the states of a stateful layer, or replace them."""
        if states is None:
            self.states = None
            return
        kind = self.dtype or self.placement.dtype
        given = [self.placement.asarray(state, kind) for state in leaves(states)]
        self.states = self._first_states(given, given[0].shape[0])

    reset_state = reset_states

    def move(self, placement: Placement) -> None:
        super().move(placement)
        if self.states is not None:
            kind = self.dtype or placement.dtype
            self.states = rebuild(self.states, [placement.asarray(state, kind) for state in leaves(self.states)])

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, time, *_ = self._check_input(sequence_shape(input_shape))
        size = output_size_of(self.cell)
        y = (batch, time, size) if self.return_sequences else (batch, size)
        return (y, *((batch, one) for one in leaves(self.state_size))) if self.return_state else y

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """With return_sequences the input's mask, in the order of the outputs."""
        mask = mask[0] if isinstance(mask, list | tuple) else mask
        if mask is None or not self.return_sequences:
            return None
        return array_namespace(mask).flip(mask, axis=1) if self.go_backwards else mask

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**{**config, "cell": _made(config["cell"])})


# What holds for every cell


def check_cell(what: str, cell: Any) -> Any:
    """The cell; TypeError for what is none."""
    is_cell = isinstance(cell, Layer) and not isinstance(cell, Recurrent | RNN)
    if not is_cell or getattr(cell, "state_size", None) is None:
        raise TypeError(
            f"{what} must be a layer with call(inputs, states) and state_size, such as LSTMCell(10), got {cell!r}"
        )
    return cell


def build_cell(cell: Any, owner: Layer, input_shape: Shape) -> None:
    """Build a cell for inputs (batch, n), beside the layer that uses it."""
    cell.dtype = cell.dtype or owner.dtype
    sizes = sizes_of_states(cell)
    cell.input_structure = (0, rebuild(sizes, range(1, 1 + len(leaves(sizes)))))
    cell.build_on(owner.placement, [input_shape, *((input_shape[0], size) for size in leaves(sizes))])


def sizes_of_states(cell: Any) -> list[Any]:
    """The sizes of a cell's states, in a list, nested as the states are."""
    size = cell.state_size
    return list(size) if isinstance(size, list | tuple) else [size]


def output_size_of(cell: Any) -> int:
    """How many features a cell's output has: by default as many as its first state."""
    size: int | None = getattr(cell, "output_size", None)
    first: int = leaves(cell.state_size)[0]
    return first if size is None else size


def initial_state_of(cell: Any, batch: int) -> list[Any]:
    """The states that a sequence begins with, in a list."""
    if hasattr(cell, "get_initial_state"):
        made = cell.get_initial_state(batch_size=batch)
        return list(made) if isinstance(made, list | tuple) else [made]
    kind, sizes = cell.dtype or cell.placement.dtype, sizes_of_states(cell)
    zeros = [cell.placement.zeros((batch, size), kind) for size in leaves(sizes)]
    return list(rebuild(sizes, zeros))


def draws_of(cell: Any, batch: int, features: int) -> Any:
    """What a cell draws for the dropout of a whole sequence; None for one that has no part in that."""
    return cell.draw_dropout(batch, features) if hasattr(cell, "draw_dropout") else None


def step_of(cell: Any, x: Any, states: Any, training: bool, draws: Any) -> tuple[Any, list[Any]]:
    """A cell's output and its new states, in a list."""
    options: dict[str, Any] = {} if cell.is_eager and not cell.takes_training else {"training": training}
    if draws is not None:
        options["draws"] = draws
    output, new = cell(x, list(states) if isinstance(states, list | tuple) else [states], **options)
    return output, list(new) if isinstance(new, list | tuple) else [new]


def _where(kept: Array, new: Any, old: Any) -> Any:
    xp = array_namespace(new)
    return xp.where(xp.reshape(kept, (-1, *[1] * (len(new.shape) - 1))), new, old)


def _kept(state: Any) -> Array:
    value = lower(state)
    return array_namespace(value).asarray(value, copy=True)


def _is_tried_out() -> bool:
    return any(tape.calls is not None for tape in open_tapes())


def _made(cell: Any) -> Any:
    return registry.build(cell) if isinstance(cell, dict) else cell


if not TYPE_CHECKING:
    __getattr__ = names_of("nnx.layers")  # old scripts write `from ....layers.rnn import ...`
