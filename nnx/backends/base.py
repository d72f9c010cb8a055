"""Backends: what nnx needs to know about an array library, in one `Backend` object each.

Everything a backend can do differently is here: import its namespace, say why it cannot be used, move arrays
from and to the host. Computing code never asks for a backend; it takes its namespace from its arguments.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from nnx.backends.memory import resident_bytes
from nnx.backends.processor import processor
from nnx.backends.tables import as_host
from nnx.locks import LOADING, cached_property
from nnx.names import nearest
from nnx.user_warnings import warn_user

Array = Any
"""An array of any library that follows the Python Array API standard."""

Namespace = Any
"""The module of functions of such a library."""

FLOAT_DTYPES = ("float16", "float32", "float64")


@dataclasses.dataclass(frozen=True, slots=True)
class BackendKernel:
    """A backend's own form of a generic function, with what it is good for; see `nnx.kernels.backend_kernel`."""

    function: Callable[..., Any]
    accepts: Callable[..., bool] | None
    deterministic: bool
    instead_of: BackendKernel | None = None  # of a compiled kernel: what it stands in front of


class Backend:
    """An array library as nnx uses it. A new backend subclasses this and calls `register_backend`.

    Class attributes
    ----------------
    name : the name that users write, as in ``nnx.backend("cupy")``.
    module : the top-level module that the library's array type comes from.
    install : what to install when that module is missing.
    kernel_package : the package of its kernels, whose `KERNELS` is a table of them by the names of their generic
        functions. None (default) for a backend that has only what is added to `kernels`.
    compiled_kernel_packages : the packages of kernels of optional libraries, whose `FOR_LARGE_ARRAYS` are tables of
        those that stand in front of the others; no two have one name.
    """

    name: str
    module: str
    install: str
    kernel_package: str | None = None
    compiled_kernel_packages: tuple[str, ...] = ()

    @property
    def plain(self) -> Backend:
        """The backend of the arrays that its arrays stand for: itself, unless they are tracked."""
        return self

    def __repr__(self) -> str:
        return f"<nnx backend {self.name!r}>"

    def __reduce__(self) -> tuple[Any, ...]:  # there is one backend of a name, also for copies of what refers to it
        return find_backend, (self.name,)

    @cached_property
    def xp(self) -> Namespace:
        """The Array API namespace. Imports the library."""
        with LOADING:
            return self.load()

    @cached_property
    def kernels(self) -> dict[str, BackendKernel]:
        """Kernels of this backend by the names of their generic functions; others may be added.

        Imports `kernel_package`, which is named by a string because a backend is on the lowest floor. That happens when
        an array of the backend first comes to an accelerated function. Threads wait for each other's import, so none of
        them sees a part of the table.
        """
        with LOADING:
            own = {} if self.kernel_package is None else importlib.import_module(self.kernel_package).KERNELS
        # A copy, which is this backend's to change; and one for all threads that ask for it at the same time.
        table: dict[str, BackendKernel] = self.__dict__.setdefault("kernels", dict(own))
        return table

    @cached_property
    def compiled_kernels(self) -> dict[str, BackendKernel]:
        """Kernels that are asked first, by the names of their generic functions; what they do not accept goes on.

        Each stands in front of the backend's own kernel, and is left aside where somebody has put another in its place.
        Imports `compiled_kernel_packages`, as `kernels` does its own; what accepts an array loads the libraries.
        """
        compiled: dict[str, BackendKernel] = {}
        with LOADING:
            for package in self.compiled_kernel_packages:
                compiled |= importlib.import_module(package).FOR_LARGE_ARRAYS
            own = {} if self.kernel_package is None else importlib.import_module(self.kernel_package).KERNELS
        front = {name: dataclasses.replace(kernel, instead_of=own.get(name)) for name, kernel in compiled.items()}
        table: dict[str, BackendKernel] = self.__dict__.setdefault("compiled_kernels", front)
        return table

    def load(self) -> Namespace:
        """Import the library and return its Array API namespace."""
        raise NotImplementedError

    def problem(self) -> str | None:
        """The reason why the backend cannot be used on this machine, with what to do about it; None if it can."""
        error = self._import_error()
        if error is None:
            return None
        if _is_absence(error, self.module):
            return f"{self.module} is not installed ({error}); install it with: {self.install}"
        return (
            f"{self.module} is installed but cannot be imported ({type(error).__name__}: {error}); "
            f"repair it with: {self.install}"
        )

    def is_installed(self) -> bool:
        """Whether the library is there, also where it cannot be imported or has no device that works."""
        error = self._import_error()
        return error is None or not _is_absence(error, self.module)

    def _import_error(self) -> Exception | None:
        try:
            importlib.import_module(self.module)
        except Exception as error:  # also a shared library that is missing, or two versions that do not go together
            return error
        return None

    def version(self) -> str:
        """The version of the library, for people; "unknown" if it has none."""
        return str(getattr(importlib.import_module(self.module), "__version__", "unknown"))

    def devices(self) -> list[str]:
        """The devices that `device=` accepts, the default first."""
        return ["cpu"]

    def hardware(self, device: str | None) -> str:
        """What computes on a device, for people: the processor, or the card with its driver."""
        return processor()

    def device(self, name: str | None) -> Any:
        """The library's device object for a name; None is the default device."""
        if name is not None and name not in self.devices():
            raise ValueError(f"backend {self.name!r} has no device {name!r}; it has {', '.join(self.devices())}")
        return None

    def computing_on(self, device: Any) -> contextlib.AbstractContextManager[Any]:
        """A block for computing with arrays on a device, as `device` or `device_of` gave it; it may be entered again.

        For libraries that compute on a current device, and do not ask their arrays.
        """
        return contextlib.nullcontext()

    def following(self) -> contextlib.AbstractContextManager[Any]:
        """A block in which another thread computes for this one: on its device, and in order with what it asks for.

        For libraries whose threads have each a current device, and a queue of work of their own.
        """
        return contextlib.nullcontext()

    def float_dtypes(self, device: str | None) -> tuple[str, ...]:
        """The floating dtypes that parameters can have on a device."""
        return FLOAT_DTYPES

    def device_of(self, array: Array) -> Any:
        """The library's device object of an array."""
        return array.device

    def is_on_host(self, array: Array) -> bool:
        """Whether an array is in the memory of the host, where `to_host` waits for nothing and copies nothing."""
        return False

    def free_bytes(self, device: str | None) -> float:
        """Memory that a device has left, in bytes; infinite where data on the host are already in place."""
        return math.inf

    def held_bytes(self, device: str | None) -> int | None:
        """Memory that this process holds on a device, in bytes; None where that is not known."""
        return resident_bytes()

    def synchronize(self, device: str | None) -> None:
        """Wait until a device has done what it was given. Where all is done at once, there is nothing to wait for."""

    def range(self, name: str) -> contextlib.AbstractContextManager[Any]:
        """A block that the profiler of the backend's maker, if there is one, shows under that name."""
        return contextlib.nullcontext()

    def from_host(self, array: np.ndarray, *, device: str | None = None) -> Array:
        """Copy or wrap a host array as an array of this library, with the same dtype."""
        return self.xp.asarray(array, device=self.device(device))

    def put_beside(self, like: Array, array: np.ndarray) -> Array:
        """A host array on the device of `like`, with its own dtype."""
        return self.xp.asarray(array, device=self.device_of(like))

    def as_constant(self, value: Any) -> Any:
        """A value as it is used beside arrays of this backend, of which a tape may record what is made."""
        return value

    def keep(self, like: Array, make: Callable[[], Array]) -> Array:
        """The array that `make` makes on the device of `like`, for whoever keeps it and computes with it later.

        For libraries with several queues of work on a device: it is complete whichever is used then.
        """
        return make()

    def to_host(self, array: Array) -> np.ndarray:
        """Copy or view an array of this library as a NumPy array. Waits for the device."""
        return np.asarray(array)

    def all_reduce(self, array: Array, communicator: Any) -> None:
        """Replace a contiguous array by its sum over the ranks of an MPI communicator. By default on the host."""
        total = np.array(self.to_host(array))
        all_reduce_on_host(total, communicator)
        array[...] = self.put_beside(array, total)

    def use_device(self, number: int) -> None:
        """Take one of the devices, modulo how many there are, as the default of this process."""

    def gather_rows(self, array: Array, rows: np.ndarray) -> Array:
        """`array[rows]` along the first axis, for host indices that are known to be in range."""
        return self.xp.take(array, self.put_beside(array, rows), axis=0)


