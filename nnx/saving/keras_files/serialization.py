"""Configurations of models of nnx in the form in which every Keras 3 reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nnx import activations, constraints, initializers, losses, metrics, optimizers, regularizers
from nnx import layers as nnx_layers
from nnx.graph.symbol import Node, Symbol
from nnx.layers.function_call import FunctionCall
from nnx.layers.input import InputLayer
from nnx.layers.layer import Layer
from nnx.layers.operation import KINDS, ActivationWithOptions, Operation
from nnx.layers.pipeline import Pipeline
from nnx.names import names_apart
from nnx.registry import find_custom, get_registered_name, serialize
from nnx.saving.keras_files import optimizer_state
from nnx.saving.keras_files.masks_beside_states import is_recurrent, warn_of_mask_beside_state
from nnx.saving.keras_files.operators import class_of_operation, written_call
from nnx.saving.keras_files.places import kind_of_model
from nnx.saving.keras_files.training_flag import written_flag
from nnx.schedules import schedules
from nnx.structure import leaves, rebuild

__all__ = ["compile_config", "feature_space_config", "model_config"]

_MODULES: tuple[tuple[str, Any], ...] = (
    ("keras.initializers", initializers.registry),
    ("keras.regularizers", regularizers.registry),
    ("keras.constraints", constraints.registry),
    ("keras.optimizers.schedules", schedules),
    ("keras.losses", losses.base.registry),
    ("keras.metrics", metrics.base.registry),
    ("keras.optimizers", optimizers.optimizers),
)

# Arguments that Keras 3.0 does not know; they are written only with another value.
_LATER: dict[str, Any] = {
    "zero_output_for_mask": False,
    "rms_scaling": False,
    "use_gate": False,
    "sliding_window": None,
    "flash_attention": None,
    "seed": None,
}
_LATER_OF_CLASSES = {
    ("RandomFlip", "data_format"): "channels_last",
    ("RandomBrightness", "data_format"): "channels_last",
    ("RandomContrast", "data_format"): "channels_last",
    ("RandomContrast", "value_range"): [0, 255],
    ("Resizing", "pad_to_aspect_ratio"): False,
    ("Resizing", "fill_mode"): "constant",
    ("Resizing", "fill_value"): 0.0,
    ("Resizing", "antialias"): False,
    ("ZeroPadding1D", "data_format"): "channels_last",
    ("SparseCategoricalCrossentropy", "axis"): -1,
}
_LATER_OF_OBJECTS = {"input_axes": None, "output_axes": None, "dtype": None}
_NOTHING = object()
_FEATURE_SPACE = "keras.src.layers.preprocessing.feature_space"
_WITHOUT_SEED = ("MultiHeadAttention", "GroupQueryAttention")  # the other random layers of Keras 3.0 take a seed
_OF_NNX = ("pullback", "batch_input_shape", "decay")
_OF_EVERY_LAYER = ("name", "trainable", "dtype")
_CLASS_NAMES = {"Orthogonal": "OrthogonalInitializer"}  # which is what Keras 3.0 calls it


def model_config(model: Any) -> dict[str, Any]:
    """The architecture of a model. TypeError or ValueError for what a file of Keras cannot say."""
    return _layer_config(model, model.placement.dtype)


def feature_space_config(space: Any, dtype: str) -> dict[str, Any]:
    """A feature space with its layers. dtype : of the model that they make."""
    features, shapes = {}, {}
    for column, feature in space.features.items():
        layer = _layer_config(feature.preprocessor, dtype)
        if isinstance(feature.preprocessor, nnx_layers.Identity):
            layer |= {"module": _FEATURE_SPACE, "class_name": "TFDIdentity", "registered_name": "TFDIdentity"}
        config = {"dtype": feature.dtype, "preprocessor": layer, "output_mode": feature.output_mode}
        features[column] = {**_object(_FEATURE_SPACE, "Feature", config), "registered_name": "Feature"}
        is_lookup = isinstance(feature.preprocessor, nnx_layers.StringLookup | nnx_layers.IntegerLookup)
        shapes[column] = {} if is_lookup else {"input_shape": [None, 1]}
    crosses = [
        {**_object(_FEATURE_SPACE, "Cross", cross.get_config()), "registered_name": "Cross"} for cross in space.crosses
    ]
    config = {key: value for key, value in space.get_config().items() if key != "name"}  # which has no place there
    config |= {"features": features, "crosses": crosses}
    return {**_object("keras.utils", "FeatureSpace", config), "build_config": shapes}


def _object(module: str | None, class_name: str, config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": class_name, "config": config, "registered_name": None}


def _own(thing: Any, config: Any) -> dict[str, Any]:
    """An object of a class of the user's, by the name under which it is registered, or is among the custom objects."""
    kind = type(thing)
    registered = get_registered_name(kind)
    return {"module": kind.__module__, "class_name": kind.__name__, "config": config, "registered_name": registered}


