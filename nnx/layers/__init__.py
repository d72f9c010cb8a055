"""Layers: parameters and configuration around the pure functions of `nnx.functional`."""

from typing import TYPE_CHECKING

from nnx.graph.symbol import Symbol
from nnx.layers.activation import ELU, Activation, LeakyReLU, ReLU, Softmax
from nnx.layers.activity_regularization import ActivityRegularization
from nnx.layers.attention import MultiHeadAttention
from nnx.layers.batch_normalization import BatchNormalization
from nnx.layers.bidirectional import Bidirectional
from nnx.layers.convolution import Conv1D, Conv2D
from nnx.layers.dense import Dense
from nnx.layers.dropout import AlphaDropout, Dropout, GaussianDropout, SpatialDropout1D, SpatialDropout2D
from nnx.layers.embedding import Embedding
from nnx.layers.feature_normalization import Normalization
from nnx.layers.function_call import FunctionCall
from nnx.layers.gru import GRU
from nnx.layers.identity import Identity
from nnx.layers.input import Input, InputLayer
from nnx.layers.input_spec import InputSpec
from nnx.layers.lambda_layer import Lambda
from nnx.layers.layer import Layer, registry
from nnx.layers.lstm import LSTM
from nnx.layers.masking import Masking
from nnx.layers.merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from nnx.layers.noise import GaussianNoise
from nnx.layers.normalization import GroupNormalization, LayerNormalization, RMSNormalization, UnitNormalization
from nnx.layers.operation import Operation
from nnx.layers.padding import Cropping1D, Cropping2D, ZeroPadding1D, ZeroPadding2D
from nnx.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    MaxPooling1D,
    MaxPooling2D,
)
from nnx.layers.prelu import PReLU
from nnx.layers.random_flip import RandomFlip
from nnx.layers.random_transforms import RandomRotation, RandomTranslation, RandomZoom
from nnx.layers.rescaling import Rescaling
from nnx.layers.reshaping import Flatten, Permute, RepeatVector, Reshape
from nnx.layers.separable_convolution import DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D, SeparableConv2D
from nnx.layers.simple_rnn import SimpleRNN
from nnx.layers.time_distributed import TimeDistributed
from nnx.layers.transposed_convolution import Conv1DTranspose, Conv2DTranspose
from nnx.layers.upsampling import UpSampling1D, UpSampling2D
from nnx.lazy_loading import other_names
from nnx.parameters import FlatParameters, Parameter
from nnx.pullbacks import LayerPullback

# The other names that Keras has for them
AvgPool1D, AvgPool2D, MaxPool1D, MaxPool2D = AveragePooling1D, AveragePooling2D, MaxPooling1D, MaxPooling2D
GlobalAvgPool1D, GlobalAvgPool2D = GlobalAveragePooling1D, GlobalAveragePooling2D
GlobalMaxPool1D, GlobalMaxPool2D = GlobalMaxPooling1D, GlobalMaxPooling2D
Convolution1D, Convolution2D = Conv1D, Conv2D
Convolution1DTranspose, Convolution2DTranspose = Conv1DTranspose, Conv2DTranspose
SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D

__all__ = [
    "ELU",
    "GRU",
    "LSTM",
    "Activation",
    "ActivityRegularization",
    "Add",
    "AlphaDropout",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AvgPool1D",
    "AvgPool2D",
    "BatchNormalization",
    "Bidirectional",
    "Concatenate",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Convolution1D",
    "Convolution1DTranspose",
    "Convolution2D",
    "Convolution2DTranspose",
    "Cropping1D",
    "Cropping2D",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Dot",
    "Dropout",
    "Embedding",
    "FlatParameters",
    "Flatten",
    "FunctionCall",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GroupNormalization",
    "Identity",
    "Input",
    "InputLayer",
    "InputSpec",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LayerPullback",
    "LeakyReLU",
    "Masking",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPooling1D",
    "MaxPooling2D",
    "Maximum",
    "Minimum",
    "MultiHeadAttention",
    "Multiply",
    "Normalization",
    "Operation",
    "PReLU",
    "Parameter",
    "Permute",
    "RMSNormalization",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "SeparableConv1D",
    "SeparableConv2D",
    "SeparableConvolution1D",
    "SeparableConvolution2D",
    "SimpleRNN",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "Subtract",
    "Symbol",
    "TimeDistributed",
    "UnitNormalization",
    "UpSampling1D",
    "UpSampling2D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "add",
    "average",
    "concatenate",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "registry",
    "subtract",
]

if not TYPE_CHECKING:
    __getattr__ = other_names(__name__)
