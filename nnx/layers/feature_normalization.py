"""Features brought to mean 0 and variance 1, by moments that are given or found in data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.arguments import finite_numbers
from nnx.backends import Array, array_namespace, get_backend
from nnx.backends.base import refuse_masked
from nnx.functional import Pullback, standardization
from nnx.layers.feature_moments import Moments, batches_of, blocks_of
from nnx.layers.layer import registry
from nnx.layers.layer_with_constants import LayerWithConstants
from nnx.layers.normalization import read_axis, sizes_along
from nnx.registry import serialize
from nnx.shapes import Shape


@registry.register()
class Normalization(LayerWithConstants):
    """Normalisation of features by the moments of a data set, which `adapt` finds.

        y = (x - mean) / max(sqrt(variance), 1e-7)    in training and at inference

    axis : the axis, or the axes, along which each index has a mean and a variance of its own; the last one by default,
        None for one mean of everything.
    mean, variance : the moments, where they are known; then there is nothing to adapt.
    invert : do the opposite: y = x * max(sqrt(variance), 1e-7) + mean.

    Input (batch, ...), output of the same shape. Weights, of the sizes along axis and none of them trained: adapt_mean,
    adapt_variance, and count (), how many numbers each mean is of; there are none where the moments are given. The
    variance is the biased one. ValueError for one moment without the other, and for an axis that is that of the batch.

    >>> layer = Normalization()
    >>> layer.adapt([[0.0, 7.0], [2.0, 9.0]])
    >>> layer([[0.0, 7.0], [4.0, 8.0]])
    array([[-1., -1.],
           [ 3.,  0.]], dtype=float32)
    """

    supports_masking = True

    learns = False

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis = None if axis is None or axis == () else read_axis(self.name, axis)
        self._axes = [self.axis] if isinstance(self.axis, int) else self.axis or []
        if (mean is None) != (variance is None):
            raise ValueError(f"{self.name}: mean and variance must be given together, or none of them")
        self._mean = None if mean is None else finite_numbers(f"{self.name}: mean", mean)
        self._variance = None if variance is None else finite_numbers(f"{self.name}: variance", variance)
        if self._variance is not None and np.any(np.less(self._variance, 0.0)):
            raise ValueError(f"{self.name}: variance must not be negative, got {variance!r}")
        self.invert = bool(invert)

    @property
    def mean(self) -> Any:
        """The mean that was given, or the one that `adapt` found, in a shape to compute with; None before."""
        return self._moment(self._mean, "adapt_mean")

    @property
    def variance(self) -> Any:
        """The variance that was given, or the one that `adapt` found, in a shape to compute with; None before."""
        return self._moment(self._variance, "adapt_variance")

    @property
    def input_mean(self) -> Any:
        """The mean that was given; None where `adapt` finds it."""
        return self._mean

    @property
    def input_variance(self) -> Any:
        """The variance that was given; None where `adapt` finds it."""
        return self._variance

    def _moment(self, given: Any, name: str) -> Any:
        if given is not None or not self.built:
            return given
        value, sizes = getattr(self, name).value, iter(self._sizes(self.build_shape))
        axes = {axis % len(self.build_shape) for axis in self._axes}
        shape = [next(sizes) if axis in axes else 1 for axis in range(len(self.build_shape))]
        return array_namespace(value).reshape(value, tuple(shape)) if axes else value

    def get_config(self) -> dict[str, Any]:
        given = {"mean": serialize(self._mean), "variance": serialize(self._variance)}
        return {**self._config(without=tuple(given)), **given}

    def build(self, input_shape: Shape) -> None:
        shape = self._sizes(input_shape)
        if self._mean is None:
            self.adapt_mean = self.add_weight(shape, "zeros", name="mean", trainable=False, dtype=self.wide_dtype)
            self.adapt_variance = self.add_weight(
                shape, "ones", name="variance", trainable=False, dtype=self.wide_dtype
            )
            self.count = self.add_weight((), "zeros", name="count", trainable=False, dtype="int64")
        super().build(input_shape)

    def constants(self) -> list[np.ndarray | float]:
        if self._mean is None or self._variance is None:
            return []
        shape = self._sizes(self.build_shape)
        try:
            return [np.broadcast_to(value, shape) for value in (self._mean, self._variance)]
        except ValueError:
            raise ValueError(
                f"{self.name}: mean and variance, of shapes {np.shape(self._mean)} and {np.shape(self._variance)}, do "
                f"not fit {shape}, the sizes of an input {self.build_shape} along axis {self.axis}"
            ) from None

    def adapt(self, data: Any) -> None:
        """Take over the mean and the variance of data. Call it before training; a later call starts anew.

        data : an array, a memory map, or an iterable of batches x, (x, y) or (x, y, w). It is gone through once, and
            is not held in memory as a whole. Builds the layer if it is not built.

        ValueError for data that are not finite, or none; then nothing is changed.
        """
        if self._mean is not None:
            raise ValueError(f"{self.name}: mean and variance were given, so there is nothing to adapt")
        moments: Moments | None = None
        for batch in batches_of(data, f"{self.name}.adapt"):
            refuse_masked(batch)
            shape = (None, *batch.shape[1:])
            if not self.built:
                self.build_on(get_backend(), shape)
            elif not self._fits(shape):
                raise ValueError(f"{self.name}.adapt: expected data of shape {self.build_shape}, got {batch.shape}")
            moments = moments or Moments([axis % len(shape) for axis in self._axes])
            for block in blocks_of(batch):
                moments.add(block)
        if moments is None or not moments.count:
            raise ValueError(f"{self.name}.adapt got no data: expected at least one sample")
        if not np.isfinite(moments.variance).all():
            raise ValueError(f"{self.name}.adapt: the data have values that are not finite; take these out first")
        self.set_weights([moments.mean, moments.variance, np.asarray(moments.count)])

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        mean, variance = self.placed or (self.adapt_mean.value, self.adapt_variance.value)
        return standardization.standardize(x, mean, variance, self._axes, self.invert)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self._sizes(input_shape)  # refuses one whose sizes along the axes are not known
        if self.built and not self._fits(input_shape):
            raise ValueError(f"{self.name}: expected an input of shape {self.build_shape}, got {input_shape}")
        return input_shape

    def _fits(self, shape: Shape) -> bool:
        """Whether a shape has the sizes that the layer was built for; one mean of everything is for any shape."""
        same_rank = len(shape) == len(self.build_shape)
        return not self._axes or (same_rank and self._sizes(shape) == self._sizes(self.build_shape))

    def _sizes(self, shape: Shape) -> tuple[int, ...]:
        if any(axis in (0, -len(shape)) for axis in self._axes):
            raise ValueError(
                f"{self.name}: axis {self.axis} of an input {shape} is that of the batch, so every sample would have a "
                f"mean of its own; axis=None gives one mean of everything"
            )
        return sizes_along(self.name, shape, self._axes)
