"""What a layer says of its inputs, which each call is checked against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nnx.registry import Configurable
from nnx.shapes import Shape
from nnx.structure import leaves


class InputSpec(Configurable):
    """What a layer says of an input: `self.input_spec = InputSpec(ndim=3)`, or a list with one for each.

    shape : with the batch axis; None for a size that may be any.
    ndim, max_ndim, min_ndim : how many axes there are, at most, at least.
    axes : for axes, by number, the size that they have.
    dtype : the dtype's name.
    allow_last_axis_squeeze : whether a last axis of size 1 may be missing, or there beside.
    name, optional : accepted as in Keras.

    ValueError for what contradicts itself, and, when the layer is called, for an input that does not fit.

    >>> import nnx
    >>> layer = nnx.layers.Identity(name="steps")
    >>> layer.input_spec = nnx.layers.InputSpec(ndim=3, axes={-1: 2})
    >>> layer([[1.0, 2.0]])
    Traceback (most recent call last):
    ValueError: steps: expected an input with 3 axes, got shape (1, 2)
    """

    def __init__(
        self,
        dtype: str | None = None,
        shape: Sequence[int | None] | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Mapping[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ) -> None:
        self.dtype = dtype
        self.shape = None if shape is None else tuple(shape)
        self._given_ndim = ndim
        self.ndim = ndim if self.shape is None else len(self.shape)
        self.max_ndim, self.min_ndim = max_ndim, min_ndim
        self.axes = {int(axis): size for axis, size in (axes or {}).items()}
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name, self.optional = name, optional
        self._check()

    def _check(self) -> None:
        """ValueError for what no input can be."""
        if self.shape is not None and self._given_ndim not in (None, self.ndim):
            raise ValueError(f"InputSpec: ndim={self._given_ndim} is not that of shape {self.shape}")
        least, most = self.min_ndim or 0, self.max_ndim
        if most is not None and least > most:
            raise ValueError(f"InputSpec: min_ndim={least} is above max_ndim={most}")
        if self.ndim is not None and not least <= self.ndim <= (self.ndim if most is None else most):
            raise ValueError(f"InputSpec: {self.ndim} axes are not from min_ndim={least} to max_ndim={most}")
        count = most if self.ndim is None else self.ndim
        for axis, size in self.axes.items():
            if count is not None and not -count <= axis < count:
                raise ValueError(f"InputSpec: axes has {axis}, for an input of {count} axes")
            if self.shape is not None and size is not None and self.shape[axis] not in (None, size):
                raise ValueError(f"InputSpec: axes says {size} for axis {axis} of shape {self.shape}")

    def complaint(self, shape: Shape, dtype: str | None = None) -> str | None:
        """What an input of that shape should have; None for one that fits.

        >>> InputSpec(min_ndim=2).complaint((3,))
        'at least 2 axes'
        """
        squeezes = self.allow_last_axis_squeeze and self.ndim is not None
        if squeezes and shape[-1:] == (1,) and len(shape) - 1 == self.ndim:
            shape = shape[:-1]
        squeezed = squeezes and len(shape) + 1 == self.ndim and (self.shape or (1,))[-1] == 1
        if self.ndim is not None and len(shape) != self.ndim and not squeezed:
            return f"{self.ndim} axes"
        if self.max_ndim is not None and len(shape) > self.max_ndim:
            return f"at most {self.max_ndim} axes"
        if self.min_ndim is not None and len(shape) < self.min_ndim:
            return f"at least {self.min_ndim} axes"
        if self.dtype is not None and dtype is not None and dtype != self.dtype:
            return f"dtype {self.dtype}"
        wanted = {**dict(enumerate(self.shape or ())), **self.axes}
        for axis, size in wanted.items():
            if not -len(shape) <= axis < len(shape):
                if not squeezed:
                    return f"an axis {axis}"
            elif None not in (size, shape[axis]) and shape[axis] != size:
                return f"size {size} along axis {axis}"
        return None


def check_inputs(layer: str, spec: Any, inputs: Sequence[tuple[Shape, str | None]]) -> None:
    """ValueError for inputs, shapes and dtypes, that are not what a layer says of them."""
    specs = leaves(spec)
    if len(specs) != len(inputs):
        raise ValueError(f"{layer}: expected {len(specs)} inputs, got {len(inputs)}")
    for one, (shape, dtype) in zip(specs, inputs, strict=True):
        complaint = None if one is None else one.complaint(shape, dtype)
        if complaint:
            raise ValueError(f"{layer}: expected an input with {complaint}, got shape {shape}")
