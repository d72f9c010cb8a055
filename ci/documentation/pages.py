"""The source of the reference pages: one for each public name, and one for each module with the list of its names."""

from __future__ import annotations

import inspect
import itertools
from types import ModuleType

from docstrings import inline, to_rest
from public_names import Name, members, modules, names

_HEADINGS = {"module": "Modules", "class": "Classes", "function": "Functions", "data": "Objects"}
_DIRECTIVES = {"class": "autoclass", "function": "autofunction"}
_ROLES = {"module": "mod", "class": "class", "function": "func", "data": "data"}


class Linker:
    """What a piece of code in a docstring stands for: a public name, or a method of one.

    places : where the code is looked for, from the docstring's own path up to the package.
    """

    def __init__(self, reference: Reference, places: list[str]) -> None:
        self.reference, self.places = reference, places

    def __call__(self, code: str) -> str | None:
        """The path that a piece of code stands for; None where it is anything else."""
        code = code.removesuffix("()")
        if not all(part.isidentifier() for part in code.split(".")):
            return None
        for path in (code, *(f"{place}.{code}" for place in self.places)):
            found = self._path(path)
            if found is not None:
                return found
        elsewhere = [name for name in self.reference.names if name.name == code and name.of is None]
        sure = len(elsewhere) == 1 and elsewhere[0].kind == "class"
        return elsewhere[0].path if sure else None

    def _path(self, path: str) -> str | None:
        reference = self.reference
        if path in reference.by_path or path in reference.modules:
            return path
        owner, _, key = path.rpartition(".")
        name = reference.by_path.get(owner)
        if name is None or name.kind != "class":
            return None
        name = reference.described[id(name.value)]
        own, above = members(name, reference.described)
        return f"{name.path}.{key}" if key in own else f"{above[key]}.{key}" if key in above else None


class Reference:
    """The pages of a package, by the names of their files without extension."""

    def __init__(self, package: ModuleType) -> None:
        self.modules = modules(package)
        self.names = names(package)
        self.by_path = {name.path: name for name in self.names}
        self.described = {id(name.value): name for name in self.names if name.of is None}
        self.files = _files([name.path for name in self.names if name.kind != "module"])

    def pages(self) -> dict[str, str]:
        """The text of each page. The index is "index"; a name's page has its path, see `files`."""
        found = {"index": self.index()}
        found |= {module: self.module_page(module) for module in self.modules}
        found |= {file: self.name_page(self.by_path[path]) for path, file in self.files.items()}
        return found

    def index(self) -> str:
        """The page that lists the modules."""
        rows = [
            (f":py:mod:`{module}`", first_line(inspect.getdoc(value) or "")) for module, value in self.modules.items()
        ]
        return _page(
            "Reference",
            "Every public name of nnx has a page, made of its docstring. A name that is not here is not public.",
            "",
            *_table(rows),
            "",
            ".. toctree::",
            "   :hidden:",
            "",
            *(f"   {module}" for module in self.modules),
        )

    def module_page(self, module: str) -> str:
        """The page of a module: its docstring, and its names with their first lines."""
        value = self.modules[module]
        lines = [f".. py:module:: {module}", "", *to_rest(inspect.getdoc(value) or "", self.linker(module))]
        here = self.of_module(module)
        for kind, heading in _HEADINGS.items():
            rows = [(self.reference(name), self.summary(name)) for name in here if name.kind == kind]
            if rows:
                lines += ["", heading, "-" * len(heading), "", *_table(rows)]
        return _page(module, *lines)

    def of_module(self, module: str) -> list[Name]:
        """The names of a module that have pages, in alphabetical order, and its modules."""
        here = [name for name in self.names if name.module == module]
        return sorted(here, key=lambda name: (name.name.lower(), name.name))

    def name_page(self, name: Name) -> str:
        """The page of a name."""
        lines = [f"In :py:mod:`{name.module}`.", "", f".. py:currentmodule:: {name.module}", ""]
        if name.of is not None:
            described = self.by_path[name.of]
            lines += [
                f".. py:{_of_kind(name)}:: {name.path}",
                "",
                f"   Another name of {self.reference(described, full=True)}: {self.summary(described)}",
            ]
        elif name.kind == "data":
            lines += [f".. py:data:: {name.path}", f"   :type: {_type_of(name.value)}", ""]
            lines += [f"   {line}".rstrip() for line in to_rest(name.text, self.linker(name.path))]
        else:
            lines += [f".. {_DIRECTIVES[name.kind]}:: {name.path}"]
            if name.kind == "class":
                lines += self.class_options(name)
        return ":orphan:\n\n" + _page(name.name, *lines)

    def class_options(self, name: Name) -> list[str]:
        """Which members a class's page describes, and where the others are."""
        own, above = members(name, self.described)
        lines = ["   :show-inheritance:"] if self.has_public_base(name) else []
        if own:
            lines += [f"   :members: {', '.join(key for key in own if key != '__call__') or '__call__'}"]
            lines += ["   :special-members: __call__"] if "__call__" in own else []
        places = itertools.groupby(sorted(above, key=lambda key: (above[key], key)), key=lambda key: above[key])
        for place, keys in places:
            inherited = ", ".join(f":py:obj:`{key} <{place}.{key}>`" for key in keys)
            lines += ["", f"   From :py:class:`~{place}`: {inherited}."]
        return lines

    def has_public_base(self, name: Name) -> bool:
        return any(id(base) in self.described for base in name.value.__bases__)

    def reference(self, name: Name, *, full: bool = False) -> str:
        """A link to a name's page."""
        shown = name.path if full else name.name
        return f":py:{_ROLES[_of_kind(name)]}:`{shown} <{name.path}>`"

    def summary(self, name: Name) -> str:
        """The first line of a name's docstring, or what it is another name of."""
        if name.of is not None:
            return f"Another name of {self.reference(self.by_path[name.of], full=True)}."
        return inline(first_line(name.text), self.linker(name.path))

    def linker(self, module: str) -> Linker:
        return Linker(self, module)


def first_line(text: str) -> str:
    """The first line of a docstring."""
    return text.partition("\n")[0]


def _type_of(value: object) -> str:
    """The class of an object; a type that is an alias is shown as what it stands for."""
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" or kind.__module__.startswith("nnx") else repr(value)


def _files(paths: list[str]) -> dict[str, str]:
    """A file for each path, also where the file system takes `Add` and `add` for the same."""
    files: dict[str, str] = {}
    taken: dict[str, int] = {}
    for path in sorted(paths):
        taken[path.lower()] = number = taken.get(path.lower(), 0) + 1
        files[path] = path if number == 1 else f"{path}-{number}"
    return files


def _of_kind(name: Name) -> str:
    return {"class": "class", "function": "function", "module": "module"}.get(name.kind, "data")


def _page(title: str, *lines: str) -> str:
    return "\n".join([title, "=" * len(title), "", *lines, ""])


def _table(rows: list[tuple[str, str]]) -> list[str]:
    lines = [".. list-table::", "   :widths: 30 70", "   :class: names", ""]
    for left, right in rows:
        lines += [f"   * - {left}", f"     - {right}"]
    return [*lines, ""]
