"""Normalisation of each sample by itself, and the base of all layers with a learned scale and shift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nnx.arguments import is_integer, number
from nnx.backends import Array
from nnx.functional import Pullback, normalization
from nnx.layers.layer import Layer, registry
from nnx.lazy_loading import names_of
from nnx.parameters import Parameter
from nnx.shapes import Shape


class Normalized(Layer):
    """A layer that normalises along some axes, then multiplies by gamma and adds beta.

    axis : the axis, or the axes, that gamma and beta lie along.
    center, scale : whether there is a beta, and a gamma.
    beta_initializer, gamma_initializer : see `nnx.initializers`.
    beta_regularizer, gamma_regularizer : see `nnx.regularizers`.
    beta_constraint, gamma_constraint : see `nnx.constraints`.
    """

    supports_masking = True

    gamma: Parameter | None = None
    beta: Parameter | None = None

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis = read_axis(self.name, axis)
        self.center = center
        self.scale = scale
        self.set_weight_options("beta", beta_initializer, beta_regularizer, beta_constraint)
        self.set_weight_options("gamma", gamma_initializer, gamma_regularizer, gamma_constraint)

    def add_scale_and_shift(self, shape: tuple[int, ...], *, scale: bool, center: bool) -> None:
        """Make the parameters gamma and beta, as far as they are wanted."""
        if scale:
            self.gamma = self.add_weight_with_options("gamma", shape)
        if center:
            self.beta = self.add_weight_with_options("beta", shape)

    def values(self) -> tuple[Array | None, Array | None]:
        """The arrays of gamma and beta, or None."""
        gamma, beta = self.gamma, self.beta
        return None if gamma is None else gamma.value, None if beta is None else beta.value

    def route_parameters(self, pullback: Pullback) -> Pullback:
        """The layer's pullback from that of a function of x, gamma and beta."""
        return self.route(pullback, None, *[p for p in (self.gamma, self.beta) if p is not None], direct=True)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        sizes = sizes_along(self.name, input_shape, self.axis)
        expected = sizes_along(self.name, self.build_shape, self.axis) if self.built else sizes
        if len(input_shape) != len(self.build_shape or input_shape) or sizes != expected:
            raise ValueError(f"{self.name}: expected an input of shape {self.build_shape}, got {input_shape}")
        return input_shape


def read_axis(layer: str, axis: Any) -> int | list[int]:
    """An axis as an int, several as a list of ints."""
    several = isinstance(axis, list | tuple)
    axes = list(axis) if several else [axis]
    if not axes or any(not is_integer(one) for one in axes):
        raise TypeError(f"{layer}: axis must be an integer or a list of integers, got {axis!r}")
    axes = [one.__index__() for one in axes]
    return axes if several else axes[0]


def sizes_along(layer: str, shape: Shape, axis: int | list[int]) -> tuple[int, ...]:
    """The sizes of a shape along the axes, in ascending order; ValueError if one is unknown, or not an axis."""
    axes = axis if isinstance(axis, list) else [axis]
    ndim = len(shape)
    positive = sorted({one % ndim for one in axes if -ndim <= one < ndim}) if ndim else []
    sizes = tuple(shape[one] for one in positive)
    if len(positive) < len(axes) or None in sizes:
        raise ValueError(f"{layer}: expected an input of known sizes along axis {axis}, got shape {shape}")
    return sizes  # type: ignore[return-value]


