"""Pooling to a given size, whatever the size of the input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from nnx.autodiff.transforms import derive
from nnx.backends import Array
from nnx.functional import Pullback
from nnx.layers.layer import registry
from nnx.layers.spatial import Spatial
from nnx.ops.pooling import adaptive_average_pool, adaptive_max_pool
from nnx.shapes import Shape, Sizes


class AdaptivePooling(Spatial):
    """Windows that divide each spatial axis into so many parts. `function` is a function of `nnx.ops`."""

    function: ClassVar[Callable[..., Any]]

    def __init__(self, output_size: Sizes, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.set_data_format(data_format)
        self.output_size = self.for_each_axis("output_size", output_size)

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        y, pullback, _ = derive(type(self).function, (x, self.output_size, self.data_format), {})
        return y, lambda dy: pullback(dy)[0]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        shape = list(input_shape)
        for axis, size in zip(self.check_axes(input_shape), self.output_size, strict=True):
            shape[axis] = size
        return tuple(shape)


@registry.register()
class AdaptiveAveragePooling1D(AdaptivePooling):
    """The mean of each part of a sequence, divided as evenly as can be, for each channel.

    output_size : into how many parts the sequence is divided.
    data_format : "channels_last", inputs (batch, steps, channels), or "channels_first", (batch, channels, steps).

    Input (batch, steps, channels), output (batch, output_size, channels). Part i of n reaches from floor(i * size / n)
    to ceil((i + 1) * size / n), so that neighbours may share an element. ValueError for an input of another number of
    axes.

    >>> import numpy as np
    >>> AdaptiveAveragePooling1D(4)(np.ones((2, 7, 3))).shape
    (2, 4, 3)
    """

    spatial_ndim, function = 1, staticmethod(adaptive_average_pool)


@registry.register()
class AdaptiveAveragePooling2D(AdaptivePooling):
    """The mean of each part of an image, divided as evenly as can be, for each channel.

    output_size : into how many parts each spatial axis is divided, or one number for all.
    data_format : "channels_last", inputs (batch, rows, columns, channels), or "channels_first", (batch, channels, rows,
        columns).

    Input (batch, rows, columns, channels), output (batch, *output_size, channels). Part i of n reaches from floor(i *
    size / n) to ceil((i + 1) * size / n), so that neighbours may share an element. ValueError for an input of another
    number of axes.

    >>> import numpy as np
    >>> AdaptiveAveragePooling2D((3, 4))(np.ones((2, 7, 9, 3))).shape
    (2, 3, 4, 3)
    """

    spatial_ndim, function = 2, staticmethod(adaptive_average_pool)


@registry.register()
class AdaptiveAveragePooling3D(AdaptivePooling):
    """The mean of each part of a volume, divided as evenly as can be, for each channel.

    output_size : into how many parts each spatial axis is divided, or one number for all.
    data_format : "channels_last", inputs (batch, depth, rows, columns, channels), or "channels_first", (batch,
        channels, depth, rows, columns).

    Input (batch, depth, rows, columns, channels), output (batch, *output_size, channels). Part i of n reaches from
    floor(i * size / n) to ceil((i + 1) * size / n), so that neighbours may share an element. ValueError for an input of
    another number of axes.

    >>> import numpy as np
    >>> AdaptiveAveragePooling3D(2)(np.ones((2, 4, 5, 6, 3))).shape
    (2, 2, 2, 2, 3)
    """

    spatial_ndim, function = 3, staticmethod(adaptive_average_pool)


@registry.register()
class AdaptiveMaxPooling1D(AdaptivePooling):
    """The largest value of each part of a sequence, divided as evenly as can be, for each channel.

    output_size : into how many parts the sequence is divided.
    data_format : "channels_last", inputs (batch, steps, channels), or "channels_first", (batch, channels, steps).

    Input (batch, steps, channels), output (batch, output_size, channels). Part i of n reaches from floor(i * size / n)
    to ceil((i + 1) * size / n), so that neighbours may share an element. Several largest values of a part share its
    gradient. ValueError for an input of another number of axes.

    >>> import numpy as np
    >>> AdaptiveMaxPooling1D(4)(np.ones((2, 7, 3))).shape
    (2, 4, 3)
    """

    spatial_ndim, function = 1, staticmethod(adaptive_max_pool)


@registry.register()
class AdaptiveMaxPooling2D(AdaptivePooling):
    """The largest value of each part of an image, divided as evenly as can be, for each channel.

    output_size : into how many parts each spatial axis is divided, or one number for all.
    data_format : "channels_last", inputs (batch, rows, columns, channels), or "channels_first", (batch, channels, rows,
        columns).

    Input (batch, rows, columns, channels), output (batch, *output_size, channels). Part i of n reaches from floor(i *
    size / n) to ceil((i + 1) * size / n), so that neighbours may share an element. Several largest values of a part
    share its gradient. ValueError for an input of another number of axes.

    >>> import numpy as np
    >>> AdaptiveMaxPooling2D((3, 4))(np.ones((2, 7, 9, 3))).shape
    (2, 3, 4, 3)
    """

    spatial_ndim, function = 2, staticmethod(adaptive_max_pool)


@registry.register()
class AdaptiveMaxPooling3D(AdaptivePooling):
    """The largest value of each part of a volume, divided as evenly as can be, for each channel.

    output_size : into how many parts each spatial axis is divided, or one number for all.
    data_format : "channels_last", inputs (batch, depth, rows, columns, channels), or "channels_first", (batch,
        channels, depth, rows, columns).

    Input (batch, depth, rows, columns, channels), output (batch, *output_size, channels). Part i of n reaches from
    floor(i * size / n) to ceil((i + 1) * size / n), so that neighbours may share an element. Several largest values of
    a part share its gradient. ValueError for an input of another number of axes.

    >>> import numpy as np
    >>> AdaptiveMaxPooling3D(2)(np.ones((2, 4, 5, 6, 3))).shape
    (2, 2, 2, 2, 3)
    """

    spatial_ndim, function = 3, staticmethod(adaptive_max_pool)
