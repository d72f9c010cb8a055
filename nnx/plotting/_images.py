"""Images of samples and of weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from nnx.backends import is_array, to_numpy
from nnx.plotting._figure import INK, SMALL, PathLike, finished, frame, new_axes, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_IMAGES = 400


def images(
    images: Any,
    titles: Any = None,
    columns: int | None = None,
    path: PathLike | None = None,
    cmap: str | None = None,
    signed: bool | None = None,
) -> Figure:
    """A grid of images, of samples or of weights, all on one scale.

    images : (n, height, width), or with a last axis of 1 (grey) or 3 (red, green, blue: uint8, or from 0 to 1).
    titles : a list or an array with one for each image, such as its label: anything that prints.
    columns : of the grid; by default about a square, without gaps where that is possible.
    path : where to write the picture; by default nowhere.
    cmap : a colour map of matplotlib. For samples it is "gray_r", ink on paper; "gray" suits photographs.
    signed : whether zero is the middle of the scale, blue below and red above; by default if any value is negative.

    Weights of a dense layer: `images(nnx.to_numpy(kernel).T.reshape(-1, 28, 28))`.

    >>> import numpy as np
    >>> figure = images(np.zeros((6, 8, 8)), titles=range(6), columns=3)
    """
    pixels = _pixels(images)
    count, tall, wide = pixels.shape[:3]
    columns = _columns(count) if columns is None else min(columns, count)
    if columns < 1:
        raise ValueError(f"columns must be positive, got {columns}")
    names = [""] * count if titles is None else [str(title) for title in _host(titles)]
    if len(names) != count:
        raise ValueError(f"titles must be one for each image: expected {count}, got {len(names)}")
    finite = pixels[np.isfinite(pixels)]
    signed = bool(finite.min(initial=0) < 0) if signed is None else signed and pixels.ndim == 3
    rows = -(-count // columns)
    cell = min(1.2, 12.0 / columns)
    height, head = cell * tall / wide, 0.06 if titles is None else 0.22
    bar = 0.7 if signed else 0.0
    figure = new_figure(columns * (cell + 0.06) + 0.14 + bar, rows * (height + head) + 0.14)
    high = float(np.abs(finite).max(initial=0)) or 1.0
    for i, (image, name) in enumerate(zip(pixels, names, strict=True)):
        row, column = divmod(i, columns)
        axes = new_axes(figure, 0.1 + column * (cell + 0.06), 0.1 + (rows - 1 - row) * (height + head), cell, height)
        axes.imshow(
            image,
            cmap=cmap or ("RdBu_r" if signed else "gray_r"),
            vmin=-high if signed else 0.0,
            vmax=high,
            aspect="auto",
            interpolation="nearest",
        )
        frame(axes)
        axes.set_title(name, fontsize=SMALL, color=INK, pad=3)
    if signed:
        _colour_bar(figure, axes.images[0], min(1.6, rows * (height + head) - head))
    return finished(figure, path)


def _pixels(images: Any) -> np.ndarray:
    pixels = to_numpy(images)
    if pixels.ndim == 4 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if not (pixels.ndim == 3 or (pixels.ndim == 4 and pixels.shape[-1] == 3)) or 0 in pixels.shape:
        raise ValueError(
            f"images must have the shape (n, height, width), or with a last axis of 1 or 3, got {pixels.shape}; "
            f"reshape them first, for example images.reshape(-1, 28, 28)"
        )
    if len(pixels) > MOST_IMAGES:
        raise ValueError(f"{len(pixels)} images do not fit into a picture; choose {MOST_IMAGES} of them, or fewer")
    if pixels.ndim == 3:
        return pixels.astype(np.float64)
    if pixels.dtype != np.uint8 and not (pixels.min() >= 0 and pixels.max() <= 1):
        raise ValueError("images in colour must be uint8, or numbers from 0 to 1; scale them first")
    return pixels


def _host(titles: Any) -> Any:
    return to_numpy(titles) if is_array(titles) else titles


def _columns(count: int) -> int:
    """Up to five images in a row; else the squarest grid among those with the fewest empty places."""
    if count <= 5:
        return count
    least = math.isqrt(count - 1) + 1
    return min(range(least, max(least + 1, min(2 * least, 13))), key=lambda columns: (-count % columns, columns))


def _colour_bar(figure: Figure, shown: Any, height: float) -> None:
    whole = figure.get_figwidth(), figure.get_figheight()
    axes = new_axes(figure, whole[0] - 0.68, (whole[1] - height) / 2, 0.09, height)
    bar = figure.colorbar(shown, cax=axes)
    bar.outline.set_visible(False)
    low, high = shown.get_clim()
    bar.set_ticks([low, 0.0, high], labels=[f"{low:.2g}", "0", f"{high:.2g}"])
    axes.tick_params(labelsize=8, length=0, labelcolor=INK)
