"""Policies of dtypes, as Keras names them: in which dtype layers compute, and in which they keep their parameters.

The policy of the process is the dtype of `nnx.set_backend`; training in float16 is always in mixed precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nnx.backends import get_backend, set_dtype
from nnx.lazy_loading import other_names
from nnx.members import Advising
from nnx.optimizers import LossScaleOptimizer
from nnx.registry import Configurable

__all__ = [
    "DTypePolicy",
    "FloatDTypePolicy",
    "LossScaleOptimizer",
    "Policy",
    "deserialize",
    "dtype_policy",
    "get",
    "global_policy",
    "serialize",
    "set_dtype_policy",
    "set_global_policy",
]

_NAMES = ("float32", "float64", "float16", "mixed_float16")


class DTypePolicy(Configurable, Advising):
    """The dtype that layers compute in, and that of their parameters: what `dtype=` of a layer takes too.

    name : "float32", "float64", "float16" or "mixed_float16"; ValueError for others, such as bfloat16, which NumPy does
        not have. By default the policy of the process.

    In float16 parameters are stored in float16 beside float32 copies, by which an optimizer trains them.

    >>> policy = DTypePolicy("mixed_float16")
    >>> policy.compute_dtype, policy.variable_dtype
    ('float16', 'float32')
    """

    def __init__(self, name: str | None = None) -> None:
        self.name: str = dtype_policy().name if name is None else name
        if self.name not in _NAMES:
            raise ValueError(f"a dtype policy is one of {', '.join(_NAMES)}, got {name!r}")

    @property
    def compute_dtype(self) -> str:
        """The dtype that layers compute in."""
        return self.name.removeprefix("mixed_")

    @property
    def variable_dtype(self) -> str:
        """The dtype that parameters are trained in."""
        return "float32" if self.name == "mixed_float16" else self.name

    @property
    def quantization_mode(self) -> None:
        """None: nnx does not quantise."""
        return

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self.name}">'

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)


FloatDTypePolicy = Policy = DTypePolicy  # the names that Keras has, or had, beside


def dtype_policy() -> DTypePolicy:
    """The policy of the place where parameters are made now: its dtype.

    >>> dtype_policy()
    <DTypePolicy "float32">
    """
    dtype = get_backend().dtype
    return DTypePolicy("mixed_float16" if dtype == "float16" else dtype)


def set_dtype_policy(policy: str | DTypePolicy) -> None:
    """Choice of a policy for the whole process: `nnx.set_backend` with another dtype. ValueError for an unknown one.

    RuntimeError inside of a block `with nnx.backend(...)`, which has a dtype of its own.

    >>> set_dtype_policy("mixed_float16")
    >>> dtype_policy().name
    'mixed_float16'
    >>> set_dtype_policy("float32")
    """
    set_dtype(get(policy).compute_dtype)


global_policy, set_global_policy = dtype_policy, set_dtype_policy


def get(identifier: Any) -> DTypePolicy:
    """The policy of a name, a configuration, a dtype or None, which is that of the process; a policy as it is.

    >>> get("float64").variable_dtype
    'float64'
    """
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    return DTypePolicy(getattr(identifier, "__name__", None) or getattr(identifier, "name", identifier))


def serialize(dtype_policy: DTypePolicy) -> dict[str, Any]:
    """A policy as plain data.

    >>> serialize(DTypePolicy("float32"))
    {'class_name': 'DTypePolicy', 'config': {'name': 'float32'}}
    """
    return {"class_name": "DTypePolicy", "config": dtype_policy.get_config()}


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> DTypePolicy:
    """The policy that `serialize` described. ValueError for a kind of policy that nnx does not have.

    custom_objects : accepted as in Keras.

    >>> deserialize(serialize(DTypePolicy("float64"))).name
    'float64'
    """
    if config.get("class_name") not in ("DTypePolicy", "FloatDTypePolicy"):
        raise ValueError(f"nnx has no dtype policy {config.get('class_name')!r}: a dtype is one of {', '.join(_NAMES)}")
    settings = config.get("config")
    if not isinstance(settings, Mapping) or "name" not in settings:
        raise ValueError(f'expected {{"class_name": "DTypePolicy", "config": {{"name": ...}}}}, got {dict(config)!r}')
    return DTypePolicy(**settings)


if not TYPE_CHECKING:
    __getattr__ = other_names(__name__)
