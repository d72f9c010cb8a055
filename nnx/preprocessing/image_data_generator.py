"""Images in batches, changed at random, as Keras 2 had it; layers such as `nnx.layers.RandomFlip` do it in a model."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnx import random as nnx_random
from nnx.arguments import choice, fraction, non_negative_number
from nnx.backends import to_numpy
from nnx.preprocessing.image_flows import (
    ENDINGS,
    FlowOfImages,
    ImageFiles,
    SavedImages,
    of_arrays,
    of_classes,
    of_files,
)
from nnx.preprocessing.image_transforms import (
    FILL_MODES,
    apply_affine_transform,
    apply_brightness_shift,
    apply_channel_shift,
    interpolation,
    limits,
)
from nnx.user_warnings import warn_user

__all__ = ["ImageDataGenerator"]


class ImageDataGenerator:
    """Images in batches for training, changed at random and standardised.

    Changes of each image, by numbers that are drawn anew each time:

    rotation_range : degrees to either side. width_shift_range, height_shift_range : a fraction of the side below 1;
        pixels from 1 on, drawn from the integers below if it is one; or the pixels to draw from, as a list.
    shear_range : degrees. zoom_range : z for 1 - z to 1 + z, or two numbers, of which 2 shows twice as much.
    brightness_range : two numbers; colours are multiplied, by Pillow. channel_shift_range : is added to colours.
    horizontal_flip, vertical_flip : whether half of the images are mirrored.
    fill_mode, cval, interpolation_order : see `apply_affine_transform`.

    What all images get, in this order:

    preprocessing_function : of an image, which returns one of the same shape. rescale : a factor.
    samplewise_center, samplewise_std_normalization : mean 0 and standard deviation 1 for each image.
    featurewise_center, featurewise_std_normalization : the same for each channel over the images that `fit` gets.
    zca_whitening, zca_epsilon : pixels without correlation, over these images. A deviation implies its mean, whitening
        implies featurewise_center and is instead of a deviation.

    data_format : "channels_last", by default, or "channels_first".
    validation_split : the fraction, from the beginning, that subset="validation" takes, "training" the rest.
    dtype : of batches, float32 by default.

    ValueError for numbers and words that it does not know, and, where images are standardised, without `fit`.

    >>> generator = ImageDataGenerator(rescale=0.5, horizontal_flip=True)
    >>> images, labels = next(generator.flow(np.ones((3, 2, 2, 1)), [0, 1, 1], batch_size=2, shuffle=False))
    >>> images.shape, float(images.max()), labels.tolist()
    ((2, 2, 2, 1), 0.5, [0, 1])
    """

    def __init__(
        self,
        featurewise_center: bool = False,
        samplewise_center: bool = False,
        featurewise_std_normalization: bool = False,
        samplewise_std_normalization: bool = False,
        zca_whitening: bool = False,
        zca_epsilon: float = 1e-6,
        rotation_range: float = 0,
        width_shift_range: Any = 0.0,
        height_shift_range: Any = 0.0,
        brightness_range: Sequence[float] | None = None,
        shear_range: float = 0.0,
        zoom_range: float | Sequence[float] = 0.0,
        channel_shift_range: float = 0.0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        rescale: float | None = None,
        preprocessing_function: Callable[[np.ndarray], Any] | None = None,
        data_format: str | None = None,
        validation_split: float = 0.0,
        interpolation_order: int = 1,
        dtype: str | None = None,
    ) -> None:
        self.featurewise_center = featurewise_center or featurewise_std_normalization or zca_whitening
        self.featurewise_std_normalization = featurewise_std_normalization and not zca_whitening
        self.samplewise_center = samplewise_center or samplewise_std_normalization
        self.samplewise_std_normalization = samplewise_std_normalization
        self.zca_whitening, self.zca_epsilon = zca_whitening, zca_epsilon
        if zca_whitening and featurewise_std_normalization:
            warn_user("zca_whitening is instead of featurewise_std_normalization, which is left out")
        self.rotation_range = non_negative_number("rotation_range", rotation_range)
        self.width_shift_range, self.height_shift_range = width_shift_range, height_shift_range
        self.shear_range = non_negative_number("shear_range", shear_range)
        self.channel_shift_range = non_negative_number("channel_shift_range", channel_shift_range)
        to_either_side = (1 - zoom_range, 1 + zoom_range) if isinstance(zoom_range, int | float) else zoom_range
        self.zoom_range = limits("zoom_range", to_either_side)
        self.brightness_range = None if brightness_range is None else limits("brightness_range", brightness_range)
        self.fill_mode, self.cval = choice("fill_mode", fill_mode, FILL_MODES), cval
        self.horizontal_flip, self.vertical_flip = horizontal_flip, vertical_flip
        self.rescale, self.preprocessing_function = rescale, preprocessing_function
        self.data_format = choice("data_format", data_format or "channels_last", ("channels_last", "channels_first"))
        self.validation_split = fraction("validation_split", validation_split)
        self.interpolation_order = interpolation("interpolation_order", interpolation_order)
        self.dtype = dtype or "float32"
        # of a single image
        self._axes = (0, 1, 2) if self.data_format == "channels_last" else (1, 2, 0)
        self.mean: np.ndarray | None = None
        self.std: np.ndarray | None = None
        self.zca_whitening_matrix: np.ndarray | None = None

    # Batches

    def flow(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: Any = None,
        seed: int | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        ignore_class_split: bool = False,
        subset: str | None = None,
    ) -> FlowOfImages:
        """Batches of images in an array: a loader for `fit`, a loop, or `next`, which does not end in the latter.

        x : (images, height, width, channels), or these and another array, or a list of such, with a row for each image.
        y, sample_weight : a row for each image. seed : of orders and changes.
        save_to_dir, save_prefix, save_format : a folder for the images as they come, and how their files begin and end.
        subset : "training" or "validation". ignore_class_split : whether their labels may be different ones.

        Batches are x, (x, y) or (x, y, sample_weight). ValueError for columns that are not alike.
        """
        part = None
        if subset is not None:
            count = len(x[0] if isinstance(x, list | tuple) else x)
            part = self._part(subset, count)
            other = self._part("training" if subset == "validation" else "validation", count)
            if y is not None and not ignore_class_split and _labels(y, part) != _labels(y, other):
                raise ValueError(
                    "training and validation have different labels: shuffle x and y before, or, where labels are no "
                    "classes, write ignore_class_split=True"
                )
        saved = SavedImages(save_to_dir, save_prefix, save_format, self.data_format)
        options = (batch_size, shuffle, seed)
        return of_arrays(x, y, sample_weight, self._changed, saved, part, self.dtype, options)

    def flow_from_directory(
        self,
        directory: str | os.PathLike[str],
        target_size: Sequence[int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
    ) -> FlowOfImages:
        """Batches of the images in the folders of a folder, which are the classes.

        target_size, color_mode, interpolation, keep_aspect_ratio : see `nnx.utils.load_img`.
        classes : names of folders, in the order of their numbers; by default all, in the order of their names.
        class_mode : "categorical", one-hot rows; "binary", 0 or 1, of two classes; "sparse", numbers; "input", the
            images themselves; None, no targets.
        Other arguments as for `flow`; `follow_links` goes into folders behind links.

        Files .png, .jpg, .jpeg, .bmp, .ppm, .tif and .tiff are read when their batch comes. ImportError without
        Pillow; ValueError for folders that are not there, or without images.
        """
        folder = os.fspath(directory)
        if not os.path.isdir(folder):
            raise NotADirectoryError(f"there is no folder {folder}")
        if class_mode is not None:
            choice("class_mode", class_mode, ("categorical", "binary", "sparse", "input"))
        files = self._files(
            target_size, color_mode, interpolation, keep_aspect_ratio, save_to_dir, save_prefix, save_format
        )
        names = sorted(name for name in os.listdir(folder) if os.path.isdir(os.path.join(folder, name)))
        used = list(classes) if classes else [name for name in names if not name.startswith(".")]
        unknown = sorted(set(used) - set(names))
        if unknown:
            raise ValueError(f"{folder} has no folders {', '.join(unknown)}; it has {', '.join(names)}")
        if class_mode == "binary" and len(used) != 2:
            raise ValueError(f'class_mode="binary" needs two classes, got {used}')
        filenames, numbers = [], []
        for number, name in enumerate(used):
            found = _images_in(folder, name, follow_links)
            own = found if subset is None else found[self._part(subset, len(found))]
            filenames += own
            numbers += [number] * len(own)
        print(f"Found {len(filenames)} images belonging to {len(used)} classes.")
        targets = of_classes(class_mode, numbers, len(used), self.dtype)
        paths = [os.path.join(folder, name) for name in filenames]
        flow = of_files(paths, filenames, files, targets, (batch_size, shuffle, seed))
        flow.class_indices = {name: number for number, name in enumerate(used)}
        flow.classes = flow.labels = np.asarray(numbers, np.int32)
        flow.num_classes = len(used)
        return flow

    def flow_from_dataframe(
        self,
        dataframe: Any,
        directory: str | os.PathLike[str] | None = None,
        x_col: str = "filename",
        y_col: Any = "class",
        weight_col: str | None = None,
        target_size: Sequence[int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        validate_filenames: bool = True,
        keep_aspect_ratio: bool = False,
    ) -> FlowOfImages:
        """Batches of the images that a table names.

        dataframe : of pandas or the like, or a dict of columns. directory : what its file names are relative to.
        x_col : the column of file names. y_col : of classes, or a list of columns. weight_col : of sample weights.
        classes : which ones, in the order of their numbers; rows of others are left out. By default all, sorted.
        class_mode : as for `flow_from_directory`, of texts, for "categorical" also lists of them; "raw", the numbers
            of y_col, or of several columns as rows; "multi_output", a list of arrays, for each column one.
        validate_filenames : whether to leave out files that are not there or no images, with a warning.
        Other arguments as for `flow_from_directory`.

        TypeError for columns that hold something else, ValueError otherwise as for `flow_from_directory`.
        """
        modes = ("categorical", "binary", "sparse", "input", "raw", "multi_output", "other")
        if class_mode is not None:
            choice("class_mode", class_mode, modes)
        files = self._files(
            target_size, color_mode, interpolation, keep_aspect_ratio, save_to_dir, save_prefix, save_format
        )
        names = list(dataframe[x_col])
        if not all(isinstance(name, str) for name in names):
            raise TypeError(f"the column x_col={x_col!r} must be of texts")
        folder = os.fspath(directory) if directory is not None else ""
        rows = list(range(len(names)))
        if validate_filenames:
            rows = [row for row in rows if _is_image(os.path.join(folder, names[row]))]
            if len(rows) < len(names):
                warn_user(f"{len(names) - len(rows)} of the file names in {x_col!r} are no images, and are left out")
        labelled = class_mode in ("categorical", "binary", "sparse")
        numbered: dict[str, int] = {}
        labels: list[Any] = []
        if labelled:
            labels, numbered = _numbered(list(dataframe[y_col]), rows, classes, str(class_mode), y_col)
            rows = [row for row in rows if labels[row] is not None]
        if subset is not None:
            rows = rows[self._part(subset, len(rows))]
        kind = f"image filenames{f' belonging to {len(numbered)} classes' if labelled else ''}"
        print(f"Found {len(rows)} {'validated' if validate_filenames else 'non-validated'} {kind}.")
        weights = None if weight_col is None else np.asarray(dataframe[weight_col])[rows]
        if weights is not None and weights.dtype.kind not in "fiu":
            raise TypeError(f"the column weight_col={weight_col!r} must be of numbers")
        own: Any = None
        if class_mode in ("raw", "other", "multi_output"):
            own = _columns(dataframe, y_col, rows, together=class_mode != "multi_output")
            targets = _of_columns(own)
        else:
            own = [labels[row] for row in rows] if labelled else None
            targets = of_classes(class_mode, own or (), len(numbered), self.dtype)
        if weights is not None and class_mode is None:
            raise ValueError("weight_col needs targets, got class_mode=None")
        complete = targets if weights is None else lambda numbers, x: (*targets(numbers, x), weights[numbers])
        filenames = [names[row] for row in rows]
        paths = [os.path.join(folder, name) for name in filenames]
        flow = of_files(paths, filenames, files, complete, (batch_size, shuffle, seed))
        flow.labels = own
        if labelled:
            flow.classes, flow.class_indices, flow.num_classes = own, numbered, len(numbered)
        return flow

    def _files(
        self,
        target_size: Any,
        color_mode: str,
        interpolation: str,
        keep_aspect_ratio: bool,
        save_to_dir: Any,
        save_prefix: str,
        save_format: str,
    ) -> ImageFiles:
        saved = SavedImages(save_to_dir, save_prefix, save_format, self.data_format)
        looks = (target_size, color_mode, interpolation, keep_aspect_ratio)
        return ImageFiles(*looks, self._changed, saved, self.data_format, self.dtype)

    def _part(self, subset: str, count: int) -> slice:
        choice("subset", subset, ("training", "validation"))
        border = int(self.validation_split * count)
        return slice(border) if subset == "validation" else slice(border, None)

    def _changed(self, image: np.ndarray, seed: int) -> np.ndarray:
        return self.standardize(self.random_transform(image, seed))

    # One image

    def get_random_transform(self, img_shape: Sequence[int], seed: int | None = None) -> dict[str, Any]:
        """The numbers for a change, for `apply_transform`.

        img_shape : of the image. seed : the same gives the same numbers, which are NumPy's for it; by default they come
            from nnx' stream.

        >>> sorted(ImageDataGenerator(rotation_range=9).get_random_transform((8, 8, 3), seed=1))[-3:]
        ['ty', 'zx', 'zy']
        """
        stream = np.random.RandomState(int(nnx_random.default().integers(1)[0]) if seed is None else seed)
        rows, columns, _ = self._axes

        def angle(most: float) -> float:
            return stream.uniform(-most, most) if most else 0

        theta = angle(self.rotation_range)
        ty = _shift(stream, self.height_shift_range, img_shape[rows])
        tx = _shift(stream, self.width_shift_range, img_shape[columns])
        shear = angle(self.shear_range)
        zx, zy = (1, 1) if self.zoom_range == (1, 1) else stream.uniform(*self.zoom_range, 2)
        flips = [bool(stream.random_sample() < 0.5) and on for on in (self.horizontal_flip, self.vertical_flip)]
        shifted = self.channel_shift_range
        return {
            "theta": theta,
            "tx": tx,
            "ty": ty,
            "shear": shear,
            "zx": zx,
            "zy": zy,
            "flip_horizontal": flips[0],
            "flip_vertical": flips[1],
            "channel_shift_intensity": stream.uniform(-shifted, shifted) if shifted else None,
            "brightness": None if self.brightness_range is None else stream.uniform(*self.brightness_range),
        }

    def apply_transform(self, x: Any, transform_parameters: dict[str, Any]) -> np.ndarray:
        """An image (height, width, channels), changed by numbers as `get_random_transform` returns them.

        transform_parameters : "theta", "tx", "ty", "shear", "zx", "zy", see `apply_affine_transform`;
            "channel_shift_intensity", "flip_horizontal", "flip_vertical", "brightness". What is not there is not done;
            ValueError for another name.

        >>> ImageDataGenerator().apply_transform([[[1.0], [2.0]]], {"flip_horizontal": True})[0, :, 0].tolist()
        [2.0, 1.0]
        """
        given = dict(transform_parameters)
        rows, columns, channels = self._axes
        moves: list[Any] = [given.pop(name, neutral) for name, neutral in _MOVES.items()]
        edges: Any = (*self._axes, self.fill_mode, self.cval, self.interpolation_order)
        image = apply_affine_transform(x, *moves, *edges)
        shift = given.pop("channel_shift_intensity", None)
        if shift is not None:
            image = apply_channel_shift(image, shift, channels)
        for name, axis in (("flip_horizontal", columns), ("flip_vertical", rows)):
            if given.pop(name, False):
                image = np.flip(image, axis)
        brightness = given.pop("brightness", None)
        if given:
            raise ValueError(f"transform_parameters has {sorted(given)}, which are not known")
        if brightness is None:
            return image
        changed = apply_brightness_shift(np.moveaxis(image, channels, -1), brightness, scale=False)
        return np.moveaxis(changed, -1, channels)

    def random_transform(self, x: Any, seed: int | None = None) -> np.ndarray:
        """An image (height, width, channels), changed at random; see `get_random_transform`.

        >>> ImageDataGenerator(rotation_range=90).random_transform(np.ones((4, 4, 1))).shape
        (4, 4, 1)
        """
        image = to_numpy(x)
        return self.apply_transform(image, self.get_random_transform(image.shape, seed))

    # Statistics

    def standardize(self, x: Any) -> np.ndarray:
        """An image, or a batch of images, standardised, in place where it is an array of floating numbers on the host.

        ValueError where that needs statistics, before `fit`.

        >>> ImageDataGenerator(rescale=0.5).standardize(np.ones((1, 1, 1)))
        array([[[0.5]]])
        """
        image = to_numpy(x)
        if self.preprocessing_function is not None:
            image = to_numpy(self.preprocessing_function(image))
        if image.dtype.kind != "f":
            image = image.astype(self.dtype)
        if self.rescale:
            image *= self.rescale
        if self.samplewise_center:
            image -= np.mean(image, keepdims=True)
        if self.samplewise_std_normalization:
            image /= np.std(image, keepdims=True) + 1e-6
        if self.featurewise_center:
            image -= _fitted("featurewise_center", self.mean)
        if self.featurewise_std_normalization:
            image /= _fitted("featurewise_std_normalization", self.std) + 1e-6
        if self.zca_whitening:
            matrix = _fitted("zca_whitening", self.zca_whitening_matrix)
            image = (image.reshape(-1, len(matrix)) @ matrix).reshape(image.shape)
        return image

    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: int | None = None) -> None:
        """Learn means, deviations and the whitening from images.

        x : (images, height, width, channels). augment, rounds : whether from changed ones, and how many of each.
        seed : of the changes.

        ValueError for another number of axes.

        >>> generator = ImageDataGenerator(featurewise_center=True)
        >>> generator.fit(np.full((2, 3, 3, 1), 4.0))
        >>> float(generator.mean.item())
        4.0
        """
        images = to_numpy(x).astype(self.dtype)
        if images.ndim != 4:
            raise ValueError(f"x must be images of four axes, got shape {images.shape}")
        if self.rescale:
            images *= self.rescale
        if augment:
            seeds = nnx_random.default().split() if seed is None else nnx_random.Generator(seed)
            drawn = iter(seeds.integers(rounds * len(images)).tolist())
            images = np.stack([self.random_transform(image, next(drawn)) for _ in range(rounds) for image in images])
        rows, columns, _ = self._axes
        over = (0, rows + 1, columns + 1)
        if self.featurewise_center:
            self.mean = np.mean(images, over, keepdims=True)[0]
            images -= self.mean
        if self.featurewise_std_normalization:
            self.std = np.std(images, over, keepdims=True)[0]
            images /= self.std + 1e-6
        if self.zca_whitening:
            u, s, _ = np.linalg.svd(images.reshape(len(images), -1).T, full_matrices=False)
            self.zca_whitening_matrix = (u * (np.sqrt(len(images)) / (s + self.zca_epsilon))) @ u.T


_MOVES = {"theta": 0, "tx": 0, "ty": 0, "shear": 0, "zx": 1, "zy": 1}


def _shift(stream: np.random.RandomState, most: Any, size: int) -> float:
    """By how many pixels an image is moved along a side."""
    if not np.any(most):
        return 0
    if isinstance(most, int) or np.ndim(most):
        moved = stream.choice(most) * stream.choice([-1, 1])
    else:
        moved = stream.uniform(-most, most)
    return float(moved * size if np.max(most) < 1 else moved)


def _labels(y: Any, part: slice) -> set[Any]:
    return set(np.unique(np.asarray(y)[part]).tolist())


def _fitted(option: str, statistic: np.ndarray | None) -> np.ndarray:
    if statistic is None:
        raise ValueError(f"{option} needs the images that statistics are taken from: call fit(x) before")
    return statistic


def _images_in(folder: str, name: str, follow_links: bool) -> list[str]:
    """The files of images below a folder in a folder, relative to the latter, in the order of their paths."""
    found = []
    for root, _, names in sorted(os.walk(os.path.join(folder, name), followlinks=follow_links)):
        found += [os.path.join(root, one) for one in sorted(names) if one.lower().endswith(ENDINGS)]
    return [os.path.relpath(path, folder) for path in found]


def _is_image(path: str) -> bool:
    return path.lower().endswith(ENDINGS) and os.path.isfile(path)


def _numbered(
    labels: list[Any], rows: list[int], classes: Sequence[str] | None, mode: str, column: str
) -> tuple[list[Any], dict[str, int]]:
    """The number of each label, or those of a list of labels, None for one without a class; and the classes."""
    kinds = (str, list, tuple) if mode == "categorical" else (str,)
    wrong = next((labels[row] for row in rows if not isinstance(labels[row], kinds)), None)
    if wrong is not None:
        texts = "texts, or lists of them" if mode == "categorical" else "texts"
        raise TypeError(
            f'y_col={column!r} must be a column of {texts} for class_mode={mode!r}, got {wrong!r}; "raw" takes numbers'
        )
    lists = {row: [labels[row]] if isinstance(labels[row], str) else list(labels[row]) for row in rows}
    names = dict.fromkeys(classes) if classes else sorted({one for several in lists.values() for one in several})
    numbers = {name: number for number, name in enumerate(names)}
    if mode == "binary" and len(numbers) != 2:
        raise ValueError(f'class_mode="binary" needs two classes, got {list(numbers)}')
    found: list[Any] = [None] * len(labels)
    for row, several in lists.items():
        known = [numbers[one] for one in several if one in numbers]
        if known:
            found[row] = known[0] if isinstance(labels[row], str) else known
    return found, numbers


def _columns(dataframe: Any, y_col: Any, rows: list[int], together: bool) -> Any:
    """A column, several as rows of an array, or, not together, as a list."""
    if not isinstance(y_col, list | tuple):
        if not together:
            raise TypeError(f'class_mode="multi_output" needs a list of columns, got y_col={y_col!r}')
        return np.asarray(dataframe[y_col])[rows]
    columns = [np.asarray(list(dataframe[name]))[rows] for name in y_col]
    return np.stack(columns, axis=1) if together else columns


def _of_columns(own: Any) -> Callable[[np.ndarray, Any], tuple[Any, ...]]:
    if isinstance(own, list):
        return lambda numbers, x: ([column[numbers] for column in own],)
    return lambda numbers, x: (own[numbers],)
