"""What an optimiser has learned, in the order in which files of Keras have it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from nnx.backends import to_numpy
from nnx.optimizers import Adafactor, Adam, Muon, Nadam, Optimizer, RMSprop
from nnx.optimizers.loss_scaling import MASTER
from nnx.parameters import Parameter
from nnx.precision import is_half, wide

__all__ = ["restore", "stored"]

_Entry = tuple[str, Parameter | None]
ITERATIONS, RATE, PRODUCT = "iterations", "learning rate", "product of decays"
_NONE = np.zeros((), np.float32)


def _entries(
    optimizer: Optimizer, trained: Sequence[Parameter], scaled: bool, product_first: bool = False, legacy: bool = False
) -> Iterator[_Entry]:
    """The names of the slots and their parameters; numbers have none.

    scaled : inside of one that scales the loss, where Keras forgets the scalars among them, but for those of every
    optimiser. product_first : where Nadam's number is, as in Keras before 3.10. legacy : as in Keras 2, without the
    rate.
    """
    yield ITERATIONS, None
    if optimizer.schedule is None and not optimizer.decay and not legacy:  # decay is a schedule in Keras
        yield RATE, None
    has_product = isinstance(optimizer, Nadam) and not legacy and not scaled
    if has_product and product_first:
        yield PRODUCT, None
    if optimizer.use_ema:
        yield from (("average", parameter) for parameter in trained)
    if optimizer.gradient_accumulation_steps is not None:
        yield from (("gradient_accumulator", parameter) for parameter in trained)
    if isinstance(optimizer, RMSprop):
        for slot in ("velocity", "momentum", "average_gradient"):
            if slot in optimizer.slot_starts():
                yield from ((slot, parameter) for parameter in trained)
        return
    for parameter in trained:
        yield from ((slot, parameter) for slot in _slots_of(optimizer, parameter, scaled))
    if isinstance(optimizer, Adam) and optimizer.amsgrad:
        yield from (("velocity_hat", parameter) for parameter in trained)
    if has_product and not product_first:
        yield PRODUCT, None


def _slots_of(optimizer: Optimizer, parameter: Parameter, scaled: bool) -> list[str]:
    """The slots that stand together for one parameter."""
    if isinstance(optimizer, Adafactor):
        return ["velocity"] if scaled and len(parameter.shape) < 2 else ["rows", "columns", "velocity"]
    if isinstance(optimizer, Muon) and optimizer.is_for_muon(parameter):
        return ["momentum"]
    return [slot for slot in optimizer.slot_starts() if slot != "velocity_hat"]


def _shape(optimizer: Optimizer, slot: str, parameter: Parameter | None) -> tuple[int, ...]:
    if parameter is None:
        return ()
    shape = parameter.shape
    if isinstance(optimizer, Adafactor) and slot in ("rows", "columns"):
        if len(shape) < 2:
            return ()
        return shape[:-1] if slot == "rows" else (*shape[:-2], shape[-1])
    return shape


def restore(
    model: Any,
    trained: Sequence[Parameter],
    shapes: Sequence[tuple[int, ...]],
    read: Callable[[int], np.ndarray],
    values: Callable[[Parameter], np.ndarray],
    scale: Sequence[np.ndarray] = (),
) -> None:
    """Let a model's optimiser go on from what a file has: arrays of these shapes, read by their numbers.

    values : the weights as the file has them, from which training in float16 goes on.
    scale : in mixed precision the good steps since the scale of the loss has changed, and the scale.

    ValueError where they are not those of this optimiser.
    """
    optimizer = model.optimizer
    entries = _fitting(optimizer, trained, shapes, scaled=bool(scale))
    numbers = {slot: read(index) for index, (slot, parameter) in enumerate(entries) if parameter is None}
    steps = int(numbers[ITERATIONS])
    if not 0 <= steps < 1 << 62:
        raise ValueError(f"the optimizer cannot have made {steps} steps")
    arrays: dict[str, np.ndarray] = {}
    for index, (slot, parameter) in enumerate(entries):
        if parameter is not None:
            arrays[f"{slot}/{parameter.path}"] = read(index)
    half = any(is_half(parameter.value) for parameter in trained)
    slots = _filled(optimizer, trained, arrays) if arrays else {}
    if half:
        slots = slots or _fresh_slots(optimizer, trained)
        slots |= {f"{MASTER}/{parameter.path}": values(parameter) for parameter in trained}
    state = {**optimizer.state(), "steps": steps, "learning_rate": None}
    if RATE in numbers and optimizer.schedule is None:
        rate = float(numbers[RATE])
        if not (np.isfinite(rate) and rate >= 0.0):
            raise ValueError(f"the optimizer cannot have the learning rate {rate}")
        written = float(str(np.float32(rate))) if rate == float(np.float32(rate)) else rate
        state["learning_rate"] = written
    if scale:
        good_steps, value = (float(one) for one in scale)
        if not (0.0 < value < float("inf") and 0.0 <= good_steps < 1 << 24):
            raise ValueError(f"the optimizer cannot have the loss scale {value} after {good_steps} good steps")
        state["loss_scale"] = (value, good_steps)
    optimizer.set_state(state)
    optimizer.load_state_arrays(model.flat, slots)


def _fitting(
    optimizer: Optimizer, trained: Sequence[Parameter], shapes: Sequence[tuple[int, ...]], scaled: bool
) -> list[_Entry]:
    """The entries of the layout that has these shapes."""
    found: list[list[_Entry]] = []
    for legacy in (False, True):
        for product_first in (False, True):
            entries = list(_entries(optimizer, trained, scaled, product_first, legacy))
            found += [entries, [entry for entry in entries if entry[1] is None]]  # the second: before its first step
    for entries in found:
        if [_shape(optimizer, *entry) for entry in entries] == list(shapes):
            return entries
    expected = [_shape(optimizer, *entry) for entry in found[0]]
    place = next((i for i, pair in enumerate(zip(expected, shapes, strict=False)) if pair[0] != pair[1]), None)
    where = f"{len(shapes)} arrays, expected {len(expected)}"
    if len(shapes) == len(expected) and place is not None:
        where = f"vars/{place} of shape {shapes[place]}, expected {expected[place]}"
    raise ValueError(f"the state of the optimizer {type(optimizer).__name__} does not fit: it has {where}")


def _filled(optimizer: Optimizer, trained: Sequence[Parameter], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """All slots in the shapes in which they are kept here."""
    for parameter in trained:
        if isinstance(optimizer, Adafactor):
            names = [f"{slot}/{parameter.path}" for slot in ("rows", "columns", "velocity")]
            rows, columns, velocity = (arrays.pop(name, _NONE) for name in names)
            if len(parameter.shape) < 2:
                rows, columns = velocity, np.zeros_like(velocity)
            else:
                rows, columns = rows[..., None], columns[..., None, :]
            arrays[f"rows/{parameter.path}"] = np.broadcast_to(rows, parameter.shape)
            arrays[f"columns/{parameter.path}"] = np.broadcast_to(columns, parameter.shape)
        elif isinstance(optimizer, Muon):
            arrays.setdefault(f"velocity/{parameter.path}", np.zeros(parameter.shape, np.float32))
    return arrays


def stored(model: Any, trained: Sequence[Parameter]) -> list[np.ndarray]:
    """What a file of Keras has of a model's optimiser, in its order."""
    optimizer = model.optimizer
    slots = {name: to_numpy(array) for name, array in optimizer.state_arrays(model.flat).items()}
    if not slots:
        slots = _fresh_slots(optimizer, trained)
    state = optimizer.state()
    found = []
    for slot, parameter in _entries(optimizer, trained, scales_loss(model)):
        if parameter is None:
            found.append(_number(optimizer, slot, state))
        elif isinstance(optimizer, Adafactor) and slot in ("rows", "columns", "velocity"):
            found.append(_factored(slot, parameter, slots))
        else:
            found.append(np.asarray(slots[f"{slot}/{parameter.path}"]))
    return found


