"""Settings as Keras has them: those that nnx has are the backend's, the others are refused, or have no effect.

Whether large arrays get compiled kernels, and how many threads share a step, is nnx's own.
"""

from __future__ import annotations

from nnx.backends import get_backend
from nnx.backends import set_backend as set_place
from nnx.backends.compiler import (
    are_compiled_kernels_enabled,
    disable_compiled_kernels,
    enable_compiled_kernels,
)
from nnx.backends.context import backend_of_process
from nnx.backends.threads import num_threads, set_num_threads
from nnx.callbacks import (
    disable_interactive_logging,
    enable_interactive_logging,
    is_interactive_logging_enabled,
)
from nnx.keras_backend import (
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)
from nnx.mixed_precision import dtype_policy, set_dtype_policy

__all__ = [
    "are_compiled_kernels_enabled",
    "backend",
    "disable_compiled_kernels",
    "disable_flash_attention",
    "disable_interactive_logging",
    "disable_traceback_filtering",
    "dtype_policy",
    "enable_compiled_kernels",
    "enable_flash_attention",
    "enable_interactive_logging",
    "enable_traceback_filtering",
    "enable_unsafe_deserialization",
    "epsilon",
    "floatx",
    "image_data_format",
    "is_flash_attention_enabled",
    "is_interactive_logging_enabled",
    "is_nnx_enabled",
    "is_traceback_filtering_enabled",
    "max_epochs",
    "max_steps_per_epoch",
    "num_threads",
    "set_backend",
    "set_dtype_policy",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "set_max_epochs",
    "set_max_steps_per_epoch",
    "set_num_threads",
]


def backend() -> str:
    """The name of the current backend.

    >>> backend()
    'numpy'
    """
    return get_backend().name


def set_backend(backend: str) -> None:
    """Choice of a backend for the whole process, with the dtype that there is; see `nnx.set_backend`.

    >>> set_backend("numpy")
    """
    process = backend_of_process()
    set_place(backend, dtype=None if process is None else process.dtype)


def is_nnx_enabled() -> bool:
    """False: in Keras it says whether Flax' library of that name is in use.

    >>> is_nnx_enabled()
    False
    """
    return False


def enable_flash_attention() -> None:
    """Nothing: there is one way to compute attention.

    >>> enable_flash_attention()
    """


def disable_flash_attention() -> None:
    """Nothing: there is one way to compute attention.

    >>> disable_flash_attention()
    """


def is_flash_attention_enabled() -> bool:
    """False: attention is computed as it is written.

    >>> is_flash_attention_enabled()
    False
    """
    return False


def enable_traceback_filtering() -> None:
    """Nothing: tracebacks are Python's own.

    >>> enable_traceback_filtering()
    """


def disable_traceback_filtering() -> None:
    """Nothing: tracebacks are Python's own.

    >>> disable_traceback_filtering()
    """


def is_traceback_filtering_enabled() -> bool:
    """False: tracebacks are Python's own.

    >>> is_traceback_filtering_enabled()
    False
    """
    return False


def enable_unsafe_deserialization() -> None:
    """RuntimeError: code in a file is never run; `load_model(..., custom_objects=...)` takes functions.

    >>> enable_unsafe_deserialization()
    Traceback (most recent call last):
    RuntimeError: nnx runs no code of files: give the functions as custom_objects={...} to load_model
    """
    raise RuntimeError("nnx runs no code of files: give the functions as custom_objects={...} to load_model")


def max_epochs() -> int | None:
    """None: `fit` trains for as many epochs as it is told.

    >>> max_epochs()
    """
    return None


def max_steps_per_epoch() -> int | None:
    """None: an epoch has as many steps as `fit` is told.

    >>> max_steps_per_epoch()
    """
    return None


def set_max_epochs(max_epochs: int | None) -> None:
    """No bound on epochs, with None; ValueError for any other.

    >>> set_max_epochs(None)
    """
    if max_epochs is not None:
        raise ValueError(f"nnx has no bound on all trainings: write epochs={max_epochs} in fit")


def set_max_steps_per_epoch(max_steps_per_epoch: int | None) -> None:
    """No bound on steps, with None; ValueError for any other.

    >>> set_max_steps_per_epoch(None)
    """
    if max_steps_per_epoch is not None:
        raise ValueError(f"nnx has no bound on all epochs: write steps_per_epoch={max_steps_per_epoch} in fit")
