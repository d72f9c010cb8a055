"""Numbers about parameters and gradients: whether they vanish, explode or die."""

from __future__ import annotations

import dataclasses
from typing import Any

from nnx.backends import Array, array_namespace, to_numpy
from nnx.debug.tables import table

_NUMBERS = ("mean", "std", "min", "max", "norm", "zeros")


@dataclasses.dataclass(frozen=True)
class StatisticsRow:
    """A parameter, or its gradient.

    path : of the parameter, such as "dense_1/kernel". of : "value" or "gradient".
    std : of the elements, around their mean. norm : the Euclidean norm. zeros : the share of elements that are 0.
    """

    path: str
    of: str
    shape: tuple[int, ...]
    mean: float
    std: float
    min: float
    max: float
    norm: float
    zeros: float


class Statistics:
    """What `statistics` found: a list of rows, printed as a table."""

    def __init__(self, rows: list[StatisticsRow]) -> None:
        self.rows = rows

    def __str__(self) -> str:
        lines = []
        for row in self.rows:
            numbers = [f"{getattr(row, name):.3g}" for name in _NUMBERS[:-1]]
            lines.append([row.path, row.of, "x".join(map(str, row.shape)) or "1", *numbers, f"{row.zeros:.0%}"])
        return table(["parameter", "of", "shape", *_NUMBERS], lines)

    __repr__ = __str__


def statistics(model: Any) -> Statistics:
    """Mean, standard deviation, extremes, norm and share of zeros of each parameter, and of its last gradient.

    model : a built model. Parameters that have not been trained yet, or never are, have no gradient.

    >>> import nnx
    >>> model = nnx.Sequential([nnx.layers.Dense(2, kernel_initializer="ones", input_dim=2)])
    >>> print(statistics(model))
    parameter        of  shape  mean  std  min  max  norm  zeros
    dense/kernel  value    2x2     1    0    1    1     2     0%
    dense/bias    value      2     0    0    0    0     0   100%

    In `fit`, at the end of each epoch:

    >>> watcher = nnx.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(statistics(model)))
    """
    model.require_built("parameters")
    named = []
    for path, parameter in model.named_weights().items():
        if not parameter.size:
            continue
        named.append((path, "value", parameter.value))
        if parameter.grad is not None and parameter.pass_number >= 0:
            named.append((path, "gradient", parameter.grad))
    if not named:
        return Statistics([])
    stack = array_namespace(named[0][2]).stack
    numbers = to_numpy(stack([_numbers_of(array) for _, _, array in named])).tolist()  # in one transfer
    return Statistics(
        [
            StatisticsRow(path, of, tuple(array.shape), *found)
            for (path, of, array), found in zip(named, numbers, strict=True)
        ]
    )


def _numbers_of(array: Array) -> Array:
    """The numbers of a row, in their order, in float32 at least."""
    xp = array_namespace(array)
    if not xp.isdtype(array.dtype, "real floating") or xp.finfo(array.dtype).bits == 16:
        array = xp.astype(array, xp.float32)
    zeros = xp.astype(array == 0.0, array.dtype)
    norm = xp.sqrt(xp.sum(array * array))
    values = [xp.mean(array), xp.std(array), xp.min(array), xp.max(array), norm, xp.mean(zeros)]
    return xp.astype(xp.stack(values), xp.float32)
