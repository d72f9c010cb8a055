"""Input pipeline: from what users have to batches in the place of the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nnx import debug
from nnx.arguments import optional_integer
from nnx.backends import Array, array_namespace, backend_of, is_array
from nnx.backends.base import is_on_device
from nnx.data.columns import count_rows
from nnx.data.row_pools import POOL_BYTES
from nnx.data.stored_arrays import has_stored, with_stored
from nnx.debug import finite
from nnx.locks import reentrant_lock
from nnx.precision import dtype_bytes
from nnx.random import Generator
from nnx.shapes import Shape, are_of_shapes
from nnx.structure import leaves, rebuild
from nnx.text.values import is_texts
from nnx.training.batches import (
    ArrayBatches,
    Columns,
    GivenBatches,
    IterableBatches,
    PooledBatches,
    Source,
    StructuredBatches,
)
from nnx.training.class_weights import with_class_weights
from nnx.training.epochs import Epochs
from nnx.training.host_data import (
    as_host_or_array,
    as_list,
    check_rows,
    host_structure,
    is_iterable_of_batches,
    place,
    split_validation,
    three,
    with_ndim,
)
from nnx.training.setup import TrainingSetup
from nnx.training.trainable import TrainableModel
from nnx.utils.step_data import pack_x_y_sample_weight, unpack_x_y_sample_weight

LARGEST_COPY = 1 << 28  # bytes: host data that need more, to become of the model's dtype, are converted batch by batch


class InputPipeline:
    """Checks data and brings them into place: one batch, or the batches of a data set.

    Arrays in memory are checked and brought into place as a whole, where there is room for them; arrays on disk, and
    those too large for the device, batch by batch. Data build a model that is not built yet.

    model : gives the model, to which this has only a weak reference: the model has the pipeline.
    """

    def __init__(self, model: Callable[[], TrainableModel]) -> None:
        self.model = model
        self.setup: TrainingSetup | None = None
        self._setting_up = reentrant_lock()
        self._accepted: Any = None  # the form of host arrays whose inputs can be taken as they are
        self._converts_targets = False  # of those
        self._looking_at_values: list[tuple[Any, Shape]] = []  # losses and metrics that do, and shapes of outputs
        self._accepted_input: Any = None  # and of an input alone

    def forget(self) -> None:
        """Take back what the first batch decided."""
        self.setup = self._accepted = self._accepted_input = None

    def set_up(self, ys: list[Any]) -> TrainingSetup:
        """The setup, which the first targets decide."""
        with self._setting_up:  # of several threads that evaluate, one binds the metrics
            if self.setup is None:
                self.setup = TrainingSetup.of(self.model(), ys)
            return self.setup

    # One batch, or a whole data set as one

    def batch(self, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None) -> Columns:
        """Inputs, targets and weights, checked and in the model's place."""
        if (
            self._accepted is not None
            and sample_weight is None
            and class_weight is None
            and self._form(x, y) == self._accepted
        ):
            for one, shape in self._looking_at_values:
                one.check_targets(y, shape)
            if self._converts_targets and self.setup is not None:
                model = self.model()
                y = place(y, model.placement, self.setup.target_dtypes[0], "y", model.name)
            return [x], [y], [None]
        xs, ys, weights = self._read(x, y, sample_weight)
        batch = self._place_batch(xs, ys, weights, class_weight)
        untouched = len(xs) == len(ys) == 1 and batch[0][0] is x and ys[0] is y
        accepted = untouched and not self.model().ports.readings[0].integers
        self._converts_targets = batch[1][0] is not y
        self._looking_at_values = self._those_looking_at_values() if accepted else []
        self._accepted = self._form(x, y) if accepted else None
        return batch

    def inputs(self, x: Any) -> list[Array]:
        """Inputs for a prediction, checked and in the model's place."""
        if self.takes_as_it_is(x):
            return [x]
        return self._place_inputs(self._built_for(x, self._read_inputs(x)))

    def takes_as_it_is(self, x: Any) -> bool:
        """Whether x is like the last input that was fine, and had no need to be changed."""
        return self._accepted_input is not None and self._form_of_input(x) == self._accepted_input

    def computed(self, xs: list[Array]) -> list[Array]:
        """Inputs as layers compute with them. They come into place as declared: integers may need the least room."""
        model = self.model()
        converted = model.ports.converted
        if not converted:
            return xs
        xp = model.placement.xp
        dtype = getattr(xp, model.placement.dtype)
        return [
            xp.astype(x, dtype, copy=False) if index in converted and x is not None else x for index, x in enumerate(xs)
        ]

    # Data sets

    def batches(
        self, x: Any, y: Any, sample_weight: Any, class_weight: Any, batch_size: int, generator: Generator | None
    ) -> Source:
        """The batches of a data set for training or evaluation.

        generator : shuffles them; None keeps their order.
        """
        if is_iterable_of_batches(x) and (y is None or not hasattr(x, "__getitem__")):
            _refuse_beside_batches(y, sample_weight)
            return IterableBatches(x, lambda *batch: self.batch(*three(batch), class_weight), generator, shared=True)  # type: ignore[call-arg]
        columns = self._read(with_stored(x), with_stored(y), with_stored(sample_weight))

        def prepare(xs: list[Any], ys: list[Any], weights: list[Any]) -> Columns:
            return self._place_batch(xs, ys, weights, class_weight)

        if self._takes_whole(columns):
            return ArrayBatches(prepare(*columns), batch_size, generator, shared=True)
        model = self.model()
        check_rows(model.ports.input_names, columns[0], model.ports.output_names, columns[1], columns[2])
        return self._pooled(columns, prepare, batch_size, generator, shared=True)

    def input_batches(self, x: Any, batch_size: int) -> Source:
        """The batches of a data set for prediction; it has no targets."""
        if is_iterable_of_batches(x):
            return IterableBatches(x, lambda *batch: (self.inputs(batch[0]), [], []))
        x = with_stored(x)
        xs = self._read_inputs(x)
        check_rows(self._input_names(len(xs)), xs, [], [], [])
        columns: Columns = (self._built_for(x, xs), [], [])

        def prepare(xs: list[Any], *_: list[Any]) -> Columns:
            return self._place_inputs(xs), [], []

        if self._takes_whole(columns):
            return ArrayBatches(prepare(*columns), batch_size, None, shared=False)
        return self._pooled(columns, prepare, batch_size, None, shared=False)

    def validation(self, data: Any, batch_size: int, steps: int | None) -> Epochs | None:
        """The data of a validation, pass after pass; None without any."""
        if data is None:
            return None
        if is_iterable_of_batches(data) and not (isinstance(data, tuple | list) and len(data) in (2, 3)):
            source = self.batches(data, None, None, None, batch_size, None)
        elif isinstance(data, tuple | list) and len(data) in (2, 3):
            x, y, sample_weight = three(data)
            source = self.batches(x, y, sample_weight, None, batch_size, None)
        else:
            raise ValueError(
                "validation_data must be (x, y), (x, y, sample_weight) or an iterable of batches, got "
                f"{type(data).__name__}{f' of {len(data)}' if hasattr(data, '__len__') else ''}"
            )
        return Epochs(source, optional_integer("validation_steps", steps), once=True)

    # Data for steps of one's own: any structures, and nothing that a model without `call` does not know

    def structured_batches(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        class_weight: dict[int, float] | None,
        batch_size: int,
        generator: Generator | None,
    ) -> Any:
        """The batches of a data set, each as what `train_step` gets: x, (x, y) or (x, y, sample_weight).

        An iterable may give anything. generator : shuffles them; None keeps their order.
        """
        if is_iterable_of_batches(x) and (y is None or not hasattr(x, "__getitem__")):
            _refuse_beside_batches(y, sample_weight)
            return GivenBatches(x, lambda data: self._placed_structure(_class_weighted(data, class_weight)), generator)
        data = _structure_of_data(with_stored(x), with_stored(y), with_stored(sample_weight))
        data = _class_weighted(data, class_weight)
        parts = leaves(data)
        _count_rows(x, y, sample_weight)

        def prepare(first: list[Any], others: list[Any], _: list[Any]) -> Columns:
            return [self._placed(part) for part in first], [self._placed(part) for part in others], []

        columns: Columns = (parts[:1], parts[1:], [])
        if self._takes_whole(([part for part in parts if part is not None], [], [])):
            return StructuredBatches(ArrayBatches(prepare(*columns), batch_size, generator, shared=False), data)
        return StructuredBatches(self._pooled(columns, prepare, batch_size, generator, shared=False), data)

    def structured_batch(self, x: Any, y: Any, sample_weight: Any, class_weight: dict[int, float] | None = None) -> Any:
        """One batch as what `train_step` gets."""
        _count_rows(x, y, sample_weight)
        return self._placed_structure(_class_weighted(_structure_of_data(x, y, sample_weight), class_weight))

    def structured_validation(self, data: Any, batch_size: int, steps: int | None) -> Epochs | None:
        """The data of a validation for a `test_step`, pass after pass; None without any."""
        if data is None:
            return None
        if is_iterable_of_batches(data) and not (isinstance(data, tuple | list) and len(data) in (1, 2, 3)):
            x, y, sample_weight = data, None, None
        else:
            x, y, sample_weight = unpack_x_y_sample_weight(data)
        source = self.structured_batches(x, y, sample_weight, None, batch_size, None)
        return Epochs(source, optional_integer("validation_steps", steps), once=True)

    def structured_split(self, x: Any, y: Any, sample_weight: Any, fraction: float) -> tuple[Any, Any, Any, Any]:
        """`split` for data of any structure, with targets or without."""
        if is_iterable_of_batches(x):
            raise ValueError("validation_split needs arrays; for an iterable of batches give validation_data")
        columns = [None if part is None else host_structure(with_stored(part), "x") for part in (x, y, sample_weight)]
        rows = _count_rows(*columns)
        training, validation = split_validation(columns, rows, fraction)
        return (*training, tuple(validation))

    def _placed_structure(self, data: Any) -> Any:
        data = _structure_of_part(data, "data")
        return rebuild(data, [self._placed(part) for part in leaves(data)])

    def _placed(self, value: Any) -> Any:
        """An array in the model's place: floats in its dtype, integers and bools as they are."""
        if value is None or is_texts(value):
            return value
        model = self.model()
        value = as_host_or_array(value, "the data of a step")
        integers = not is_on_device(value) and value.dtype.kind in "biu"
        if is_on_device(value):
            integers = not array_namespace(value).isdtype(value.dtype, "real floating")
        placed = place(value, model.placement, None if integers else model.placement.dtype, "the data", model.name)
        debug.check_data(data=None if integers else placed)
        return placed

    def split(self, x: Any, y: Any, sample_weight: Any, fraction: float) -> tuple[Any, Any, Any, Any]:
        """(x, y, sample_weight) of the part for training, and the rest as validation data."""
        if y is None or is_iterable_of_batches(x):
            raise ValueError("validation_split needs arrays x and y; for an iterable of batches give validation_data")
        x, y, sample_weight = with_stored(x), with_stored(y), with_stored(sample_weight)
        model = self.model()
        xs, names = self._read_inputs(x), model.output_names or ["y"]
        ys, weights = self._read_targets(y, sample_weight, names)
        rows = check_rows(self._input_names(len(xs)), xs, names, ys, weights)
        columns = [column if len(column) > 1 else column[0] for column in (xs, ys, weights)]
        training, validation = split_validation(columns, rows, fraction)
        return (*training, tuple(validation))

    def _takes_whole(self, columns: Columns) -> bool:
        """Whether data are brought into place as a whole; on a device, beside as much again for computing."""
        placement = self.model().placement
        if has_stored(columns):
            return False
        host = [array for array in columns[0] if is_array(array) and backend_of(array).name == "numpy"]
        size = dtype_bytes(placement.dtype)
        if sum(array.size for array in host) * size * 2 > placement.backend.free_bytes(placement.device):
            return False
        copied = [array for array in host if placement.name == "numpy" and array.dtype.name != placement.dtype]
        return bool(sum(array.size for array in copied) * size <= LARGEST_COPY)

    def _pooled(
        self,
        columns: Columns,
        prepare: Callable[..., Columns],
        batch_size: int,
        generator: Generator | None,
        shared: bool,
    ) -> PooledBatches:
        """Batches of a data set on the host, in memory or on disk, that is brought into place a part at a time."""
        room: float = POOL_BYTES
        if not has_stored(columns):  # else the order of the rows would depend on how much room there is
            placement = self.model().placement
            room = min(room, placement.backend.free_bytes(placement.device) / 4)
        return PooledBatches(columns, prepare, batch_size, generator, room, shared)

    # Reading: lists of arrays on the host, or of a device, with an entry for each input and each output

    def _read(self, x: Any, y: Any, sample_weight: Any) -> Columns:
        xs = self._built_for(x, self._read_inputs(x))
        ys, weights = self._read_targets(y, sample_weight, self.model().ports.output_names)
        return xs, ys, weights

    def _read_inputs(self, x: Any) -> list[Any]:
        if x is None:
            raise ValueError("x is missing: expected an array, a list, or an iterable of batches")
        model = self.model()
        names = model.ports.input_names if model.built else model.input_names
        if names is None:
            xs = leaves(host_structure(x, "x", self._takes_texts()))
            if any(part is None for part in xs):
                raise ValueError(f"{model.name}: an input is None, and nobody has said that it is optional: give it")
            return xs
        xs = as_list(x, names, "x", model.input_template, texts=self._takes_texts())
        if any(part is None for part in xs):
            model.ports.check_given(xs, model.name)
        return xs

    def _takes_texts(self) -> bool:
        """Whether inputs may be texts: there are layers that take these."""
        model = self.model()
        if model.built:
            return model.ports.has_host_inputs
        return any(layer.on_host for _, layer in model.walk())

    def _input_names(self, count: int) -> list[str]:
        """The names of the inputs, also where they are not known yet."""
        return self.model().input_names or ([f"x[{i}]" for i in range(count)] if count > 1 else ["x"])

    def _read_targets(self, y: Any, sample_weight: Any, names: list[str]) -> tuple[list[Any], list[Any]]:
        model = self.model()
        template = model.output_structure if model.built else None
        if y is not None and model.built:
            y = model.require_compiled().of(names).with_all_targets(y)
        return (
            as_list(y, names, "y", template),
            as_list(sample_weight, names, "sample_weight", template, same_for_all=True),
        )

    def _built_for(self, x: Any, xs: list[Any]) -> list[Any]:
        """The inputs xs, which were read from x, after the model is built for their shapes."""
        model = self.model()
        if not model.built:
            given = host_structure(x, "x", self._takes_texts()) if model.input_names is None else xs[0]
            model.build_for_first_call(model.placement, (given,), [(None, *a.shape[1:]) for a in xs])
        return xs

    # Checking, and bringing into place

    def _form(self, x: Any, y: Any) -> Any:
        """What is looked at in a batch of NumPy arrays, None for anything else: what was fine once is fine again."""
        checking = finite.CHECKING.get(finite.everywhere)
        if type(x) is not np.ndarray or type(y) is not np.ndarray or checking or not x.shape or not len(x):
            return None
        return x.shape, x.dtype, y.shape, y.dtype, id(self.model().placement)

    def _form_of_input(self, x: Any) -> Any:
        """The same for an input alone, of any number of rows."""
        if type(x) is not np.ndarray or not x.shape or not len(x):
            return None
        return x.shape[1:], x.dtype, id(self.model().placement)

    def _place_batch(
        self, xs: list[Any], ys: list[Any], weights: list[Any], class_weight: dict[int, float] | None
    ) -> Columns:
        model = self.model()
        if ys[0] is None and all(y is None for y in ys):
            raise ValueError(f"{model.name} needs targets: pass y, or an iterable of batches (x, y)")
        alone = len(xs) + len(ys) == 2 and weights[0] is None
        if not alone or xs[0].shape[:1] != ys[0].shape[:1] or not xs[0].shape or not xs[0].shape[0]:
            check_rows(model.ports.input_names, xs, model.ports.output_names, ys, weights)
        xs = self._place_inputs(xs)
        setup = self.setup or self.set_up(ys)
        if debug.is_checking():
            for name, arrays in (("x", xs), ("y", ys), ("sample_weight", weights)):
                debug.check_data(**{f"{name}[{i}]" if len(arrays) > 1 else name: a for i, a in enumerate(arrays)})
        self._check_targets(ys)
        if class_weight is not None:
            loss = model.require_compiled().by_output[0].loss
            weights = [with_class_weights(ys, weights, class_weight, loss, setup.output_shapes)]
        placement, name = model.placement, model.name
        ys = [
            None if y is None else place(y, placement, dtype, "y", name)
            for y, dtype in zip(ys, setup.target_dtypes, strict=True)
        ]
        if weights[0] is not None or len(weights) > 1:
            weights = [
                None if weight is None else place(weight, placement, setup.loss_dtype, "sample_weight", name)
                for weight in weights
            ]
        return xs, ys, weights

    def _place_inputs(self, xs: list[Any]) -> list[Array]:
        """Inputs in the model's place, with the shapes it expects."""
        model = self.model()
        expected, placement = model.ports.input_shapes, model.placement
        xs = [with_ndim(x, shape) for x, shape in zip(xs, expected, strict=True)]
        for x, shape in zip(xs, expected, strict=True):
            if x is not None and (tuple(x.shape[1:]) != shape[1:] or len(x.shape) != len(shape)):
                shapes = model.shapes_of(xs)
                model.compute_output_shape(shapes[0] if len(xs) == 1 else shapes)  # raises, unless sizes may vary
        placed = []
        for name, x, reading in zip(model.ports.input_names, xs, model.ports.readings, strict=True):
            if x is None or reading.on_host:
                placed.append(x)
                continue
            for layer in reading.integers:
                if layer.check_indices is not None and not is_on_device(x):
                    layer.check_indices(x)
            dtype = reading.dtype or (None if reading.integers else placement.dtype)
            placed.append(place(x, placement, dtype, name if len(xs) > 1 else "x", model.name))
        untouched = len(xs) == 1 and placed[0] is xs[0] and not model.ports.readings[0].integers
        self._accepted_input = self._form_of_input(xs[0]) if untouched else None
        return placed

    def _check_targets(self, ys: list[Any]) -> None:
        """Let the losses and the metrics look at targets that are on the host."""
        setup, objective = self.setup, self.model().require_compiled()
        for one, y, shape in zip(objective.by_output, ys, setup.output_shapes if setup else [], strict=True):
            if not is_on_device(y):
                if one.loss is not None:
                    one.loss.check_targets(y, shape)
                for metric, _ in one.metrics:
                    metric.check_targets(y, shape)

    def _those_looking_at_values(self) -> list[tuple[Any, Shape]]:
        """The losses and metrics that look at more of the targets than their shape, with the shapes of outputs."""
        shapes = self.setup.output_shapes if self.setup else []
        by_output = zip(self.model().require_compiled().by_output, shapes, strict=True)
        checking = [(one, shape) for part, shape in by_output for one in (part.loss, *(m for m, _ in part.metrics))]
        return [(one, shape) for one, shape in checking if one is not None and not are_of_shapes(one.check_targets)]