def _is_absence(error: Exception, module: str) -> bool:
    """Whether an import failed because there is no such module, and not within it."""
    return isinstance(error, ModuleNotFoundError) and error.name == module


def all_reduce_on_host(array: np.ndarray, communicator: Any) -> None:
    """Replace an array by its sum over the ranks of an MPI communicator. float16, which MPI lacks, goes as float32.

    Of bools, which MPI does not add, it is whether one of them is True.
    """
    from mpi4py import MPI

    wide = array.astype(np.float32) if array.dtype == np.float16 else array
    communicator.Allreduce(MPI.IN_PLACE, wide, op=MPI.LOR if array.dtype == bool else MPI.SUM)
    if wide is not array:
        with np.errstate(over="ignore"):
            array[...] = wide


_BUILT_IN = {
    "numpy": "nnx.backends.numpy",
    "cupy": "nnx.backends.cupy",
    "torch": "nnx.backends.torch",
    "array-api-strict": "nnx.backends.array_api_strict",
}
_WISHES = {"cpu": "numpy", "np": "numpy", "gpu": "cupy", "cuda": "cupy", "cp": "cupy"}  # what some write instead
_LOADED: dict[str, Backend] = {}
_OF_TYPE: dict[type, Backend] = {}


def register_backend(backend: Backend) -> None:
    """Registration of a third-party backend, selectable by its name; the same name again replaces the one before.

    If the backend can be used here, its library is imported and asked for an array that can be written to.

    Raises TypeError for what is not a complete `Backend`, or has arrays that cannot be written to, and ValueError where
    another backend already owns the arrays of the same module.

    >>> class Mine(Backend):
    ...     name, module, install = "mine", "my_arrays", "pip install my-arrays"
    ...     def load(self):
    ...         import my_arrays
    ...         return my_arrays
    >>> register_backend(Mine())
    >>> available_backends()["mine"]
    "my_arrays is not installed (No module named 'my_arrays'); install it with: pip install my-arrays"
    """
    if not isinstance(backend, Backend):
        raise TypeError(f"register_backend expects an instance of nnx.backends.Backend, got {backend!r}")
    for attribute in ("name", "module", "install"):
        if not isinstance(getattr(backend, attribute, None), str):
            raise TypeError(f"{type(backend).__name__} needs a class attribute {attribute!r}, a string")
    owners = {_module_of(name): name for name in _BUILT_IN} | {other.module: name for name, other in _LOADED.items()}
    owner = owners.get(backend.module, backend.name)
    if owner != backend.name:
        raise ValueError(f"backend {backend.name!r}: the arrays of {backend.module!r} belong to backend {owner!r}")
    # nnx's own backends are not asked: it has tests for them, and `import nnx` must not import their libraries.
    if backend.module not in map(_module_of, _BUILT_IN) and backend.problem() is None:
        _check_writing(backend)
    _LOADED[backend.name] = backend
    _OF_TYPE.clear()