@registry.register()
class LayerNormalization(Normalized):
    """Layer normalisation: each sample brought to a mean and a variance that are learned.

        y = gamma * (x - mean) / sqrt(variance + epsilon) + beta    with the mean and the variance over axis

    axis : the axis, or the axes, that are normalised over; the last one by default.
    epsilon : what keeps the root from 0.
    center, scale : whether there is a beta, and a gamma.
    rms_scaling : gamma * x / sqrt(variance + epsilon) instead, which Keras once had; RMSNormalization is what it was
        meant to be.
    beta_initializer, ... gamma_constraint : as for `BatchNormalization`.

    Input (batch, ...), output of the same shape; gamma and beta have the sizes along axis, in ascending order. The
    variance is the biased one. ValueError for sizes that are not known. Ba, Kiros and Hinton, arXiv:1607.06450.

    >>> LayerNormalization(epsilon=0.0)([[1.0, 3.0]])
    array([[-1.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        *,
        rms_scaling: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            *(axis, center, scale, beta_initializer, gamma_initializer),
            *(beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint),
            **kwargs,
        )
        self.epsilon = number(f"{self.name}: epsilon", epsilon, least=0.0)
        self.rms_scaling = rms_scaling

    def build(self, input_shape: Shape) -> None:
        shape = sizes_along(self.name, input_shape, self.axis)
        self.add_scale_and_shift(
            shape, scale=self.scale or self.rms_scaling, center=self.center and not self.rms_scaling
        )
        super().build(input_shape)

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        gamma, beta = self.values()
        if self.rms_scaling:
            y, pullback = normalization.deviation_normalization(x, gamma, self.axis, self.epsilon)
        else:
            y, pullback = normalization.layer_normalization(x, gamma, beta, self.axis, self.epsilon)
        return y, self.route_parameters(pullback)


@registry.register()
class GroupNormalization(Normalized):
    """Group normalisation: each group of features of a sample brought to a mean and a variance that are learned.

        y = gamma * (x - mean) / sqrt(variance + epsilon) + beta    with the mean and the variance of each group

    groups : how many groups the features of a sample are divided into, each normalised together with all positions;
        -1 for groups of one feature (instance normalisation).
    axis : the axis of the features; the last one by default.
    epsilon : what keeps the root from 0.
    center, scale : whether there is a beta, and a gamma.
    beta_initializer, ... gamma_constraint : as for `BatchNormalization`.

    Input (batch, ..., features), output of the same shape; gamma and beta (features,). The variance is the biased one.
    ValueError for features that groups does not divide. Wu and He, arXiv:1803.08494.

    >>> GroupNormalization(2, epsilon=0.0)([[1.0, 3.0, 10.0, 30.0]])
    array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    axis: int

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            *(axis, center, scale, beta_initializer, gamma_initializer),
            *(beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint),
            **kwargs,
        )
        if not is_integer(groups) or (groups < 1 and groups != -1):
            raise ValueError(f"{self.name}: groups must be a positive integer, or -1 for groups of one, got {groups!r}")
        if isinstance(self.axis, list) or self.axis == 0:
            raise ValueError(f"{self.name}: axis must be one axis behind the batch axis, got {axis!r}")
        self.groups = groups.__index__()
        self.epsilon = number(f"{self.name}: epsilon", epsilon, least=0.0)

    def build(self, input_shape: Shape) -> None:
        (features,) = sizes_along(self.name, input_shape, self.axis)
        if self.groups != -1 and features % self.groups:
            raise ValueError(
                f"{self.name}: {features} features, axis {self.axis} of shape {input_shape}, cannot be divided into "
                f"{self.groups} groups; choose a divisor of {features} as groups"
            )
        self.add_scale_and_shift((features,), scale=self.scale, center=self.center)
        super().build(input_shape)

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        gamma, beta = self.values()
        groups = x.shape[self.axis] if self.groups == -1 else self.groups
        y, pullback = normalization.group_normalization(x, gamma, beta, groups, self.axis, self.epsilon)
        return y, self.route_parameters(pullback)


@registry.register()
class RMSNormalization(Layer):
    """Normalisation by the root mean square of each sample, with a scale that is learned.

        y = scale * x / sqrt(mean(x**2) + epsilon)    with the mean over axis

    axis : the axis, or the axes, that are normalised over; the last one by default.
    epsilon : what keeps the root from 0.

    Input (batch, ...), output of the same shape; scale has the sizes along axis, in ascending order, and starts at 1.
    ValueError for sizes that are not known. Zhang and Sennrich, arXiv:1910.07467.

    >>> RMSNormalization(epsilon=0.0)([[1.0, 7.0]])
    array([[0.2, 1.4]], dtype=float32)
    """

    supports_masking = True

    def __init__(self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = read_axis(self.name, axis)
        self.epsilon = number(f"{self.name}: epsilon", epsilon, least=0.0)

    def build(self, input_shape: Shape) -> None:
        self.scale = self.add_weight(sizes_along(self.name, input_shape, self.axis), "ones", name="scale")
        super().build(input_shape)

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        y, pullback = normalization.rms_normalization(x, self.scale.value, self.axis, self.epsilon)
        return y, self.route(pullback, None, self.scale, direct=True)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        sizes = sizes_along(self.name, input_shape, self.axis)
        if self.built and sizes != self.scale.shape:
            raise ValueError(f"{self.name}: expected an input of shape {self.build_shape}, got {input_shape}")
        return input_shape


@registry.register()
class UnitNormalization(Layer):
    """Normalisation to length 1: each sample divided by its Euclidean norm.

        y = x / max(sqrt(sum(x**2)), 1e-12)    with the sum over axis

    axis : the axis, or the axes, that the norm runs over; the last one by default.

    Input (batch, ...), output of the same shape.

    >>> UnitNormalization()([[3.0, 4.0]])
    array([[0.6, 0.8]], dtype=float32)
    """

    supports_masking = True

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = read_axis(self.name, axis)

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        return normalization.unit_normalization(x, self.axis)


if not TYPE_CHECKING:
    __getattr__ = names_of("nnx.layers")  # old scripts write `from ....layers.normalization import ...`
