"""The argument `training` of calls in graphs: what a file of Keras says of it, and what that means.

Keras writes what a layer's `call` has by default where nobody gave it: `training=False` stands at every Dropout, and
`training=True` at every RandomFlip. So a flag says something only where it is another than that.
"""

from __future__ import annotations

import inspect
from typing import Any

from nnx.layers import BatchNormalization, Pipeline, SpectralNormalization
from nnx.layers.image_layer import ImageLayer
from nnx.names import shortened
from nnx.user_warnings import warn_user

__all__ = ["read_flag", "written_flag"]

_FALSE_BY_DEFAULT = {
    *("AdditiveAttention", "AlphaDropout", "Attention", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "Dropout"),
    *("GRU", "GRUCell", "GaussianDropout", "GaussianNoise", "LSTM", "LSTMCell", "RNN", "SimpleRNN", "SimpleRNNCell"),
    *("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "SpectralNormalization", "StackedRNNCells"),
}
"""The layers that Keras calls with `training=False` where nobody says it; with None those that are not named here."""


def read_flag(layer: Any, value: Any) -> bool | None:
    """What a call in a file of Keras 3 says of `training`; None where that is what Keras writes by itself."""
    if not isinstance(value, int) or value not in (0, 1):  # some write training=1
        raise ValueError(f"{layer.name} is called with training={shortened(repr(value))}, expected true or false")
    return None if bool(value) is _by_default(layer) else bool(value)


def written_flag(layer: Any, value: bool) -> bool | None:
    """What a file says of a call with `training`; None where it makes no difference.

    ValueError where Keras writes the same of a call without it. A warning where Keras computes something else in `fit`
    and `predict`, as it gives all layers of a graph the training of the model.
    """
    inside = [one for _, one in layer.walk()]
    if not any(map(_may_depend_on_training, inside)):
        return None
    if value is _by_default(layer):
        raise ValueError(
            f"{layer.name} is called with training={value}, which in a file of Keras cannot be told from a call that "
            f"does not say it. Save the model under a name that ends in .safetensors"
        )
    if any(map(_depends_on_training, inside)):
        warn_user(
            f"{layer.name} is called with training={value}. The file says so, and nnx does so, but Keras 3 gives it "
            "the training of the whole model, True in fit and False in predict"
        )
    return value


def _by_default(layer: Any) -> bool | None:
    """What `call` of that class has in Keras for `training`."""
    kind = type(layer)
    if layer.is_eager:
        parameter = inspect.signature(kind.call).parameters.get("training")
        default = None if parameter is None else parameter.default
        return default if isinstance(default, bool) else None
    if isinstance(layer, ImageLayer | Pipeline):
        return True
    named = any(one.__name__ in _FALSE_BY_DEFAULT for one in kind.__mro__ if one.__module__.startswith("nnx."))
    return False if named or _is_own(layer) else None


def _depends_on_training(layer: Any) -> bool:
    """Whether what the layer itself computes now is something else in training than at inference."""
    return _may_depend_on_training(layer) and (layer.trainable or not isinstance(layer, BatchNormalization))


def _may_depend_on_training(layer: Any) -> bool:
    """Whether it would, were its weights trained."""
    special = isinstance(layer, BatchNormalization | SpectralNormalization | ImageLayer)
    return special or layer.random is not None or layer.takes_training or _is_own(layer)


def _is_own(layer: Any) -> bool:
    """Whether the layer computes by a `forward` of somebody's own."""
    return not (layer.is_eager or type(layer).forward.__module__.startswith("nnx."))
