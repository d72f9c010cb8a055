"""Folders of images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.arguments import choice, integers
from nnx.utils.folders import FORMATS, FolderOptions, datasets_of_files
from nnx.utils.image_resizing import INTERPOLATIONS, cropped, fitted, resized
from nnx.utils.images import COLOR_MODES, in_color, pillow

_ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")


def image_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: int | Sequence[int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """The images in a folder, resized, with the folders in it as classes.

    color_mode : "rgb", "rgba" or "grayscale". image_size : height and width.
    interpolation : see `nnx.utils.image_resizing.resized`.
    crop_to_aspect_ratio : whether images are cut to the ratio of the sides of image_size, in their middle.
    pad_to_aspect_ratio : whether they get zeros around them instead. Else they are distorted.
    data_format : "channels_last", by default, or "channels_first".
    Other arguments are those of `text_dataset_from_directory`.

    Batches are float32 (batch, height, width, channels) from 0 to 255, with "nearest" uint8, or (images, labels). Files
    .bmp, .gif, of which the first image counts, .jpeg, .jpg and .png are read when their batch comes, by Pillow:
    ImportError without it. ValueError for options that contradict each other, and where there are no files.
    """
    image_module = pillow("image_dataset_from_directory")
    color_mode = choice("color_mode", color_mode, COLOR_MODES)
    choice("format", format, FORMATS)
    height, width = integers("image_size", image_size, 2)
    interpolation = choice("interpolation", interpolation.lower(), tuple(INTERPOLATIONS))
    data_format = choice("data_format", data_format or "channels_last", ("channels_last", "channels_first"))
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("crop_to_aspect_ratio and pad_to_aspect_ratio contradict each other")
    options = FolderOptions(
        *(labels, label_mode, class_names, batch_size, shuffle, seed, validation_split, subset, follow_links, verbose)
    )
    fit = cropped if crop_to_aspect_ratio else fitted if pad_to_aspect_ratio else resized

    def read(path: str) -> np.ndarray:
        try:
            with image_module.open(path) as image:
                array = np.asarray(in_color(image, color_mode))
        except Exception as error:  # Pillow has several for what is damaged, and for a picture of too many pixels
            if (isinstance(error, OSError) and error.errno is not None) or path in str(error):
                raise
            raise ValueError(f"{path} is no image that can be read: {error or type(error).__name__}") from error
        array = fit(array if array.ndim == 3 else array[..., None], height, width, interpolation)
        return np.moveaxis(array, -1, 0) if data_format == "channels_first" else array

    return datasets_of_files(directory, options, _ENDINGS, read, np.stack)
