"""Initializers that draw random numbers. `seed` is explained in `nnx.initializers`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from nnx.initializers.initializer import Initializer, registry
from nnx.random import Generator


@registry.register("normal")
class RandomNormal(Initializer):
    """Normally distributed numbers.

    mean, stddev : of the distribution.
    seed : see `nnx.initializers`.

    >>> values = RandomNormal(stddev=0.5, seed=1)((200, 300))
    >>> values.shape, round(float(values.std()), 2)
    ((200, 300), 0.5)
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        self.mean = mean
        self.stddev = stddev
        self.seed = seed

    def draw(self, shape: tuple[int, ...], generator: Generator) -> np.ndarray:
        return generator.normal(shape, self.mean, self.stddev)


@registry.register()
class TruncatedNormal(RandomNormal):
    """Normally distributed numbers; those beyond two standard deviations are drawn again.

    mean, stddev : of the distribution before it is cut.
    seed : see `nnx.initializers`.

    >>> values = TruncatedNormal(stddev=0.5, seed=1)((200, 300))
    >>> bool((abs(values) <= 1.0).all())
    True
    """

    def draw(self, shape: tuple[int, ...], generator: Generator) -> np.ndarray:
        return generator.truncated_normal(shape, self.mean, self.stddev)


@registry.register("uniform")
class RandomUniform(Initializer):
    """Uniformly distributed numbers from [minval, maxval).

    minval, maxval : the bounds.
    seed : see `nnx.initializers`.

    >>> values = RandomUniform(-1.0, 3.0, seed=1)((200, 300))
    >>> bool((values >= -1.0).all() and (values < 3.0).all()), round(float(values.mean()), 1)
    (True, 1.0)
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        self.minval = minval
        self.maxval = maxval
        self.seed = seed

    def draw(self, shape: tuple[int, ...], generator: Generator) -> np.ndarray:
        return generator.uniform(shape, self.minval, self.maxval)


def compute_fans(
    shape: Sequence[int], input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None
) -> tuple[int, int]:
    """(fan_in, fan_out): how many inputs an output of that kernel has, and how many outputs an input.

    shape : (n, m) of a dense kernel, (..., channels in, channels out) of a convolution; of one size, both are that.
    input_axes, output_axes : given together, fan_in and fan_out are the products of these sizes.

    >>> compute_fans((784, 10)), compute_fans((3, 3, 16, 32))
    ((784, 10), (144, 288))
    """
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[axis] for axis in input_axes), math.prod(shape[axis] for axis in output_axes)
    if len(shape) < 2:
        return math.prod(shape), math.prod(shape)
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field


@registry.register()
class VarianceScaling(Initializer):
    """Numbers of mean 0 and variance scale / n, where n follows from the shape.

        variance = scale / max(1, n)

    scale : positive.
    mode : n is "fan_in", "fan_out" or "fan_avg", their mean.
    distribution : "truncated_normal" (also called "normal"), cut at two standard deviations of the uncut normal;
        "untruncated_normal"; or "uniform", within sqrt(3 * scale / n) of 0.
    input_axes, output_axes : see `compute_fans`.
    seed : see `nnx.initializers`.

    >>> values = VarianceScaling(scale=2.0, mode="fan_in", seed=1)((200, 300))  # a kernel of 200 inputs
    >>> round(float(values.std()), 2)
    0.1

    ValueError for a scale that is not positive, an unknown mode or distribution.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        distribution = distribution.lower()
        if scale <= 0.0:
            raise ValueError(f"{type(self).__name__}: scale must be positive, got {scale}")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"{type(self).__name__}: mode must be 'fan_in', 'fan_out' or 'fan_avg', got {mode!r}")
        if distribution not in ("normal", "truncated_normal", "untruncated_normal", "uniform"):
            raise ValueError(
                f"{type(self).__name__}: distribution must be 'truncated_normal', 'untruncated_normal' or 'uniform', "
                f"got {distribution!r}"
            )
        self.scale = scale
        self.mode = mode
        self.distribution = "truncated_normal" if distribution == "normal" else distribution
        self.seed = seed
        self.input_axes = input_axes
        self.output_axes = output_axes

    def draw(self, shape: tuple[int, ...], generator: Generator) -> np.ndarray:
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}[self.mode]
        variance = self.scale / max(1.0, fan)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return generator.uniform(shape, -limit, limit)
        if self.distribution == "untruncated_normal":
            return generator.normal(shape, 0.0, math.sqrt(variance))
        # the standard deviation of a standard normal that is cut at 2 is this number
        return generator.truncated_normal(shape, 0.0, math.sqrt(variance) / 0.87962566103423978)