# Mixed precision: an optimiser of Keras is inside of another one there, which scales the loss.

SCALING, INNER = "loss_scale_optimizer", "inner_optimizer"


def trains_half(model: Any) -> bool:
    """Whether a model is one of mixed precision to Keras."""
    return bool(model.placement.dtype == "float16" or model.flat.has_half)


def scales_loss(model: Any) -> bool:
    """Whether the scale of the loss adapts itself."""
    return trains_half(model) and model.optimizer.loss_scale_factor is None


def scaling_config(optimizer: Optimizer) -> dict[str, Any]:
    """The configuration of what scales the loss, beside the optimiser inside."""
    scale, _ = optimizer.state()["loss_scale"]
    return {"name": SCALING, "initial_scale": scale, "dynamic_growth_steps": optimizer.steps_to_grow}


def stored_scale(optimizer: Optimizer) -> list[np.ndarray]:
    """What a file has of it: the steps and the rate that it does not use, the good steps, the scale."""
    scale, good_steps = optimizer.state()["loss_scale"]
    return [
        np.asarray(0, np.int32),
        np.asarray(0.0, np.float32),
        np.asarray(good_steps, np.int32),
        np.asarray(scale, np.float32),
    ]


def masters(model: Any) -> dict[str, np.ndarray]:
    """The float32 copies of the parameters that an optimiser has trained, by their paths."""
    if model.optimizer is None or not model.built:
        return {}
    slots = model.optimizer.state_arrays(model.flat) if model.optimizer.slots.flat is not None else {}
    start = f"{MASTER}/"
    return {key.removeprefix(start): to_numpy(value) for key, value in slots.items() if key.startswith(start)}


