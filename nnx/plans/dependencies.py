"""What code of somebody's own reads besides its arguments, and whether that can change unseen.

A plan keeps the numbers that the code was run with. For code of nnx these follow from the arrays' shapes and from
attributes of layers and losses. Other functions may read more: a global number, the variable of a function around them,
an attribute, the clock. What is seen while they run is sorted: constants, which can be compared before each replay, and
everything else, such as a list that is appended to, a print, or an attribute that is set, for which there is no plan.
"""

from __future__ import annotations

import builtins
import contextlib
import dis
import functools
import gc
import itertools
import math
import operator
import sys
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nnx.backends import get_backend, is_array
from nnx.epsilon import epsilon
from nnx.kernels import is_deterministic
from nnx.parameters import Parameter
from nnx.random import Generator
from nnx.registry import custom_objects_here, get_custom_objects

_TRUSTED = {"nnx", "numpy", "array_api_compat", "array_api_extra"}
"""Packages whose functions depend on nothing but what they are given."""

_PURE = {
    "abc",
    "builtins",
    "collections",
    "contextlib",
    "dataclasses",
    "enum",
    "functools",
    "math",
    "operator",
    "typing",
}
"""Modules of Python's own of which that is true as well."""

_BUILT_IN = {
    *(
        abs,
        all,
        any,
        callable,
        divmod,
        getattr,
        hasattr,
        isinstance,
        issubclass,
        len,
        max,
        min,
        pow,
        round,
        sorted,
        sum,
    ),
    *(type, id, iter, next, hash, repr, chr, ord, math.prod, builtins.__build_class__),
}

_WRITES = {"STORE_GLOBAL", "DELETE_GLOBAL", "STORE_ATTR", "DELETE_ATTR", "STORE_SUBSCR", "DELETE_SUBSCR", "STORE_SLICE"}

_READ_SETTINGS = {
    function.__code__ for function in (custom_objects_here, epsilon, get_backend, get_custom_objects, is_deterministic)
}
"""Functions of nnx whose results others decide, see `_settings`."""

_WITH_STATE = {
    *("nnx.backends.context.put_back_backend", "nnx.backends.context.set_backend", "nnx.epsilon.set_epsilon"),
    *("nnx.kernels.set_deterministic", "nnx.keras_backend.settings.get_uid", "nnx.random.streams.set_seed"),
}
"""Functions of nnx that change what others find, and count."""

_OF_PROCESSES = {"nnx.callbacks", "nnx.debug", "nnx.distributed", "nnx.ranks", "nnx.saving"}
"""Packages of nnx whose functions look at more than arrays: at files, other processes, what is observed."""

_LARGEST = 1 << 18  # bytes of an array that is compared before each replay

_CONSTANTS = (int, float, complex, str, bytes, types.NoneType, types.EllipsisType, np.generic, np.dtype, range, slice)