def _check_writing(backend: Backend) -> None:
    """TypeError for arrays that cannot hold a model's parameters: views of one array, into which training writes."""
    with backend.computing_on(backend.device(None)):
        buffer = backend.from_host(np.zeros(6, np.float32))
        view = backend.xp.reshape(buffer[2:6], (2, 2))
        reason: Exception | None = None
        try:
            view[...] = 1.0
            view[...] = view + view
        except Exception as error:  # TypeError where arrays never change, ValueError where they are read-only
            reason = error
        if reason is None and backend.to_host(buffer).tolist() == [0.0, 0.0, 2.0, 2.0, 2.0, 2.0]:
            return
    found = f"writing raises {type(reason).__name__}: {reason}" if reason else "writing did not change the first array"
    raise TypeError(
        f"backend {backend.name!r} needs arrays that can be written to: nnx keeps a model's parameters as views of one "
        f"flat array and trains them in place, so `view = reshape(array[2:6], (2, 2))` has to share the memory of "
        f"`array`, and `view[...] = value` has to write to it. With arrays of {backend.module!r}, {found}"
    ) from reason


def find_backend(name: str) -> Backend:
    """The backend of that name, imported on first use; whether it works is another question.

    ValueError for an unknown name, with the known ones.

    >>> find_backend("numpy")
    <nnx backend 'numpy'>
    """
    if name not in _LOADED:
        if name not in _BUILT_IN:
            known = backend_names()
            wish = str(name).lower()
            near = [_WISHES[wish]] if wish in _WISHES else nearest(wish, known)
            hint = _with_its_device(str(name)) or (f" Did you mean {near[0]!r}?" if near else "")
            raise ValueError(f"unknown backend {name!r}: expected 'auto' or one of {', '.join(known)}.{hint}")
        importlib.import_module(_BUILT_IN[name])
    return _LOADED[name]


