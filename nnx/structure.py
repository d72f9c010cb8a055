"""Nested lists, tuples and dicts of values, as models with several inputs and outputs have them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any


def leaves(structure: Any) -> list[Any]:
    """What is in nested lists, tuples and dicts, of dicts in the order of their keys; else it is its own only leaf.

    >>> leaves({"b": [2, 3], "a": 1})
    [1, 2, 3]
    """
    if isinstance(structure, dict):
        return [leaf for key in ordered_keys(structure) for leaf in leaves(structure[key])]
    if isinstance(structure, (list, tuple)):
        return [leaf for item in structure for leaf in leaves(item)]
    return [structure]


def first_given(values: Sequence[Any]) -> Any:
    """The first value that is not None.

    >>> first_given([None, 1, 2])
    1
    """
    if values[0] is not None:  # as nearly always
        return values[0]
    return next(value for value in values if value is not None)


def contents(structure: Any) -> Iterator[Any]:
    """What is in nested lists, tuples and dicts, in the order in which it was put there.

    >>> list(contents({"b": [2, 3], "a": 1}))
    [2, 3, 1]
    """
    if isinstance(structure, dict):
        structure = structure.values()
    elif not isinstance(structure, (list, tuple)):
        yield structure
        return
    for part in structure:
        yield from contents(part)


def ordered_keys(structure: dict[Any, Any]) -> list[Any]:
    """The keys of a dict in ascending order, in which Keras takes its items; as they came, if they have no order.

    >>> ordered_keys({"b": 1, "a": 2})
    ['a', 'b']
    """
    try:
        return sorted(structure)
    except TypeError:
        return list(structure)


def leaves_like(template: Any, value: Any, what: str) -> list[Any]:
    """The leaves of a value in the order of a template: of dicts by their keys, of lists and tuples by position.

    A list or tuple of all leaves in that order will do, too. What stands in the place of a leaf is a leaf. ValueError
    says where the two do not go together; what : the value's name in it.

    >>> leaves_like({"a": 0, "b": [1, 2]}, {"b": ["y", "z"], "a": "x"}, "input")
    ['x', 'y', 'z']
    """
    if not isinstance(template, (dict, list, tuple)):
        return [value]
    if isinstance(template, dict) and isinstance(value, dict):
        if set(value) != set(template):
            raise ValueError(f"{what} is a dict of {sorted(map(str, value))}, expected {sorted(map(str, template))}")
        items = [(template[key], value[key], f"{what}[{key!r}]") for key in ordered_keys(template)]
    elif isinstance(value, (list, tuple)) and len(value) == len(template):
        parts = [template[key] for key in ordered_keys(template)] if isinstance(template, dict) else template
        items = [(part, item, f"{what}[{i}]") for i, (part, item) in enumerate(zip(parts, value, strict=True))]
    else:
        count = len(leaves(template))
        if count == 1 and not isinstance(value, (dict, list, tuple)):
            return [value]
        if isinstance(value, (list, tuple)) and len(value) == count:
            return list(value)
        form = f"dict of {sorted(map(str, template))}" if isinstance(template, dict) else f"list of {len(template)}"
        given = f"{type(value).__name__}{f' of {len(value)}' if isinstance(value, (dict, list, tuple)) else ''}"
        raise ValueError(f"{what} must be a {form}, got {given}")
    return [leaf for part, item, where in items for leaf in leaves_like(part, item, where)]


def rebuild(template: Any, values: Sequence[Any]) -> Any:
    """A structure like the template with other leaves, which come in the order of `leaves`.

    >>> rebuild({"b": [2, 3], "a": 1}, "xyz")
    {'b': ['y', 'z'], 'a': 'x'}
    """
    return _rebuild(template, iter(values))


def _rebuild(template: Any, values: Iterator[Any]) -> Any:
    if isinstance(template, dict):
        made = {key: _rebuild(template[key], values) for key in ordered_keys(template)}
        return {key: made[key] for key in template}
    if isinstance(template, (list, tuple)):
        return type(template)([_rebuild(item, values) for item in template])
    return next(values)
