"""Layers of several inputs: sums, products, extrema, concatenation and inner products.

Each is called on its inputs, or on a list of them, and has a function of the same name in lower case, which makes the
layer: `add([a, b])`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from nnx.arguments import is_integer
from nnx.backends import Array, array_namespace
from nnx.functional import Pullback, inner_product, merging
from nnx.layers.layer import Layer, registry
from nnx.shapes import Shape

Shapes = Sequence[Shape]


class Merge(Layer):
    """A layer of several inputs that combines them element by element.

    Inputs of fewer axes get new ones, of size 1, after the batch axis; then sizes of 1 are repeated.

    A mask of the output is True where that of any input is; without a mask of every input there is none.
    """

    supports_masking = True

    exactly: int | None = None
    """How many inputs there must be; None for any number."""

    def build(self, input_shape: Any) -> None:
        shapes = _shapes(input_shape)
        if self.exactly not in (None, len(shapes)):
            raise ValueError(f"{self.name}: expected a list of {self.exactly} inputs, got {len(shapes)}")
        self.compute_output_shape(shapes)
        super().build(input_shape)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shapes = _shapes(input_shape)
        if any(len(shape) < 1 for shape in shapes):
            raise ValueError(f"{self.name}: expected inputs with a batch axis, got shapes {shapes}")
        return self._merge_shapes(shapes)

    def _merge_shapes(self, shapes: Shapes) -> Shape:
        ndim = max(len(shape) for shape in shapes)
        aligned = [(shape[0], *(1,) * (ndim - len(shape)), *shape[1:]) for shape in shapes]
        return tuple(self._common_size(sizes, shapes) for sizes in zip(*aligned, strict=True))

    def _common_size(self, sizes: Sequence[int | None], shapes: Shapes) -> int | None:
        known = {size for size in sizes if size not in (1, None)}
        if len(known) > 1:
            raise ValueError(f"{self.name}: the shapes {', '.join(map(str, shapes))} do not fit together")
        return known.pop() if known else None if None in sizes else 1

    def compute_mask(self, inputs: Any, mask: Any = None) -> Array | None:
        """The mask of the output. mask : for each input a boolean array (batch, time), or None."""
        masks = _masks(mask)
        if not masks or any(one is None for one in masks):
            return None
        return functools.reduce(array_namespace(masks[0]).logical_or, masks)


def _shapes(input_shape: Any) -> Shapes:
    """The shapes of all inputs, also of a single one."""
    several = len(input_shape) > 0 and isinstance(input_shape[0], list | tuple)
    return [tuple(shape) for shape in input_shape] if several else [tuple(input_shape)]


def _masks(mask: Any) -> list[Any]:
    return list(mask) if isinstance(mask, list | tuple) else [mask]


@registry.register()
class Add(Merge):
    """The sum of all inputs, element by element: y = x1 + x2 + ...

    Inputs (batch, ...) of one shape, or of shapes that broadcast behind the batch axis; output of the common shape.
    ValueError for others.

    >>> Add()([1.0, 2.0], [10.0, 20.0])
    array([11., 22.], dtype=float32)
    """

    @property
    def is_sum(self) -> bool:
        return type(self).forward is Add.forward and self.activity_regularizer is None

    def forward(self, *inputs: Array, training: bool = False) -> tuple[Array, Pullback]:
        return merging.add(*inputs)


@registry.register()
class Subtract(Merge):
    """The first input minus the second, element by element: y = x1 - x2

    Inputs (batch, ...) of one shape, or of shapes that broadcast behind the batch axis; output of the common shape.
    ValueError for others, and for more or fewer inputs than two.

    >>> Subtract()([3.0, 2.0], [1.0, 5.0])
    array([ 2., -3.], dtype=float32)
    """

    exactly = 2

    def forward(self, *inputs: Array, training: bool = False) -> tuple[Array, Pullback]:
        return merging.subtract(*inputs)


@registry.register()
class Average(Merge):
    """The mean of all inputs, element by element: y = (x1 + ... + xk) / k

    Inputs (batch, ...) of one shape, or of shapes that broadcast behind the batch axis; output of the common shape.
    ValueError for others.

    >>> Average()([1.0, 2.0], [3.0, 6.0])
    array([2., 4.], dtype=float32)
    """

    def forward(self, *inputs: Array, training: bool = False) -> tuple[Array, Pullback]:
        return merging.average(*inputs)


class _MaskedMerge(Merge):
    """A merge in which what a mask leaves out of an input does not take part."""

    uses_mask = True


@registry.register()
class Multiply(_MaskedMerge):
    """The product of all inputs, element by element: y = x1 * x2 * ...

    Inputs (batch, ...) of one shape, or of shapes that broadcast behind the batch axis; output of the common shape.
    ValueError for others.

    Where the masks of some inputs are False, the product is that of the others; where those of all are, it is 0.

    >>> Multiply()([1.0, 2.0], [3.0, 4.0])
    array([3., 8.], dtype=float32)
    """

    def forward(self, *inputs: Array, mask: Any = None, training: bool = False) -> tuple[Array, Pullback]:
        return merging.multiply(*inputs, masks=None if mask is None else _masks(mask))


@registry.register()
class Maximum(_MaskedMerge):
    """The largest of all inputs, element by element: y = max(x1, x2, ...)

    Inputs (batch, ...) of one shape, or of shapes that broadcast behind the batch axis; output of the common shape.
    ValueError for others.

    Inputs whose mask is False do not take part; where none does, y is the first. Of two that are equal each gets half
    of the gradient.

    >>> Maximum()([1.0, 4.0], [3.0, 2.0])
    array([3., 4.], dtype=float32)
    """

    def forward(self, *inputs: Array, mask: Any = None, training: bool = False) -> tuple[Array, Pullback]:
        return merging.maximum(*inputs, masks=None if mask is None else _masks(mask))


@registry.register()
class Minimum(_MaskedMerge):
    """The smallest of all inputs, element by element: y = min(x1, x2, ...)

    Inputs (batch, ...) of one shape, or of shapes that broadcast behind the batch axis; output of the common shape.
    ValueError for others.

    Inputs whose mask is False do not take part; where none does, y is the first. Of two that are equal each gets half
    of the gradient.

    >>> Minimum()([1.0, 4.0], [3.0, 2.0])
    array([1., 2.], dtype=float32)
    """

    def forward(self, *inputs: Array, mask: Any = None, training: bool = False) -> tuple[Array, Pullback]:
        return merging.minimum(*inputs, masks=None if mask is None else _masks(mask))


@registry.register()
class Concatenate(Merge):
    """The inputs one after another along an axis; all other sizes are equal.

    axis : the last one by default; not 0, the batch axis.

    Inputs (batch, ..., n_i, ...), output (batch, ..., n_1 + n_2 + ..., ...). ValueError for inputs that differ in the
    number of their axes, or in other sizes.

    Along the axis of time masks are concatenated too, and an input without one counts in full. Along others, the mask
    of the output is True where that of any input is.

    >>> Concatenate()([[1.0, 2.0]], [[3.0]])
    array([[1., 2., 3.]], dtype=float32)
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not is_integer(axis) or axis == 0:
            raise ValueError(f"{self.name}: axis must be an integer other than 0, the batch axis, got {axis!r}")
        self.axis = axis.__index__()

    def forward(self, *inputs: Array, training: bool = False) -> tuple[Array, Pullback]:
        return merging.concatenate(*inputs, axis=self.axis)

    def _merge_shapes(self, shapes: Shapes) -> Shape:
        ndim = len(shapes[0])
        if not -ndim < self.axis < ndim or any(len(shape) != ndim for shape in shapes):
            raise ValueError(
                f"{self.name}: expected inputs of one number of axes, with an axis {self.axis} behind the batch axis, "
                f"got shapes {', '.join(map(str, shapes))}"
            )
        axis = self.axis % ndim
        sizes: list[int | None] = []
        for position, found in enumerate(zip(*shapes, strict=True)):
            if position == axis:
                sizes.append(None if None in found else sum(found))
                continue
            known = {size for size in found if size is not None}
            if len(known) > 1:
                raise ValueError(
                    f"{self.name}: sizes must be equal, except along axis {axis}, got shapes "
                    f"{', '.join(map(str, shapes))}"
                )
            sizes.append(known.pop() if known else None)
        return tuple(sizes)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Array | None:
        masks = _masks(mask)
        present = [one for one in masks if one is not None]
        if not present:
            return None
        xp, arrays = array_namespace(present[0]), list(inputs) if isinstance(inputs, list | tuple) else [inputs]
        ndim = len(present[0].shape)
        if self.axis % len(arrays[0].shape) >= ndim:
            return functools.reduce(xp.logical_or, present) if len(present) == len(masks) else None
        whole = [
            xp.ones_like(x[(..., *(0,) * (len(x.shape) - ndim))], dtype=xp.bool) if one is None else one
            for x, one in zip(arrays, masks, strict=True)
        ]
        return xp.concat(whole, axis=self.axis % len(arrays[0].shape))


