"""Inputs and outputs of a model as training sees them: names, shapes, and what inputs are converted to."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from nnx.layers.layer import read_on_host
from nnx.locks import cached_property
from nnx.shapes import Shape


@dataclasses.dataclass(frozen=True, slots=True)
class InputReading:
    """How an input is read.

    dtype : what it is converted to; None for the floating dtype of the model, or any integers if `integers`.
    integers : the layers that take integers from it.
    feeds_integers : whether it reaches, at last, a layer that takes integers.
    on_host : whether it stays on the host: only layers read it that compute there.
    """

    dtype: str | None = None
    integers: tuple[Any, ...] = ()
    feeds_integers: bool = False
    on_host: bool = False

    @classmethod
    def of(cls, dtype: str | None, readers: Sequence[Any], feeds_integers: bool) -> InputReading:
        """How an input of that dtype is read by these layers."""
        integers = tuple(reader for reader in readers if reader.takes_integers)
        return cls(dtype, integers, feeds_integers, read_on_host(readers))


@dataclasses.dataclass(frozen=True)
class Ports:
    """What goes into a model and comes out of it, looked up once it is built.

    input_names, input_shapes, readings : of the inputs, in their order; shapes with the batch axis.
    output_names : of the outputs, in their order.
    """

    input_names: list[str]
    input_shapes: list[Shape]
    readings: list[InputReading]
    output_names: list[str]

    @cached_property
    def kept(self) -> list[int]:
        """The inputs whose integers stay what they are inside the model."""
        declared = [
            reading.feeds_integers and ("int" in (reading.dtype or "") or reading.dtype == "bool")
            for reading in self.readings
        ]
        return [
            index
            for index, reading in enumerate(self.readings)
            if reading.integers or reading.on_host or declared[index]
        ]

    @cached_property
    def has_host_inputs(self) -> bool:
        """Whether there is an input that stays on the host."""
        return any(reading.on_host for reading in self.readings)

    @cached_property
    def converted(self) -> list[int]:
        """The inputs that have a dtype of their own, in which no layer takes them."""
        return [index for index, reading in enumerate(self.readings) if reading.dtype and index not in self.kept]
