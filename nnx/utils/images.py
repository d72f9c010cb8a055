"""Images of Pillow and arrays. Pillow comes with the extra "images"."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnx.arguments import choice, integers
from nnx.backends import to_numpy
from nnx.file_targets import replacing
from nnx.lazy_loading import optional_import
from nnx.user_warnings import warn_user

COLOR_MODES = ("rgb", "rgba", "grayscale")
_DATA_FORMATS = ("channels_last", "channels_first")
_GREY = ("L", "I;16", "I")


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: Sequence[int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """An image of Pillow from a file.

    path : of the file, or an open one. color_mode : "rgb", "rgba" or "grayscale", which keeps 16 and 32 bits.
    target_size : height and width. interpolation : "nearest", "bilinear", "bicubic", "hamming", "box" or "lanczos".
    keep_aspect_ratio : whether the image is cut to the ratio of the sides of target_size first, in its middle.

    ValueError for other words; ImportError without Pillow.
    """
    image_module = pillow("load_img")
    color_mode = choice("color_mode", color_mode, COLOR_MODES)
    interpolations = {name: name.upper() for name in ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")}
    interpolation = choice("interpolation", interpolation, tuple(interpolations))
    with image_module.open(path) as opened:
        image = in_color(opened, color_mode)
        image.load()
    if target_size is None:
        return image
    height, width = integers("target_size", target_size, 2)
    if image.size == (width, height):
        return image
    way = getattr(image_module.Resampling, interpolations[interpolation])
    if not keep_aspect_ratio:
        return image.resize((width, height), way)
    columns, rows = image.size
    kept_rows, kept_columns = min(rows, columns * height // width), min(columns, rows * width // height)
    top, left = (rows - kept_rows) // 2, (columns - kept_columns) // 2
    return image.resize((width, height), way, box=(left, top, left + kept_columns, top + kept_rows))


def in_color(image: Any, color_mode: str) -> Any:
    """An image of Pillow in one of the `COLOR_MODES`."""
    if color_mode == "grayscale":
        return image if image.mode in _GREY else image.convert("L")
    mode = color_mode.upper()
    return image if image.mode == mode else image.convert(mode)


def pillow(purpose: str) -> Any:
    """The module PIL.Image; ImportError that says how to install it."""
    return optional_import("PIL.Image", purpose, "images")


def img_to_array(img: Any, data_format: str | None = None, dtype: str | None = None) -> np.ndarray:
    """An image of Pillow as an array (height, width, channels), or (channels, height, width) for "channels_first".

    dtype : float32 by default. ValueError for what has not two or three axes.

    >>> img_to_array(np.asarray([[0, 255]])).shape
    (1, 2, 1)
    """
    data_format = choice("data_format", data_format or _DATA_FORMATS[0], _DATA_FORMATS)
    array = np.asarray(img, dtype=dtype or "float32")
    if array.ndim not in (2, 3):
        raise ValueError(f"expected an image of two or three axes, got shape {array.shape}")
    if array.ndim == 2:
        array = array[..., None]
    return array.transpose(2, 0, 1) if data_format == "channels_first" else array


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: str | None = None) -> Any:
    """An array (height, width, channels) of 1, 3 or 4 channels as an image of Pillow.

    data_format : "channels_first" for (channels, height, width). scale : whether its least number becomes 0, its
        largest 255; else they have to be from 0 to 255. dtype : in which that is computed, float32 by default.

    ValueError for other shapes; ImportError without Pillow.
    """
    image_module = pillow("array_to_img")
    data_format = choice("data_format", data_format or _DATA_FORMATS[0], _DATA_FORMATS)
    array = np.asarray(to_numpy(x), dtype=dtype or "float32")
    if array.ndim != 3:
        raise ValueError(f"expected an image (height, width, channels), got shape {array.shape}")
    if data_format == "channels_first":
        array = array.transpose(1, 2, 0)
    if array.shape[2] not in (1, 3, 4):
        raise ValueError(f"expected an image of 1, 3 or 4 channels, got {array.shape[2]}")
    if scale:
        array = array - array.min()
        largest = array.max()
        array = (array / largest if largest else array) * 255
    if array.shape[2] > 1:
        return image_module.fromarray(array.astype(np.uint8))
    grey = array[..., 0]
    return image_module.fromarray(grey.astype(np.int32 if grey.max() > 255 else np.uint8))


def save_img(
    path: str | os.PathLike[str],
    x: Any,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **kwargs: Any,
) -> None:
    """Write an array as an image. Arguments as for `array_to_img`.

    file_format : by default the ending of the path says it. kwargs : for Pillow's `save`.
    """
    image = array_to_img(x, data_format, scale)
    form = (file_format or (Path(path).suffix[1:] if isinstance(path, str | os.PathLike) else "")).lower()
    if image.mode == "RGBA" and form in ("jpg", "jpeg"):
        warn_user("a JPEG file has no transparency: the image is saved without it")
        image = image.convert("RGB")
    options = {"format": "jpeg" if form == "jpg" else file_format, **kwargs}
    if not isinstance(path, str | os.PathLike):
        image.save(path, **options)
        return
    with replacing(path) as new:
        image.save(new, **options)
