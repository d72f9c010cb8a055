"""The public names of nnx: those in the `__all__` of its packages, and of no other list."""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import inspect
import itertools
import pathlib
from types import ModuleType
from typing import Any

import nnx

ROOT = pathlib.Path(nnx.__file__).parent


@dataclasses.dataclass(frozen=True)
class Name:
    """A public name.

    module, name : where it is: `nnx.layers`, `Dense`.
    value : what it is.
    of : the name that it is another one of, if that is so.
    """

    module: str
    name: str
    value: Any
    of: str | None = None

    @property
    def path(self) -> str:
        return f"{self.module}.{self.name}"

    @property
    def kind(self) -> str:
        if inspect.ismodule(self.value):
            return "module"
        if inspect.isclass(self.value) and not _is_foreign(self.value):
            return "class"
        return "function" if is_function(self.value) else "data"

    @property
    def text(self) -> str:
        """The docstring; of data, the string that follows the assignment, else what is said of objects of that class.

        A class does not have that of its base.
        """
        if self.kind == "class":
            return inspect.cleandoc(vars(self.value).get("__doc__") or "")
        if self.kind != "data":
            return inspect.getdoc(self.value) or ""
        return assigned_text(self.name) or ("" if _is_foreign(type(self.value)) else inspect.getdoc(self.value) or "")


def is_function(value: Any) -> bool:
    """Whether a value is a function, or an object that stands for one: it has the name and the text of its own."""
    return (callable(value) and hasattr(value, "__wrapped__")) or inspect.isroutine(value)


@functools.cache
def _assigned_texts() -> dict[str, str]:
    found: dict[str, str] = {}
    for file in sorted(ROOT.rglob("*.py")):
        body = ast.parse(file.read_text(encoding="utf-8")).body
        for node, following in itertools.pairwise(body):
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            text = following.value if isinstance(following, ast.Expr) else None
            if isinstance(targets[0], ast.Name) and isinstance(text, ast.Constant) and isinstance(text.value, str):
                found.setdefault(targets[0].id, inspect.cleandoc(text.value))
    return found


def assigned_text(name: str) -> str:
    """The string behind the assignment of a name in one of the modules of nnx; empty if there is none."""
    return _assigned_texts().get(name, "")


def modules(package: ModuleType) -> dict[str, ModuleType]:
    """The public modules by name: the package, its folders that have an `__all__`, and the modules in such lists.

    ValueError for a module in a list that has no list itself.
    """
    folders = [file.parent.name for file in sorted(ROOT.glob("[a-z]*/__init__.py")) if _has_list(file)]
    found: dict[str, ModuleType] = {}
    waiting = [package, *(importlib.import_module(f"{package.__name__}.{folder}") for folder in folders)]
    while waiting:
        module = waiting.pop()
        if module.__name__ not in found:
            found[module.__name__] = module
            values = (getattr(module, name) for name in getattr(module, "__all__", []))
            waiting += [value for value in values if inspect.ismodule(value) and value.__name__ not in found]
    lacking = sorted(name for name, module in found.items() if not hasattr(module, "__all__"))
    if lacking:
        raise ValueError(f"public modules without an __all__: {', '.join(lacking)}")
    return dict(sorted(found.items()))


def _has_list(file: pathlib.Path) -> bool:
    """Whether a module has an `__all__`, without importing it: some need what an installation may lack."""
    return any(
        isinstance(target, ast.Name) and target.id == "__all__"
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign)
        for target in node.targets
    )


def names(package: ModuleType) -> list[Name]:
    """All public names. AttributeError for one that is in a list and not in its module."""
    found = [
        Name(module, name, getattr(value, name)) for module, value in modules(package).items() for name in value.__all__
    ]
    first: dict[int, Name] = {}
    for name in sorted(found, key=_rank):
        first.setdefault(id(name.value), name)
    return [
        name if first[id(name.value)] is name or name.kind == "module" else _another(name, first[id(name.value)])
        for name in found
    ]


def _another(name: Name, of: Name) -> Name:
    return dataclasses.replace(name, of=of.path)


def _rank(name: Name) -> tuple[bool, bool, int, str]:
    """The name under which a value is described comes first: its own, in the package that it is made in."""
    source = getattr(name.value, "__module__", None) or ""
    own = getattr(name.value, "__name__", name.name) == name.name
    return not own, not f"{source}.".startswith(f"{name.module}."), -name.module.count("."), name.path


def members(name: Name, public: dict[int, Name]) -> tuple[list[str], dict[str, str]]:
    """The methods and properties of a class that its own page describes, and those of public classes above it.

    public : the names by `id` of their values.

    A method that a class redefines without a text of its own keeps what its base promises, and is described there.
    The second result has for each such method the path of the class that describes it.
    """
    own: list[str] = []
    above: dict[str, str] = {}
    for key in dict.fromkeys(_order(name.value)):
        holder = describing(name.value, key)
        place = _public_above(name.value, holder, public)
        if place is None:
            own.append(key)
        else:
            above[key] = place.path
    return own, above


def _order(cls: type) -> list[str]:
    """Public members in the order of the source, those of the class itself first."""
    found = [key for base in cls.__mro__ if base is not object and not _is_foreign(base) for key in vars(base)]
    return [key for key in found if is_member(cls, key)]


def _is_foreign(cls: type) -> bool:
    return not cls.__module__.startswith("nnx")


def is_member(cls: type, key: str) -> bool:
    """Whether a name of a class is a public method or property; `__call__` counts where the class says what it does."""
    value = inspect.getattr_static(cls, key)
    if key == "__call__":
        return bool(value.__doc__)
    if key.startswith("_"):
        return False
    return isinstance(value, property | classmethod | staticmethod) or inspect.isroutine(value)


def describing(cls: type, key: str) -> type:
    """The class whose text a member has: the nearest one where it has one, else the one that has the member first."""
    holders = [base for base in cls.__mro__ if key in vars(base)]
    return next((base for base in holders if vars(base)[key].__doc__), holders[-1])


def _public_above(cls: type, holder: type, public: dict[int, Name]) -> Name | None:
    """The page that describes what `holder` defines: of the public classes above `cls` that have it, the highest."""
    found = [public[id(base)] for base in cls.__mro__[1:] if id(base) in public and issubclass(base, holder)]
    return found[-1] if found else None
