"""Members that objects do not have, such as Keras' objects have: AttributeErrors that say what to write instead."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

T = TypeVar("T")


class MissingMember(AttributeError):  # noqa: N818
    """Error of an object, or a class, without a member. Its text is made when somebody reads it, so `hasattr` is quick.

    obj, name : as Python has them on each AttributeError.

    >>> str(MissingMember(name="quantize", obj=Advising()))[:27]
    "Advising has no 'quantize':"
    """

    __module__, __qualname__ = "builtins", "AttributeError"  # what tracebacks call it

    def __str__(self) -> str:
        text: str = importlib.import_module("nnx.keras_members").instead_of(self.obj, self.name)
        return text

    def __reduce__(self) -> tuple[Any, ...]:
        return AttributeError, (str(self),)  # into another process goes the text, and not the object


class Advising:
    """An object whose AttributeErrors say what to write instead."""

    __slots__ = ()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Called for what is not there, and for a property that raised AttributeError: that raises it again."""
            if name.startswith("_") or hasattr(type(self), name):
                return object.__getattribute__(self, name)
            raise MissingMember(name=name, obj=self)


def without(*names: str) -> Callable[[type[T]], type[T]]:
    """Decorator: objects of a class, and the class, have no such members, as `Advising` says it.

    For objects that training looks at all the time: in a class with `__getattr__` each look at an attribute that is
    there takes Python several times as long.

    >>> @without("aggregation")
    ... class Parameter: ...
    >>> hasattr(Parameter(), "aggregation")
    False
    """

    def decorate(cls: type[T]) -> type[T]:
        for name in names:
            setattr(cls, name, _Absent(name))
        return cls

    return decorate


class _Absent:
    """In the place of a member: AttributeError."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, owner: Any, kind: type) -> NoReturn:
        raise MissingMember(name=self._name, obj=kind if owner is None else owner)


def refuse_uncalled(cls: type) -> None:
    """TypeError for a user's class that overrides a method which Keras would call, and nnx never does."""
    if not cls.__module__.startswith("nnx."):
        importlib.import_module("nnx.keras_members").refuse_uncalled(cls)
