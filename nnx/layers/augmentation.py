"""Augmentation: the base of layers that change images at random, for training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx import functional
from nnx.backends import Array, array_namespace, backend_of
from nnx.functional import Pullback
from nnx.layers.spatial import Spatial
from nnx.layers.stochastic import Stochastic
from nnx.shapes import Shape


class Augmentation(Stochastic, Spatial):
    """A layer that changes each image of a batch at random: in `fit`, and where it is called without `training`.

    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".
    """

    spatial_ndim = 2

    def __init__(self, *, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.set_data_format(data_format)

    def forward(self, x: Array, *, training: bool | None = False) -> tuple[Array, Pullback]:
        """The images changed if `training` is True, or None as in a call that does not say it, as in Keras."""
        return functional.linear(x) if training is False else self.augment(x)

    def augment(self, x: Array) -> tuple[Array, Pullback]:
        """Images changed at random, and the pullback."""
        raise NotImplementedError

    @staticmethod
    def one_for_each(x: Array) -> Array:
        """An empty array (batch,) on the device of the images x and of their dtype; float32 where that is float16."""
        xp = array_namespace(x)
        dtype = xp.float32 if xp.finfo(x.dtype).bits == 16 else x.dtype
        return xp.empty((x.shape[0],), dtype=dtype, device=backend_of(x).device_of(x))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.check_axes(input_shape)
        return input_shape


def one_of(what: str, value: str, known: Sequence[str]) -> str:
    """One of several words, exactly as it is written; ValueError for anything else."""
    if value not in known:
        raise ValueError(f"{what} must be one of {', '.join(known)}, got {value!r}")
    return value
