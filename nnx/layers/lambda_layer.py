"""A layer made of a function."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from nnx.autodiff.protocol import derived
from nnx.backends import Array, array_namespace
from nnx.functional import Pullback
from nnx.graph.program import as_masks
from nnx.graph.trial import shapes_and_dtypes
from nnx.in_place import sparing
from nnx.layers.layer import Layer, registry
from nnx.pullbacks import cotangent_of, is_pair, require_fits
from nnx.registry import Registry
from nnx.shapes import Shape, as_shapes, broadcast_shapes

_functions: Registry[Callable[..., Any]] = Registry("function")


def _named(function: Any, what: str) -> Any:
    """A function, also by a name that was saved."""
    try:
        function = _functions.find(function) if isinstance(function, str) else function
    except ValueError:
        raise ValueError(
            f"Lambda does not know the {what} {function!r}: load the model with "
            f"custom_objects={{{function!r}: the_function}}, or give the function itself"
        ) from None
    if not callable(function):
        raise TypeError(f"the {what} of Lambda must be a function, got {function!r}")
    return function


@registry.register()
class Lambda(Layer):
    """A function without parameters as a layer: y = function(x, **arguments). Several inputs come as a list.

    function : of ordinary array code, which is differentiated; or one that returns `(y, pullback)`, as those of
        `nnx.functional` do.
    output_shape : shape of a sample of the output, or a function from the shape of the input to that of the output,
        both with the batch axis; by default it is found by calling the function once.
    mask : the mask of the output: a function (inputs, mask) -> mask, or an array; by default the mask of the input.
    arguments : keyword arguments for the function.
    pullback : for a derivative of one's own: called as pullback(dy, x, y), returns the cotangent of x, of a list of
        inputs a list. The string "stop" gives no cotangent to x (zeros), for a function that is not to be
        differentiated.

    Input (batch, ...), output of the same shape, or (batch, *output_shape). ValueError, when it runs, for a function
    that returns another shape.

    Anonymous functions (lambda) work, but a model with one cannot be saved: use a named function, and pass it to
    `load_model(..., custom_objects={"its_name": function})`.

    >>> Lambda(lambda x: x * 2.0)([1.0, 2.0])
    array([2., 4.], dtype=float32)
    """

    def __init__(
        self,
        function: Callable[..., Any] | str,
        output_shape: Any = None,
        mask: Any = None,
        arguments: dict[str, Any] | None = None,
        *,
        pullback: Callable[..., Any] | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.function = _named(function, "function")
        self.pullback: Any = pullback if pullback in (None, "stop") else _named(pullback, "pullback")
        if callable(output_shape) or isinstance(output_shape, str):
            output_shape = _named(output_shape, "output_shape")
        self.output_shape = (output_shape,) if isinstance(output_shape, int) else output_shape
        self.mask: Any = _named(mask, "mask") if callable(mask) or isinstance(mask, str) else mask
        self.makes_mask = self.supports_masking = mask is not None
        self.arguments = dict(arguments or {})
        self._found: dict[tuple[Shape, ...], Shape] = {}  # by the shapes of samples, what was found to come of them

    _derives = False
    """Whether the function was seen to return its value without a pullback."""

    def forward(self, *inputs: Array, training: bool = False) -> tuple[Array, Pullback]:
        result: Any = None if self._derives else self._result(*inputs)
        pair = is_pair(result)
        if self.pullback is None:
            self._derives = not pair
            y, pullback = result if pair else self._derive(inputs)
            self._check_output(inputs, y)
            return y, self._fitting(pullback, inputs) if pair else pullback
        y = result[0] if pair else result
        self._check_output(inputs, y)
        if self.pullback == "stop":
            zeros = [array_namespace(one).zeros_like(one) for one in inputs]
            return y, lambda dy: zeros[0] if len(zeros) == 1 else zeros
        x = inputs[0] if len(inputs) == 1 else list(inputs)
        return y, self._fitting(functools.partial(self._pull_back, x=x, y=y), inputs)

    def _fitting(self, pullback: Pullback, inputs: Sequence[Array]) -> Pullback:
        """A pullback of somebody's own, whose cotangents are checked."""

        def pull_back(dy: Array) -> Any:
            dxs = require_fits(self.name, pullback(dy), inputs)
            if len(dxs) == 1:
                return cotangent_of(inputs[0], dxs[0])
            return tuple(cotangent_of(x, dx) for x, dx in zip(inputs, dxs, strict=True))

        return pull_back

    def _result(self, *inputs: Array) -> Any:
        """What the function returns for one array, or for a list of several."""
        return sparing(self.function)(inputs[0] if len(inputs) == 1 else list(inputs), **self.arguments)

    def _derive(self, inputs: Sequence[Array]) -> tuple[Array, Pullback]:
        """The value of a function of ordinary array code, and the derived pullback."""
        return derived(self._result, inputs, {}, f"the function of {self.name}")

    def _check_output(self, inputs: Sequence[Array], y: Any) -> None:
        """ValueError if the layers that follow were built for another shape than the function returns."""
        shapes = [tuple(x.shape) for x in inputs]
        expected = self.compute_output_shape(shapes[0] if len(shapes) == 1 else shapes)
        given = tuple(getattr(y, "shape", ()))
        if len(expected) != len(given) or any(e not in (None, g) for e, g in zip(expected, given, strict=True)):
            raise ValueError(
                f"{self.name}: the function returned shape {given}, expected {expected}; write Lambda(function, "
                f"output_shape={given[1:]}), the shape of one sample"
            )

    def _pull_back(self, dy: Array, x: Any, y: Array) -> Any:
        return self.pullback(dy, x, y)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Array | None:
        """What `mask` says; else the mask of the input, or the first of several.

        None, with a warning, where the output has another shape.
        """
        if self.mask is not None:
            return self.mask(inputs, mask) if callable(self.mask) else self.placement.asarray(self.mask, "bool")
        found = next((one for one in as_masks(mask) if one is not None), None)
        return found if self.output_shape is None else self.lost_mask(found)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """The shape of the output, for the shape of the input or for a list of those of several."""
        shapes = as_shapes(input_shape)
        if callable(self.output_shape):
            return tuple(self.output_shape(input_shape))
        if self.output_shape is not None:
            return (shapes[0][0], *self.output_shape)
        return self._found_shape(tuple(map(tuple, shapes)))

    def _found_shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """The shape of what the function returns for inputs of these shapes, found by calling it once."""
        key = tuple(shape[1:] for shape in shapes)
        if key not in self._found:

            def function(*arrays: Array) -> Any:
                result = self._result(*arrays)
                return result[0] if is_pair(result) else result

            dtype = self.dtype or self.placement.dtype
            try:
                made, _, _ = shapes_and_dtypes(function, shapes, [dtype] * len(shapes), self.placement)
            except Exception:  # such as one that takes integers: what it returns is seen when it runs
                return self._broadcast_shape(list(shapes))
            self._found[key] = made[0][1:]
        return (shapes[0][0], *self._found[key])

    def _broadcast_shape(self, shapes: list[Shape]) -> Shape:
        try:
            return functools.reduce(lambda one, other: broadcast_shapes(one, other, self.name), shapes)
        except ValueError as error:
            raise ValueError(
                f"{error}: write Lambda(function, output_shape=...), the shape of one sample of what it returns"
            ) from None
