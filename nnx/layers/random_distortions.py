"""Images seen in another perspective, or through uneven glass, at random, for training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.arguments import number
from nnx.autodiff.primitive import primitive
from nnx.backends import Array, array_namespace
from nnx.functional import images, noise
from nnx.layers.augmentation import Augmentation, Factor, limits_of, one_of
from nnx.layers.layer import registry
from nnx.layers.value_range import ValueRange
from nnx.ops.image import gaussian_blur

_FILL_MODES = (*images.FILL_MODES, "mirror")


@registry.register()
class RandomPerspective(Augmentation):
    """Images seen in another perspective at random, in training: their corners come to lie elsewhere.

    The corner in column u and row v is moved to (1 + a) u and (1 + b) v, with a and b drawn for each corner between
    -scale / 2 and scale / 2; so the upper left one stays.

    factor : the probability; one number means that it is itself drawn for each image, between 0 and that number, by
        default 1.0, and a pair between the two.
    scale : how far corners move, from 0 to 1, by default 1.0.
    interpolation : "bilinear" (default) or "nearest".
    fill_value : of what is beyond the edges, by default 0.
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".

    Input of images, or one, output of its shape; with training=False the input itself. ValueError for factors out of
    range.

    >>> import numpy as np
    >>> RandomPerspective(scale=0.0)(np.ones((1, 4, 4, 1))).mean()  # nothing moves
    np.float32(1.0)
    """

    changes = ("segmentation_masks",)

    def __init__(
        self,
        factor: Factor = 1.0,
        scale: float = 1.0,
        interpolation: str = "bilinear",
        fill_value: float = 0.0,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor = factor
        self._limits = limits_of(f"{self.name}: factor", factor, least=0.0)
        self.scale = number(f"{self.name}: scale", scale, least=0.0, most=1.0)
        self.interpolation = one_of(f"{self.name}: interpolation", interpolation, images.INTERPOLATIONS)
        self.fill_value = number(f"{self.name}: fill_value", fill_value)

    def draw_factors(self, x: Array) -> tuple[Array, Array, Array]:
        """Which images are changed, and the rows and columns in which each pixel of the result is read."""
        chosen = self.draw_chosen(x, self._limits)
        moves = self.scale * (self.draw_on_host(x, 8) - 0.5)
        right, down = x.shape[2] - 1.0, x.shape[1] - 1.0
        corners = np.asarray([[0.0, 0.0], [right, 0.0], [0.0, down], [right, down]])
        maps = self.placed(x, perspective_maps(corners, corners * (1.0 + moves.reshape(-1, 4, 2))))
        a, b, c, d, e, f, g, h = (maps[:, i][:, None, None] for i in range(8))
        v, u = images.pixel_places(x)
        depth = g * u + h * v + 1.0
        return chosen, (d * u + e * v + f) / depth, (a * u + b * v + c) / depth

    def transform(self, x: Array, factors: tuple[Array, Array, Array]) -> Array:
        return self._seen(x, factors, self.interpolation)

    def transform_masks(self, masks: Array, factors: tuple[Array, Array, Array]) -> Array:
        return self._seen(masks, factors, "nearest")

    def _seen(self, x: Array, factors: tuple[Array, Array, Array], interpolation: str) -> Array:
        return _read(x, factors, interpolation, "constant", self.fill_value)


def _read(x: Array, factors: tuple[Array, Array, Array], *options: Any) -> Array:
    """The chosen images read at rows and columns, and the others."""
    chosen, rows, columns = factors
    y = primitive(lambda pixels: images.read_pixels(pixels, rows, columns, *options))(x)
    return array_namespace(x).where(chosen, y, x)


def perspective_maps(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Maps (batch, 8) of points: a, b, ... h, that lead from four points to four others, on the host.

    The point (u, v) comes from ((a u + b v + c) / w, (d u + e v + f) / w) with w = g u + h v + 1.

    before (4, 2), after (batch, 4, 2) : columns and rows of points, where they come from, and where they lie.

    >>> corners = np.asarray([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
    >>> perspective_maps(corners, 2.0 * corners[None])[0, :6].round(3).tolist()
    [0.5, 0.0, 0.0, 0.0, 0.5, 0.0]
    """
    x, y = np.broadcast_to(before, after.shape)[..., 0], np.broadcast_to(before, after.shape)[..., 1]
    u, v = after[..., 0], after[..., 1]
    zero, one = np.zeros_like(u), np.ones_like(u)
    of_x = np.stack([u, v, one, zero, zero, zero, -x * u, -x * v], axis=-1)
    of_y = np.stack([zero, zero, zero, u, v, one, -y * u, -y * v], axis=-1)
    right = np.concatenate([x, y], axis=-1)[..., None]
    maps: np.ndarray = np.linalg.solve(np.concatenate([of_x, of_y], axis=1), right)[..., 0]
    return maps


