"""Convolutional layers."""

from __future__ import annotations

from typing import Any

from nnx.arguments import positive_integer
from nnx.backends import Array
from nnx.functional import Pullback
from nnx.functional.convolution import conv
from nnx.layers.activation import Activated
from nnx.layers.layer import registry
from nnx.layers.spatial import Spatial
from nnx.ops.convolution import conv as convolution
from nnx.ops.shapes import reshape
from nnx.parameters import Parameter
from nnx.pullbacks import Differentiable, LayerPullback
from nnx.shapes import Shape, Sizes


class Convolution(Spatial, Activated):
    """What convolutions have in common: windows, weights with their options, and an activation at the end."""

    supports_masking = False

    use_bias: bool
    bias: Parameter | None = None

    def set_windows(
        self, kernel_size: Sizes, strides: Sizes, padding: str, dilation_rate: Sizes, data_format: str | None
    ) -> None:
        """Keep the options of the windows, as one integer for each spatial axis; ValueError for what cannot be one."""
        self.set_data_format(data_format)
        self.kernel_size = self.for_each_axis("kernel_size", kernel_size)
        self.strides = self.for_each_axis("strides", strides)
        self.dilation_rate = self.for_each_axis("dilation_rate", dilation_rate)
        self.padding = padding

    def forbid_strides_with_dilation(self) -> None:
        """ValueError for strides and a dilation_rate that both are above 1."""
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{self.name}: strides {self.strides} and dilation_rate {self.dilation_rate} cannot both be above 1"
            )

    @property
    def bias_value(self) -> Array | None:
        """The array of the bias; None without one."""
        return None if self.bias is None else self.bias.value

    def routed(self, pullback: Pullback, *kernels: Parameter) -> LayerPullback:
        """The layer's pullback from that of a function of the input, these kernels and the bias, if there is one."""
        return self.route(pullback, None, *kernels, *([] if self.bias is None else [self.bias]), direct=True)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Of a sequence, whether one of a window's steps counts; with as many windows as steps, the mask of these."""
        return self.mask_of_windows(inputs, mask, self.kernel_size, self.strides, self.padding, self.dilation_rate)

    def convolved_shape(self, input_shape: Shape, channels: int) -> Shape:
        """The shape of a convolution's output with so many channels, for an input's.

        ValueError for other channels than the layer was built for, and for windows that do not fit into the input.
        """
        self.check_channels(input_shape)
        return self.output_shape(
            input_shape,
            lambda sizes: self.windows(sizes, self.kernel_size, self.strides, self.padding, self.dilation_rate).counts,
            channels,
        )


class Conv(Convolution):
    """Conv1D, Conv2D and Conv3D, which differ in the number of axes.

    A subclass may define `convolution_op(inputs, kernel)`, or a `call` that calls it, as in Keras.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        if "convolution_op" in vars(cls) and "call" not in vars(cls):
            cls.call = _call_of_own_convolution  # type: ignore[attr-defined]
        super().__init_subclass__(**options)

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = positive_integer(f"{self.name}: filters", filters)
        self.groups = positive_integer(f"{self.name}: groups", groups)
        if self.filters % self.groups:
            raise ValueError(f"{self.name}: filters must be a multiple of groups, got {filters} and {groups}")
        padding = self.check_padding(padding, "valid", "same", *(["causal"] if self.spatial_ndim == 1 else []))
        self.set_windows(kernel_size, strides, padding, dilation_rate, data_format)
        self.forbid_strides_with_dilation()
        self.set_activation(activation)
        self.use_bias = use_bias
        self.set_weight_options("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self.set_weight_options("bias", bias_initializer, bias_regularizer, bias_constraint)

    def build(self, input_shape: Shape) -> None:
        channels = self.channels_of(input_shape)
        if channels % self.groups:
            raise ValueError(f"{self.name}: the input's {channels} channels must be a multiple of groups={self.groups}")
        self.kernel = self.add_weight_with_options("kernel", (*self.kernel_size, channels // self.groups, self.filters))
        if self.use_bias:
            self.bias = self.add_weight_with_options("bias", (self.filters,))
        super().build(input_shape)

    def activated(self, x: Array, activate: Differentiable) -> tuple[Array, Pullback]:
        steps = self.strides, self.padding, self.dilation_rate
        y, pullback = conv(x, self.kernel.value, self.bias_value, *steps, self.groups, self.data_format, activate)
        return y, self.routed(pullback, self.kernel)

    def convolution_op(self, inputs: Array, kernel: Array) -> Array:
        """The convolution alone, without bias and activation, with the layer's strides, padding and dilation_rate."""
        return convolution(inputs, kernel, self.strides, self.padding, self.data_format, self.dilation_rate)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return self.convolved_shape(input_shape, self.filters)


