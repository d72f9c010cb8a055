"""Windows of time series."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.arguments import choice, is_integer, positive_integer
from nnx.backends import to_numpy
from nnx.data.dataset import Dataset
from nnx.utils.folders import FORMATS


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: str = "tf",
) -> Dataset:
    """Windows over a time series, and for each the target of its first step.

    data : (steps, ...). targets : for each step one, or None; a window whose target is missing is left out.
    sequence_length : how many steps a window has. sampling_rate : how far apart they are.
    sequence_stride : how far apart windows begin.
    batch_size : None gives the windows one by one. shuffle, seed : as for `nnx.data.DataLoader`.
    start_index, end_index : the steps before the one, and from the other on, are not used. format : Keras'
        "tf" or "grain"; the loader is the same.

    Batches are x (batch, sequence_length, ...), or (x, y), in the dtypes of data and targets. ValueError for numbers
    that do not fit the data.

    >>> import numpy as np
    >>> for x, y in timeseries_dataset_from_array(np.arange(5), np.arange(5) * 10, 3, batch_size=2):
    ...     print(x.tolist(), y.tolist())
    [[0, 1, 2], [1, 2, 3]] [0, 10]
    [[2, 3, 4]] [20]
    """
    choice("format", format, FORMATS)
    series = to_numpy(data)
    length = len(series)
    for what, value in (("sequence_stride", sequence_stride), ("sampling_rate", sampling_rate)):
        if not is_integer(value, least=1) or value >= length:
            raise ValueError(f"{what} must be an integer from 1 to {length - 1}, below the length, got {value!r}")
    positive_integer("sequence_length", sequence_length)
    for what, index in (("start_index", start_index), ("end_index", end_index)):
        if index is not None and (not is_integer(index, least=0) or int(index) >= length):
            raise ValueError(f"{what} must be an integer from 0 to {length - 1}, below the length, got {index!r}")
    used = slice(start_index or 0, end_index)
    if end_index is not None and end_index <= used.start:
        raise ValueError(f"end_index must be higher than start_index {start_index}, got {end_index}")
    series = series[used]
    ys = None if targets is None else to_numpy(targets)[used]
    windows = len(series) - (sequence_length - 1) * sampling_rate
    if targets is not None and ys is not None:
        windows = min(windows, len(ys))
    starts = np.arange(0, max(windows, 0), sequence_stride)
    steps = np.arange(sequence_length) * sampling_rate

    def window(start: Any) -> tuple[Any, ...]:
        x = series[np.asarray(start)[..., None] + steps]
        return (x,) if ys is None else (x, ys[start])

    source: Any = starts if len(starts) else range(0)  # columns may not be empty
    return Dataset(source, batch_size=batch_size, shuffle=shuffle, map=window, seed=seed)
