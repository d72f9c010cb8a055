"""Plans of a model's computations: what it computes on one form of batch, noted once and replayed.

A small step is mostly Python: layers, checks and allocations around calls of NumPy that take a microsecond each. Here
the step runs once on a copy of the model, whose parameters are the same memory as planned arrays; the plan is the list
of those calls, and its results are those of the step, bit for bit. What may change from step to step is memory, which
the plan reads again: the batch, the parameters, the states of layers; random numbers are drawn as ever. The optimizer
is not in it. Where code branches on values, the plan has the branch that it was made on; for values that take another
one the step is computed as ever.

A step is replayed only where nothing of it can have changed unseen. It has no plan if a layer changes itself, if its
arrays are large, or if code that is not nnx's may depend on more than can be compared (see `nnx.plans.dependencies`),
unless the model was compiled with `jit_compile=True`. A plan is made again where an attribute of a layer or a loss was
set since, or the parameters moved. So it is with predictions.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import operator
import weakref
from collections.abc import Callable, Iterator, Sequence
from types import FunctionType, MethodType
from typing import Any

import numpy as np

from nnx.backends.context import Placement, create_as_before, create_at
from nnx.graph.layer_dtypes import dtypes_inside
from nnx.layers import Lambda, Layer
from nnx.losses import Loss
from nnx.metrics import Metric
from nnx.metrics.tally import Tally
from nnx.optimizers import Optimizer
from nnx.parameters import ATTRIBUTE_CHANGE, ComparedAttributes, FlatParameters, Freezing, Parameter
from nnx.plans.array import PlannedArray, reader, unplanned
from nnx.plans.backend import PLANNED, noting
from nnx.plans.dependencies import Dependencies
from nnx.plans.draws import planned_draws
from nnx.plans.plan import Departure, NotPlannable, Plan
from nnx.plans.replays import Replays
from nnx.random import Generator
from nnx.regularizers import Regularizer
from nnx.training.objective import Objective
from nnx.training.trainable import TrainableModel

_ROOM = 1 << 22  # bytes: beyond, the calls themselves take the time
_FUNCTIONS = (FunctionType, MethodType, functools.partial)
_MOST_DEPARTURES = 16  # of a plan, before it is made again for the values that come now


class ModelPlans(Replays):
    """The plans of one computation of a model.

    model : gives the model, to which this has only a weak reference.
    """

    def __init__(self, model: Callable[[], TrainableModel]) -> None:
        super().__init__()
        self._model = model

    def of_model(
        self, arrays: Sequence[Any], compute: Callable[[], Any], make: Callable[[], ModelPlan], *key: Any
    ) -> Any:
        """The result for a batch, arguments as for `result`; `make` only makes a plan."""
        return self.result(arrays, compute, functools.partial(self._made, make), self._look, *key)

    def _made(self, make: Callable[[], ModelPlan], read: Dependencies) -> ModelPlan:
        model = self._model()
        wished = (model.compile_arguments or {}).get("jit_compile", "auto")
        if wished is False:
            raise NotPlannable("it was compiled with jit_compile=False or run_eagerly=True")
        if wished is not True and read.problem is not None:
            raise NotPlannable(read.problem)
        if model.own_metrics():
            raise NotPlannable("layers keep metrics")
        return make()

    def _look(self) -> Dependencies | None:
        model = self._model()
        return None if is_watched(model) else _dependencies_of(model)


class ModelPlan:
    """The plan of what a model computes for batches of one form.

    model : whose computation it is. arrays : of a batch, or None.
    compute : the computation of a copy of the model on planned arrays; returns what `run` does.
    flat : the buffer of the parameters, where it gathers gradients. losses : what else the computation depends on.

    NotPlannable where there can be none.
    """

    def __init__(
        self,
        model: TrainableModel,
        arrays: Sequence[Any],
        compute: Callable[[TrainableModel, list[Any], Plan], Any],
        flat: FlatParameters | None = None,
        losses: Sequence[Any] = (),
    ) -> None:
        dtypes = dtypes_inside([model])
        if model.placement.name != "numpy" or "float16" in dtypes or len(dtypes) > 1:
            raise NotPlannable("plans are for NumPy, and not for mixed precision")
        layers = [layer for _, layer in model.walk()]
        self._layers = list(map(weakref.ref, layers))
        self._compared = ATTRIBUTE_CHANGE.last
        owners = [*layers, *losses, *_regularizers_of(model, layers)]
        self._attributes = attributes_of([owner for owner in owners if isinstance(owner, ComparedAttributes)])
        self._silent = attributes_of([owner for owner in owners if not isinstance(owner, ComparedAttributes)])
        self._model = weakref.ref(model)
        self._decided, self._flat, self._departures = Freezing.changes, flat, 0
        self.plan = plan = Plan(_ROOM)
        placement = Placement(PLANNED, None, model.placement.dtype)
        trained: dict[int, Parameter] = {}
        mirrored = None
        if flat is not None:
            mirrored = flat.mirrored(lambda array: PlannedArray(array, plan), placement)
            trained = dict(zip(map(id, flat.parameters), mirrored.parameters, strict=True))
        self._values = [(parameter, parameter.value) for parameter in model.weights]
        self._penalties = [(parameter, parameter.regularizer) for parameter in model.weights]
        others = [(p, value) for p, value in self._values if id(p) not in trained]
        states = {id(p): p.like(PlannedArray(value, plan)) for p, value in others}
        attributes = [value for layer in layers for value in vars(layer).values()]
        self._generators = [value for value in attributes if isinstance(value, Generator)]
        given = [None if array is None else PlannedArray(plan.memory_for(array), plan) for array in arrays]
        self._memories = [(index, array.value) for index, array in enumerate(given) if array is not None]
        plan.protect([value for _, value in others])
        try:
            with _noting(plan, model, placement, mirrored, trained | states, self._generators) as twin:
                self._results = reader(compute(twin, given, plan), given)
        finally:
            for array, value in plan.changed:
                array[...] = value
        reached = set(map(id, mirrored.reached)) if mirrored is not None else set()
        self._unreached = [p for p in flat.parameters if id(trained[id(p)]) not in reached] if flat is not None else []

    def holds(self) -> bool:
        """Whether the model, and what it computes with, is as it was."""
        model: Any = self._model()
        return (
            self._departures < _MOST_DEPARTURES
            and (self._flat is None or model.flat is self._flat)
            and Freezing.changes == self._decided
            and all([parameter.memory is value for parameter, value in self._values])  # noqa: C419, a list is faster
            and (not self._silent or are_as_they_were(self._silent))
            and (ATTRIBUTE_CHANGE.last is self._compared or self._are_attributes_as_they_were())
        )

    def _are_attributes_as_they_were(self) -> bool:
        last, model = ATTRIBUTE_CHANGE.last, self._model()
        layers = [layer for _, layer in model.walk()] if model is not None else []
        same = len(layers) == len(self._layers) and all(map(operator.is_, layers, [ref() for ref in self._layers]))
        same = same and all(parameter.regularizer is penalty for parameter, penalty in self._penalties)
        if not same or not are_as_they_were(self._attributes):
            return False
        self._compared = last
        return True

    def run(self, arrays: Sequence[Any]) -> Any:
        """The result for a batch; the gradients of all parameters are in the buffer.

        None, and nothing else has changed, where it has to be computed as ever for these values.
        """
        for index, memory in self._memories:
            memory[...] = arrays[index]
        if not self.plan.branches:
            self.plan.replay()
        elif not self._replay_or_undo():
            return None
        for parameter in self._unreached:
            parameter.grad[...] = 0.0  # type: ignore[index]
        return self._results(arrays)

    def _replay_or_undo(self) -> bool:
        """Whether a plan with branches was replayed to its end; else states and streams are as they were before."""
        values = [array.copy() for array, _ in self.plan.changed]
        streams = [generator.state() for generator in self._generators]
        try:
            self.plan.replay()
        except Departure:
            self._departures += 1
            for (array, _), value in zip(self.plan.changed, values, strict=True):
                array[...] = value
            for generator, state in zip(self._generators, streams, strict=True):
                generator.set_state(state)
            return False
        return True


@contextlib.contextmanager
def _noting(
    plan: Plan,
    model: TrainableModel,
    placement: Placement,
    flat: FlatParameters | None,
    twins: dict[int, Parameter],
    generators: list[Generator],
) -> Iterator[TrainableModel]:
    """The time in which a plan is made, with a copy of the model whose parameters are the twins."""
    memo: dict[int, Any] = {id(layer.placement): placement for _, layer in model.walk()}
    memo |= {id(generator): generator for generator in generators}  # the streams of the model itself
    twin = twin_of(model, memo | twins)
    if flat is not None:
        twin.train_in(flat)
    attributes = attributes_of([layer for _, layer in twin.walk()])
    before = create_at(placement)
    try:
        with planned_draws(plan, generators), noting(plan):
            yield twin
    finally:
        create_as_before(before)
    if not are_as_they_were(attributes):
        raise NotPlannable("a layer changes its attributes in every step")


def twin_of(model: TrainableModel, memo: dict[int, Any]) -> TrainableModel:
    """A copy of a model without what trains it. memo : what stands for objects of the model, by their identity."""
    without = {id(part): None for part in (model.optimizer, model.objective, model.history)}
    with model.as_decided():
        return copy.deepcopy(model, without | memo)


class _PlannedTally:
    """In place of a sum of a metric: each replay adds to that, which an epoch begins anew.

    metric, name : whose sum it is, and in which of its attributes.
    """

    def __init__(self, metric: Metric, name: str, plan: Plan) -> None:
        self._metric, self._name, self._plan = metric, name, plan

    def add(self, amount: Any) -> None:
        """Note that this is added."""
        amount = unplanned(amount)
        self._plan.note_effect(self._add_memory if isinstance(amount, np.ndarray) else self._add, amount)

    def _add(self, amount: Any) -> None:
        getattr(self._metric, self._name).add(amount)

    def _add_memory(self, amount: np.ndarray) -> None:
        self._add(amount.copy() if amount.shape else amount[()])


def metrics_noted(objective: Objective, plan: Plan) -> Objective:
    """The same losses, and metrics whose sums go to those of the objective when the plan is replayed."""
    twin = copy.copy(objective)
    twin.by_output = [copy.copy(one) for one in objective.by_output]
    for one in twin.by_output:
        one.metrics = [(_metric_noted(metric, plan), weighted) for metric, weighted in one.metrics]
    return twin


def _metric_noted(metric: Metric, plan: Plan) -> Metric:
    """A copy of a metric that notes its sums; NotPlannable for one that keeps anything else."""
    sums = [name for name in metric.running if name != "_dtype"]
    if not (type(metric).__module__.startswith("nnx.") and all(isinstance(getattr(metric, n), Tally) for n in sums)):
        raise NotPlannable(f"the metric {metric.name!r} keeps more than sums")
    twin = copy.copy(metric)
    for name in sums:
        setattr(twin, name, _PlannedTally(metric, name, plan))
    return twin


def _dependencies_of(model: TrainableModel) -> Dependencies:
    """Dependencies of what a model computes: what comes with nnx's layers is compared already, or does not matter."""
    layers = {id(layer) for _, layer in model.walk()}
    of_nnx: Any = next(cls for cls in type(model).__mro__ if cls.__module__.startswith("nnx."))
    common = {*vars(Layer()), *vars(of_nnx())}
    metrics: set[int] = set()

    def attributes_of(value: Any) -> dict[str, Any] | None:
        if isinstance(value, Layer):
            own = vars(value).items()
            return {n: v for n, v in own if n not in common} if id(value) in layers else None
        if isinstance(value, Optimizer) or (isinstance(value, Metric) and id(value) not in metrics):
            return None
        return vars(value) if isinstance(value, Loss | Regularizer) else {}

    weights = set(map(id, model.weights))
    found = Dependencies(attributes_of, lambda parameter: id(parameter) in weights)
    owners = [layer for _, layer in model.walk()]
    owners += [p.regularizer for p in model.weights]
    if model.objective is not None:
        for one in model.objective.by_output:
            owners += [one.training_loss, *(metric for metric, _ in one.metrics)]
    metrics |= {id(owner) for owner in owners if isinstance(owner, Metric)}
    known = [vars(owner) for owner in owners if hasattr(owner, "__dict__")]
    found.look_at(*(part for own in known for part in own.values() if isinstance(part, _FUNCTIONS)))
    found.look_at(*(layer.arguments for layer in owners if isinstance(layer, Lambda)))
    return found


def _regularizers_of(model: TrainableModel, layers: Sequence[Layer]) -> list[Any]:
    found = [parameter.regularizer for parameter in model.weights]
    found += [getattr(layer, "activity_regularizer", None) for layer in layers]
    return [regularizer for regularizer in found if hasattr(regularizer, "__dict__")]


def attributes_of(owners: Sequence[Any]) -> list[tuple[dict[str, Any], list[Any]]]:
    """The attributes of objects, but those of models, which change as they are trained."""
    return [(vars(owner), list(vars(owner).values())) for owner in owners if not hasattr(owner, "decided_at")]


def is_watched(model: TrainableModel) -> bool:
    """Whether methods of the model's layers or of its losses are replaced, as somebody does who observes them."""
    owners = [*(layer for _, layer in model.walk()), *([model.objective] if model.objective is not None else [])]
    return any("run" in vars(owner) or "forward" in vars(owner) for owner in owners)


def are_as_they_were(attributes: list[tuple[dict[str, Any], list[Any]]]) -> bool:
    for own, before in attributes:
        if len(own) != len(before) or not all(map(operator.is_, own.values(), before)):
            return False
    return True
