"""Images and arrays, under the names that scripts know."""

from nnx.lazy_loading import other_names
from nnx.preprocessing.image_data_generator import ImageDataGenerator
from nnx.preprocessing.image_transforms import (
    apply_affine_transform,
    apply_brightness_shift,
    apply_channel_shift,
    random_brightness,
    random_channel_shift,
    random_rotation,
    random_shear,
    random_shift,
    random_zoom,
)
from nnx.utils.image_folders import image_dataset_from_directory
from nnx.utils.image_resizing import smart_resize
from nnx.utils.images import array_to_img, img_to_array, load_img, save_img

__getattr__ = other_names(__name__)

__all__ = [
    "ImageDataGenerator",
    "apply_affine_transform",
    "apply_brightness_shift",
    "apply_channel_shift",
    "array_to_img",
    "image_dataset_from_directory",
    "img_to_array",
    "load_img",
    "random_brightness",
    "random_channel_shift",
    "random_rotation",
    "random_shear",
    "random_shift",
    "random_zoom",
    "save_img",
    "smart_resize",
]
