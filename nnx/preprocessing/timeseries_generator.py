"""Windows of time series with the target of the step after, as Keras 2 had them."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx import random as nnx_random
from nnx.arguments import non_negative_integer, positive_integer
from nnx.data.pydataset import PyDataset

__all__ = ["TimeseriesGenerator"]


class TimeseriesGenerator(PyDataset):
    """Windows of a time series, and for each the target of the step after it, in batches.

    data, targets : a row for each step. length : how many steps a window reaches back. sampling_rate : how far apart
    those are that are taken. stride : how far apart windows end.
    start_index, end_index : the first step of a window, and the last step that is a target; by default all.
    shuffle : whether each batch is of random windows. reverse : whether windows run backwards.
    batch_size : 128 by default. kwargs : for `nnx.utils.PyDataset`.

    ValueError for columns that are not of one length, and where no window is left.
    `nnx.utils.timeseries_dataset_from_array` has targets by the first step.

    >>> windows = TimeseriesGenerator(np.arange(5), np.arange(5) * 10, length=2, batch_size=2)
    >>> [(x.tolist(), y.tolist()) for x, y in windows]
    [([[0, 1], [1, 2]], [20, 30]), ([[2, 3]], [40])]
    """

    def __init__(
        self,
        data: Any,
        targets: Any,
        length: int,
        sampling_rate: int = 1,
        stride: int = 1,
        start_index: int = 0,
        end_index: int | None = None,
        shuffle: bool = False,
        reverse: bool = False,
        batch_size: int = 128,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if len(data) != len(targets):
            raise ValueError(f"data has {len(data)} steps, targets has {len(targets)}")
        self.data, self.targets = data, targets
        self.length = positive_integer("length", length)
        self.sampling_rate = positive_integer("sampling_rate", sampling_rate)
        self.stride = positive_integer("stride", stride)
        self.batch_size = positive_integer("batch_size", batch_size)
        self.start_index = non_negative_integer("start_index", start_index) + self.length
        self.end_index = len(data) - 1 if end_index is None else non_negative_integer("end_index", end_index)
        self.shuffle, self.reverse = shuffle, reverse
        if not self.start_index <= self.end_index < len(data):
            raise ValueError(
                f"of {len(data)} steps, with start_index + length = {self.start_index} and end_index = "
                f"{self.end_index}, none can be a target"
            )
        self.random = nnx_random.default().split()

    def __len__(self) -> int:
        return -(-(self.end_index - self.start_index + 1) // (self.batch_size * self.stride))

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """A batch (windows, targets) by its number, from 0; a random one where it shuffles."""
        if not 0 <= index < len(self):
            raise IndexError(f"there are {len(self)} batches, got the number {index}")
        if self.shuffle:
            steps = self.end_index + 1 - self.start_index
            rows = self.start_index + (self.random.uniform((self.batch_size,)) * steps).astype(int)
        else:
            first = self.start_index + self.batch_size * self.stride * index
            rows = np.arange(first, min(first + self.batch_size * self.stride, self.end_index + 1), self.stride)
        numbers = rows.tolist()
        windows = np.asarray([self.data[row - self.length : row : self.sampling_rate] for row in numbers])
        return windows[:, ::-1] if self.reverse else windows, np.asarray([self.targets[row] for row in numbers])
