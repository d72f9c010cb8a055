"""Loaders of images that are changed at random, which the methods `flow` of `ImageDataGenerator` return."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import numpy as np

from nnx.arguments import choice, integers, positive_integer
from nnx.data.dataset import Dataset
from nnx.utils.images import COLOR_MODES, array_to_img, img_to_array, load_img, pillow
from nnx.utils.numerical import to_categorical

Changed = Callable[[np.ndarray, int], np.ndarray]
"""What is made of an image (height, width, channels), by chance, as a seed has it."""

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff")


class SavedImages:
    """Where the images of batches are written to, if anywhere, to be looked at. Arguments as for `flow`."""

    def __init__(self, save_to_dir: Any, save_prefix: str, save_format: str, data_format: str) -> None:
        self.folder, self.prefix, self.form, self.data_format = save_to_dir, save_prefix, save_format, data_format
        if save_to_dir is not None:
            pillow("save_to_dir")
            if not os.path.isdir(save_to_dir):
                raise NotADirectoryError(f"save_to_dir: there is no folder {save_to_dir}")

    def write(self, images: np.ndarray, numbers: np.ndarray, seeds: np.ndarray) -> None:
        """Write images under their numbers, and that of their change."""
        if self.folder is None:
            return
        for image, number, seed in zip(images, numbers.tolist(), seeds.tolist(), strict=True):
            name = f"{self.prefix}_{number}_{seed % 10_000_000}.{self.form}"
            array_to_img(image, self.data_format).save(os.path.join(self.folder, name))


class FlowOfImages(Dataset):
    """Batches of images that are changed at random; each pass changes them, and shuffles them, anew.

    n, samples : how many images there are. filenames, filepaths : their files, if they have any. class_indices : the
        number of each class. classes, labels : of each image. num_classes : how many there are. image_shape : of one.

    A loop over it, and `next`, go on for ever, as in Keras; `fit`, `evaluate` and `predict` take an epoch at a time,
    of len() batches. `flow[2]` is a batch by its number; `reset()` begins with the first one again.
    """

    endless = True
    filenames: list[str]
    filepaths: list[str]
    class_indices: dict[str, int]
    num_classes: int
    classes: Any
    labels: Any
    image_shape: tuple[int, ...]

    def __init__(
        self,
        count: int,
        images: Callable[[np.ndarray, np.ndarray], Any],
        targets: Callable[[np.ndarray, Any], tuple[Any, ...]],
        batch_size: int,
        shuffle: bool,
        seed: int | None,
    ) -> None:
        """images : inputs, by the numbers of images and the seeds of their changes. targets : and what follows them."""

        def batch(numbers: np.ndarray, seeds: np.ndarray) -> tuple[Any, ...]:
            x = images(numbers, seeds)
            return (x, *targets(numbers, x))

        self.n = self.samples = count
        numbers, size = np.arange(count), positive_integer("batch_size", batch_size)
        super().__init__(numbers, batch_size=size, shuffle=shuffle, map=batch, seed=seed)
        self._running: Iterator[Any] = iter(())
        self._numbers: np.ndarray | None = None

    def _batches(self, shared: bool) -> Iterator[tuple[Any, int | None]]:
        seeds = self.random.split().integers(self.n)
        return (((numbers, seeds[numbers]), whole) for (numbers,), whole in super()._batches(shared))

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        for batch in self._running:
            return batch
        self._running = self._epoch()
        return next(self._running)

    def _copied(self) -> Self:
        made = super()._copied()
        made.reset()
        return made

    def reset(self) -> None:
        """Let `next` begin a new pass."""
        self._running = iter(())

    def __getitem__(self, index: int) -> Any:
        """A batch by its number, from 0, in an order that stays; each time its images are changed anew."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"there are {len(self)} batches, got the number {index}")
        if self._numbers is None:
            self._numbers = np.asarray(self._order(self.random.split() if self._shuffle else None))
        start = index % len(self) * (self.batch_size or 1)
        numbers = self._numbers[start : start + (self.batch_size or 1)]
        assert self._map is not None
        batch = self._map(numbers, self.random.split().integers(len(numbers)))
        return batch if len(batch) > 1 else batch[0]


