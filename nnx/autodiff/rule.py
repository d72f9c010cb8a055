"""Rules: what a derivative is written as, one function for each function of the standard.

A rule of one array is called as `rule(f, xp, x, ...)`: with the function itself for what is one level below (the
library's own on plain arrays, the one that records on arrays that an outer tape tracks), with the namespace that
records, and with the arguments. It returns the value and its pull, from the value's cotangent to the argument's, in
that one's shape and dtype; of several arrays it returns a tuple of pulls. Pulls compute with the functions of xp and
operators alone, and so have derivatives themselves.

The value is the library's, and no rule changes it. At a kink the derivative is the symmetric subgradient, equal
arguments get equal shares, and only a slope that is truly vertical is infinite. A cotangent that is exactly 0 stays 0,
see `guards`. No pull divides by what it could multiply.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Function = Callable[..., Any]
"""The function one level below."""

Pull = Callable[[Any], Any]
"""From the cotangent of a value to that of one argument."""
