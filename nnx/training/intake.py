"""From what users have to what a training step takes."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from nnx import debug
from nnx.backends import Array, backend_of, is_array
from nnx.layers.layer import Layer
from nnx.models.network import Network, Reading
from nnx.shapes import Shape, as_shapes
from nnx.structure import leaves
from nnx.training.batches import Batch
from nnx.training.host_data import as_list, check_rows, host_structure, place, with_class_weights, with_last_axis
from nnx.training.objective import Objective


@dataclasses.dataclass(frozen=True)
class Setup:
    """What a model and its objective agree on once the first targets are seen."""

    output_shapes: list[Shape]
    target_dtypes: list[str]
    loss_dtype: str
    logits: tuple[int, ...]
    penalised: list[Layer]
    regularised: bool


@dataclasses.dataclass(frozen=True)
class Ports:
    """What goes into a model and comes out of it, looked up once."""

    input_names: list[str]
    input_shapes: list[Shape]
    readings: list[Reading]
    output_names: list[str]

    @functools.cached_property
    def converted(self) -> list[int]:
        """The inputs that have a dtype of their own, in which no layer takes them."""
        return [index for index, reading in enumerate(self.readings) if reading.dtype and index not in self.kept]

    @functools.cached_property
    def kept(self) -> list[int]:
        """The inputs whose integers stay what they are inside the model."""
        declared = [reading.feeds_integers and "int" in (reading.dtype or "") for reading in self.readings]
        return [index for index, reading in enumerate(self.readings) if reading.integers or declared[index]]


class Intake(Network):
    """The part of a model that takes data in: checks them and brings them into place."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.objective: Objective | None = None
        self._setup: Setup | None = None
        self._known_ports: Ports | None = None
        self._plain: Any = None  # the form of host arrays that can be taken as they are

    @property
    def input_names(self) -> list[str] | None:
        """The names of the inputs; None while they are not known."""
        return None

    @property
    def output_names(self) -> list[str] | None:
        """The names of the outputs; None while they are not known."""
        return None

    def to(self, name: str, *, device: str | None = None) -> Self:
        """Move the model with the running values of its metrics; see `Network.to`."""
        super().to(name, device=device)
        for _, metric in self.objective.metrics if self.objective else ():
            metric.move(self.placement)
        return self

    def forget_training(self) -> None:
        """Take back what `compile` and the first batch decided from the layers."""
        self._trained = None
        self._setup = None
        self._known_ports = None
        self._plain = None

    @property
    def _ports(self) -> Ports:
        if self._known_ports is None:
            self._known_ports = Ports(
                self.input_names or ["x"], self.input_shapes, self.input_readings, self.output_names or ["y"]
            )
        return self._known_ports

    def _compiled(self) -> Objective:
        if self.objective is None:
            raise ValueError(f"{self.name} must be compiled first: write {self.name}.compile(optimizer, loss)")
        return self.objective

    # One batch, or a whole data set as one

    def _prepare(self, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None) -> Batch:
        """Inputs, targets and weights, checked and in the model's place. Builds the model if it is not built."""
        if (
            self._plain is not None
            and sample_weight is None
            and class_weight is None
            and self._form(x, y) == self._plain
        ):
            self._check_targets([y])
            return [x], [y], [None]
        xs = self._host_inputs(x)
        if not self.built:
            self._build_for(x, xs)
        names = self._ports.output_names
        ys, weights = self._host_targets(y, sample_weight, names)
        batch = self._prepare_lists(xs, ys, weights, class_weight)
        untouched = len(xs) == len(ys) == 1 and batch[0][0] is x and batch[1][0] is y
        self._plain = self._form(x, y) if untouched and not self._ports.readings[0].integers else None
        return batch

    def _form(self, x: Any, y: Any) -> Any:
        """What is looked at in a batch of NumPy arrays, None for anything else: what was fine once is fine again."""
        if type(x) is not np.ndarray or type(y) is not np.ndarray or debug.is_checking() or not x.shape or not len(x):
            return None
        return x.shape, x.dtype, y.shape, y.dtype, id(self._placement)

    def _prepare_lists(
        self, xs: list[Any], ys: list[Any], weights: list[Any], class_weight: dict[int, float] | None = None
    ) -> Batch:
        """The same for lists, with an entry for each input and each output."""
        if ys[0] is None and all(y is None for y in ys):
            raise ValueError(f"{self.name} needs targets: pass y, or an iterable of batches (x, y)")
        alone = len(xs) + len(ys) == 2 and weights[0] is None
        if not alone or xs[0].shape[:1] != ys[0].shape[:1] or not xs[0].shape or not xs[0].shape[0]:
            check_rows(self._ports.input_names, xs, self._ports.output_names, ys, weights)
        xs = self._place(xs)
        setup = self._setup or self._set_up(ys)
        if debug.is_checking():
            for name, arrays in (("x", xs), ("y", ys), ("sample_weight", weights)):
                debug.check_data(**{f"{name}[{i}]" if len(arrays) > 1 else name: a for i, a in enumerate(arrays)})
        if class_weight is not None:
            weights = [with_class_weights(ys, weights, class_weight)]
        self._check_targets(ys)
        placement, name = self.placement, self.name
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

    def _check_targets(self, ys: list[Any]) -> None:
        """Let the losses and the metrics look at targets that are on the host."""
        shapes = self._setup.output_shapes if self._setup else []
        for goal, y, shape in zip(self._compiled().goals, ys, shapes, strict=True):
            if not is_array(y) or backend_of(y).name == "numpy":
                if goal.loss is not None:
                    goal.loss.check_targets(y, shape)
                for metric, _ in goal.metrics:
                    metric.check_targets(y, shape)

    def _set_up(self, ys: Sequence[Any]) -> Setup:
        """What the first batch decides, and `compile` or a new layer takes back."""
        names = self.output_names or [self.name]
        objective = self._compiled().of(names)
        if all(goal.loss is None for goal in objective.goals):
            raise ValueError(f"{self.name} was compiled without a loss: write compile(optimizer, loss='mse')")
        shapes = [(None, *shape[1:]) for shape in as_shapes(self.output_shape)]
        fusible = self.fusible_activations
        for goal, y, shape, activation in zip(objective.goals, ys, shapes, fusible, strict=True):
            if y is not None:
                goal.bind(tuple(y.shape), shape, activation)
            elif goal.needs_targets:
                raise ValueError(f"{self.name} has {len(names)} outputs, {', '.join(names)}: give targets for all")
        for _, metric in objective.metrics:
            metric.move(self.placement)
        layers = [layer for _, layer in self.walk()]
        loss_dtype = "float32" if self.placement.dtype == "float16" else self.placement.dtype
        self._setup = Setup(
            output_shapes=shapes,
            target_dtypes=[
                "int64" if goal.loss is not None and goal.loss.integer_targets else loss_dtype
                for goal in objective.goals
            ],
            loss_dtype=loss_dtype,
            logits=tuple(index for index, goal in enumerate(objective.goals) if goal.takes_logits),
            penalised=[layer for layer in layers if layer.activity_regularizer is not None],
            regularised=any(parameter.regularizer is not None for parameter in self.flat.parameters),
        )
        return self._setup

    def _host_inputs(self, x: Any) -> list[Any]:
        """The inputs in their order: arrays of any backend, or NumPy arrays."""
        if x is None:
            raise ValueError("x is missing: expected an array, a list, or an iterable of batches")
        names = self._ports.input_names if self.built else self.input_names
        if names is None:
            return leaves(host_structure(x, "x"))
        return as_list(x, names, "x", self._composition.inputs if self._composition else None)

    def _host_targets(self, y: Any, sample_weight: Any, names: list[str]) -> tuple[list[Any], list[Any]]:
        template = self.output_structure if self.built else None
        if isinstance(y, dict) and self.built:
            y = {**dict.fromkeys(self._compiled().of(names).without_targets), **y}
        return (
            as_list(y, names, "y", template),
            as_list(sample_weight, names, "sample_weight", template, same_for_all=True),
        )

    def _build_for(self, x: Any, xs: list[Any]) -> None:
        given = host_structure(x, "x") if self.input_names is None else xs[0]
        self.build_for_first_call(self.placement, (given,), [(None, *a.shape[1:]) for a in xs])

    def _place(self, xs: list[Any]) -> list[Array]:
        """Inputs in the model's place, with the shapes it expects."""
        expected = self._ports.input_shapes
        xs = [with_last_axis(x, shape) for x, shape in zip(xs, expected, strict=True)]
        for x, shape in zip(xs, expected, strict=True):
            if tuple(x.shape[1:]) != shape[1:] or len(x.shape) != len(shape):
                shapes = [tuple(x.shape) for x in xs]
                self.compute_output_shape(shapes[0] if len(xs) == 1 else shapes)  # raises, unless sizes may vary
        placed = []
        for x, reading in zip(xs, self._ports.readings, strict=True):
            for layer in reading.integers:
                if layer.check_indices is not None and (not is_array(x) or backend_of(x).name == "numpy"):
                    layer.check_indices(x)
            dtype = reading.dtype or (None if reading.integers else self.placement.dtype)
            placed.append(place(x, self.placement, dtype, "x", self.name))
        return placed

    def _computed(self, xs: list[Array]) -> list[Array]:
        """Inputs as layers compute with them. They come into place as declared: integers may need the least room."""
        converted = self._ports.converted
        if not converted:
            return xs
        xp = self.placement.xp
        dtype = getattr(xp, self.placement.dtype)
        return [xp.astype(x, dtype, copy=False) if index in converted else x for index, x in enumerate(xs)]

    def reads_integers(self, index: int) -> bool:
        return index in self._ports.kept

    def _place_inputs(self, x: Any) -> list[Array]:
        """Inputs for a prediction, in place. Builds the model if it is not built."""
        xs = self._host_inputs(x)
        if not self.built:
            self._build_for(x, xs)
        return self._place(xs)