class Dependencies:
    """What the functions read that are called in a block, but those of nnx and NumPy.

    attributes_of : gives the attributes of an object that are compared, such as those of a layer; None for one whose
        attributes may change unseen. Asked for objects of nnx's classes, and of classes made from them; by default all
        that it has.
    is_planned : whether a parameter is memory of the plan, which reads it again; others are compared.
    problem : why what was called may give something else another time; None if it cannot, unless `holds` says so.

    >>> names = {"rate": 0.5}
    >>> scaled = eval("lambda x: x * rate", names)  # a function of some other module
    >>> found = Dependencies()
    >>> with found.looking():
    ...     _ = scaled(2.0)
    >>> found.problem, found.holds()
    (None, True)
    >>> names["rate"] = 0.25
    >>> found.holds()
    False
    """

    def __init__(
        self,
        attributes_of: Callable[[Any], dict[str, Any] | None] | None = None,
        is_planned: Callable[[Parameter], bool] = lambda parameter: False,
    ) -> None:
        self.problem: str | None = None
        self._attributes_of = attributes_of or _attributes_of
        self._is_planned = is_planned
        self._codes: set[types.CodeType] = set()
        self._closures: set[types.CodeType] = set()  # those of functions whose variables are known
        self._known: dict[int, Any] = {}  # objects whose contents are compared
        self._names: list[tuple[dict[str, Any], str, Any]] = []
        self._cells: list[tuple[types.CellType, Any]] = []
        self._contents: list[tuple[Callable[[], list[Any]], list[Any]]] = []
        self._arrays: list[tuple[np.ndarray, bytes]] = []
        self._settings: list[Any] | None = None  # those of nnx, if they are read
        self._before: list[Any] = []
        self._around: set[types.FrameType] = set()

    @contextlib.contextmanager
    def looking(self) -> Iterator[None]:
        """A block whose calls are looked at, in this thread."""
        collects = gc.isenabled()
        gc.disable()  # what is called when it collects does not belong to the block
        self._before, self._around = _settings(), set(_callers(sys._getframe()))
        sys.setprofile(self._look)
        try:
            yield
        finally:
            sys.setprofile(None)
            self._around.clear()
            if collects:
                gc.enable()

    def holds(self) -> bool:
        """Whether all that was read is as it was."""
        if not (self._names or self._cells or self._contents or self._arrays or self._settings):
            return True
        return (
            (self._settings is None or self._settings == _settings())
            and all([names.get(name, _MISSING) is value for names, name, value in self._names])  # noqa: C419, is faster
            and all([cell.cell_contents is value for cell, value in self._cells])  # noqa: C419
            and all([_same(contents(), before) for contents, before in self._contents])  # noqa: C419
            and all([array.tobytes() == before for array, before in self._arrays])  # noqa: C419
        )

    def look_at(self, *values: Any) -> None:
        """Look at objects whose functions may be called."""
        for value in values:
            self._look_at_value(value, type(value).__name__)

    def _refuse(self, problem: str) -> None:
        self.problem = self.problem or problem

    def _look(self, frame: types.FrameType, event: str, argument: Any) -> None:
        if event not in ("call", "c_call") or self.problem is not None:
            return
        if event == "call" and str(frame.f_globals.get("__name__")).startswith("nnx."):
            self._look_at_call_of_nnx(frame)
        if _is_trusted(frame):
            return
        try:
            if event == "call":
                self._look_at_call(frame)
            else:
                self._look_at_built_in(argument)
        except Exception as error:  # which would come up in the code that is looked at
            self._refuse(f"it cannot be seen what {frame.f_code.co_qualname} reads: {error}")

    def _look_at_call_of_nnx(self, frame: types.FrameType) -> None:
        """Functions of nnx depend on what they are given, but for some, which somebody's own code may call."""
        module, code = str(frame.f_globals["__name__"]), frame.f_code
        name = f"{module}.{code.co_qualname}"
        if code in _READ_SETTINGS:
            if self._settings is None and any(map(_is_own, self._callers_inside(frame))):
                self._settings = self._before
        elif code is Parameter.assign.__code__:
            if not self._is_planned(frame.f_locals["self"]) and any(map(_is_own, self._callers_inside(frame))):
                self._refuse("it assigns to a parameter that is not the model's")
        elif name in _WITH_STATE:
            if any(map(_is_own, self._callers_inside(frame))):
                self._refuse(f"it calls {name}")
        elif ".".join(module.split(".")[:2]) in _OF_PROCESSES:
            caller = next(self._callers_inside(frame), None)
            if caller is not None and _is_own(caller):
                self._refuse(f"it calls {name}")

    def _callers_inside(self, frame: types.FrameType) -> Iterator[types.FrameType]:
        """The frames that called one, up to where the block begins."""
        return itertools.takewhile(lambda caller: caller not in self._around, _callers(frame))

    def _look_at_call(self, frame: types.FrameType) -> None:
        code = frame.f_code
        root = str(frame.f_globals.get("__name__")).partition(".")[0]
        if root in sys.stdlib_module_names and root != "__main__":
            if root not in _PURE:
                self._refuse(f"it calls {root}.{code.co_qualname}")
            return
        for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
            if name in frame.f_locals and name != ".0":  # what a generator goes through
                self._look_at_argument(frame.f_locals[name])
        if code in self._codes:
            return
        self._codes.add(code)
        for step in dis.get_instructions(code):
            if step.opname in _WRITES or (step.opname == "STORE_DEREF" and step.argval in code.co_freevars):
                self._refuse(f"{code.co_qualname} changes {step.argval or 'an element'}, which others may see")
            elif step.opname in ("LOAD_ATTR", "LOAD_METHOD") and step.argval == "random":
                self._refuse(f"{code.co_qualname} reads an attribute random, and NumPy's is not seen when it draws")
            elif step.opname in ("LOAD_ATTR", "LOAD_METHOD") and step.argval == "ndarray":
                self._refuse(f"{code.co_qualname} asks for np.ndarray, of which planned arrays are none")
            elif step.opname == "LOAD_GLOBAL":
                self._look_at_global(frame.f_globals, step.argval)
            elif step.opname == "IMPORT_NAME" and str(step.argval).partition(".")[0] not in _TRUSTED | _PURE:
                self._refuse(f"{code.co_qualname} imports {step.argval}")
        if code.co_freevars and code not in self._closures:
            found = [each for each in gc.get_referrers(code) if type(each) is types.FunctionType]
            for function in found:
                self._look_at_closure(function, made_here=True)
            if not found:  # as of functions that `gc.freeze` hides
                self._refuse(f"it cannot be seen what the variables of {code.co_qualname} are")

    def _look_at_function(self, function: types.FunctionType, name: str, made_here: bool = False) -> None:
        """What a function has: its code, which notebooks replace in place, defaults, attributes and closure."""
        self._look_at_closure(function, made_here)
        root = str(function.__module__).partition(".")[0]
        if root in _TRUSTED or (root in sys.stdlib_module_names and root != "__main__"):
            return
        self._compare(lambda: _own_of(function))
        for part in _own_of(function):
            if not isinstance(part, types.CodeType):
                self._look_at_value(part, name)

    def _look_at_closure(self, function: types.FunctionType, made_here: bool = False) -> None:
        """The variables of functions around a function.

        made_here : whether it may be from the block, where what it encloses is computed, and is again each time.
        """
        self._closures.add(function.__code__)
        keeps_them = str(function.__module__).partition(".")[0] in _TRUSTED
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):  # an empty cell, of a variable that has no value yet
                if not keeps_them:
                    self._cells.append((cell, cell.cell_contents))
                if not (made_here and is_array(cell.cell_contents)):
                    self._look_at_value(cell.cell_contents, name)

    def _look_at_global(self, names: dict[str, Any], name: str) -> None:
        if name in names:
            self._names.append((names, name, names[name]))
            self._look_at_value(names[name], name)
        elif hasattr(builtins, name):
            self._names.append((names, name, _MISSING))  # until somebody gives it another meaning

    def _look_at_argument(self, value: Any) -> None:
        """Arguments of calls are what is computed, or come from here; but objects of own classes have attributes."""
        if isinstance(value, types.FunctionType):
            if id(value) not in self._known:
                self._known[id(value)] = value
                self._look_at_function(value, value.__name__, made_here=True)
        elif not isinstance(value, (*_CONSTANTS, tuple, list, dict, set, type)) and not is_array(value):
            self._look_at_value(value, type(value).__name__)

    def _look_at_value(self, value: Any, name: str) -> None:
        """Note what a variable or an attribute refers to, or say why that cannot be compared."""
        if isinstance(value, _CONSTANTS) or id(value) in self._known:
            return
        self._known[id(value)] = value
        if is_array(value):
            self._look_at_array(value, name)
        elif isinstance(value, types.ModuleType):
            if value.__name__.partition(".")[0] not in _TRUSTED | _PURE:
                self._refuse(f"it reads the module {value.__name__}")
        elif isinstance(value, tuple | frozenset):
            for part in value:
                self._look_at_value(part, name)
        elif isinstance(value, list | dict | set):
            self._compare(lambda: [*value, *value.values()] if isinstance(value, dict) else list(value))
            for part in value.values() if isinstance(value, dict) else value:
                self._look_at_value(part, name)
        elif isinstance(value, types.FunctionType | types.BuiltinFunctionType | types.MethodType | np.ufunc):
            if isinstance(value, types.MethodType):  # of which functions are called is seen when they are
                self._look_at_value(value.__self__, name)
                value = value.__func__
            if isinstance(value, types.FunctionType):
                self._look_at_function(value, name)
        elif isinstance(value, functools.partial):
            self._look_at_value((value.func, value.args, tuple(value.keywords.values())), name)
        elif value is np.ndarray:
            self._refuse("it asks for np.ndarray, of which planned arrays are none")
        elif isinstance(value, type):
            if not _is_trusted_object(value) and value.__module__ not in ("builtins", *_PURE):
                self._compare(lambda: list(vars(value).values()))
                for attribute, part in vars(value).items():
                    is_value = not (hasattr(part, "__get__") or attribute.startswith(("__", "_abc_")))
                    if is_value or isinstance(part, types.FunctionType):
                        self._look_at_value(part, f"{value.__name__}.{attribute}")
        elif isinstance(value, Parameter):
            if not self._is_planned(value):
                self._compare(lambda: [value.value])
                self._look_at_value(value.value, name)
        elif type(value).__module__.startswith("numpy.random"):
            self._refuse(f"it reads {name}, of which NumPy draws random numbers")
        elif any(map(_is_trusted_object, type(value).__mro__)) and (own := self._attributes_of(value)) is not None:
            if own:
                owner = self._known[id(value)] = weakref.ref(value)  # which may have the plan
                self._compare(lambda: list((self._attributes_of(owner()) or {}).values()))
            for kind in type(value).__mro__:
                self._look_at_value(kind, kind.__name__)
            for attribute, part in own.items():
                self._look_at_value(part, f"{name}.{attribute}")
        else:
            self._refuse(f"it reads {name}, a {type(value).__name__}, whose content may change")

    def _look_at_array(self, array: Any, name: str) -> None:
        """An array that is read where it lies, but the numbers that code makes of it stay those that they were."""
        if not isinstance(array, np.ndarray):
            return
        if array.nbytes > _LARGEST or array.dtype.hasobject:
            self._refuse(f"it reads {name}, an array of {array.nbytes} bytes, whose content may change")
        else:
            self._arrays.append((array, array.tobytes()))

    def _compare(self, contents: Callable[[], list[Any]]) -> None:
        self._contents.append((contents, contents()))

    def _look_at_built_in(self, function: Any) -> None:
        """Of functions that are not written in Python those may be called that only compute."""
        owner = getattr(function, "__self__", None)
        module = getattr(function, "__module__", None) or ""
        if isinstance(owner, list | dict | set):
            if id(owner) in self._known and not hasattr(tuple, function.__name__) and function.__name__ not in _LOOKS:
                self._refuse(f"it changes a {type(owner).__name__} that is not its own")
        elif isinstance(owner, types.ModuleType | types.NoneType):
            allowed = function in _BUILT_IN or module.partition(".")[0] in {"numpy", "math", "_operator", "_functools"}
            if not allowed or module.startswith("numpy.random"):
                self._refuse(f"it calls {function.__name__}")
        elif type(owner).__module__.startswith("numpy.random"):
            self._refuse(f"it calls numpy.random.{function.__name__}")
        elif type(owner).__module__.partition(".")[0] not in ("builtins", "numpy", "nnx"):
            self._refuse(f"it calls {type(owner).__name__}.{function.__name__}")