@registry.register()
class Dot(Merge):
    """Inner products of two inputs along an axis of each, sample by sample.

        y[n, i..., j...] = sum of x1[n, i..., k] * x2[n, j..., k] over k, which counts along the axes

    axes : the axis of both, or one for each; not 0, the batch axis.
    normalize : give the vectors along the axes length 1 before, so that the products are cosines.

    The output has the other axes of the first input, then those of the second; (batch, 1) if there are none. It has no
    mask. ValueError for axes of different sizes, or ones that an input does not have.

    >>> Dot(axes=1)([[1.0, 2.0]], [[3.0, 4.0]])
    array([[11.]], dtype=float32)
    >>> import numpy as np
    >>> Dot(axes=(1, 2))(np.ones((2, 3, 5)), np.ones((2, 10, 3))).shape
    (2, 5, 10)
    """

    exactly = 2

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        several: list[Any] = list(axes) if isinstance(axes, list | tuple) else []
        if not all(map(is_integer, several or [axes])) or (several and len(several) != 2):
            raise ValueError(f"{self.name}: axes must be an integer or two integers, got {axes!r}")
        self.axes = axes if isinstance(axes, int) else several
        self.normalize = normalize

    def forward(self, *inputs: Array, training: bool = False) -> tuple[Array, Pullback]:
        x, y = inputs
        return inner_product.dot(x, y, self.axes, self.normalize)

    def _merge_shapes(self, shapes: Shapes) -> Shape:
        if len(shapes) == 1:
            return shapes[0]  # the shape of one input alone, which says nothing yet
        first, second = shapes
        try:
            a, b = inner_product.axes_of_both(first, second, self.axes)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None
        rest = (*first[1:a], *first[a + 1 :], *second[1:b], *second[b + 1 :])
        return (first[0] if second[0] is None else second[0], *(rest or (1,)))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Array | None:
        """None, with a warning: products of steps are no steps."""
        return self.lost_mask(mask)


