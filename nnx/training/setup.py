"""Decisions that wait for the first targets: dtypes and logits; and which layers have penalties."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Self

from nnx.backends.base import is_on_device
from nnx.graph.layer_dtypes import dtypes_inside
from nnx.parameters import ATTRIBUTE_CHANGE
from nnx.shapes import Shape, as_shapes
from nnx.training.trainable import TrainableModel
from nnx.user_warnings import warn_user


@dataclasses.dataclass(frozen=True)
class TrainingSetup:
    """What a model and its objective agree on once the first targets are seen.

    output_shapes : with None for the batch. target_dtypes : what targets are converted to, for each output.
    loss_dtype : what losses are computed in: float32 for a model in float16.
    widens : whether outputs may be float16, of which losses are computed in float32.
    logits : the outputs whose loss contains their last activation.
    """

    output_shapes: list[Shape]
    target_dtypes: list[str]
    loss_dtype: str
    widens: bool
    logits: tuple[int, ...]

    @classmethod
    def of(cls, model: TrainableModel, ys: Sequence[Any]) -> Self:
        """The setup of a built and compiled model for targets like these; ValueError where they do not fit it."""
        names = model.output_names or [model.name]
        objective = model.require_compiled().of(names)
        if all(one.loss is None for one in objective.by_output):
            raise ValueError(f"{model.name} was compiled without a loss: write compile(optimizer, loss='mse')")
        shapes = [(None, *shape[1:]) for shape in as_shapes(model.output_shape)]
        fusible = model.fusible_activations
        for name, one, shape, activation in zip(names, objective.by_output, shapes, fusible, strict=True):
            loss = one.loss  # those of one-hot targets look at the number of classes themselves
            warns_itself = loss is not None and loss.fuses_with == "softmax" and not loss.integer_targets
            if activation == "softmax" and shape[-1] == 1 and not warns_itself:
                warn_user(
                    f"output {name!r} of {model.name} is softmax of one unit, which is always 1: for two classes end "
                    f"in Dense(1, activation='sigmoid') with 'binary_crossentropy', for numbers without an activation"
                )
        for one, y, shape, activation in zip(objective.by_output, ys, shapes, fusible, strict=True):
            if y is not None:
                one.bind(tuple(y.shape), shape, activation)
                if not is_on_device(y):
                    for metric, _ in one.metrics:
                        metric.question_targets(y)
            elif one.needs_targets:
                raise ValueError(f"{model.name} has {len(names)} outputs, {', '.join(names)}: give targets for all")
        objective.held = model.own_metrics()
        for _, metric in objective.metrics:
            metric.move(model.placement)
        loss_dtype = "float32" if model.placement.dtype == "float16" else model.placement.dtype
        return cls(
            output_shapes=shapes,
            target_dtypes=[
                "int64" if one.loss is not None and one.loss.integer_targets else loss_dtype
                for one in objective.by_output
            ],
            loss_dtype=loss_dtype,
            widens="float16" in dtypes_inside([model]),
            logits=tuple(index for index, one in enumerate(objective.by_output) if one.takes_logits),
        )


class PenalisedLayers:
    """The layers of a model that have, or may have, a penalty on their output, looked for again after a change."""

    def __init__(self) -> None:
        self._layers: list[Any] = []
        self._seen: object = None

    def of(self, model: TrainableModel) -> list[Any]:
        """These layers of a model, the same one each time."""
        if self._seen is not ATTRIBUTE_CHANGE.last:
            self._seen = ATTRIBUTE_CHANGE.last
            self._layers = [one for _, one in model.walk() if one.activity_regularizer is not None or one.is_eager]
        return self._layers
