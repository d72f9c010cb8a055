"""Names of Keras that are elsewhere here, or not there at all, with what to write instead: one table for all of nnx."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

from nnx.names import did_you_mean, nearest

MOVED = {
    "nnx.dtype_policies": "nnx.mixed_precision",
    "nnx.engine": "nnx.layers",
    "nnx.engine.topology": "nnx.layers",
    "nnx.engine.training": "nnx.models",
    "nnx.layers.advanced_activations": "nnx.layers",
    "nnx.layers.convolutional": "nnx.layers",
    "nnx.layers.core": "nnx.layers",
    "nnx.layers.embeddings": "nnx.layers",
    "nnx.layers.experimental": "nnx.layers",
    "nnx.layers.experimental.preprocessing": "nnx.layers",
    "nnx.layers.local": "nnx.layers",
    "nnx.layers.merge": "nnx.layers",
    "nnx.layers.normalization_v2": "nnx.layers",
    "nnx.layers.preprocessing": "nnx.layers",
    "nnx.layers.regularization": "nnx.layers",
    "nnx.layers.wrappers": "nnx.layers",
    "nnx.objectives": "nnx.losses",
    "nnx.optimizers.legacy": "nnx.optimizers",
    "nnx.utils.data_utils": "nnx.utils",
    "nnx.utils.generic_utils": "nnx.utils",
    "nnx.utils.layer_utils": "nnx.utils",
    "nnx.visualization": "nnx.plotting",
}
"""Modules of Keras, and of old scripts, and where their names are here."""

PLACES = {
    "nnx.activations.glu": "nnx.ops",
    "nnx.DTypePolicy": "nnx.mixed_precision",
    "nnx.FloatDTypePolicy": "nnx.mixed_precision",
    "nnx.layers.deserialize": "nnx.saving.keras_objects",
    "nnx.layers.serialize": "nnx.saving.keras_objects",
    "nnx.losses.Reduction": "nnx.losses.reductions",
    "nnx.utils.Progbar": "nnx.callbacks.progbar",
    "nnx.utils.clear_session": "nnx.keras_backend",
    "nnx.utils.disable_interactive_logging": "nnx.callbacks",
    "nnx.utils.enable_interactive_logging": "nnx.callbacks",
    "nnx.utils.is_interactive_logging_enabled": "nnx.callbacks",
    "nnx.utils.is_keras_tensor": "nnx.keras_backend",
    "nnx.utils.standardize_dtype": "nnx.keras_backend",
}
"""Names that Keras has in another place, and the modules that have them here."""

_CHECKPOINT = "ModelCheckpoint writes files of models, BackupAndRestore goes on with a training"
_DATA_SET = "dir(nnx.datasets) has its names; read other files with NumPy, as in np.load('mine.npz'), for fit"
_DEVICES = "nnx trains in processes, one a device: nnx.distributed.initialize(), see docs/processes.md"
_LAYER = "write it as a subclass of nnx.layers.Layer with a call() of nnx.ops"
_POLICY = "a dtype is float32, float64 or mixed_float16, by nnx.mixed_precision or nnx.backend(..., dtype='float16')"
_QUANTISED = "nnx does not quantise; compute in nnx.backend(..., dtype='float16')"
_SCOPE = "code of nnx is run as it is written, and functions of arrays change nothing: leave it out"

INSTEAD = {
    "nnx.Function": "nnx.Model(inputs, outputs) runs a graph",
    "nnx.KerasTensor": "nnx.Input(shape) makes one; nnx.backend.is_keras_tensor(x) tells it",
    "nnx.Operation": _LAYER,
    "nnx.Quantizer": _QUANTISED,
    "nnx.RematScope": "nnx keeps what the backward pass needs; take smaller batches, with gradient_accumulation_steps",
    "nnx.StatelessScope": _SCOPE,
    "nnx.SymbolicScope": _SCOPE,
    "nnx.api": "what is there is in nnx itself: write `from nnx import layers`, for example",
    "nnx.applications": (
        "nnx has no pretrained networks; build one of nnx.layers, or save it in Keras with model.save('x.keras') and "
        "read it with nnx.models.load_model"
    ),
    "nnx.backend": "write `from nnx import backend as K`",
    "nnx.callbacks.OrbaxCheckpoint": _CHECKPOINT,
    "nnx.datasets": _DATA_SET,
    "nnx.device": "write it as `with nnx.backend('cupy', device='cuda:0'):`",
    "nnx.distillation": "write it as a Model with a train_step, or a compute_loss, of its own",
    "nnx.distribution": _DEVICES,
    "nnx.estimator": "fit, evaluate and predict of a model do it",
    "nnx.experimental": "what was there is in nnx itself, or in nnx.optimizers",
    "nnx.export": "model.export('x.onnx') and model.save('x.keras') write files that other programs read",
    "nnx.layers.FlaxLayer": "nnx runs no code of JAX: " + _LAYER,
    "nnx.layers.JaxLayer": "nnx runs no code of JAX: " + _LAYER,
    "nnx.layers.TFSMLayer": "nnx runs no code of TensorFlow: save the model as x.keras, and load that",
    "nnx.layers.TorchModuleWrapper": "nnx runs no code of PyTorch: " + _LAYER,
    "nnx.legacy": "what was there is in nnx.saving, and in nnx.preprocessing, such as image.ImageDataGenerator",
    "nnx.mixed_precision": _POLICY,
    "nnx.name_scope": "names of layers are those that they are given: leave it out",
    "nnx.preprocessing.image.DirectoryIterator": "ImageDataGenerator().flow_from_directory(folder) makes one",
    "nnx.preprocessing.image.Iterator": "write it as a subclass of nnx.utils.PyDataset",
    "nnx.preprocessing.image.NumpyArrayIterator": "ImageDataGenerator().flow(x, y) makes one",
    "nnx.quantizers": _QUANTISED,
    "nnx.remat": "nnx keeps what the backward pass needs; take smaller batches, with gradient_accumulation_steps",
    "nnx.saving.KerasFileEditor": "nnx.models.load_model reads the file, and layer.set_weights changes it",
    "nnx.saving.export_saved_model": "model.save('x.keras') or model.save('x.safetensors') writes a file",
    "nnx.src": "what is there is in nnx itself: write `from nnx import layers`, for example",
    "nnx.utils.bounding_boxes.affine_transform": "images are turned by layers, boxes by a product with their matrix",
    "nnx.utils.custom_object_scope_v2": "nnx.saving.custom_object_scope",
    "nnx.utils.get_source_inputs": "model.inputs has them",
    "nnx.utils.model_to_dot": "nnx.utils.plot_model draws a model, by matplotlib",
    "nnx.utils.multi_gpu_model": _DEVICES,
    "nnx.utils.Config": "a dict, or types.SimpleNamespace, holds settings",
    "nnx.version": "nnx.__version__ is it",
    "nnx.wrappers.scikit_learn": "nnx.wrappers has SKLearnClassifier and SKLearnRegressor, nnx.sklearn takes functions",
}
"""What to write instead of a name, or of all names of a module."""

_OF_A_KIND = {
    "nnx.activations": "give a function of arrays, in nnx.ops, as the activation",
    "nnx.callbacks": "write it as a subclass of nnx.callbacks.Callback",
    "nnx.constraints": "give a function of the weights, in nnx.ops, as the constraint",
    "nnx.initializers": "give an array, or a function of (shape, dtype), as the initializer",
    "nnx.layers": _LAYER,
    "nnx.losses": "give a function (y_true, y_pred), in nnx.ops, as the loss",
    "nnx.metrics": "give a function (y_true, y_pred), in nnx.ops, as the metric, or a subclass of nnx.metrics.Metric",
    "nnx.mixed_precision": _POLICY,
    "nnx.optimizers": "write it as a subclass of nnx.optimizers.Optimizer with an update()",
    "nnx.plotting": "draw it with matplotlib",
    "nnx.regularizers": "give a function of the weights that returns one number, in nnx.ops, as the regularizer",
    "nnx.schedules": "give a function of the step as the learning rate",
}


_ASKED = {*_OF_A_KIND, "nnx", "nnx.data", "nnx.datasets", "nnx.models", "nnx.ops", "nnx.saving", "nnx.utils"}
"""Packages of which Keras' users may ask for a name that is not there."""