def _with_its_device(text: str) -> str:
    """The end of an error about "cuda:1", "cupy:1" or "/GPU:0": how a device is chosen; "" for any other name."""
    name, _, device = text.removeprefix("/").removeprefix("device:").partition(":")
    name = _WISHES.get(name.lower(), name.lower())
    if not device or name not in backend_names():
        return ""
    if device.isdecimal() and name in ("cupy", "torch"):
        device = f"cuda:{device}"
    arguments = '"numpy"' if name == "numpy" else f'"{name}", device="{device}"'
    return f" A device is an argument of its own: write nnx.backend({arguments}), or model.to({arguments})"


def usable_backend(name: str) -> Backend:
    """The backend of that name, or of the best one for "auto"; RuntimeError with the reason if it cannot be used.

    The first "auto" that does not get an installed CuPy warns, with the reason. ValueError for an unknown name.

    >>> usable_backend("numpy")
    <nnx backend 'numpy'>
    """
    if name == "auto":
        best = best_backend()
        if best.name != "cupy" and find_backend("cupy").is_installed():
            _warn_of_the_fallback(f"{find_backend('cupy').problem()}")
        return best
    backend = find_backend(name)
    problem = backend.problem()
    if problem:
        raise RuntimeError(f"backend {name!r} cannot be used: {problem}")
    return backend


def best_backend() -> Backend:
    """CuPy where a CUDA device works, else NumPy."""
    return find_backend("cupy" if find_backend("cupy").problem() is None else "numpy")


_warned_of: set[str] = set()  # the reasons that have been told: one is enough for a process


def _warn_of_the_fallback(reason: str) -> None:
    if reason in _warned_of:
        return
    warn_user(
        f"backend 'auto' is NumPy here, on the CPU, because CuPy does not work: {reason}. "
        f'To choose NumPy without this warning, write "numpy"'
    )
    _warned_of.add(reason)  # not before: where warnings are errors, it is one each time


def backend_names() -> list[str]:
    """The names of all known backends, nnx's own first.

    >>> backend_names()[:4]
    ['numpy', 'cupy', 'torch', 'array-api-strict']
    """
    return list(dict.fromkeys([*_BUILT_IN, *_LOADED]))


def following_this_thread() -> contextlib.AbstractContextManager[Any]:
    """A block in which another thread computes for this one, with arrays of any library; see `Backend.following`.

    >>> with following_this_thread():
    ...     pass
    """
    modules = {name: _module_of(name) for name in _BUILT_IN} | {name: each.module for name, each in _LOADED.items()}
    blocks = [find_backend(name).following() for name, module in modules.items() if module in sys.modules]
    return _entered(blocks)


