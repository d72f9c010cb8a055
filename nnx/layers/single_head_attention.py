"""Attention of a single head without projections: the scores are dot products, or sums."""

from __future__ import annotations

import math
from typing import Any

from nnx import functional
from nnx.arguments import choice, number
from nnx.autodiff.primitive import primitive
from nnx.autodiff.transforms import derive
from nnx.backends import Array, array_namespace, backend_of
from nnx.functional import Pullback
from nnx.layers.layer import Layer, registry
from nnx.layers.stochastic import random_stream
from nnx.parameters import Parameter
from nnx.shapes import Shape, same_leading_axes

_softmax, _dropout = primitive(functional.softmax), primitive(functional.dropout)


class SingleHeadAttention(Layer):
    """Attention that compares queries with keys as they are. A subclass says how, by `logits`.

    use_scale : whether there is a weight "scale".
    dropout : in training, the share of the attention scores that is set to zero.
    seed : for a random stream of this layer's own.
    """

    supports_masking = True

    uses_mask = True
    shape_options = ("return_attention_scores",)

    def __init__(self, use_scale: bool, dropout: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.use_scale = use_scale
        self.dropout = number(f"{self.name}: dropout", dropout, least=0.0, most=1.0)
        self.seed = seed

    def build(self, input_shape: Any) -> None:
        if self.random is None and self.dropout:
            self.random = random_stream(self.seed)
        super().build(input_shape)

    def logits(self, query: Array, key: Array, *weights: Array) -> Array:
        """How well keys (..., sources, n) fit queries (..., targets, n): (..., targets, sources), in array code."""
        raise NotImplementedError

    def forward(
        self,
        query: Array,
        value: Array,
        key: Array | None = None,
        *,
        training: bool = False,
        mask: Any = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> tuple[Any, Pullback]:
        inputs, weights = (query, value) if key is None else (query, value, key), self.own_weights
        of_query, allowed = self._masks(mask, query, value, use_causal_mask)
        drop: tuple[Any, ...] | None = None
        if training and self.dropout and self.random is not None:
            size = math.prod(query.shape[:-1]) * value.shape[-2]
            drop = (self.dropout, self.random.draw(size, by_rows=True))

        def attend(*arrays: Array) -> Any:
            (q, v, *keys), values = arrays[: len(inputs)], arrays[len(inputs) :]
            logits = self.logits(q, keys[0] if keys else v, *values)
            xp = array_namespace(logits)
            if allowed is not None:  # what Keras subtracts: where nothing is allowed, all scores are nearly equal
                logits = xp.where(allowed, logits, logits - (6e4 if xp.finfo(logits.dtype).bits < 32 else 1e9))
            scores = _softmax(logits) if drop is None else _dropout(_softmax(logits), *drop)
            y = xp.matmul(scores, v)
            y = y if of_query is None else xp.where(of_query, y, 0.0)
            return (y, scores) if return_attention_scores else y

        y, pullback, _ = derive(attend, (*inputs, *(weight.value for weight in weights)), {})
        return y, self.route(pullback, *[None] * len(inputs), *weights)

    def _masks(self, mask: Any, query: Array, value: Array, causal: bool) -> tuple[Array | None, Array | None]:
        """Which targets count (..., targets, 1), and which sources they may look at."""
        if mask is not None and not isinstance(mask, list | tuple):
            raise ValueError(
                f"{self.name}: mask must be a list [query_mask, value_mask], with None for what has none, got one array"
            )
        if mask is not None and not 2 <= len(mask) <= 3:
            raise ValueError(f"{self.name}: mask must be a list [query_mask, value_mask], got {len(mask)} entries")
        of_query, of_value = (None, None) if mask is None else mask[:2]
        allowed = None if of_value is None else self.placement.asarray(of_value, "bool")[..., None, :]
        if causal:
            xp, device = array_namespace(query), backend_of(query).device_of(query)
            targets, sources = (xp.arange(x.shape[-2], device=device) for x in (query, value))
            past = sources[None, :] <= targets[:, None]
            allowed = past if allowed is None else xp.logical_and(allowed, past)
        return None if of_query is None else self.placement.asarray(of_query, "bool")[..., None], allowed

    def check_inputs(self, input_shape: Any) -> tuple[Shape, Shape, Shape]:
        """The shapes of query, value and key; ValueError if they do not go together."""
        nested = len(input_shape) > 0 and isinstance(input_shape[0], list | tuple)
        if not nested or not 2 <= len(input_shape) <= 3:
            raise ValueError(
                f"{self.name}: expected the shapes of a query, a value and perhaps a key, got {input_shape}: call it "
                f"as layer([query, value])"
            )
        query, value, key = (tuple(shape) for shape in (*input_shape, input_shape[1])[:3])
        fits = len(query) == len(value) == len(key) >= 3 and query[-1] == key[-1] and value[-2] == key[-2]
        fits = fits and same_leading_axes(query, value, -2) and same_leading_axes(query, key, -2)
        if not fits:
            raise ValueError(
                f"{self.name}: expected a query (batch, targets, n), a value (batch, sources, m) and a key (batch, "
                f"sources, n), by default the value, got shapes {query}, {value} and {key}"
            )
        return query, value, key

    def compute_output_shape(self, input_shape: Any, *, return_attention_scores: bool = False) -> Any:
        query, value, _ = self.check_inputs(input_shape)
        y = (*query[:-1], value[-1])
        return (y, (*query[:-1], value[-2])) if return_attention_scores else y

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the query."""
        return mask[0] if isinstance(mask, list | tuple) else mask


@registry.register()
class Attention(SingleHeadAttention):
    """Attention of a single head: each position of a query looks at all positions of a value.

        scores = softmax(scale * query @ key.T)    or softmax(w * Σ tanh(scale * (query + key))) for "concat"
        output = dropout(scores) @ value

    use_scale : whether there is a learned scale, a single number; else it is 1.
    score_mode : "dot" (default), or "concat" for sums, with the learned number w, concat_score_weight.
    dropout : in training, the share of the attention scores that is set to zero.
    seed : for a random stream of this layer's own.

    Called with a list [query (batch, targets, n), value (batch, sources, m)] and perhaps a key (batch, sources, n),
    which is else the value. Options of the call: mask, a list [query_mask (batch, targets), value_mask (batch,
    sources)], where nothing looks at what the second leaves out, and the output is 0 where the first is False; masks
    also travel with the inputs. use_causal_mask, with which a target sees nothing after its own position.
    return_attention_scores for (output, scores (batch, targets, sources)), after dropout, as in Keras.

    Output (batch, targets, m). Nothing is divided by sqrt(n). ValueError for shapes that do not go together. Luong et
    al., arXiv:1508.04025.

    >>> import numpy as np
    >>> Attention()([np.ones((1, 1, 1)), np.ones((1, 2, 1))])
    array([[[1.]]], dtype=float32)
    """

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(use_scale, dropout, seed, **kwargs)
        self.score_mode = choice(f"{self.name}: score_mode", score_mode, ("dot", "concat"))

    def build(self, input_shape: Any) -> None:
        self.check_inputs(input_shape)
        self.scale = self.add_weight((), "ones", name="scale") if self.use_scale else None
        self.concat_score_weight: Parameter | None = None
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight((), "ones", name="concat_score_weight")
        super().build(input_shape)

    def logits(self, query: Array, key: Array, *weights: Array) -> Array:
        xp = array_namespace(query)
        if self.score_mode == "dot":
            products = xp.matmul(query, xp.matrix_transpose(key))
            return products * weights[0] if weights else products
        sums = query[..., :, None, :] + key[..., None, :, :]
        return xp.sum(xp.tanh(sums * weights[0] if self.use_scale else sums), axis=-1) * weights[-1]


@registry.register()
class AdditiveAttention(SingleHeadAttention):
    """Additive attention: each position of a query looks at all positions of a value.

        scores = softmax(Σ scale * tanh(query + key))    with the sum over the n features
        output = dropout(scores) @ value

    use_scale : whether there is a learned scale (n,); else it is 1.
    dropout : in training, the share of the attention scores that is set to zero.
    seed : for a random stream of this layer's own.

    It is called as `Attention` is, with the same options. Output (batch, targets, m). ValueError for shapes that do not
    go together. Bahdanau et al., arXiv:1409.0473.

    >>> import numpy as np
    >>> AdditiveAttention()([np.ones((2, 3, 5)), np.ones((2, 4, 5))]).shape
    (2, 3, 5)
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(use_scale, dropout, **kwargs)

    def build(self, input_shape: Any) -> None:
        query, _, _ = self.check_inputs(input_shape)
        if query[-1] is None:
            raise ValueError(f"{self.name}: the features of the query must be known, got shape {query}")
        self.scale = self.add_weight((query[-1],), "glorot_uniform", name="scale") if self.use_scale else None
        super().build(input_shape)

    def logits(self, query: Array, key: Array, *weights: Array) -> Array:
        xp = array_namespace(query)
        terms = xp.tanh(query[..., :, None, :] + key[..., None, :, :])
        return xp.sum(terms * weights[0] if weights else terms, axis=-1)
