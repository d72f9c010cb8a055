"""Warnings that point at the line of the user's that led to them, however deep in nnx they arise."""

from __future__ import annotations

import contextvars
import sys
import warnings
from types import FrameType
from typing import Any

__all__ = ["warn_user"]

Place = tuple[str, int, str, dict[Any, Any]]
"""A line as warnings name it: its file, its number, its module, and where the module keeps what it has warned of."""

_PACKAGE = __name__.partition(".")[0]

waiting: contextvars.ContextVar[Place | None] = contextvars.ContextVar("nnx_waiting", default=None)
"""In a thread that nnx started, the line that waits for it; else None."""


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the innermost line that is not nnx's own.

    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn_user("labels look odd")
    >>> str(caught[0].message)
    'labels look odd'
    """
    level, frame = _of_user(sys._getframe(1))
    place = waiting.get()
    if place is not None and frame.f_globals.get("__name__") == "threading":  # all of the thread is nnx's
        filename, line, module, registry = place
        warnings.warn_explicit(message, category, filename, line, module, registry)
    else:
        warnings.warn(message, category, stacklevel=level + 1)


def place_of_user() -> Place:
    """The innermost line that is not nnx's own."""
    names = (frame := _of_user(sys._getframe(1))[1]).f_globals
    return frame.f_code.co_filename, frame.f_lineno, names.get("__name__", ""), names.setdefault(_REGISTRY, {})


_REGISTRY = "__warningregistry__"


def _of_user(frame: FrameType) -> tuple[int, FrameType]:
    """The innermost frame around one that is not of nnx, and at which level it is."""
    level = 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        level, frame = level + 1, frame.f_back
    return level, frame
