"""Objective of a training: a loss for each output of a model, and the metrics that are watched."""

from __future__ import annotations

import contextlib
import copy
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nnx import losses, metrics, ranks
from nnx.backends import Array, array_namespace, is_array, to_numpy
from nnx.losses import Loss
from nnx.losses.arrays import weighted_steps
from nnx.metrics import Metric
from nnx.metrics.base import added, on_host
from nnx.metrics.tally import RunningSum
from nnx.metrics.variable import value_of
from nnx.parameters import ComparedAttributes
from nnx.structure import leaves, leaves_like, ordered_keys, rebuild


class OutputObjective(ComparedAttributes):
    """The loss and the metrics of one output.

    weight : the factor of this loss in the sum over all outputs. training_loss : the loss as a function of what the
        model gives it: of logits if `takes_logits`.
    """

    def __init__(self, loss: Any, metric_list: Any, weighted_metrics: Any, weight: float | None) -> None:
        self.loss: Loss | None = None if loss is None else losses.resolve(loss)
        self._unreduced = self.loss is not None and self.loss.reduction in (None, "none")
        if self._unreduced and type(self.loss).__module__.startswith("nnx."):
            raise _needs_reduction(self.loss)
        if weight is not None and not isinstance(weight, int | float):
            raise ValueError(f"loss_weights must be numbers, got {weight!r}")
        self.weight = 1.0 if weight is None else float(weight)
        self._identifiers = [(_resolved(metric), False) for metric in _flat_list(metric_list)]
        self._identifiers += [(_resolved(metric), True) for metric in _flat_list(weighted_metrics)]
        self.metrics: list[tuple[Metric, bool]] = []
        self.takes_logits = False
        self.training_loss: Loss | None = self.loss

    @property
    def needs_targets(self) -> bool:
        """Whether there is a loss or a metric that looks at targets."""
        return self.loss is not None or bool(self._identifiers)

    @property
    def is_unbound(self) -> bool:
        """Whether there are metrics, and nobody has said yet what they mean for the shapes at hand."""
        return len(self.metrics) < len(self._identifiers)

    def bind(self, target_shape: tuple[Any, ...], output_shape: tuple[Any, ...], fusible: str | None) -> None:
        """Decide what depends on shapes ("accuracy" means three things) and on the output's last activation."""
        loss = self.loss
        if loss is not None:
            loss.check_activation(fusible)
        self.takes_logits = loss is not None and fusible is not None and loss.fuses_with == fusible
        self.training_loss = loss.with_logits() if loss is not None and self.takes_logits else loss
        self.metrics = [
            (metrics.resolve(metric, loss=loss, target_shape=target_shape, output_shape=output_shape), weighted)
            for metric, weighted in self._identifiers
        ]

    def copy(self) -> OutputObjective:
        """The same loss, which has no state, and metrics of its own."""
        copied = copy.copy(self)
        copied.metrics = [(copy.deepcopy(metric), weighted) for metric, weighted in self.metrics]
        return copied

    def forward(
        self, y: Array, output: Array, sample_weight: Array | None, counts: Array | None = None
    ) -> tuple[Array, Callable[..., Array]]:
        """The loss, and its pullback. `output` are logits if `takes_logits`, `counts` its mask as numbers."""
        one: Any = self.training_loss
        if counts is None:
            loss, pullback = one.forward(y, output, sample_weight)
        elif one.takes_mask:
            loss, pullback = one.forward(y, output, sample_weight, counts)
        else:
            loss, pullback = one.forward(y, output, one.weights_of_counts(counts, sample_weight))
        if self._unreduced and loss.shape:  # one's own, which might have returned a number
            raise _needs_reduction(self.loss)
        if self.weight == 1.0:
            return loss, pullback
        return loss, lambda dloss=1.0: pullback(dloss * self.weight)


def _needs_reduction(loss: Any) -> ValueError:
    return ValueError(
        f"loss {loss.name!r} has reduction='none', which leaves a value for each sample; a model is trained for one "
        f"number: use 'sum_over_batch_size', 'sum' or 'mean_with_sample_weight'"
    )


