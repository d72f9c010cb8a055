"""Rows of the table of layers: embeddings, whose inputs are indices."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from nnx.layers.embedding import Embedding
from nnx.random import Generator
from nnx.testing.cases import LayerCase


@dataclasses.dataclass(frozen=True)
class IndexCase(LayerCase):
    """A layer whose inputs are indices, of a vocabulary of that size; `input` returns integers."""

    vocabulary: int = 1

    def input(self, seed: int = 0) -> np.ndarray:
        words = Generator(seed).integers(int(np.prod(self.input_shape)))
        return (words % self.vocabulary).astype(np.int64).reshape(self.input_shape)


LAYERS: dict[str, list[IndexCase]] = {}


def _layer(name: str, vocabulary: int, make: Callable[[], Embedding], *input_shape: int) -> None:
    LAYERS.setdefault(name.partition(" ")[0], []).append(IndexCase(name, make, input_shape, vocabulary))


_layer("Embedding", 7, lambda: Embedding(7, 3), 2, 5)
_layer("Embedding of single indices", 7, lambda: Embedding(7, 3), 4)
_layer("Embedding of tables", 5, lambda: Embedding(5, 2), 2, 3, 4)
_layer("Embedding of one index", 1, lambda: Embedding(1, 4, weights=[np.ones((1, 4))]), 3, 2)
_layer("Embedding with a mask", 4, lambda: Embedding(4, 3, mask_zero=True, embeddings_initializer="normal"), 3, 6)
_layer(
    "Embedding regularised",
    6,
    lambda: Embedding(6, 3, embeddings_regularizer="l2", embeddings_constraint="unit_norm"),
    *(2, 4),
)
_layer("Embedding of a large vocabulary", 60_000, lambda: Embedding(60_000, 2), 4, 10)
