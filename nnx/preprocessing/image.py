"""Images and arrays, under the names that scripts know."""

from nnx.utils.image_resizing import smart_resize
from nnx.utils.images import array_to_img, img_to_array, load_img, save_img

__all__ = ["array_to_img", "img_to_array", "load_img", "save_img", "smart_resize"]
