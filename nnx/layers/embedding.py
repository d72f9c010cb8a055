"""Embeddings: vectors for words, by their numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx import initializers
from nnx.arguments import positive_integer, refuse
from nnx.backends import Array, array_namespace
from nnx.functional import Pullback
from nnx.functional.embedding import embedding
from nnx.layers.layer import Layer, registry
from nnx.shapes import Shape


@registry.register()
class Embedding(Layer):
    """A vector for each index, such as the number of a word: rows of a table that is learned.

        y[..., :] = embeddings[x[...], :]

    input_dim : size of the vocabulary; indices are from 0 to input_dim - 1.
    output_dim : size of the vectors.
    embeddings_initializer, embeddings_regularizer, embeddings_constraint : for the table (input_dim, output_dim).
    mask_zero : whether 0 is no word but fills up short sequences; layers that know masks then leave these steps out.
    weights : the table to start with, in place of an initializer; also as a list of one.
    lora_rank, lora_alpha, quantization_config : None; ValueError for anything else.
    input_length : in old scripts the length of the sequences, for the first layer of a Sequential.

    Input: integers (batch, ...), output (batch, ..., output_dim), embeddings (input_dim, output_dim). With mask_zero
    the output has a mask, True where x is not 0. An index that is not in the vocabulary is a
    ValueError where the data come from the host; of data that are on a device already its vector is NaN.

    >>> Embedding(3, 2, weights=[[0.0, 0.0], [0.1, 0.2], [0.3, 0.4]])([[2, 1]])
    array([[[0.3, 0.4],
            [0.1, 0.2]]], dtype=float32)
    """

    refused = ("weights", "lora_rank", "lora_alpha", "quantization_config")  # the table is in the file
    takes_integers = True
    makes_mask = False

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        input_length = kwargs.pop("input_length", None)
        super().__init__(**kwargs)
        refuse(self.name, lora_rank=lora_rank, lora_alpha=lora_alpha, quantization_config=quantization_config)
        self.input_dim = positive_integer(f"{self.name}: input_dim", input_dim)
        self.output_dim = positive_integer(f"{self.name}: output_dim", output_dim)
        self.set_weight_options("embeddings", embeddings_initializer, embeddings_regularizer, embeddings_constraint)
        self.mask_zero = self.makes_mask = self.supports_masking = bool(mask_zero)
        if input_length is not None and self.batch_input_shape is None:
            lengths = input_length if isinstance(input_length, list | tuple) else (input_length,)
            self.batch_input_shape = (None, *lengths)
        self._start = None if weights is None else self._from_table(weights)

    def _from_table(self, weights: Any) -> initializers.Constant:
        listed = isinstance(weights, list | tuple) and len(weights) == 1 and np.ndim(weights[0]) == 2
        table = initializers.Constant(weights[0] if listed else weights)
        expected, given = (self.input_dim, self.output_dim), np.shape(table.value)
        if given != expected:
            raise ValueError(f"{self.name}: weights must be a table of shape {expected}, got {given}")
        return table

    def build(self, input_shape: Shape | None = None) -> None:
        self.embeddings = self.add_weight_with_options(
            "embeddings", (self.input_dim, self.output_dim), initializer=self._start
        )
        super().build(input_shape)

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        xp = array_namespace(x)
        if x.dtype not in (xp.int32, xp.int64):
            if xp.isdtype(x.dtype, "real floating"):  # what is no number of a word must not become one
                x = xp.where(xp.logical_and(xp.abs(x) < self.input_dim, x == xp.floor(x)), x, -1.0)
            x = xp.astype(x, xp.int64)
        y, pullback = embedding(x, self.embeddings.value)
        return y, self.route(pullback, None, self.embeddings, direct=True)

    def compute_mask(self, inputs: Array, mask: Array | None = None) -> Array | None:
        """True where there is a word, and the mask of the input is True; that one without `mask_zero`."""
        words = inputs != 0 if self.mask_zero else None
        return mask if words is None else words if mask is None else array_namespace(words).logical_and(words, mask)

    def check_indices(self, x: Any) -> None:
        """ValueError if host data have an index that is not in the vocabulary. On a device nobody would notice."""
        indices = np.asarray(x)
        if indices.dtype.kind not in "iuf":
            raise ValueError(f"{self.name}: expected integers as indices, got data of dtype {indices.dtype}")
        wrong = ~((indices >= 0) & (indices < self.input_dim))
        if indices.dtype.kind == "f":
            wrong |= indices != np.floor(indices)
        if wrong.any():
            place = tuple(map(int, np.argwhere(wrong)[0]))
            raise ValueError(
                f"{self.name}: indices must be integers from 0 to {self.input_dim - 1}, got {indices[place]} at "
                f"{place}; input_dim is the largest index + 1"
            )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape, self.output_dim)
