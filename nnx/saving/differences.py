"""Differences between two descriptions, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_LONGEST = 60


def differences(then: Any, now: Any, what: str = "") -> Iterator[str]:
    """A text for each place at which two values of plain data differ; `now` is the one that came later.

    >>> list(differences({"units": 3, "rates": [0.1, 0.2]}, {"units": 4, "rates": [0.1, 0.5]}))
    ['units was 3, now it is 4', 'rates[1] was 0.2, now it is 0.5']
    """
    if isinstance(then, dict) and isinstance(now, dict) and then.get("class_name") == now.get("class_name"):
        for key in {**then, **now}:
            inner = what if key == "config" else f"{what}.{key}".lstrip(".")
            yield from differences(then.get(key), now.get(key), inner)
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for index, (before, after) in enumerate(zip(then, now, strict=True)):
            yield from differences(before, after, f"{what}[{index}]")
    elif then != now:
        yield f"{what} was {_brief(then)}, now it is {_brief(now)}"


def _brief(value: Any) -> str:
    if isinstance(value, dict) and "class_name" in value:
        return str(value["class_name"])
    if isinstance(value, list):
        return f"a list of {len(value)}, [{', '.join(_brief(item) for item in value)}]"[:_LONGEST]
    return repr(value)[:_LONGEST]
