"""Examples of layers: convolution, pooling, padding, cropping and up-sampling."""

from __future__ import annotations

from nnx.layers.adaptive_pooling import (
    AdaptiveAveragePooling1D,
    AdaptiveAveragePooling2D,
    AdaptiveAveragePooling3D,
    AdaptiveMaxPooling1D,
    AdaptiveMaxPooling2D,
    AdaptiveMaxPooling3D,
)
from nnx.layers.convolution import Conv1D, Conv2D, Conv3D
from nnx.layers.padding import Cropping1D, Cropping2D, Cropping3D, ZeroPadding1D, ZeroPadding2D, ZeroPadding3D
from nnx.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from nnx.layers.separable_convolution import DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D, SeparableConv2D
from nnx.layers.transposed_convolution import Conv1DTranspose, Conv2DTranspose, Conv3DTranspose
from nnx.layers.upsampling import UpSampling1D, UpSampling2D, UpSampling3D
from nnx.testing.rows.layer_case import LayerRows

LAYERS = LayerRows()
_layer = LAYERS.one_input

FIRST = "channels_first"


_layer("Conv1D", lambda: Conv1D(4, 3), 2, 7, 3)
_layer("Conv1D same strided", lambda: Conv1D(4, 3, strides=2, padding="same", activation="tanh"), 2, 7, 3)
_layer("Conv1D same of an even window", lambda: Conv1D(4, 4, padding="same"), 2, 7, 3)
_layer("Conv1D causal", lambda: Conv1D(4, 3, padding="causal"), 2, 7, 3)
_layer("Conv1D causal dilated", lambda: Conv1D(4, 2, padding="causal", dilation_rate=3), 2, 7, 3)
_layer("Conv1D causal strided", lambda: Conv1D(4, 3, strides=2, padding="causal"), 2, 8, 3)
_layer("Conv1D dilated", lambda: Conv1D(4, 3, dilation_rate=2, use_bias=False), 2, 7, 3)
_layer("Conv1D of groups", lambda: Conv1D(6, 3, padding="same", groups=2), 2, 7, 4)
_layer("Conv1D channels first", lambda: Conv1D(4, 3, strides=2, data_format=FIRST, activation="relu"), 2, 3, 8)
_layer("Conv1D of one channel", lambda: Conv1D(5, 3), 2, 20, 1)
_layer("Conv1D of the whole input", lambda: Conv1D(4, 7), 1, 7, 3)
_layer("Conv2D", lambda: Conv2D(4, 3), 2, 6, 7, 3)
_layer("Conv2D relu same", lambda: Conv2D(4, 3, padding="same", activation="relu"), 2, 5, 6, 3)
_layer("Conv2D same strided", lambda: Conv2D(4, 3, strides=2, padding="same"), 2, 7, 6, 3)
_layer("Conv2D same of an even window", lambda: Conv2D(4, (2, 4), padding="same"), 2, 5, 6, 3)
_layer("Conv2D strided", lambda: Conv2D(4, (3, 2), strides=(2, 3)), 2, 8, 9, 3)
_layer("Conv2D with gaps", lambda: Conv2D(4, 2, strides=3), 2, 8, 9, 3)
_layer("Conv2D dilated", lambda: Conv2D(4, (2, 3), dilation_rate=2), 2, 7, 8, 3)
_layer("Conv2D dilated same", lambda: Conv2D(4, 3, padding="same", dilation_rate=(1, 2)), 2, 5, 6, 3)
_layer("Conv2D of groups", lambda: Conv2D(6, 3, groups=2, use_bias=False), 2, 5, 6, 4)
_layer("Conv2D of groups strided", lambda: Conv2D(6, 3, strides=2, padding="same", groups=3), 2, 5, 6, 6)
_layer("Conv2D channels first", lambda: Conv2D(4, 3, padding="same", data_format=FIRST), 2, 3, 5, 6)
_layer("Conv2D channels first of groups", lambda: Conv2D(4, (3, 2), groups=2, data_format=FIRST), 2, 4, 5, 6)
_layer("Conv2D of single pixels", lambda: Conv2D(4, 1, activation="sigmoid"), 2, 5, 6, 3)
_layer("Conv2D of single pixels strided", lambda: Conv2D(4, 1, strides=2), 2, 5, 6, 3)
_layer("Conv2D of the whole input", lambda: Conv2D(4, (5, 6)), 3, 5, 6, 3)
_layer("Conv2D of one channel", lambda: Conv2D(3, 3), 2, 12, 13, 1)
_layer("Conv2D of one pixel", lambda: Conv2D(3, 3, padding="same"), 1, 1, 1, 2)
_layer(
    "Conv2D regularised",
    lambda: Conv2D(4, 3, kernel_regularizer="l2", bias_regularizer="l1", kernel_constraint="max_norm"),
    2,
    5,
    6,
    3,
)
_layer("Conv1DTranspose", lambda: Conv1DTranspose(4, 3), 2, 5, 3)
_layer("Conv1DTranspose strided", lambda: Conv1DTranspose(4, 3, strides=2, activation="tanh"), 2, 5, 3)
_layer("Conv1DTranspose same", lambda: Conv1DTranspose(4, 4, strides=3, padding="same"), 2, 5, 3)
_layer("Conv1DTranspose longer", lambda: Conv1DTranspose(4, 3, 2, "same", output_padding=1), 2, 5, 3)
_layer("Conv1DTranspose with gaps", lambda: Conv1DTranspose(4, 1, strides=3, use_bias=False), 2, 5, 3)
_layer("Conv1DTranspose channels first", lambda: Conv1DTranspose(4, 3, 2, data_format=FIRST), 2, 3, 5)
_layer("Conv2DTranspose", lambda: Conv2DTranspose(4, 3), 2, 4, 5, 3)
_layer("Conv2DTranspose strided", lambda: Conv2DTranspose(4, (3, 2), strides=2), 2, 4, 5, 3)
_layer("Conv2DTranspose side by side", lambda: Conv2DTranspose(4, 2, strides=2, activation="relu"), 2, 4, 5, 3)
_layer("Conv2DTranspose same", lambda: Conv2DTranspose(4, 5, strides=(2, 1), padding="same"), 2, 4, 5, 3)
_layer("Conv2DTranspose larger", lambda: Conv2DTranspose(4, 3, 3, "valid", output_padding=(0, 2)), 2, 4, 5, 3)
_layer("Conv2DTranspose dilated", lambda: Conv2DTranspose(4, 3, padding="same", dilation_rate=2), 2, 4, 5, 3)
_layer(
    "Conv2DTranspose channels first",
    lambda: Conv2DTranspose(4, 3, 2, "same", data_format=FIRST, use_bias=False),
    2,
    3,
    4,
    5,
)
_layer("DepthwiseConv1D", lambda: DepthwiseConv1D(3), 2, 7, 3)
_layer("DepthwiseConv1D several", lambda: DepthwiseConv1D(3, 2, "same", depth_multiplier=2), 2, 7, 3)
_layer("DepthwiseConv1D dilated", lambda: DepthwiseConv1D(3, dilation_rate=2, data_format=FIRST), 2, 3, 7)
_layer("DepthwiseConv2D", lambda: DepthwiseConv2D(3, activation="relu"), 2, 5, 6, 3)
_layer("DepthwiseConv2D several", lambda: DepthwiseConv2D((3, 2), 2, "same", depth_multiplier=2), 2, 5, 6, 3)
_layer("DepthwiseConv2D dilated", lambda: DepthwiseConv2D(2, dilation_rate=2, use_bias=False), 2, 5, 6, 3)
_layer("DepthwiseConv2D channels first", lambda: DepthwiseConv2D(3, 2, data_format=FIRST), 2, 3, 6, 7)
_layer("SeparableConv1D", lambda: SeparableConv1D(4, 3), 2, 7, 3)
_layer("SeparableConv1D several", lambda: SeparableConv1D(4, 3, 2, "same", depth_multiplier=2), 2, 7, 3)
_layer("SeparableConv2D", lambda: SeparableConv2D(4, 3, padding="same", activation="relu"), 2, 5, 6, 3)
_layer("SeparableConv2D several", lambda: SeparableConv2D(4, (2, 3), 2, depth_multiplier=2, use_bias=False), 2, 5, 6, 3)
_layer("SeparableConv2D channels first", lambda: SeparableConv2D(4, 3, data_format=FIRST), 2, 3, 5, 6)
_layer("MaxPooling1D", lambda: MaxPooling1D(), 2, 7, 3)
_layer("MaxPooling1D overlapping", lambda: MaxPooling1D(3, strides=2, padding="same"), 2, 8, 3)
_layer("MaxPooling1D channels first", lambda: MaxPooling1D(3, data_format=FIRST), 2, 3, 7)
_layer("MaxPooling2D", lambda: MaxPooling2D(), 2, 6, 8, 3)
_layer("MaxPooling2D with a rest", lambda: MaxPooling2D((3, 2)), 2, 7, 7, 3)
_layer("MaxPooling2D overlapping", lambda: MaxPooling2D(3, strides=2), 2, 7, 7, 3)
_layer("MaxPooling2D same", lambda: MaxPooling2D(3, strides=(1, 2), padding="same"), 2, 5, 6, 3)
_layer("MaxPooling2D with gaps", lambda: MaxPooling2D(2, strides=3), 2, 7, 8, 3)
_layer("MaxPooling2D channels first", lambda: MaxPooling2D(2, data_format=FIRST), 2, 3, 6, 7)
_layer("MaxPooling2D of single pixels", lambda: MaxPooling2D(1), 2, 3, 4, 2)
_layer("MaxPooling2D larger than the input", lambda: MaxPooling2D(5, padding="same"), 2, 3, 4, 2)
_layer("AveragePooling1D", lambda: AveragePooling1D(), 2, 7, 3)
_layer("AveragePooling1D same", lambda: AveragePooling1D(3, strides=2, padding="same"), 2, 8, 3)
_layer("AveragePooling2D", lambda: AveragePooling2D(), 2, 6, 7, 3)
_layer("AveragePooling2D overlapping", lambda: AveragePooling2D(3, strides=2), 2, 7, 7, 3)
_layer("AveragePooling2D same", lambda: AveragePooling2D((3, 2), strides=1, padding="same"), 2, 5, 6, 3)
_layer("AveragePooling2D channels first", lambda: AveragePooling2D(2, padding="same", data_format=FIRST), 2, 3, 5, 7)
_layer("GlobalMaxPooling1D", lambda: GlobalMaxPooling1D(), 2, 7, 3)
_layer("GlobalMaxPooling1D channels first", lambda: GlobalMaxPooling1D(FIRST, keepdims=True), 2, 3, 7)
_layer("GlobalMaxPooling2D", lambda: GlobalMaxPooling2D(), 2, 4, 5, 3)
_layer("GlobalMaxPooling2D keeping axes", lambda: GlobalMaxPooling2D(keepdims=True), 2, 4, 5, 3)
_layer("GlobalAveragePooling1D", lambda: GlobalAveragePooling1D(), 2, 7, 3)
_layer("GlobalAveragePooling1D keeping axes", lambda: GlobalAveragePooling1D(keepdims=True), 2, 7, 3)
_layer("GlobalAveragePooling2D", lambda: GlobalAveragePooling2D(), 2, 4, 5, 3)
_layer("GlobalAveragePooling2D channels first", lambda: GlobalAveragePooling2D(FIRST, keepdims=True), 2, 3, 4, 5)
_layer("ZeroPadding1D", lambda: ZeroPadding1D((2, 1)), 2, 5, 3)
_layer("ZeroPadding1D channels first", lambda: ZeroPadding1D(1, data_format=FIRST), 2, 3, 5)
_layer("ZeroPadding2D", lambda: ZeroPadding2D(((1, 0), (2, 3))), 2, 4, 5, 3)
_layer("ZeroPadding2D channels first", lambda: ZeroPadding2D((0, 1), data_format=FIRST), 2, 3, 4, 5)
_layer("Cropping1D", lambda: Cropping1D((2, 0)), 2, 5, 3)
_layer("Cropping2D", lambda: Cropping2D(((1, 0), (2, 1))), 2, 4, 5, 3)
_layer("Cropping2D channels first", lambda: Cropping2D(1, data_format=FIRST), 2, 3, 4, 5)
_layer("UpSampling1D", lambda: UpSampling1D(3), 2, 5, 3)
_layer("UpSampling2D", lambda: UpSampling2D((2, 3)), 2, 4, 5, 3)
_layer("UpSampling2D channels first", lambda: UpSampling2D(2, data_format=FIRST), 2, 3, 4, 5)
_layer("UpSampling2D bilinear", lambda: UpSampling2D((3, 2), interpolation="bilinear"), 2, 4, 5, 3)
_layer("UpSampling2D bilinear of one row", lambda: UpSampling2D((2, 4), None, "bilinear"), 2, 1, 5, 3)
_layer("UpSampling2D bicubic", lambda: UpSampling2D((2, 3), FIRST, "bicubic"), 2, 3, 4, 5)
_layer("UpSampling2D lanczos", lambda: UpSampling2D((2, 1), interpolation="lanczos3"), 2, 8, 3, 2)