class Objective:
    """The losses and metrics of all outputs, and their running values, which stay on the device until `read`.

    loss, metric_list, weighted_metrics, loss_weights : for one output; or lists, or dicts by the names of outputs.
    outputs : the names of the outputs; None while they are not known, then `assign` says them later.
    structure : how the outputs are nested: dicts for those of dicts in which there are lists, or dicts, follow it.

    held : the metrics that the model and its layers keep and update themselves; a copy has none, which would take them
        from who uses the original.
    """

    def __init__(
        self,
        loss: Any,
        metric_list: Any,
        weighted_metrics: Any,
        loss_weights: Any,
        outputs: list[str] | None,
        structure: Any = None,
    ) -> None:
        given = {
            "loss": loss,
            "metrics": metric_list,
            "weighted_metrics": weighted_metrics,
            "loss_weights": loss_weights,
        }
        self._is_nested = _is_nested(structure)
        self._given = {what: _along(structure, value, what) for what, value in given.items()}
        self._losses_first = _places_of_losses(structure, loss)
        self.by_output: list[OutputObjective] = []
        self.held: list[Metric] = []
        self.outputs: list[str] = []
        self._order_of_losses: list[int] = []
        self._total = RunningSum()
        self._parts: list[RunningSum] = []
        self._count = 0
        self.free = [True]  # empty while somebody uses the running values
        if outputs is not None:
            self.assign(outputs)
        elif not isinstance(loss, dict | list | tuple):
            OutputObjective(loss, None, None, None)  # a wrong name is said now

    def assign(self, outputs: list[str]) -> None:
        """Say what the outputs are called, and which loss and metrics belong to which."""
        columns = [distribute(value, outputs, what) for what, value in self._given.items()]
        self.outputs = outputs
        self.by_output = [OutputObjective(*column) for column in zip(*columns, strict=True)]
        self._parts = [RunningSum() for _ in outputs]
        first = [
            outputs.index(place) if isinstance(place, str) and place in outputs else place
            for place in self._losses_first
        ]
        places = range(len(outputs))
        self._order_of_losses = list(dict.fromkeys([*(place for place in first if place in places), *places]))

    def of(self, outputs: list[str]) -> Objective:
        """Itself, with losses and metrics assigned to these outputs."""
        if self.outputs != outputs:
            self.assign(outputs)
        return self

    @property
    def without_targets(self) -> list[str]:
        """The outputs that have neither a loss nor metrics."""
        return [name for name, one in zip(self.outputs, self.by_output, strict=True) if not one.needs_targets]

    def with_all_targets(self, y: Any) -> Any:
        """Targets that may be those alone of the outputs with a loss or metrics, with None for the other outputs."""
        without = self.without_targets
        if y is None or not without or self._is_nested:  # then targets are nested as all outputs are
            return y
        if isinstance(y, dict):
            return {**dict.fromkeys(without), **y}
        count, is_list = len(self.outputs) - len(without), isinstance(y, list | tuple)
        given = list(y) if is_list and count > 1 else [y]
        if len(given) != count or (is_list and len(y) == len(self.outputs)):
            return y
        return [None if name in without else given.pop(0) for name in self.outputs]

    @property
    def takes_logits(self) -> bool:
        """Whether a loss takes the logits of an output in place of its last activation."""
        return any(one.takes_logits for one in self.by_output)

    @property
    def metrics(self) -> list[tuple[str, Metric]]:
        """All metrics with the names that results have: as typed, after that of the output if there are several.

        Last those that are held.

        A weighted metric whose name is taken is "weighted_" that, as in Keras; what is the same then has a number, and
        so has what would be called like a loss, or like the validation of something else ("val_loss").
        """
        found: dict[str, Metric] = {}
        losses = self._names_of_losses

        def is_taken(name: str) -> bool:
            return name in found or name in losses

        def add(name: str, metric: Metric) -> None:
            base, number = name, 1
            while is_taken(name) or is_taken(f"val_{name}") or is_taken(name.removeprefix("val_")):
                name = f"{base}_{number}"
                number += 1
            found[name] = metric

        for output, one in zip(self.outputs, self.by_output, strict=True):
            before = "" if len(self.by_output) == 1 else f"{output}_"
            for metric, weighted in one.metrics:
                taken = weighted and f"{before}{metric.name}" in found
                add(f"{before}{'weighted_' if taken else ''}{metric.name}", metric)
        compiled = set(found.values())
        for metric in self.held:
            if metric not in compiled:
                add(metric.name, metric)
        return list(found.items())

    @property
    def names(self) -> list[str]:
        """The names of what `evaluate` returns, in its order, which is that of Keras.

        "loss", the losses of several outputs, then the metrics of one output as they were given, and those that are
        held. The metrics of several outputs are the last, in the order of their names.
        """
        metrics = self.metrics
        return list(self._in_order(dict.fromkeys([*self._names_of_losses, *(name for name, _ in metrics)]), metrics))

    def _in_order(self, found: dict[str, Any], metrics: list[tuple[str, Metric]]) -> dict[str, Any]:
        """Results in the order of `names`; those that a metric names itself are the last too."""
        several = len(self.by_output) > 1
        compiled = {metric for one in self.by_output for metric, _ in one.metrics} if several else ()
        first = [
            *self._names_of_losses,
            *(name for name, metric in metrics if metric not in compiled and name in found),
        ]
        return {name: found[name] for name in [*first, *sorted(set(found) - set(first), key=str)]}

    @property
    def _names_of_losses(self) -> list[str]:
        return ["loss", *(f"{self.outputs[index]}_loss" for index in self._counted)]

    @property
    def _counted(self) -> list[int]:
        """The outputs whose losses are watched apart: those that have one, if several have.

        In the order of a dict of losses for a dict of outputs, else in that of the outputs.
        """
        found = [index for index in self._order_of_losses if self.by_output[index].loss is not None]
        return found if len(found) > 1 else []

    @property
    def adds_up_rows(self) -> bool:
        """Whether the results are the same however the rows are cut into batches."""
        return not self.held and all(
            (one.loss is None or one.loss.is_mean_over_rows) and all(metric.adds_up_rows for metric, _ in one.metrics)
            for one in self.by_output
        )

    def forward(
        self,
        ys: Sequence[Array],
        outputs: Sequence[Array],
        sample_weights: Sequence[Array | None],
        counts: Sequence[Array | None] = (),
    ) -> tuple[list[Array], Callable[[float], list[Any]]]:
        """The losses of all outputs, and the pullback of their weighted sum to the outputs.

        counts : as for `watch`.
        """
        if len(self.by_output) == 1:
            loss, pullback = self.by_output[0].forward(
                ys[0], outputs[0], sample_weights[0], counts[0] if counts else None
            )
            return [loss], lambda dloss: [pullback(dloss)]
        columns = zip(ys, outputs, sample_weights, counts or [None] * len(self.by_output), strict=True)
        pairs = [
            one.forward(*column) if one.loss is not None else (None, None)
            for one, column in zip(self.by_output, columns, strict=True)
        ]
        return [loss for loss, _ in pairs], lambda dloss: [None if p is None else p(dloss) for _, p in pairs]

    def total(self, losses_of_outputs: Sequence[Array | None]) -> Array:
        """The weighted sum of the losses of the outputs."""
        total: Any = None
        for one, loss in zip(self.by_output, losses_of_outputs, strict=True):
            if loss is not None:
                term = loss if one.weight == 1.0 else loss * one.weight
                total = term if total is None else total + term
        return total

    # For steps of one's own, which have targets and predictions in structures, and call losses as they are

    def loss_of(self, y: Any, y_pred: Any, sample_weight: Any) -> Any:
        """The weighted sum of the losses of all outputs; inside of a tape a tracked one. None without a loss."""
        total = None
        for one, target, output, weight in self._rows_of(y, y_pred, sample_weight):
            if one.is_unbound and target is not None:
                one.bind(tuple(target.shape), (None, *output.shape[1:]), None)
            if one.loss is not None:
                loss = one.loss(target, output, weight)
                loss = loss if one.weight == 1.0 else loss * one.weight
                total = loss if total is None else total + loss
        return total

    def update_metrics(self, y: Any, y_pred: Any, sample_weight: Any) -> None:
        """Take a batch into the metrics."""
        for one, target, output, weight in self._rows_of(y, y_pred, sample_weight):
            if one.is_unbound and target is not None:
                one.bind(tuple(target.shape), (None, *output.shape[1:]), None)
            for metric, weighted in one.metrics:
                metric.update_state(target, output, weight if weighted else None)

    def _rows_of(self, y: Any, y_pred: Any, sample_weight: Any) -> list[tuple[OutputObjective, Any, Any, Any]]:
        """The objective, the target, the prediction and the weight of each output."""
        outputs = leaves(y_pred)
        if not self.outputs:
            count = len(outputs)
            self.assign(ordered_keys(y_pred) if isinstance(y_pred, dict) else [f"output_{i}" for i in range(count)])
        count = len(self.by_output)
        if len(outputs) != count:
            raise ValueError(f"expected predictions for {', '.join(self.outputs)}, got {len(outputs)} arrays")
        if len(self.without_targets) == count:
            return []
        targets, weights = (
            [value] * count if value is None else leaves_like(list(self.outputs), leaves(value), what)
            for value, what in ((self.with_all_targets(y), "y"), (sample_weight, "sample_weight"))
        )
        return list(zip(self.by_output, targets, outputs, weights, strict=True))

    def update(self, loss: Array, parts: Sequence[Array | None], rows: int) -> None:
        """Take a batch of so many rows into the running values: the whole loss, and those of the outputs.

        Of a shard of the batch: what this shard adds to the losses of the whole.
        """
        self._count += rows
        shard = ranks.shard()
        if shard is not None and shard.is_surplus:
            return
        self._total.add(loss, rows)
        if len(self.by_output) > 1:
            for part, running in zip(parts, self._parts, strict=True):
                if part is not None:
                    running.add(part, rows)

    def watch(
        self,
        ys: Sequence[Array],
        predictions: Sequence[Array | None],
        sample_weights: Sequence[Array | None],
        counts: Sequence[Array | None] = (),
    ) -> None:
        """Let the metrics take in a batch, or a shard of one.

        counts : the masks of the outputs as numbers, 1 for steps that count; empty for none. They are for all metrics,
            the sample weights for those that are weighted.
        """
        shard = ranks.shard()
        if shard is not None and shard.is_surplus:
            return
        for index, one in enumerate(self.by_output):
            count, weight = counts[index] if counts else None, sample_weights[index]
            for metric, weighted in one.metrics:
                metric.update_state(ys[index], predictions[index], weighted_steps(count, weight) if weighted else count)

    @contextlib.contextmanager
    def alone(self) -> Iterator[Objective]:
        """Running values that nobody else uses, forgotten: its own, or while somebody does those of a copy."""
        try:
            self.free.pop()  # which only one thread can
        except IndexError:
            yield self.copy()
            return
        try:
            self.reset()
            yield self
        finally:
            self.free.append(True)

    def copy(self) -> Objective:
        """The same losses, and metrics of its own that have seen nothing."""
        copied = copy.copy(self)
        copied.by_output, copied.held = [one.copy() for one in self.by_output], []
        copied.reset()
        return copied

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "free": [True]}  # a copy is not in use

    def reset(self) -> None:
        """Forget the running loss and metrics."""
        self._total, self._count = RunningSum(), 0
        self._parts = [RunningSum() for _ in self.by_output]
        for one in self.by_output:
            for metric, _ in one.metrics:
                metric.reset_state()
        for metric in self.held:
            metric.reset_state()

    def state(self) -> dict[str, Any]:
        """The running values, for a checkpoint: numbers, and arrays on the device.

        Where several ranks train together, those of all of them, on the host, and under "of_ranks" those of each;
        every rank has to ask.
        """
        own = self._own_state()
        group = ranks.group()
        if group is None:
            return own
        states = group.gather(on_host(own))
        of_metrics = zip(*(state["metrics"] for state in states), strict=True)
        return {
            "total": added([state["total"] for state in states]),
            "count": self._count,  # every rank counts the rows of whole batches
            "parts": added([state["parts"] for state in states]),
            "metrics": [metric.together(each) for (_, metric), each in zip(self.metrics, of_metrics, strict=True)],
            "of_ranks": states,
        }

    def _own_state(self) -> dict[str, Any]:
        return {
            "total": self._total.sums,
            "count": self._count,
            "parts": [part.sums for part in self._parts],
            "metrics": [metric.state() for _, metric in self.metrics],
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned, with arrays in the place of the model.

        Each of several ranks goes on from its own, so that sums have the same order as without the interruption; of
        another number of ranks, the first goes on from those of all.
        """
        for value in (state["total"], *state["parts"]):
            if not (value is None or (is_array(value) and value.shape == (2,))):
                raise TypeError(f"a running loss cannot be {value!r}")
        self.reset()
        self._count = int(state["count"])
        group, of_ranks = ranks.group(), state.get("of_ranks", [])
        if group is not None and len(of_ranks) == group.size:
            self._take(of_ranks[group.rank])
        elif ranks.is_main():
            self._take(state)

    def _take(self, state: Mapping[str, Any]) -> None:
        self._total, self._parts = RunningSum(state["total"]), [RunningSum(sums) for sums in state["parts"]]
        for (_, metric), running in zip(self.metrics, state["metrics"], strict=True):
            metric.set_state(running)

    def read(self) -> dict[str, Any]:
        """The running values on the host: numbers, and NumPy arrays for metrics that have several values.

        Where several ranks train together, those of all of them; every rank has to ask.
        """
        if ranks.group() is None or not self._count:
            return self._read()
        own = self._own_state()
        self._take(self.state())
        try:
            return self._read()
        finally:
            self._take(own)

    def _read(self) -> dict[str, Any]:
        if not self._count:
            return {}
        if len(self.by_output) == 1 and not self.by_output[0].metrics and not self.held:
            return {"loss": read_values([self._total.value])[0] / self._count}
        totals = [self._total.value, *(self._parts[index].value for index in self._counted)]
        losses = [total / self._count for total in totals if total is not None]
        metrics = self.metrics
        results = [*losses, *(value_of(metric.result()) for _, metric in metrics)]
        found: dict[str, Any] = {}
        for name, result in zip([*self._names_of_losses, *(name for name, _ in metrics)], results, strict=True):
            found |= {own: value_of(one) for own, one in result.items()} if isinstance(result, dict) else {name: result}
        if len(self.by_output) > 1 or any(isinstance(result, dict) for result in results):
            found = self._in_order(found, metrics)
        return dict(zip(found, read_values(list(found.values())), strict=True))


def distribute(value: Any, outputs: list[str], what: str) -> list[Any]:
    """What belongs to each output, from a dict by names, a list in their order, or one thing for all."""
    if isinstance(value, dict) and "class_name" not in value:  # else it is the configuration of a loss
        unknown = [name for name in value if name not in outputs]
        if unknown and not (len(outputs) == 1 and len(value) == 1):
            raise ValueError(f"{what} names the output {unknown[0]!r}; the outputs are {', '.join(outputs)}")
        entries = list(value.values()) if unknown else [value.get(name) for name in outputs]
        return [_only(entry) for entry in entries] if what in ("loss", "loss_weights") else entries
    if len(outputs) == 1:
        if isinstance(value, list | tuple) and what in ("loss", "loss_weights"):
            if len(value) != 1:
                raise ValueError(f"{what} must have one entry, for the one output, got {len(value)}")
            value = value[0]
        return [value]
    if isinstance(value, list | tuple):
        if what in ("loss", "loss_weights"):
            value = list(_unnested(value))  # as the outputs are
        if len(value) != len(outputs):
            raise ValueError(f"{what} must have an entry for each of {len(outputs)} outputs, got {len(value)}")
        return list(value)
    if what in ("metrics", "weighted_metrics") and value is not None:
        raise ValueError(f"{what} of a model with several outputs must be a list or a dict with an entry for each")
    return [value] * len(outputs)


def _is_nested(structure: Any) -> bool:
    """Whether there are dicts or lists in a dict or list of outputs."""
    if not isinstance(structure, dict | list | tuple):
        return False
    parts = structure.values() if isinstance(structure, dict) else structure
    return any(isinstance(part, dict | list | tuple) for part in parts)


def _along(structure: Any, value: Any, what: str) -> Any:
    """A dict for outputs that are nested in a dict, as a list with an entry for each; anything else as it is."""
    nested = isinstance(structure, dict) and _is_nested(structure)
    if not (nested and isinstance(value, dict) and "class_name" not in value and set(value) <= set(structure)):
        return value
    return list(_entries(structure, value, what))


def _entries(structure: Any, value: Any, what: str) -> Iterator[Any]:
    """What belongs to each output of a structure: by keys and by positions, or one thing for all in it."""
    if isinstance(structure, dict):
        for key in ordered_keys(structure):
            yield from _entries(structure[key], value.get(key) if isinstance(value, dict) else value, what)
    elif isinstance(structure, list | tuple):
        if isinstance(value, list | tuple) and len(value) != len(structure):
            raise ValueError(f"{what} has {len(value)} entries for {len(structure)} outputs in one list")
        parts = value if isinstance(value, list | tuple) else [value] * len(structure)
        for part, entry in zip(structure, parts, strict=True):
            yield from _entries(part, entry, what)
    else:
        yield value


def _places_of_losses(structure: Any, loss: Any) -> list[Any]:
    """The outputs in the order of a dict of losses, where that counts; places, or names while places are not known.

    For a list of outputs their own order counts.
    """
    if not isinstance(loss, dict) or isinstance(structure, list | tuple):
        return []
    return list(loss if structure is None else _along_keys(rebuild(structure, range(len(leaves(structure)))), loss))


def _along_keys(places: Any, loss: Any) -> Iterator[int]:
    """The leaves of a structure in the order of the dicts in another one."""
    if isinstance(places, dict) and isinstance(loss, dict):
        for key in loss:
            yield from _along_keys(places.get(key, []), loss[key])
    elif isinstance(places, list | tuple) and isinstance(loss, list | tuple):
        for place, one in zip(places, loss, strict=False):
            yield from _along_keys(place, one)
    else:
        yield from leaves(places)


def _only(entry: Any) -> Any:
    """The one thing in a list, or what is no list of one."""
    return entry[0] if isinstance(entry, list | tuple) and len(entry) == 1 else entry


def _resolved(metric: Any) -> Any:
    """A metric now, while names of custom objects are known; a name like "accuracy" stays, until shapes are known."""
    found = metrics.resolve(metric)
    return metric if metrics.depends_on_shapes(metric) else found


def _unnested(value: Sequence[Any]) -> Iterator[Any]:
    """What is in lists in a list, None too."""
    for entry in value:
        yield from _unnested(entry) if isinstance(entry, list | tuple) else (entry,)


def _flat_list(value: Any) -> list[Any]:
    """Metrics as one list: Keras takes a single one, a list, and a list of lists."""
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        return [value]
    return [item for entry in value for item in _flat_list(entry)]


def read_values(values: Sequence[Any]) -> list[Any]:
    """Numbers and arrays of one device on the host: 0-d arrays as floats, others as NumPy arrays.

    In one transfer for each dtype that there is: counts are integers, and as float32 they might lose digits. What is of
    NumPy is there already.
    """
    found = [_of_numpy(value) if isinstance(value, np.ndarray | np.generic) else value for value in values]
    waiting = [place for place, value in enumerate(found) if not isinstance(value, float | np.ndarray)]
    while waiting:
        dtype = values[waiting[0]].dtype
        group = [place for place in waiting if values[place].dtype == dtype]
        waiting = [place for place in waiting if place not in group]
        for place, host in zip(group, _on_host([values[place] for place in group]), strict=True):
            found[place] = host if host.shape else float(host)
    return found


def _of_numpy(value: Any) -> Any:
    return value.copy() if value.shape else float(value)


def _on_host(arrays: list[Array]) -> list[np.ndarray]:
    """Arrays of one device and dtype as NumPy arrays, in one transfer."""
    if len(arrays) == 1:
        return [to_numpy(arrays[0])]
    xp = array_namespace(arrays[0])
    if not any(array.shape for array in arrays):
        return list(to_numpy(xp.stack(arrays)))
    sizes = [math.prod(array.shape) for array in arrays]
    flat = to_numpy(xp.concat([xp.reshape(array, (-1,)) for array in arrays]))
    ends = itertools.accumulate(sizes)
    return [flat[end - size : end].reshape(array.shape) for array, size, end in zip(arrays, sizes, ends, strict=True)]
