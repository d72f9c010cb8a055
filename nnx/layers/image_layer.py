"""ImageLayer: the base of layers that change images, in arrays, one by one, or with what goes with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from nnx.autodiff.array import lower
from nnx.autodiff.transforms import derive
from nnx.backends import Array, array_namespace, is_array
from nnx.functional import Pullback
from nnx.functional.layout import CHANNELS_FIRST
from nnx.layers.spatial import Spatial
from nnx.names import did_you_mean, nearest
from nnx.ops.conversion import saturate_cast
from nnx.precision import narrow, wide
from nnx.shapes import Shape, as_shapes, is_shape

_KNOWN = ("images", "labels", "segmentation_masks", "bounding_boxes")


class ImageLayer(Spatial):
    """A layer that changes each image of a batch: in `fit`, and where it is called without `training`.

    A layer of a kind says in `draw_factors` what is drawn for a batch, and in `transform`, ordinary array code, what
    becomes of the images by that. Both see (batch, rows, columns, channels), in float32 or float64, whatever comes: one
    image, channels first, integers. The derivative is taken when somebody asks for it, which nobody does in front of
    the first layer that learns.

    Besides images the layer takes a dict as a data pipeline has it: "images", "labels", "segmentation_masks" and
    whatever else, which stays as it is.

    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".
    """

    spatial_ndim = 2

    acts_always: ClassVar[bool] = False
    """Whether images are changed at inference too."""

    keeps_integers: ClassVar[bool] = False
    """Whether arrays of integers stay integers where the layer is called on them; others become floats."""

    changes: ClassVar[tuple[str, ...]] = ()
    """What is changed of a dict besides its images."""

    def __init__(self, *, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.set_data_format(data_format)

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Images, or one, changed; of a dict its images, and what goes with them."""
        if len(inputs) != 1 or not isinstance(inputs[0], dict):
            y = super().__call__(*inputs, **options)
            return self._as_given(y, inputs[0]) if self.keeps_integers and inputs else y
        given = inputs[0]
        self._check_dict(given)
        keys = ["images", *(key for key in self.changes if key in given)]  # in alphabetical order, as inputs are
        made = super().__call__({key: given[key] for key in keys}, keys=keys, **options)
        changed = dict(zip(keys, made if len(keys) > 1 else [made], strict=True))
        if self.keeps_integers:
            changed["images"] = self._as_given(changed["images"], given["images"])
        if "segmentation_masks" in changed:
            changed["segmentation_masks"] = self._as_given(changed["segmentation_masks"], given["segmentation_masks"])
        return {**given, **changed}

    def _check_dict(self, given: dict[str, Any]) -> None:
        if "images" not in given:
            raise ValueError(f"{self.name}: expected a dict with the key 'images', got {sorted(map(str, given))}")
        for key in given.keys() - set(_KNOWN):
            near = did_you_mean(nearest(str(key), _KNOWN))
            if near:
                raise ValueError(f"{self.name}: a dict of images has the key {key!r}, which stays as it is: {near}")
        if "bounding_boxes" in given:
            raise ValueError(
                f"{self.name}: bounding boxes are not changed with their images: take the key 'bounding_boxes' out, "
                f"or give masks of the objects as 'segmentation_masks'"
            )

    def _as_given(self, y: Any, given: Any) -> Any:
        """Floats in the dtype of what was given, if that is an array of integers."""
        kind = str(given.dtype).rpartition(".")[2] if is_array(given) else ""
        if "int" not in kind or not is_array(y):
            return y
        return saturate_cast(self.whole(y), kind)

    def whole(self, y: Array) -> Array:
        """Values as whole numbers."""
        return array_namespace(y).round(y)

    # Computation

    def forward(
        self, *inputs: Array, training: bool | None = False, keys: Sequence[str] = ("images",)
    ) -> tuple[Any, Pullback]:
        """The images changed if `training` is True, or None as in a call that does not say it, as in Keras.

        keys : what the inputs are, the first one "images".
        """
        if training is False and not self.acts_always:
            return (inputs[0] if len(inputs) == 1 else inputs), lambda dy: dy
        factors = None if training is False else self.draw_factors(self._admitted_images(lower(inputs[0])))

        def compute(*arrays: Array) -> Any:
            made = [self._changed(key, array, factors) for key, array in zip(keys, arrays, strict=True)]
            return made[0] if len(made) == 1 else tuple(made)

        return compute(*inputs), lambda dy: derive(compute, inputs, {})[1](dy)

    def _changed(self, key: str, x: Array, factors: Any) -> Array:
        single = len(x.shape) == (1 if key == "labels" else 3)
        if key == "labels":
            y = self.transform_labels(wide(x)[None, ...] if single else wide(x), factors)
        else:
            transform = self.transform if key == "images" else self.transform_masks
            y = transform(self._admitted_images(x), factors)
            y = array_namespace(y).permute_dims(y, (0, 3, 1, 2)) if self.data_format == CHANNELS_FIRST else y
        return narrow(y[0, ...] if single else y, x)

    def _admitted_images(self, x: Array) -> Array:
        """Images (batch, rows, columns, channels), in no less than float32."""
        x = wide(x)
        if len(x.shape) == 3:
            x = x[None, ...]
        return array_namespace(x).permute_dims(x, (0, 2, 3, 1)) if self.data_format == CHANNELS_FIRST else x

    def draw_factors(self, x: Array) -> Any:
        """What is drawn for a batch (batch, rows, columns, channels), in whatever form `transform` wants it."""
        return None

    def transform(self, x: Array, factors: Any) -> Array:
        """Images changed by what was drawn for them, None at inference: array code, which is differentiated."""
        raise NotImplementedError

    def transform_masks(self, masks: Array, factors: Any) -> Array:
        """Segmentation masks that go with the images; where pixels stay in their places they are not changed."""
        return masks

    def transform_labels(self, labels: Array, factors: Any) -> Array:
        """Labels (batch, classes) that go with the images."""
        return labels

    # Shapes

    def compute_output_shape(self, input_shape: Any) -> Any:
        if is_shape(input_shape):
            return self.shape_of_images(input_shape)
        images, *others = as_shapes(input_shape)
        return [self.shape_of_images(images), *(self.shape_of_images(s) if len(s) > 2 else s for s in others)]

    def shape_of_images(self, shape: Shape) -> Shape:
        """The shape of the output for that of the images, or of one: by default the same."""
        self.image_axes(shape)
        return shape

    def image_axes(self, shape: Shape) -> tuple[int, ...]:
        """The axes of the rows and columns of images, or of one; ValueError for a shape that is neither."""
        if len(shape) == 3:
            return (1, 2) if self.data_format == CHANNELS_FIRST else (0, 1)
        return self.check_axes(shape)

    def shape_of_size(self, shape: Shape, height: int, width: int) -> Shape:
        """The shape of images that have got another height and width."""
        sizes = list(shape)
        for axis, size in zip(self.image_axes(shape), (height, width), strict=True):
            sizes[axis] = size
        return tuple(sizes)
