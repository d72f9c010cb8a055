"""Notices: warnings that point to the line of the user, however deep in nnx they come from."""

from __future__ import annotations

import sys
import warnings

__all__ = ["warn_user"]


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """A warning at the nearest line that is not nnx's own.

    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as found:
    ...     warn_user("the mask ends here")
    >>> str(found[0].message)
    'the mask ends here'
    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("nnx."):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
