"""Batch normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx import initializers, ranks
from nnx.arguments import number, refuse
from nnx.backends import Array
from nnx.functional import Pullback
from nnx.functional.batch_normalization import (
    batch_normalization,
    batch_normalization_inference,
    batch_normalization_over_ranks,
)
from nnx.functional.updates import moving_moments
from nnx.layers.layer import registry
from nnx.layers.normalization import Normalized, sizes_along
from nnx.pullbacks import Differentiable, followed_by, linear
from nnx.shapes import Shape


@registry.register()
class BatchNormalization(Normalized):
    """Batch normalisation: each feature brought to a mean and a variance that are learned.

        y = gamma * (x - mean) / sqrt(variance + epsilon) + beta    with the mean and the variance of each feature

    In training these are of the batch and all positions, and moving averages of them are kept; at inference, and in a
    layer with `trainable = False`, the moving averages are used.

    axis : the axis of the features.
    momentum : of the moving averages: average = momentum * average + (1 - momentum) * value of the batch.
    epsilon : what keeps the root from 0.
    center, scale : whether there is a beta, and a gamma.
    beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer : see `nnx.initializers`.
    beta_regularizer, gamma_regularizer : see `nnx.regularizers`.
    beta_constraint, gamma_constraint : see `nnx.constraints`.
    renorm, renorm_clipping, renorm_momentum : without batch renormalisation, as by default; ValueError for others.
    synchronized : accepted as in Keras: the moments are those of all processes that train together, always.

    Input (batch, ..., features), output of the same shape. Weights, all of shape (features,): gamma, beta, moving_mean,
    moving_variance. The variance is the biased one, in the moving average too, as in Keras. Steps that a mask leaves
    out do not count for the mean and the variance; it has the sizes of the first axes of the input, or 1. Where several
    ranks train together, these are of the whole batch. ValueError for several axes, or for an input whose features are
    not known or other ones than before.

    Ioffe and Szegedy, arXiv:1502.03167.

    >>> layer = BatchNormalization(momentum=0.5, epsilon=0.0)
    >>> layer([[1.0], [3.0]], training=True)
    array([[-1.],
           [ 1.]], dtype=float32)
    >>> layer.moving_mean.value
    array([1.], dtype=float32)
    """

    refused = ("renorm", "renorm_clipping", "renorm_momentum")
    uses_mask = True
    axis: int

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: Any = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        if isinstance(axis, list | tuple) and len(axis) == 1:
            axis = axis[0]  # as tf.keras saved it
        super().__init__(
            *(axis, center, scale, beta_initializer, gamma_initializer),
            *(beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint),
            **kwargs,
        )
        refuse(self.name, renorm=renorm, renorm_clipping=renorm_clipping)
        self.synchronized = bool(synchronized)
        if isinstance(self.axis, list):
            raise ValueError(f"{self.name}: axis must be one axis, that of the features, got {axis!r}")
        self.momentum = number(f"{self.name}: momentum", momentum, least=0.0, most=1.0)
        self.epsilon = number(f"{self.name}: epsilon", epsilon, least=0.0)
        self.moving_mean_initializer = initializers.resolve(moving_mean_initializer)
        self.moving_variance_initializer = initializers.resolve(moving_variance_initializer)

    def build(self, input_shape: Shape) -> None:
        shape = sizes_along(self.name, input_shape, self.axis)
        self.add_scale_and_shift(shape, scale=self.scale, center=self.center)
        dtype = self.dtype or self.placement.dtype
        wide = "float32" if dtype == "float16" else dtype  # small changes would vanish in float16
        self.moving_mean = self.add_weight(
            shape, self.moving_mean_initializer, name="moving_mean", trainable=False, dtype=wide
        )
        self.moving_variance = self.add_weight(
            shape, self.moving_variance_initializer, name="moving_variance", trainable=False, dtype=wide
        )
        super().build(input_shape)

    @property
    def takes_ending(self) -> bool:
        return type(self).forward is BatchNormalization.forward

    def run_ended(self, end: Differentiable, *inputs: Array, **options: Any) -> tuple[Array, Pullback]:
        return self.forward(*inputs, activate=end, **options)

    def forward(
        self, x: Array, *, mask: Array | None = None, training: bool = False, activate: Differentiable = linear
    ) -> tuple[Array, Pullback]:
        gamma, beta = self.values()
        if not (training and self.trainable):
            mean, variance = self.moving_mean.value, self.moving_variance.value
            y, pullback = batch_normalization_inference(x, mean, variance, gamma, beta, self.axis, self.epsilon)
            y, pullback = followed_by(activate, y, pullback)
            return y, self.route_parameters(pullback)
        if mask is not None:
            mask = self.read_mask([x], mask)
        shard = ranks.shard()
        if shard is None:
            (y, mean, variance), pullback = batch_normalization(x, gamma, beta, self.axis, self.epsilon, mask, activate)
        else:
            (y, mean, variance), pullback = batch_normalization_over_ranks(
                x, gamma, beta, self.axis, self.epsilon, mask, shard
            )
            y, pullback = followed_by(activate, y, pullback)
        moving_moments(self.moving_mean.value, mean, self.moving_variance.value, variance, self.momentum)
        return y, self.route_parameters(pullback)