def _call_of_own_convolution(self: Any, inputs: Any) -> Any:
    """The `call` of a class that defines its `convolution_op` alone."""
    y = self.convolution_op(inputs, self.kernel)
    if self.bias is not None:
        first = self.data_format == "channels_first"
        y = y + reshape(self.bias, (1, -1, *[1] * self.spatial_ndim) if first else (-1,))
    return self.activation(y)


@registry.register("Convolution1D")
class Conv1D(Conv):
    """Convolution along a sequence.

        y[t, f] = activation(sum of x[t * strides + k * dilation_rate, c] * kernel[k, c, f] over k and c, + bias[f])

    with c from the channels of the filter's group. That is, as everywhere in the field, a cross-correlation. With
    padding "same" and "causal" the windows begin before the first step, where x is 0.

    filters : how many features each step of the output has.
    kernel_size : length of the windows.
    strides : how far apart the windows are.
    padding : "valid", windows lie inside the sequence; "same", zeros around it give ceil(steps / strides) windows;
        "causal", as many, and no output depends on later steps.
    data_format : "channels_last", inputs (batch, steps, channels), or "channels_first", (batch, channels, steps).
    dilation_rate : how far apart the taps of a window are; not above 1 together with strides.
    groups : channels and filters are split into so many groups, and a filter sees the channels of its own.
    activation : a name, a function or None (linear); see `nnx.activations`.
    use_bias : whether a bias is added.
    kernel_initializer, bias_initializer : see `nnx.initializers`.
    kernel_regularizer, bias_regularizer, activity_regularizer : see `nnx.regularizers`.
    kernel_constraint, bias_constraint : see `nnx.constraints`.

    Input (batch, steps, c), output (batch, new steps, filters), kernel (kernel_size, c / groups, filters), bias
    (filters,). ValueError for a window that is longer than the input, and for channels or filters that groups does not
    divide.

    >>> import numpy as np
    >>> Conv1D(4, 3)(np.ones((2, 10, 5))).shape
    (2, 8, 4)
    """

    spatial_ndim = 1


@registry.register("Convolution2D")
class Conv2D(Conv):
    """Convolution over images.

        y[i, j, f] = activation(sum of x[i * s + k * d, j * s + l * d, c] * kernel[k, l, c, f] over k, l, c, + bias[f])

    with strides s and dilation_rate d.

    filters : how many channels the output has.
    kernel_size : height and width of the windows, or one number for both.
    strides : how far apart the windows are, down and across.
    padding : "valid", windows lie inside the image; "same", zeros around it give ceil(size / strides) windows.
    data_format : "channels_last", inputs (batch, rows, columns, channels), or "channels_first", (batch, channels,
        rows, columns).

    The other arguments are those of `Conv1D`. Input (batch, rows, columns, c), output (batch, new rows, new columns,
    filters), kernel (height, width, c / groups, filters), bias (filters,). ValueError for a window that is larger than
    the input, and for channels or filters that groups does not divide.

    >>> import numpy as np
    >>> Conv2D(8, 3, padding="same", activation="relu")(np.ones((2, 28, 28, 1))).shape
    (2, 28, 28, 8)
    """

    spatial_ndim = 2


@registry.register("Convolution3D")
class Conv3D(Conv):
    """Convolution over volumes, such as a scan in slices or the frames of a film.

        y[p, f] = activation(sum of x[p * strides + k * dilation_rate, c] * kernel[k, c, f] over k and c, + bias[f])

    where p and k have three axes.

    filters : how many channels the output has.
    kernel_size : depth, height and width of the windows, or one number for all.
    strides : how far apart the windows are along each axis, or one number for all.
    padding : "valid", windows lie inside the volume; "same", zeros around it give ceil(size / strides) windows.
    data_format : "channels_last", inputs (batch, depth, rows, columns, channels), or "channels_first", (batch,
        channels, depth, rows, columns).

    The other arguments are those of `Conv1D`. Input (batch, depth, rows, columns, c), output (batch, new depth, new
    rows, new columns, filters), kernel (*kernel_size, c / groups, filters), bias (filters,). ValueError for a window
    that is larger than the input, and for channels or filters that groups does not divide.

    >>> import numpy as np
    >>> Conv3D(8, 3, padding="same", activation="relu")(np.ones((1, 4, 8, 8, 1))).shape
    (1, 4, 8, 8, 8)
    """

    spatial_ndim = 3
