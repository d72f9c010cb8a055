"""Backends: one small file for each array library, and the context that chooses between them."""

from nnx.backends import numpy as numpy  # NumPy is always there, and registers itself
from nnx.backends.base import (
    Array,
    Backend,
    Namespace,
    array_namespace,
    available_backends,
    backend_of,
    is_array,
    register_backend,
    to_numpy,
)
from nnx.backends.context import Placement, asarray, backend, get_backend, placement_of, set_backend
from nnx.backends.tables import conversion, unsuited_columns

__all__ = [
    "Array",
    "Backend",
    "Namespace",
    "Placement",
    "array_namespace",
    "asarray",
    "available_backends",
    "backend",
    "backend_of",
    "conversion",
    "get_backend",
    "is_array",
    "placement_of",
    "register_backend",
    "set_backend",
    "to_numpy",
    "unsuited_columns",
]
