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

Backends are imported with it, everything else when it is first asked for.
"""

from typing import TYPE_CHECKING

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
from nnx.kernels import is_deterministic, set_deterministic

if TYPE_CHECKING:
    from nnx import (
        activations,
        callbacks,
        config,
        constraints,
        data,
        datasets,
        debug,
        distributed,
        functional,
        initializers,
        layers,
        losses,
        metrics,
        mixed_precision,
        models,
        ops,
        optimizers,
        plotting,
        preprocessing,
        random,
        regularizers,
        saving,
        schedules,
        sklearn,
        tree,
        utils,
        wrappers,
    )
    from nnx import testing as testing
    from nnx.autodiff.gradient_tape import GradientTape
    from nnx.autodiff.transforms import custom_gradient, differentiable, grad, jvp, stop_gradient, value_and_grad
    from nnx.debug import profile
    from nnx.initializers import Initializer
    from nnx.layers import Input, InputSpec, Layer
    from nnx.layers.variable import Variable
    from nnx.losses import Loss
    from nnx.metrics import Metric
    from nnx.models import Model, Sequential
    from nnx.optimizers import Optimizer
    from nnx.plans.compiled_function import compiled
    from nnx.regularizers import Regularizer
else:
    import sys

    from nnx.lazy_loading import KerasModules, on_demand

    if KerasModules not in sys.meta_path:
        sys.meta_path.append(KerasModules)

    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "GradientTape": "nnx.autodiff.gradient_tape",
            "Initializer": "nnx.initializers",
            "Input": "nnx.layers",
            "InputSpec": "nnx.layers",
            "Layer": "nnx.layers",
            "Loss": "nnx.losses",
            "Metric": "nnx.metrics",
            "Model": "nnx.models",
            "Optimizer": "nnx.optimizers",
            "Regularizer": "nnx.regularizers",
            "Sequential": "nnx.models",
            "Variable": "nnx.layers.variable",
            "activations": "nnx.activations",
            "callbacks": "nnx.callbacks",
            "config": "nnx.config",
            "constraints": "nnx.constraints",
            "compiled": "nnx.plans.compiled_function",
            "custom_gradient": "nnx.autodiff.transforms",
            "data": "nnx.data",
            "datasets": "nnx.datasets",
            "debug": "nnx.debug",
            "differentiable": "nnx.autodiff.transforms",
            "distributed": "nnx.distributed",
            "functional": "nnx.functional",
            "grad": "nnx.autodiff.transforms",
            "initializers": "nnx.initializers",
            "jvp": "nnx.autodiff.transforms",
            "layers": "nnx.layers",
            "losses": "nnx.losses",
            "metrics": "nnx.metrics",
            "mixed_precision": "nnx.mixed_precision",
            "models": "nnx.models",
            "ops": "nnx.ops",
            "optimizers": "nnx.optimizers",
            "plotting": "nnx.plotting",
            "preprocessing": "nnx.preprocessing",
            "profile": "nnx.debug",
            "random": "nnx.random",
            "regularizers": "nnx.regularizers",
            "saving": "nnx.saving",
            "schedules": "nnx.schedules",
            "sklearn": "nnx.sklearn",
            "stop_gradient": "nnx.autodiff.transforms",
            "testing": "nnx.testing",
            "tree": "nnx.tree",
            "utils": "nnx.utils",
            "value_and_grad": "nnx.autodiff.transforms",
            "wrappers": "nnx.wrappers",
        },
    )

__version__ = "0.1.0"

__all__ = [
    "Backend",
    "GradientTape",
    "Initializer",
    "Input",
    "InputSpec",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Optimizer",
    "Regularizer",
    "Sequential",
    "Variable",
    "activations",
    "array_namespace",
    "asarray",
    "available_backends",
    "backend",
    "callbacks",
    "compiled",
    "config",
    "constraints",
    "custom_gradient",
    "data",
    "datasets",
    "debug",
    "differentiable",
    "distributed",
    "functional",
    "get_backend",
    "grad",
    "initializers",
    "is_deterministic",
    "jvp",
    "layers",
    "losses",
    "metrics",
    "mixed_precision",
    "models",
    "ops",
    "optimizers",
    "plotting",
    "preprocessing",
    "profile",
    "random",
    "register_backend",
    "regularizers",
    "saving",
    "schedules",
    "set_backend",
    "set_deterministic",
    "sklearn",
    "stop_gradient",
    "to_numpy",
    "tree",
    "utils",
    "value_and_grad",
    "wrappers",
]
