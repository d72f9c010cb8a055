"""Attention with several heads."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from nnx import functional
from nnx.arguments import number, positive_integer
from nnx.backends import Array, array_namespace, is_array
from nnx.functional import Pullback
from nnx.functional.attention import dot_product_attention
from nnx.layers.layer import Layer, registry
from nnx.layers.projection import Projection, attend_to_itself, project_together
from nnx.layers.stochastic import random_stream
from nnx.lazy_loading import names_of
from nnx.parameters import Parameter
from nnx.pullbacks import Differentiable, Skippable, linear
from nnx.shapes import Shape, same_leading_axes


class ProjectedAttention(Layer):
    """Attention between projections, with several heads: what a subclass's arguments say.

    num_query_heads, num_key_value_heads : of the heads of a query so many share each head of keys and values.
    key_size, value_size : of a head's queries and keys, and of its values.
    """

    supports_masking = True

    uses_mask = True
    num_query_heads: int
    num_key_value_heads: int
    key_size: int
    value_size: int
    dropout: float
    use_bias: bool
    use_gate: bool
    sliding_window: int | None
    seed: int | None
    output_shape: tuple[int, ...] | None = None
    attention_axes: Sequence[int] | None = None

    def _positive(self, argument: str, value: Any) -> int:
        return positive_integer(f"{self.name}: {argument}", value)

    # Parameters

    def build(self, query_shape: Any, value_shape: Any = None, key_shape: Any = None) -> None:
        """Make the parameters for inputs of these shapes, or of those in one list."""
        shapes = _as_list(query_shape, value_shape, key_shape)
        query, value, key = self._shapes(shapes)
        for what, shape in (("query", query), ("value", value), ("key", key)):
            if shape[-1] is None:
                raise ValueError(f"{self.name}: the features of the {what} must be known, got shape {shape}")
        self.query = self._projection("query", (query[-1],), (self.num_query_heads, self.key_size))
        # A bias of the keys adds one number to all logits of a target, which softmax does not see.
        self.key = self._projection("key", (key[-1],), (self.num_key_value_heads, self.key_size), bias_counts=False)
        if self.use_gate:
            self.gate = self._projection("gate", (query[-1],), (self.num_query_heads, self.value_size))
        self.value = self._projection("value", (value[-1],), (self.num_key_value_heads, self.value_size))
        of_heads = (self.num_query_heads, self.value_size)
        self.joined = self._projection("attention_output", of_heads, self.output_shape or (query[-1],))
        if self.random is None and self.dropout:
            self.random = random_stream(self.seed)
        super().build(shapes)

    def _projection(self, name: str, of_input: Any, of_output: Any, bias_counts: bool = True) -> Projection:
        kernel = self.add_weight_with_options("kernel", (*of_input, *of_output), name=f"{name}/kernel")
        bias = self.add_weight_with_options("bias", of_output, name=f"{name}/bias") if self.use_bias else None
        return Projection(kernel, bias, len(of_input), bias_counts)

    @property
    def own_variables(self) -> list[Parameter]:
        return []  # in Keras they are those of a layer for each projection

    # Computation

    @property
    def joins_equal_inputs(self) -> bool:
        return type(self).forward is ProjectedAttention.forward

    @property
    def takes_ending(self) -> bool:
        plain = type(self).forward is ProjectedAttention.forward and self.use_bias and not self.activity_regularizer
        # The output's projection ends with its features in one axis.
        return plain and len(self.output_shape or (0,)) == 1

    def run_ended(self, end: Differentiable, *inputs: Array, **options: Any) -> tuple[Array, Pullback]:
        return self.forward(*inputs, end=end, **options)

    shape_options = ("return_attention_scores",)

    def forward(
        self,
        query: Array,
        value: Array | None = None,
        key: Array | None = None,
        *,
        training: bool = False,
        mask: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
        end: Differentiable = linear,
    ) -> tuple[Any, Pullback]:
        if value is None and is_array(mask):
            mask = [mask, mask]
        dropout = None
        if training and self.dropout and self.random is not None:
            size = self._score_count(tuple(query.shape), tuple((query if value is None else value).shape))
            dropout = (self.dropout, self.random.draw(size, by_rows=True))
        mask = self._mask(mask, (query_mask, value_mask, key_mask), attention_mask)
        how: dict[str, Any] = {
            "axes": self._axes(len(query.shape)),
            "causal": use_causal_mask,
            "window": self.sliding_window,
            "dropout": dropout,
        }
        if value is None and not self.use_gate and self.num_query_heads == self.num_key_value_heads:
            projections = (self.query, self.key, self.value, self.joined)
            (y, scores), pullback = attend_to_itself(query, mask, projections, activate=end, **how)
            if return_attention_scores:
                return (y, scores), pullback
            return y, Skippable(lambda dy, inputs: pullback((dy, None), inputs))
        (q, k, v), pullback_projections = self._projected(query, value, key)
        (k, gather_key), (v, gather_value) = self._shared(k), self._shared(v)
        (heads, scores), pullback_heads = dot_product_attention(q, k, v, mask, **how)
        gated, pullback_gate = self._gated(query, heads)
        y, pullback_output = self.joined(gated, end)

        def pull_back(dy: Any, inputs: bool = True) -> Any:
            dy, dscores = dy if return_attention_scores else (dy, None)
            dheads, dquery_of_gate = pullback_gate(pullback_output(dy), inputs)
            dq, dk, dv = pullback_heads((dheads, dscores))
            dquery, *others = pullback_projections((dq, gather_key(dk), gather_value(dv)), inputs)
            if not inputs:
                return None
            dquery = dquery if dquery_of_gate is None else dquery + dquery_of_gate
            return (dquery, *others) if others else dquery

        return ((y, scores) if return_attention_scores else y), Skippable(pull_back)

    def _projected(
        self, query: Array, value: Array | None, key: Array | None
    ) -> tuple[Any, Callable[[Any, bool], list[Any]]]:
        """Queries, keys and values of the heads; the pullback returns a list of the inputs' cotangents.

        Without a value all three are of the query, which is the only input.
        """
        if value is None:
            heads, pullback = project_together(query, (self.query, self.key, self.value))
            return heads, lambda dys, inputs: [pullback(dys, inputs)]
        q, pullback_query = self.query(query)
        k, pullback_key = self.key(value if key is None else key)
        v, pullback_value = self.value(value)

        def pull_back(dys: Any, inputs: bool) -> list[Any]:
            dquery, dkey, dvalue = (
                pull(dy, inputs) for pull, dy in zip((pullback_query, pullback_key, pullback_value), dys, strict=True)
            )
            if not inputs:
                return [None]
            return [dquery, dvalue + dkey] if key is None else [dquery, dvalue, dkey]

        return (q, k, v), pull_back

    def _shared(self, x: Array) -> tuple[Array, Pullback]:
        """Heads of keys or values (..., heads, n), each as often as heads of the query share it."""
        times, shape = self.num_query_heads // self.num_key_value_heads, x.shape
        if times == 1:
            return functional.linear(x)
        xp = array_namespace(x)
        each = (*shape[:-1], times, shape[-1])
        y = xp.reshape(xp.broadcast_to(x[..., None, :], each), (*shape[:-2], self.num_query_heads, shape[-1]))
        return y, lambda dy: xp.sum(xp.reshape(dy, each), axis=-2)

    def _gated(self, query: Array, heads: Array) -> tuple[Array, Pullback]:
        """What the heads found, through the gate; the pullback returns its cotangent and that of the query."""
        if not self.use_gate:
            return heads, lambda dy, inputs: (dy, None)
        logits, pullback_logits = self.gate(query)
        gate, pullback_gate = functional.sigmoid(logits)
        return heads * gate, lambda dy, inputs: (dy * gate, pullback_logits(pullback_gate(dy * heads), inputs))

    def _mask(self, masks: Any, given: tuple[Any, Any, Any], attention_mask: Any) -> Array | None:
        """Which targets may look at which sources: what the masks of the inputs and the caller's say together.

        masks : those that travel with the inputs. given : in place of these, for query, value and key.
        """
        if masks is not None and not isinstance(masks, list | tuple):
            raise ValueError(
                f"{self.name}: mask must be a list with a mask or None for each input, got one array; give it as "
                f"query_mask, value_mask or key_mask"
            )
        travelled = (*(masks or ()), None, None, None)[:3]
        query, value, key = (one if one is not None else other for one, other in zip(given, travelled, strict=True))
        rules = []
        if query is not None:
            rules.append(self.placement.asarray(query, "bool")[..., None])
        rules += [self.placement.asarray(mask, "bool")[..., None, :] for mask in (value, key) if mask is not None]
        if attention_mask is not None:
            rules.append(self.placement.asarray(attention_mask, "bool"))
        combined = None
        for rule in rules:
            combined = rule if combined is None else array_namespace(rule).logical_and(combined, rule)
        return combined

    def _axes(self, ndim: int) -> tuple[int, ...]:
        """The axes attended over, of inputs with `ndim` axes."""
        if self.attention_axes is None:
            return tuple(range(1, ndim - 1))
        axes = tuple(axis if axis >= 0 else axis + ndim for axis in self.attention_axes)
        if any(not 1 <= axis < ndim - 1 for axis in axes):
            raise ValueError(
                f"{self.name}: attention_axes must be axes between the batch and the features of an input of {ndim} "
                f"axes, got {self.attention_axes}"
            )
        return axes

    def _score_count(self, query: tuple[int, ...], value: tuple[int, ...]) -> int:
        return self.num_query_heads * math.prod(query[:-1]) * math.prod(value[axis] for axis in self._axes(len(query)))

    # Shapes and masks

    def _shapes(self, input_shape: Any) -> tuple[Shape, Shape, Shape]:
        """The shapes of query, value and key; ValueError if they do not go together."""
        nested = len(input_shape) > 0 and isinstance(input_shape[0], list | tuple)
        if not nested or not 2 <= len(input_shape) <= 3:
            raise ValueError(
                f"{self.name}: expected the shapes of a query, a value and perhaps a key, got {input_shape}: call it "
                f"as layer(query, value), for self-attention as layer(x, x)"
            )
        query, value = tuple(input_shape[0]), tuple(input_shape[1])
        key = tuple(input_shape[2]) if len(input_shape) == 3 else value
        fits = len(query) == len(value) >= 3 and value[:-1] == key[:-1] and same_leading_axes(query, value, 1)
        if not fits:
            raise ValueError(
                f"{self.name}: expected a query (batch, targets, features), a value and a key (batch, sources, "
                f"features), got shapes {query}, {value} and {key}"
            )
        self._axes(len(query))
        return query, value, key

    def compute_output_shape(
        self,
        query_shape: Any,
        value_shape: Any = None,
        key_shape: Any = None,
        *,
        return_attention_scores: bool = False,
    ) -> Any:
        query, value, _ = self._shapes(_as_list(query_shape, value_shape, key_shape))
        y = (*query[:-1], *(self.output_shape or query[-1:]))
        if not return_attention_scores:
            return y
        axes = self._axes(len(query))
        others = [size for axis, size in enumerate(query[:-1]) if axis not in axes]
        return y, (*others, self.num_query_heads, *(shape[axis] for shape in (query, value) for axis in axes))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the query."""
        return mask[0] if isinstance(mask, list | tuple) else mask


