"""Data of one step of training, as `train_step` gets them: x, (x, y) or (x, y, sample_weight)."""

from __future__ import annotations

from typing import Any


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """Inputs, targets and sample weights as one structure, which `train_step` gets as its `data`.

    x alone stays what it is, unless it is a list or tuple of several inputs, which becomes (x,).

    >>> pack_x_y_sample_weight("x"), pack_x_y_sample_weight("x", "y")
    ('x', ('x', 'y'))
    """
    if y is None and sample_weight is None:
        return (x,) if isinstance(x, list | tuple) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """(x, y, sample_weight) of the `data` of a step, None for what is not there.

    data : x, or a tuple or list (x,), (x, y) or (x, y, sample_weight).

    ValueError for longer ones.

    >>> unpack_x_y_sample_weight(("x", "y"))
    ('x', 'y', None)
    """
    if not isinstance(data, list | tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(f"expected x, (x,), (x, y) or (x, y, sample_weight), got {type(data).__name__} of {len(data)}")
    x, y, sample_weight = (*data, None, None)[:3]
    return x, y, sample_weight