def instead_of(module: str, name: str, known: Iterable[str]) -> str:
    """What an error says of a name that a module does not have: a near one, or what to write instead.

    >>> instead_of("nnx.layers", "Dens", ["Dense", "Dropout"])
    "nnx.layers has no 'Dens': did you mean 'Dense'?"
    >>> instead_of("nnx", "quantizers", [])
    "nnx has no 'quantizers': nnx does not quantise; compute in nnx.backend(..., dtype='float16')"
    """
    near = did_you_mean(nearest(name, (one for one in known if not one.startswith("_"))))
    advice = _advice(f"{module}.{name}") or near or _OF_A_KIND.get(module)
    return f"{module} has no {name!r}: {advice or f'dir({module}) has its names'}"


def instead_of_kind(kind: str, name: str) -> str | None:
    """What to write in place of a name of Keras by which nothing of a kind, such as "loss", is found; None for others.

    >>> instead_of_kind("activation", "glu")
    'it is nnx.ops.glu: give that function'
    >>> instead_of_kind("loss", "Loss")
    'it is the base of all: give a function (y_true, y_pred), in nnx.ops, as the loss'
    """
    package = "nnx.losses" if kind == "loss" else f"nnx.{kind}s"
    place = PLACES.get(f"{package}.{name}")
    if place is not None:
        return f"it is {place}.{name}: give that function"
    if name.lower() == kind and package in _OF_A_KIND:
        return f"it is the base of all: {_OF_A_KIND[package]}"
    return INSTEAD.get(f"{package}.{name}")


