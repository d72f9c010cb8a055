"""Weight decay apart from the gradient, and the parameters that are spared from it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nnx.backends import Array
from nnx.functional.updates import decay_weights
from nnx.optimizers.slots import Slots, beside
from nnx.precision import wide

if TYPE_CHECKING:
    from nnx.parameters import FlatParameters, Parameter


class Decaying:
    """An object that shrinks parameters: those of a flat buffer, by a share of themselves in every update."""

    weight_decay: float | None
    slots: Slots
    _decay_mask: Array | None = None
    _excluded_paths: Sequence[str] = ()
    _excluded_names: Sequence[str] = ()

    def exclude_from_weight_decay(
        self, var_list: Sequence[Parameter] | None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """Spare parameters from weight decay. Call it before the first step.

        var_list : parameters.
        var_names : regular expressions; parameters are spared in whose name one is found, such as "bias".
        """
        if self.slots.flat is not None:
            raise ValueError("exclude_from_weight_decay must be called before the optimizer's first step")
        self._excluded_paths = [parameter.path for parameter in var_list or ()]
        self._excluded_names = list(var_names or ())

    def _decays(self, parameter: Parameter) -> bool:
        named = any(re.search(name, parameter.name) for name in self._excluded_names)
        return not named and parameter.path not in self._excluded_paths

    def _bind_decay(self, flat: FlatParameters) -> None:
        """Get ready for the parameters of a buffer."""
        self._decay_mask = None
        if not all(map(self._decays, flat.parameters)):
            shares = [1.0 if self._decays(parameter) else 0.0 for parameter in flat.parameters]
            mask = np.repeat(shares, [stop - start for start, stop in flat.slices])
            self._decay_mask = beside(wide(flat.values), mask.astype(np.float32))

    def _shrink(self, values: Array, learning_rate: float) -> None:
        """Take its share off each parameter."""
        if self.weight_decay:
            decay_weights(values, self._decay_mask, learning_rate * self.weight_decay)
