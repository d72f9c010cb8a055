"""Optimizer, the base of all optimisers: from the flat gradients of a model to its next parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, Self

import numpy as np

from nnx.arguments import fraction, non_negative_number, positive_integer
from nnx.autodiff.array import lower
from nnx.backends import Array, array_namespace, is_array, placement_of, to_numpy
from nnx.functional.subnormals import flush_subnormals
from nnx.functional.updates import decay_weights, moving_average
from nnx.members import refuse_uncalled, without
from nnx.optimizers.arguments import (
    LearningRate,
    check_clipping,
    count,
    explain_unknown,
    learning_rate_argument,
    optional,
    with_common_arguments,
)
from nnx.optimizers.clipping import clip_by_norm, clip_by_value, clip_each_by_norm
from nnx.optimizers.loss_scaling import FIRST_SCALE, MASTER, STEPS_TO_GROW, LossScale, step_in_float32
from nnx.optimizers.numbers import Iterations, Rate
from nnx.optimizers.replayed_updates import ReplayedUpdates, UpdatePlan
from nnx.optimizers.slots import Slots, Starts, placed_like
from nnx.optimizers.variable_steps import VariableSteps
from nnx.parameters import ATTRIBUTE_CHANGE, FlatParameters, Parameter, leave_recorded, recorders
from nnx.precision import wide
from nnx.registry import Configurable, Registry, serialize
from nnx.schedules import LearningRateSchedule, schedules
from nnx.user_warnings import warn_user

optimizers: Registry[type[Optimizer]] = Registry("optimizer")

_OF_A_STEP = {
    *("_applied_scale", "_learning_rate", "_rate_takes_step", "_steps", "iterations", "learning_rate", "lr"),
}
"""Attributes that may differ from step to step, and are read in each; from all others a plan is made."""

_FLUSHES = 64  # steps between them; what is multiplied by 0.9 in each is subnormal after some 800


class _Trained(Protocol):
    @property
    def flat(self) -> FlatParameters: ...


@without(  # of what Keras' optimizers have, now or before version 3
    *("add_slot", "add_variable", "aggregate_gradients", "check_finite", "dynamic_growth_steps"),
    *("finalize_variable_values", "get_gradients", "get_slot", "get_slot_names", "get_updates", "get_weights"),
    *("initial_scale", "inner_optimizer", "load_own_variables", "lr_adjust", "minimize", "save_own_variables"),
    *("stateless_apply", "transpose_last_axis", "zeropower_via_newtonschulz5"),
)
class Optimizer(Configurable):
    """The base of all optimisers. One subclasses it with `update` and, where it remembers arrays, `slot_starts`.

    Or as in Keras, which takes a call for each parameter: with `update_step` and, where it remembers arrays, `build`.

    In the formulas of the subclasses w is a parameter, g its gradient, t = 1, 2, ... the number of the update, and all
    other letters are slots, which start at 0.

    learning_rate : a number, a schedule, or a function of the step or of nothing; `lr` is its old name.
    weight_decay : before every update the parameters shrink by learning_rate * weight_decay of themselves.
    clipnorm : upper bound of the Euclidean norm of each parameter's gradient.
    global_clipnorm : upper bound of the norm of all gradients together.
    clipvalue : upper bound of each element's absolute value. Only one of the three can be set.
    use_ema : keep an exponential moving average of the parameters, average <- ema_momentum * average +
        (1 - ema_momentum) * parameter, which replaces them at the end of `fit` and, if it is given, after every
        ema_overwrite_frequency updates.
    gradient_accumulation_steps : update only at every so many steps (at least 2), by the mean of their gradients.
    loss_scale_factor : what the loss was multiplied by; gradients are divided by it. See `scale_loss`.
    decay : also an argument; as in Keras before version 3, the learning rate is divided by 1 + decay * step.

    TypeError or ValueError name an argument that is wrong. `slots` are laid out like the model's flat buffer and follow
    the parameters, when some are frozen and when the model moves to another device.

    Parameters in float16 are trained by float32 copies of them, the slot "master": see `scale_loss`.

    >>> class SignDescent(Optimizer):
    ...     def update(self, w, g, learning_rate):
    ...         w -= learning_rate * array_namespace(w).sign(g)
    >>> SignDescent(0.1, clipnorm=1.0).learning_rate
    0.1
    >>> class Momentum(Optimizer):
    ...     def build(self, variables):
    ...         if not self.built:
    ...             super().build(variables)
    ...             self.averages = [self.add_variable_from_reference(one, "average") for one in variables]
    ...     def update_step(self, gradient, variable, learning_rate):
    ...         average = self.averages[self._get_variable_index(variable)]
    ...         self.assign(average, 0.9 * average + gradient)
    ...         self.assign_sub(variable, learning_rate * average)
    >>> Momentum(0.1).built
    False
    """

    def __init__(
        self,
        learning_rate: LearningRate,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **old: Any,
    ) -> None:
        learning_rate, decay = old.pop("lr", learning_rate), old.pop("decay", None)
        if old:
            raise TypeError(explain_unknown(type(self), next(iter(old))))
        check_clipping(clipnorm=clipnorm, global_clipnorm=global_clipnorm, clipvalue=clipvalue)
        self._learning_rate, self._rate_takes_step = learning_rate_argument(learning_rate)
        self._steps = 0  # of which some only accumulate gradients
        self.weight_decay = optional("weight_decay", weight_decay)
        self.clipnorm = optional("clipnorm", clipnorm)
        self.global_clipnorm = optional("global_clipnorm", global_clipnorm)
        self.clipvalue = optional("clipvalue", clipvalue)
        self.use_ema = use_ema
        self.ema_momentum = fraction("ema_momentum", ema_momentum, with_one=True)
        self.ema_overwrite_frequency = count("ema_overwrite_frequency", ema_overwrite_frequency, 1)
        self.gradient_accumulation_steps = count("gradient_accumulation_steps", gradient_accumulation_steps, 2)
        self.loss_scale_factor = optional("loss_scale_factor", loss_scale_factor, zero=False)
        self.decay = optional("decay", decay)
        self.name = name or type(self).__name__.lower()

        self.slots = Slots()
        self._by_variable = VariableSteps()
        self._excluded_variables: list[Parameter] = []  # of no layer, which have no path of their own
        self._excluded_paths: list[str] = []  # of the parameters that are spared from weight decay
        self._excluded_names: list[str] = []
        self._decay_mask: Array | None = None  # 0 where a parameter is spared; None where none is
        self.shows_average = False
        self.loss_scale: LossScale | None = None
        self._first_scale, self.steps_to_grow = FIRST_SCALE, STEPS_TO_GROW
        self._applied_scale: Array | float = self.loss_scale_factor or 1.0
        self._constrained: list[tuple[Parameter, slice]] = []
        self._seen: object = None  # when constraints were looked for
        self._variables: list[Parameter] = []  # of the last `apply`
        self._warned_of_none = False
        self._replays = ReplayedUpdates()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        refuse_uncalled(cls)
        if "__init__" in vars(cls):
            cls.__init__ = with_common_arguments(cls.__init__, Optimizer.__init__)  # type: ignore[method-assign]
        if "apply" in vars(cls) and not cls.__module__.startswith("nnx."):
            cls._applies_itself = True

    _replays: ReplayedUpdates | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name not in _OF_A_STEP and self._replays is not None:
            self._replays.forget()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_replays": ReplayedUpdates()}  # a copy has other memory, or attributes of its own

    _applies_itself = False
    """Whether a class of somebody's own says by `apply` what is done with gradients."""

    def start_scale(self, value: float, steps_to_grow: int) -> None:
        """Begin with that scale of the loss, where parameters are float16, and double it after so many good steps."""
        self._first_scale = (float(non_negative_number("initial_scale", value, zero=False)), 0.0)
        self.steps_to_grow = positive_integer("dynamic_growth_steps", steps_to_grow)

    # What a kind of optimiser defines

    def slot_starts(self) -> Starts:
        """The names of the arrays that are kept for every parameter, and what they are filled with at first.

        None stands for a copy of the parameter.
        """
        return self._by_variable.starts

    def update(self, w: Array, g: Array, learning_rate: float) -> None:
        """Change the parameters w in place by their gradients g; both are 1-D, like the arrays of `self.slots`."""
        if self._has_formula:
            self._formula(w, g, self.slots, *self._factors(learning_rate))
            return
        if not self._is_by_variable:
            raise NotImplementedError(
                f"{type(self).__name__} must define update(self, w, g, learning_rate), or "
                f"update_step(self, gradient, variable, learning_rate)"
            )
        self._by_variable.run(self.update_step, w, g, self.slots, learning_rate)

    # What it may define in place of `update`, so that small updates on NumPy are replayed

    def _factors(self, learning_rate: float) -> tuple[float, ...]:
        """The numbers of `_formula` that differ from step to step, numbers of Python."""
        return (learning_rate,)

    def _formula(self, w: Array, g: Array, slots: Mapping[str, Array], *factors: Any) -> None:
        """`update` with these slots and factors, which it only computes with together with arrays of the others."""
        raise NotImplementedError

    @property
    def _has_formula(self) -> bool:
        return type(self)._formula is not Optimizer._formula

    # What it may define in place of that, as in Keras

    def update_step(self, gradient: Array, variable: Parameter, learning_rate: float) -> None:
        """Change a parameter by its gradient, of the same shape."""
        raise NotImplementedError(f"{type(self).__name__} does not define update_step")

    @property
    def built(self) -> bool:
        """Whether it knows the parameters that it trains."""
        return self._by_variable.known or self.slots.flat is not None

    def add_variable_from_reference(
        self, reference_variable: Parameter, name: str | None = None, initializer: str = "zeros"
    ) -> Parameter:
        """A variable of the shape of a parameter, for `update_step`; `build` asks for it, after `super().build`.

        initializer : "zeros" or "ones". ValueError for anything else, and for a parameter that `build` did not get.
        """
        return self._by_variable.add(reference_variable, name or "variable", initializer)

    def add_optimizer_variables(
        self, trainable_variables: Sequence[Parameter], name: str | Sequence[str], initializer: Any = "zeros"
    ) -> Any:
        """A variable beside each parameter, for `update_step`: a list of them; for several names a tuple of lists.

        initializer : "zeros" or "ones", for all names or for each.
        """
        names = [name] if isinstance(name, str) else list(name)
        starts = [initializer] * len(names) if isinstance(initializer, str) else initializer
        made = tuple(
            [self.add_variable_from_reference(one, each, start) for one in trainable_variables]
            for each, start in zip(names, starts, strict=True)
        )
        return made[0] if isinstance(name, str) else made

    def _get_variable_index(self, variable: Parameter) -> int:
        """The place of a parameter among those that `build` got; by this name Keras' optimizers ask for it."""
        return self._by_variable.index(variable)

    def assign(self, variable: Parameter, value: Any) -> None:
        """Give a variable a value."""
        variable.assign(value)

    def assign_add(self, variable: Parameter, value: Any) -> None:
        """Add to a variable."""
        variable.assign_add(value)

    def assign_sub(self, variable: Parameter, value: Any) -> None:
        """Subtract from a variable."""
        variable.assign_sub(value)

    @property
    def _is_by_variable(self) -> bool:
        return type(self).update_step is not Optimizer.update_step

    # The learning rate

    @property
    def _updates(self) -> int:
        return self._steps // (self.gradient_accumulation_steps or 1)

    @property
    def iterations(self) -> Iterations:
        """The number of updates so far. Setting it starts a new round of gradient accumulation.

        It is a number that also has `assign` and `numpy`, as in Keras.
        """
        return Iterations(self._updates).of(self)

    @iterations.setter
    def iterations(self, value: int) -> None:
        self._steps = value * (self.gradient_accumulation_steps or 1)

    @property
    def learning_rate(self) -> Rate:
        """The learning rate of the next step, before `decay`. A number can replace it, unless it follows a schedule.

        It is a number that also has `assign`, as in Keras: `optimizer.learning_rate.assign(0.01)`.
        """
        return Rate(self._rate()).of(self)

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        rate, takes_step = learning_rate_argument(value)
        if isinstance(rate, float) and isinstance(self._learning_rate, LearningRateSchedule):
            raise TypeError(
                f"the learning_rate of {self.name} follows {type(self._learning_rate).__name__} and cannot be set to a "
                f"number; set another schedule, or make the optimizer with a number"
            )
        self._learning_rate, self._rate_takes_step = rate, takes_step

    def _rate(self) -> float:
        rate = self._learning_rate
        if isinstance(rate, float):
            return rate
        return float(rate(self._steps) if self._rate_takes_step else rate())  # type: ignore[call-arg]

    @property
    def schedule(self) -> Callable[..., float] | None:
        """What the learning rate follows: a schedule or a function; None if it is a number."""
        return None if isinstance(self._learning_rate, float) else self._learning_rate

    @property
    def lr(self) -> float:
        """The old name of `learning_rate`."""
        return self.learning_rate

    @lr.setter
    def lr(self, value: Any) -> None:
        self.learning_rate = value

    # A step

    def step(self, model: _Trained) -> None:
        """Train a model by the gradients that its pullbacks have gathered; then gathering starts again."""
        flat = model.flat
        flat.finish_pass()
        if self._applies_itself or recorders:
            parameters = list(flat.parameters)
            gradients = [parameter.grad for parameter in parameters]
            if leave_recorded(parameters) or self._applies_itself:
                self.apply(gradients, parameters)
                return
        self.train(flat)
        flat.start_pass()

    def build(self, variables: Sequence[Parameter]) -> None:
        """Make the slots of parameters now; by default the first step does. Later steps train these.

        >>> import nnx
        >>> layer = nnx.layers.Dense(1, use_bias=False)
        >>> layer.build((None, 2))
        >>> optimizer = nnx.optimizers.SGD(momentum=0.9)
        >>> optimizer.build(layer.trainable_variables)
        >>> [variable.shape for variable in optimizer.variables]
        [(), (), (2, 1)]
        """
        self._variables = list(variables)
        if self._is_by_variable:  # the first step makes the slots, when it is known which there are
            self._by_variable.begin(self._variables)
            return
        if not self._variables:
            return
        first = self._variables[0]
        flat = FlatParameters.of(self._variables, placement_of(first.value, first.dtype), self.slots.flat)
        with flat.placement.computing:
            self._bind(flat)

    def apply(self, gradients: Any, variables: Sequence[Parameter] | None = None) -> None:
        """Train parameters by their gradients, as `GradientTape.gradient` returns them.

        gradients : an array for each parameter, of its shape. None for one that the loss does not depend on: it stays
            as it is, and a warning names it.
        variables : the parameters; by default those of the last call. An optimizer trains one list of them: give each
            list (the generator's, the discriminator's) an optimizer of its own.

        ValueError where all gradients are None, for other shapes, and for parameters of which none was trained before.

        >>> import nnx
        >>> layer = nnx.layers.Dense(1, kernel_initializer="ones", use_bias=False)
        >>> layer.build((None, 2))
        >>> nnx.optimizers.SGD(0.5).apply([nnx.asarray([[1.0], [0.0]])], layer.trainable_variables)
        >>> layer.kernel.numpy().ravel().tolist()
        [0.5, 1.0]

        A model's flat buffer, alone, is trained by the gradients that are in it; see `train`.
        """
        if isinstance(gradients, FlatParameters):
            self.train(gradients)
            return
        if variables is None:
            variables = self._variables
        pairs = self._pairs(gradients, variables)
        parameters = [parameter for parameter, _ in pairs]
        leave_recorded(parameters)
        flat = FlatParameters.of(parameters, placement_of(parameters[0].value, parameters[0].dtype), self.slots.flat)
        self._variables = list(variables)
        if flat is not self.slots.flat and not self.slots.knows(flat):
            raise ValueError(
                f"the optimizer {self.name} has trained {_names(self.slots.flat.parameters)}, and now gets other "  # type: ignore[union-attr]
                f"parameters, {_names(parameters)}: give each list of parameters an optimizer of its own"
            )
        with flat.placement.computing:
            flat.take([gradient for _, gradient in pairs])
        self.train(flat)
        flat.start_pass()

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Parameter]]) -> None:
        """`apply` for pairs of a gradient and its parameter.

        >>> import nnx
        >>> layer = nnx.layers.Dense(1, kernel_initializer="ones", use_bias=False)
        >>> layer.build((None, 1))
        >>> nnx.optimizers.SGD(0.5).apply_gradients(zip([nnx.asarray([[1.0]])], layer.trainable_variables))
        >>> float(layer.kernel.numpy()[0, 0])
        0.5
        """
        pairs = list(grads_and_vars)
        self.apply([gradient for gradient, _ in pairs], [parameter for _, parameter in pairs])

    def _pairs(self, gradients: Any, variables: Sequence[Parameter]) -> list[tuple[Parameter, Array]]:
        """The parameters that have a gradient, and that."""
        gradients, variables = list(gradients), list(variables)
        if len(gradients) != len(variables) or not variables:
            raise ValueError(
                f"apply takes a gradient for each parameter, got {len(gradients)} gradients and {len(variables)} "
                f"parameters: write optimizer.apply(gradients, model.trainable_variables)"
            )
        pairs = []
        for parameter, gradient in zip(variables, gradients, strict=True):
            if not isinstance(parameter, Parameter):
                raise TypeError(
                    f"apply trains parameters of layers, got {type(parameter).__name__}: write "
                    f"optimizer.apply(gradients, variables), gradients first"
                )
            if gradient is None:
                continue
            gradient = lower(gradient)
            if not is_array(gradient):
                gradient = placed_like(np.asarray(gradient), parameter.value)
            if tuple(gradient.shape) != parameter.shape:
                raise ValueError(
                    f"the gradient of {parameter.path} has shape {tuple(gradient.shape)}, expected {parameter.shape}"
                )
            pairs.append((parameter, gradient))
        without = [parameter for parameter, gradient in zip(variables, gradients, strict=True) if gradient is None]
        if not pairs:
            raise ValueError(
                f"no gradient for any of {_names(variables)}: compute the loss inside the block of the tape, from "
                f"what the model returns there"
            )
        if without and not self._warned_of_none:
            self._warned_of_none = True
            warn_user(f"no gradient for {_names(without)}: the loss does not depend on them, and they are not trained")
        return pairs

    @property
    def variables(self) -> list[Any]:
        """What training goes on from: the number of updates, the learning rate, and the slots of all parameters.

        Each has `name`, `shape`, `numpy()` and `assign`. Before the first step there are no slots.

        >>> import nnx
        >>> [variable.name for variable in nnx.optimizers.Adam().variables]
        ['iterations', 'learning_rate']
        """
        rate = [] if isinstance(self._learning_rate, LearningRateSchedule) else [self.learning_rate]
        return [
            self.iterations,
            *rate,
            *(Parameter(view, name, trainable=False) for name, view in self.slots.views().items()),
        ]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Give `variables` new values, in their order: go on from where another optimizer of its kind was.

        ValueError, and no change, for others than `variables` have: their number, or a shape.

        >>> import nnx
        >>> optimizer = nnx.optimizers.SGD(0.1)
        >>> optimizer.build([])
        >>> optimizer.set_weights([5, 0.01])
        >>> optimizer.iterations, optimizer.learning_rate
        (5, 0.01)
        """
        variables, values = self.variables, [to_numpy(weight) for weight in weights]
        expected, given = [one.shape for one in variables], [value.shape for value in values]
        if expected != given:
            raise ValueError(
                f"{self.name}: expected values of the shapes {expected}, got {given}; the slots are there after "
                f"optimizer.build(model.trainable_variables)"
            )
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)

    def train(self, flat: FlatParameters) -> None:
        """Train the parameters of a flat buffer by its gradients.

        In this order: unscaling, accumulation, clipping, weight decay, update, moving average, constraints.

        >>> import nnx
        >>> model = nnx.Sequential([nnx.layers.Dense(1, kernel_initializer="ones", use_bias=False, input_dim=1)])
        >>> model.flat.grads[...] = 1.0
        >>> nnx.optimizers.SGD(0.5).train(model.flat)
        >>> float(model.get_weights()[0][0, 0])
        0.5
        """
        if not flat.parameters:
            return
        update = self.known_update(flat)
        if update is not None:
            self.replay(update, flat)
            return
        replays: Any = self._replays
        if not (
            replays.may_begin(flat)
            and self._is_plain(flat)
            and replays.begin(self._whole_formula, flat, self.slots, self._numbers())
        ):
            self._train(flat)
        self._count_step(flat)

    def known_update(self, flat: FlatParameters) -> UpdatePlan | None:
        """What `replay` takes in place of the next `train` with this buffer; None where that was not planned."""
        replays: Any = self._replays
        plan: UpdatePlan | None = replays.plan(flat, self.slots)
        usual = plan is not None and type(self).update is Optimizer.update and self._applied_scale == 1.0
        return plan if usual and not self._constraints(flat) else None

    @property
    def is_watched(self) -> bool:
        """Whether one of the methods that a step calls was replaced, as somebody does who observes it."""
        kind = type(self)
        return (kind.step, kind.train, kind.scale_loss) != _METHODS or not _NAMES.isdisjoint(vars(self))

    def replay(self, update: UpdatePlan, flat: FlatParameters) -> None:
        """Train the parameters of a flat buffer by its gradients, by an update that is known."""
        update.run(self._numbers())
        self._count_step(flat)

    def _count_step(self, flat: FlatParameters) -> None:
        self._steps += 1
        if self._steps % _FLUSHES == 0:
            with flat.placement.computing:
                for name, slot in self.slots.items():
                    if name != MASTER:
                        flush_subnormals(slot)

    def _is_plain(self, flat: FlatParameters) -> bool:
        """Whether a step is no more than `_whole_formula`."""
        return (
            flat is self.slots.flat
            and self._has_formula
            and type(self).__module__.startswith("nnx.")  # whose attributes are no functions of something else
            and type(self).update is Optimizer.update
            and "update" not in vars(self)
            and self.gradient_accumulation_steps is self.loss_scale_factor is self._decay_mask is None
            and not (self.clipnorm or self.global_clipnorm or self.clipvalue or self.use_ema or self._constraints(flat))
            and MASTER not in self.slots
        )

    def _whole_formula(self, w: Array, g: Array, slots: Mapping[str, Array], *numbers: Any) -> None:
        if self.weight_decay:
            *numbers, decay = numbers  # type: ignore[assignment]
            decay_weights(w, None, decay)
        self._formula(w, g, slots, *numbers)

    def _numbers(self) -> tuple[float, ...]:
        """The numbers of `_whole_formula` in this step."""
        rate = self._decayed_rate()
        factors = self._factors(rate)
        return (*factors, rate * self.weight_decay) if self.weight_decay else factors

    def _train(self, flat: FlatParameters) -> None:
        with flat.placement.computing:
            if flat is not self.slots.flat:
                self._bind(flat)
            scale, self._applied_scale = self._applied_scale, self.loss_scale_factor or 1.0
            if MASTER in self.slots:
                finite = step_in_float32(flat, scale, self.restorable(), self._advance)
                if self.loss_scale is not None and scale is self.loss_scale.value:
                    self.loss_scale.follow(finite)
            else:
                unscaled = isinstance(scale, float) and scale == 1.0
                self._advance(flat.values, flat.grads if unscaled else flat.grads / scale)

    def restorable(self) -> Mapping[str, Array]:
        """The arrays that a step in float16 leaves as they were if its gradients are not finite."""
        return self.slots

    def scale_loss(self, flat: Any) -> Any:
        """What to multiply the cotangent of the loss by before the next step, which divides the gradients by it.

        flat : the model's; or a loss, which then is returned multiplied, as in Keras, for `apply`.

        That is `loss_scale_factor` if it was given. Else it is 1, or for float16 parameters a 0-d array that adapts
        itself: it is halved, down to 2**-24, by a step whose gradients are not finite, which changes nothing, and
        doubled after 2000 others in a row. `fit` and `train_on_batch` ask for it; a loop of your own has to, to make
        use of it.
        """
        if not isinstance(flat, FlatParameters):
            if MASTER in self.slots:  # from the second step on it is known that parameters are float16
                return flat * self.scale_loss(self.slots.flat)
            return flat * self._applied_scale if self.loss_scale_factor else flat
        bound = flat is self.slots.flat
        if self.loss_scale_factor is None and (MASTER in self.slots if bound else flat.has_half):
            if self.loss_scale is None or not bound:
                numbers = self._first_scale if self.loss_scale is None else self.loss_scale.numbers()
                self.loss_scale = LossScale(flat.values, *numbers, self.steps_to_grow)
            self._applied_scale = self.loss_scale.value
        return self._applied_scale

    def warn_if_stuck(self) -> None:
        """Warn if no step can train float16 parameters any more. `fit` asks after an epoch; waits for the device."""
        if self.loss_scale is not None and self.loss_scale.is_stuck:
            warn_user(
                f"the optimizer {self.name} left out its last steps, as their gradients were not finite however small "
                f"the loss was scaled; nothing is trained. Look for NaN and infinity in the data and the parameters "
                f"(nnx.debug.check_finite() names where they begin), or train with dtype='float32'"
            )

    def _advance(self, values: Array, gradients: Array) -> None:
        """Change the parameters, or their float32 copies, by gradients of the same dtype."""
        mean = gradients if self.gradient_accumulation_steps is None else self._accumulate(gradients)
        if mean is None:  # a step that only accumulates changes nothing else
            return
        self._update(values, self._clip(mean))
        if self.use_ema:
            self._follow(values)
        for parameter, place in self._constraints(self.slots.flat):
            piece = array_namespace(values).reshape(values[place], parameter.shape)  # a view
            piece[...] = _constrained(parameter, piece)

    def finalize(self, flat: FlatParameters) -> None:
        """Replace the parameters by their moving averages, if there are any. `fit` calls it at its end."""
        if self.use_ema and "average" in self.slots:
            with flat.placement.computing:
                if flat is not self.slots.flat:
                    self._bind(flat)
                if self.shows_average:
                    flat.gather()
                    self.slots["average"][...], self.shows_average = wide(flat.values), False
                flat.put(self.slots["average"])

    def swap_average(self) -> None:
        """Exchange the parameters and their moving averages; once more, and all is as before.

        Nothing before the first step. `shows_average` says whether the model has the averages now.
        """
        if self.slots.flat is None or "average" not in self.slots:
            return
        flat, average = self.slots.flat, self.slots["average"]
        with flat.placement.computing:
            flat.gather()
            before = array_namespace(flat.values).asarray(flat.values, copy=True)
            flat.put(average)
            average[...] = wide(before)
        self.shows_average = not self.shows_average

    def _accumulate(self, gradients: Array) -> Array | None:
        """The mean gradient at the last step of a round, else None."""
        total, steps = self.slots["gradient_accumulator"], self.gradient_accumulation_steps
        if (self._steps + 1) % steps:  # type: ignore[operator]
            total += gradients
            return None
        mean = (gradients + total) / steps
        total[...] = 0.0
        return mean

    def _clip(self, gradients: Array) -> Array:
        if self.clipnorm:
            return clip_each_by_norm(gradients, self.slots.flat.slices, self.clipnorm)  # type: ignore[union-attr]
        if self.global_clipnorm:
            return clip_by_norm(gradients, self.global_clipnorm)
        if self.clipvalue:
            return clip_by_value(gradients, self.clipvalue)
        return gradients

    def _update(self, values: Array, gradients: Array) -> None:
        rate = self._decayed_rate()
        self._decay_weights(values, rate)
        self.update(values, gradients, rate)

    def _decayed_rate(self) -> float:
        rate = self._rate()
        return rate / (1.0 + self.decay * self._steps) if self.decay else rate

    def _follow(self, values: Array) -> None:
        """Move the average towards the parameters, after they were updated."""
        average, iterations = self.slots["average"], self._updates
        if iterations == 0:
            average[...] = values
        else:
            moving_average(average, values, self.ema_momentum)
        if self.ema_overwrite_frequency and (iterations + 1) % self.ema_overwrite_frequency == 0:
            values[...] = average

    # Weight decay

    def exclude_from_weight_decay(
        self, var_list: Sequence[Parameter] | None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """Spare parameters from weight decay. Call it before the first step.

        var_list : parameters.
        var_names : regular expressions; parameters are spared in whose name one is found, such as "bias".
        """
        if self.slots.flat is not None:
            raise ValueError("exclude_from_weight_decay must be called before the optimizer's first step")
        self._excluded_variables = [parameter for parameter in var_list or () if parameter.is_free]
        self._excluded_paths = [parameter.path for parameter in var_list or () if not parameter.is_free]
        self._excluded_names = list(var_names or ())

    def _decays(self, parameter: Parameter) -> bool:
        named = any(re.search(name, parameter.name) for name in self._excluded_names)
        alone = any(parameter is one for one in self._excluded_variables)
        return not named and not alone and parameter.path not in self._excluded_paths

    def _decay_weights(self, values: Array, learning_rate: float) -> None:
        """Shrink the parameters by a share of themselves, apart from the gradient."""
        if self.weight_decay:
            decay_weights(values, self._decay_mask, learning_rate * self.weight_decay)

    # Layout

    def _bind(self, flat: FlatParameters) -> None:
        """Get ready for the parameters of a buffer that was not trained in the last step."""
        if not self.slots.bind(flat, self._starts(flat)):
            self._steps = 0
            warn_user(
                f"the optimizer {self.name} now trains other parameters than before and starts afresh; give each model "
                f"an optimizer of its own"
            )
        self._seen = None
        self._decay_mask = None
        if not all(map(self._decays, flat.parameters)):
            shares = [1.0 if self._decays(parameter) else 0.0 for parameter in flat.parameters]
            mask = np.repeat(shares, [stop - start for start, stop in flat.slices])
            self._decay_mask = placed_like(mask.astype(np.float32), wide(flat.values))

    def _constraints(self, flat: Any) -> list[tuple[Parameter, slice]]:
        """The parameters that have a constraint, and where they are; looked for again after one was set."""
        if self._seen is not ATTRIBUTE_CHANGE.last:
            self._seen = ATTRIBUTE_CHANGE.last
            places = zip(flat.parameters, flat.slices, strict=True)
            self._constrained = [(one, slice(*place)) for one, place in places if one.constraint is not None]
        return self._constrained

    def _starts(self, flat: FlatParameters) -> Starts:
        if self._is_by_variable and not self.built:
            self.build(flat.parameters)
        starts: dict[str, float | None] = {**self.slot_starts()}
        if flat.has_half:
            starts[MASTER] = None
        if self.gradient_accumulation_steps is not None:
            starts["gradient_accumulator"] = 0.0
        if self.use_ema:
            starts["average"] = None
        return starts

    # Saving

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "decay": self.decay, "learning_rate": serialize(self._learning_rate)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        if isinstance(config.get("learning_rate"), str):  # a function among the custom objects
            config = {**config, "learning_rate": schedules.find(config["learning_rate"])}
        return cls(**config)

    def state(self) -> dict[str, Any]:
        """What training continues from, beside the configuration and the arrays; fits into JSON."""
        rate = self._learning_rate
        return {
            "steps": self._steps,
            "learning_rate": rate if isinstance(rate, float) else None,
            "excluded_paths": list(self._excluded_paths),
            "excluded_names": list(self._excluded_names),
            "loss_scale": list(self._first_scale) if self.loss_scale is None else self.loss_scale.numbers(),
            "steps_to_grow": self.steps_to_grow,
            "shows_average": self.shows_average,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from where `state()` was called. Call it before `load_state_arrays`."""
        steps, rate, paths, names = (
            state[key] for key in ("steps", "learning_rate", "excluded_paths", "excluded_names")
        )
        if rate is not None and isinstance(self._learning_rate, float):
            self.learning_rate = rate
        self._steps, self._excluded_paths, self._excluded_names = int(steps), list(paths), list(names)
        value, good_steps = state["loss_scale"] or FIRST_SCALE
        self.steps_to_grow = int(state.get("steps_to_grow", STEPS_TO_GROW))  # files of 0.1 do not have it, nor the next
        self.shows_average = bool(state.get("shows_average", False))
        self.loss_scale, self._first_scale = None, (float(value), float(good_steps))

    def state_arrays(self, flat: FlatParameters) -> dict[str, Array]:
        """The slots as views with the shapes of the parameters, under "slot/path of the parameter".

        Empty before the first step.
        """
        if self.slots.flat is not None and self.slots.flat is not flat:
            with flat.placement.computing:
                self._bind(flat)
        return self.slots.views()

    def load_state_arrays(self, flat: FlatParameters, arrays: Mapping[str, Array]) -> None:
        """Take over what `state_arrays` returned, also from another backend.

        ValueError, and no change, if the names or shapes are not those of this optimizer's slots.
        """
        if arrays:
            self.slots.check(flat, self._starts(flat), arrays, self.name)
        self.slots.reset(flat)
        if arrays:
            with flat.placement.computing:
                self._bind(flat)
                self.slots.fill(arrays)


_METHODS = (Optimizer.step, Optimizer.train, Optimizer.scale_loss)  # what a step calls
_NAMES = frozenset({"step", "train", "scale_loss"})


def _constrained(parameter: Parameter, value: Array) -> Array:
    """What the constraint of a parameter makes of its value.

    TypeError and ValueError, which name the parameter, for what is no array of its shape.
    """
    made = parameter.constraint(value)
    if not is_array(made):
        raise TypeError(
            f"the constraint of {parameter.path} returned {type(made).__name__}, expected an array: a constraint "
            f"returns the projected weight, and does not write into the one that it is given"
        )
    if tuple(made.shape) != tuple(value.shape):
        raise ValueError(
            f"the constraint of {parameter.path} returned an array of shape {tuple(made.shape)}, expected that of the "
            f"weight, {tuple(value.shape)}"
        )
    return made


def _names(parameters: Sequence[Parameter]) -> str:
    """Some parameters, for errors: the first few by their paths."""
    shown = ", ".join(parameter.path for parameter in parameters[:4])
    return shown if len(parameters) <= 4 else f"{shown} and {len(parameters) - 4} more"
