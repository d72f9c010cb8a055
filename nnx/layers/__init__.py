"""Layers: parameters and configuration around the pure functions of `nnx.functional`."""

from typing import TYPE_CHECKING

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
from nnx.layers.augmentation_policies import AugMix, RandAugment
from nnx.layers.batch_normalization import BatchNormalization
from nnx.layers.bidirectional import Bidirectional
from nnx.layers.category_encoding import CategoryEncoding
from nnx.layers.conv_lstm import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
from nnx.layers.convolution import Conv1D, Conv2D, Conv3D
from nnx.layers.dense import Dense
from nnx.layers.discretization import Discretization
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
from nnx.layers.hashing import HashedCrossing, Hashing
from nnx.layers.identity import Identity
from nnx.layers.image_mixing import CutMix, MixUp
from nnx.layers.input import Input, InputLayer
from nnx.layers.input_spec import InputSpec
from nnx.layers.integer_lookup import IntegerLookup
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
from nnx.layers.pipeline import Pipeline
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
from nnx.layers.random_colours import (
    RandomBrightness,
    RandomColorDegeneration,
    RandomColorJitter,
    RandomContrast,
    RandomGrayscale,
    RandomHue,
    RandomSaturation,
)
from nnx.layers.random_distortions import RandomElasticTransform, RandomPerspective
from nnx.layers.random_erasing import RandomErasing
from nnx.layers.random_filters import RandomGaussianBlur, RandomSharpness
from nnx.layers.random_flip import RandomFlip
from nnx.layers.random_transforms import RandomRotation, RandomShear, RandomTranslation, RandomZoom
from nnx.layers.rescaling import Rescaling
from nnx.layers.reshaping import Flatten, Permute, RepeatVector, Reshape
from nnx.layers.resizing import CenterCrop, RandomCrop, Resizing
from nnx.layers.reversible_embedding import ReversibleEmbedding
from nnx.layers.rnn import RNN, StackedRNNCells
from nnx.layers.separable_convolution import DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D, SeparableConv2D
from nnx.layers.simple_rnn import SimpleRNN, SimpleRNNCell
from nnx.layers.single_head_attention import AdditiveAttention, Attention
from nnx.layers.spectral_normalization import SpectralNormalization
from nnx.layers.spectrograms import MelSpectrogram, STFTSpectrogram
from nnx.layers.string_lookup import StringLookup
from nnx.layers.text_vectorization import TextVectorization
from nnx.layers.time_distributed import TimeDistributed
from nnx.layers.tones import AutoContrast, Equalization, RandomInvert, RandomPosterization, Solarization
from nnx.layers.transposed_convolution import Conv1DTranspose, Conv2DTranspose, Conv3DTranspose
from nnx.layers.upsampling import UpSampling1D, UpSampling2D, UpSampling3D
from nnx.layers.wrapper import Wrapper
from nnx.lazy_loading import other_names
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
    "AugMix",
    "AutoContrast",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "BatchNormalization",
    "Bidirectional",
    "CategoryEncoding",
    "CenterCrop",
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
    "CutMix",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Discretization",
    "Dot",
    "Dropout",
    "EinsumDense",
    "Embedding",
    "Equalization",
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
    "HashedCrossing",
    "Hashing",
    "Identity",
    "Input",
    "InputLayer",
    "InputSpec",
    "IntegerLookup",
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
    "MelSpectrogram",
    "Minimum",
    "MixUp",
    "MultiHeadAttention",
    "Multiply",
    "Normalization",
    "Operation",
    "PReLU",
    "Parameter",
    "Permute",
    "Pipeline",
    "RMSNormalization",
    "RandAugment",
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomContrast",
    "RandomCrop",
    "RandomElasticTransform",
    "RandomErasing",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHue",
    "RandomInvert",
    "RandomPerspective",
    "RandomPosterization",
    "RandomRotation",
    "RandomSaturation",
    "RandomSharpness",
    "RandomShear",
    "RandomTranslation",
    "RandomZoom",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Resizing",
    "ReversibleEmbedding",
    "STFTSpectrogram",
    "SeparableConv1D",
    "SeparableConv2D",
    "SeparableConvolution1D",
    "SeparableConvolution2D",
    "SimpleRNN",
    "SimpleRNNCell",
    "Softmax",
    "Solarization",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "SpectralNormalization",
    "StackedRNNCells",
    "StringLookup",
    "Subtract",
    "Symbol",
    "TextVectorization",
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

if not TYPE_CHECKING:
    __getattr__ = other_names(__name__)
