"""Layers: parameters and configuration around the pure functions of `nnx.functional`."""

from nnx.layers.activated import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from nnx.layers.attention import MultiHeadAttention
from nnx.layers.axes import Permute, RepeatVector
from nnx.layers.base import Layer, registry
from nnx.layers.batch_normalization import BatchNormalization
from nnx.layers.dense import Dense
from nnx.layers.dropout import Dropout
from nnx.layers.embedding import Embedding
from nnx.layers.function import Lambda
from nnx.layers.gru import GRU
from nnx.layers.input import Input, InputLayer
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
from nnx.layers.noise import AlphaDropout, GaussianDropout, GaussianNoise, SpatialDropout1D, SpatialDropout2D
from nnx.layers.normalization import GroupNormalization, LayerNormalization, RMSNormalization, UnitNormalization
from nnx.layers.operators import Operation
from nnx.layers.parameter import FlatParameters, Parameter
from nnx.layers.pullback import LayerPullback
from nnx.layers.regularization import ActivityRegularization
from nnx.layers.shaping import Flatten, Reshape
from nnx.layers.simple_rnn import SimpleRNN
from nnx.layers.symbol import Symbol
from nnx.layers.wrappers import Bidirectional, TimeDistributed

__all__ = [
    "ELU",
    "GRU",
    "LSTM",
    "Activation",
    "ActivityRegularization",
    "Add",
    "AlphaDropout",
    "Average",
    "BatchNormalization",
    "Bidirectional",
    "Concatenate",
    "Dense",
    "Dot",
    "Dropout",
    "Embedding",
    "FlatParameters",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "GroupNormalization",
    "Input",
    "InputLayer",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LayerPullback",
    "LeakyReLU",
    "Masking",
    "Maximum",
    "Minimum",
    "MultiHeadAttention",
    "Multiply",
    "Operation",
    "PReLU",
    "Parameter",
    "Permute",
    "RMSNormalization",
    "ReLU",
    "RepeatVector",
    "Reshape",
    "SimpleRNN",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "Subtract",
    "Symbol",
    "TimeDistributed",
    "UnitNormalization",
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
