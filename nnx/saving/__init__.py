"""Saving and loading: one safetensors file, the same on every backend."""

from nnx.registry import custom_objects, register_keras_serializable
from nnx.saving.model_file import load_model, save_model
from nnx.saving.weights import load_weights, save_weights

custom_object_scope = custom_objects  # the name that Keras has for it

__all__ = [
    "custom_object_scope",
    "custom_objects",
    "load_model",
    "load_weights",
    "register_keras_serializable",
    "save_model",
    "save_weights",
]
