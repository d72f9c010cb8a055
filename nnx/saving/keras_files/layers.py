"""Configurations of layers, as Keras 2 and 3 write them, made into layers of nnx."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from nnx import layers as nnx_layers
from nnx.layers.activation import read_activation
from nnx.layers.layer import Layer, registry
from nnx.names import did_you_mean, nearest, shortened
from nnx.registry import constructor_arguments, find_custom
from nnx.saving.keras_files.objects import class_name_of, is_layer, leftover, made_argument, plain

__all__ = ["LayerReader"]

_BASE = ("name", "trainable", "dtype", "activity_regularizer", "batch_input_shape", "batch_shape")

# Arguments that are layers.
_INNER = ("layer", "layers", "backward_layer", "cell", "cells")

# What is called otherwise in files of Keras 2.
_OF_CLASSES = {
    "GroupedQueryAttention": "GroupQueryAttention",  # in .h5, the name of the class, and not of the layer
    "TFDIdentity": "Identity",  # of feature spaces
}
_RENAMED = {("LeakyReLU", "alpha"): "negative_slope", ("Dropout", "p"): "rate"}

# What configurations have that is no argument here, and the values that say nothing; () for any value.
_DROPPED: dict[str, tuple[Any, ...]] = {
    "autocast": (True,),
    "data_format": ("channels_last",),
    "dilation_rate": (1,),
    "experimental_autocast": (True,),
    "fused": (),
    "groups": (1,),
    "implementation": (0, 1, 2),
    "input_length": (),
    "key_shape": (),
    "lora_alpha": (),
    "ndim": (),
    "query_shape": (),
    "renorm_clipping": (),
    "renorm_momentum": (),
    "value_shape": (),
    "zero_output_for_mask": (True, False),  # of wrappers, which set it themselves
}

# Layers of Keras that nnx does not have.
_OF_KERAS = frozenset(
    {
        *("CuDNNGRU", "CuDNNLSTM", "FlaxLayer", "JaxLayer", "LocallyConnected1D", "LocallyConnected2D"),
        *("MaxNumBoundingBoxes", "RandomHeight", "RandomWidth", "TFSMLayer"),
        *("ThresholdedReLU", "TorchModuleWrapper"),
    }
)


class LayerReader:
    """Makes layers and models from their configurations.

    dtype : the floating dtype of the model, which layers need not say.
    order : of each model that was made its layers in the order of the file, by which the file numbers their weights.
    """

    def __init__(self, dtype: str, graph: Any) -> None:
        self.dtype = dtype
        self.order: dict[Any, list[Layer]] = {}
        self._graph = graph

    def layer(self, config: Any) -> Any:
        """The layer or model that a configuration describes."""
        if not isinstance(config, dict):
            raise ValueError(f"not the configuration of a layer: {shortened(repr(config))}")
        kind, settings = class_name_of(config), config.get("config")
        kind = _OF_CLASSES.get(kind, kind)
        if kind in ("Sequential",) and isinstance(settings, list):  # as Keras 1 wrote it
            settings = {"layers": settings}
        if not isinstance(settings, dict):
            raise ValueError(f"{shortened(kind)} has the configuration {shortened(repr(settings))}, expected a dict")
        label = f"{shortened(kind)} {shortened(str(settings.get('name') or config.get('name') or ''))!r}"
        own = self._own_class(config)
        if own is not None:
            return self._made_by_itself(own, config, settings, label)
        if kind == "Sequential":
            return self._sequential(settings)
        if kind in ("Functional", "Model") and "layers" in settings:
            model, layers = self._graph(self, settings)
            self.order[model] = layers
            return model
        if kind == "Lambda":
            return self._lambda(settings, label)
        if kind == "FeatureSpace":
            return self._feature_space(settings, label)
        return self._built_in(kind, config, settings, label)

    def _own_class(self, config: Mapping[str, Any]) -> Any:
        for name in (config.get("registered_name"), class_name_of(config)):
            found = find_custom(name) if isinstance(name, str) else None
            if found is not None and inspect.isclass(found):
                return found
        return None

    def _made_by_itself(self, cls: Any, config: Mapping[str, Any], settings: dict[str, Any], label: str) -> Any:
        """A layer of a class of the user's, by its from_config; its inner layers come as configurations."""
        settings = {key: plain(value, label) for key, value in settings.items()}
        if isinstance(settings.get("dtype"), dict) or settings.get("dtype") == "mixed_float16":
            settings["dtype"] = self._dtype(settings["dtype"], label)
        if settings.get("dtype") == self.dtype:
            settings["dtype"] = None
        layer = cls.from_config({key: self._inner(value) for key, value in settings.items()})
        if isinstance(layer, Layer) and isinstance(config.get("name"), str):
            layer.name = config["name"]
        build = config.get("build_config")
        if isinstance(layer, Layer) and type(layer).build_from_config is not Layer.build_from_config:
            layer.build_from_config(_tuples(build))
        shape = build.get("input_shape") if isinstance(build, dict) else None
        if isinstance(layer, Layer) and not layer.built and shape and hasattr(layer, "compile"):
            layer.build(_tuples(shape))
        return layer

    def _inner(self, value: Any) -> Any:
        described = isinstance(value, dict) and "class_name" in value and isinstance(value.get("config"), dict)
        return self.layer(value) if described and getattr(nnx_layers, value["class_name"], None) else value

    def _sequential(self, settings: dict[str, Any]) -> Any:
        configs = settings.get("layers")
        if not isinstance(configs, list):
            raise ValueError("a Sequential has no list of layers")
        made = [self.layer(config) for config in configs]
        trainable = settings.get("trainable", True)
        model = registry.find("Sequential")(made, trainable=bool(trainable), name=settings.get("name"))
        shape = settings.get("build_input_shape")
        if not model.built and isinstance(shape, list) and model.layers:
            model.build(_tuples(shape))
        self.order[model] = model.layers
        return model

    def _lambda(self, settings: dict[str, Any], label: str) -> Any:
        name = settings.get("name")
        function = settings.get("function")
        described = function.get("config") if isinstance(function, dict) else function
        own = find_custom(name) if isinstance(name, str) else None
        if own is None and isinstance(described, str) and not described.endswith("\n"):
            own = find_custom(described)
        if own is None:
            raise ValueError(
                f"layer {shortened(str(name))!r} has Python code, which nnx does not run; pass custom_objects="
                f"{{{shortened(str(name))!r}: function}}, the function of this Lambda"
            )
        shape = plain(settings.get("output_shape"), label)
        arguments = plain(settings.get("arguments"), label) or None
        shape = tuple(shape) if isinstance(shape, list | tuple) else None
        return nnx_layers.Lambda(own, output_shape=shape, arguments=arguments, name=name)

    def _feature_space(self, settings: dict[str, Any], label: str) -> Any:
        settings = {key: plain(value, label) for key, value in settings.items()}
        features = {
            column: {**feature["config"], "preprocessor": self.layer(feature["config"]["preprocessor"])}
            for column, feature in settings["features"].items()
        }
        return registry.find("FeatureSpace").from_config({**settings, "features": features})

    def _built_in(self, kind: str, config: Mapping[str, Any], settings: dict[str, Any], label: str) -> Any:
        cls = getattr(nnx_layers, kind, None) if kind in nnx_layers.__all__ else None
        if not (inspect.isclass(cls) and issubclass(cls, Layer)) or cls is Layer:
            module = config.get("module")
            name = shortened(str(settings.get("name") or config.get("name")))
            if kind in _OF_KERAS or (isinstance(module, str) and module.split(".")[0] == "keras"):
                raise ValueError(f"nnx has no {shortened(kind)} (layer {name!r})")
            registered = config.get("registered_name") or kind
            near = did_you_mean(nearest(kind, nnx_layers.__all__))
            raise ValueError(
                f"unknown layer {shortened(kind)!r} ({shortened(str(registered))}); one of your own goes into "
                f"custom_objects={{{shortened(kind)!r}: ...}}{'; ' if near else ''}{near}"
            )
        arguments = self._arguments(cls, settings, label)
        layer: Any = cls.from_config(arguments) if cls is nnx_layers.Discretization else cls(**arguments)
        return layer

    def _arguments(self, cls: Any, settings: dict[str, Any], label: str) -> dict[str, Any]:
        known = {*constructor_arguments(cls), *_BASE}
        arguments: dict[str, Any] = {}
        for key, value in settings.items():
            name = _RENAMED.get((cls.__name__, key), key)
            if name == "quantization_config" and isinstance(value, dict):
                raise ValueError(f"{label} is quantised ({shortened(class_name_of(value))}), which nnx does not have")
            if name == "dtype":
                arguments["dtype"] = self._dtype(value, label)
            elif name in ("batch_shape", "batch_input_shape"):
                if value is not None:
                    arguments["batch_input_shape"] = _tuples(value)
            elif name in _INNER and name in known:
                arguments[name] = self._inner_layers(value)
            elif name in known and name.endswith("activation") and is_layer(value):
                arguments[name] = self._activation(value, f"{name} of {label}")
            elif name in known:
                arguments[name] = made_argument(name, value, label)
            else:
                leftover(cls, key, value, label, _DROPPED)
        if arguments.get("dtype") == self.dtype:
            arguments["dtype"] = None
        return arguments

    def _inner_layers(self, value: Any) -> Any:
        """The layer of a wrapper, the layers of a pipeline, the cell of a recurrent layer, or a list of cells."""
        if isinstance(value, list):
            return [self.layer(one) for one in value]
        return None if value is None else self.layer(value)

    def _activation(self, config: dict[str, Any], label: str) -> Any:
        """A layer that is the activation of another one."""
        layer: Any = self.layer(config)
        try:
            read_activation(layer)
        except TypeError:
            raise ValueError(f"the {label} is a {type(layer).__name__}, which nnx does not take as one") from None
        if layer.activity_regularizer is not None:
            raise ValueError(f"the {label} has an activity_regularizer, which nnx does not count there")
        return layer

    def _dtype(self, value: Any, label: str) -> str | None:
        """The dtype of a configuration, which may be a policy."""
        if isinstance(value, dict):
            config = value.get("config")
            value = config.get("name") if isinstance(config, dict) else value.get("class_name")
        if value is None:
            return None
        if value in ("float16", "float32", "float64", "string"):
            return str(value)
        if value == "mixed_float16":
            return "float16"
        if isinstance(value, str) and (value.startswith(("int", "uint")) or value == "bool"):
            if "_from_" in value:
                raise ValueError(f"{label} is quantised ({value}), which nnx does not have")
            return value
        raise ValueError(f"{label} has dtype {shortened(str(value))}, which nnx does not have")


def _tuples(shape: Any) -> Any:
    """A shape, or a list or dict of shapes, out of JSON."""
    if isinstance(shape, dict):
        return {key: _tuples(one) for key, one in shape.items()}
    if isinstance(shape, list) and any(isinstance(one, list) for one in shape):
        return [_tuples(one) for one in shape]
    return tuple(shape) if isinstance(shape, list) else shape
