"""The old backend of Keras 2, known as K: what `from nnx import backend as K` finds, with the meanings of then.

New code writes `nnx.ops`, which these functions are made of. Functions take arrays, lists, parameters, and symbols of a
graph; those whose meaning has not changed are `nnx.ops`' own. A file says in its own `__all__` what is exported.
"""

from typing import TYPE_CHECKING, Any

from nnx.keras_backend.arithmetic import *
from nnx.keras_backend.neural_networks import *
from nnx.keras_backend.random_numbers import *
from nnx.keras_backend.replacements import replacement_of as _replacement_of
from nnx.keras_backend.settings import *
from nnx.keras_backend.shapes import *
from nnx.keras_backend.values import *

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        raise AttributeError(f"nnx.backend has no {name!r}, the K.{name} of Keras 2: {_replacement_of(name)}")
