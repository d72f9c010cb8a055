"""Transposed convolutions, which make sequences longer, and images and volumes larger."""

from __future__ import annotations

from typing import Any

from nnx.arguments import positive_integer
from nnx.backends import Array
from nnx.functional import Pullback
from nnx.functional.convolution import conv_transpose, transposed_windows
from nnx.layers.convolution import Convolution
from nnx.layers.layer import registry
from nnx.pullbacks import Differentiable
from nnx.shapes import Shape, Sizes


class ConvTranspose(Convolution):
    """Conv1DTranspose, Conv2DTranspose and Conv3DTranspose, which differ in the number of axes."""

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        output_padding: Sizes | None = None,
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
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
        padding = self.check_padding(padding, "valid", "same")
        self.set_windows(kernel_size, strides, padding, dilation_rate, data_format)
        self.forbid_strides_with_dilation()
        self.output_padding = output_padding
        if output_padding is not None:
            self.output_padding = self.for_each_axis("output_padding", output_padding, least=0)
            if any(size >= stride for size, stride in zip(self.output_padding, self.strides, strict=True)):
                raise ValueError(
                    f"{self.name}: output_padding must be below strides {self.strides}, got {self.output_padding}"
                )
        self.set_activation(activation)
        self.use_bias = use_bias
        self.set_weight_options("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self.set_weight_options("bias", bias_initializer, bias_regularizer, bias_constraint)

    def build(self, input_shape: Shape) -> None:
        self.kernel = self.add_weight_with_options(
            "kernel", (*self.kernel_size, self.filters, self.channels_of(input_shape))
        )
        if self.use_bias:
            self.bias = self.add_weight_with_options("bias", (self.filters,))
        super().build(input_shape)

    def activated(self, x: Array, activate: Differentiable) -> tuple[Array, Pullback]:
        steps = self.strides, self.padding, self.output_padding, self.dilation_rate
        y, pullback = conv_transpose(x, self.kernel.value, self.bias_value, *steps, self.data_format, activate)
        return y, self.routed(pullback, self.kernel)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """None, with a warning: each step is spread over several."""
        return self.lost_mask(mask)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.check_channels(input_shape)
        steps = self.strides, self.padding, self.output_padding, self.dilation_rate
        return self.output_shape(
            input_shape, lambda sizes: transposed_windows(sizes, self.kernel_size, *steps).sizes, self.filters
        )


@registry.register("Convolution1DTranspose", "Deconvolution1D")
class Conv1DTranspose(ConvTranspose):
    """Transposed convolution along a sequence: each step is spread over a window of the output.

        y[u, f] = activation(sum of x[t, c] * kernel[k, f, c] over c and t * strides + k * dilation_rate = u, + bias[f])

    which is the adjoint of the convolution with the same kernel. Padding "same" leaves out steps at both ends.

    filters : how many features each step of the output has.
    kernel_size : length of the windows.
    strides : how far apart the windows are.
    padding : "valid", all that the windows reach: steps * strides + max(0, kernel_size - strides) steps; "same",
        steps * strides.
    output_padding : below strides; the output then has (steps - 1) * strides + output_padding steps, and kernel_size
        more for "valid", 1 more for "same" with an odd kernel_size.
    data_format : "channels_last", inputs (batch, steps, channels), or "channels_first", (batch, channels, steps).
    dilation_rate : how far apart the taps of a window are; not above 1 together with strides.

    The other arguments are those of `Conv1D`, without groups. Input (batch, steps, c), output (batch, new steps,
    filters), kernel (kernel_size, filters, c), bias (filters,). ValueError for an output_padding that is not below
    strides.

    >>> import numpy as np
    >>> Conv1DTranspose(4, 3, strides=2, padding="same")(np.ones((2, 10, 5))).shape
    (2, 20, 4)
    """

    spatial_ndim = 1


@registry.register("Convolution2DTranspose", "Deconvolution2D")
class Conv2DTranspose(ConvTranspose):
    """Transposed convolution of images: each pixel is spread over a window of the output.

    kernel_size, strides, output_padding, dilation_rate : for rows and columns, or one number for both.

    The formula and the arguments are those of `Conv1DTranspose`, for rows and columns alike. Input (batch, rows,
    columns, c), output (batch, new rows, new columns, filters), kernel (height, width, filters, c), bias (filters,).
    ValueError for an output_padding that is not below strides.

    >>> import numpy as np
    >>> Conv2DTranspose(4, 3, strides=2)(np.ones((2, 7, 7, 5))).shape
    (2, 15, 15, 4)
    """

    spatial_ndim = 2


@registry.register("Convolution3DTranspose", "Deconvolution3D")
class Conv3DTranspose(ConvTranspose):
    """Transposed convolution of volumes: each element is spread over a window of the output.

    kernel_size, strides, output_padding, dilation_rate : for depth, rows and columns, or one number for all.

    The formula and the arguments are those of `Conv1DTranspose`, for all three axes alike; but as in Keras, data_format
    comes before output_padding. Input (batch, depth, rows, columns, c), output (batch, new depth, new rows, new
    columns, filters), kernel (*kernel_size, filters, c), bias (filters,). ValueError for an output_padding that is not
    below strides.

    >>> import numpy as np
    >>> Conv3DTranspose(4, 3, strides=2)(np.ones((1, 3, 4, 4, 2))).shape
    (1, 7, 9, 9, 4)
    """

    spatial_ndim = 3

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        data_format: str | None = None,
        output_padding: Sizes | None = None,
        dilation_rate: Sizes = 1,
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
        super().__init__(
            *(filters, kernel_size, strides, padding, output_padding, data_format, dilation_rate, activation, use_bias),
            *(kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer),
            *(kernel_constraint, bias_constraint),
            **kwargs,
        )
