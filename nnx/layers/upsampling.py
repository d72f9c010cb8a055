"""Up-sampling of sequences, images and volumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx.arguments import choice, positive_integer
from nnx.backends import Array, array_namespace
from nnx.functional import Pullback
from nnx.functional.upsampling import INTERPOLATIONS, upsample
from nnx.layers.layer import registry
from nnx.layers.spatial import Spatial
from nnx.shapes import Shape


class UpSampling(Spatial):
    """UpSampling1D, UpSampling2D and UpSampling3D, which differ in the number of axes."""

    size: int | tuple[int, ...]
    interpolation = "nearest"

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        return upsample(x, self.size, self.interpolation, self.data_format)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Of a sequence, that of the input with every step repeated."""
        if mask is None or len(mask.shape) != 2 or not isinstance(self.size, int) or self.spatial_ndim != 1:
            return self.lost_mask(mask)
        return array_namespace(mask).repeat(mask, self.size, axis=1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        factors = (self.size,) if isinstance(self.size, int) else self.size
        return self.output_shape(
            input_shape, lambda sizes: [size * factor for size, factor in zip(sizes, factors, strict=True)]
        )


@registry.register()
class UpSampling1D(UpSampling):
    """Sequences with every step repeated: (batch, steps, channels) -> (batch, size * steps, channels).

    size : how many times each step is there; 2 by default. ValueError for what is not a positive integer.

    >>> UpSampling1D(2)([[[1.0], [2.0]]])
    array([[[1.],
            [1.],
            [2.],
            [2.]]], dtype=float32)
    """

    spatial_ndim = 1

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = positive_integer(f"{self.name}: size", size)
        self.set_data_format(None)


@registry.register()
class UpSampling2D(UpSampling):
    """Images with more rows and columns, repeated or interpolated.

    size : how many times as many, (rows, columns) or one number for both; 2 by default.
    data_format : "channels_last", inputs (batch, rows, columns, channels), or "channels_first", (batch, channels,
        rows, columns).
    interpolation : "nearest" repeats pixels; "bilinear", "bicubic", "lanczos3" and "lanczos5" interpolate between their
        centres, see `nnx.functional.upsample`.

    Input (batch, rows, columns, channels), output (batch, size[0] * rows, size[1] * columns, channels). ValueError for
    sizes that are not positive integers, and for another interpolation.

    >>> import numpy as np
    >>> UpSampling2D((2, 3), interpolation="bilinear")(np.ones((2, 7, 7, 3))).shape
    (2, 14, 21, 3)
    """

    spatial_ndim = 2

    def __init__(
        self,
        size: int | Sequence[int] = 2,
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size = self.for_each_axis("size", size)
        self.set_data_format(data_format)
        self.interpolation = choice(f"{self.name}: interpolation", interpolation, INTERPOLATIONS)


@registry.register()
class UpSampling3D(UpSampling):
    """Volumes with every element repeated along each axis.

    size : how many times, (depth, rows, columns) or one number for all; 2 by default. ValueError for what is not a
        positive integer.
    data_format : "channels_last", inputs (batch, depth, rows, columns, channels), or "channels_first", (batch,
        channels, depth, rows, columns).

    Input (batch, depth, rows, columns, channels), output of the same axes, those of the volume `size` times as long.

    >>> import numpy as np
    >>> UpSampling3D((1, 2, 3))(np.ones((2, 4, 7, 7, 3))).shape
    (2, 4, 14, 21, 3)
    """

    spatial_ndim = 3

    def __init__(self, size: int | Sequence[int] = 2, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = self.for_each_axis("size", size)
        self.set_data_format(data_format)
