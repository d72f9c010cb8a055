"""Signatures of `call` and `forward`: by which of them a class computes, and where each argument of its call goes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from nnx.graph.recorded_call import call_of_base
from nnx.layers.input_values import is_value
from nnx.names import did_you_mean, nearest
from nnx.structure import leaves, rebuild


class ForwardSignature(NamedTuple):
    """The arguments of a `forward`, but for `training` and `mask`.

    inputs : the names of its inputs, in their order; they end in "*" if it takes any number of them.
    options : the names of its options; "*" if it takes any.
    flags : the names of those that are True or False, `training` among them.
    """

    inputs: tuple[str, ...]
    options: frozenset[str]
    flags: frozenset[str]

    def check_options(self, layer_name: str, options: dict[str, Any]) -> None:
        """TypeError for options that the layer does not take, now, and not when a graph is run."""
        for name in options:
            if name in self.options or "*" in self.options or name == "mask":
                continue
            inputs = [one for one in self.inputs if one != "*"] or ["its inputs"]
            taken = ", ".join([*inputs, "training", *sorted(self.options)])
            raise TypeError(f"{layer_name} takes no {name!r} when it is called; it takes {taken}")

    def without_surplus(
        self, layer_name: str, inputs: tuple[Any, ...], options: dict[str, Any], mask_by_position: bool
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Bring what is given by position and is no input to its name; TypeError for more inputs than there are."""
        if "*" in self.inputs or len(inputs) <= len(self.inputs):
            return inputs, options
        if mask_by_position and len(inputs) == 2 and "mask" not in options:
            return inputs[:1], {**options, "mask": inputs[1]}
        raise TypeError(
            f"{layer_name} takes {', '.join(self.inputs)}, got {len(inputs)} inputs; anything else is given by its "
            f"name: {', '.join(f'{name}=...' for name in ('training', 'mask', *sorted(self.options - {'*'})))}"
        )


@functools.cache
def forward_signature(cls: Any) -> ForwardSignature:
    """What a layer's `forward` takes."""
    parameters = list(inspect.signature(cls.forward).parameters.values())[1:]
    named = [p for p in parameters if p.name not in ("training", "mask")]
    inputs = [p.name for p in named if p.kind is p.POSITIONAL_OR_KEYWORD]
    inputs += ["*" for p in named if p.kind is p.VAR_POSITIONAL]
    options = [p.name for p in named if p.kind is p.KEYWORD_ONLY]
    options += ["*" for p in named if p.kind is p.VAR_KEYWORD]
    flags = [p.name for p in parameters if isinstance(p.default, bool)]
    return ForwardSignature(tuple(inputs), frozenset(options), frozenset(flags))