def _layer_config(layer: Any, dtype: str, name: str | None = None) -> dict[str, Any]:
    kind = kind_of_model(layer)
    name = name or layer.name
    if kind is not None and (type(layer).__name__ in ("Sequential", "Model")):
        return _sequential(layer, dtype, name) if kind == "Sequential" else _functional(layer, dtype, name)
    if isinstance(layer, Operation):
        return _operator(layer, name)
    if isinstance(layer, FunctionCall):
        module, kind = class_of_operation(layer.function)
        return _object(module, kind, {"name": name, **written_call(layer, [None] * len(layer.dtypes))[0]})
    if isinstance(layer, ActivationWithOptions):
        function = serialize(layer.get_config()["activation"])
        if function == "relu":  # whose operation takes no arguments
            return _object("keras.layers", "ReLU", {"name": name, **layer.options, "dtype": _policy(dtype)})
        return _object("keras.src.ops.nn", _camel(function), {"name": name, **layer.options})
    if isinstance(layer, Pipeline):  # which takes nothing else
        inside = [_layer_config(one, dtype) for one in layer.layers]
        return _object("keras.layers", "Pipeline", {"layers": inside, "name": name})
    config = {
        **_arguments(layer, dtype),
        "name": name,
        **({} if layer.trainable else {"trainable": False}),  # not all layers of Keras take it
        "dtype": _policy(layer.dtype or dtype),
    }
    if isinstance(layer, InputLayer):
        return _object("keras.layers", "InputLayer", _input_config(layer, dtype, name))
    if getattr(nnx_layers, type(layer).__name__, None) is type(layer):
        return _object("keras.layers", type(layer).__name__, config)
    known = layer.get_config()
    described = _own(layer, {key: value for key, value in config.items() if key in known or key not in _OF_EVERY_LAYER})
    described["name"] = name
    if layer.built and layer.is_eager:
        own = type(layer).get_build_config is not Layer.get_build_config
        described["build_config"] = layer.get_build_config() if own else {"input_shape": layer.build_shape}
    return described


def _policy(dtype: str) -> str:
    """What Keras calls the dtype of a layer: parameters of float16 are trained as float32 here too."""
    return "mixed_float16" if dtype == "float16" else dtype


def _arguments(layer: Any, dtype: str) -> dict[str, Any]:
    """The arguments of a layer's constructor, without those that say nothing or that Keras does not have."""
    kept: dict[str, Any] = {}
    for key, value in layer.get_config().items():
        later = key in _LATER and (key != "seed" or type(layer).__name__ in _WITHOUT_SEED)
        if _LATER_OF_CLASSES.get((type(layer).__name__, key), _NOTHING) == value:
            continue
        if key in _OF_NNX or key in ("name", "dtype", "trainable") or (later and value == _LATER[key]):
            continue
        inner = getattr(layer, key, None)
        if isinstance(inner, Layer) and key in ("layer", "backward_layer", "cell"):
            kept[key] = _layer_config(inner, dtype)
            kept[key]["config"].pop("zero_output_for_mask", None)
        elif isinstance(inner, Layer) and key.endswith("activation"):
            kept[key] = _layer_config(inner, layer.dtype or dtype)  # it computes in the layer's
        elif key == "cells":
            kept[key] = [_layer_config(cell, dtype) for cell in inner or ()]
        else:
            kept[key] = _value(key, value)
    return kept


def _value(key: str, value: Any) -> Any:
    """An argument: objects with the modules that they are in, functions of one's own by their names."""
    if isinstance(value, Mapping) and "class_name" in value:
        return _described(value)
    if isinstance(value, list):
        return [_value("", item) for item in value]
    if key.endswith("activation") and isinstance(value, str) and not _is_known(activations.registry, value):
        return _function(value)
    if key == "function" and isinstance(value, str):
        return _function(value)
    return value


def _is_known(registry: Any, name: str) -> bool:
    if find_custom(name) is not None:
        return False
    try:
        registry.find(name)
    except ValueError:
        return False
    return True


def _function(name: str) -> dict[str, Any]:
    return {"module": "builtins", "class_name": "function", "config": name, "registered_name": "function"}


