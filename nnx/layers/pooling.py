"""Pooling layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from nnx.backends import Array
from nnx.functional import Pullback
from nnx.functional.pooling import average_pool, global_average_pool, global_max_pool, max_pool
from nnx.layers.layer import registry
from nnx.layers.spatial import Spatial
from nnx.lazy_loading import names_of
from nnx.shapes import Shape, Sizes


class Pooling(Spatial):
    """A function of windows, without parameters. `function` is `max_pool` or `average_pool`."""

    function: ClassVar[Any]

    def __init__(
        self,
        pool_size: Sizes = 2,
        strides: Sizes | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.set_data_format(data_format)
        self.pool_size = self.for_each_axis("pool_size", pool_size)
        self.strides = self.pool_size if strides is None else self.for_each_axis("strides", strides)
        self.padding = self.check_padding(padding, "valid", "same")

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        pair: tuple[Array, Pullback] = type(self).function(
            x, self.pool_size, self.strides, self.padding, self.data_format
        )
        return pair

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Of a sequence, whether one of a window's steps counts; with as many windows as steps, the mask of these."""
        return self.mask_of_windows(inputs, mask, self.pool_size, self.strides, self.padding)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return self.output_shape(
            input_shape,
            lambda sizes: self.windows(sizes, self.pool_size, self.strides, self.padding).counts,
        )


@registry.register("MaxPool1D")
class MaxPooling1D(Pooling):
    """The largest value of each window of a sequence, for each channel.

    pool_size : length of the windows.
    strides : how far apart the windows are; by default pool_size.
    padding : "valid", windows lie inside the sequence; "same", ceil(steps / strides) windows that reach over its ends.
    data_format : "channels_last", inputs (batch, steps, channels), or "channels_first", (batch, channels, steps).

    Input (batch, steps, channels), output (batch, new steps, channels), where "valid" leaves
    floor((steps - pool_size) / strides) + 1 steps. The gradient goes to the first of several largest values. ValueError
    for a window that is longer than the input.

    >>> MaxPooling1D(2)([[[1.0], [3.0], [2.0], [0.0]]])
    array([[[3.],
            [2.]]], dtype=float32)
    """

    spatial_ndim, function = 1, max_pool


@registry.register("MaxPool2D")
class MaxPooling2D(Pooling):
    """The largest value of each window of an image, for each channel.

    pool_size : height and width of the windows, or one number for both.
    strides : how far apart the windows are, down and across; by default pool_size.
    padding : "valid", windows lie inside the image; "same", ceil(size / strides) windows that reach over its border.
    data_format : "channels_last", inputs (batch, rows, columns, channels), or "channels_first", (batch, channels,
        rows, columns).

    Input (batch, rows, columns, channels), output (batch, new rows, new columns, channels), where "valid" leaves
    floor((size - pool_size) / strides) + 1 of either. The gradient goes to the first of several largest values.
    ValueError for a window that is larger than the input.

    >>> import numpy as np
    >>> MaxPooling2D()(np.ones((2, 28, 28, 8))).shape
    (2, 14, 14, 8)
    """

    spatial_ndim, function = 2, max_pool


@registry.register("MaxPool3D")
class MaxPooling3D(Pooling):
    """The largest value of each window of a volume, for each channel.

    pool_size : depth, height and width of the windows, or one number for all.
    strides : how far apart the windows are along each axis; by default pool_size.
    padding : "valid", windows lie inside the volume; "same", ceil(size / strides) windows that reach over its border.
    data_format : "channels_last", inputs (batch, depth, rows, columns, channels), or "channels_first", (batch,
        channels, depth, rows, columns).

    Input (batch, depth, rows, columns, channels), output (batch, new depth, new rows, new columns, channels), where
    "valid" leaves floor((size - pool_size) / strides) + 1 of each. The gradient goes to the first of several largest
    values. ValueError for a window that is larger than the input.

    >>> import numpy as np
    >>> MaxPooling3D()(np.ones((2, 4, 8, 8, 3))).shape
    (2, 2, 4, 4, 3)
    """

    spatial_ndim, function = 3, max_pool


@registry.register("AvgPool1D")
class AveragePooling1D(Pooling):
    """The mean of each window of a sequence, for each channel; padding does not count.

    Arguments, shapes and errors are those of `MaxPooling1D`.

    >>> AveragePooling1D(2)([[[1.0], [3.0], [2.0], [0.0]]])
    array([[[2.],
            [1.]]], dtype=float32)
    """

    spatial_ndim, function = 1, average_pool


@registry.register("AvgPool2D")
class AveragePooling2D(Pooling):
    """The mean of each window of an image, for each channel; padding does not count.

    Arguments, shapes and errors are those of `MaxPooling2D`.

    >>> import numpy as np
    >>> AveragePooling2D(3, strides=2, padding="same")(np.ones((2, 28, 28, 8))).shape
    (2, 14, 14, 8)
    """

    spatial_ndim, function = 2, average_pool


@registry.register("AvgPool3D")
class AveragePooling3D(Pooling):
    """The mean of each window of a volume, for each channel; padding does not count.

    Arguments, shapes and errors are those of `MaxPooling3D`.

    >>> import numpy as np
    >>> AveragePooling3D(3, strides=2, padding="same")(np.ones((2, 4, 8, 8, 3))).shape
    (2, 2, 4, 4, 3)
    """

    spatial_ndim, function = 3, average_pool