_layer("Conv3D", lambda: Conv3D(4, 2), 2, 3, 4, 5, 2)
_layer("Conv3D same strided", lambda: Conv3D(4, 3, (1, 2, 3), "same", activation="tanh"), 2, 3, 4, 5, 2)
_layer("Conv3D of groups", lambda: Conv3D(4, (2, 1, 2), groups=2, use_bias=False), 2, 3, 2, 3, 4)
_layer("Conv3D channels first", lambda: Conv3D(2, 2, dilation_rate=(2, 1, 1), data_format=FIRST), 2, 3, 4, 3, 2)
_layer("Conv3D of single points", lambda: Conv3D(3, 1), 2, 2, 3, 2, 2)
_layer("Conv3DTranspose", lambda: Conv3DTranspose(2, (2, 1, 3), strides=(1, 2, 2)), 2, 2, 3, 2, 3)
_layer("Conv3DTranspose same", lambda: Conv3DTranspose(2, 3, 2, "same", output_padding=1), 1, 2, 2, 2, 3)
_layer("MaxPooling3D", lambda: MaxPooling3D(), 2, 4, 5, 4, 2)
_layer("MaxPooling3D same", lambda: MaxPooling3D((2, 3, 2), (1, 2, 2), "same", FIRST), 2, 2, 3, 4, 5)
_layer("AveragePooling3D", lambda: AveragePooling3D(2, (1, 2, 1)), 2, 3, 4, 5, 2)
_layer("AveragePooling3D same", lambda: AveragePooling3D((2, 3, 2), padding="same"), 2, 3, 4, 5, 2)
_layer("GlobalMaxPooling3D", lambda: GlobalMaxPooling3D(keepdims=True), 2, 2, 3, 2, 3)
_layer("GlobalAveragePooling3D", lambda: GlobalAveragePooling3D(FIRST), 2, 3, 2, 3, 2)
_layer("ZeroPadding3D", lambda: ZeroPadding3D(((1, 0), (2, 1), (0, 1))), 2, 2, 3, 2, 2)
_layer("Cropping3D", lambda: Cropping3D((1, 0, 1), FIRST), 2, 2, 3, 2, 3)
_layer("UpSampling3D", lambda: UpSampling3D((1, 2, 3)), 2, 2, 3, 2, 2)
_layer("AdaptiveAveragePooling1D", lambda: AdaptiveAveragePooling1D(3), 2, 7, 3)
_layer("AdaptiveAveragePooling2D", lambda: AdaptiveAveragePooling2D((2, 3), FIRST), 2, 3, 5, 6)
_layer("AdaptiveAveragePooling3D", lambda: AdaptiveAveragePooling3D(2), 2, 3, 4, 2, 2)
_layer("AdaptiveMaxPooling1D", lambda: AdaptiveMaxPooling1D(3, FIRST), 2, 3, 7)
_layer("AdaptiveMaxPooling2D", lambda: AdaptiveMaxPooling2D((2, 3)), 2, 5, 6, 3)
_layer("AdaptiveMaxPooling3D", lambda: AdaptiveMaxPooling3D((1, 2, 2)), 2, 3, 4, 2, 2)
