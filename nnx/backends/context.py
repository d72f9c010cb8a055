"""Backend context: where new arrays are created.

The context never decides where something is computed; arrays say that themselves. CuPy does not ask them on which
device they are: it computes on CUDA's current one, which is made that of the block, or of the model that computes.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import functools
import inspect
import os
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar, cast

import numpy as np

from nnx.backends.base import (
    FLOAT_DTYPES,
    Array,
    Backend,
    Namespace,
    backend_of,
    is_array,
    refuse_masked,
    to_numpy,
    usable_backend,
)
from nnx.backends.tables import as_host, conversion, table_problem
from nnx.lazy_loading import attribute_of
from nnx.locks import cached_property

F = TypeVar("F", bound=Callable[..., Any])

DTYPES = ("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", *FLOAT_DTYPES)


@dataclasses.dataclass(frozen=True)
class Placement:
    """A backend, one of its devices (None: the default one) and the floating dtype of new parameters.

    >>> str(Placement(usable_backend("numpy")))
    'numpy'
    """

    backend: Backend
    device: str | None = None
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if self.dtype not in FLOAT_DTYPES:
            raise ValueError(f"dtype must be one of {', '.join(FLOAT_DTYPES)}, got {self.dtype!r}")
        self.backend.device(self.device)
        usable = self.backend.float_dtypes(self.device)
        if self.dtype not in usable:
            raise ValueError(f"{self} has no {self.dtype}; choose dtype={' or '.join(map(repr, usable))}")

    def __str__(self) -> str:
        return self.name if self.device is None else f"{self.name} ({self.device})"

    @property
    def name(self) -> str:
        """The name of the backend."""
        return self.backend.name

    @property
    def xp(self) -> Namespace:
        """The Array API namespace of the backend."""
        return self.backend.xp

    @cached_property
    def computing(self) -> contextlib.AbstractContextManager[Any]:
        """A block for computing with arrays that are here; see `Backend.computing_on`."""
        return self.backend.computing_on(self.backend.device(self.device))

    @cached_property
    def _device(self) -> Any:
        # from an array, so that it compares equal to `device_of` ("cuda" and "cuda:0" are not equal in PyTorch)
        with self.computing:
            return self.backend.device_of(self.backend.from_host(np.zeros(1, np.float32), device=self.device))

    def holds(self, array: Array) -> bool:
        """Whether an array already is where this placement would put it.

        >>> Placement(usable_backend("numpy")).holds(np.zeros(2))
        True
        """
        backend = backend_of(array).plain
        return backend is self.backend and (backend.name == "numpy" or backend.device_of(array) == self._device)

    def asarray(self, value: Any, dtype: str | None = None) -> Array:
        """Host data, or an array of any backend, as an array at this placement.

        dtype : a name such as "float32"; by default floating and boolean data become `self.dtype`, while integers
            stay integers (wide unsigned ones become int64, because not every library computes with them).

        Raises TypeError for data that are not real numbers, and ValueError for an unknown dtype.

        >>> placement = Placement(usable_backend("numpy"), dtype="float64")
        >>> placement.asarray([True, False]), placement.asarray([1.5], "float32").dtype
        (array([1., 0.]), dtype('float32'))
        """
        if dtype is not None and dtype not in DTYPES:
            raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
        if isinstance(value, np.ndarray | np.generic) or not is_array(value):
            refuse_masked(value)
            host = np.asarray(value) if isinstance(value, np.ndarray | np.generic) else as_host(value)
        elif self.holds(value):
            with self.computing:
                return self._convert(value, dtype)
        else:
            host = to_numpy(value)
        if host.dtype.kind not in "fbiu":
            raise _not_numbers(host.dtype, table_problem(value, "data"))
        with self.computing:
            return self.backend.from_host(self._convert_host(host, dtype), device=self.device)

    def _convert(self, array: Array, dtype: str | None) -> Array:
        xp = self.xp
        if xp.isdtype(array.dtype, "complex floating"):
            raise _not_numbers(array.dtype)
        if dtype is None and xp.isdtype(array.dtype, ("real floating", "bool")):
            dtype = self.dtype
        return array if dtype is None else xp.astype(array, getattr(xp, dtype), copy=False)

    def _convert_host(self, array: np.ndarray, dtype: str | None) -> np.ndarray:
        kind = array.dtype.kind
        if dtype is None and kind in "fb":
            dtype = self.dtype
        elif dtype is None and kind == "u" and array.dtype.itemsize > 1:
            dtype = "int64"
        return np.asarray(array, dtype=dtype or array.dtype.newbyteorder("="))

    def zeros(self, shape: tuple[int, ...], dtype: str | None = None) -> Array:
        """A new array of zeros at this placement, by default of its dtype.

        >>> Placement(usable_backend("numpy"), dtype="float16").zeros((2,))
        array([0., 0.], dtype=float16)
        """
        with self.computing:
            return self.xp.zeros(shape, dtype=getattr(self.xp, dtype or self.dtype), device=self._creation_device)

    @property
    def _creation_device(self) -> Any:
        return None if self.backend.name == "numpy" else self._device


def _not_numbers(dtype: Any, problem: str = "") -> TypeError:
    hint = conversion(dtype if isinstance(dtype, np.dtype) else np.dtype(complex), "data")  # of another library
    what = problem or f"got data of dtype {dtype}{f'; write {hint}' if hint else ''}"
    return TypeError(f"expected real numbers, {what}")


# The placements of the open `with` blocks, the innermost last. A tuple and no token: one `backend` object may be
# entered by several threads and tasks at once, and generators may leave their blocks in any order.
_OPEN: contextvars.ContextVar[tuple[Placement, ...]] = contextvars.ContextVar("nnx_backend", default=())
_default: Placement | None = None


class _OldNames(type):
    """Class that is also asked for the functions of Keras 2's backend, as in K.mean; they are imported by the first."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
        return attribute_of("nnx.keras_backend", name)