class GlobalPooling(Spatial):
    """Pooling over all positions: one number for each channel."""

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.set_data_format(data_format)
        self.keepdims = keepdims

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        axes = self.check_axes(input_shape)
        if self.keepdims:
            return tuple(1 if axis in axes else size for axis, size in enumerate(input_shape))
        return (input_shape[0], input_shape[self.channel_axis])

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """None, with a warning: what a mask leaves out has been pooled with the rest."""
        advice = "GlobalAveragePooling1D takes the mean of the steps that count" if self.spatial_ndim == 1 else ""
        return self.lost_mask(mask, advice)


class _GlobalMaxPooling(GlobalPooling):
    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        return global_max_pool(x, self.data_format, self.keepdims)


@registry.register("GlobalMaxPool1D")
class GlobalMaxPooling1D(_GlobalMaxPooling):
    """The largest value of each channel of a sequence: (batch, steps, channels) -> (batch, channels).

    data_format : "channels_last", or "channels_first" for inputs (batch, channels, steps).
    keepdims : whether the axis of the steps stays, with size 1.

    The gradient goes to the first of several largest values. ValueError for an input of another number of axes.

    >>> GlobalMaxPooling1D()([[[1.0], [3.0], [2.0]]])
    array([[3.]], dtype=float32)
    """

    spatial_ndim = 1


@registry.register("GlobalMaxPool2D")
class GlobalMaxPooling2D(_GlobalMaxPooling):
    """The largest value of each channel of an image: (batch, rows, columns, channels) -> (batch, channels).

    data_format : "channels_last", or "channels_first" for inputs (batch, channels, rows, columns).
    keepdims : whether the axes of rows and columns stay, with size 1.

    The gradient goes to the first of several largest values. ValueError for an input of another number of axes.

    >>> GlobalMaxPooling2D(keepdims=True)([[[[1.0], [3.0]], [[2.0], [0.0]]]])
    array([[[[3.]]]], dtype=float32)
    """

    spatial_ndim = 2


@registry.register("GlobalMaxPool3D")
class GlobalMaxPooling3D(_GlobalMaxPooling):
    """The largest value of each channel of a volume: (batch, depth, rows, columns, channels) -> (batch, channels).

    data_format : "channels_last", or "channels_first" for inputs (batch, channels, depth, rows, columns).
    keepdims : whether the axes of depth, rows and columns stay, with size 1.

    The gradient goes to the first of several largest values. ValueError for an input of another number of axes.

    >>> GlobalMaxPooling3D()([[[[[1.0], [3.0]], [[2.0], [0.0]]]]])
    array([[3.]], dtype=float32)
    """

    spatial_ndim = 3


@registry.register("GlobalAvgPool1D")
class GlobalAveragePooling1D(GlobalPooling):
    """The mean of each channel of a sequence: (batch, steps, channels) -> (batch, channels).

    data_format : "channels_last", or "channels_first" for inputs (batch, channels, steps).
    keepdims : whether the axis of the steps stays, with size 1.

    With a mask (batch, steps), the mean of the steps that are True; 0 if there are none. ValueError for an input of
    another number of axes, or a mask of another shape.

    >>> import numpy as np
    >>> GlobalAveragePooling1D()([[[1.0], [3.0], [8.0]]], mask=np.asarray([[True, True, False]]))
    array([[2.]], dtype=float32)
    """

    supports_masking = True

    spatial_ndim = 1
    uses_mask = True
    mask_by_position = True

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """None: the steps are gone."""
        return None

    def forward(self, x: Array, *, training: bool = False, mask: Any = None) -> tuple[Array, Pullback]:
        if mask is not None:
            mask = self.placement.asarray(mask, "bool")
            (axis,) = self.check_axes(x.shape)
            if tuple(mask.shape) != (x.shape[0], x.shape[axis]):
                raise ValueError(
                    f"{self.name}: expected a mask (batch, steps) = {(x.shape[0], x.shape[axis])}, got shape "
                    f"{tuple(mask.shape)}"
                )
        return global_average_pool(x, self.data_format, self.keepdims, mask)


class _GlobalAveragePooling(GlobalPooling):
    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        return global_average_pool(x, self.data_format, self.keepdims)


@registry.register("GlobalAvgPool2D")
class GlobalAveragePooling2D(_GlobalAveragePooling):
    """The mean of each channel of an image: (batch, rows, columns, channels) -> (batch, channels).

    data_format : "channels_last", or "channels_first" for inputs (batch, channels, rows, columns).
    keepdims : whether the axes of rows and columns stay, with size 1.

    ValueError for an input of another number of axes.

    >>> GlobalAveragePooling2D()([[[[1.0], [3.0]], [[4.0], [0.0]]]])
    array([[2.]], dtype=float32)
    """

    spatial_ndim = 2


@registry.register("GlobalAvgPool3D")
class GlobalAveragePooling3D(_GlobalAveragePooling):
    """The mean of each channel of a volume: (batch, depth, rows, columns, channels) -> (batch, channels).

    data_format : "channels_last", or "channels_first" for inputs (batch, channels, depth, rows, columns).
    keepdims : whether the axes of depth, rows and columns stay, with size 1.

    ValueError for an input of another number of axes.

    >>> GlobalAveragePooling3D()([[[[[1.0], [3.0]], [[4.0], [0.0]]]]])
    array([[2.]], dtype=float32)
    """

    spatial_ndim = 3


if not TYPE_CHECKING:
    __getattr__ = names_of("nnx.layers")  # old scripts write `from ....layers.pooling import ...`
