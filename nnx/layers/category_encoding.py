"""Categories, by their numbers, as vectors."""

from __future__ import annotations

from typing import Any

from nnx.arguments import choice, positive_integer
from nnx.backends import Array, array_namespace, backend_of
from nnx.functional import Pullback
from nnx.functional.category_encoding import MODES, encode_categories, encoded_shape
from nnx.layers.index_lookup import refuse_fractions, refuse_sparse_output
from nnx.layers.layer import Layer, registry
from nnx.shapes import Shape


@registry.register()
class CategoryEncoding(Layer):
    """Vectors for integers: "one_hot", one for each; "multi_hot" and "count", one for the last axis.

    num_tokens : how many categories there are, and how long the vectors are.
    output_mode : "multi_hot", ones where a category occurs in the sample; "count", how often; "one_hot".
    sparse : only False.

    Input: integers from 0 to num_tokens - 1, of any shape; with one_hot a last axis of length 1 is dropped. Others are
    left out, but for negative ones on the host, which are a ValueError unless the mode is one_hot. In "count" mode a
    call takes `count_weights` of the shape of the input, which are added up in place of ones. Output (..., num_tokens).

    >>> CategoryEncoding(3, output_mode="count")([[0, 2, 2], [1, 1, 1]])
    array([[1., 0., 2.],
           [0., 3., 0.]], dtype=float32)
    """

    takes_integers = True
    takes_scalars = True
    learns = False

    def __init__(
        self, num_tokens: int | None = None, output_mode: str = "multi_hot", sparse: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        refuse_sparse_output(self.name, sparse)
        if num_tokens is None:
            raise ValueError(f"{self.name} needs num_tokens; where it is not known, write IntegerLookup()")
        self.num_tokens = positive_integer(f"{self.name}: num_tokens", num_tokens)
        mode = "multi_hot" if output_mode == "binary" else output_mode
        self.output_mode = choice(f"{self.name}: output_mode", mode, MODES)
        self.sparse = False

    def forward(self, x: Array, *, training: bool = False, count_weights: Any = None) -> tuple[Array, Pullback]:
        dtype = self.dtype or self.placement.dtype
        xp = array_namespace(x)
        if not xp.isdtype(x.dtype, "integral"):
            refuse_fractions(x, self.name)
            x = xp.astype(xp.where(x == xp.floor(x), x, -1.0), xp.int64)  # on a device what is none is left out
        if count_weights is not None:
            if self.output_mode != "count":
                raise ValueError(f'{self.name}: count_weights go with output_mode="count", not {self.output_mode!r}')
            count_weights = self.placement.asarray(count_weights, dtype)
            if count_weights.shape != x.shape:
                raise ValueError(
                    f"{self.name}: count_weights must have the shape {tuple(x.shape)}, got {tuple(count_weights.shape)}"
                )
        if self.output_mode != "one_hot" and backend_of(x).is_on_host(x) and xp.any(x < 0):
            raise ValueError(f"{self.name}: expected integers from 0 to {self.num_tokens - 1}, got {xp.min(x)}")
        return encode_categories(x, self.output_mode, self.num_tokens, dtype, count_weights), lambda dy: None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return encoded_shape(input_shape, self.output_mode, self.num_tokens)
