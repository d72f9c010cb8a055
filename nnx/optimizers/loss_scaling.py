"""Training of float16 parameters: updates go to float32 copies, and a scale keeps gradients in the range of float16.

Small updates vanish in float16 and small gradients are 0 there: Micikevicius et al., "Mixed precision training", 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from nnx.backends import Array, array_namespace, backend_of, to_numpy
from nnx.parameters import FlatParameters
from nnx.precision import wide

MASTER = "master"
"""The slot of the float32 copies."""

FIRST_SCALE = (2.0**15, 0.0)
_LEAST = 2.0**-24  # the least number that float16 has beside 0
STEPS_TO_GROW = 2000


class LossScale:
    """What a loss is multiplied by before its gradients are computed. It adapts itself, on the device.

    It is halved by a step whose gradients are not finite, which is left out, down to 2**-24, and doubled after 2000
    others in a row, or as many as `steps_to_grow` says.

    value : a 0-d float32 array. good_steps : one too, how many steps since it changed.
    """

    def __init__(self, like: Array, value: float, good_steps: float, steps_to_grow: int = STEPS_TO_GROW) -> None:
        self.steps_to_grow = steps_to_grow
        xp, device = array_namespace(like), backend_of(like).device_of(like)
        self.value = xp.asarray(value, dtype=xp.float32, device=device)
        self.good_steps = xp.asarray(good_steps, dtype=xp.float32, device=device)

    def numbers(self) -> tuple[float, float]:
        """The value and the good steps on the host."""
        return float(to_numpy(self.value)), float(to_numpy(self.good_steps))

    @property
    def is_stuck(self) -> bool:
        """Whether it cannot fall further, and the gradients of the last step were not finite. Waits for the device."""
        value, good_steps = self.numbers()
        return value <= _LEAST and not good_steps

    def follow(self, finite: Array) -> None:
        """Adapt to a step whose gradients were finite, or not: a 0-d bool array."""
        xp = array_namespace(finite)
        good_steps = self.good_steps + 1.0
        grows = xp.logical_and(finite, good_steps >= self.steps_to_grow)
        smaller = xp.maximum(self.value * 0.5, xp.full_like(self.value, _LEAST))
        self.value = xp.where(finite, xp.where(grows, self.value * 2.0, self.value), smaller)
        self.good_steps = xp.where(xp.logical_and(finite, xp.logical_not(grows)), good_steps, 0.0)


def step_in_float32(
    flat: FlatParameters,
    scale: Array | float,
    slots: Mapping[str, Array],
    advance: Callable[[Array, Array], None],
) -> Array:
    """Let `advance(master, gradients)` train the float32 copies, and round these to the parameters of a buffer.

    Gradients are divided by the scale first. If one is not finite then nothing changes; whether all are is returned, a
    0-d bool array. A parameter that is no longer what its copy rounds to was changed by somebody else, and replaces it.
    """
    xp = array_namespace(flat.values)
    master = slots[MASTER]
    flat.gather()
    master[...] = xp.where(flat.rounded(master) == flat.values, master, wide(flat.values))
    gradients = wide(flat.grads) / scale
    finite = xp.all(xp.isfinite(gradients))
    before = {name: xp.asarray(slot, copy=True) for name, slot in slots.items()}
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        advance(master, gradients)
    for name, old in before.items():
        slots[name][...] = xp.where(finite, slots[name], old)
    flat.put(master)
    return finite
