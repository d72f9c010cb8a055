"""Padding with zeros, and cropping, of sequences, images and volumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx.arguments import integers
from nnx.backends import Array, array_namespace
from nnx.functional import Pullback
from nnx.functional.padding import crop, zero_pad
from nnx.layers.layer import registry
from nnx.layers.spatial import Spatial
from nnx.shapes import Shape

_FORMS = {
    2: ("rows and columns", "((top, bottom), (left, right))"),
    3: ("depth, rows and columns", "((front, back), (top, bottom), (left, right))"),
}


class _Bordered(Spatial):
    """A layer with amounts before and after, for each spatial axis."""

    def amounts(self, argument: str, value: Any) -> Any:
        """The amounts that an argument means: one number for all sides, one or (before, after) for each axis."""
        if self.spatial_ndim == 1:
            return integers(f"{self.name}: {argument}", value, 2, least=0)
        sides = tuple(value) if hasattr(value, "__iter__") else (value,) * self.spatial_ndim
        try:
            pairs = tuple(integers(f"{self.name}: {argument}", side, 2, least=0) for side in sides)
        except ValueError:
            pairs = ()
        if len(pairs) != self.spatial_ndim:
            axes, form = _FORMS[self.spatial_ndim]
            raise ValueError(
                f"{self.name}: {argument} must be a non-negative integer, one for each of {axes}, or {form}, got "
                f"{value!r}"
            )
        return pairs

    def pairs(self, amounts: Any) -> Sequence[tuple[int, int]]:
        """(before, after) for each axis."""
        return (amounts,) if self.spatial_ndim == 1 else amounts


class ZeroPadding(_Bordered):
    """ZeroPadding1D, ZeroPadding2D and ZeroPadding3D, which differ in the number of axes."""

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.padding = self.amounts("padding", padding)
        self.set_data_format(data_format)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Of a sequence, that of the input, and False for the zeros."""
        if mask is None or len(mask.shape) != 2 or self.spatial_ndim != 1:
            return self.lost_mask(mask)
        xp, ((before, after),) = array_namespace(mask), self.pairs(self.padding)
        no_step = xp.zeros_like(mask[:, :1])
        return xp.concat([*[no_step] * before, mask, *[no_step] * after], axis=1)

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        return zero_pad(x, self.pairs(self.padding), self.data_format)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        pairs = self.pairs(self.padding)
        return self.output_shape(
            input_shape, lambda sizes: [size + sum(pair) for size, pair in zip(sizes, pairs, strict=True)]
        )


@registry.register()
class ZeroPadding1D(ZeroPadding):
    """Zeros before and after a sequence.

    padding : how many steps of zeros at each end, or (before, after); 1 by default. ValueError for a negative number.
    data_format : "channels_last", inputs (batch, steps, channels), or "channels_first", (batch, channels, steps).

    Input (batch, steps, channels), output (batch, before + steps + after, channels).

    >>> ZeroPadding1D((1, 0))([[[1.0], [2.0]]])
    array([[[0.],
            [1.],
            [2.]]], dtype=float32)
    """

    spatial_ndim = 1


@registry.register()
class ZeroPadding2D(ZeroPadding):
    """Zeros around an image.

    padding : how many rows and columns of zeros at each side, (rows, columns), or ((top, bottom), (left, right)); 1 by
        default. ValueError for a negative number.
    data_format : "channels_last", inputs (batch, rows, columns, channels), or "channels_first", (batch, channels,
        rows, columns).

    Input (batch, rows, columns, channels), output (batch, top + rows + bottom, left + columns + right, channels).

    >>> import numpy as np
    >>> ZeroPadding2D(((1, 0), (2, 2)))(np.ones((2, 7, 7, 3))).shape
    (2, 8, 11, 3)
    """

    spatial_ndim = 2


@registry.register()
class ZeroPadding3D(ZeroPadding):
    """Zeros around a volume.

    padding : how many zeros at each side, one number for each axis, or ((front, back), (top, bottom), (left, right)); 1
        by default. ValueError for a negative number.
    data_format : "channels_last", inputs (batch, depth, rows, columns, channels), or "channels_first", (batch,
        channels, depth, rows, columns).

    Input (batch, depth, rows, columns, channels), output of the same axes, those of the volume longer by their zeros.

    >>> import numpy as np
    >>> ZeroPadding3D(((1, 0), (2, 2), (0, 1)))(np.ones((2, 4, 7, 7, 3))).shape
    (2, 5, 11, 8, 3)
    """

    spatial_ndim = 3


class Cropping(_Bordered):
    """Cropping1D, Cropping2D and Cropping3D, which differ in the number of axes."""

    def _set_cropping(self, cropping: Any, data_format: str | None) -> None:
        self.cropping = self.amounts("cropping", cropping)
        self.set_data_format(data_format)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Of a sequence, that of the steps that remain."""
        if mask is None or len(mask.shape) != 2 or self.spatial_ndim != 1:
            return self.lost_mask(mask)
        ((before, after),) = self.pairs(self.cropping)
        return mask[:, before : mask.shape[1] - after]

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        return crop(x, self.pairs(self.cropping), self.data_format)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        pairs = self.pairs(self.cropping)
        shape = self.output_shape(
            input_shape, lambda sizes: [size - sum(pair) for size, pair in zip(sizes, pairs, strict=True)]
        )
        if any(size is not None and size < 1 for size in shape[1:]):
            raise ValueError(f"{self.name}: nothing remains of an input of shape {input_shape} without {self.cropping}")
        return shape


@registry.register()
class Cropping1D(Cropping):
    """A sequence (batch, steps, channels) without its first and last steps.

    cropping : how many steps to leave out at each end, or (before, after); 1 by default. ValueError if nothing would
        remain.

    Output (batch, steps - before - after, channels).

    >>> Cropping1D((1, 0))([[[1.0], [2.0]]])
    array([[[2.]]], dtype=float32)
    """

    spatial_ndim = 1

    def __init__(self, cropping: Any = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._set_cropping(cropping, None)


@registry.register()
class Cropping2D(Cropping):
    """An image without its border.

    cropping : how many rows and columns to leave out at each side, (rows, columns), or ((top, bottom), (left, right));
        0 by default. ValueError if nothing would remain.
    data_format : "channels_last", inputs (batch, rows, columns, channels), or "channels_first", (batch, channels,
        rows, columns).

    Input (batch, rows, columns, channels), output (batch, rows - top - bottom, columns - left - right, channels).

    >>> import numpy as np
    >>> Cropping2D(((1, 0), (2, 2)))(np.ones((2, 7, 7, 3))).shape
    (2, 6, 3, 3)
    """

    spatial_ndim = 2

    def __init__(self, cropping: Any = 0, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._set_cropping(cropping, data_format)


@registry.register()
class Cropping3D(Cropping):
    """A volume without its border.

    cropping : how much to leave out at each side, one number for each axis, or ((front, back), (top, bottom), (left,
        right)); 1 by default. ValueError if nothing would remain.
    data_format : "channels_last", inputs (batch, depth, rows, columns, channels), or "channels_first", (batch,
        channels, depth, rows, columns).

    Input (batch, depth, rows, columns, channels), output of the same axes, those of the volume shorter by what is left
    out.

    >>> import numpy as np
    >>> Cropping3D(((1, 0), (2, 2), (0, 1)))(np.ones((2, 4, 7, 7, 3))).shape
    (2, 3, 3, 6, 3)
    """

    spatial_ndim = 3

    def __init__(self, cropping: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._set_cropping(cropping, data_format)
