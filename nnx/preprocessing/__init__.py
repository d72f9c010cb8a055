"""Data made ready for training, under the names that scripts know: texts, sequences, images, folders of files."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnx.preprocessing import image, sequence, text
    from nnx.utils.image_folders import image_dataset_from_directory
    from nnx.utils.text_folders import text_dataset_from_directory
    from nnx.utils.timeseries import timeseries_dataset_from_array
else:
    from nnx.lazy_loading import on_demand

    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "image": "nnx.preprocessing.image",
            "image_dataset_from_directory": "nnx.utils.image_folders",
            "sequence": "nnx.preprocessing.sequence",
            "text": "nnx.preprocessing.text",
            "text_dataset_from_directory": "nnx.utils.text_folders",
            "timeseries_dataset_from_array": "nnx.utils.timeseries",
        },
    )

__all__ = [
    "image",
    "image_dataset_from_directory",
    "sequence",
    "text",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
]
