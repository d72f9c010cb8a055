"""The fully connected layer."""

from __future__ import annotations

from typing import Any

from nnx import functional
from nnx.arguments import positive_integer, refuse
from nnx.backends import Array
from nnx.functional import Pullback
from nnx.layers.activation import Activated
from nnx.layers.layer import registry
from nnx.parameters import Parameter
from nnx.pullbacks import Differentiable
from nnx.shapes import Shape


@registry.register()
class Dense(Activated):
    """The fully connected layer: activation(x @ kernel + bias), along the last axis.

    units : size of the output's last axis.
    activation : a name, a function or None (linear); see `nnx.activations`.
    use_bias : whether a bias is added.
    kernel_initializer, bias_initializer : see `nnx.initializers`.
    kernel_regularizer, bias_regularizer, activity_regularizer : see `nnx.regularizers`.
    kernel_constraint, bias_constraint : see `nnx.constraints`.
    lora_rank, lora_alpha, quantization_config : None; ValueError for anything else.

    Input (batch, ..., n), output (batch, ..., units), kernel (n, units), bias (units,). ValueError for an input whose
    last size is not known, or not n.

    >>> Dense(2, kernel_initializer="ones")([[1.0, 2.0, 3.0]])
    array([[6., 6.]], dtype=float32)
    """

    refused = ("lora_rank", "lora_alpha", "quantization_config")
    bias: Parameter | None = None

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        refuse(self.name, lora_rank=lora_rank, lora_alpha=lora_alpha, quantization_config=quantization_config)
        self.units = positive_integer(f"{self.name}: units", units)
        self.set_activation(activation)
        self.use_bias = use_bias
        self.set_weight_options("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self.set_weight_options("bias", bias_initializer, bias_regularizer, bias_constraint)

    def build(self, input_shape: Shape) -> None:
        features = input_shape[-1] if len(input_shape) > 1 else None
        if features is None:
            raise ValueError(
                f"{self.name}: expected an input (batch, ..., features) of known features, got shape {input_shape}"
            )
        self.kernel = self.add_weight_with_options("kernel", (features, self.units))
        if self.use_bias:
            self.bias = self.add_weight_with_options("bias", (self.units,))
        super().build(input_shape)

    def activated(self, x: Array, activate: Differentiable) -> tuple[Array, Pullback]:
        if self.bias is None:
            y, pullback = functional.dense(x, self.kernel.value, None, activate)
            return y, self.route(pullback, None, self.kernel, direct=True)
        y, pullback = functional.dense(x, self.kernel.value, self.bias.value, activate)
        return y, self.route(pullback, None, self.kernel, self.bias, direct=True)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        expected = self.build_shape[-1] if self.built else None
        if len(input_shape) < 2 or (expected is not None and input_shape[-1] not in (expected, None)):
            raise ValueError(
                f"{self.name}: expected an input of shape (batch, ..., {expected or 'features'}), got {input_shape}"
            )
        return (*input_shape[:-1], self.units)