def add(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """The sum of the inputs, as of the layer `Add`.

    inputs : a list of arrays or symbols (batch, ...).
    Further arguments are those of the layer, such as its name.

    >>> add([[1.0, 2.0], [10.0, 20.0]])
    array([11., 22.], dtype=float32)
    """
    return Add(**kwargs)(*inputs)


def subtract(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """The first input minus the second, as of the layer `Subtract`.

    inputs : a list of two arrays or symbols (batch, ...).
    Further arguments are those of the layer, such as its name.

    >>> subtract([[3.0, 2.0], [1.0, 5.0]])
    array([ 2., -3.], dtype=float32)
    """
    return Subtract(**kwargs)(*inputs)


def multiply(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """The product of the inputs, as of the layer `Multiply`.

    inputs : a list of arrays or symbols (batch, ...).
    Further arguments are those of the layer, such as its name.

    >>> multiply([[1.0, 2.0], [3.0, 4.0]])
    array([3., 8.], dtype=float32)
    """
    return Multiply(**kwargs)(*inputs)


def average(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """The mean of the inputs, as of the layer `Average`.

    inputs : a list of arrays or symbols (batch, ...).
    Further arguments are those of the layer, such as its name.

    >>> average([[1.0, 2.0], [3.0, 6.0]])
    array([2., 4.], dtype=float32)
    """
    return Average(**kwargs)(*inputs)


def maximum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """The largest of the inputs, element by element, as of the layer `Maximum`.

    inputs : a list of arrays or symbols (batch, ...).
    Further arguments are those of the layer, such as its name.

    >>> maximum([[1.0, 4.0], [3.0, 2.0]])
    array([3., 4.], dtype=float32)
    """
    return Maximum(**kwargs)(*inputs)


def minimum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """The smallest of the inputs, element by element, as of the layer `Minimum`.

    inputs : a list of arrays or symbols (batch, ...).
    Further arguments are those of the layer, such as its name.

    >>> minimum([[1.0, 4.0], [3.0, 2.0]])
    array([1., 2.], dtype=float32)
    """
    return Minimum(**kwargs)(*inputs)


def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Any) -> Any:
    """The inputs one after another along an axis, as of the layer `Concatenate`.

    inputs : a list of arrays or symbols (batch, ...).
    axis : the last one by default.
    Further arguments are those of the layer, such as its name.

    >>> import numpy as np
    >>> concatenate([np.ones((2, 3)), np.zeros((2, 1))]).shape
    (2, 4)
    """
    return Concatenate(axis=axis, **kwargs)(*inputs)


def dot(inputs: Sequence[Any], axes: int | Sequence[int] = -1, **kwargs: Any) -> Any:
    """The inner products of two inputs along an axis of each, as of the layer `Dot`.

    inputs : a list of two arrays or symbols (batch, ...).
    axes : the axis of both, or one for each; the last one by default.
    Further arguments are those of the layer, such as its name.

    >>> import numpy as np
    >>> dot([np.ones((2, 3)), np.ones((2, 3))]).tolist()
    [[3.0], [3.0]]
    """
    return Dot(axes=axes, **kwargs)(*inputs)
