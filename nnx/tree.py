"""Functions of nested lists, tuples and dicts, as `keras.tree` has them: of dicts in the order of their keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnx.shapes import is_shape
from nnx.structure import leaves, ordered_keys, rebuild

__all__ = [
    "MAP_TO_NONE",
    "assert_same_paths",
    "assert_same_structure",
    "flatten",
    "flatten_with_path",
    "is_nested",
    "lists_to_tuples",
    "map_shape_structure",
    "map_structure",
    "map_structure_up_to",
    "pack_sequence_as",
    "traverse",
]


class MAP_TO_NONE:  # noqa: N801, the name that Keras gave it
    """What a function of `traverse` returns for a part that becomes None."""


def is_nested(structure: Any) -> bool:
    """Whether it is a list, a tuple or a dict.

    >>> is_nested([1]), is_nested(1)
    (True, False)
    """
    return isinstance(structure, list | tuple | dict)


def flatten(structure: Any) -> list[Any]:
    """The leaves of a structure.

    >>> flatten({"b": [2, 3], "a": 1})
    [1, 2, 3]
    """
    return leaves(structure)


def flatten_with_path(structure: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """The leaves of a structure, each with its path: the keys and places that lead to it.

    >>> flatten_with_path({"b": [2, 3], "a": 1})
    [(('a',), 1), (('b', 0), 2), (('b', 1), 3)]
    """
    return [(path, leaf) for path, leaf in _paths(structure, ())]


def _paths(structure: Any, path: tuple[Any, ...]) -> list[tuple[tuple[Any, ...], Any]]:
    if isinstance(structure, dict):
        parts = [(key, structure[key]) for key in ordered_keys(structure)]
    elif isinstance(structure, list | tuple):
        parts = list(enumerate(structure))
    else:
        return [(path, structure)]
    return [found for key, part in parts for found in _paths(part, (*path, key))]


def map_structure(func: Callable[..., Any], *structures: Any, none_is_leaf: bool = True) -> Any:
    """A structure like the first one, of what a function returns for the leaves at each place of all.

    none_is_leaf : whether the function is called for None; else None stays.

    ValueError for structures that are not alike.

    >>> map_structure(lambda x, y: x + y, {"a": 1, "b": [2]}, {"a": 10, "b": [20]})
    {'a': 11, 'b': [22]}
    """
    if not structures:
        raise ValueError("map_structure takes at least one structure")
    for other in structures[1:]:
        assert_same_structure(structures[0], other)
    values = zip(*map(leaves, structures), strict=True)
    kept = [func(*parts) if none_is_leaf or parts[0] is not None else None for parts in values]
    return rebuild(structures[0], kept)


def map_structure_up_to(shallow_structure: Any, func: Callable[..., Any], *structures: Any) -> Any:
    """A structure like the shallow one, of what a function returns for what stands in the places of its leaves.

    >>> map_structure_up_to([0, 0], len, [[1, 2], [3]])
    [2, 1]
    """
    parts = [_up_to(shallow_structure, structure) for structure in structures]
    return rebuild(shallow_structure, [func(*values) for values in zip(*parts, strict=True)])


def _up_to(shallow: Any, structure: Any) -> list[Any]:
    if not is_nested(shallow):
        return [structure]
    _check_alike(shallow, structure, check_types=False)
    keys = ordered_keys(shallow) if isinstance(shallow, dict) else range(len(shallow))
    return [found for key in keys for found in _up_to(shallow[key], structure[key])]


def pack_sequence_as(structure: Any, flat_sequence: Sequence[Any]) -> Any:
    """A structure like the given one with other leaves, in their order. ValueError for another number of them.

    >>> pack_sequence_as({"a": 1, "b": [2]}, ["x", "y"])
    {'a': 'x', 'b': ['y']}
    """
    expected = len(leaves(structure))
    if len(flat_sequence) != expected:
        raise ValueError(f"expected {expected} leaves for the structure, got {len(flat_sequence)}")
    return rebuild(structure, flat_sequence)


def traverse(func: Callable[[Any], Any], structure: Any, top_down: bool = True) -> Any:
    """A structure in which a function has replaced parts: it is called for the whole, its parts, and their leaves.

    func : returns None for a part that stays, and is gone into; `MAP_TO_NONE` for one that becomes None.
    top_down : whether the whole comes before its parts.

    >>> traverse(lambda part: len(part) if isinstance(part, tuple) else None, [(1, 2), [3]])
    [2, [3]]
    """
    if top_down:
        replaced = func(structure)
        if replaced is not None:
            return None if replaced is MAP_TO_NONE else replaced
    if isinstance(structure, dict):
        made: Any = {key: traverse(func, structure[key], top_down) for key in ordered_keys(structure)}
        structure = {key: made[key] for key in structure}
    elif isinstance(structure, list | tuple):
        parts = [traverse(func, part, top_down) for part in structure]
        structure = type(structure)(*parts) if hasattr(structure, "_fields") else type(structure)(parts)
    if top_down:
        return structure
    replaced = func(structure)
    return structure if replaced is None else None if replaced is MAP_TO_NONE else replaced


def lists_to_tuples(structure: Any) -> Any:
    """A structure with tuples in place of its lists.

    >>> lists_to_tuples([1, {"a": [2]}])
    (1, {'a': (2,)})
    """
    return traverse(lambda part: tuple(part) if isinstance(part, list) else None, structure, top_down=False)


def map_shape_structure(func: Callable[..., Any], structure: Any) -> Any:
    """`map_structure` of shapes, tuples or lists of sizes and None, which are its leaves.

    >>> map_shape_structure(lambda shape: shape[1:], {"a": (None, 2), "b": [(None, 3, 4)]})
    {'a': (2,), 'b': [(3, 4)]}
    """
    return traverse(lambda part: _kept(func(tuple(part))) if is_shape(part) else None, structure)


def _kept(value: Any) -> Any:
    return MAP_TO_NONE if value is None else value


def assert_same_structure(a: Any, b: Any, check_types: Any = None) -> None:
    """ValueError for structures that are not alike: other types, lengths or keys.

    check_types : False lets a list stand for a tuple.

    >>> assert_same_structure([1, (2,)], ["x", ("y",)])
    >>> assert_same_structure([1, (2,)], ["x", ["y"]], check_types=False)
    """
    _check_alike(a, b, check_types=check_types is not False)
    keys = a if isinstance(a, dict) else range(len(a)) if isinstance(a, list | tuple) else ()
    for key in keys:
        assert_same_structure(a[key], b[key], check_types)


def _check_alike(a: Any, b: Any, check_types: bool) -> None:
    """ValueError unless two structures are alike at their top."""
    same_type = type(a) is type(b) or not check_types
    if _outline(a) != _outline(b) or (is_nested(a) and not same_type):
        raise ValueError(f"the structures are not alike: {a!r} and {b!r}")


def _outline(structure: Any) -> Any:
    if isinstance(structure, dict):
        return set(structure)
    return len(structure) if isinstance(structure, list | tuple) else None


def assert_same_paths(a: Any, b: Any) -> None:
    """ValueError for structures whose leaves have other paths; lists and tuples are alike.

    >>> assert_same_paths([1, 2], (3, 4))
    """
    paths = [[path for path, _ in flatten_with_path(one)] for one in (a, b)]
    if paths[0] != paths[1]:
        raise ValueError(f"the structures have leaves at other places: {paths[0]} and {paths[1]}")