@registry.register()
class RandomElasticTransform(Augmentation):
    """Images whose pixels are moved by a smooth random field, in training.

    factor : the probability; one number means that it is itself drawn for each image, between 0 and that number, by
        default 1.0, and a pair between the two.
    scale : how strong the field is, drawn for all images of a batch together: between 0 and one number, by default 1.0,
        or between those of a pair. From 0 to 1. At 1, it is of normal numbers of standard deviation 5 % of the shorter
        side, smoothed as far, times 10 % of the longer side.
    interpolation : "bilinear" (default) or "nearest".
    fill_mode : what is beyond the edges of an image a b c d: b a | a b c d | d c ("reflect", default),
        c d | a b c d | a b ("wrap"), a a | a b c d | d d ("nearest"), c b | a b c d | c b ("mirror"),
        k k | a b c d | k k ("constant").
    fill_value : the k of "constant", by default 0.
    value_range : the lowest and the highest value of a pixel, by default (0, 255).
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".

    Input of images, or one, output of its shape, with values in their range; with training=False the input itself.
    ValueError for factors out of range.

    >>> import numpy as np
    >>> RandomElasticTransform(seed=1)(np.ones((2, 8, 8, 1))).mean()
    np.float32(1.0)
    """

    changes = ("segmentation_masks",)

    def __init__(
        self,
        factor: Factor = 1.0,
        scale: Factor = 1.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor, self.scale, self.value_range = factor, scale, value_range
        self._limits = limits_of(f"{self.name}: factor", factor, least=0.0)
        self._scale = limits_of(f"{self.name}: scale", scale, least=0.0)
        self.interpolation = one_of(f"{self.name}: interpolation", interpolation, images.INTERPOLATIONS)
        self.fill_mode = one_of(f"{self.name}: fill_mode", fill_mode, _FILL_MODES)
        self.fill_value = number(f"{self.name}: fill_value", fill_value)
        self._range = ValueRange.read(self.name, value_range)

    def draw_factors(self, x: Array) -> tuple[Array, Array, Array]:
        """Which images are changed, and the rows and columns in which each pixel of the result is read."""
        chosen = self.draw_chosen(x, self._limits)
        low, high = self._scale
        scale = low + (high - low) * self.draw_for_batch(1)[0]
        batch, height, width, _ = x.shape
        sigma = max(0.05 * scale * min(height, width), 1e-6)
        taps = math.floor(6.0 * sigma) | 1
        xp, like = array_namespace(x), array_namespace(x).zeros_like(x[..., :1])
        size = noise.words_for_normals(batch * height * width)
        field = xp.concat([noise.normal(like, self.draw(size)) for _ in range(2)], axis=-1)
        moves = gaussian_blur(field, (taps, taps), (sigma, sigma)) * (0.1 * scale * max(height, width) * sigma)
        rows, columns = images.pixel_places(x)
        return chosen, rows + moves[..., 1], columns + moves[..., 0]

    def transform(self, x: Array, factors: tuple[Array, Array, Array]) -> Array:
        return self._range.limited(self._moved(x, factors, self.interpolation))

    def transform_masks(self, masks: Array, factors: tuple[Array, Array, Array]) -> Array:
        return self._moved(masks, factors, "nearest")

    def _moved(self, x: Array, factors: tuple[Array, Array, Array], interpolation: str) -> Array:
        return _read(x, factors, interpolation, self.fill_mode, self.fill_value)
