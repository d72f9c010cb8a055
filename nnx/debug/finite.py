"""Checks for NaN and infinity, which are found where they appear."""

from __future__ import annotations

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

import numpy as np

from nnx.backends import array_namespace, is_array, to_numpy
from nnx.debug.watching import Work, watch
from nnx.structure import leaves

CHECKING: contextvars.ContextVar[bool] = contextvars.ContextVar("nnx_check_finite")
"""Whether `check_finite` is on in a block."""

everywhere = False
"""Whether it is on outside of such blocks; a step looks at `CHECKING.get(everywhere)`."""


class check_finite:  # noqa: N801, it reads as a statement
    """Raise an error at the first NaN or infinity: in the data given to a model, and in all that it computes.

    Called as a function it holds from then on; in a `with` statement, for the block. Data raise ValueError; what is
    computed raises NotFiniteError, which names the layer, what of it is not finite (its output, a parameter, a
    gradient) or the loss, and in `fit` and `evaluate` the batch. Gradients of a float16 model are an error only when
    its optimizer cannot make the scale of the loss any smaller. Every layer then waits for the device; while it is
    off, a step looks at one variable.

    >>> with check_finite():
    ...     pass  # model.fit(x, y) here raises for NaN in x, y or the sample weights, and in the model, and says where
    """

    def __init__(self, enabled: bool = True) -> None:
        global everywhere
        self._enabled = enabled
        self._before = everywhere
        everywhere = enabled

    def __enter__(self) -> None:
        global everywhere
        everywhere = self._before
        self._token = CHECKING.set(self._enabled)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        CHECKING.reset(self._token)


def is_checking() -> bool:
    """Whether `check_finite` is on.

    >>> with check_finite():
    ...     is_checking()
    True
    >>> is_checking()
    False
    """
    return CHECKING.get(everywhere)


class NotFiniteError(FloatingPointError):
    """NaN or infinity in what a model computes, at the first place where it appeared.

    layer : the path of the layer in the model, such as "encoder/dense_1"; empty for the loss.
    what : such as "input", "output", "parameter kernel", "gradient of kernel", "gradient of the input", "loss".
    epoch, batch : counted from 1, as the progress bar does; None where the model does not count them.
    """

    epoch: int | None = None
    batch: int | None = None

    def __init__(self, layer: str, what: str, values: str) -> None:
        super().__init__(layer, what, values)
        self.layer, self.what, self.values = layer, what, values

    def __str__(self) -> str:
        where = f"{self.layer}: its {self.what}" if self.layer else f"the {self.what}"
        batch = "" if self.batch is None else f"batch {self.batch}"
        epoch = "" if self.epoch is None else f" of epoch {self.epoch}"
        return f"{f'in {batch}{epoch}, ' if batch else ''}{where} {self.values}"


def check_data(**named: Any) -> None:
    """While `check_finite` is on, raise ValueError for the first value that is not finite."""
    if not is_checking():
        return
    for name, value in named.items():
        if value is None:
            continue
        values = _wrong_values(value, name)
        if values:
            raise ValueError(f"{name} {values}: clean the data, for example with np.nan_to_num")


def checks(model: Any) -> contextlib.AbstractContextManager[None]:
    """A block in which everything that a model computes is checked, if `check_finite` is on."""
    return watch(model, functools.partial(_check, model)) if is_checking() else contextlib.nullcontext()


def _check(model: Any, work: Work, compute: Callable[[], Any]) -> Any:
    """The observer: look at what comes out, and where that is not finite, at what went in."""
    backwards = not _is_scaled_down(model)
    if work.phase == "update" and backwards:
        _check_buffer(work.inputs[0], "grads", "gradient of ")
    result = compute()
    if work.phase == "forward":
        parameters = [(f"parameter {p.name}", p.value) for p in work.owner.own_weights]
        outputs = [("output", y) for y in leaves(result[0])]
        _require(work, outputs, causes=[*(("input", x) for x in work.inputs), *parameters])
    elif work.phase == "backward" and backwards:
        gradients = [(f"gradient of {p.name}", p.grad) for p in work.owner.own_weights if _is_fresh(p)]
        inputs = [("gradient of the input", dx) for dx in leaves(result)]
        _require(work, [*gradients, *inputs], causes=[("gradient of the output", dy) for dy in work.inputs])
    elif work.phase == "loss":
        outputs = work.owner.outputs
        names = [f"loss of {output}" if len(outputs) > 1 else "loss" for output in outputs]
        _require(work, zip(names, result[0], strict=True))
    elif work.phase == "loss backward" and backwards:
        _require(work, [("gradient of the loss", dy) for dy in result])
    elif work.phase == "total":
        _require(work, [("loss with its penalties", work.inputs[0])])
    elif work.phase == "update":
        _check_buffer(work.inputs[0], "values", "parameter ")
    return result


def _is_scaled_down(model: Any) -> bool:
    """Whether an optimizer answers to float16 gradients that are not finite by a smaller scale of the loss."""
    scale = None if model.optimizer is None else model.optimizer.loss_scale
    return scale is not None and scale.numbers()[0] > 1.0


def _is_fresh(parameter: Any) -> bool:
    """Whether the running backward pass has written the gradient of a parameter."""
    return parameter.backward is not None and parameter.pass_number == parameter.backward.number


def _check_buffer(flat: Any, buffer: str, what: str) -> None:
    """The gradients before a step of the optimizer, or the parameters after it, all at once."""
    if not _is_finite(getattr(flat, buffer)):
        for parameter in flat.parameters:
            array = parameter.grad if buffer == "grads" else parameter.value
            if not _is_finite(array):
                raise NotFiniteError(parameter.path.rpartition("/")[0], what + parameter.name, _wrong_values(array))


def _require(work: Work, found: Iterable[tuple[str, Any]], causes: Iterable[tuple[str, Any]] = ()) -> None:
    """NotFiniteError if something found is not finite; it names what caused that, if it is among the causes."""
    for what, array in found:
        if not _is_finite(array):
            cause = next(((name, value) for name, value in causes if not _is_finite(value)), (what, array))
            raise NotFiniteError(work.path, cause[0], _wrong_values(cause[1]))


def _is_finite(array: Any) -> bool:
    if not is_array(array):
        return True
    xp = array_namespace(array)
    return not xp.isdtype(array.dtype, "real floating") or bool(xp.all(xp.isfinite(array)))


def _wrong_values(value: Any, name: str = "") -> str:
    """How many values are not finite, and which is the first; empty if all are."""
    host = to_numpy(value)
    if host.dtype.kind != "f" or (finite := np.isfinite(host)).all():
        return ""
    if not host.shape:
        return f"is {host}"
    first = tuple(map(int, np.argwhere(~finite)[0]))
    place = f"{name}[{', '.join(map(str, first))}]"
    return f"has {int((~finite).sum())} values that are not finite, the first is {place} = {host[first]}"
