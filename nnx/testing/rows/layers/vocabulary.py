"""Examples of layers: texts, integers and numbers as categories."""

from __future__ import annotations

from nnx.layers.category_encoding import CategoryEncoding
from nnx.layers.discretization import Discretization
from nnx.layers.hashing import HashedCrossing, Hashing
from nnx.layers.integer_lookup import IntegerLookup
from nnx.layers.string_lookup import StringLookup
from nnx.layers.text_vectorization import TextVectorization
from nnx.testing.rows.layer_case import LayerRows

LAYERS = LayerRows()
_indices, _texts = LAYERS.indices, LAYERS.texts

_WORDS = ["w3", "w0", "w5"]

_texts("TextVectorization", lambda: TextVectorization(vocabulary=_WORDS), 4, 1)
_texts("TextVectorization counted", lambda: TextVectorization(vocabulary=_WORDS, ngrams=2, output_mode="count"), 4)
_texts("StringLookup", lambda: StringLookup(vocabulary=_WORDS, num_oov_indices=2), 3, 2)
_texts("StringLookup encoded", lambda: StringLookup(vocabulary=_WORDS, output_mode="multi_hot"), 3, 4)
_texts("Hashing", lambda: Hashing(5, mask_value="w1", salt=3), 3, 2)
_texts("Hashing encoded", lambda: Hashing(5, output_mode="one_hot"), 3, 1)
_texts("HashedCrossing", lambda: HashedCrossing(7), 4, several=2)
_texts("HashedCrossing encoded", lambda: HashedCrossing(7, "one_hot"), 4, 1, several=3)
_indices("IntegerLookup", 9, lambda: IntegerLookup(vocabulary=[8, 3, 5], num_oov_indices=2, mask_token=0), 3, 4)
_indices(
    "IntegerLookup weighted",
    *(9, lambda: IntegerLookup(vocabulary=[8, 3], idf_weights=[0.5, 2.0], output_mode="tf_idf"), 3, 4),
)
_indices("CategoryEncoding", 5, lambda: CategoryEncoding(5), 3, 4)
_indices("CategoryEncoding counted", 5, lambda: CategoryEncoding(5, "count"), 3, 4)
_indices("Discretization", 9, lambda: Discretization([1.0, 3.5, 8.0]), 3, 4)
_indices("Discretization encoded", 9, lambda: Discretization([1.0, 3.5, 8.0], output_mode="one_hot"), 3, 4)
