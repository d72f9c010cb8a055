"""A layer that is applied to every time step."""

from __future__ import annotations

from typing import Any

from nnx.backends import Array, array_namespace
from nnx.functional import Pullback
from nnx.layers.layer import registry
from nnx.layers.wrapper import Wrapper
from nnx.pullbacks import Skippable, call_pullback
from nnx.shapes import Shape


@registry.register()
class TimeDistributed(Wrapper):
    """A layer applied to each time step: y[:, t] = layer(x[:, t]) for all t.

    layer : takes the samples of a step. TypeError for what is not a layer.

    Input (batch, time, ...), output (batch, time, ...), where (batch, ...) is what the layer takes and returns. The
    weights are those of the layer. ValueError for an input without an axis of time, and for a layer of several outputs.
    All steps are computed at once, as a batch of batch * time samples. A layer with averages of the batch, such as
    BatchNormalization, gets one step after another.

    >>> import numpy as np
    >>> from nnx.layers import Dense
    >>> TimeDistributed(Dense(4))(np.ones((2, 3, 5))).shape
    (2, 3, 4)
    """

    supports_masking = True

    uses_mask = True

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.takes_integers = layer.takes_integers
        self.makes_mask = layer.makes_mask

    def build_layer(self, input_shape: Shape) -> None:
        super().build_layer(self._of_a_step(input_shape))

    def forward(self, x: Array, *, training: bool = False, mask: Any = None) -> tuple[Array, Pullback]:
        masked = mask is not None and len(mask.shape) > 2 and getattr(self.layer, "uses_mask", False)
        if any(not parameter.trainable for parameter in self.layer.weights):
            return self._step_by_step(x, mask if masked else None, training)
        xp = array_namespace(x)
        batch, time = x.shape[:2]
        options = {"mask": xp.reshape(mask, (batch * time, *mask.shape[2:]))} if masked else {}
        y, pullback = self.layer.run(xp.reshape(x, (batch * time, *x.shape[2:])), training=training, **options)

        def pull_back(dy: Array, inputs: bool = True) -> Array | None:
            dx = call_pullback(pullback, xp.reshape(dy, y.shape), inputs)
            return xp.reshape(dx, x.shape) if inputs else None

        return xp.reshape(y, (batch, time, *y.shape[1:])), Skippable(pull_back)

    def _step_by_step(self, x: Array, mask: Any, training: bool) -> tuple[Array, Pullback]:
        xp = array_namespace(x)
        steps = range(x.shape[1])
        options = [{} if mask is None else {"mask": mask[:, t, ...]} for t in steps]
        runs = [self.layer.run(x[:, t, ...], training=training, **options[t]) for t in steps]

        def pull_back(dy: Array, inputs: bool = True) -> Array | None:
            dxs = [call_pullback(pullback, dy[:, t, ...], inputs) for t, (_, pullback) in enumerate(runs)]
            return xp.stack(dxs, axis=1) if inputs else None

        return xp.stack([y for y, _ in runs], axis=1), Skippable(pull_back)

    def compute_mask(self, inputs: Array, mask: Any = None) -> Any:
        """(batch, time, ...), of which the layer says what follows time; (batch, time) if it leaves none of that.

        Then a step counts if something in it does.
        """
        if not self.makes_mask and (mask is None or len(mask.shape) == 2):
            return mask
        xp = array_namespace(inputs)
        inner = None if mask is None or len(mask.shape) == 2 else xp.reshape(mask, (-1, *mask.shape[2:]))
        made = self.layer.compute_mask(xp.reshape(inputs, (-1, *inputs.shape[2:])), inner)
        if made is not None:
            return xp.reshape(made, (*inputs.shape[:2], *made.shape[1:]))
        return mask if inner is None else xp.any(mask, axis=tuple(range(2, len(mask.shape))))

    def _of_a_step(self, input_shape: Shape) -> Shape:
        if len(input_shape) < 3 and not (len(input_shape) == 2 and self.takes_integers):
            raise ValueError(f"{self.name}: expected an input of shape (batch, time, ...), got {input_shape}")
        return (input_shape[0], *input_shape[2:])

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        of_step = self.layer.compute_output_shape(self._of_a_step(input_shape))
        if any(size is not None and not isinstance(size, int) for size in of_step):
            raise ValueError(f"{self.name}: layer must have one output, {self.layer.name} has {len(of_step)}")
        return (input_shape[0], input_shape[1], *of_step[1:])
