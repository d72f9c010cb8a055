"""Examples of a layer: a configuration, and inputs for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnx.layers import Layer
from nnx.random import Generator


@dataclasses.dataclass(frozen=True)
class LayerCase:
    """A layer in one configuration, and the shape of an input for it."""

    name: str
    make: Callable[[], Layer]
    input_shape: tuple[int, ...]

    def __str__(self) -> str:
        return self.name

    def input(self, seed: int = 0) -> np.ndarray:
        """Normal float64 numbers of the input's shape."""
        return Generator(seed).normal(self.input_shape)


@dataclasses.dataclass(frozen=True)
class IndexCase(LayerCase):
    """A layer whose inputs are indices, of a vocabulary of that size; `input` returns integers."""

    vocabulary: int = 1

    def input(self, seed: int = 0) -> np.ndarray:
        words = Generator(seed).integers(int(np.prod(self.input_shape)))
        return (words % self.vocabulary).astype(np.int64).reshape(self.input_shape)


@dataclasses.dataclass(frozen=True)
class TextCase(IndexCase):
    """A layer whose inputs are texts of one word, of a vocabulary of that size, or several of these in a list."""

    several: int = 0

    def input(self, seed: int = 0) -> Any:
        """Arrays of the words "w0", "w1" and so on."""
        numbers = [super(TextCase, self).input(seed + index) for index in range(self.several or 1)]
        words = [np.char.add("w", one.astype(str)) for one in numbers]
        return words if self.several else words[0]


@dataclasses.dataclass(frozen=True)
class MergeCase(LayerCase):
    """A layer of several inputs: `input_shape` is a list of shapes, and `input` returns a list of arrays."""

    input_shape: list[tuple[int, ...]]  # type: ignore[assignment]

    def input(self, seed: int = 0) -> list[np.ndarray]:  # type: ignore[override]
        generator = Generator(seed)
        return [generator.normal(shape) for shape in self.input_shape]


class LayerRows(dict[str, list[Any]]):
    """Examples of layers, by the names of their classes. The first word of an example's name is that of the class."""

    def one_input(self, name: str, make: Callable[[], Layer], *input_shape: int) -> None:
        """Add an example of a layer of one input of numbers."""
        self._add(LayerCase(name, make, input_shape))

    def indices(self, name: str, vocabulary: int, make: Callable[[], Layer], *input_shape: int) -> None:
        """Add an example of a layer of indices below `vocabulary`."""
        self._add(IndexCase(name, make, input_shape, vocabulary))

    def texts(self, name: str, make: Callable[[], Layer], *input_shape: int, several: int = 0) -> None:
        """Add an example of a layer of texts, the words "w0" to "w5", or of several of these."""
        self._add(TextCase(name, make, input_shape, 6, several))

    def several_inputs(self, name: str, make: Callable[[], Layer], *input_shapes: Sequence[int]) -> None:
        """Add an example of a layer of several inputs of numbers."""
        self._add(MergeCase(name, make, [tuple(shape) for shape in input_shapes]))

    def _add(self, case: LayerCase) -> None:
        self.setdefault(case.name.partition(" ")[0], []).append(case)