def _advice(path: str) -> str | None:
    """What the table says of a path, or of the module that it is in."""
    while path.count("."):
        if path in INSTEAD:
            return INSTEAD[path]
        path = path.rpartition(".")[0]
    return None


def place_of(package: str, name: str) -> str | None:
    """The module that has a name, or that is it, where Keras has it in a package; None if there is none.

    >>> place_of("nnx.layers", "core"), place_of("nnx.utils", "clear_session"), place_of("nnx", "nothing")
    ('nnx.layers.core', 'nnx.keras_backend', None)
    """
    path = f"{package}.{name}"
    return path if path in MOVED else PLACES.get(path)


def spec_of(path: str) -> ModuleSpec | None:
    """How to import a module of Keras, or of an old script, that is elsewhere; ImportError for one that is not there.

    None for a path of which nothing is known, and for one that has a file.
    """
    package, _, name = path.rpartition(".")
    if package in sys.modules and PathFinder.find_spec(path, getattr(sys.modules[package], "__path__", [])) is not None:
        return None
    if path in MOVED:
        loader: Any = _Elsewhere(MOVED[path])
        return ModuleSpec(path, loader, is_package=any(one.startswith(f"{path}.") for one in MOVED))
    advice = _advice(path)
    if advice is not None:
        raise ImportError(f"there is no {path}: {advice}", name=path)
    if package in _ASKED and package in sys.modules:
        raise ImportError(instead_of(package, name, dir(sys.modules[package])), name=path)
    return None


class _Elsewhere(Loader):
    """The loader of a module whose names are those of another one."""

    def __init__(self, place: str) -> None:
        self.place = place

    def create_module(self, spec: ModuleSpec) -> None:
        """None: the usual kind of module."""

    def exec_module(self, module: ModuleType) -> None:
        target = importlib.import_module(self.place)
        own: dict[str, Any] = vars(module)
        own.update(__doc__=target.__doc__, __all__=target.__all__, __dir__=lambda: dir(target))
        own["__getattr__"] = lambda name: getattr(target, name)