class _Scaled(VarianceScaling):
    """A variance scaling that has a name: its scale, mode and distribution."""

    preset: ClassVar[tuple[float, str, str]]

    def __init__(
        self,
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(*self.preset, seed=seed, input_axes=input_axes, output_axes=output_axes)


@registry.register()
class GlorotUniform(_Scaled):
    """Uniform within sqrt(6 / (fan_in + fan_out)) of 0. Glorot and Bengio, 2010.

    input_axes, output_axes : see `compute_fans`, which gives fan_in and fan_out.
    seed : see `nnx.initializers`.

    >>> values = GlorotUniform(seed=1)((200, 400))
    >>> round(float(abs(values).max()), 2)
    0.1
    """

    preset = (1.0, "fan_avg", "uniform")


@registry.register()
class GlorotNormal(_Scaled):
    """Truncated normal of variance 2 / (fan_in + fan_out). Glorot and Bengio, 2010.

    input_axes, output_axes : see `compute_fans`, which gives fan_in and fan_out.
    seed : see `nnx.initializers`.

    >>> values = GlorotNormal(seed=1)((100, 100))
    >>> round(float(values.std()), 2)
    0.1
    """

    preset = (1.0, "fan_avg", "truncated_normal")


@registry.register()
class HeUniform(_Scaled):
    """Uniform within sqrt(6 / fan_in) of 0. He et al., 2015.

    input_axes, output_axes : see `compute_fans`, which gives fan_in and fan_out.
    seed : see `nnx.initializers`.

    >>> values = HeUniform(seed=1)((600, 100))
    >>> round(float(abs(values).max()), 2)
    0.1
    """

    preset = (2.0, "fan_in", "uniform")


@registry.register()
class HeNormal(_Scaled):
    """Truncated normal of variance 2 / fan_in. He et al., 2015.

    input_axes, output_axes : see `compute_fans`, which gives fan_in and fan_out.
    seed : see `nnx.initializers`.

    >>> values = HeNormal(seed=1)((200, 100))
    >>> round(float(values.std()), 2)
    0.1
    """

    preset = (2.0, "fan_in", "truncated_normal")


@registry.register()
class LecunUniform(_Scaled):
    """Uniform within sqrt(3 / fan_in) of 0. LeCun et al., 1998.

    input_axes, output_axes : see `compute_fans`, which gives fan_in and fan_out.
    seed : see `nnx.initializers`.

    >>> values = LecunUniform(seed=1)((300, 100))
    >>> round(float(abs(values).max()), 2)
    0.1
    """

    preset = (1.0, "fan_in", "uniform")


@registry.register()
class LecunNormal(_Scaled):
    """Truncated normal of variance 1 / fan_in. LeCun et al., 1998.

    input_axes, output_axes : see `compute_fans`, which gives fan_in and fan_out.
    seed : see `nnx.initializers`.

    >>> values = LecunNormal(seed=1)((100, 100))
    >>> round(float(values.std()), 2)
    0.1
    """

    preset = (1.0, "fan_in", "truncated_normal")


@registry.register("OrthogonalInitializer")
class Orthogonal(Initializer):
    """A random matrix with orthonormal columns, or rows where these are fewer, times `gain`.

    A shape of more sizes (..., m) is that of a matrix with m columns. Saxe et al., 2013.

    gain : what the matrix is multiplied by.
    seed : see `nnx.initializers`.

    >>> kernel = Orthogonal(seed=1)((4, 2))
    >>> (kernel.T @ kernel).round(4) + 0.0
    array([[1., 0.],
           [0., 1.]], dtype=float32)

    ValueError for a shape of fewer than two sizes.
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        self.gain = gain
        self.seed = seed

    def draw(self, shape: tuple[int, ...], generator: Generator) -> np.ndarray:
        if len(shape) < 2:
            raise ValueError(f"Orthogonal makes matrices, with a shape of two or more sizes; got {shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(generator.normal((max(rows, columns), min(rows, columns))))
        q = q * np.where(np.diagonal(r) < 0.0, -1.0, 1.0)  # makes the decomposition unique, and q uniform
        return self.gain * (q if rows >= columns else q.T).reshape(shape)