def _described(value: Mapping[str, Any]) -> dict[str, Any]:
    """What `serialize` made of an object, with the module that it is in."""
    name = value["class_name"]
    config = {
        key: _value(key, item)
        for key, item in (value.get("config") or {}).items()
        if key not in _OF_NNX
        and not (key in _LATER_OF_OBJECTS and item == _LATER_OF_OBJECTS[key])
        and _LATER_OF_CLASSES.get((name, key), _NOTHING) != item
    }
    for module, registry in _MODULES:
        if name in registry.objects:
            return _object(module, _CLASS_NAMES.get(name, name), config)
    if isinstance(getattr(nnx_layers, name, None), type):  # in an argument of a class of the user's
        return _object("keras.layers", name, config)
    own = find_custom(name)
    registered = name if own is None else get_registered_name(own)
    return {"module": None, "class_name": name, "config": config, "registered_name": registered}


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


# Models


def _input_config(layer: InputLayer, dtype: str, name: str) -> dict[str, Any]:
    shape = list(layer.batch_input_shape or ())
    read_as = "float32" if dtype == "float16" else dtype  # numbers that may be indices, which float16 would round
    config = {"batch_shape": shape, "dtype": layer.dtype or read_as, "sparse": False, "name": name}
    return {**config, "optional": True} if layer.optional else config


def _sequential(model: Any, dtype: str, name: str) -> dict[str, Any]:
    shape = list(model.build_shape)
    first = model.input_layer or InputLayer(batch_shape=tuple(shape))
    named = names_apart([first, *model.layers])
    config = {
        "name": name,
        "trainable": model.trainable,
        "dtype": _policy(dtype),
        "layers": [_layer_config(layer, dtype, inner) for inner, layer in named],
        "build_input_shape": shape,
    }
    return _object("keras", "Sequential", config)


def _functional(model: Any, dtype: str, name: str) -> dict[str, Any]:
    composition = model.composition
    names = {layer: inner for inner, layer in names_apart(model.layers)}
    keys: dict[Any, tuple[str, int, int]] = {}
    for symbol, layer in zip(leaves(composition.inputs), model.input_layers, strict=True):
        keys[symbol.key] = (names[layer], 0, 0)
    calls: dict[Any, list[dict[str, Any]]] = {layer: [] for layer in model.layers}
    for node in composition.program.nodes:
        made = calls[node.layer]
        described = _call(node, keys, model.name)
        for symbol in node.outputs:
            keys[symbol.key] = (names[node.layer], len(made), symbol.index)
        made.append(described)
    layers = [
        {**_layer_config(layer, dtype, names[layer]), "name": names[layer], "inbound_nodes": calls[layer]}
        for layer in model.layers
    ]
    config = {
        "name": name,
        "trainable": model.trainable,
        "layers": layers,
        "input_layers": _ports(composition.inputs, keys),
        "output_layers": _ports(composition.outputs, keys),
    }
    return {**_object("keras.src.models.functional", "Functional", config), "registered_name": "Functional"}


def _ports(structure: Any, keys: Mapping[Any, tuple[str, int, int]]) -> Any:
    refs = rebuild(structure, [list(keys[symbol.key]) for symbol in leaves(structure)])
    return [refs] if isinstance(structure, Symbol) else refs


def _call(node: Node, keys: Mapping[Any, tuple[str, int, int]], owner: str) -> dict[str, Any]:
    """A call of a layer: its arguments by position and by name."""

    def tensor(symbol: Any) -> Any:
        if not isinstance(symbol, Symbol):
            return symbol
        if symbol.key not in keys:
            raise TypeError(f"{owner}: a parameter used outside of its layer cannot be in a file of Keras")
        config = {"shape": list(symbol.shape), "dtype": symbol.dtype, "keras_history": list(keys[symbol.key])}
        return {"class_name": "__keras_tensor__", "config": config}

    layer: Any = node.layer
    refs = [tensor(symbol) for symbol in node.inputs]
    kwargs = {
        key: rebuild(value, [tensor(part) for part in leaves(value)]) if key in node.symbolic_options else value
        for key, value in node.options.items()
        if key not in ("training", "arguments")
    }
    flag = node.options.get("training")
    flag = None if flag is None else written_flag(layer, flag)
    if flag is not None:
        kwargs["training"] = flag
    if isinstance(layer, Operation):
        return {"args": _operands(layer, refs), "kwargs": {}}
    if isinstance(layer, FunctionCall):
        return {"args": written_call(layer, refs)[1], "kwargs": {}}
    if is_recurrent(layer) and len(refs) > 1:
        if "mask" not in kwargs:
            warn_of_mask_beside_state(layer, node.inputs[0])
        return {"args": refs[:1], "kwargs": {**kwargs, "initial_state": refs[1:]}}
    named = node.options.get("arguments")  # of a call whose arrays are not its first arguments
    if named is not None:
        first, *others = ((name, rebuild(one, [refs[i] for i in leaves(one)])) for name, one in named.items())
        return {"args": [first[1]], "kwargs": {**dict(others), **kwargs}}
    structure = layer.input_structure
    fits = structure is not None and len(leaves(structure)) == len(refs)
    return {"args": list(rebuild(structure, refs)) if fits else refs, "kwargs": kwargs}


