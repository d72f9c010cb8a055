"""A layer made of a function."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from nnx.backends import Array, array_namespace
from nnx.functional import Pullback
from nnx.graph.program import as_masks
from nnx.layers.layer import Layer, registry
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

    function : returns `(y, pullback)`, as those of `nnx.functional` do; or only y, if `pullback` is given.
    pullback : for a function that returns only y: called as pullback(dy, x, y), returns the cotangent of x, of a list
        of inputs a list. The string
        "stop" gives no cotangent to x (zeros), for a function that is not to be differentiated.
    output_shape : shape of a sample of the output, if it differs from the input's, or from what several inputs are
        broadcast to.
    arguments : keyword arguments for the function.

    Input (batch, ...), output of the same shape, or (batch, *output_shape). ValueError, when it runs, for a function
    that returns another shape; TypeError for one that returns only y where no `pullback` is given.

    Anonymous functions (lambda) work, but a model with one cannot be saved: use a named function, and pass it to
    `load_model(..., custom_objects={"its_name": function})`.

    >>> Lambda(lambda x: x * 2.0, pullback=lambda dy, x, y: dy * 2.0)([1.0, 2.0])
    array([2., 4.], dtype=float32)
    """

    def __init__(
        self,
        function: Callable[..., Any] | str,
        pullback: Callable[..., Any] | str | None = None,
        output_shape: Any = None,
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.function = _named(function, "function")
        self.pullback: Any = pullback if pullback in (None, "stop") else _named(pullback, "pullback")
        self.output_shape = (output_shape,) if isinstance(output_shape, int) else output_shape
        self.arguments = dict(arguments or {})

    def forward(self, *inputs: Array, training: bool = False) -> tuple[Array, Pullback]:
        x: Any = inputs[0] if len(inputs) == 1 else list(inputs)
        result = self.function(x, **self.arguments)
        pair = isinstance(result, tuple) and len(result) == 2 and callable(result[1])
        if self.pullback is None:
            if not pair:
                raise TypeError(
                    f"{self.name}: the function returned {type(result).__name__}, expected (y, pullback). Return both, "
                    f"or give Lambda(function, pullback=lambda dy, x, y: ...) the derivative"
                )
            y, pullback = result
            self._check_output(inputs, y)
            return y, pullback
        y = result[0] if pair else result
        self._check_output(inputs, y)
        if self.pullback == "stop":
            zeros = [array_namespace(one).zeros_like(one) for one in inputs]
            return y, lambda dy: zeros[0] if len(zeros) == 1 else zeros
        return y, functools.partial(self._pull_back, x=x, y=y)

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

    def compute_mask(self, x: Any, mask: Any = None) -> Array | None:
        """The mask of the input, or the first of several; None, with a warning, where the output has another shape."""
        found = next((one for one in as_masks(mask) if one is not None), None)
        return found if self.output_shape is None else self.lost_mask(found)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """The shape of the output, for the shape of the input or for a list of those of several."""
        shapes = as_shapes(input_shape)
        if self.output_shape is not None:
            return (shapes[0][0], *self.output_shape)
        try:
            return functools.reduce(lambda one, other: broadcast_shapes(one, other, self.name), shapes)
        except ValueError as error:
            raise ValueError(
                f"{error}: write Lambda(function, output_shape=...), the shape of one sample of what it returns"
            ) from None
