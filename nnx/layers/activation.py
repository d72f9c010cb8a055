"""Activation functions as layers, and the base of layers that end in one."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from nnx import activations, functional
from nnx.arguments import number
from nnx.backends import Array, array_namespace
from nnx.functional import Pullback, masking
from nnx.layers.layer import Layer, registry
from nnx.lazy_loading import names_of
from nnx.pullbacks import Differentiable
from nnx.shapes import Shape


class Activated(Layer):
    """A layer that ends in an activation: `forward` is `activated` with the layer's own.

    Without it, a model can hand logits to a loss that is fused with its last activation.
    """

    supports_masking = True

    activate: Differentiable
    """The activation function; a subclass sets it in its constructor."""

    def set_activation(self, activation: Any) -> None:
        """Take an activation as users give it: a name, a function, None, or an activation layer without parameters."""
        self._activation, self.activate = read_activation(activation)

    @property
    def activation(self) -> Any:
        """The activation, as a function that returns values alone; it may be replaced by what the constructor takes.

        A compiled model that is to be trained on is compiled again then, as its loss may look at the last activation.
        """
        return self._activation

    @activation.setter
    def activation(self, activation: Any) -> None:
        self.set_activation(activation)

    _FUSIBLE: ClassVar[dict[Any, str]] = {
        functional.softmax: "softmax",
        functional.sigmoid: "sigmoid",
        functional.linear: "linear",
    }

    @property
    def fusible_activation(self) -> str | None:
        """The name of the last activation, where a loss can take the logits before it instead; else None.

        "softmax" or "sigmoid", or "linear" where there is no activation. None too for a layer with an
        activity_regularizer, which looks at what comes after the activation.
        """
        return None if self.activity_regularizer else self._FUSIBLE.get(self.activate)

    @property
    def takes_ending(self) -> bool:
        own = type(self)
        ends_in_bias = own.forward is Activated.forward and getattr(self, "bias", None) is not None
        return ends_in_bias and self.activate is functional.linear and self.activity_regularizer is None

    def run_ended(self, end: Differentiable, *inputs: Array, **options: Any) -> tuple[Array, Pullback]:
        return self.activated(inputs[0], end)

    @property
    def plain_activation(self) -> Differentiable | None:
        own = type(self)
        plain = own.forward is Activated.forward and own.activated is Activated.activated
        return self.activate if plain and self.activity_regularizer is None else None

    def activated(self, x: Array, activate: Differentiable) -> tuple[Array, Pullback]:
        """What the layer computes with that activation at its end, and the pullback."""
        return activate(x)

    def preactivation(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        """The value before the activation (the logits, of a last layer), and its pullback."""
        return self.activated(x, functional.linear)

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        return self.activated(x, self.activate)

    def run_masked(
        self, arrays: list[Any], mask: Any, *, logits: bool = False, **options: Any
    ) -> tuple[Any, Any, Pullback]:
        """As `Layer.run_masked`; with `logits` what comes before the activation."""
        if not logits:
            return super().run_masked(arrays, mask, **options)
        y, pullback = self.preactivation(arrays[0], training=options["training"])
        return y, self.compute_mask(arrays[0], mask), pullback


def read_activation(activation: Any) -> tuple[Any, Differentiable]:
    """What a user gave as an activation, with a function of `nnx.activations` for its name, and what computes it."""
    if isinstance(activation, dict):
        activation = registry.build(activation)
    if activation is None or isinstance(activation, str):
        activation = activations.registry.objects.get(activation or "linear", activation)
    pure = isinstance(activation, Activated) and type(activation).activated is Activated.activated
    return activation, activation.activate if pure else activations.resolve(activation)


@registry.register()
class Activation(Activated):
    """An activation function as a layer: y = activation(x).

    activation : a name such as "relu", or a function; see `nnx.activations`. ValueError for a name that is not known.

    Input of any shape, output of the same shape.

    >>> Activation("relu")([-1.0, 2.0])
    array([0., 2.], dtype=float32)
    """

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.set_activation(activation)


@registry.register()
class ReLU(Activated):
    """The rectifier: max(x, 0), with an upper bound, a slope below the threshold, and a threshold other than 0.

        y = min(x, max_value)                  where x > threshold
        y = negative_slope * (x - threshold)   elsewhere

    max_value : the upper bound; None (default) for no bound.
    negative_slope : the slope below the threshold; 0 by default.
    threshold : where the function leaves zero; 0 by default.

    Input of any shape, output of the same shape. ValueError for negative arguments.

    >>> ReLU(max_value=3.0, negative_slope=0.5)([-2.0, 1.0, 5.0])
    array([-1.,  1.,  3.], dtype=float32)
    """

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.max_value = None if max_value is None else number(f"{self.name}: max_value", max_value, least=0.0)
        self.negative_slope = number(f"{self.name}: negative_slope", negative_slope, least=0.0)
        self.threshold = number(f"{self.name}: threshold", threshold, least=0.0)
        self.activate = functional.relu
        if self.max_value is not None or self.negative_slope or self.threshold:
            self.activate = functools.partial(
                functional.relu,
                negative_slope=self.negative_slope,
                max_value=self.max_value,
                threshold=self.threshold,
            )


@registry.register()
class LeakyReLU(Activated):
    """The leaky rectifier: x where it is positive, else negative_slope * x.

    negative_slope : 0.3 by default, as in Keras, whose function `leaky_relu` has 0.2. The old name is `alpha`.
        ValueError for a negative one.

    Input of any shape, output of the same shape. Maas et al., "Rectifier nonlinearities improve neural network acoustic
    models", 2013.

    >>> LeakyReLU(0.5)([-2.0, 1.0])
    array([-1.,  1.], dtype=float32)
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        negative_slope = kwargs.pop("alpha", negative_slope)
        super().__init__(**kwargs)
        self.negative_slope = number(f"{self.name}: negative_slope", negative_slope, least=0.0)
        self.activate = functools.partial(functional.leaky_relu, negative_slope=self.negative_slope)


