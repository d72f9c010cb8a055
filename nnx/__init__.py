"""Keras-style neural networks on plain arrays: NumPy on a laptop, CuPy on a CUDA workstation.

>>> import numpy as np
>>> import nnx
>>> x = np.asarray([[0, 0], [0, 1], [1, 0], [1, 1]], dtype="float32")
>>> y = np.asarray([[0], [1], [1], [0]], dtype="float32")
>>> nnx.random.set_seed(1)
>>> model = nnx.Sequential([nnx.layers.Dense(8, activation="tanh", input_shape=(2,)), nnx.layers.Dense(1)])
>>> model.compile(nnx.optimizers.Adam(0.05), loss="mse")
>>> history = model.fit(x, y, epochs=200, verbose=0)
>>> model.predict(x, verbose=0).round().tolist() == y.tolist()
True
"""

from typing import TYPE_CHECKING

from nnx import (
    activations,
    callbacks,
    constraints,
    data,
    debug,
    distributed,
    functional,
    initializers,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    plotting,
    random,
    regularizers,
    saving,
    schedules,
    utils,
)
from nnx.backends import (
    Backend,
    array_namespace,
    asarray,
    available_backends,
    backend,
    get_backend,
    register_backend,
    set_backend,
    to_numpy,
)
from nnx.debug import profile
from nnx.kernels import is_deterministic, set_deterministic
from nnx.layers import Input, Layer
from nnx.lazy_loading import on_demand
from nnx.losses import Loss
from nnx.metrics import Metric
from nnx.models import Model, Sequential
from nnx.optimizers import Optimizer

if TYPE_CHECKING:
    from nnx import datasets

__version__ = "0.1.0"

__all__ = [
    "Backend",
    "Input",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Optimizer",
    "Sequential",
    "activations",
    "array_namespace",
    "asarray",
    "available_backends",
    "backend",
    "callbacks",
    "constraints",
    "data",
    "datasets",
    "debug",
    "distributed",
    "functional",
    "get_backend",
    "initializers",
    "is_deterministic",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "plotting",
    "profile",
    "random",
    "register_backend",
    "regularizers",
    "saving",
    "schedules",
    "set_backend",
    "set_deterministic",
    "to_numpy",
    "utils",
]

__getattr__ = on_demand(__name__, {"datasets": "nnx.datasets", "ops": "nnx.ops"})
