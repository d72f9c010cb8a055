"""From what users have to what a training step takes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

from nnx import debug
from nnx.backends import Array, array_namespace, backend_of, is_array, to_numpy
from nnx.functional import Pullback
from nnx.layers.base import Layer
from nnx.models.data import (
    ArrayBatches,
    Batch,
    Epochs,
    IterableBatches,
    as_host_or_array,
    count_rows,
    place,
    positive,
    split_validation,
    weights_of_classes,
)
from nnx.models.model import Model
from nnx.models.objective import Objective
from nnx.random import Generator


@dataclasses.dataclass(frozen=True)
class Setup:
    """What a model and its objective agree on once the first targets are seen."""

    output_shape: tuple[int | None, ...]
    target_dtype: str
    penalised: list[Layer]
    regularised: bool


class Intake(Model):
    """The part of a model that takes data in: checks them, brings them into place and makes batches of them."""

    preactivation: Callable[..., tuple[Array, Pullback]]
    """The output before the last activation (the logits) and its pullback, of a model with a `fusible_activation`."""

    activate: Callable[[Array], tuple[Array, Pullback]]
    """Its last activation, for what `preactivation` returned."""

    input_dtype: str | None = None
    """What inputs are converted to; None stands for the floating dtype of the model."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.objective: Objective | None = None
        self._setup: Setup | None = None

    @property
    def fusible_activation(self) -> str | None:
        """The name of the last activation ("softmax" or "sigmoid") if a loss can take its logits instead, else None."""
        return None

    def forget_training(self) -> None:
        """Take back what `compile` and the first batch decided from the layers."""
        self._trained = None
        self._setup = None

    def _compiled(self) -> Objective:
        if self.objective is None:
            raise ValueError(f"{self.name} must be compiled first: write {self.name}.compile(optimizer, loss)")
        return self.objective

    def _prepare(
        self, x: Any, y: Any, sample_weight: Any = None, class_weight: dict[int, float] | None = None
    ) -> Batch:
        """Samples, targets and weights, checked and in the model's place. Builds the model if it is not built."""
        objective = self._compiled()
        if objective.loss is None:
            raise ValueError(f"{self.name} was compiled without a loss: write compile(optimizer, loss='mse')")
        if y is None:
            raise ValueError(f"{self.name} needs targets: pass y, or an iterable of batches (x, y)")
        x = as_host_or_array(x, "x")
        y = as_host_or_array(y, "y")
        if sample_weight is not None:
            sample_weight = as_host_or_array(sample_weight, "sample_weight")
        if x.shape[:1] != y.shape[:1] or not x.shape or not x.shape[0] or sample_weight is not None:
            count_rows({"x": x, "y": y, "sample_weight": sample_weight})
        x = self._place_inputs(x)
        setup = self._setup or self._set_up(y)
        debug.check_data(x=x, y=y, sample_weight=sample_weight)
        if not is_array(y) or backend_of(y).name == "numpy":
            objective.loss.check_targets(y, setup.output_shape)
        if class_weight is not None:
            of_classes = weights_of_classes(to_numpy(y), class_weight)
            sample_weight = of_classes if sample_weight is None else to_numpy(sample_weight) * of_classes
        y = place(y, self.placement, setup.target_dtype, "y", self.name)
        if sample_weight is not None:
            sample_weight = place(sample_weight, self.placement, self.placement.dtype, "sample_weight", self.name)
        return x, y, sample_weight

    def _set_up(self, y: Any) -> Setup:
        """What the first batch decides, and `compile` or a new layer takes back."""
        objective = self._compiled()
        output_shape = (None, *self.output_shape[1:])
        objective.bind(tuple(y.shape), output_shape, self.fusible_activation)
        layers = [layer for _, layer in self.walk()]
        self._setup = Setup(
            output_shape=output_shape,
            target_dtype="int64" if objective.loss.integer_targets else self.placement.dtype,  # type: ignore[union-attr]
            penalised=[layer for layer in layers if layer.activity_regularizer is not None],
            regularised=any(parameter.regularizer is not None for parameter in self.flat.parameters),
        )
        return self._setup

    def _place_inputs(self, x: Any) -> Array:
        """Samples in the model's place, with the shape it expects. Builds the model if it is not built."""
        x = as_host_or_array(x, "x")
        if not self.built:
            self.build((None, *x.shape[1:]))
        expected = self.build_shape
        if len(x.shape) == len(expected) - 1 and expected[-1] == 1:  # as Keras: a vector of single features
            x = array_namespace(x).reshape(x, (*x.shape, 1))
        if tuple(x.shape[1:]) != expected[1:] or len(x.shape) != len(expected):
            self.compute_output_shape(tuple(x.shape))  # raises, unless sizes that may vary differ
        return place(x, self.placement, self.input_dtype or self.placement.dtype, "x", self.name)

    def _batches(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        class_weight: dict[int, float] | None,
        batch_size: int,
        generator: Generator | None,
    ) -> ArrayBatches | IterableBatches:
        if y is None and _is_iterable_of_batches(x):
            if sample_weight is not None:
                raise ValueError("sample_weight goes into the batches, as (x, y, sample_weight), when x is an iterable")
            return IterableBatches(x, lambda *batch: self._prepare(*_three(batch), class_weight))
        x = as_host_or_array(x, "x")
        if self._has_room_for(x):
            return ArrayBatches(self._prepare(x, y, sample_weight, class_weight), batch_size, generator)
        weights = None if sample_weight is None else as_host_or_array(sample_weight, "sample_weight")
        y = as_host_or_array(y, "y")
        count_rows({"x": x, "y": y, "sample_weight": weights})
        on_host = ArrayBatches((x, y, weights), batch_size, generator)
        return IterableBatches(on_host, lambda x, y, w: self._prepare(x, y, w, class_weight))

    def _has_room_for(self, x: Any) -> bool:
        """Whether data can stay on the device, beside as much again for computing; else batches are brought there."""
        placement = self.placement
        return bool(math.prod(x.shape) * 8 < placement.backend.free_bytes(placement.device))

    def _input_batches(self, x: Any, batch_size: int) -> ArrayBatches | IterableBatches:
        if _is_iterable_of_batches(x):
            return IterableBatches(x, lambda *batch: (self._place_inputs(batch[0]), None, None))
        x = as_host_or_array(x, "x")
        count_rows({"x": x})
        if self._has_room_for(x):
            return ArrayBatches((self._place_inputs(x), None, None), batch_size, None)
        on_host = ArrayBatches((x, None, None), batch_size, None)
        return IterableBatches(on_host, lambda *batch: (self._place_inputs(batch[0]), None, None))

    def _validation_batches(self, data: Any, batch_size: int, steps: int | None) -> Epochs | None:
        if data is None:
            return None
        if _is_iterable_of_batches(data) and not (isinstance(data, tuple | list) and len(data) in (2, 3)):
            source = self._batches(data, None, None, None, batch_size, None)
        elif isinstance(data, tuple | list) and len(data) in (2, 3):
            x, y, sample_weight = _three(data)
            source = self._batches(x, y, sample_weight, None, batch_size, None)
        else:
            raise ValueError(
                "validation_data must be (x, y), (x, y, sample_weight) or an iterable of batches, got "
                f"{type(data).__name__}{f' of {len(data)}' if hasattr(data, '__len__') else ''}"
            )
        return Epochs(source, positive(steps, "validation_steps", None), once=True)

    def _split(self, x: Any, y: Any, sample_weight: Any, fraction: float) -> tuple[Any, Any, Any, Any]:
        if y is None or _is_iterable_of_batches(x):
            raise ValueError("validation_split needs arrays x and y; for an iterable of batches give validation_data")
        arrays = [None if a is None else as_host_or_array(a, n) for a, n in ((x, "x"), (y, "y"), (sample_weight, "w"))]
        count_rows({"x": arrays[0], "y": arrays[1], "sample_weight": arrays[2]})
        training, validation = split_validation(arrays, fraction)
        return (*training, tuple(validation))


def _is_iterable_of_batches(x: Any) -> bool:
    """Whether x gives batches, other than an array, a table or a list of samples."""
    if is_array(x) or hasattr(x, "__array__") or isinstance(x, str | bytes | dict):
        return False
    if isinstance(x, list | tuple):
        return bool(x) and isinstance(x[0], tuple) and any(is_array(part) for part in x[0])
    return hasattr(x, "__iter__") or (hasattr(x, "__getitem__") and hasattr(x, "__len__"))


def _three(batch: Sequence[Any]) -> Batch:
    return (*batch, *[None] * (3 - len(batch)))
