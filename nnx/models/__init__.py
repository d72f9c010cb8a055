"""Models: layers that are run, trained, looked at and saved together."""

from nnx.models.configuration import clone_model, model_from_json
from nnx.models.model import Model
from nnx.models.sequential import Sequential
from nnx.saving import load_model, save_model

__all__ = ["Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]
