"""Registries: layers, losses, optimisers and the rest, found by name and rebuilt from a configuration."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, Self, TypeVar

from nnx.arguments import OF_PYTHON, python_numbers
from nnx.names import did_you_mean, nearest, shortened

T = TypeVar("T")

_CUSTOM: contextvars.ContextVar[Mapping[str, Any]] = contextvars.ContextVar("nnx_custom_objects", default={})  # noqa: B039
_REGISTERED: dict[str, Any] = {}
_FULL_NAMES: dict[Any, str] = {}
_NAMED: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar("nnx_named_objects", default=None)


@contextlib.contextmanager
def custom_objects(custom_objects: Mapping[str, Any] | None) -> Iterator[None]:
    """Inside the block, names of configurations are looked up here first.

    >>> with custom_objects({"Mine": dict}):
    ...     layer_registry.find("Mine") is dict
    True
    """
    token = _CUSTOM.set({**_CUSTOM.get(), **(custom_objects or {})})
    try:
        yield
    finally:
        _CUSTOM.reset(token)


@contextlib.contextmanager
def named_objects() -> Iterator[dict[str, Any]]:
    """Inside the block, classes and functions of one's own that configurations name are kept by these names.

    So that who makes a configuration for this process alone, for a copy, finds them again; also lambdas.

    >>> with named_objects() as objects:
    ...     name = serialize(lambda x: x + 1)
    >>> with custom_objects(objects):
    ...     find_custom(name)(1)
    2
    """
    objects: dict[str, Any] = {}
    token = _NAMED.set(objects)
    try:
        yield objects
    finally:
        _NAMED.reset(token)


def name_of(thing: Any) -> str:
    """The name of a class or a function in a configuration.

    >>> name_of(dict)
    'dict'
    """
    name: str = thing.__name__
    objects = _NAMED.get()
    if objects is not None and (name == "<lambda>" or not str(getattr(thing, "__module__", None)).startswith("nnx.")):
        while objects.get(name, thing) is not thing:
            name += "'"
        objects[name] = thing
    return name


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable[[T], T]:
    """Decorator: classes and functions of one's own that files may name, without custom_objects.

    package, name : what `get_registered_name` returns, "package>name"; in files of nnx a class goes by its own name.

    >>> @register_keras_serializable()
    ... def twice_as_much(x):
    ...     return 2 * x
    >>> layer_registry.find("twice_as_much") is twice_as_much
    True
    """

    def decorate(thing: T) -> T:
        own: str = thing.__name__  # type: ignore[attr-defined]
        full = f"{package}>{name or own}"
        _REGISTERED[own] = _REGISTERED[full] = thing
        _FULL_NAMES[thing] = full
        return thing

    return decorate


def get_custom_objects() -> dict[str, Any]:
    """The classes and functions of one's own that are known everywhere, by name: to be looked at, and added to.

    >>> get_custom_objects()["thrice"] = lambda x: 3 * x
    >>> find_custom("thrice")(2)
    6
    >>> del get_custom_objects()["thrice"]
    """
    return _REGISTERED


def custom_objects_here() -> tuple[Mapping[str, Any], ...]:
    """Where names are looked up now: the custom objects of the block, then those that are registered.

    >>> with custom_objects({"Mine": dict}):
    ...     custom_objects_here()[0]
    {'Mine': <class 'dict'>}
    """
    return _CUSTOM.get(), _REGISTERED


def get_registered_name(obj: Any) -> str:
    """The name that `register_keras_serializable` gave a class or a function, "package>name", else its own.

    >>> @register_keras_serializable("mine")
    ... def halved(x):
    ...     return x / 2
    >>> get_registered_name(halved), get_registered_name(dict)
    ('mine>halved', 'dict')
    """
    return _FULL_NAMES.get(obj) or str(obj.__name__)


def get_registered_object(
    name: str, custom_objects: Mapping[str, Any] | None = None, module_objects: Mapping[str, Any] | None = None
) -> Any:
    """The class or function of that name, "package>name" or its own; None if there is none.

    custom_objects : looked up first. module_objects : looked up last.

    >>> get_registered_object("mine", {"mine": dict}), get_registered_object("nobody")
    (<class 'dict'>, None)
    """
    for objects in (custom_objects or {}, *custom_objects_here(), module_objects or {}):
        if name in objects:
            return objects[name]
    return None


def find_custom(name: str) -> Any:
    """The class or function of one's own of that name, among custom objects and registered ones; None if there is none.

    >>> with custom_objects({"Mine": dict}):
    ...     find_custom("Mine"), find_custom("Dense")
    (<class 'dict'>, None)
    """
    here, everywhere = custom_objects_here()
    return here.get(name, everywhere.get(name))


def named_kind(kind: str) -> str:
    """A kind of object with its article.

    >>> named_kind("loss"), named_kind("optimizer")
    ('a loss', 'an optimizer')
    """
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


_MOST_FOUND = 1024  # names, which files may write in any number of ways


class Registry(Generic[T]):
    """Objects of one kind by name. Case and underscores do not matter: "HeNormal" and "he_normal" are one name.

    kind : what the objects are, for error messages, such as "loss".
    packages : what registers objects of the kind when it is imported, which is done when a name is not known yet.
    """

    def __init__(self, kind: str, packages: Sequence[str] = ()) -> None:
        self.kind = kind
        self.packages = packages
        self.objects: dict[str, T] = {}  # by their own name
        self._by_key: dict[str, T] = {}  # by every normalised name and alias
        self._found: dict[str, T] = {}  # by the names that were asked for

    def register(self, *aliases: str) -> Callable[[T], T]:
        """Decorator: make a class or function available under its own name and the aliases."""

        def decorate(thing: T) -> T:
            name: str = thing.__name__  # type: ignore[attr-defined]
            self.objects[name] = thing
            for alias in (name, *aliases):
                self._by_key[_key(alias)] = thing
            self._found.clear()
            return thing

        return decorate

    def find(self, name: str) -> T:
        """The object of that name; ValueError with the nearest known names if there is none."""
        here, everywhere = custom_objects_here()
        for custom in (here, everywhere):
            if name in custom:
                return custom[name]  # type: ignore[no-any-return]
        known = self._found.get(name)
        if known is not None:
            return known
        asked, name = name, shortened(name)  # from a file it may have any length
        thing = self._by_key.get(_key(name)) or self.load().get(_key(name))
        if thing is not None and name is asked and len(self._found) < _MOST_FOUND:
            self._found[name] = thing
        if thing is None:
            near = {self._by_key[key].__name__ for key in nearest(_key(name), self._by_key, n=3)}  # type: ignore[attr-defined]
            told = importlib.import_module("nnx.keras_names").instead_of_kind(self.kind, name)
            hint = told or did_you_mean(sorted(near)) or f"known are: {', '.join(sorted(self.objects))}"
            raise ValueError(f"unknown {self.kind} {name!r}: {hint}")
        return thing

    def load(self) -> dict[str, T]:
        """Import what registers objects of the kind. Returns them by their normalised names."""
        for package in self.packages:
            importlib.import_module(package)
        return self._by_key

    def build(self, config: Mapping[str, Any]) -> Any:
        """Rebuild an object from `{"class_name": ..., "config": {...}}`."""
        if not isinstance(config, Mapping) or not isinstance(config.get("class_name"), str):
            raise ValueError(f"not the configuration of {named_kind(self.kind)}: {shortened(repr(config))}")
        try:
            cls = self.find(config["class_name"])
        except ValueError as error:
            name = shortened(config["class_name"])
            raise ValueError(f"{error}; one of your own goes into custom_objects={{{name!r}: {name}}}") from None
        return cls.from_config(dict(config.get("config") or {}))  # type: ignore[attr-defined]

    def resolve(self, identifier: Any) -> Any:
        """An object from a name, a class, a configuration or the object itself."""
        if isinstance(identifier, str):
            identifier = self.find(identifier)
        if isinstance(identifier, Mapping):
            return self.build(identifier)
        return identifier() if inspect.isclass(identifier) else identifier


layer_registry: Registry[Any] = Registry("layer", packages=("nnx.layers", "nnx.models", "nnx.utils.feature_space"))
"""All layers and models, and what else is saved as a model, by the names of their classes."""


def _key(name: str) -> str:
    return name.replace("_", "").lower()


class Configurable:
    """An object that is rebuilt from its constructor's arguments.

    The one rule: every argument of `__init__` is kept as an attribute of the same name. Numbers of NumPy, which would
    widen arrays and which not every backend takes, are numbers of Python before `__init__` sees them.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            cls.__init__ = _with_python_numbers(cls.__init__)  # type: ignore[method-assign]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as plain data that fits into JSON."""
        return constructor_config(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build an object from what `get_config` returned."""
        return cls(**config)


def _with_python_numbers(constructor: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(constructor)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        if not (OF_PYTHON.issuperset(map(type, args)) and OF_PYTHON.issuperset(map(type, kwargs.values()))):
            args = tuple(map(python_numbers, args))
            kwargs = {name: python_numbers(value) for name, value in kwargs.items()}
        constructor(self, *args, **kwargs)

    return __init__


@functools.cache
def constructor_arguments(cls: type[Any]) -> tuple[str, ...]:
    """The names of a constructor's arguments; `**kwargs` of a subclass stands for those of its base."""
    names: list[str] = []
    for owner in cls.__mro__:
        if "__init__" not in vars(owner) or owner is object:
            continue
        parameters = list(inspect.signature(owner.__init__).parameters.values())[1:]  # type: ignore[misc]
        names += [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return tuple(dict.fromkeys(names))


def constructor_config(thing: Any, without: Sequence[str] = ()) -> dict[str, Any]:
    """The arguments of an object's constructor, kept as attributes; TypeError that names one that is not kept."""
    cls: type = type(thing)
    without = (*without, *getattr(cls, "refused", ()))
    names = [name for name in constructor_arguments(cls) if name not in without]
    for name in names:
        if not hasattr(thing, name):
            raise TypeError(
                f"{cls.__name__} has no attribute {name!r}, so its configuration is not known: keep the argument of "
                f"the constructor, as in self.{name} = {name}, or write get_config()"
            )
    return {name: serialize(getattr(thing, name)) for name in names}


def serialize(value: Any) -> Any:
    """A value as plain data: objects become `{"class_name": ..., "config": ...}`, functions their names.

    >>> serialize((1, None, {"a": 2.5}))
    [1, None, {'a': 2.5}]

    TypeError for what has no name and no `get_config`.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [serialize(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): serialize(item) for key, item in value.items()}
    if hasattr(value, "get_config"):
        return {"class_name": name_of(type(value)), "config": value.get_config()}
    if callable(value) and (getattr(value, "__name__", "<lambda>") != "<lambda>" or _NAMED.get() is not None):
        return name_of(value)
    if hasattr(value, "tolist"):  # NumPy scalars and arrays
        return value.tolist()
    raise TypeError(
        f"{value!r} cannot be saved in a configuration; give it a name (a function) or a get_config method (a class)"
    )
