"""Several optimisers for one model, each for some of its parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, Self

from nnx.backends import Array, array_namespace
from nnx.optimizers.optimizer import Optimizer, optimizers
from nnx.parameters import FlatParameters, Parameter, slices_of
from nnx.precision import narrow, wide
from nnx.registry import serialize

_ADVICE = "a MultiOptimizer has no learning rate of its own: read or set that of one of its `optimizers`"


class OptimizerMap(MutableMapping[str, Optimizer]):
    """Optimisers by the paths of parameters, for `MultiOptimizer`.

    default_optimizer : for the parameters of which no key speaks.
    optimizer_map : a dict; keys are paths such as "dense_1/kernel", or regular expressions of whole ones, "encoder/.*".

    ValueError for a parameter that two expressions speak of, for a key that is there already, and for a MultiOptimizer.

    >>> from nnx.optimizers import SGD, Adam
    >>> by_path = OptimizerMap(SGD(0.1), {"encoder/.*": Adam()})
    >>> by_path["encoder/dense/kernel"].name, by_path["dense/bias"].name
    ('adam', 'sgd')
    """

    def __init__(self, default_optimizer: Optimizer, optimizer_map: Mapping[str, Optimizer] | None = None) -> None:
        self.default_optimizer = _checked("default_optimizer", default_optimizer)
        self._by_key: dict[str, Optimizer] = {}
        for key, optimizer in (optimizer_map or {}).items():
            self[key] = optimizer

    def __getitem__(self, key: str) -> Optimizer:
        """The optimiser for a path."""
        if key in self._by_key:
            return self._by_key[key]
        found = [one for one in self._by_key if re.fullmatch(one, key)]
        if len(found) > 1:
            raise ValueError(f"{key} has several optimizers, by the keys {', '.join(map(repr, found))}")
        return self._by_key[found[0]] if found else self.default_optimizer

    def __setitem__(self, key: str, optimizer: Optimizer) -> None:
        if not isinstance(key, str):
            raise TypeError(f"a key of an OptimizerMap is the path of a parameter, got {key!r}")
        if key in self._by_key:
            raise ValueError(f"the OptimizerMap has the key {key!r} already")
        self._by_key[key] = _checked(repr(key), optimizer)

    def __delitem__(self, key: str) -> None:
        del self._by_key[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_key)

    def __len__(self) -> int:
        return len(self._by_key)

    def __call__(self, variable: Parameter) -> Optimizer:
        """The optimiser for a parameter."""
        return self[variable.path]

    def get_config(self) -> dict[str, Any]:
        """The optimisers as plain data."""
        return {
            "default_optimizer": serialize(self.default_optimizer),
            "optimizer_map": {key: serialize(optimizer) for key, optimizer in self._by_key.items()},
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The map that `get_config` described."""
        by_key = {key: optimizers.build(one) for key, one in config["optimizer_map"].items()}
        return cls(optimizers.build(config["default_optimizer"]), by_key)


class Part(FlatParameters):
    """Some parameters of a buffer, in float32 at least, beside it: one optimiser's.

    places : the numbers of the parameters in the buffer.
    """

    def __init__(self, flat: FlatParameters, places: Sequence[int]) -> None:
        self.parameters = [flat.parameters[place] for place in places]
        self.placement = flat.placement
        self._runs: list[tuple[int, int]] = []
        for start, stop in (flat.slices[place] for place in places):
            if self._runs and self._runs[-1][1] == start:
                self._runs[-1] = (self._runs[-1][0], stop)
            else:
                self._runs.append((start, stop))
        self.slices = slices_of(self.parameters)
        self.values, self.grads = self._taken(wide(flat.values)), self._taken(wide(flat.grads))

    def _taken(self, values: Array) -> Array:
        return array_namespace(values).concat([values[start:stop] for start, stop in self._runs])

    def read(self, values: Array, grads: Array) -> None:
        """Take values and gradients over from the whole buffer."""
        self.values[...] = self._taken(wide(values))
        self.grads[...] = self._taken(wide(grads))

    def write(self, values: Array) -> None:
        """Put the values back into the whole buffer."""
        start = 0
        for first, last in self._runs:
            stop = start + last - first
            values[first:last] = narrow(self.values[start:stop], values)
            start = stop


def _checked(what: str, optimizer: Any) -> Optimizer:
    if not isinstance(optimizer, Optimizer) or isinstance(optimizer, MultiOptimizer):
        raise TypeError(f"{what}: expected an optimizer, other than a MultiOptimizer, got {type(optimizer).__name__}")
    return optimizer


