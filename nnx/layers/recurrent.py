"""Recurrent layers: what they share, which is options, parameters, initial states, outputs and remembered states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from nnx.arguments import number, positive_integer
from nnx.autodiff.array import TrackedArray
from nnx.backends import Array, Placement, array_namespace
from nnx.functional import Pullback
from nnx.layers.activation import read_activation
from nnx.layers.layer import Layer
from nnx.layers.stochastic import random_stream
from nnx.lazy_loading import names_of
from nnx.parameters import Parameter
from nnx.pullbacks import Skippable
from nnx.shapes import Shape
from nnx.structure import leaves


class RecurrentWeights(Layer):
    """A layer with the weights of a recurrent one. A subclass says how many gates and states it has.

    The arguments are described where users look for them: at `SimpleRNN`.

    gates : how many times `units` columns the kernels have.
    state_count : how many states (batch, units) it has.
    """

    gates: ClassVar[int]
    state_count: ClassVar[int] = 1
    bias: Any = None  # a parameter, with use_bias
    bias_initializer: Any

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        for way_to_compute in ("implementation", "use_cudnn"):  # of Keras; here there is one way
            kwargs.pop(way_to_compute, None)
        super().__init__(**kwargs)
        self.units = positive_integer(f"{self.name}: units", units)
        self.activation, self._activate = read_activation(activation)
        self.use_bias = use_bias
        self.set_weight_options("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self.set_weight_options("recurrent", recurrent_initializer, recurrent_regularizer, recurrent_constraint)
        self.set_weight_options("bias", bias_initializer, bias_regularizer, bias_constraint)
        self.dropout = number(f"{self.name}: dropout", dropout, least=0.0, most=1.0)
        self.recurrent_dropout = number(f"{self.name}: recurrent_dropout", recurrent_dropout, least=0.0, most=1.0)
        self.seed = seed

    def get_initial_state(self, batch_size: int) -> list[Array]:
        """The states that a sequence begins with, zeros."""
        return [
            self.placement.zeros((batch_size, self.units), self.dtype or self.placement.dtype)
            for _ in range(self.state_count)
        ]

    def add_weights(self, features: int) -> None:
        """Make the parameters for inputs with so many features."""
        size = self.gates * self.units
        self.kernel = self.add_weight_with_options("kernel", (features, size))
        self.recurrent_kernel = self.add_weight_with_options("recurrent", (self.units, size), name="recurrent_kernel")
        if self.use_bias:
            self.bias = self.add_weight_with_options("bias", self.bias_shape(), initializer=self.initial_bias())
        if self.random is None and (self.dropout or self.recurrent_dropout):
            self.random = random_stream(self.seed)

    def bias_shape(self) -> tuple[int, ...]:
        """The shape of the bias: (gates * units,), where a subclass has no other."""
        return (self.gates * self.units,)

    def initial_bias(self) -> Any:
        """The initializer of the whole bias."""
        return self.bias_initializer

    @property
    def parameters(self) -> list[Parameter]:
        """The kernels, and the bias if there is one."""
        return [self.kernel, self.recurrent_kernel, *([] if self.bias is None else [self.bias])]

    def recur(self, x: Array, states: Sequence[Array | None], **options: Any) -> tuple[Any, Pullback]:
        """Call the layer's function: ((sequence, *states), pullback), whose arguments are inputs, then parameters."""
        raise NotImplementedError

    def draw_dropout(self, batch: int, features: int) -> dict[str, Any]:
        """Rates and random words for the functions; as many masks as they need."""
        options: dict[str, Any] = {}
        masks = self.gates if self.recurrent_dropout else 1
        for name, rate, size in (
            ("dropout", self.dropout, masks * features),
            ("recurrent_dropout", self.recurrent_dropout, self.gates * self.units),
        ):
            if rate and self.random is not None:
                options[name] = (rate, self.random.draw(batch * size, by_rows=True))
        return options


