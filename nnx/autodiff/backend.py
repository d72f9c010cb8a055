"""Backend of tracked arrays: what nnx's own functions find where they ask a tracked array for its backend."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnx.autodiff.array import TrackedArray, all_constant, bared, constant, for_any_cotangent, lower, recorded, top_tape
from nnx.autodiff.record import below_alike
from nnx.autodiff.tape import CONSTANT, Tape
from nnx.backends.base import Array, Backend, BackendKernel
from nnx.kernels import GENERIC, RECORDING, accelerated
from nnx.parameters import Parameter
from nnx.pullbacks import SKIP


class TrackedBackend(Backend):
    """The backend of another one's arrays where they are tracked: its functions record, and nothing else differs."""

    def __init__(self, plain: Backend, xp: Any) -> None:
        self._plain = plain
        self.name, self.module, self.install = f"tracked {plain.name}", plain.module, plain.install
        self.xp = xp
        self.kernels = Recorded(xp.kind)  # type: ignore[assignment]

    @property
    def plain(self) -> Backend:
        return self._plain

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("tracked arrays belong to the tape of one computation, and cannot be copied")

    def computing_on(self, device: Any) -> contextlib.AbstractContextManager[Any]:
        return self._plain.computing_on(device)

    def device_of(self, array: Array) -> Any:
        return self._plain.device_of(lower(array))

    def is_on_host(self, array: Array) -> bool:
        return False

    def as_constant(self, value: Any) -> Any:
        xp = self.xp
        floating = hasattr(value, "dtype") and xp.isdtype(value.dtype, "real floating")
        return constant(value, xp.kind) if floating and type(value) is not Parameter else value

    def put_beside(self, like: Array, array: np.ndarray) -> Array:
        return constant(self._plain.put_beside(lower(like), array), self.xp.kind)

    def to_host(self, array: Array) -> np.ndarray:
        return array.__array__()  # type: ignore[no-any-return]  # which refuses

    def gather_rows(self, array: Array, rows: np.ndarray) -> Array:
        return self.xp.take(array, self._plain.put_beside(lower(array), rows), axis=0)


class Recorded:
    """In place of a table of kernels: every accelerated function, as one entry of the tape."""

    def __init__(self, kind: type[TrackedArray]) -> None:
        self._kind = kind
        self._known: dict[str, BackendKernel] = {}

    def get(self, name: str) -> BackendKernel:
        """The kernel of that name, which records."""
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = BackendKernel(_recorded(GENERIC[name], self._kind), None, True)
        return found


_WITHOUT_COTANGENT = ("y_true", "mean", "variance", "transform")
"""Arguments of accelerated functions for which their pullbacks return no cotangent."""

_AS_WRITTEN = ("bias_activation",)
"""Functions whose kernels write over an argument, which a tape may need: tracked arrays get the generic form."""


def _written_out(generic: Callable[..., Any], tape: Tape) -> Callable[..., Any]:
    """The function as it is written, whose pullback then need not compute anything of its value again."""

    def function(*args: Any, **options: Any) -> Any:
        before, tape.written_out = tape.written_out, True
        try:
            return generic(*args, **options)
        finally:
            tape.written_out = before

    return function


def _of_those_tracked(pullback: Callable[..., Any], indices: tuple[int | None, ...]) -> Callable[..., Any]:
    """The pullback without the cotangents that nobody tracks, if it can leave some out."""
    code = getattr(pullback, "__code__", None)
    if None not in indices or code is None or "out" not in code.co_varnames[1 : code.co_argcount]:
        return pullback
    return functools.partial(pullback, out=tuple(SKIP if index is None else None for index in indices))


def _sparing(generic: Callable[..., Any], indices: tuple[int | None, ...]) -> Callable[..., Any]:
    """The function, whose pullback leaves out the cotangents that nobody tracks."""

    def function(*args: Any, **options: Any) -> Any:
        y, pullback = generic(*args, **options)
        return y, _of_those_tracked(pullback, indices)

    return function


