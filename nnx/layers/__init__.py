"""Layers: parameters and configuration around the pure functions of `nnx.functional`."""

from nnx.graph.symbol import Symbol
from nnx.layers.activation import ELU, Activation, LeakyReLU, ReLU, Softmax
from nnx.layers.activity_regularization import ActivityRegularization
from nnx.layers.adaptive_pooling import (
    AdaptiveAveragePooling1D,
    AdaptiveAveragePooling2D,
    AdaptiveAveragePooling3D,
    AdaptiveMaxPooling1D,
    AdaptiveMaxPooling2D,
    AdaptiveMaxPooling3D,
)
from nnx.layers.attention import GroupQueryAttention, MultiHeadAttention
from nnx.layers.batch_normalization import BatchNormalization
from nnx.layers.bidirectional import Bidirectional
from nnx.layers.conv_lstm import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
from nnx.layers.convolution import Conv1D, Conv2D, Conv3D
from nnx.layers.dense import Dense
from nnx.layers.dropout import (
    AlphaDropout,
    Dropout,
    GaussianDropout,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from nnx.layers.einsum_dense import EinsumDense
from nnx.layers.embedding import Embedding
from nnx.layers.feature_normalization import Normalization
from nnx.layers.function_call import FunctionCall
from nnx.layers.gru import GRU, GRUCell
from nnx.layers.identity import Identity
from nnx.layers.input import Input, InputLayer
from nnx.layers.lambda_layer import Lambda
from nnx.layers.layer import Layer, registry
from nnx.layers.lstm import LSTM, LSTMCell
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
from nnx.layers.prelu import PReLU
from nnx.layers.random_flip import RandomFlip
from nnx.layers.random_transforms import RandomRotation, RandomTranslation, RandomZoom
from nnx.layers.rescaling import Rescaling
from nnx.layers.reshaping import Flatten, Permute, RepeatVector, Reshape
from nnx.layers.rnn import RNN, StackedRNNCells
from nnx.layers.separable_convolution import DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D, SeparableConv2D
from nnx.layers.simple_rnn import SimpleRNN, SimpleRNNCell
from nnx.layers.single_head_attention import AdditiveAttention, Attention
from nnx.layers.spectral_normalization import SpectralNormalization
from nnx.layers.time_distributed import TimeDistributed
from nnx.layers.transposed_convolution import Conv1DTranspose, Conv2DTranspose, Conv3DTranspose
from nnx.layers.upsampling import UpSampling1D, UpSampling2D, UpSampling3D
from nnx.layers.wrapper import Wrapper
from nnx.parameters import FlatParameters, Parameter
from nnx.pullbacks import LayerPullback

# The other names that Keras has for them
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
GlobalAvgPool1D, GlobalAvgPool2D, GlobalAvgPool3D = (
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
)
GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D = GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D
Convolution1D, Convolution2D, Convolution3D = Conv1D, Conv2D, Conv3D
Convolution1DTranspose, Convolution2DTranspose = Conv1DTranspose, Conv2DTranspose
Convolution3DTranspose = Conv3DTranspose
SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D

__all__ = [
    "ELU",
    "GRU",
    "LSTM",
    "RNN",
    "Activation",
    "ActivityRegularization",
    "AdaptiveAveragePooling1D",
    "AdaptiveAveragePooling2D",
    "AdaptiveAveragePooling3D",
    "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D",
    "AdaptiveMaxPooling3D",
    "Add",
    "AdditiveAttention",
    "AlphaDropout",
    "Attention",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "BatchNormalization",
    "Bidirectional",
    "Concatenate",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
    "Convolution1D",
    "Convolution1DTranspose",
    "Convolution2D",
    "Convolution2DTranspose",
    "Convolution3D",
    "Convolution3DTranspose",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Dot",
    "Dropout",
    "EinsumDense",
    "Embedding",
    "FlatParameters",
    "Flatten",
    "FunctionCall",
    "GRUCell",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalAvgPool3D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPool3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "GroupNormalization",
    "GroupQueryAttention",
    "Identity",
    "Input",
    "InputLayer",
    "LSTMCell",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LayerPullback",
    "LeakyReLU",
    "Masking",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
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
    "SimpleRNNCell",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "SpectralNormalization",
    "StackedRNNCells",
    "Subtract",
    "Symbol",
    "TimeDistributed",
    "UnitNormalization",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "Wrapper",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
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