@optimizers.register()
class MultiOptimizer(Optimizer):
    """Several optimisers for one model: each parameter is trained by the one that is chosen for it.

    optimizer_map : an `OptimizerMap`, or a function from a parameter to its optimiser, which is asked once for each.
    loss_scale_factor : as for `Optimizer`; those of the optimisers are not used.

    Each optimiser clips, shrinks, averages and accumulates what is its own. `optimizers` has them; `learning_rate` is
    an AttributeError. A function is saved by its name, and loaded as one of `custom_objects`.

    >>> import numpy as np
    >>> import nnx
    >>> from nnx.optimizers import SGD
    >>> model = nnx.Sequential([nnx.layers.Dense(1, kernel_initializer="ones", input_shape=(1,))])
    >>> model.compile(MultiOptimizer(OptimizerMap(SGD(0.1), {"dense/bias": SGD(0.0)})), "mse")
    >>> loss = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))  # gradients 2
    >>> [float(weight.item()) for weight in model.get_weights()]
    [0.800000011920929, 0.0]
    """

    def __init__(
        self,
        optimizer_map: OptimizerMap | Callable[[Parameter], Optimizer],
        loss_scale_factor: float | None = None,
        name: str | None = None,
    ) -> None:
        if not callable(optimizer_map):
            raise TypeError(f"optimizer_map must be an OptimizerMap or a function, got {type(optimizer_map).__name__}")
        super().__init__(0.0, loss_scale_factor=loss_scale_factor, name=name)
        self.optimizer_map = optimizer_map
        self.optimizers: list[Optimizer] = []
        self._chosen: dict[Parameter, int] = {}  # the number of each parameter's optimizer
        self._parts: list[tuple[Optimizer, Part]] = []
        self._states: list[Mapping[str, Any]] = []  # of a file, for those that a function makes later
        if isinstance(optimizer_map, OptimizerMap):
            for one in (*optimizer_map.values(), optimizer_map.default_optimizer):
                self._number_of(one)

    def _number_of(self, optimizer: Optimizer) -> int:
        for number, one in enumerate(self.optimizers):
            if one is optimizer:
                return number
        self.optimizers.append(_checked("the function of a MultiOptimizer", optimizer))
        optimizer.loss_scale_factor, optimizer._applied_scale = None, 1.0
        number = len(self.optimizers) - 1
        if number < len(self._states):
            optimizer.set_state(self._states[number])
        return number

    @property
    def learning_rate(self) -> Any:
        """AttributeError: there are several."""
        raise AttributeError(_ADVICE)

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        raise AttributeError(_ADVICE)

    @property
    def variables(self) -> list[Any]:
        """The number of updates, and what each optimiser goes on from."""
        return [
            self.iterations,
            *(variable for one in self.optimizers for variable in one.variables),
        ]

    def exclude_from_weight_decay(
        self, var_list: Sequence[Parameter] | None = None, var_names: Sequence[str] | None = None
    ) -> None:
        for one in self.optimizers:
            one.exclude_from_weight_decay(var_list, var_names)

    # A step

    def _bind(self, flat: FlatParameters) -> None:
        super()._bind(flat)
        self._parts = self._split(flat)
        for optimizer, part in self._parts:
            optimizer._bind(part)

    def _split(self, flat: FlatParameters) -> list[tuple[Optimizer, Part]]:
        """The optimisers that have parameters in a buffer, each with its part of it."""
        for parameter in flat.parameters:
            if parameter not in self._chosen:
                self._chosen[parameter] = self._number_of(self.optimizer_map(parameter))
        parts = []
        for number, optimizer in enumerate(self.optimizers):
            places = [place for place, one in enumerate(flat.parameters) if self._chosen[one] == number]
            if places:
                parts.append((optimizer, Part(flat, places)))
        return parts

    def _advance(self, values: Array, gradients: Array) -> None:
        for optimizer, part in self._parts:
            part.read(values, gradients)
            optimizer.train(part)
            part.write(values)

    def restorable(self) -> dict[str, Array]:
        inner = ((number, *item) for number, one in enumerate(self.optimizers) for item in one.slots.items())
        return {**self.slots, **{f"{number}_{name}": slot for number, name, slot in inner}}

    def finalize(self, flat: FlatParameters) -> None:
        with flat.placement.computing:
            if flat is not self.slots.flat:
                self._bind(flat)
            flat.gather()
            for optimizer, part in self._parts:
                part.read(flat.values, flat.grads)
                optimizer.finalize(part)
                part.write(flat.values)
            flat.put(flat.values)

    # Saving

    def get_config(self) -> dict[str, Any]:
        by_path = self.optimizer_map
        return {
            "optimizer_map": (
                {"class_name": "OptimizerMap", "config": by_path.get_config()}
                if isinstance(by_path, OptimizerMap)
                else serialize(by_path)
            ),
            "loss_scale_factor": self.loss_scale_factor,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        given = config["optimizer_map"]
        if isinstance(given, str):  # a function among the custom objects
            given = optimizers.find(given)
        elif isinstance(given, Mapping) and not isinstance(given, OptimizerMap):
            given = OptimizerMap.from_config(given["config"])
        return cls(**{**config, "optimizer_map": given})

    def state(self) -> dict[str, Any]:
        return {**super().state(), "learning_rate": None, "optimizers": [one.state() for one in self.optimizers]}

    def set_state(self, state: Mapping[str, Any]) -> None:
        super().set_state(state)
        self._states = list(state["optimizers"])
        for one, own in zip(self.optimizers, self._states, strict=False):
            one.set_state(own)

    def state_arrays(self, flat: FlatParameters) -> dict[str, Array]:
        """The slots of all optimisers, under "number_slot/path of the parameter", and the float32 copies."""
        own = super().state_arrays(flat)
        inner = ((number, *item) for number, one in enumerate(self.optimizers) for item in one.slots.views().items())
        return {**own, **{f"{number}_{key}": view for number, key, view in inner}}

    def load_state_arrays(self, flat: FlatParameters, arrays: Mapping[str, Array]) -> None:
        parts = self._split(flat)
        prefixes = [f"{self._number_of(optimizer)}_" for optimizer, _ in parts]
        of_parts = [
            {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
            for prefix in prefixes
        ]
        own = {key: array for key, array in arrays.items() if not key.startswith(tuple(prefixes))}
        if arrays:
            self.slots.check(flat, self._starts(flat), own, self.name)
            for (optimizer, part), found in zip(parts, of_parts, strict=True):
                optimizer.slots.check(part, optimizer._starts(part), found, optimizer.name)
        super().load_state_arrays(flat, own)
        for (optimizer, part), found in zip(parts, of_parts, strict=True):
            optimizer.load_state_arrays(part, found)
        if arrays:
            self._parts = parts