# Operators


def _operator(layer: Any, name: str) -> dict[str, Any]:
    if layer.operator not in KINDS:
        raise ValueError(f"{name}: the operation {layer.operator!r} cannot be in a file of Keras")
    return _object("keras.src.ops.numpy", KINDS[layer.operator], {"name": name})


def _operands(layer: Any, refs: list[Any]) -> list[Any]:
    if layer.operator == "getitem":
        return [*refs, [_index(part) for part in layer.constant]]
    if layer.constant is None:
        return refs
    return [layer.constant, *refs] if layer.constant_first else [*refs, layer.constant]


def _index(part: Any) -> Any:
    """A part of an index, as `Operation` keeps it, in the form of Keras."""
    if part == "...":
        return {"class_name": "__ellipsis__", "config": {}}
    if part == "new":
        return None
    if isinstance(part, list | tuple):
        return {"class_name": "__slice__", "config": dict(zip(("start", "stop", "step"), part, strict=True))}
    return part


# How a model was compiled


def compile_config(model: Any) -> dict[str, Any] | None:
    """How a model was compiled; None if it was not."""
    arguments = model.compile_arguments
    if arguments is None:
        return None
    if model.overrides("get_compile_config"):
        return {name: _part_of_compile(value) for name, value in model.get_compile_config().items()}
    optimizer = None if model.optimizer is None else _optimizer(model.optimizer)
    scaling: dict[str, Any] = {}
    if optimizer is not None and optimizer_state.scales_loss(model):
        settings = {"inner_optimizer": optimizer, **optimizer_state.scaling_config(model.optimizer)}
        optimizer = _object("keras.optimizers", "LossScaleOptimizer", settings)
    elif optimizer is not None and optimizer_state.trains_half(model):
        scaling = {"auto_scale_loss": False}  # Keras would forget loss_scale_factor
    return {
        "optimizer": optimizer,
        "loss": _each(arguments["loss"], _loss),
        "loss_weights": serialize(arguments["loss_weights"]),
        "metrics": _each(arguments["metrics"], _metric),
        "weighted_metrics": _each(arguments["weighted_metrics"], _metric),
        "run_eagerly": False,
        "steps_per_execution": 1,
        "jit_compile": "auto",
        **scaling,
    }


def _part_of_compile(value: Any) -> Any:
    """Something that a `get_compile_config` of the user's returned."""
    if isinstance(value, optimizers.Optimizer):
        return _optimizer(value)
    if isinstance(value, list | tuple):
        return [_part_of_compile(one) for one in value]
    if isinstance(value, Mapping) and "class_name" not in value:
        return {key: _part_of_compile(one) for key, one in value.items()}
    return value if value is None or isinstance(value, bool | int | float | str) else _metric(value)


def _optimizer(optimizer: Any) -> dict[str, Any]:
    if isinstance(optimizer, optimizers.MultiOptimizer):
        raise TypeError(
            f"{optimizer.name} is a MultiOptimizer, whose paths are others in Keras: save to a file .safetensors, or "
            f"compile the model with one optimizer before"
        )
    described = _described(serialize(optimizer))
    config = described["config"]
    if isinstance(config.get("learning_rate"), str):
        raise TypeError(f"the learning rate of {optimizer.name} is a function, which a file of Keras cannot have")
    if optimizer.decay:
        schedule = {"initial_learning_rate": optimizer.learning_rate, "decay_steps": 1, "decay_rate": optimizer.decay}
        config["learning_rate"] = _object("keras.optimizers.schedules", "InverseTimeDecay", schedule)
    return described


def _each(value: Any, describe: Callable[[Any], Any]) -> Any:
    if isinstance(value, list | tuple):
        return [_each(one, describe) for one in value]
    if isinstance(value, Mapping) and "class_name" not in value:
        return {key: _each(one, describe) for key, one in value.items()}
    return None if value is None else describe(value)


def _loss(value: Any) -> Any:
    return _named(value, losses.base.registry)


def _metric(value: Any) -> Any:
    return _named(value, metrics.base.registry, metrics.base.functions, losses.base.registry)


def _named(value: Any, *registries: Any) -> Any:
    if isinstance(value, type):
        value = value()
    described = serialize(value)
    if isinstance(described, Mapping):
        return _described(described)
    known = any(_is_known(registry, described) for registry in registries) or metrics.lookup.depends_on_shapes(
        described
    )
    return described if known else _function(described)
