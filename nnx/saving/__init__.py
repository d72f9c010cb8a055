"""Saving and loading: one file, the same on every backend, in nnx's own format or in Keras'."""

from typing import TYPE_CHECKING

from nnx.registry import (
    custom_objects,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)

if TYPE_CHECKING:
    from nnx.saving.keras_objects import deserialize_keras_object, serialize_keras_object
    from nnx.saving.model_file import load_model, save_model
    from nnx.saving.weights import load_weights, save_weights
else:
    from nnx.lazy_loading import on_demand

    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "deserialize_keras_object": "nnx.saving.keras_objects",
            "load_model": "nnx.saving.model_file",
            "load_weights": "nnx.saving.weights",
            "save_model": "nnx.saving.model_file",
            "save_weights": "nnx.saving.weights",
            "serialize_keras_object": "nnx.saving.keras_objects",
        },
    )

custom_object_scope = CustomObjectScope = custom_objects  # the names that Keras has for it

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "custom_objects",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "load_weights",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize_keras_object",
]