def _structure_of_data(x: Any, y: Any, sample_weight: Any) -> Any:
    named = (("y", y), ("sample_weight", sample_weight))
    others = [None if part is None else host_structure(part, name) for name, part in named]
    return pack_x_y_sample_weight(host_structure(x, "x"), *others)


def _class_weighted(data: Any, class_weight: dict[int, float] | None) -> Any:
    """The data of a step with sample weights by the classes of its targets: labels, or one-hot rows."""
    if class_weight is None:
        return data
    x, y, sample_weight = unpack_x_y_sample_weight(data)
    if y is None or isinstance(y, list | tuple | dict):
        raise ValueError("class_weight is for one array of targets; give sample_weight instead")
    y = as_host_or_array(y, "y")
    shape = (None, *y.shape[1:]) if len(y.shape) > 1 else (None, 1)
    return x, y, with_class_weights([y], [sample_weight], class_weight, None, [shape])


def _structure_of_part(value: Any, what: str) -> Any:
    """What an iterable gives as a batch: tuples stay tuples, and dicts dicts; lists of numbers become arrays."""
    if isinstance(value, tuple):
        return tuple(_structure_of_part(part, f"{what}[{i}]") for i, part in enumerate(value))
    return None if value is None else host_structure(value, what)


def _count_rows(x: Any, y: Any, sample_weight: Any) -> int:
    """The number of samples; ValueError where the arrays differ in it."""
    named: dict[str, Any] = {}
    for name, value in (("x", x), ("y", y), ("sample_weight", sample_weight)):
        parts = [] if value is None else leaves(host_structure(with_stored(value), name))
        named |= {f"{name}[{i}]" if len(parts) > 1 else name: part for i, part in enumerate(parts)}
    return count_rows(named)


def _refuse_beside_batches(y: Any, sample_weight: Any) -> None:
    for value, what in ((y, "y"), (sample_weight, "sample_weight")):
        if value is not None:
            raise ValueError(f"{what} goes into the batches, as (x, y, sample_weight), when x is an iterable")
