"""Convolutions of each channel with filters of its own, alone or with a mixture of the results."""

from __future__ import annotations

from typing import Any

from nnx.arguments import positive_integer
from nnx.backends import Array
from nnx.functional import Pullback
from nnx.functional.convolution import depthwise_conv, separable_conv
from nnx.layers.convolution import Convolution
from nnx.layers.layer import registry
from nnx.pullbacks import Differentiable
from nnx.shapes import Shape, Sizes


class DepthwiseConv(Convolution):
    """DepthwiseConv1D and DepthwiseConv2D, which differ in the number of axes."""

    def __init__(
        self,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.depth_multiplier = positive_integer(f"{self.name}: depth_multiplier", depth_multiplier)
        padding = self.check_padding(padding, "valid", "same")
        self.set_windows(kernel_size, strides, padding, dilation_rate, data_format)
        self.set_activation(activation)
        self.use_bias = use_bias
        self.set_weight_options("depthwise", depthwise_initializer, depthwise_regularizer, depthwise_constraint)
        self.set_weight_options("bias", bias_initializer, bias_regularizer, bias_constraint)

    def build(self, input_shape: Shape) -> None:
        channels = self.channels_of(input_shape)
        self.kernel = self.add_weight_with_options(
            "depthwise", (*self.kernel_size, channels, self.depth_multiplier), name="kernel"
        )
        if self.use_bias:
            self.bias = self.add_weight_with_options("bias", (channels * self.depth_multiplier,))
        super().build(input_shape)

    def activated(self, x: Array, activate: Differentiable) -> tuple[Array, Pullback]:
        steps = self.strides, self.padding, self.dilation_rate
        y, pullback = depthwise_conv(x, self.kernel.value, self.bias_value, *steps, self.data_format, activate)
        return y, self.routed(pullback, self.kernel)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return self.convolved_shape(input_shape, self.channels_of(input_shape) * self.depth_multiplier)


@registry.register()
class DepthwiseConv1D(DepthwiseConv):
    """Convolution of each channel of a sequence with depth_multiplier filters of its own.

        z[t, c, m] = sum of x[t * strides + k * dilation_rate, c] * kernel[k, c, m] over k
        y[t, c * depth_multiplier + m] = activation(z[t, c, m] + bias[c * depth_multiplier + m])

    kernel_size, strides, padding, data_format, dilation_rate : as in `Conv1D`, without "causal" padding.
    depth_multiplier : how many features each channel gives; 1 by default.
    activation, use_bias, bias_initializer, bias_regularizer, bias_constraint, activity_regularizer : as in `Conv1D`.
    depthwise_initializer, depthwise_regularizer, depthwise_constraint : of the kernel.

    Input (batch, steps, c), output (batch, new steps, c * depth_multiplier), kernel (kernel_size, c, depth_multiplier),
    bias (c * depth_multiplier,). ValueError for a window that is longer than the input.

    >>> import numpy as np
    >>> DepthwiseConv1D(3, depth_multiplier=2)(np.ones((2, 10, 5))).shape
    (2, 8, 10)
    """

    spatial_ndim = 1


@registry.register()
class DepthwiseConv2D(DepthwiseConv):
    """Convolution of each channel of an image with depth_multiplier filters of its own.

        z[i, j, c, m] = sum of x[i * s + k * d, j * s + l * d, c] * kernel[k, l, c, m] over k and l
        y[i, j, c * depth_multiplier + m] = activation(z[i, j, c, m] + bias[c * depth_multiplier + m])

    with strides s and dilation_rate d. The arguments are those of `DepthwiseConv1D`, with numbers for rows and columns
    or one for both.

    Input (batch, rows, columns, c), output (batch, new rows, new columns, c * depth_multiplier), kernel (height, width,
    c, depth_multiplier), bias (c * depth_multiplier,). ValueError for a window that is larger than the input.

    >>> import numpy as np
    >>> DepthwiseConv2D(3, padding="same")(np.ones((2, 7, 7, 5))).shape
    (2, 7, 7, 5)
    """

    spatial_ndim = 2


class SeparableConv(Convolution):
    """SeparableConv1D and SeparableConv2D, which differ in the number of axes."""

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = positive_integer(f"{self.name}: filters", filters)
        self.depth_multiplier = positive_integer(f"{self.name}: depth_multiplier", depth_multiplier)
        padding = self.check_padding(padding, "valid", "same")
        self.set_windows(kernel_size, strides, padding, dilation_rate, data_format)
        self.set_activation(activation)
        self.use_bias = use_bias
        self.set_weight_options("depthwise", depthwise_initializer, depthwise_regularizer, depthwise_constraint)
        self.set_weight_options("pointwise", pointwise_initializer, pointwise_regularizer, pointwise_constraint)
        self.set_weight_options("bias", bias_initializer, bias_regularizer, bias_constraint)

    def build(self, input_shape: Shape) -> None:
        channels, multiplier, ones = self.channels_of(input_shape), self.depth_multiplier, (1,) * self.spatial_ndim
        depthwise, pointwise = (*self.kernel_size, channels, multiplier), (*ones, channels * multiplier, self.filters)
        self.depthwise_kernel = self.add_weight_with_options("depthwise", depthwise, name="depthwise_kernel")
        self.pointwise_kernel = self.add_weight_with_options("pointwise", pointwise, name="pointwise_kernel")
        if self.use_bias:
            self.bias = self.add_weight_with_options("bias", (self.filters,))
        super().build(input_shape)

    def activated(self, x: Array, activate: Differentiable) -> tuple[Array, Pullback]:
        depthwise, pointwise = self.depthwise_kernel, self.pointwise_kernel
        weights = depthwise.value, pointwise.value, self.bias_value
        steps = self.strides, self.padding, self.dilation_rate
        y, pullback = separable_conv(x, *weights, *steps, self.data_format, activate)
        return y, self.routed(pullback, depthwise, pointwise)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return self.convolved_shape(input_shape, self.filters)


@registry.register("SeparableConvolution1D")
class SeparableConv1D(SeparableConv):
    """A depthwise convolution along a sequence, then a mixture of all its features in each step.

        z = the depthwise convolution of x with depthwise_kernel, as DepthwiseConv1D computes it
        y[t, f] = activation(sum of z[t, i] * pointwise_kernel[0, i, f] over i, + bias[f])

    filters : how many features each step of the output has.
    kernel_size, strides, padding, data_format, dilation_rate : of the depthwise convolution, as in `Conv1D`, without
        "causal" padding.
    depth_multiplier : how many features the depthwise convolution makes of each channel; 1 by default.
    activation, use_bias, activity_regularizer : as in `Conv1D`.
    depthwise_*, pointwise_*, bias_* : initializer, regularizer and constraint of each weight.

    Input (batch, steps, c), output (batch, new steps, filters), depthwise_kernel (kernel_size, c, depth_multiplier),
    pointwise_kernel (1, c * depth_multiplier, filters), bias (filters,). ValueError for a window that is longer than
    the input. Chollet, arXiv:1610.02357.

    >>> import numpy as np
    >>> SeparableConv1D(4, 3)(np.ones((2, 10, 5))).shape
    (2, 8, 4)
    """

    spatial_ndim = 1


@registry.register("SeparableConvolution2D")
class SeparableConv2D(SeparableConv):
    """A depthwise convolution of images, then a mixture of all channels in each pixel.

        z = the depthwise convolution of x with depthwise_kernel, as DepthwiseConv2D computes it
        y[i, j, f] = activation(sum of z[i, j, m] * pointwise_kernel[0, 0, m, f] over m, + bias[f])

    The arguments are those of `SeparableConv1D`, with numbers for rows and columns or one for both.

    Input (batch, rows, columns, c), output (batch, new rows, new columns, filters), depthwise_kernel (height, width, c,
    depth_multiplier), pointwise_kernel (1, 1, c * depth_multiplier, filters), bias (filters,). ValueError for a window
    that is larger than the input. Chollet, arXiv:1610.02357.

    >>> import numpy as np
    >>> SeparableConv2D(4, 3, padding="same")(np.ones((2, 7, 7, 5))).shape
    (2, 7, 7, 4)
    """

    spatial_ndim = 2
