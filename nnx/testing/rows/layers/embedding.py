"""Examples of layers: embeddings, whose inputs are indices."""

from __future__ import annotations

import numpy as np

from nnx.layers.embedding import Embedding
from nnx.layers.reversible_embedding import ReversibleEmbedding
from nnx.testing.rows.layer_case import LayerRows

LAYERS = LayerRows()
_layer = LAYERS.indices


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
_layer("ReversibleEmbedding", 5, lambda: ReversibleEmbedding(5, 3, mask_zero=True), 2, 4)
_layer("ReversibleEmbedding of two tables", 5, lambda: ReversibleEmbedding(5, 3, tie_weights=False), 4)