class backend(contextlib.ContextDecorator, metaclass=_OldNames):  # noqa: N801, as in `with nnx.backend("cupy"):`
    """Block or function in which parameters, random numbers and converted data are created on a backend.

    name : "numpy", "cupy", "torch", "array-api-strict", a registered name, or "auto": CuPy where a CUDA device
        really works, else NumPy, with one warning and the reason where CuPy is installed.
    device : one of the backend's devices, such as "cuda:1"; by default its default device, which for CuPy is CUDA's
        current one. Inside the block it is CUDA's current device of the thread, for what is computed outside of models;
        those compute where they were built.
    dtype : the floating dtype of new parameters, "float32" (default), "float64" or "float16". Training in float16 is
        in mixed precision, with float32 copies of the parameters and a scaled loss; "mixed_float16", as Keras calls it,
        means the same.

    Nests, restores the previous backend also after an exception, and is local to the thread and asyncio task.
    Raises ValueError for an unknown name and RuntimeError, with the reason, for a backend that does not work here.

    Its attributes are the functions of Keras 2's backend: `from nnx import backend as K`, `K.mean(x)`, `K.epsilon()`.

    >>> with backend("numpy", dtype="float64"):
    ...     get_backend().dtype
    'float64'
    >>> float(backend.mean([1.0, 3.0]))
    2.0
    """

    def __init__(self, name: str, *, device: str | None = None, dtype: str | None = None) -> None:
        self._placement = _placement(name, device, dtype)

    def __call__(self, function: F) -> F:
        """As a decorator; the body of a generator (a pytest fixture) or of a coroutine runs inside the block too."""
        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def generator(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return (yield from function(*args, **kwargs))

            return cast(F, generator)
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def coroutine(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return await function(*args, **kwargs)

            return cast(F, coroutine)
        return super().__call__(function)

    def __enter__(self) -> Placement:
        self._placement.computing.__enter__()
        _OPEN.set((*_OPEN.get(), self._placement))
        return self._placement

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        blocks = _OPEN.get()
        for position in reversed(range(len(blocks))):
            if blocks[position] is self._placement:
                _OPEN.set(blocks[:position] + blocks[position + 1 :])
                break
        self._placement.computing.__exit__(kind, error, trace)


def create_at(placement: Placement) -> tuple[Placement, ...]:
    """Make a placement the current one, as a block of `backend` does, for code of users that a model runs.

    Returns what `create_as_before` puts back.
    """
    before = _OPEN.get()
    _OPEN.set((*before, placement))
    return before


def create_as_before(before: tuple[Placement, ...]) -> None:
    """Put back the placements that were current before `create_at`."""
    _OPEN.set(before)


def set_backend(name: str, *, device: str | None = None, dtype: str | None = None) -> None:
    """Choice of a backend for the whole process. A surrounding `with nnx.backend(...)` still has precedence.

    name, device, dtype : as of `backend`, with the same errors.

    CUDA's current device, on which CuPy computes outside of models, stays what it is.

    >>> set_backend("numpy", dtype="float64")
    >>> asarray([1.0, 2.0]).dtype
    dtype('float64')
    >>> set_backend("numpy")
    """
    global _default
    _default = _placement(name, device, dtype)


def set_dtype(dtype: str) -> None:
    """Another floating dtype for the whole process, on the backend that it has.

    RuntimeError inside of a block `with backend(...)` of another dtype, which decides there; nothing is changed then.

    >>> set_dtype("float64")
    >>> get_backend().dtype
    'float64'
    >>> set_dtype("float32")
    """
    here, before = get_backend(), backend_of_process()
    set_backend(here.name, device=here.device, dtype=dtype)
    if get_backend() is not backend_of_process():  # inside of a block
        put_back_backend(before)
        if here.dtype != dtype:
            raise RuntimeError(
                f"the dtype of the process has no effect inside `with nnx.backend(...)`; write dtype={dtype!r} there"
            )


def backend_of_process() -> Placement | None:
    """What `set_backend` has chosen; None if it was not called."""
    return _default


def put_back_backend(placement: Placement | None) -> None:
    """Make the choice for the whole process what `backend_of_process` was."""
    global _default
    _default = placement


def get_backend() -> Placement:
    """The placement where arrays are created now: its `name`, `device`, `dtype` and `xp`.

    The innermost `with nnx.backend(...)`, else `set_backend`, else the environment's NNX_BACKEND, else NumPy.

    >>> with backend("numpy", dtype="float64"):
    ...     placement = get_backend()
    >>> placement.name, placement.device, placement.dtype
    ('numpy', None, 'float64')
    """
    blocks = _OPEN.get()
    return blocks[-1] if blocks else _default or _from_environment()


@functools.cache
def _from_environment() -> Placement:
    name = os.environ.get("NNX_BACKEND") or "numpy"
    try:
        return _placement(name, None, None)
    except (ValueError, RuntimeError) as error:
        raise type(error)(f"environment variable NNX_BACKEND={name}: {error}") from error


def _placement(name: str, device: str | None, dtype: str | None) -> Placement:
    return Placement(usable_backend(name), device, (dtype or "float32").removeprefix("mixed_"))


def device_name(array: Array) -> str | None:
    """The name of the device that an array is on, as `backend` takes it; None for one that its backend does not name.

    >>> device_name(np.zeros(2))
    'cpu'
    """
    owner = backend_of(array)
    return next((name for name in owner.devices() if Placement(owner, name).holds(array)), None)


def placement_of(array: Array, dtype: str) -> Placement:
    """The placement that an array is in, for parameters that have to be beside it.

    dtype : the floating dtype that the placement gets.

    ValueError for an array on a device that its backend does not name.

    >>> placement = placement_of(np.zeros(2, "float64"), "float32")
    >>> placement.name, placement.dtype
    ('numpy', 'float32')
    """
    owner = backend_of(array)
    for device in (None, *owner.devices()):
        if Placement(owner, device).holds(array):
            return Placement(owner, device, dtype)
    raise ValueError(f"the array is on an unknown device of backend {owner.name!r}: {owner.device_of(array)}")


def asarray(value: Any, dtype: str | None = None) -> Array:
    """Host data, or an array of another backend, as an array of the current backend.

    value : a number, list, NumPy array, anything with `__array__`, or an array of any backend.
    dtype : a name such as "int64"; by default floating data gets the backend's floating dtype (float32) and
        integers stay integers.

    >>> asarray([1.0, 2.0]).dtype
    dtype('float32')
    """
    return get_backend().asarray(value, dtype)
