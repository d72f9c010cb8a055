"""How parameters start: arrays drawn on the host, in float64, and so the same on every backend.

Formulas and defaults are those of Keras 3. `seed` is a non-negative integer, and then every call draws the same
numbers; or None, and then the numbers come from the generator of the call, by default from `nnx.random`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nnx.backends import is_array
from nnx.initializers.constant import Constant, Identity, Ones, Zeros
from nnx.initializers.initializer import Initializer, checked, registry
from nnx.initializers.random import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
    compute_fans,
)
from nnx.initializers.stft import STFT
from nnx.lazy_loading import other_names
from nnx.registry import custom_objects as custom_names
from nnx.registry import serialize as plain_data

__all__ = [
    "STFT",
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomNormal",
    "RandomUniform",
    "STFTInitializer",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "compute_fans",
    "constant",
    "deserialize",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "one",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "registry",
    "resolve",
    "serialize",
    "stft",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "zero",
    "zeros",
]


def resolve(identifier: Any) -> Any:
    """An initializer from a name, a class, a configuration, an array (its values), an initializer, or a function.

    A function of one's own takes (shape, dtype) and returns an array of that shape. None stays None.

    >>> resolve("he_normal")
    <nnx.initializers.random.HeNormal object at ...>
    """
    if identifier is None or isinstance(identifier, Initializer):
        return identifier
    if not isinstance(identifier, str) and is_array(identifier):
        return Constant(identifier)
    initializer = registry.resolve(identifier)
    if not callable(initializer):
        raise TypeError(
            f"an initializer is a name such as 'glorot_uniform', an Initializer, an array or a function of (shape, "
            f"dtype), got {identifier!r}"
        )
    own = isinstance(initializer, Initializer) or getattr(initializer, "is_checked", False)
    return initializer if own else checked(initializer)


get = resolve


def serialize(initializer: Any) -> Any:
    """An initializer as plain data that fits into JSON: its class and configuration; the name of a function.

    >>> serialize(Constant(2.0))["class_name"]
    'Constant'
    """
    return plain_data(initializer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The initializer that `serialize` described, or that is meant by anything else that `get` takes.

    custom_objects : classes and functions of one's own, by name.

    >>> type(deserialize(serialize(Constant(2.0)))).__name__
    'Constant'
    """
    with custom_names(custom_objects):
        return resolve(config)


# The names that Keras has beside those of the classes

constant = Constant
glorot_normal = GlorotNormal
glorot_uniform = GlorotUniform
he_normal = HeNormal
he_uniform = HeUniform
identity = IdentityInitializer = Identity
lecun_normal = LecunNormal
lecun_uniform = LecunUniform
normal = random_normal = RandomNormal
one = ones = Ones
orthogonal = OrthogonalInitializer = Orthogonal
stft = STFTInitializer = STFT
truncated_normal = TruncatedNormal
uniform = random_uniform = RandomUniform
variance_scaling = VarianceScaling
zero = zeros = Zeros

if not TYPE_CHECKING:
    __getattr__ = other_names(__name__)
