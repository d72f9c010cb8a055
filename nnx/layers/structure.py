"""Nested lists, tuples and dicts of values, as models with several inputs and outputs have them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any


def leaves(structure: Any) -> list[Any]:
    """What is in nested lists, tuples and dicts, in order; something else is its own only leaf.

    >>> leaves({"a": 1, "b": [2, 3]})
    [1, 2, 3]
    """
    if isinstance(structure, dict):
        return [leaf for item in structure.values() for leaf in leaves(item)]
    if isinstance(structure, list | tuple):
        return [leaf for item in structure for leaf in leaves(item)]
    return [structure]


def rebuild(template: Any, values: Sequence[Any]) -> Any:
    """A structure like the template with other leaves.

    >>> rebuild({"a": 1, "b": [2, 3]}, "xyz")
    {'a': 'x', 'b': ['y', 'z']}
    """
    return _rebuild(template, iter(values))


def _rebuild(template: Any, values: Iterator[Any]) -> Any:
    if isinstance(template, dict):
        return {key: _rebuild(item, values) for key, item in template.items()}
    if isinstance(template, list | tuple):
        return type(template)([_rebuild(item, values) for item in template])
    return next(values)
