"""Layers: parameters and configuration around the pure functions of `nnx.functional`."""

from nnx.layers.activated import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from nnx.layers.base import Layer, registry
from nnx.layers.dense import Dense
from nnx.layers.dropout import Dropout
from nnx.layers.function import Lambda
from nnx.layers.input import Input, InputLayer
from nnx.layers.operators import Operation
from nnx.layers.parameter import FlatParameters, Parameter
from nnx.layers.pullback import LayerPullback
from nnx.layers.shaping import Flatten, Reshape
from nnx.layers.symbol import Symbol

__all__ = [
    "ELU",
    "Activation",
    "Dense",
    "Dropout",
    "FlatParameters",
    "Flatten",
    "Input",
    "InputLayer",
    "Lambda",
    "Layer",
    "LayerPullback",
    "LeakyReLU",
    "Operation",
    "PReLU",
    "Parameter",
    "ReLU",
    "Reshape",
    "Softmax",
    "Symbol",
    "registry",
]