def of_arrays(
    x: Any,
    y: Any,
    sample_weight: Any,
    changed: Changed,
    saved: SavedImages,
    part: slice | None,
    dtype: str,
    options: tuple[int, bool, int | None],
) -> FlowOfImages:
    """Images in an array (images, ...), and what goes along with them in a batch.

    x : an array, or the images and another array, or several, in a tuple or list. part : which rows; options :
        batch_size, shuffle, seed.
    """
    several = isinstance(x, list | tuple) and len(x) == 2 and np.ndim(x[0]) == 4
    others = [] if not several else list(x[1]) if isinstance(x[1], list) else [x[1]]
    rows = slice(None) if part is None else part
    columns = {"x": x[0] if several else x, "y": y, "sample_weight": sample_weight}
    columns |= {f"x[1][{number}]": one for number, one in enumerate(others)}
    arrays = {name: None if one is None else np.asarray(one) for name, one in columns.items()}
    images = arrays["x"]
    if images is None or images.ndim != 4:
        raise ValueError(f"x must be images of four axes, got shape {None if images is None else images.shape}")
    for name, one in arrays.items():
        if one is not None and len(one) != len(images):
            raise ValueError(f"{name} has {len(one)} rows, for {len(images)} images in x")
    kept = {name: None if one is None else one[rows] for name, one in arrays.items()}
    images = np.asarray(kept["x"], dtype)
    beside = [kept[f"x[1][{number}]"] for number in range(len(others))]

    def inputs(numbers: np.ndarray, seeds: np.ndarray) -> Any:
        batch = _stacked([changed(images[number].copy(), seed) for number, seed in _pairs(numbers, seeds)], dtype)
        saved.write(batch, numbers, seeds)
        return [batch, *(one[numbers] for one in beside if one is not None)] if beside else batch

    def targets(numbers: np.ndarray, x: Any) -> tuple[Any, ...]:
        return tuple(one[numbers] for one in (kept["y"], kept["sample_weight"]) if one is not None)

    if not len(images):
        raise ValueError("x has no images for this part")
    flow = FlowOfImages(len(images), inputs, targets, *options)
    flow.image_shape = images.shape[1:]
    return flow


class ImageFiles:
    """How files become images. Arguments as for `flow_from_directory`, those of the generator behind them."""

    def __init__(
        self,
        target_size: Any,
        color_mode: str,
        interpolation: str,
        keep_aspect_ratio: bool,
        changed: Changed,
        saved: SavedImages,
        data_format: str,
        dtype: str,
    ) -> None:
        pillow("ImageDataGenerator")
        self.target_size = integers("target_size", target_size, 2)
        self.color_mode = choice("color_mode", color_mode, COLOR_MODES)
        self.interpolation, self.keep_aspect_ratio = interpolation, keep_aspect_ratio
        self.changed, self.saved, self.data_format, self.dtype = changed, saved, data_format, dtype
        channels = {"rgb": 3, "rgba": 4, "grayscale": 1}[self.color_mode]
        first = data_format == "channels_first"
        self.shape = (channels, *self.target_size) if first else (*self.target_size, channels)

    def read(self, path: str, seed: int) -> np.ndarray:
        """The image in a file, changed."""
        image = load_img(path, self.color_mode, self.target_size, self.interpolation, self.keep_aspect_ratio)
        return self.changed(img_to_array(image, self.data_format, self.dtype), seed)


def of_files(
    filepaths: Sequence[str],
    filenames: Sequence[str],
    files: ImageFiles,
    targets: Callable[[np.ndarray, np.ndarray], tuple[Any, ...]],
    options: tuple[int, bool, int | None],
) -> FlowOfImages:
    """The images in files. targets, options : as for `FlowOfImages` and `of_arrays`."""
    if not filepaths:
        raise ValueError(f"there are no images for this part: none of the files ends in {', '.join(ENDINGS)}")

    def images(numbers: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        batch = _stacked([files.read(filepaths[number], seed) for number, seed in _pairs(numbers, seeds)], files.dtype)
        files.saved.write(batch, numbers, seeds)
        return batch

    flow = FlowOfImages(len(filepaths), images, targets, *options)
    flow.filepaths, flow.filenames, flow.image_shape = list(filepaths), list(filenames), files.shape
    return flow


def _pairs(numbers: np.ndarray, seeds: np.ndarray) -> Iterator[tuple[int, int]]:
    return zip(numbers.tolist(), seeds.tolist(), strict=True)


def _stacked(images: list[np.ndarray], dtype: str) -> np.ndarray:
    return np.stack(images).astype(dtype, copy=False)


def of_classes(
    mode: str | None, classes: Sequence[Any], count: int, dtype: str
) -> Callable[[np.ndarray, np.ndarray], tuple[Any, ...]]:
    """Targets of images from their classes.

    mode : "categorical", one-hot rows; "binary" and "sparse", numbers; "input", the images; None, none.
    classes : for each image its number, or, with "categorical", a list of several. count : how many classes there are.
    """
    if mode == "input":
        return lambda numbers, x: (x.copy(),)
    if mode is None:
        return lambda numbers, x: ()
    if mode == "categorical":
        rows = [to_categorical(np.atleast_1d(one), count).max(axis=0) for one in classes]
        encoded = np.asarray(rows, dtype)
    else:
        encoded = np.asarray(classes, dtype)
    return lambda numbers, x: (encoded[numbers],)