class CallSignature(NamedTuple):
    """The arguments of a `call`.

    names : all, in their order, without self.
    trains_by_default : the value that `training` has if nobody gives one; None if that is no bool.
    takes_mask, takes_masks : whether it takes `mask`; whether it takes that, or the mask of an argument, as `x_mask`.
    """

    names: tuple[str, ...]
    takes_training: bool
    requires_training: bool
    trains_by_default: bool | None
    takes_mask: bool
    takes_masks: bool
    requires_mask: bool
    takes_any_number: bool
    takes_any_option: bool

    def bind(
        self, layer_name: str, inputs: tuple[Any, ...], training: Any, options: dict[str, Any]
    ) -> tuple[tuple[Any, ...], Any, dict[str, Any]]:
        """The arguments of a `call`, sorted: arrays and symbols are inputs, everything else has a name."""
        if self.takes_any_number:
            return inputs, training, options
        if len(inputs) > len(self.names):
            raise TypeError(f"{layer_name} takes {', '.join(self.names)}, got {len(inputs)} arguments by position")
        for name in options:
            if name not in self.names and not self.takes_any_option and name not in ("mask", "arguments"):
                hint = did_you_mean(nearest(name, self.names))
                raise TypeError(
                    f"{layer_name} takes no {name!r} when it is called{f'; {hint}' if hint else ''}; its call() takes "
                    f"{', '.join(self.names)}"
                )
        templates = options.pop("arguments", None)  # of a call that was saved
        if templates is not None:
            given = {name: rebuild(one, [inputs[i] for i in leaves(one)]) for name, one in templates.items()}
        else:
            given = dict(zip(self.names, inputs, strict=False))
        twice = [name for name in given if name in options]
        if twice:
            raise TypeError(f"{layer_name}: {twice[0]} is given by position and by name")
        order = [
            *given,
            *(name for name in self.names if name in options),
            *(n for n in options if n not in self.names),
        ]
        given.update(options)
        if "training" in given:
            training = given.pop("training")
        first = next(iter(self.names), None)
        arrays = [n for n in order if n in given and n != "mask" and (is_value(given[n]) or n == first)]
        options = {name: value for name, value in given.items() if name not in arrays and value is not None}
        if arrays != list(self.names[: len(arrays)]):
            values = {name: given[name] for name in arrays}
            numbers = iter(range(len(leaves(list(values.values())))))
            options["arguments"] = {
                name: rebuild(value, [next(numbers) for _ in leaves(value)]) for name, value in values.items()
            }
        return tuple(given[name] for name in arrays), training, options

    def masks_by_name(self, arguments: dict[str, Any], mask: Any) -> dict[str, Any]:
        """The masks that arguments carry, as Keras gives them to `call`.

        `mask` has that of the only argument, in its structure. Of several arguments the one of `x` is `x_mask`, and
        `mask` is None; it is a list for `*inputs`.
        """
        if self.takes_any_number or len(arguments) < 2:
            alone = next(iter(arguments.values()), None)
            nested = isinstance(alone, list | tuple | dict) and not self.takes_any_number
            return {"mask": in_structure(alone, mask) if nested else mask} if self.takes_mask else {}
        masks: dict[str, Any] = {"mask": None} if self.takes_mask else {}
        flat = iter(mask if isinstance(mask, list | tuple) else [mask] * len(leaves(list(arguments.values()))))
        for name, value in arguments.items():
            own = in_structure(value, [next(flat) for _ in leaves(value)])
            if f"{name}_mask" in self.names:
                masks[f"{name}_mask"] = own
        return masks


@functools.cache
def call_signature(cls: Any) -> CallSignature | None:
    """What a layer's `call` takes; None for a layer that has none of its own."""
    if getattr(cls, "call", None) is None or hasattr(cls.call, "computes_by"):
        return None
    parameters = list(inspect.signature(cls.call).parameters.values())[1:]
    named = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return CallSignature(
        tuple(p.name for p in named),
        any(p.name == "training" for p in named),
        any(p.name == "training" and p.default is p.empty for p in named),
        next((p.default for p in named if p.name == "training" and isinstance(p.default, bool)), None),
        any(p.name == "mask" for p in named),
        any(p.name == "mask" or p.name.endswith("_mask") for p in named),
        any(p.name == "mask" and p.default is p.empty for p in named),
        any(p.kind is p.VAR_POSITIONAL for p in parameters),
        any(p.kind is p.VAR_KEYWORD for p in parameters),
    )


def settle_call(cls: Any, base: Any) -> None:
    """Let a class with a `call` of its own compute by that; one with a `forward` gets its `call` from it.

    The `call` of a class that computes by `forward` is there for subclasses, which say `super().call(x)`.

    base : the class whose `forward` computes by `call`.
    """
    if vars(cls).get("call") is None:
        inherited = getattr(cls, "call", None)
        if inherited is None or getattr(inherited, "computes_by", cls.forward) is not cls.forward:
            cls.call = _call_by(cls.forward)
    elif "forward" not in vars(cls):
        for name in ("forward", "run", "run_without_pullback", "run_masked"):
            setattr(cls, name, getattr(base, name))
        cls.fusible_activation = None


def _call_by(forward: Any) -> Callable[..., Any]:
    def call(self: Any, *inputs: Any, **options: Any) -> Any:
        """What the layer computes, for the `call` of a subclass: `super().call(x)`."""
        return call_of_base(self, forward, inputs, options)

    call.computes_by = forward  # type: ignore[attr-defined]
    return call


def in_structure(value: Any, masks: Any) -> Any:
    """Masks in the structure of what they are of. masks : a list, or one that counts for each array."""
    count = len(leaves(value))
    masks = list(masks) if isinstance(masks, list | tuple) else [masks] * count
    return rebuild(value, masks)


@functools.cache
def count_of_shapes(method: Callable[..., Any]) -> int:
    """How many shapes a layer's `build` or `compute_output_shape` takes."""
    return len(inspect.signature(method).parameters) - 1