_MISSING: Any = object()
_LOOKS = {"get", "items", "keys", "values", "copy", "union", "intersection", "difference", "issubset"}


def _attributes_of(value: Any) -> dict[str, Any]:
    """All attributes, but those of generators, from which plans draw as ever."""
    return {} if isinstance(value, Generator) else getattr(value, "__dict__", {})


def _own_of(function: types.FunctionType) -> list[Any]:
    named = function.__kwdefaults__ or {}
    return [function.__code__, function.__defaults__, *named.values(), *vars(function).values()]


def _same(now: list[Any], before: list[Any]) -> bool:
    return len(now) == len(before) and all(map(operator.is_, now, before))


def _is_trusted_object(value: Any) -> bool:
    """Whether an object's class, or a class or function itself, is one of nnx or NumPy."""
    module = getattr(value if isinstance(value, type) else type(value), "__module__", None)
    return str(module).partition(".")[0] in _TRUSTED


def _is_trusted(frame: types.FrameType | None) -> bool:
    """Whether a function is one of nnx or NumPy, or called by them; or helps to import a module."""
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        root = module.partition(".")[0]
        if root in _TRUSTED or module == "importlib._bootstrap" or module.startswith("namedtuple_"):
            return True
        if root == "__main__" or root not in sys.stdlib_module_names:
            return _is_importing(frame)
        frame = frame.f_back  # Python's own: who called it
    return False


def _is_own(frame: types.FrameType) -> bool:
    """Whether a function is of none of the trusted packages, and not of Python's own."""
    root = str(frame.f_globals.get("__name__")).partition(".")[0]
    return root not in _TRUSTED and (root == "__main__" or root not in sys.stdlib_module_names)


def _callers(frame: types.FrameType) -> Iterator[types.FrameType]:
    caller = frame.f_back
    while caller is not None:
        yield caller
        caller = caller.f_back


def _settings() -> list[Any]:
    """What functions of nnx find without being given it."""
    place = get_backend()
    objects = [part for known in custom_objects_here() for pair in known.items() for part in pair]
    return [epsilon(), is_deterministic(), place.name, place.device, place.dtype, *objects]


def _is_importing(frame: types.FrameType | None) -> bool:
    while frame is not None:
        if frame.f_globals.get("__name__") == "importlib._bootstrap":
            return True
        frame = frame.f_back
    return False
