"""Dropout: of single values, of whole feature maps, by normal noise, and the form for SELU."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nnx import functional
from nnx.arguments import number
from nnx.backends import Array
from nnx.functional import Pullback, noise
from nnx.layers.layer import registry
from nnx.layers.stochastic import Stochastic
from nnx.shapes import Shape, check_shape

_BELOW_ONE = math.nextafter(1.0, 0.0)


def _shape_of_noise(layer: str, noise_shape: Sequence[int | None]) -> Shape:
    """The sizes of a mask; ValueError for a size of 0, TypeError for what is no shape."""
    shape = check_shape(noise_shape, f"noise_shape of {layer}")
    if 0 in shape:
        raise ValueError(f"noise_shape of {layer} must be made of positive integers or None, got {shape}")
    return shape


@registry.register()
class Dropout(Stochastic):
    """Dropout: in training a random share of the inputs is set to zero, the others are divided by 1 - rate.

    rate : the probability of zero, in [0, 1].
    noise_shape : shape of the mask, with 1 along axes that share one decision and None along others; by default the
        input's.
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.

    Input of any shape, output of the same shape. The mask is the same, bit for bit, on every backend. Srivastava et
    al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.

    >>> layer = Dropout(0.5, seed=1)
    >>> layer([[1.0, 1.0, 1.0, 1.0]], training=True)
    array([[0., 0., 2., 0.]], dtype=float32)
    >>> layer([[1.0, 1.0, 1.0, 1.0]])
    array([[1., 1., 1., 1.]], dtype=float32)
    """

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        self.rate = number(f"{self.name}: rate", rate, least=0.0, most=1.0)
        self.noise_shape = None if noise_shape is None else _shape_of_noise(self.name, noise_shape)

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        if not training or self.rate == 0.0 or self.random is None:
            return functional.linear(x)
        shape = self._mask_shape(tuple(x.shape))
        shared = self.noise_shape is not None and self.noise_shape[0] == 1
        draw = self.random.draw(math.prod(shape), by_rows=not shared)
        return functional.dropout(x, self.rate, draw, noise_shape=shape)

    def _mask_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if self.noise_shape is None:
            return shape
        if len(self.noise_shape) != len(shape):
            raise ValueError(f"{self.name}: noise_shape {tuple(self.noise_shape)} does not fit an input {shape}")
        return tuple(size if given is None else given for given, size in zip(self.noise_shape, shape, strict=True))


@registry.register()
class GaussianDropout(Stochastic):
    """Dropout by factors: in training normal noise of mean 1 and standard deviation sqrt(rate / (1 - rate)).

        y = x * (1 + sqrt(rate / (1 - rate)) * n)    with a standard normal n for each element

    rate : from 0 to less than 1; the noise is as strong as that of Dropout of the same rate.
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.

    Input of any shape, output of the same shape; at inference the same values. Srivastava et al., "Dropout: a simple
    way to prevent neural networks from overfitting", 2014, section 10.

    >>> import numpy as np
    >>> y = GaussianDropout(0.5, seed=1)(np.ones((100, 100)), training=True)
    >>> round(float(y.mean()), 1), round(float(y.std()), 1)
    (1.0, 1.0)
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed=seed, **kwargs)
        self.rate = number(f"{self.name}: rate", rate, least=0.0, most=_BELOW_ONE)

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        if not training or self.rate == 0.0:
            return functional.linear(x)
        return noise.gaussian_dropout(x, self.rate, self.draw(noise.words_for_normals(math.prod(x.shape))))


@registry.register()
class AlphaDropout(Stochastic):
    """Dropout for SELU: in training, with the mean 0 and the variance 1 of what comes out of it kept.

        y = a * x + b where x is kept, a * s + b elsewhere
        a = 1 / sqrt((1 - rate) * (1 + rate * s**2)), b = -a * rate * s, s = -1.7581, at which SELU saturates

    rate : from 0 to less than 1: the probability that a value becomes the one that SELU saturates at.
    noise_shape : shape of the mask, with 1 along axes that share one decision and None along others; by default the
        input's.
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.

    Input of any shape, output of the same shape; at inference the same values. Klambauer et al., arXiv:1706.02515.

    >>> import numpy as np
    >>> y = AlphaDropout(0.5, seed=1)(np.zeros((100, 100)), training=True)
    >>> sorted({round(float(value), 2) for value in y.ravel()})
    [-0.78, 0.78]
    """

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        self.rate = number(f"{self.name}: rate", rate, least=0.0, most=_BELOW_ONE)
        self.noise_shape = None if noise_shape is None else _shape_of_noise(self.name, noise_shape)

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        if not training or self.rate == 0.0:
            return functional.linear(x)
        wanted = self.noise_shape or tuple(x.shape)
        if len(wanted) != len(x.shape):
            raise ValueError(f"{self.name}: noise_shape {wanted} does not fit an input {tuple(x.shape)}")
        shape = [size if given is None else given for given, size in zip(wanted, x.shape, strict=True)]
        shared = self.noise_shape is not None and self.noise_shape[0] == 1
        return noise.alpha_dropout(x, self.rate, self.draw(math.prod(shape), not shared), shape)


