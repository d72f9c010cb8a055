"""Optimisers whose formulas look at each parameter as a whole."""

from __future__ import annotations

from collections.abc import Mapping

from nnx.backends import Array, array_namespace
from nnx.optimizers.optimizer import Optimizer
from nnx.parameters import Parameter


class LayerwiseOptimizer(Optimizer):
    """An optimiser that is defined by `update_parameter`: one parameter after the other, each in its own shape."""

    def update_parameter(
        self, parameter: Parameter, w: Array, g: Array, slots: Mapping[str, Array], learning_rate: float
    ) -> None:
        """Change the values w of a parameter, and its pieces of the slots, in place by its gradient g."""
        raise NotImplementedError(f"{type(self).__name__} must define update_parameter")

    def update(self, w: Array, g: Array, learning_rate: float) -> None:
        reshape, flat, names = array_namespace(w).reshape, self.slots.flat, self.slot_starts()
        for parameter, (start, stop) in zip(flat.parameters, flat.slices, strict=True):  # type: ignore[union-attr]
            shape = parameter.shape
            slots = {name: reshape(self.slots[name][start:stop], shape) for name in names}
            pieces = reshape(w[start:stop], shape), reshape(g[start:stop], shape)
            self.update_parameter(parameter, *pieces, slots, learning_rate)
