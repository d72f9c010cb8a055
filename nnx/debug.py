"""Checks that cost time, for when something is wrong."""

from __future__ import annotations

import contextvars
from types import TracebackType
from typing import Any

import numpy as np

from nnx.backends import is_array, to_numpy

_CHECKING: contextvars.ContextVar[bool | None] = contextvars.ContextVar("nnx_check_finite", default=None)
_default = False


class check_finite:  # noqa: N801, it reads as a statement
    """Raise ValueError where NaN or infinity is in the data given to a model.

    Called as a function it holds from then on; in a `with` statement, for the block.

    >>> with check_finite():
    ...     pass  # model.fit(x, y) here raises for NaN in x, y or the sample weights, and says where
    """

    def __init__(self, enabled: bool = True) -> None:
        global _default
        self._enabled = enabled
        self._before = _default
        _default = enabled

    def __enter__(self) -> None:
        global _default
        _default = self._before
        self._token = _CHECKING.set(self._enabled)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _CHECKING.reset(self._token)


def is_checking() -> bool:
    """Whether `check_finite` is on."""
    chosen = _CHECKING.get()
    return _default if chosen is None else chosen


def check_data(**named: Any) -> None:
    """While `check_finite` is on, raise ValueError for the first value that is not finite."""
    if not is_checking():
        return
    for name, value in named.items():
        if value is None:
            continue
        host = to_numpy(value) if is_array(value) else np.asarray(value)
        if host.dtype.kind != "f":
            continue
        finite = np.isfinite(host)
        if not finite.all():
            where = tuple(int(i) for i in np.argwhere(~finite)[0])
            raise ValueError(
                f"{name} has {int((~finite).sum())} values that are not finite, the first is {name}"
                f"[{', '.join(map(str, where))}] = {host[where]}: clean the data, for example with np.nan_to_num"
            )
