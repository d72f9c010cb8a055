"""Lookup of texts in a vocabulary."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.backends import Array, array_namespace, to_numpy
from nnx.functional import Pullback
from nnx.functional.text_lookup import numbers_of_texts, texts_of_numbers
from nnx.layers.index_lookup import IndexLookup, Rows, whole_numbers
from nnx.layers.layer import registry
from nnx.text.values import as_texts


@registry.register()
class StringLookup(IndexLookup):
    """Numbers for texts, by a vocabulary that is given or that `adapt` learns; or texts for numbers.

    max_tokens : the most tokens that it has, special ones included; any number by default.
    num_oov_indices : how many numbers stand for texts that are not known. With several, a hash says which; with none,
        such a text is a ValueError.
    mask_token : a text that says nothing: number 0, before all others; in other output modes it is left out.
    oov_token : what stands for unknown texts where numbers become texts.
    vocabulary, idf_weights : see `set_vocabulary`.
    invert : texts for numbers.
    output_mode : "int"; "one_hot", a vector for each; "multi_hot", "count" or "tf_idf", one vector for the last axis,
        of ones, of how often each token occurs, or of that times its weight log(1 + documents / (1 + those with it)).
    pad_to_max_tokens : whether these vectors are max_tokens long, however many tokens there are.
    sparse : only False. encoding : of bytes, only "utf-8".
    salt : for unknown texts the hash is SipHash under this key, one or two integers, in place of FarmHash.

    Input: texts of any shape, on the host; output int64 of that shape, or vectors in the layer's floating dtype, in the
    place of the layer. The values are those of TensorFlow.

    >>> StringLookup(vocabulary=["a", "b"])(["b", "c", "a"])
    array([2, 0, 1])
    """

    on_host = True

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: str | None = None,
        oov_token: str | None = "[UNK]",
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        sparse: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        salt: Any = None,
        **kwargs: Any,
    ) -> None:
        if encoding.lower().replace("_", "-") not in ("utf-8", "utf8"):
            raise ValueError(f'encoding must be "utf-8", got {encoding!r}: decode the bytes first')
        self.encoding = encoding
        super().__init__(
            max_tokens=max_tokens,
            num_oov_indices=num_oov_indices,
            mask_token=mask_token,
            oov_token=oov_token,
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            invert=invert,
            output_mode=output_mode,
            pad_to_max_tokens=pad_to_max_tokens,
            sparse=sparse,
            name=name,
            salt=salt,
            **kwargs,
        )

    def token(self, value: Any) -> str | None:
        return None if value is None else str(as_texts(value, f"{self.name}: vocabulary")[()])

    def documents(self, batch: Any) -> Rows:
        texts = as_texts(batch, f"{self.name}.adapt")
        return texts.reshape(-1, texts.shape[-1] if texts.ndim > 1 else texts.size).tolist()

    def forward(self, x: Any, *, training: bool = False) -> tuple[Any, Pullback]:
        self.require_vocabulary()
        return (self._texts(x) if self.invert else self.looked_up(x)), lambda dy: None

    def looked_up(self, x: Any) -> Array:
        """The output for texts, -1 in the place of none."""
        indices = numbers_of_texts(x, self.indices, self.table, self.name)
        return self.encoded(self.placement.asarray(indices, "int64"))

    def _texts(self, numbers: Array) -> np.ndarray:
        if not array_namespace(numbers).isdtype(numbers.dtype, "integral"):
            numbers = whole_numbers(to_numpy(numbers), f"{self.name} with invert=True")
        tokens = [self.oov_token or "" if token is None else token for token in self.get_vocabulary()]
        return texts_of_numbers(numbers, tokens, self.oov_token or "")
