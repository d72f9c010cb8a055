"""Small helpers around training: one-hot labels, unit vectors, padded sequences, one seed for everything.

`plot_model` is here too, as in Keras; see `nnx.plotting`.
"""

from typing import TYPE_CHECKING

from nnx.data.pydataset import PyDataset
from nnx.registry import custom_objects as custom_object_scope
from nnx.registry import (
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)

if TYPE_CHECKING:
    from nnx.plotting import plot_model
    from nnx.saving import deserialize_keras_object, serialize_keras_object
    from nnx.utils import np_utils as np_utils
    from nnx.utils.numerical import normalize, to_categorical
    from nnx.utils.seeding import set_random_seed
    from nnx.utils.sequences import pad_sequences
    from nnx.utils.step_data import pack_x_y_sample_weight, unpack_x_y_sample_weight
else:
    from nnx.lazy_loading import on_demand

    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "deserialize_keras_object": "nnx.saving",
            "normalize": "nnx.utils.numerical",
            "np_utils": "nnx.utils.np_utils",  # older scripts write `from ... .utils import np_utils`
            "pack_x_y_sample_weight": "nnx.utils.step_data",
            "pad_sequences": "nnx.utils.sequences",
            "plot_model": "nnx.plotting",
            "serialize_keras_object": "nnx.saving",
            "set_random_seed": "nnx.utils.seeding",
            "to_categorical": "nnx.utils.numerical",
            "unpack_x_y_sample_weight": "nnx.utils.step_data",
        },
    )

Sequence = PyDataset  # its name in older scripts
CustomObjectScope = custom_object_scope

__all__ = [
    "CustomObjectScope",
    "PyDataset",
    "Sequence",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "plot_model",
    "register_keras_serializable",
    "serialize_keras_object",
    "set_random_seed",
    "to_categorical",
    "unpack_x_y_sample_weight",
]
