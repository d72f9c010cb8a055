"""Functions that are locally constant, or whose values are no floats: they have no derivative, and need none.

All that has neither a rule nor its name here raises where an array is tracked: never a silent constant.
"""

from __future__ import annotations

from typing import Final

LOCALLY_CONSTANT: Final = (
    *("all", "any", "argmax", "argmin", "argsort", "count_nonzero", "nonzero", "searchsorted", "isin"),
    *("bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor"),
    *("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
    *("logical_and", "logical_not", "logical_or", "logical_xor", "isfinite", "isinf", "isnan", "signbit"),
    *("ceil", "floor", "round", "trunc", "sign", "floor_divide", "imag"),
    *("can_cast", "result_type", "broadcast_shapes"),
)
"""By the name in the standard."""
