"""Layers one after the other, as one layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from nnx.backends import Array
from nnx.functional import Pullback
from nnx.layers.layer import Layer, registry
from nnx.pullbacks import Skippable, call_pullback


@registry.register()
class Pipeline(Layer):
    """Layers one after the other, as one layer: what prepares or augments data, in a model or in front of one.

    layers : a list of layers. TypeError for anything else.

    Input and output are those of the first and the last layer. Layers that change images take a dict of "images",
    "labels" and "segmentation_masks" too, and so does a pipeline of them.

    >>> from nnx.layers import CenterCrop, Rescaling
    >>> Pipeline([CenterCrop(1, 1), Rescaling(0.5)])([[[[0.0], [2.0], [4.0]]]]).ravel()
    array([1.], dtype=float32)
    """

    uses_mask = True

    def __init__(self, layers: Sequence[Any], name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        if not isinstance(layers, list | tuple) or not layers or not all(isinstance(one, Layer) for one in layers):
            raise TypeError(
                f"{self.name}: layers must be a list of layers such as [Rescaling(1 / 255)], got {layers!r}"
            )
        self.layers = list(layers)
        self.takes_integers = self.layers[0].takes_integers
        self.makes_mask = any(layer.makes_mask for layer in self.layers)

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """What the last layer returns; of a dict, what the layers make of it in turn."""
        if len(inputs) != 1 or not isinstance(inputs[0], dict):
            return super().__call__(*inputs, **options)
        value = inputs[0]
        for layer in self.layers:
            value = layer(value, **options)
        return value

    def sublayers(self) -> Sequence[Layer]:
        return self.layers

    def build(self, input_shape: Any) -> None:
        shape = input_shape
        for layer in self.layers:
            layer.dtype = layer.dtype or self.dtype
            layer.build_on(self.placement, shape)
            shape = layer.compute_output_shape(shape)
        super().build(input_shape)

    def forward(self, x: Array, *, training: bool | None = False, mask: Any = None) -> tuple[Any, Pullback]:
        y, _, pullback = self.run_masked([x], mask, training=training)
        return y, pullback

    def run_masked(self, arrays: list[Any], mask: Any, **options: Any) -> tuple[Any, Any, Pullback]:
        (y,), pullbacks = arrays, []
        for layer in self.layers:
            y, mask, pullback = layer.run_masked([y], mask, **options)
            pullbacks.append(pullback)

        def pull_back(dy: Any, inputs: bool = True) -> Any:
            for number, pullback in reversed(list(enumerate(pullbacks))):
                dy = call_pullback(pullback, dy, inputs or number > 0)
            return dy

        return y, mask, Skippable(pull_back)

    def compute_output_shape(self, input_shape: Any) -> Any:
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        layers = [registry.build(layer) if isinstance(layer, dict) else layer for layer in config.get("layers") or []]
        return cls(**{**config, "layers": layers})