@contextlib.contextmanager
def _entered(blocks: Iterable[contextlib.AbstractContextManager[Any]]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for block in blocks:
            stack.enter_context(block)
        yield


def available_backends() -> dict[str, str | None]:
    """Names of all known backends, each with None if it is usable, else with the reason why it is not.

    >>> available_backends()["numpy"] is None
    True
    """
    return {name: find_backend(name).problem() for name in backend_names()}


def backend_of(array: Array) -> Backend:
    """The backend that an array belongs to; TypeError for anything that is not an array.

    >>> backend_of(np.zeros(2))
    <nnx backend 'numpy'>
    """
    kind = type(array)
    backend = _OF_TYPE.get(kind)
    if backend is None:
        backend = _OF_TYPE[kind] = _identify(kind, array)
    return backend


def is_array(value: Any) -> bool:
    """Whether a value is an array (or an array scalar) of a library that nnx knows.

    >>> is_array(np.zeros(2)), is_array([0.0, 0.0])
    (True, False)
    """
    try:
        backend_of(value)
    except TypeError:
        return False
    return True


def to_numpy(value: Any) -> np.ndarray:
    """An array of any backend, or host data, as a NumPy array on the host. Waits for the device.

    This is the one place where nnx exports to the host.

    >>> to_numpy([1.0, 2.0])
    array([1., 2.])
    """
    if is_array(value):
        return backend_of(value).to_host(value)
    return as_host(value)


def is_on_device(value: Any) -> bool:
    """Whether a value is an array that is not NumPy's.

    >>> is_on_device(np.zeros(2)), is_on_device([0.0])
    (False, False)
    """
    return type(value) is not np.ndarray and is_array(value) and backend_of(value).name != "numpy"


def refuse_masked(value: Any, what: str = "data") -> None:
    """ValueError for a masked array of NumPy, or a list of some, in which something is masked: nnx sees no such masks.

    what : the argument's name in the error.
    """
    if type(value) is np.ndarray:
        return
    parts = value if isinstance(value, list | tuple) else [value]
    if any(isinstance(part, np.ma.MaskedArray) and np.ma.is_masked(part) for part in parts):
        raise ValueError(
            f"{what}: a masked array of NumPy, and nnx would compute with what is behind its mask; write "
            f"{what}.filled(0.0), and say what does not count by a Masking layer, the mask= of a layer or sample_weight"
        )


def array_namespace(array: Array) -> Namespace:
    """The namespace of functions for an array: where every computation of nnx starts.

    Equals `array_api_compat.array_namespace` of one array, at the price of one dictionary look-up. TypeError for
    anything that is not an array.

    >>> xp = array_namespace(np.zeros(2))
    >>> xp.astype(np.zeros(2), xp.int64)
    array([0, 0])
    """
    return backend_of(array).xp


def _identify(kind: type, array: Any) -> Backend:
    own = getattr(kind, "backend", None)  # of arrays that stand for others
    if isinstance(own, Backend):
        return own
    if not hasattr(kind, "__array_namespace__") and not hasattr(kind, "dtype"):
        raise TypeError(f"expected an array, got {kind.__name__}; convert it with nnx.asarray")
    for base in kind.__mro__:  # the nearest base class decides: a library may build on another one's arrays
        module = base.__module__.partition(".")[0]
        for backend in _LOADED.values():
            if backend.module == module:
                return backend
        for name in _BUILT_IN:
            if _module_of(name) == module and module in sys.modules:
                return find_backend(name)
    if hasattr(kind, "__array_namespace__"):
        array.__array_namespace__()  # a symbolic value raises here, and says what to do
    raise TypeError(f"{kind.__module__}.{kind.__name__} is not an array of a known backend; see nnx.register_backend")


def _module_of(built_in: str) -> str:
    return built_in.replace("-", "_")
