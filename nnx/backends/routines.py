"""Routines: functions of compiled code that write into the memory of their first argument."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from nnx.backends.compiler import unobserved


class Routine:
    """A function that writes into its first argument what it computes from the others, which plans can note.

    >>> import numpy as np
    >>> fill = Routine(lambda out, value: out.fill(value))
    >>> x = np.zeros(2)
    >>> fill(x, 3.0)
    >>> x
    array([3., 3.])
    """

    writes_arguments = True  # what NumPy's protocol does not say, and planned arrays have to know

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self._function = function

    @property
    def compute(self) -> Callable[..., Any]:
        """What is called with arrays of NumPy."""
        return self._function

    def __call__(self, out: Any, *arguments: Any) -> Any:
        if type(out) is not np.ndarray:
            return out.__array_function__(self, (type(out),), (out, *arguments), {})  # which notes it
        if sys.getprofile() is None:
            return self.compute(out, *arguments)
        with unobserved():  # what a plan depends on is seen so, and a routine depends on its arguments alone
            return self.compute(out, *arguments)
