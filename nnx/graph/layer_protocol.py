"""Protocol of a layer: what a graph knows of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from nnx.backends import Placement
from nnx.parameters import Parameter
from nnx.pullbacks import Differentiable


def reads_integers(layer: Any, index: int, options: Mapping[str, Any]) -> bool:
    """Whether integers stay what they are in an input of a layer that is called with these options."""
    return layer.reads_integers(index) and not options.get(layer.floats_with)


def read_on_host(readers: Sequence[Any]) -> bool:
    """Whether what these layers read stays on the host: there are some, and all of them compute there."""
    return len(readers) > 0 and all(reader.on_host for reader in readers)


class GraphLayer(Protocol):
    """A layer in a graph. Nodes are calls of it; a program runs it on arrays.

    name, dtype, placement : of the layer; dtype None stands for that of its placement.
    learns, weights : whether it has parameters that may be trained, and which parameters it has.
    input_structure : how the arguments of its first call were nested, with numbers in place of arrays.
    takes_integers, makes_mask : whether its inputs stay integers; whether its output has a mask though none came in.
    converts_inputs : whether it converts floating inputs to its dtype.
    floats_with : the option of a call that, if it is True, lets a layer of integers take other numbers.
    """

    name: str
    dtype: str | None
    learns: bool
    takes_integers: bool
    converts_inputs: bool
    floats_with: str
    input_structure: Any

    @property
    def makes_mask(self) -> bool: ...

    @property
    def takes_ending(self) -> bool:
        """Whether `run_ended` takes what follows the layer."""

    @property
    def is_sum(self) -> bool:
        """Whether it adds its inputs, and does nothing else."""

    @property
    def plain_activation(self) -> Differentiable | None:
        """The activation of a layer that is nothing else."""

    def run_ended(self, end: Differentiable, *inputs: Any, **options: Any) -> Any:
        """(y, pullback) for arrays, with an activation or an `Ending` as the end of the layer."""

    @property
    def joins_equal_inputs(self) -> bool:
        """Whether `run` takes one array where all inputs are the same value."""

    @property
    def placement(self) -> Placement: ...

    @property
    def weights(self) -> list[Parameter]: ...

    @property
    def composition(self) -> Any:
        """The graph of a layer that is made of others; None for one that is not."""

    @property
    def connects_outputs(self) -> bool:
        """Whether it is a graph in which an output is computed from another one."""

    def walk(self) -> Iterator[tuple[str, Any]]:
        """The layer and those inside it, each with its path."""

    def readers(self, index: int) -> list[Any]:
        """The layers that read an input: itself, or those inside of it that do."""

    def reads_integers(self, index: int) -> bool:
        """Whether integers stay what they are in an input."""

    def takes_none(self, index: int) -> bool:
        """Whether an input may be None where it is optional in the graph."""

    def run(self, *inputs: Any, **options: Any) -> Any:
        """(y, pullback) for arrays."""

    def run_masked(self, arrays: list[Any], mask: Any, **options: Any) -> Any:
        """(y, mask of y, pullback) for arrays of which some have a mask."""

    def read_mask(self, inputs: list[Any], mask: Any) -> Any:
        """A mask as users give it, as boolean arrays."""

    def remember_call(self, node: Any) -> None:
        """Take a call in a graph as the first one, unless there is one."""
