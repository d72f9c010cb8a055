"""Step on one batch: training on it, evaluating it, predicting it."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from nnx import ranks
from nnx.backends import Array, array_namespace, to_numpy
from nnx.backends.base import is_on_device
from nnx.debug import finite
from nnx.locks import lock, reentrant_lock
from nnx.optimizers import Optimizer
from nnx.parameters import Freezing, recorders
from nnx.plans.plan import NotPlannable, Plan
from nnx.structure import first_given, leaves, ordered_keys, rebuild
from nnx.training import thread_team
from nnx.training.host_data import widened
from nnx.training.model_plans import ModelPlan, ModelPlans, metrics_noted
from nnx.training.objective import Objective
from nnx.training.pipeline import InputPipeline
from nnx.training.setup import PenalisedLayers
from nnx.training.thread_team import (
    ThreadTeam,
    can_share,
    can_share_training,
    computes_by_rows,
    keeps_nothing_of_batches,
    losses_keep_rows_apart,
)
from nnx.training.trainable import TrainableModel

R = TypeVar("R")

Watched = tuple[list[Array], list[Any], list[Array | None], list[Array | None]]
"""What metrics look at: targets, predictions and sample weights, and the masks of outputs as numbers, 1 for steps that
count; no masks where no output has one."""

_MOST_TEAMS = 4  # of a model that changes in every step
_SHARED = 1 << 17  # numbers that the rows of a batch have, from which on threads share its inference
_AS_IT_IS = contextlib.nullcontext()
_STARTING = lock()  # held by a `fit` while it sees whether it is the only one


class RowsOfInference:
    """Whether the rows of a batch go through a model at inference as if each were alone, and how wide they become.

    widest_row : how many numbers the largest value that layers pass on has for a row; None where that is open.
    """

    def __init__(self, model: TrainableModel) -> None:
        self._apart = model.keeps_rows_apart
        self._recurrent = [layer for _, layer in model.walk() if hasattr(layer, "stateful")]
        self.widest_row = model.widest_row if self._apart else None

    @property
    def keeps_rows_apart(self) -> bool:
        """Whether no row depends on others, nor on those of the batch before."""
        return self._apart and not any(layer.stateful for layer in self._recurrent)


def checked(method: Callable[..., R]) -> Callable[..., R]:
    """Decorator: while `nnx.debug.check_finite` is on, all that the step computes is checked; else it costs a look."""

    @functools.wraps(method)
    def step(self: Any, *batch: Any) -> R:
        if not finite.CHECKING.get(finite.everywhere):
            return method(self, *batch)
        with finite.checks(self.model()):
            return method(self, *batch)

    return step


class BatchStep:
    """Computes the loss of a batch, and lets the model learn from it.

    model : gives the model, to which this has only a weak reference. pipeline : brought the batch into place.
    objective : takes the batches into its running values; None for the model's.
    """

    def __init__(
        self, model: Callable[[], TrainableModel], pipeline: InputPipeline, objective: Objective | None = None
    ) -> None:
        self.model = model
        self.pipeline = pipeline
        self.objective = objective
        self.training = reentrant_lock()  # held by the thread that trains the model
        self.fitting: tuple[int, int] | None = None  # the process and the thread in which `fit` runs
        self.plans = ModelPlans(model)  # of training steps
        self.predictions = ModelPlans(model)
        self.calls = ModelPlans(model)  # by `model(x)`
        self._team: ThreadTeam | None = None  # the threads that share its steps
        self._teams = 0  # how many were made in a row, since the model changes in every step
        self._inference: RowsOfInference | None = None
        self._penalised = PenalisedLayers()

    def apart(self) -> BatchStep:
        """The same step with running values of its own, beside somebody who uses those of the model."""
        apart = BatchStep(self.model, self.pipeline, self.model().require_compiled().copy())
        apart.training, apart.fitting = self.training, self.fitting
        return apart

    @contextlib.contextmanager
    def fit_alone(self) -> Iterator[None]:
        """The time in which `fit` trains the model; RuntimeError if another thread does."""
        with _STARTING:
            self.require_alone("fit")
            outer, self.fitting = self.fitting, _here()
        try:
            with self.training:  # a step of `train_on_batch` may be under way
                yield
        finally:
            self.fitting = outer

    def require_alone(self, method: str) -> None:
        """RuntimeError if `fit` trains the model in another thread."""
        if self.fitting is not None and self.fitting[0] == os.getpid() and self.fitting != _here():
            name = self.model().name
            raise RuntimeError(
                f"{name}.{method}() was called while {name}.fit() runs in another thread: one thread at a time may "
                f"train a model. Wait for it, or train a copy (nnx.models.clone_model)"
            )

    def forget_plans(self) -> None:
        """Drop all plans of the model."""
        for plans in (self.plans, self.predictions, self.calls):
            plans.forget()
        self._team, self._teams, self._inference = None, 0, None

    @property
    def inference(self) -> RowsOfInference:
        """What inference does with the rows of the model as it is."""
        if self._inference is None:
            self._inference = RowsOfInference(self.model())
        return self._inference

    @property
    def penalised(self) -> list[Any]:
        """The layers with a penalty on their output."""
        return self._penalised.of(self.model())

    def begin(self) -> None:
        """Forget the running loss and metrics, before an epoch."""
        self.model().require_compiled().reset()

    def read(self) -> dict[str, Any]:
        """The running loss and metrics on the host."""
        return self.model().require_compiled().read()

    # A batch in place: nothing in here waits for the device

    def train(self, xs: list[Array], ys: list[Array], weights: list[Array | None], whole: int | None = None) -> None:
        """Train the model, and take the batch into the running loss and metrics.

        whole : how many rows the batch has of which these are this rank's; None where they are all here.
        """
        if not self._replay(xs, ys, weights):
            self._train(xs, ys, weights, whole)

    def _replay(self, xs: list[Array], ys: list[Array], weights: list[Array | None]) -> bool:
        """Train by the plans of the gradients and of the update. False, and nothing done, where these are not known.

        False too where somebody observes what the step calls.
        """
        model = self.model()
        optimizer, objective = model.optimizer, self.objective or model.require_compiled()
        if not isinstance(optimizer, Optimizer) or optimizer.is_watched or recorders:
            return False
        if ranks.group() is not None or finite.CHECKING.get(finite.everywhere):
            return False
        flat = model.flat
        update = optimizer.known_update(flat)
        made = None if update is None else self.plans.known_result([*xs, *ys, *weights], objective)
        if update is None or made is None:
            return False
        loss, parts, watched = made if isinstance(made, tuple) else (made, (), None)
        if watched is None:
            optimizer.replay(update, flat)
            flat.start_pass()
        else:
            flat.mark_all_reached()
            objective.watch(*watched)
            optimizer.step(model)
        objective.update(loss, parts, first_given(xs).shape[0])
        return True

    @checked
    def _train(self, xs: list[Array], ys: list[Array], weights: list[Array | None], whole: int | None) -> None:
        model = self.model()
        flat, objective = model.flat, self.objective or model.require_compiled()
        optimizer = model.optimizer or require_optimizer(model)
        rows = whole or first_given(xs).shape[0]
        with ranks.shard_of(rows) as shard:
            if shard is not None and whole is None:
                xs, ys, weights = map(shard.cut, (xs, ys, weights))
            flat.start_pass()
            scale = optimizer.scale_loss(flat)
            if shard is None and type(scale) is float and scale == 1.0:
                loss, parts, watched = self._planned(model, objective, xs, ys, weights)
            else:
                shared = None if shard is not None else self._shared(model, xs, ys, weights, scale)
                loss, parts, watched = shared or self.differentiate(xs, ys, weights, scale)
            if shard is not None:
                flat.add_up(shard)
            if watched is not None:
                objective.watch(*watched)
            optimizer.step(model)
            objective.update(loss, parts, rows)

    def _planned(
        self, model: TrainableModel, objective: Objective, xs: list[Array], ys: list[Array], weights: list[Array | None]
    ) -> tuple[Any, list[Array], Watched | None]:
        """What `differentiate` returns, and a plan of it where there can be one; None for what metrics have seen.

        Its result is the same; the loss alone, where nothing else is left to do.
        """
        arrays, ends = [*xs, *ys, *weights], (len(xs), len(xs) + len(ys))
        computed = False

        def compute(twin: TrainableModel, planned: list[Any], plan: Plan, metrics: bool) -> Any:
            pipeline = InputPipeline(lambda: twin)
            pipeline.setup = self.pipeline.setup
            columns = planned[: ends[0]], planned[ends[0] : ends[1]], planned[ends[1] :]
            loss, parts, watched = BatchStep(lambda: twin, pipeline, objective).differentiate(*columns, 1.0)
            if not metrics:
                return loss, parts, watched
            metrics_noted(objective, plan).watch(*watched)
            return (loss, parts, None) if len(parts) > 1 else loss

        def make() -> ModelPlan:
            losses = [one.training_loss for one in objective.by_output if one.training_loss is not None]
            common: Any = {"flat": model.flat, "losses": [*losses, *objective.by_output]}
            try:
                return ModelPlan(model, arrays, functools.partial(compute, metrics=True), **common)
            except Exception:  # most often since a metric keeps more than sums
                return ModelPlan(model, arrays, functools.partial(compute, metrics=False), **common)

        def as_ever() -> Any:
            nonlocal computed
            computed = True
            shared = self._shared(model, xs, ys, weights, 1.0) if self.plans.is_refused(arrays, objective) else None
            loss, parts, watched = shared or self.differentiate(xs, ys, weights, 1.0)
            objective.watch(*watched)  # here, so that it is seen whether a metric calls code that is not nnx's
            return loss, parts, None

        made = self.plans.of_model(arrays, as_ever, make, objective)
        if not computed:
            model.flat.mark_all_reached()
        return made if isinstance(made, tuple) else (made, [], None)

    def _shared(
        self, model: TrainableModel, xs: list[Array], ys: list[Array], weights: list[Array | None], scale: Any
    ) -> Any:
        """What `differentiate` returns, computed by several threads; None where they cannot share it."""
        rows = first_given(xs).shape[0]
        if not can_share_training(model, rows):
            return None
        if self._team is not None and self._team.holds(model):
            self._teams = 1
        elif self._teams == _MOST_TEAMS or not self._is_team_made(model, xs, ys, weights):
            self._team, self._teams = None, _MOST_TEAMS
            return None
        else:
            self._teams += 1
        return None if self._team is None else self._team.differentiate(self, (xs, ys, weights), rows, scale)

    def _is_team_made(
        self, model: TrainableModel, xs: list[Array], ys: list[Array], weights: list[Array | None]
    ) -> bool:
        """Make the threads, or leave it to a later step; False where they could not compute what one does."""
        setup, objective = self.pipeline.setup or self.pipeline.set_up(ys), self.objective

        def step_of(twin: TrainableModel) -> BatchStep:
            pipeline = InputPipeline(lambda: twin)
            pipeline.setup = setup
            return BatchStep(lambda: twin, pipeline, objective or model.require_compiled())

        self._team = None
        if not keeps_nothing_of_batches(model):
            return False
        try:
            team = ThreadTeam(model, step_of)
            agree = computes_by_rows(model, objective or model.require_compiled()) or team.agrees(
                model, self, (xs, ys, weights), first_given(xs).shape[0]
            )
        except Exception:  # of layers that cannot be copied, or take whole batches alone; a real one comes up again
            return False
        if agree:
            self._team = team
        return agree is not False

    def differentiate(
        self, xs: list[Array], ys: list[Array], weights: list[Array | None], scale: Any
    ) -> tuple[Any, list[Array], Watched]:
        """The loss, that of each output, and what metrics look at; the gradients of the parameters are gathered.

        scale : what the loss is multiplied by before it is differentiated.
        """
        loss, parts, pullback_loss, watched, pullback = self.loss(xs, ys, weights, training=True, scale=scale)
        pullback(pullback_loss(scale), inputs=False)
        if _is_regularised(self.model()):
            penalty, pullback_penalty = self.model().regularization()
            shard = ranks.shard()
            if shard is not None:
                penalty, scale = penalty * shard.share, scale * shard.share
            loss = loss + penalty
            pullback_penalty(scale)
        return loss, parts, watched

    @checked
    def test(self, xs: list[Array], ys: list[Array], weights: list[Array | None], whole: int | None = None) -> None:
        """Take the batch into the running loss and metrics; `whole` as in `train`."""
        model = self.model()
        rows = whole or first_given(xs).shape[0]
        with ranks.shard_of(rows) as shard:
            if shard is not None and whole is None:
                xs, ys, weights = map(shard.cut, (xs, ys, weights))
            objective = self.objective or model.require_compiled()
            if shard is None and self._can_share_inference(model, rows) and losses_keep_rows_apart(objective):
                loss, parts, watched = thread_team.evaluate(self, (xs, ys, weights), rows)
            else:
                loss, parts, watched = self.evaluated(xs, ys, weights)
            objective.watch(*watched)
            objective.update(loss, parts, rows)

    def evaluated(
        self, xs: list[Array], ys: list[Array], weights: list[Array | None]
    ) -> tuple[Any, list[Array], Watched]:
        """The loss, that of each output, and what metrics look at."""
        loss, parts, _, watched, _ = self.loss(xs, ys, weights, training=False)
        if _is_regularised(self.model()):
            loss = loss + self.model().regularization()[0] * ranks.share()
        return loss, parts, watched

    def _can_share_inference(self, model: TrainableModel, rows: int) -> bool:
        """Whether threads can share an evaluation or a prediction of so many rows, which is large enough for that."""
        if not can_share(model, rows):
            return False
        inference = self.inference
        return rows * (inference.widest_row or 1) >= _SHARED and inference.keeps_rows_apart and not self.penalised

    @checked
    def predict(self, xs: list[Array]) -> list[Array]:
        """The outputs."""
        model = self.model()

        def compute(model: TrainableModel, arrays: list[Any], plan: Plan | None = None) -> list[Array]:
            return model.chain(self.pipeline.computed(arrays), training=False)[0]

        rows = first_given(xs).shape[0]
        if self._can_share_inference(model, rows):
            return thread_team.predict(lambda some: compute(model, some), xs, rows)
        return self.predictions.of_model(  # type: ignore[no-any-return]
            xs, lambda: compute(model, xs), lambda: ModelPlan(model, xs, compute)
        )

    def call(self, inputs: Sequence[Any], training: bool | None) -> Any:
        """The outputs of a call of the model, in their structure."""
        model = self.model()

        def compute(model: TrainableModel, arrays: Sequence[Any], plan: Plan | None = None) -> Any:
            return model.run(*arrays, training=training)[0]

        def make() -> ModelPlan:
            if self.penalised:
                raise NotPlannable("its layers keep what they add to the loss")
            return ModelPlan(model, inputs, compute)

        return self.calls.of_model(inputs, lambda: compute(model, inputs), make, training)

    def loss(
        self, xs: list[Array], ys: list[Array], weights: list[Array | None], training: bool, scale: Any = 1.0
    ) -> tuple[Any, list[Array], Any, Watched, Any]:
        """The loss, that of each output, their pullback, what metrics look at, and the model's pullback.

        scale : what the cotangent of the loss is going to be, for penalties on outputs.
        """
        model = self.model()
        objective = self.objective or model.require_compiled()
        setup = self.pipeline.setup or self.pipeline.set_up(ys)
        penalised = self.penalised
        for layer in penalised:
            layer.activity_penalties, layer.activity_scale = [], scale
        try:
            with model.as_decided() if training and model.decided_at != Freezing.changes else _AS_IT_IS:
                outputs, masks, pullback = model.chain(
                    self.pipeline.computed(xs), training=training, logits=setup.logits
                )
            if setup.widens:
                outputs, pullback = widened(outputs, pullback)
            counts: list[Array | None] = []
            if masks[0] is not None or (len(masks) > 1 and any(mask is not None for mask in masks)):
                counts = [mask_as_numbers(*each) for each in zip(masks, outputs, strict=True)]
                ys = [with_axis_of_values(*each) for each in zip(ys, outputs, counts, strict=True)]
            if weights[0] is not None or (len(weights) > 1 and any(weight is not None for weight in weights)):
                ys = [with_axis_of_values(*each) for each in zip(ys, outputs, weights, strict=True)]
            parts, pullback_loss = objective.forward(ys, outputs, weights, counts)
            loss = objective.total(parts)
            for layer in penalised:
                for penalty in layer.activity_penalties or ():
                    loss = loss + penalty
        finally:
            for layer in penalised:
                layer.activity_penalties, layer.activity_scale = None, 1.0
        predictions = list(outputs)
        for index in setup.logits:
            if objective.by_output[index].metrics:
                predictions[index] = model.activate(outputs[index], index)[0]
        return loss, parts, pullback_loss, (ys, predictions, weights, counts), pullback

    # As users give it: these are the methods of the model, which document them

    def train_on_batch(
        self, x: Any, y: Any, sample_weight: Any, class_weight: dict[int, float] | None, return_dict: bool
    ) -> Any:
        model = self.model()
        objective = self.objective or model.require_compiled()
        if self.fitting is not None:
            self.require_alone("train_on_batch")
        try:
            objective.free.pop()
        except IndexError:
            return self.apart().train_on_batch(x, y, sample_weight, class_weight, return_dict)
        try:
            with model.computing, self.training:
                batch = self.pipeline.batch(x, y, sample_weight, class_weight)
                objective.reset()
                self.train(*batch)
                return as_returned(objective.read(), return_dict)
        finally:
            objective.free.append(True)

    def test_on_batch(self, x: Any, y: Any, sample_weight: Any, return_dict: bool) -> Any:
        model = self.model()
        objective = self.objective or model.require_compiled()
        try:
            objective.free.pop()
        except IndexError:
            return self.apart().test_on_batch(x, y, sample_weight, return_dict)
        try:
            with model.computing:
                batch = self.pipeline.batch(x, y, sample_weight)
                objective.reset()
                self.test(*batch)
                return as_returned(objective.read(), return_dict)
        finally:
            objective.free.append(True)

    def predict_on_batch(self, x: Any) -> Any:
        model = self.model()
        with model.computing:
            return as_given(x, self.predict(self.pipeline.inputs(x)), model.output_structure)


def _here() -> tuple[int, int]:
    """This process and this thread."""
    return os.getpid(), threading.get_ident()


def require_optimizer(model: TrainableModel) -> Optimizer:
    """The optimizer; ValueError for a model that was compiled with `optimizer=None`."""
    if model.optimizer is None:
        raise ValueError(
            f"{model.name} was compiled without an optimizer, so it can be evaluated and not trained: write "
            f"{model.name}.compile('adam', loss=...)"
        )
    return model.optimizer


def _is_regularised(model: TrainableModel) -> bool:
    """Whether a trained parameter has a penalty."""
    return any(parameter.regularizer is not None for parameter in model.flat.parameters)


def mask_as_numbers(mask: Array | None, output: Array) -> Array | None:
    """The mask of an output as numbers of its dtype, 1 for what counts; ValueError for one of other sizes."""
    if mask is None:
        return None
    shape = tuple(output.shape)
    if tuple(mask.shape) != shape[: len(mask.shape)]:
        raise ValueError(
            f"the mask of an output must have the sizes of its first axes, as in (batch, time); got a mask of shape "
            f"{tuple(mask.shape)} for an output of shape {shape}: a layer that changes the steps has to change their "
            f"mask in its compute_mask"
        )
    return array_namespace(output).astype(mask, output.dtype)


def with_axis_of_values(y: Array, output: Array, weight: Array | None) -> Array:
    """Targets of steps that have a weight, or a mask, each, (n, time), in the form (n, time, 1) that the output has.

    Without weights of steps the loss may take them as they are.
    """
    if weight is None or y is None or len(y.shape) != len(output.shape) - 1 or output.shape[-1] != 1:
        return y
    of_steps = any(size > 1 for size in weight.shape[1:])
    return array_namespace(y).expand_dims(y, axis=-1) if of_steps else y


def is_host(x: Any) -> bool:
    """Whether data, or the first array of a structure of them, are on the host."""
    first = next((part for part in leaves(x) if part is not None), None) if isinstance(x, list | tuple | dict) else x
    return not is_on_device(first)


def as_returned(logs: dict[str, float], return_dict: bool) -> Any:
    """Results as Keras gives them: a number, a list of the loss and the metrics, or a dict in the order of its keys."""
    if return_dict:
        return {name: logs[name] for name in ordered_keys(logs)}
    values = list(logs.values())
    return values[0] if len(values) == 1 else values


def as_given(x: Any, outputs: list[Array], structure: Any) -> Any:
    """Outputs in the structure of the model's, on the host for host data, else where they are."""
    return rebuild(structure, [to_numpy(y) for y in outputs] if is_host(x) else outputs)
