"""Embeddings that are used in both directions, as in language models."""

from __future__ import annotations

from typing import Any

from nnx.arguments import floating_dtype, non_negative_number
from nnx.autodiff.transforms import derive
from nnx.backends import Array, array_namespace
from nnx.functional import Pullback
from nnx.layers.embedding import Embedding
from nnx.layers.layer import registry
from nnx.shapes import Shape


@registry.register()
class ReversibleEmbedding(Embedding):
    """An `Embedding` that, called with reverse=True, gives a number for each word, how well a vector fits its own.

        y = x @ embeddings.T, or, not tied, x @ reverse_embeddings;  c tanh(y / c) with c = logit_soft_cap

    tie_weights : whether both directions share one table; else reverse_embeddings (output_dim, input_dim) is a weight.
    reverse_dtype : what the way back is computed in, and its result; by default as the layer.
    logit_soft_cap : a bound for its numbers, positive; None for none.
    input_dim, output_dim, embeddings_initializer, embeddings_regularizer, embeddings_constraint, mask_zero : as for
        `Embedding`.

    Without reverse as `Embedding`. With it, input (batch, ..., output_dim), output (batch, ..., input_dim); the mask
    goes on. Press and Wolf, arXiv:1608.05859.

    >>> layer = ReversibleEmbedding(3, 2, embeddings_initializer="ones")
    >>> layer([[2, 1]]).shape, layer(layer([[2, 1]]), reverse=True).tolist()
    ((1, 2, 2), [[[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]])
    """

    shape_options = ("reverse",)
    floats_with = "reverse"

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        tie_weights: bool = True,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        reverse_dtype: str | None = None,
        logit_soft_cap: float | None = None,
        **kwargs: Any,
    ) -> None:
        table = embeddings_initializer, embeddings_regularizer, embeddings_constraint
        super().__init__(input_dim, output_dim, *table, mask_zero, **kwargs)
        self.tie_weights = tie_weights
        self.reverse_dtype = floating_dtype(f"{self.name}: reverse_dtype", reverse_dtype)
        self.logit_soft_cap = logit_soft_cap
        if logit_soft_cap is not None:
            non_negative_number(f"{self.name}: logit_soft_cap", logit_soft_cap, zero=False)

    def build(self, input_shape: Shape | None = None) -> None:
        super().build(input_shape)
        if not self.tie_weights:
            self.reverse_embeddings = self.add_weight(
                (self.output_dim, self.input_dim), vars(self)["embeddings_initializer"], name="reverse_embeddings"
            )

    def forward(self, x: Array, *, training: bool = False, reverse: bool = False) -> tuple[Array, Pullback]:
        if not reverse:
            return super().forward(x, training=training)
        if x.shape[-1] != self.output_dim:
            raise ValueError(
                f"{self.name}: reverse=True expects vectors of {self.output_dim} numbers, got shape {tuple(x.shape)}"
            )
        weight = self.embeddings if self.tie_weights else self.reverse_embeddings
        y, pullback, _ = derive(self._scores, (x, weight.value), {})
        return y, self.route(pullback, None, weight)

    def _scores(self, x: Array, weight: Array) -> Array:
        xp = array_namespace(x)
        dtype = weight.dtype if self.reverse_dtype is None else getattr(xp, self.reverse_dtype)
        x, weight = xp.astype(x, dtype, copy=False), xp.astype(weight, dtype, copy=False)
        scores = xp.matmul(x, xp.matrix_transpose(weight) if self.tie_weights else weight)
        if self.logit_soft_cap is None:
            return scores
        return xp.tanh(scores / self.logit_soft_cap) * self.logit_soft_cap

    def run_masked(self, arrays: list[Any], mask: Any, **options: Any) -> tuple[Any, Any, Pullback]:
        if not options.get("reverse"):
            return super().run_masked(arrays, mask, **options)
        y, pullback = self.run(*arrays, **options)
        return y, mask, pullback

    def compute_output_shape(self, input_shape: Shape, reverse: bool = False) -> Shape:
        if reverse:
            return (*input_shape[:-1], self.input_dim)
        return super().compute_output_shape(input_shape)
