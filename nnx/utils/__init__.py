"""Small helpers around training: one-hot labels, padded sequences, one seed for everything; data from files.

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
    from nnx.utils import bounding_boxes as bounding_boxes
    from nnx.utils import np_utils as np_utils
    from nnx.utils.audio_folders import audio_dataset_from_directory
    from nnx.utils.dataset_splits import split_dataset
    from nnx.utils.downloads import get_file
    from nnx.utils.feature_space import FeatureSpace
    from nnx.utils.image_folders import image_dataset_from_directory
    from nnx.utils.images import array_to_img, img_to_array, load_img, save_img
    from nnx.utils.numerical import normalize, to_categorical
    from nnx.utils.seeding import set_random_seed
    from nnx.utils.sequences import pad_sequences
    from nnx.utils.step_data import pack_x_y_sample_weight, unpack_x_y_sample_weight
    from nnx.utils.text_folders import text_dataset_from_directory
    from nnx.utils.timeseries import timeseries_dataset_from_array
else:
    from nnx.lazy_loading import on_demand

    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "deserialize_keras_object": "nnx.saving",
            "FeatureSpace": "nnx.utils.feature_space",
            "array_to_img": "nnx.utils.images",
            "audio_dataset_from_directory": "nnx.utils.audio_folders",
            "bounding_boxes": "nnx.utils.bounding_boxes",
            "get_file": "nnx.utils.downloads",
            "image_dataset_from_directory": "nnx.utils.image_folders",
            "img_to_array": "nnx.utils.images",
            "load_img": "nnx.utils.images",
            "normalize": "nnx.utils.numerical",
            "np_utils": "nnx.utils.np_utils",  # older scripts write `from ... .utils import np_utils`
            "pack_x_y_sample_weight": "nnx.utils.step_data",
            "pad_sequences": "nnx.utils.sequences",
            "plot_model": "nnx.plotting",
            "serialize_keras_object": "nnx.saving",
            "save_img": "nnx.utils.images",
            "set_random_seed": "nnx.utils.seeding",
            "split_dataset": "nnx.utils.dataset_splits",
            "text_dataset_from_directory": "nnx.utils.text_folders",
            "timeseries_dataset_from_array": "nnx.utils.timeseries",
            "to_categorical": "nnx.utils.numerical",
            "unpack_x_y_sample_weight": "nnx.utils.step_data",
        },
    )

Sequence = PyDataset  # its name in older scripts
CustomObjectScope = custom_object_scope

__all__ = [
    "CustomObjectScope",
    "FeatureSpace",
    "PyDataset",
    "Sequence",
    "array_to_img",
    "audio_dataset_from_directory",
    "bounding_boxes",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_file",
    "get_registered_name",
    "get_registered_object",
    "image_dataset_from_directory",
    "img_to_array",
    "load_img",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "plot_model",
    "register_keras_serializable",
    "save_img",
    "serialize_keras_object",
    "set_random_seed",
    "split_dataset",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
    "to_categorical",
    "unpack_x_y_sample_weight",
]
