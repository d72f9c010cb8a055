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
from nnx.backends.context import Placement, asarray, backend, get_backend, placement_of, set_backend, set_dtype
from nnx.backends.tables import conversion, is_tabular, table_problem

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
    "is_tabular",
    "placement_of",
    "register_backend",
    "set_backend",
    "set_dtype",
    "table_problem",
    "to_numpy",
]
