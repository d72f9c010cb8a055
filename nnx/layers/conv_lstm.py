"""LSTM whose products are convolutions, for sequences of sequences, images or volumes."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

from nnx import functional
from nnx.autodiff.primitive import primitive
from nnx.backends import Array, array_namespace
from nnx.layers.activation import read_activation
from nnx.layers.layer import registry
from nnx.layers.lstm import LSTMWeights
from nnx.layers.recurrent import sequence_shape
from nnx.layers.rnn import RNN
from nnx.layers.spatial import Spatial
from nnx.layers.stochastic import random_stream
from nnx.parameters import Parameter
from nnx.shapes import Shape, Sizes

_conv, _dropout = primitive(functional.conv), primitive(functional.dropout)


class ConvLSTMCell(LSTMWeights, Spatial):
    """One step of a ConvLSTM: h, [h, c] from x (batch, *sizes, channels) and states (batch, *new sizes, filters)."""

    spatial_ndim: int  # type: ignore[misc]
    bias: Parameter | None = None

    def __init__(
        self,
        spatial_ndim: int,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes,
        padding: str,
        data_format: str | None,
        dilation_rate: Sizes,
        recurrent_activation: Any,
        unit_forget_bias: bool,
        **options: Any,
    ) -> None:
        super().__init__(filters, **options)
        self.spatial_ndim, self.filters = spatial_ndim, self.units
        self.set_data_format(data_format)
        self.kernel_size = self.for_each_axis("kernel_size", kernel_size)
        self.strides = self.for_each_axis("strides", strides)
        self.dilation_rate = self.for_each_axis("dilation_rate", dilation_rate)
        self.padding = self.check_padding(padding, "valid", "same")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{self.name}: strides {self.strides} and dilation_rate {self.dilation_rate} cannot both be above 1"
            )
        self.recurrent_activation, self._recurrent_activate = read_activation(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias
        self.state_size = [self.filters] * 2

    def build(self, input_shape: Any) -> None:
        channels, shape = self.channels_of(input_shape), self.new_shape(input_shape)
        if None in shape[1:]:
            raise ValueError(f"{self.name}: the sizes of the input must be known, got shape {input_shape}")
        self._state_shape = shape[1:]
        size = self.gates * self.filters
        self.kernel = self.add_weight_with_options("kernel", (*self.kernel_size, channels, size))
        self.recurrent_kernel = self.add_weight_with_options(
            "recurrent", (*self.kernel_size, self.filters, size), name="recurrent_kernel"
        )
        if self.use_bias:
            self.bias = self.add_weight_with_options("bias", (size,), initializer=self.initial_bias())
        if self.random is None and (self.dropout or self.recurrent_dropout):
            self.random = random_stream(self.seed)
        super().build(input_shape)

    def new_shape(self, input_shape: Shape) -> Shape:
        """The shape of the output, and of the states."""
        steps = self.kernel_size, self.strides, self.padding, self.dilation_rate
        return self.output_shape(input_shape, lambda sizes: self.windows(sizes, *steps).counts, self.filters)

    def get_initial_state(self, batch_size: int) -> list[Array]:
        """The states that a sequence begins with, zeros."""
        shape: tuple[Any, ...] = (batch_size, *self._state_shape)
        return [self.placement.zeros(shape, self.dtype or self.placement.dtype) for _ in range(2)]

    def draw_dropout(self, batch: int, features: int) -> dict[str, Any]:
        """A rate and random words for the inputs, and for the state, with masks for each gate."""
        sizes = {"dropout": features, "recurrent_dropout": math.prod(self._state_shape)}  # type: ignore[arg-type]
        return {
            name: (getattr(self, name), self.random.draw(self.gates * batch * size, by_rows=True))
            for name, size in sizes.items()
            if getattr(self, name) and self.random is not None
        }

    def call(self, inputs: Any, states: Any, training: bool = False, draws: Any = None) -> tuple[Any, list[Any]]:
        """The step. draws : what `draw_dropout` returned."""
        h, c = states
        draws, form = draws or {}, self.data_format
        steps = self.strides, self.padding, self.dilation_rate, 1, form
        bias = self.bias if self.use_bias else None
        of_inputs = self._convolved(inputs, self.kernel, bias, draws.get("dropout"), *steps)
        of_state = self._convolved(
            h, self.recurrent_kernel, None, draws.get("recurrent_dropout"), 1, "same", 1, 1, form
        )
        activate, recurrent_activate = primitive(self._activate), primitive(self._recurrent_activate)
        i, f, candidate, o = (x + y for x, y in zip(of_inputs, of_state, strict=True))
        c = recurrent_activate(f) * c + recurrent_activate(i) * activate(candidate)
        h = recurrent_activate(o) * activate(c)
        return h, [h, c]

    def _convolved(self, x: Any, kernel: Any, bias: Any, drop: Any, *steps: Any) -> list[Any]:
        """What each gate gets of a convolution; with dropout each has a mask of its own."""
        cuts = [slice(gate * self.filters, (gate + 1) * self.filters) for gate in range(self.gates)]
        if drop is None:
            y = _conv(x, kernel, bias, *steps)
            before = (slice(None),) * (self.channel_axis % len(y.shape))
            return [y[(*before, cut, ...)] for cut in cuts]
        xp = array_namespace(x)
        several = _dropout(xp.stack([x] * self.gates, axis=1), *drop)
        parts = (several[:, gate, ...] for gate in range(self.gates))
        return [
            _conv(part, kernel[..., cut], None if bias is None else bias[cut], *steps)
            for part, cut in zip(parts, cuts, strict=True)
        ]


class ConvLSTM(RNN):
    """ConvLSTM1D, ConvLSTM2D and ConvLSTM3D, which differ in the number of axes."""

    spatial_ndim: ClassVar[int]

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        **kwargs: Any,
    ) -> None:
        options = {
            "activation": activation,
            "use_bias": use_bias,
            "dropout": dropout,
            "seed": seed,
            "kernel_initializer": kernel_initializer,
            "recurrent_initializer": recurrent_initializer,
            "bias_initializer": bias_initializer,
            "kernel_regularizer": kernel_regularizer,
            "recurrent_regularizer": recurrent_regularizer,
            "bias_regularizer": bias_regularizer,
            "kernel_constraint": kernel_constraint,
            "recurrent_constraint": recurrent_constraint,
            "bias_constraint": bias_constraint,
            "recurrent_dropout": recurrent_dropout,
        }
        windows = filters, kernel_size, strides, padding, data_format, dilation_rate
        cell = ConvLSTMCell(
            self.spatial_ndim, *windows, recurrent_activation, unit_forget_bias, name="conv_lstm_cell", **options
        )
        super().__init__(
            *(cell, return_sequences, return_state, go_backwards, stateful),
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        for name in (*options, "filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate"):
            setattr(self, name, getattr(cell, name))
        self.recurrent_activation, self.unit_forget_bias = cell.recurrent_activation, cell.unit_forget_bias

    def build(self, input_shape: Any) -> None:
        batch, _, *sizes = self._check_input(sequence_shape(input_shape))
        step = (batch, *sizes)
        self.cell.dtype = self.cell.dtype or self.dtype
        self.cell.input_structure = (0, [1, 2])
        self.cell.build_on(self.placement, [step, *[self.cell.new_shape(step)] * 2])
        super(RNN, self).build(input_shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, time, *sizes = self._check_input(sequence_shape(input_shape))
        shape = self.cell.new_shape((batch, *sizes))
        y = (batch, time, *shape[1:]) if self.return_sequences else shape
        return (y, shape, shape) if self.return_state else y

    def get_config(self) -> dict[str, Any]:
        return self._config(without=("cell", "unroll", "zero_output_for_mask"))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**config)


@registry.register()
class ConvLSTM1D(ConvLSTM):
    """LSTM over sequences of sequences, with convolutions in place of products.

        a_i, a_f, a_c, a_o = conv(x_t, kernel) + bias + conv(h, recurrent_kernel)    the channels of each
        i, f, o = recurrent_activation(a_i), recurrent_activation(a_f), recurrent_activation(a_o)
        c <- f * c + i * activation(a_c)
        h <- o * activation(c)    for each step t

    filters, kernel_size, strides, padding, data_format, dilation_rate : of the convolution of the inputs, as in
        `Conv1D`, without "causal" padding; that of the state has strides of 1 and "same" padding.

    The other arguments are those of `LSTM`. Input (batch, time, steps, channels), output (batch, new steps, filters),
    or (batch, time, new steps, filters) with return_sequences; two states, h and c, like the output of a step. Kernel
    (*kernel_size, channels, 4 filters), recurrent_kernel (*kernel_size, filters, 4 filters), bias (4 filters,), in the
    order i, f, c, o. ValueError where sizes are not known. Shi et al., arXiv:1506.04214.

    >>> import numpy as np
    >>> ConvLSTM1D(4, 3, padding="same")(np.ones((2, 3, 8, 2))).shape
    (2, 8, 4)
    """

    spatial_ndim = 1


@registry.register()
class ConvLSTM2D(ConvLSTM):
    """LSTM over sequences of images, such as films, with convolutions in place of products.

    Formula and arguments are those of `ConvLSTM1D`, with numbers for rows and columns or one for both. Input (batch,
    time, rows, columns, channels), output (batch, new rows, new columns, filters), or with the axis of time behind the
    batch with return_sequences.

    >>> import numpy as np
    >>> ConvLSTM2D(4, 3, return_sequences=True)(np.ones((1, 2, 8, 8, 1))).shape
    (1, 2, 6, 6, 4)
    """

    spatial_ndim = 2


@registry.register()
class ConvLSTM3D(ConvLSTM):
    """LSTM over sequences of volumes, with convolutions in place of products.

    Formula and arguments are those of `ConvLSTM1D`, with numbers for depth, rows and columns or one for all. Input
    (batch, time, depth, rows, columns, channels), output (batch, new depth, new rows, new columns, filters), or with
    the axis of time behind the batch with return_sequences.

    >>> import numpy as np
    >>> ConvLSTM3D(2, 2)(np.ones((1, 2, 3, 3, 3, 1))).shape
    (1, 2, 2, 2, 2)
    """

    spatial_ndim = 3