@registry.register()
class MultiHeadAttention(ProjectedAttention):
    """Attention with several heads: each position of a query looks at all positions of a value.

        q, k, v = query @ kernel_q + bias_q, key @ kernel_k + bias_k, value @ kernel_v + bias_v    for each head
        scores = softmax(q @ k.T / sqrt(key_dim))
        output = the sum over the heads of (dropout(scores) @ v) @ kernel_o, + bias_o

    num_heads : the number of heads.
    key_dim : size of the queries and keys of a head.
    value_dim : size of the values of a head; by default key_dim.
    dropout : in training, the share of the attention scores that is set to zero.
    use_bias : whether the projections have biases.
    output_shape : size, or sizes, of the output's features; by default those of the query.
    attention_axes : for inputs (batch, ..., features), the axes that are attended over; by default all between. The
        others are treated as the batch is.
    sliding_window : a position looks only at those less than so many away.
    flash_attention : accepted for Keras's sake; makes no difference here.
    kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer, kernel_constraint,
        bias_constraint : for all projections; see `nnx.initializers`, `nnx.regularizers`, `nnx.constraints`.
    use_gate : multiply what the heads found by the sigmoid of a further projection of the query, arXiv:2505.06708.
    seed : for a random stream of this layer's own.

    Called with a query (batch, targets, n), a value (batch, sources, m) and, if it is not the value, a key (batch,
    sources, k). Options of the call: attention_mask (batch, targets, sources), true where a target may look at a
    source; use_causal_mask, with which a target sees nothing after its own position; both besides the masks of the
    inputs, which travel with them or are given as query_mask (batch, targets), value_mask and key_mask (batch,
    sources). return_attention_scores for (output, scores (batch, heads, targets, sources)), as they are before dropout.

    Output (batch, targets, *output_shape). Kernels of query and key (features, heads, key_dim), of the value (features,
    heads, value_dim), of the output (heads, value_dim, *output_shape); biases (heads, key_dim), (heads, value_dim) and
    output_shape. ValueError for shapes that do not go together. Vaswani et al., arXiv:1706.03762.

    >>> import numpy as np
    >>> x = np.ones((2, 5, 8))
    >>> MultiHeadAttention(num_heads=2, key_dim=3)(x, x).shape
    (2, 5, 8)
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | Sequence[int] | None = None,
        attention_axes: int | Sequence[int] | None = None,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.num_heads = self.num_query_heads = self.num_key_value_heads = self._positive("num_heads", num_heads)
        self.key_dim = self.key_size = self._positive("key_dim", key_dim)
        self.value_dim = self.value_size = key_dim if value_dim is None else self._positive("value_dim", value_dim)
        self.dropout = number(f"{self.name}: dropout", dropout, least=0.0, most=1.0)
        self.use_bias = use_bias
        sizes = (output_shape,) if isinstance(output_shape, int) else output_shape
        self.output_shape = None if not sizes else tuple(self._positive("output_shape", size) for size in sizes)
        self.attention_axes = (attention_axes,) if isinstance(attention_axes, int) else attention_axes
        self.sliding_window = None if sliding_window is None else self._positive("sliding_window", sliding_window)
        self.flash_attention = flash_attention
        self.set_weight_options("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self.set_weight_options("bias", bias_initializer, bias_regularizer, bias_constraint)
        self.use_gate = use_gate
        self.seed = seed


@registry.register()
class GroupQueryAttention(ProjectedAttention):
    """Attention in which groups of heads of the query share a head of keys and values.

    head_dim : size of the queries, keys and values of a head.
    num_query_heads : the number of heads of the query.
    num_key_value_heads : the number of heads of keys and values, of which num_query_heads must be a multiple.

    The other arguments, the formula, and what it is called with, are those of `MultiHeadAttention`. Output (batch,
    targets, n) for a query (batch, targets, n). Kernels of query (features, num_query_heads, head_dim), of key and
    value (features, num_key_value_heads, head_dim), of the output (num_query_heads, head_dim, n); biases without the
    first axis. ValueError for shapes that do not go together. Ainslie et al., arXiv:2305.13245.

    >>> import numpy as np
    >>> x = np.ones((2, 5, 8))
    >>> GroupQueryAttention(head_dim=3, num_query_heads=4, num_key_value_heads=2)(x, x).shape
    (2, 5, 8)
    """

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        if not self.named_by_user:
            self.name = "grouped_query_attention"  # Keras has another name for the class inside
        self.head_dim = self.key_size = self.value_size = self._positive("head_dim", head_dim)
        self.num_query_heads = self._positive("num_query_heads", num_query_heads)
        self.num_key_value_heads = self._positive("num_key_value_heads", num_key_value_heads)
        if self.num_query_heads % self.num_key_value_heads:
            raise ValueError(
                f"{self.name}: num_query_heads must be a multiple of num_key_value_heads, got {num_query_heads} and "
                f"{num_key_value_heads}"
            )
        self.dropout = number(f"{self.name}: dropout", dropout, least=0.0, most=1.0)
        self.use_bias = use_bias
        self.sliding_window = None if sliding_window is None else self._positive("sliding_window", sliding_window)
        self.flash_attention = flash_attention
        self.set_weight_options("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self.set_weight_options("bias", bias_initializer, bias_regularizer, bias_constraint)
        self.use_gate = use_gate
        self.seed = seed


def _as_list(query: Any, value: Any, key: Any) -> Any:
    """The shapes of query, value and key in one list; they may come in one already."""
    return query if value is None else [query, value, *([] if key is None else [key])]


if not TYPE_CHECKING:
    __getattr__ = names_of("nnx.layers")  # old scripts write `from ....layers.attention import ...`