@registry.register()
class ELU(Activated):
    """The exponential linear unit: x where it is positive, else alpha * (exp(x) - 1).

    alpha : the limit for large negative x is -alpha.

    Input of any shape, output of the same shape. Clevert et al., arXiv:1511.07289.

    >>> ELU()([-1.0, 2.0]).round(4)
    array([-0.6321,  2.    ], dtype=float32)
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = number(f"{self.name}: alpha", alpha)
        self.activate = functools.partial(functional.elu, alpha=self.alpha)


@registry.register()
class Softmax(Activated):
    """Softmax: exp(x) / sum(exp(x)) along an axis, or along several together.

    axis : an integer, or a list of them; the last one by default.

    Input of any shape, output of the same shape. ValueError for an input without such axes.

    With a mask of the input's shape, or of its first axes if the axis is one of them, as (batch, time) for axis=1: what
    is False becomes 0, and the others share the sum 1; where all are False along the axis, all are 0.

    >>> import numpy as np
    >>> Softmax()([[2.0, 2.0, 5.0]], mask=np.asarray([[True, True, False]]))
    array([[0.5, 0.5, 0. ]], dtype=float32)
    """

    uses_mask = True
    mask_by_position = True

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        chosen: Any = list(axis) if isinstance(axis, list | tuple) else axis
        self.axis = chosen
        if isinstance(self.axis, list):
            self.activate = functools.partial(masking.masked_softmax, mask=None, axes=self._axes)
        elif self.axis == -1:
            self.activate = functional.softmax
        else:
            self.activate = functools.partial(functional.softmax, axis=self.axis)

    @property
    def _axes(self) -> tuple[Any, ...]:
        return tuple(self.axis) if isinstance(self.axis, list) else (self.axis,)

    def forward(self, x: Array, *, mask: Any = None, training: bool = False) -> tuple[Array, Pullback]:
        kept = self._mask_along(x, mask)
        return self.activated(x, self.activate) if kept is None else masking.masked_softmax(x, kept, self._axes)

    def run_masked(
        self, arrays: list[Any], mask: Any, *, logits: bool = False, **options: Any
    ) -> tuple[Any, Any, Pullback]:
        (x,) = arrays
        kept = self._mask_along(x, mask) if logits else None
        if kept is None:
            return super().run_masked(arrays, mask, logits=logits, **options)
        xp = array_namespace(x)
        return masking.keep(x, kept), self.compute_mask(x, mask), lambda dy: xp.where(kept, dy, 0.0)

    def _mask_along(self, x: Array, mask: Any) -> Array | None:
        """A mask in a form that broadcasts against x; None if it says nothing of the axes."""
        if mask is None:
            return None
        mask, ndim = self.read_mask([x], mask), len(x.shape)
        missing = ndim - len(mask.shape)
        if missing and all(axis % ndim >= len(mask.shape) for axis in self._axes):
            return None
        return array_namespace(mask).reshape(mask, (*mask.shape, *(1,) * missing))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the input, if it is one of steps, with fewer axes than the input."""
        return mask if mask is not None and len(mask.shape) < len(inputs.shape) else None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        axes, ndim = self._axes, len(input_shape)
        if not axes or not all(isinstance(axis, int) and -ndim <= axis < ndim for axis in axes):
            raise ValueError(f"{self.name}: axis must be one of the axes of an input {input_shape}, got {self.axis!r}")
        if len({axis % ndim for axis in axes}) < len(axes):
            raise ValueError(f"{self.name}: axis names an axis of an input {input_shape} twice: {self.axis!r}")
        return input_shape


if not TYPE_CHECKING:
    __getattr__ = names_of("nnx.layers")  # old scripts write `from ....layers.activation import ...`