class Recurrent(RecurrentWeights):
    """A layer that goes through a sequence step by step.

    The arguments, and what it is called with, are described where users look for them: at `SimpleRNN`.
    """

    supports_masking = True

    uses_mask = True

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            *(units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer),
            *(kernel_regularizer, recurrent_regularizer, bias_regularizer),
            *(kernel_constraint, recurrent_constraint, bias_constraint, dropout, recurrent_dropout, seed),
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask
        self.states: list[Array] | None = None

    @property
    def state_size(self) -> list[int]:
        """How large each state is."""
        return [self.units] * self.state_count

    # Parameters

    def build(self, input_shape: Any) -> None:
        features = self._check_input(sequence_shape(input_shape))[-1]
        if features is None:
            raise ValueError(
                f"{self.name}: expected an input (batch, time, features) of known features, got shape {input_shape}"
            )
        self.add_weights(features)
        super().build(input_shape)

    @property
    def own_variables(self) -> list[Parameter]:
        return []  # in Keras they are those of its cell

    def move(self, placement: Placement) -> None:
        super().move(placement)
        if self.states is not None:
            self.states = [placement.asarray(state, self.dtype or placement.dtype) for state in self.states]

    # Computation

    def arrange(self, inputs: tuple[Any, ...], options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return with_initial_state(inputs, options)

    def forward(
        self, x: Array, *states: Array, training: bool = False, mask: Any = None, initial_state: Any = None
    ) -> tuple[Any, Pullback]:
        self._check_input(tuple(x.shape))
        given = states or initial_state
        first = self._first_states(x, given)
        mask = self._read_mask(x, mask)
        (sequence, *last), pullback = self.recur(
            x,
            first,
            mask=mask,
            go_backwards=self.go_backwards,
            **(self.draw_dropout(x.shape[0], x.shape[2]) if training else {}),
        )
        if self.stateful:
            copy = array_namespace(x).asarray
            self.states = [copy(state, copy=True) for state in last]  # not a view that keeps all steps alive
        routed = self.route(pullback, None, *[None] * self.state_count, *self.parameters, direct=True)
        shown = self._shown(mask)
        y = self._show(sequence, shown) if self.return_sequences else self._show(last[0], _last(shown))

        def pull_back(dy: Any, inputs: bool = True) -> Any:
            dx, *dstates = routed(self._cotangents(dy, shown), inputs)
            return (dx, *dstates) if given is not None else dx

        return ((y, *last) if self.return_state else y), Skippable(pull_back)

    def _cotangents(self, dy: Any, shown: Array | None) -> tuple[Array | None, ...]:
        """The cotangents of the function's values (sequence, *states), from that of the layer's value."""
        dy, *dstates = dy if self.return_state else (dy, *[None] * self.state_count)
        if self.return_sequences:
            return self._show(dy, shown), *dstates
        dy = self._show(dy, _last(shown))
        both = dy is not None and dstates[0] is not None
        return None, dy + dstates[0] if both else dstates[0] if dy is None else dy, *dstates[1:]

    def _shown(self, mask: Array | None) -> Array | None:
        """Where outputs are not set to zero, (batch, time, 1); None for everywhere."""
        if mask is None or not self.zero_output_for_mask:
            return None
        return (array_namespace(mask).flip(mask, axis=1) if self.go_backwards else mask)[:, :, None]

    @staticmethod
    def _show(sequence: Array | None, shown: Array | None) -> Array | None:
        return sequence if shown is None or sequence is None else array_namespace(sequence).where(shown, sequence, 0.0)

    def _first_states(self, x: Array, given: Any) -> list[Array | None]:
        if given is None:
            if self.states is None:
                return [None] * self.state_count
            if self.states[0].shape[0] != x.shape[0]:
                raise ValueError(
                    f"{self.name} is stateful and remembers {self.states[0].shape[0]} sequences, but got a batch of "
                    f"{x.shape[0]}: call reset_states() first, or give batches of one size"
                )
            return list(self.states)
        given = list(given) if isinstance(given, list | tuple) else [given]
        dtype = self.dtype or self.placement.dtype
        first = [  # a tracked one has come through a graph or a layer, which have brought it here
            state
            if isinstance(state, TrackedArray) and str(state.dtype).endswith(dtype)
            else self.placement.asarray(state, dtype)
            for state in given
        ]
        expected = (x.shape[0], self.units)
        if len(first) != self.state_count or any(tuple(state.shape) != expected for state in first):
            shapes = ", ".join(str(tuple(state.shape)) for state in first)
            raise ValueError(
                f"{self.name}: expected {self.state_count} initial states of shape {expected}, got {shapes}"
            )
        return first

    def _read_mask(self, x: Array, mask: Any) -> Array | None:
        """The mask of the sequence, also out of a list of the masks of all inputs."""
        mask = mask[0] if isinstance(mask, list | tuple) else mask
        if mask is None:
            return None
        mask = self.placement.asarray(mask, "bool")
        if tuple(mask.shape) != tuple(x.shape[:2]):
            raise ValueError(
                f"{self.name}: expected a mask (batch, time) = {tuple(x.shape[:2])}, got shape {tuple(mask.shape)}"
            )
        return mask

    # States

    def reset_states(self, states: Any = None) -> None:
        """Forget the states of a stateful layer, or replace them by arrays (batch, units)."""
        if states is None:
            self.states = None
            return
        given = list(states) if isinstance(states, list | tuple) else [states]
        self.states = [self.placement.asarray(state, self.dtype or self.placement.dtype) for state in given]

    reset_state = reset_states

    # Shapes and masks

    def _check_input(self, shape: Shape) -> Shape:
        expected = self.kernel.shape[0] if self.built else None
        if len(shape) != 3 or (expected is not None and shape[-1] not in (expected, None)):
            hint = ""
            if len(shape) == 2:
                hint = (
                    f"; the rows of a table become sequences with Reshape(({shape[1] or -1}, 1)) before this layer, "
                    f"and a recurrent layer before it gives sequences with return_sequences=True"
                )
            raise ValueError(
                f"{self.name}: expected an input of shape (batch, time, {expected or 'features'}), got {shape}{hint}"
            )
        if shape[1] == 0:
            raise ValueError(f"{self.name}: expected at least one time step, got an input of shape {shape}")
        return shape

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, time, _ = self._check_input(sequence_shape(input_shape))
        y = (batch, time, self.units) if self.return_sequences else (batch, self.units)
        return (y, *[(batch, self.units)] * self.state_count) if self.return_state else y

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """With return_sequences the input's mask, in the order of the outputs; states have none."""
        mask = mask[0] if isinstance(mask, list | tuple) else mask
        if not self.return_sequences:
            mask = None
        elif mask is not None and self.go_backwards:
            mask = array_namespace(mask).flip(mask, axis=1)
        return (mask, *[None] * self.state_count) if self.return_state else mask


def _last(shown: Array | None) -> Array | None:
    """Of what says where outputs are shown, the part of the last step."""
    return None if shown is None else shown[:, -1, :]


def with_initial_state(inputs: tuple[Any, ...], options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The inputs of a call with `initial_state` behind them, where gradients reach it, and the other options."""
    options = dict(options)
    states = options.pop("initial_state", None)
    return (inputs if states is None else (*inputs, *leaves(states))), options


def sequence_shape(input_shape: Any) -> Shape:
    """The shape of the sequence, also out of a list of the shapes of the sequence and of states."""
    nested = len(input_shape) > 0 and isinstance(input_shape[0], list | tuple)
    return tuple(input_shape[0] if nested else input_shape)


if not TYPE_CHECKING:
    __getattr__ = names_of("nnx.layers")  # old scripts write `from ....layers.recurrent import ...`