class _SpatialDropout(Stochastic):
    """Dropout of whole feature maps: all positions of a feature of a sample share one decision."""

    positions: int
    """How many axes of positions there are."""

    channels_first = False

    def __init__(
        self, rate: float, seed: int | None = None, name: str | None = None, dtype: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed=seed, name=name, dtype=dtype, **kwargs)
        self.rate = number(f"{self.name}: rate", rate, least=0.0, most=1.0)

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        if not training or self.rate == 0.0:
            return functional.linear(x)
        ones = (1,) * self.positions
        shape = (*x.shape[:2], *ones) if self.channels_first else (x.shape[0], *ones, x.shape[-1])
        return functional.dropout(x, self.rate, self.draw(math.prod(shape)), noise_shape=shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != self.positions + 2:
            raise ValueError(f"{self.name}: expected an input of {self.positions + 2} axes, got shape {input_shape}")
        return input_shape


@registry.register()
class SpatialDropout1D(_SpatialDropout):
    """Dropout of whole features of sequences (batch, time, features), in training; the others are scaled up.

    rate : the probability of zero, in [0, 1].
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.

    Input (batch, time, features), output of the same shape: a feature is kept for all steps of a sample, divided by
    1 - rate, or zero for all. At inference nothing changes. ValueError for an input of another number of axes.

    Tompson et al., arXiv:1411.4280.

    >>> import numpy as np
    >>> SpatialDropout1D(0.5, seed=1)(np.ones((1, 2, 4)), training=True)
    array([[[0., 0., 2., 0.],
            [0., 0., 2., 0.]]], dtype=float32)
    """

    positions = 1


class _OfImages(_SpatialDropout):
    """Spatial dropout of what has channels first or last."""

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(rate, seed, name, dtype, **kwargs)
        if data_format not in (None, "channels_last", "channels_first"):
            raise ValueError(
                f"{self.name}: data_format must be 'channels_last' or 'channels_first', got {data_format!r}"
            )
        self.data_format = data_format or "channels_last"
        self.channels_first = data_format == "channels_first"


@registry.register()
class SpatialDropout2D(_OfImages):
    """Dropout of whole feature maps of images, in training; the others are scaled up.

    rate : the probability of zero, in [0, 1].
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.

    Input (batch, height, width, channels), output of the same shape: a channel is kept for all pixels of a sample,
    divided by 1 - rate, or zero for all. At inference nothing changes. ValueError for an input of another number of
    axes.

    Tompson et al., arXiv:1411.4280.

    >>> import numpy as np
    >>> y = SpatialDropout2D(0.5, seed=1)(np.ones((1, 28, 28, 4)), training=True)
    >>> y.mean(axis=(1, 2))
    array([[0., 0., 2., 0.]], dtype=float32)
    """

    positions = 2


@registry.register()
class SpatialDropout3D(_OfImages):
    """Dropout of whole feature maps of volumes, in training; the others are scaled up.

    rate : the probability of zero, in [0, 1].
    data_format : "channels_last" (default), for inputs (batch, depth, height, width, channels), or "channels_first".
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.

    Input (batch, depth, height, width, channels), output of the same shape: a channel is kept for all positions of a
    sample, divided by 1 - rate, or zero for all. At inference nothing changes. ValueError for an input of another
    number of axes.

    Tompson et al., arXiv:1411.4280.

    >>> import numpy as np
    >>> y = SpatialDropout3D(0.5, seed=1)(np.ones((1, 2, 3, 3, 4)), training=True)
    >>> y.mean(axis=(1, 2, 3))
    array([[0., 0., 2., 0.]], dtype=float32)
    """

    positions = 3
