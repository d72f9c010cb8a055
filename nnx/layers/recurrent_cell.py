"""One step of the recurrent layers, for loops that nnx does not know: of `RNN`, or of one's own."""

from __future__ import annotations

import math
from typing import Any

from nnx.backends import Array, array_namespace
from nnx.functional import Pullback
from nnx.layers.recurrent import RecurrentWeights
from nnx.pullbacks import Skippable
from nnx.structure import leaves


class RecurrentCell(RecurrentWeights):
    """A step of a recurrent layer: (output, states) from an input and the states before, all (batch, ...)."""

    @property
    def state_size(self) -> int | list[int]:
        """How large each state is; a number where there is one."""
        return self.units if self.state_count == 1 else [self.units] * self.state_count

    @property
    def output_size(self) -> int:
        """How many features the output has."""
        return self.units

    def build(self, input_shape: Any) -> None:
        """Make the parameters for inputs of a shape (batch, n), or for the first of several shapes."""
        nested = len(input_shape) > 0 and isinstance(input_shape[0], list | tuple)
        features = (input_shape[0] if nested else input_shape)[-1]
        if features is None:
            raise ValueError(f"{self.name}: the features of the input must be known, got shape {input_shape}")
        self.add_weights(features)
        super().build(input_shape)

    def forward(
        self, x: Array, *states: Array, training: bool = False, draws: dict[str, Any] | None = None
    ) -> tuple[Any, Pullback]:
        """The step. draws : what `draw_dropout` returned, for masks that hold for several steps."""
        if len(states) != self.state_count or len(x.shape) != 2:
            raise ValueError(
                f"{self.name}: expected an input (batch, features) and {self.state_count} states, as in "
                f"cell(x, cell.get_initial_state(batch_size)), got shapes "
                f"{', '.join(str(tuple(one.shape)) for one in (x, *states))}"
            )
        xp, batch = array_namespace(x), x.shape[0]
        if draws is None:
            draws = self.draw_dropout(batch, math.prod(x.shape[1:])) if training else {}
        (sequence, *last), pullback = self.recur(xp.expand_dims(x, axis=1), states, **draws)
        routed = self.route(pullback, None, *[None] * self.state_count, *self.parameters, direct=True)

        def pull_back(dy: Any, inputs: bool = True) -> Any:
            doutput, *dstates = leaves(dy)
            doutput = None if doutput is None else xp.expand_dims(doutput, axis=1)
            dx, *dbefore = routed((doutput, *dstates), inputs)
            return (xp.squeeze(dx, axis=1), *dbefore) if inputs else None

        return (xp.squeeze(sequence, axis=1), last), Skippable(pull_back)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shapes of the output and of each state."""
        nested = len(input_shape) > 0 and isinstance(input_shape[0], list | tuple)
        batch = (input_shape[0] if nested else input_shape)[0]
        return ((batch, self.units),) * (1 + self.state_count)