def _recorded(generic: Callable[..., Any], kind: type[TrackedArray]) -> Callable[..., Any]:
    """A function of nnx's protocol, (y, pullback), on tracked arrays.

    Its value is one entry of the tape, made by the kernel that plain arrays have. The pullback that is returned is for
    who differentiates it, and so computes with the tracked arrays.
    """
    fastest = accelerated(generic)
    arguments = inspect.signature(generic)
    names = list(arguments.parameters)
    several = next((p.name for p in arguments.parameters.values() if p.kind is p.VAR_POSITIONAL), None)
    # What works in place, or has another form than one value and its pullback, is not computed only to be thrown away.
    of_another_form = arguments.return_annotation not in ("tuple[Array, Pullback]", inspect.Signature.empty)
    as_written = generic.__name__ in _AS_WRITTEN or of_another_form

    @functools.wraps(generic)
    def function(*args: Any, **options: Any) -> Any:
        if args and type(args[0]) is kind and args[0].tape.written_out:
            return generic(*args, **options)
        args = tuple(map(bared, args))
        options = {name: bared(value) for name, value in options.items()}
        if several is None:  # as `Signature.bind`, which takes ten times as long; a wrong call is an error below
            bound = dict(zip(names, args, strict=False))
            bound.update({name: options[name] for name in names if name in options})
        else:
            bound = dict(arguments.bind(*args, **options).arguments)
            bound.update({f"{several} {i}": value for i, value in enumerate(bound.pop(several, ()))})
        others = [bound.pop(name) for name in _WITHOUT_COTANGENT if name in bound]
        given = [value for value in bound.values() if hasattr(value, "dtype")]
        tape = top_tape([*given, *others])
        if tape is None or tape.level == CONSTANT:
            return _lifted(generic, generic if generic.__name__ in _AS_WRITTEN else fastest, args, options, kind)
        if type(args[0] if args else None) is not kind:  # the generic form asks it for the namespace
            as_constant = RECORDING[kind].as_constant
            args = tuple(map(as_constant, args))
            options = {name: as_constant(value) for name, value in options.items()}
        if as_written or tape.written_out:
            return generic(*args, **options)
        if any(top_tape([value]) is not None and value.tape.level != CONSTANT for value in others):
            return generic(*args, **options)  # its pullback has no cotangent for that: recorded as it is written
        values = below_alike([*args, *options.values()], tape, kind)
        of_below = dict(zip(options, values[len(args) :], strict=True))
        outer = top_tape(values)
        compute = fastest if outer is None or outer.level == CONSTANT else _written_out(generic, outer)
        made = compute(*values[: len(args)], **of_below)
        if not (isinstance(made, tuple) and len(made) == 2 and callable(made[1]) and hasattr(made[0], "dtype")):
            return generic(*args, **options)  # not one value with its pullback: recorded as it is written
        y, pullback = made
        indices = tuple(a.index if isinstance(a, TrackedArray) and a.tape is tape else None for a in given)
        pull = _of_those_tracked(pullback, indices)
        if outer is None and tape.is_inside():
            pull = for_any_cotangent(_sparing(generic, indices), values[: len(args)], of_below, pull, kind)
        tracked = recorded(kind, y, tape, (None, indices, pull, None))
        return tracked, lambda dy, *out, **ignored: generic(*args, **options)[1](constant(dy, kind))

    return function


def _lifted(
    generic: Callable[..., Any],
    fastest: Callable[..., Any],
    args: Sequence[Any],
    options: dict[str, Any],
    kind: type[TrackedArray],
) -> Any:
    """The result of a function of constants, as constants among tracked arrays; so are those of its pullback."""
    made = fastest(*map(lower, args), **{name: lower(value) for name, value in options.items()})
    if not (isinstance(made, tuple) and len(made) == 2 and callable(made[1])):
        return all_constant(made, kind)
    value, pullback = made
    pull = for_any_cotangent(generic, args, options, pullback, kind)

    def lifted(dy: Any, *places: Any, **named: Any) -> Any:
        return all_constant(pull(dy, *places, **named), kind)

    return all_constant(value, kind), lifted
