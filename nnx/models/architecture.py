"""New models from the architecture of others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nnx.layers.layer import registry
from nnx.registry import custom_objects as custom_objects_scope


def clone_model(model: Any) -> Any:
    """A model of the same architecture with new layers and new initial weights, in the current backend. Not compiled.

    >>> from nnx.layers import Dense
    >>> from nnx.models import Sequential
    >>> model = Sequential([Dense(1, input_dim=2)])
    >>> clone = clone_model(model)
    >>> clone.set_weights(model.get_weights())
    >>> clone.layers[0] is model.layers[0]
    False
    """
    return type(model).from_config(json.loads(json.dumps(model.get_config())))


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The model, with new initial weights, whose `to_json` gave this text.

    custom_objects : classes and functions of your own that the model uses, by name.
    """
    with custom_objects_scope(custom_objects):
        return registry.build(json.loads(json_string))
