"""Inputs and outputs of a model as training sees them: names, shapes, and what inputs are converted to."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from nnx.graph.layer_protocol import read_on_host
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
    optional : the numbers of the inputs that may be None.
    """

    input_names: list[str]
    input_shapes: list[Shape]
    readings: list[InputReading]
    output_names: list[str]
    optional: list[int]

    def check_given(self, xs: Sequence[Any], model_name: str) -> None:
        """ValueError for inputs that are None and not optional, and where not one is given."""
        for index, (name, x) in enumerate(zip(self.input_names, xs, strict=False)):
            if x is None and index not in self.optional:
                raise ValueError(
                    f"{model_name}: the input {name!r} is not optional, and it is None: give an array; one of several "
                    f"inputs may be left out if it is made with Input(..., optional=True)"
                )
        if all(x is None for x in xs):
            raise ValueError(f"{model_name}: every input is None, so there are no samples: give one of them")

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
