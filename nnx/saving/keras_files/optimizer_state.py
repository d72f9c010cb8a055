"""What an optimiser has learned, in the order in which files of Keras have it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from nnx.backends import to_numpy
from nnx.optimizers import Adafactor, Adam, Muon, Nadam, Optimizer, RMSprop
from nnx.optimizers.loss_scaling import MASTER
from nnx.parameters import Parameter
from nnx.precision import is_half

__all__ = ["restore", "stored"]

_Entry = tuple[str, Parameter | None]
ITERATIONS, RATE, PRODUCT = "iterations", "learning rate", "product of decays"
_NUMBERS = (ITERATIONS, RATE, PRODUCT)


def _entries(optimizer: Optimizer, trained: Sequence[Parameter], product_first: bool, legacy: bool) -> Iterator[_Entry]:
    """The names of the slots and their parameters; numbers have none.

    product_first : where Nadam's number is, as in Keras before 3.10. legacy : as in Keras 2, without the rate.
    """
    yield ITERATIONS, None
    if optimizer.schedule is None and not legacy:
        yield RATE, None
    has_product = isinstance(optimizer, Nadam) and not legacy
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
        yield from ((slot, parameter) for slot in _slots_of(optimizer, parameter))
    if isinstance(optimizer, Adam) and optimizer.amsgrad:
        yield from (("velocity_hat", parameter) for parameter in trained)
    if has_product and not product_first:
        yield PRODUCT, None


def _slots_of(optimizer: Optimizer, parameter: Parameter) -> list[str]:
    """The slots that stand together for one parameter."""
    if isinstance(optimizer, Adafactor):
        return ["rows", "columns", "velocity"]
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
    model: Any, trained: Sequence[Parameter], shapes: Sequence[tuple[int, ...]], read: Callable[[int], np.ndarray]
) -> None:
    """Let a model's optimiser go on from what a file has: arrays of these shapes, read by their numbers.

    ValueError where they are not those of this optimiser.
    """
    optimizer = model.optimizer
    entries = _fitting(optimizer, trained, shapes)
    numbers = {slot: read(index) for index, (slot, parameter) in enumerate(entries) if parameter is None}
    steps = int(numbers[ITERATIONS])
    if not 0 <= steps < 1 << 62:
        raise ValueError(f"the optimizer cannot have made {steps} steps")
    arrays: dict[str, np.ndarray] = {}
    for index, (slot, parameter) in enumerate(entries):
        if parameter is not None:
            arrays[f"{slot}/{parameter.path}"] = read(index)
    slots = _filled(optimizer, trained, arrays) if any(parameter is not None for _, parameter in entries) else {}
    state = {**optimizer.state(), "steps": steps, "learning_rate": None}
    if RATE in numbers and optimizer.schedule is None:
        rate = float(numbers[RATE])
        if not (np.isfinite(rate) and rate >= 0.0):
            raise ValueError(f"the optimizer cannot have the learning rate {rate}")
        written = float(str(np.float32(rate))) if rate == float(np.float32(rate)) else rate
        state["learning_rate"] = written
    optimizer.set_state(state)
    optimizer.load_state_arrays(model.flat, slots)


def _fitting(optimizer: Optimizer, trained: Sequence[Parameter], shapes: Sequence[tuple[int, ...]]) -> list[_Entry]:
    """The entries of the layout that has these shapes."""
    found: list[list[_Entry]] = []
    for legacy in (False, True):
        for product_first in (False, True):
            entries = list(_entries(optimizer, trained, product_first, legacy))
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
    half = any(is_half(parameter.value) for parameter in trained)
    for parameter in trained:
        if isinstance(optimizer, Adafactor):
            rows, columns, velocity = (
                arrays.pop(f"{slot}/{parameter.path}") for slot in ("rows", "columns", "velocity")
            )
            if len(parameter.shape) < 2:
                rows, columns = velocity, np.zeros_like(velocity)
            else:
                rows, columns = rows[..., None], columns[..., None, :]
            arrays[f"rows/{parameter.path}"] = np.broadcast_to(rows, parameter.shape)
            arrays[f"columns/{parameter.path}"] = np.broadcast_to(columns, parameter.shape)
        elif isinstance(optimizer, Muon):
            arrays.setdefault(f"velocity/{parameter.path}", np.zeros(parameter.shape, np.float32))
        if half:  # files of Keras have one value of a weight, and no copy in float32
            arrays[f"{MASTER}/{parameter.path}"] = to_numpy(parameter.value)
    return arrays


def stored(model: Any, trained: Sequence[Parameter]) -> list[np.ndarray]:
    """What a file of Keras has of a model's optimiser, in its order."""
    optimizer = model.optimizer
    slots = {name: to_numpy(array) for name, array in optimizer.state_arrays(model.flat).items()}
    if not slots:
        slots = {
            f"{slot}/{one.path}": _fresh(optimizer, slot, one) for slot in _all_slots(optimizer) for one in trained
        }
    state = optimizer.state()
    found = []
    for slot, parameter in _entries(optimizer, trained, product_first=False, legacy=False):
        if parameter is None:
            found.append(_number(optimizer, slot, state))
        elif isinstance(optimizer, Adafactor) and slot in ("rows", "columns", "velocity"):
            found.append(_factored(slot, parameter, slots))
        else:
            found.append(np.asarray(slots[f"{slot}/{parameter.path}"]))
    return found


def _all_slots(optimizer: Optimizer) -> dict[str, float | None]:
    starts: dict[str, float | None] = {**optimizer.slot_starts()}
    if optimizer.gradient_accumulation_steps is not None:
        starts["gradient_accumulator"] = 0.0
    if optimizer.use_ema:
        starts["average"] = None
    return starts


def _fresh(optimizer: Optimizer, slot: str, parameter: Parameter) -> np.ndarray:
    start = _all_slots(optimizer)[slot]
    value = to_numpy(parameter.value)
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
