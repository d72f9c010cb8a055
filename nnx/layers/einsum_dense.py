"""The dense layer of any axes, written as a sum of products."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from nnx.arguments import refuse
from nnx.autodiff.transforms import derive
from nnx.backends import Array
from nnx.functional import Pullback
from nnx.initializers.random import VarianceScaling
from nnx.layers.activation import Activated
from nnx.layers.layer import registry
from nnx.ops.products import einsum
from nnx.parameters import Parameter
from nnx.pullbacks import Differentiable
from nnx.shapes import Shape

_FORMS = re.compile(r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?")


@registry.register()
class EinsumDense(Activated):
    """A dense layer between any axes: activation(einsum(equation, x, kernel) + bias).

    equation : a letter for each axis of the input, of the kernel and of the output, as in "abc,cd->abd"; axes that
        nobody names are "...", at the beginning or at the end of both input and output: "...x,xy->...y".
    output_shape : the sizes of the output's axes that have letters, without the batch; None where it is the input's.
        Where "..." comes first, the batch is one of its axes.
    activation : a name, a function or None (linear); see `nnx.activations`.
    bias_axes : the letters of the output's axes that the bias has; None (default) for no bias.
    kernel_initializer, bias_initializer : see `nnx.initializers`. Those that depend on the numbers of inputs and
        outputs take as inputs the kernel's axes that the output does not have.
    kernel_regularizer, bias_regularizer : see `nnx.regularizers`.
    kernel_constraint, bias_constraint : see `nnx.constraints`.
    lora_rank, lora_alpha, quantization_config : None; ValueError for anything else. gptq_unpacked_column_size : of such
        a configuration; without one it says nothing.

    The kernel has the axes of the equation; the bias those of the output from the first of bias_axes on, of size 1
    where they are not in bias_axes. ValueError for another form of the equation, and for sizes that are not known or do
    not go together.

    >>> import numpy as np
    >>> layer = EinsumDense("abc,cd->abd", output_shape=(None, 4), bias_axes="d")
    >>> layer(np.ones((2, 3, 5))).shape, [weight.shape for weight in layer.weights]
    ((2, 3, 4), [(5, 4), (4,)])
    """

    supports_masking = False
    refused = ("lora_rank", "lora_alpha", "gptq_unpacked_column_size", "quantization_config")

    bias: Parameter | None = None
    kernel_initializer: Any

    def __init__(
        self,
        equation: str,
        output_shape: int | Sequence[int | None],
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        gptq_unpacked_column_size: int | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        refuse(self.name, lora_rank=lora_rank, lora_alpha=lora_alpha, quantization_config=quantization_config)
        self.equation = equation
        self.output_shape = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
        self.set_activation(activation)
        self.bias_axes = bias_axes
        self.set_weight_options("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self.set_weight_options("bias", bias_initializer, bias_regularizer, bias_constraint)
        form = _FORMS.fullmatch(equation.replace(" ", "")) if isinstance(equation, str) else None
        parts: tuple[Any, ...] = form.groups() if form else (None, "", "...", "", "...", "", None)  # which is refused
        before, inputs, after, letters, out_before, outputs, out_after = parts
        self._inputs, self._kernel, self._outputs = str(inputs), str(letters), str(outputs)
        self._first = before is not None
        if (before, after) != (out_before, out_after) or (before and after):
            raise ValueError(
                f"{self.name}: equation must be of the form 'ab,bc->ac', '...b,bc->...c' or 'ab...,bc->ac...', got "
                f"{equation!r}"
            )
        strange = [letter for letter in self._outputs if letter not in self._inputs + self._kernel]
        strange += [letter for letter in self._kernel if letter not in self._inputs + self._outputs]
        strange += [letter for letter in bias_axes or "" if letter not in self._outputs]
        if strange:
            raise ValueError(
                f"{self.name}: {strange[0]!r} in the equation {equation!r}, or in bias_axes {bias_axes!r}, is an axis "
                f"that has no size"
            )

    def _sizes(self, input_shape: Shape) -> tuple[dict[str, int | None], Shape]:
        """The size of each letter, and the output's shape; ValueError for sizes that do not go together."""
        more = len(input_shape) - len(self._inputs)
        unnamed = self._first or self.equation.rstrip().endswith("...")
        if more < 0 or (more > 0 and not unnamed):
            raise ValueError(
                f"{self.name}: the equation {self.equation!r} does not fit an input of shape {input_shape}"
            )
        if self._first:
            free, named = input_shape[:more], input_shape[more:]
            output = (*input_shape[: max(more, 1)], *self.output_shape)
        else:
            named, free = input_shape[: len(self._inputs)], input_shape[len(self._inputs) :]
            output = (input_shape[0], *self.output_shape, *free)
        letters = output[more:] if self._first else output[: len(output) - more]
        if len(letters) != len(self._outputs):
            raise ValueError(
                f"{self.name}: output_shape {self.output_shape} does not fit the equation {self.equation!r}, which "
                f"has {len(self._outputs)} named axes in the output, that of the batch included unless '...' comes "
                f"first"
            )
        sizes = dict(zip(self._inputs, named, strict=True))
        full = list(output)
        for position, (letter, size) in enumerate(zip(self._outputs, letters, strict=True), more if self._first else 0):
            known = sizes.get(letter)
            if None not in (known, size) and known != size:
                raise ValueError(
                    f"{self.name}: the axis {letter!r} has the size {known} in the input and {size} in output_shape"
                )
            sizes[letter] = known if size is None else size
            full[position] = sizes[letter]
        return sizes, tuple(full)

    def build(self, input_shape: Shape) -> None:
        sizes, _ = self._sizes(input_shape)
        kernel: list[Any] = [sizes[letter] for letter in self._kernel]
        start = min(map(self._outputs.index, self.bias_axes)) if self.bias_axes else len(self._outputs)
        bias: list[Any] = [sizes[letter] if letter in (self.bias_axes or "") else 1 for letter in self._outputs[start:]]
        if None in (*kernel, *bias):
            raise ValueError(
                f"{self.name}: the sizes of the weights must be known, got {tuple(kernel)} for the kernel and "
                f"{tuple(bias)} for the bias, from an input of shape {input_shape}"
            )
        if not self._first:
            bias += [1] * (len(input_shape) - len(self._inputs))
        self.kernel = self.add_weight_with_options("kernel", kernel, initializer=self._initial_kernel())
        if self.bias_axes:
            self.bias = self.add_weight_with_options("bias", bias)
        super().build(input_shape)

    def _initial_kernel(self) -> Any:
        """The initializer, which is told which of the kernel's axes are inputs."""
        initial: Any = vars(self)["kernel_initializer"]
        if not isinstance(initial, VarianceScaling) or None not in (initial.input_axes, initial.output_axes):
            return initial
        outputs = [axis for axis, letter in enumerate(self._kernel) if letter in self._outputs]
        inputs = [axis for axis, letter in enumerate(self._kernel) if letter not in self._outputs]
        return type(initial).from_config({**initial.get_config(), "input_axes": inputs, "output_axes": outputs})

    def activated(self, x: Array, activate: Differentiable) -> tuple[Array, Pullback]:
        def affine(x: Array, kernel: Array, *bias: Array) -> Array:
            y = einsum(self.equation, x, kernel)
            return y + bias[0] if bias else y

        weights = [self.kernel] if self.bias is None else [self.kernel, self.bias]
        z, pullback_affine, _ = derive(affine, (x, *(weight.value for weight in weights)), {})
        y, pullback_end = activate(z)
        return y, self.route(lambda dy: pullback_affine(pullback_end(dy)), None, *weights)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if self.built and len(input_shape) == len(self.build_shape):
            named = slice(len(input_shape) - len(self._inputs), None) if self._first else slice(len(self._inputs))
            pairs = zip(self.build_shape[named], input_shape[named], self._inputs, strict=True)
            for expected, given, letter in pairs:
                if letter in self._kernel and given not in (expected, None):
                    raise ValueError(
                        f"{self.name}: expected an input of size {expected} along {letter!r} of {self.equation!r}, got "
                        f"shape {input_shape}"
                    )
        return self._sizes(tuple(input_shape))[1]
