"""Layers that give samples another shape: flattened, reshaped, with their axes permuted, or repeated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nnx import functional
from nnx.arguments import choice, positive_integer
from nnx.backends import Array
from nnx.functional import Pullback, axes
from nnx.functional.layout import CHANNELS_FIRST, CHANNELS_LAST
from nnx.layers.layer import Layer, registry
from nnx.lazy_loading import names_of
from nnx.shapes import Shape


@registry.register()
class Flatten(Layer):
    """One axis in place of all axes but that of the batch: (batch, a, b, ...) -> (batch, a * b * ...).

    data_format : of the input: "channels_last" (default), or "channels_first", whose values come out in the order that
        they have with the channels last. ValueError for any other.

    >>> Flatten()([[[1.0, 2.0], [3.0, 4.0]]])
    array([[1., 2., 3., 4.]], dtype=float32)
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        known = (CHANNELS_LAST, CHANNELS_FIRST)
        self.data_format = choice(f"{self.name}: data_format", data_format or CHANNELS_LAST, known)

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        if self.data_format == CHANNELS_LAST or len(x.shape) < 3:
            return functional.flatten(x)
        y, pullback_permute = axes.permute(x, (0, *range(2, len(x.shape)), 1))
        y, pullback_flatten = functional.flatten(y)
        return y, lambda dy: pullback_permute(pullback_flatten(dy))

    def compute_mask(self, inputs: Array, mask: Array | None = None) -> Array | None:
        """None, with a warning: there are no steps any more."""
        return self.lost_mask(mask)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        sizes = input_shape[1:]
        return (input_shape[0], None if None in sizes else math.prod(sizes))  # type: ignore[arg-type]


@registry.register()
class Reshape(Layer):
    """A new shape for each sample: (batch, ...) -> (batch, *target_shape).

    target_shape : without the batch axis; one size may be -1, and is computed from the others.

    The values keep their order, with the last axis running fastest. ValueError for another number of values than a
    sample has, and for several -1.

    >>> Reshape((2, -1))([[1.0, 2.0, 3.0, 4.0]])
    array([[[1., 2.],
            [3., 4.]]], dtype=float32)
    """

    def __init__(self, target_shape: Sequence[int] | int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        target = tuple(target_shape) if hasattr(target_shape, "__iter__") else (target_shape,)
        if target.count(-1) > 1 or any(not hasattr(size, "__index__") or size < -1 for size in target):
            raise ValueError(f"{self.name}: target_shape must be sizes with at most one -1, got {target}")
        self.target_shape = tuple(size.__index__() for size in target)

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        return functional.reshape(x, self.compute_output_shape(tuple(x.shape)))  # type: ignore[arg-type]

    def compute_mask(self, inputs: Array, mask: Array | None = None) -> Array | None:
        """That of the input, if the axes it is for stay and others follow; else None, with a warning."""
        ndim = 0 if mask is None else len(mask.shape)
        stays = (
            len(self.target_shape) >= ndim
            and self.compute_output_shape(tuple(inputs.shape))[:ndim] == inputs.shape[:ndim]
        )
        return mask if stays else self.lost_mask(mask)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        sizes = input_shape[1:]
        if None in sizes:
            return (input_shape[0], *(None if size == -1 else size for size in self.target_shape))
        given = math.prod(sizes)  # type: ignore[arg-type]
        known = math.prod(size for size in self.target_shape if size != -1)
        inferred = given // known if known and -1 in self.target_shape else 1
        target = tuple(inferred if size == -1 else size for size in self.target_shape)
        if math.prod(target) != given:
            raise ValueError(
                f"{self.name}: cannot reshape samples of shape {tuple(sizes)} ({given} values) to {self.target_shape}"
            )
        return (input_shape[0], *target)


@registry.register()
class Permute(Layer):
    """A new order for the axes of each sample.

    dims : for each axis of the output, the axis of the input, counted from 1; the batch axis, 0, stays where it is.

    Axis i of the output has the size of axis dims[i - 1] of the input. ValueError for dims that are not all numbers
    from 1 on, each once, and for an input of another number of axes.

    >>> Permute((2, 1))([[[1.0, 2.0, 3.0]]]).shape
    (1, 3, 1)
    """

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                f"{self.name}: dims must be the numbers from 1 on, each once, in any order, got {self.dims}"
            )

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        return axes.permute(x, (0, *self.dims))

    def compute_mask(self, inputs: Array, mask: Array | None = None) -> Array | None:
        """That of the input, if the axes it is for stay and others follow; else None, with a warning."""
        ndim = 0 if mask is None else len(mask.shape)
        stays = len(self.dims) >= ndim and self.dims[: ndim - 1] == tuple(range(1, ndim))
        return mask if stays else self.lost_mask(mask)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != len(self.dims) + 1:
            raise ValueError(f"{self.name}: expected an input of {len(self.dims) + 1} axes, got shape {input_shape}")
        return tuple(input_shape[axis] for axis in (0, *self.dims))


@registry.register()
class RepeatVector(Layer):
    """A sequence of n equal steps from a vector: (batch, features) -> (batch, n, features).

    n : a positive integer.

    ValueError for an input of another number of axes.

    >>> RepeatVector(2)([[1.0, 2.0]])
    array([[[1., 2.],
            [1., 2.]]], dtype=float32)
    """

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = positive_integer(f"{self.name}: n", n)

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        return axes.repeat_vector(x, self.n)

    def compute_mask(self, inputs: Array, mask: Array | None = None) -> Array | None:
        """None, with a warning: the sequence is a new one."""
        return self.lost_mask(mask)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 2:
            raise ValueError(f"{self.name}: expected an input of shape (batch, features), got {input_shape}")
        return (input_shape[0], self.n, input_shape[1])


if not TYPE_CHECKING:
    __getattr__ = names_of("nnx.layers")  # old scripts write `from ....layers.reshaping import ...`