def _all_slots(optimizer: Optimizer) -> dict[str, float | None]:
    starts: dict[str, float | None] = {**optimizer.slot_starts()}
    if optimizer.gradient_accumulation_steps is not None:
        starts["gradient_accumulator"] = 0.0
    if optimizer.use_ema:
        starts["average"] = None
    return starts


def _fresh_slots(optimizer: Optimizer, trained: Sequence[Parameter]) -> dict[str, np.ndarray]:
    return {f"{slot}/{one.path}": _fresh(optimizer, slot, one) for slot in _all_slots(optimizer) for one in trained}


def _fresh(optimizer: Optimizer, slot: str, parameter: Parameter) -> np.ndarray:
    start = _all_slots(optimizer)[slot]
    value = to_numpy(wide(parameter.value))
    return value if start is None else np.full(parameter.shape, start, value.dtype)


def _number(optimizer: Optimizer, slot: str, state: dict[str, Any]) -> np.ndarray:
    if slot == ITERATIONS:
        return np.asarray(state["steps"], np.int32)
    if slot == RATE:
        return np.asarray(optimizer.learning_rate, np.float32)
    assert isinstance(optimizer, Nadam)
    return np.asarray(optimizer.product_until(optimizer.iterations), np.float32)


def _factored(slot: str, parameter: Parameter, slots: dict[str, np.ndarray]) -> np.ndarray:
    rows, columns = (np.asarray(slots[f"{name}/{parameter.path}"]) for name in ("rows", "columns"))
    if len(parameter.shape) < 2:
        return rows if slot == "velocity" else np.zeros((), np.float32)
    if slot == "rows":
        return rows[..., 0]
    if slot == "columns":
        return columns[..., 0, :]
    mean = rows.mean(axis=-2, keepdims=True)
    velocity: np.ndarray = np.divide(rows, mean, out=np.zeros_like(rows), where=mean != 0.0) * columns
    return velocity
