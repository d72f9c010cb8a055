"""Saving and loading: one safetensors file, the same on every backend."""

from nnx.registry import custom_objects
from nnx.saving.model_file import load_model, save_model
from nnx.saving.weights import load_weights, save_weights

__all__ = ["custom_objects", "load_model", "load_weights", "save_model", "save_weights"]
