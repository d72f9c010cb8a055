"""From data sets to batches, in the place of the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnx.backends import backend_of, is_array
from nnx.data.row_pools import POOL_BYTES
from nnx.data.stored_arrays import has_stored, with_stored
from nnx.precision import dtype_bytes
from nnx.random import Generator
from nnx.training.batches import ArrayBatches, Batch, Epochs, IterableBatches, Source
from nnx.training.host_data import check_rows, is_iterable_of_batches, positive, split_validation, three
from nnx.training.intake import Intake
from nnx.training.pooled_batches import PooledBatches

LARGEST_COPY = 1 << 28  # bytes: host data that need more, to become of the model's dtype, are converted batch by batch


class Feed(Intake):
    """The part of a model that makes batches of data sets.

    Arrays in memory are checked and brought into place as a whole, where there is room for them; arrays on disk, and
    those too large for the device, batch by batch.
    """

    def _batches(
        self, x: Any, y: Any, sample_weight: Any, class_weight: Any, batch_size: int, generator: Generator | None
    ) -> Source:
        if is_iterable_of_batches(x) and (y is None or not hasattr(x, "__getitem__")):
            for value, what in ((y, "y"), (sample_weight, "sample_weight")):
                if value is not None:
                    raise ValueError(f"{what} goes into the batches, as (x, y, sample_weight), when x is an iterable")
            return IterableBatches(x, lambda *batch: self._prepare(*three(batch), class_weight), generator)  # type: ignore[call-arg]
        x, y, sample_weight = with_stored(x), with_stored(y), with_stored(sample_weight)
        xs = self._host_inputs(x)
        if self._takes_whole(xs) and not has_stored(y) and not has_stored(sample_weight):
            return ArrayBatches(self._prepare(x, y, sample_weight, class_weight), batch_size, generator)
        if not self.built:
            self._build_for(x, xs)
        names = self.output_names or ["y"]
        ys, weights = self._host_targets(y, sample_weight, names)
        check_rows(self.input_names or ["x"], xs, names, ys, weights)
        return self._pooled(
            (xs, ys, weights), lambda xs, ys, ws: self._prepare_lists(xs, ys, ws, class_weight), batch_size, generator
        )

    def _takes_whole(self, xs: list[Any]) -> bool:
        """Whether inputs are brought into place as a whole; on a device, beside as much again for computing."""
        placement = self.placement
        if has_stored(xs):
            return False
        host = [array for array in xs if is_array(array) and backend_of(array).name == "numpy"]
        size = dtype_bytes(placement.dtype)
        if sum(array.size for array in host) * size * 2 > placement.backend.free_bytes(placement.device):
            return False
        copied = [array for array in host if placement.name == "numpy" and array.dtype.name != placement.dtype]
        return bool(sum(array.size for array in copied) * size <= LARGEST_COPY)

    def _input_batches(self, x: Any, batch_size: int) -> Source:
        if is_iterable_of_batches(x):
            return IterableBatches(x, lambda *batch: (self._place_inputs(batch[0]), [], []))
        x = with_stored(x)
        xs = self._host_inputs(x)
        check_rows(self.input_names or ["x"], xs, [], [], [])
        if self._takes_whole(xs):
            return ArrayBatches((self._place_inputs(x), [], []), batch_size, None)
        if not self.built:
            self._build_for(x, xs)
        return self._pooled((xs, [], []), lambda xs, *_: (self._place(xs), [], []), batch_size, None)

    def _pooled(
        self, columns: Batch, prepare: Callable[..., Batch], batch_size: int, generator: Generator | None
    ) -> PooledBatches:
        """Batches of a data set on the host, in memory or on disk, that is brought into place a part at a time."""
        room: float = POOL_BYTES
        if not has_stored(columns):  # else the order of the rows would depend on how much room there is
            room = min(room, self.placement.backend.free_bytes(self.placement.device) / 4)
        return PooledBatches(columns, prepare, batch_size, generator, room)

    def _validation_batches(self, data: Any, batch_size: int, steps: int | None) -> Epochs | None:
        if data is None:
            return None
        if is_iterable_of_batches(data) and not (isinstance(data, tuple | list) and len(data) in (2, 3)):
            source = self._batches(data, None, None, None, batch_size, None)
        elif isinstance(data, tuple | list) and len(data) in (2, 3):
            x, y, sample_weight = three(data)
            source = self._batches(x, y, sample_weight, None, batch_size, None)
        else:
            raise ValueError(
                "validation_data must be (x, y), (x, y, sample_weight) or an iterable of batches, got "
                f"{type(data).__name__}{f' of {len(data)}' if hasattr(data, '__len__') else ''}"
            )
        return Epochs(source, positive(steps, "validation_steps", None), once=True)

    def _split(self, x: Any, y: Any, sample_weight: Any, fraction: float) -> tuple[Any, Any, Any, Any]:
        if y is None or is_iterable_of_batches(x):
            raise ValueError("validation_split needs arrays x and y; for an iterable of batches give validation_data")
        x, y, sample_weight = with_stored(x), with_stored(y), with_stored(sample_weight)
        xs, names = self._host_inputs(x), self.output_names or ["y"]
        ys, weights = self._host_targets(y, sample_weight, names)
        rows = check_rows(self.input_names or ["x"], xs, names, ys, weights)
        columns = [column if len(column) > 1 else column[0] for column in (xs, ys, weights)]
        training, validation = split_validation(columns, rows, fraction)
        return (*training, tuple(validation))
