"""Gradient tape: derivatives of what was computed inside a block, for a training loop of one's own."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from nnx.autodiff.array import TrackedArray, constant, lower, on_tape, strip, track
from nnx.autodiff.namespace import is_floating, kind_of
from nnx.autodiff.tape import Tape, close_tape, next_level, open_tape, open_tapes, recording
from nnx.backends import is_array
from nnx.in_place import own_array
from nnx.parameters import BackwardPass, FlatParameters, Parameter, recorders
from nnx.structure import leaves, rebuild

__all__ = ["GradientTape"]


class _Trained(Protocol):
    name: str

    @property
    def flat(self) -> FlatParameters: ...


class GradientTape:
    """A tape on which everything is recorded that depends on parameters of layers, or on watched arrays.

    persistent : whether `gradient` and `backward` may be called several times. Otherwise the first call forgets what
        was recorded, and the arrays that were tracked become plain numbers again.

    Parameters that may be trained are watched by themselves; arrays by `watch`. Tapes stand inside each other for
    derivatives of derivatives. Layers are called without training unless `training=True` says otherwise.

    Gradients are taken where parameters and watched arrays were in the block, whoever has written to them since. An
    array that is not watched is a constant: leave it as it is until you have asked for gradients.

    >>> import numpy as np
    >>> import nnx
    >>> x = np.asarray([1.0, 3.0])
    >>> with nnx.GradientTape() as tape:
    ...     x = tape.watch(x)
    ...     loss = nnx.array_namespace(x).sum(x * x)
    >>> tape.gradient(loss, x)
    array([2., 6.])

    A step of training, and what `nnx.Model.train_step` does:

    >>> model = nnx.Sequential([nnx.layers.Dense(1, input_dim=2, kernel_initializer="ones")])
    >>> optimizer = nnx.optimizers.SGD(0.5)
    >>> with nnx.GradientTape() as tape:
    ...     loss = nnx.losses.MeanSquaredError()([[0.0]], model(nnx.asarray([[1.0, 0.0]]), training=True))
    >>> gradients = tape.gradient(loss, model.trainable_variables)
    >>> optimizer.apply(gradients, model.trainable_variables)
    >>> model.get_weights()[0].ravel().tolist(), float(loss)
    ([0.0, 1.0], 1.0)
    """

    def __init__(self, persistent: bool = False) -> None:
        self.persistent = persistent
        self._tape: Tape | None = None
        self._used = False
        self._moved: dict[int, int] = {}  # by its identity, how long the tape was when a parameter moved
        self._thread = 0

    def __enter__(self) -> Self:
        self._tape = Tape(next_level(), watches_parameters=True, keeps_losses=True)
        self._used = False
        self._moved, self._thread = {}, threading.get_ident()
        open_tape(self._tape)
        recorders[id(self)] = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._tape is not None:
            close_tape(self._tape)

    def watch(self, x: Any) -> Any:
        """A copy of the array that is tracked: compute with what is returned, and give that to `gradient`.

        x : an array of floating numbers, or a structure of them. A parameter that may be trained is returned as it is,
            the value of another one is tracked.

        TypeError for integers and what is no array.

        >>> import numpy as np
        >>> import nnx
        >>> with nnx.GradientTape() as tape:
        ...     x = tape.watch(np.asarray(3.0))
        ...     y = x**2
        >>> float(tape.gradient(y, x))
        6.0
        """
        tape = self._recorded("watch")
        return rebuild(x, [_watched(tape, part) for part in leaves(x)])

    def gradient(self, target: Any, sources: Any, output_gradients: Any = None) -> Any:
        """The gradient of a number, with respect to each source, in the structure of the sources.

        target : an array without axes that was computed inside the block; of a structure of several, their sum counts.
        sources : parameters, and arrays that `watch` returned or that were computed from such; or a structure of them.
        output_gradients : the cotangent of the target, which then may have axes; in the structure of the target.

        None stands in the place of a source that the target does not depend on.

        ValueError for a target with axes, and for what was not recorded here; RuntimeError if the tape is used up.

        >>> import nnx
        >>> layer = nnx.layers.Dense(1, kernel_initializer="ones")
        >>> with nnx.GradientTape() as tape:
        ...     y = layer(nnx.asarray([[2.0, 3.0]]))[0, 0]
        >>> [g.tolist() for g in tape.gradient(y, [layer.kernel, layer.bias])]
        [[[2.0], [3.0]], [1.0]]
        """
        tape = self._recorded("gradient")
        parts = leaves(sources)
        wanted = dict.fromkeys(part for part in parts if isinstance(part, Parameter))
        of_arrays = [_index_of_source(tape, part) for part in parts if not isinstance(part, Parameter)]
        seeds = _seeds(tape, target, output_gradients)
        of_leaves = {p: tape.leaves[id(p)][1] for p in wanted if id(p) in tape.leaves}
        indices = [*of_leaves.values(), *of_arrays]
        number = BackwardPass()
        with self._pulling(tape), _gradients_aside([*wanted, *_parameters_of(tape)]):
            for parameter in wanted:
                parameter.grad = _room_for_gradient(parameter.value)
                parameter.backward = number
            pulled = iter(tape.pull(seeds, indices))
            found: dict[Parameter, Any] = {}
            for parameter in wanted:
                found[parameter] = parameter.grad if parameter.pass_number == number.number else None
            for parameter in of_leaves:
                found[parameter] = _sum(found[parameter], next(pulled))
        return rebuild(sources, [_result(found[p] if isinstance(p, Parameter) else next(pulled)) for p in parts])

    def jacobian(self, target: Any, sources: Any) -> Any:
        """The derivatives of each element of an array by each element of the sources: (*target, *source) for each.

        target : one array that was computed inside the block. sources : as for `gradient`, and what is returned too.

        That goes back once for each element of the target. None and errors as of `gradient`.

        >>> import nnx
        >>> with nnx.GradientTape() as tape:
        ...     x = tape.watch(nnx.asarray([1.0, 2.0]))
        ...     y = x * x
        >>> tape.jacobian(y, x).tolist()
        [[2.0, 0.0], [0.0, 4.0]]
        """
        return self._rows(target, sources, tuple(getattr(target, "shape", ())), 0)

    def batch_jacobian(self, target: Any, source: Any) -> Any:
        """The same for each sample: of a target (batch, ...) by a source (batch, ...), that of its own sample alone.

        target, source : arrays as for `jacobian`, with as many samples, each computed from its own. Returns
            (batch, *sample of the target, *sample of the source); None as there.

        That goes back once for each element of a sample of the target. ValueError for other numbers of samples.

        >>> import nnx
        >>> with nnx.GradientTape() as tape:
        ...     x = tape.watch(nnx.asarray([[1.0, 2.0], [3.0, 4.0]]))
        ...     y = x * x
        >>> tape.batch_jacobian(y, x)[1, ...].tolist()
        [[6.0, 0.0], [0.0, 8.0]]
        """
        shapes = [tuple(getattr(one, "shape", ())) for one in (target, source)]
        if () in shapes or shapes[0][0] != shapes[1][0]:
            raise ValueError(
                f"batch_jacobian is of a target (batch, ...) by a source (batch, ...), got {shapes[0]} by {shapes[1]}: "
                f"tape.jacobian(target, source) is of any arrays"
            )
        return self._rows(target, source, shapes[0][1:], 1)

    def _rows(self, target: Any, sources: Any, sizes: tuple[int, ...], axis: int) -> Any:
        """The gradients of each element of the target, along axes of these sizes, which begin at `axis`."""
        tape = self._recorded("jacobian")
        if on_tape(tape, target) is None:
            _seeds(tape, target, None)  # raises
        xp, count = kind_of(target).xp.base, math.prod(sizes)
        persistent, self.persistent = self.persistent, True
        rows = []
        try:
            for number in range(count):
                seed = xp.zeros_like(lower(target))
                flat = xp.reshape(seed, (*seed.shape[:axis], count))
                flat[(*[slice(None)] * axis, number)] = 1.0
                rows.append(leaves(self.gradient(target, sources, xp.reshape(flat, seed.shape))))
        finally:
            self.persistent = persistent
            self._use_up(tape)
        return rebuild(sources, [self._joined(column, sizes, axis) for column in zip(*rows, strict=True)])

    @staticmethod
    def _joined(rows: Sequence[Any], sizes: tuple[int, ...], axis: int) -> Any:
        if all(row is None for row in rows):
            return None
        like = next(row for row in rows if row is not None)
        xp = kind_of(like).xp
        whole = xp.stack([xp.zeros_like(like) if row is None else row for row in rows], axis=axis)
        return _result(xp.reshape(whole, (*like.shape[:axis], *sizes, *like.shape[axis:])))

    def backward(self, loss: Any, model: _Trained, scale: Any = 1.0) -> None:
        """Add the gradients of a number to those that a model gathers for the next `optimizer.step(model)`.

        loss : an array without axes that was computed inside the block. model : built, and called in it.
        scale : what the loss counts; of a model in float16 `optimizer.scale_loss(model.flat)`.

        That saves a copy of all gradients. Errors are those of `gradient`, and ValueError for a loss that depends on
        no parameter that the model trains.

        >>> import nnx
        >>> model = nnx.Sequential([nnx.layers.Dense(1, input_dim=2, kernel_initializer="ones")])
        >>> with nnx.GradientTape() as tape:
        ...     loss = nnx.losses.MeanSquaredError()([[0.0]], model(nnx.asarray([[1.0, 0.0]]), training=True))
        >>> tape.backward(loss, model)
        >>> nnx.optimizers.SGD(0.5).step(model)
        >>> model.get_weights()[0].ravel().tolist()
        [0.0, 1.0]
        """
        tape = self._recorded("backward")
        seeds = [
            (index, dy if type(scale) is float and scale == 1.0 else dy * scale)
            for index, dy in _seeds(tape, loss, None)
        ]
        flat = model.flat
        own, reached = set(flat.parameters), _parameters_of(tape)
        known = [(parameter, index) for parameter, index in tape.leaves.values() if parameter in own]
        if not known and own.isdisjoint(reached):
            raise ValueError(
                f"the loss depends on no parameter that {model.name} trains: call {model.name} inside the block of the "
                f"tape, or give the model that was called there"
            )
        with self._pulling(tape), flat.placement.computing, _gradients_aside([p for p in reached if p not in own]):
            pulled = tape.pull(seeds, [index for _, index in known])
            for (parameter, _), cotangent in zip(known, pulled, strict=True):
                if cotangent is not None:
                    parameter.receive(lower(cotangent))

    def keeps(self, parameters: Sequence[Parameter]) -> bool:
        """Whether values of these parameters are on the tape, of which a gradient may still be asked; see `Recorder`.

        >>> import nnx
        >>> layer = nnx.layers.Dense(1)
        >>> with nnx.GradientTape() as tape:
        ...     y = layer(nnx.asarray([[2.0, 3.0]]))
        >>> tape.keeps([layer.kernel])
        True
        """
        tape = self._tape
        if tape is None or self._used or self._thread != threading.get_ident():
            return False
        length = len(tape.entries)
        asked = {id(parameter) for parameter in parameters if self._moved.get(id(parameter)) != length}
        return not asked.isdisjoint(tape.leaves) or any(id(one) in asked for one in _parameters_of(tape))

    def let_go(self, parameters: Sequence[Parameter]) -> None:
        """Learn that these parameters are elsewhere from now on."""
        if self._tape is not None:
            self._moved.update(dict.fromkeys(map(id, parameters), len(self._tape.entries)))

    def _recorded(self, method: str) -> Tape:
        if self._tape is None:
            raise RuntimeError(
                f"a tape has nothing recorded before its block begins: write `with nnx.GradientTape() as tape:`, then "
                f"tape.{method}(...)"
            )
        if self._used:
            raise RuntimeError(
                "a tape that is not persistent gives its gradients once, and then forgets what was recorded: take all "
                "gradients in one call, as in tape.gradient(loss, [a, b]), or write nnx.GradientTape(persistent=True)"
            )
        return self._tape

    @contextlib.contextmanager
    def _pulling(self, tape: Tape) -> Iterator[None]:
        """The time of the way back, in which this tape does not record. It is then used up if it is not persistent."""
        try:
            with recording(*(one for one in open_tapes() if one is not tape)):
                yield
        finally:
            self._use_up(tape)

    def _use_up(self, tape: Tape) -> None:
        if not self.persistent:
            self._used = True
            recorders.pop(id(self), None)
            close_tape(tape)
            tape.release()


def _watched(tape: Tape, value: Any) -> Any:
    if isinstance(value, Parameter):
        if value.trainable:
            return value
        value = value.value
    if not is_array(value):
        raise TypeError(f"a tape watches arrays, got {type(value).__name__}: write tape.watch(nnx.asarray(x))")
    if not is_floating(value):
        raise TypeError(
            f"a tape watches floating numbers, got {value.dtype}, which has no derivative: write "
            f'tape.watch(nnx.asarray(x, "float32"))'
        )
    return track(kind_of(value), own_array(value), tape, tape.watch())


def _result(value: Any) -> Any:
    """A gradient as what is asked for: tracked only by tapes whose blocks are not at their end."""
    value = strip(value)
    while isinstance(value, TrackedArray) and not any(value.tape is tape for tape in open_tapes()):
        value = value.value
    return value


def _index_of_source(tape: Tape, source: Any) -> int:
    """Where the array is recorded; TypeError or ValueError for what is not."""
    found = on_tape(tape, source)
    if found is not None:
        return found.index  # type: ignore[no-any-return]
    if not is_array(source):
        raise TypeError(f"a gradient is with respect to parameters and arrays, got {type(source).__name__}")
    if not is_floating(source):
        raise TypeError(
            f"a gradient is with respect to floating numbers, got an array of {source.dtype}: watch it as "
            f'tape.watch(nnx.asarray(x, "float32"))'
        )
    raise ValueError(
        f"the tape does not watch this array of shape {tuple(source.shape)}: inside the block write "
        f"x = tape.watch(x), compute with that x, and give that x to gradient"
    )


def _seeds(tape: Tape, target: Any, output_gradients: Any) -> list[tuple[int, Any]]:
    targets = leaves(target)
    given = [None] * len(targets) if output_gradients is None else leaves(output_gradients)
    if len(given) != len(targets):
        raise ValueError(f"expected an output gradient for each of {len(targets)} targets, got {len(given)}")
    seeds = []
    for one, dy in zip(targets, given, strict=True):
        recorded = on_tape(tape, one)
        if recorded is None:
            what = f"an array of shape {tuple(one.shape)}" if is_array(one) else type(one).__name__
            raise ValueError(
                f"the target, {what}, was not recorded: compute it inside the block of the tape, from parameters or "
                f"from what x = tape.watch(x) returns, without nnx.stop_gradient; integers and comparisons have no "
                f"derivative"
            )
        if dy is None and tuple(one.shape) != ():
            raise ValueError(
                f"a gradient is of one number, got a target of shape {tuple(one.shape)}: take nnx.ops.mean or "
                f"nnx.ops.sum of it; TensorFlow would take the sum"
            )
        if dy is not None and tuple(dy.shape) != tuple(one.shape):
            raise ValueError(
                f"an output gradient has the shape of its target, {tuple(one.shape)}, got {tuple(dy.shape)}"
            )
        dy = kind_of(one).xp.base.ones_like(lower(one)) if dy is None else dy
        seeds.append((recorded.index, constant(dy, type(one)) if isinstance(recorded.value, TrackedArray) else dy))
    return seeds


def _parameters_of(tape: Tape) -> list[Parameter]:
    """The parameters of layers that were recorded as one entry, which send their cotangents by themselves."""
    return list(dict.fromkeys(parameter for layer in tape.layers for parameter in layer.weights))


@contextlib.contextmanager
def _gradients_aside(parameters: Iterable[Parameter]) -> Iterator[None]:
    """The time in which these parameters gather no gradients for their models, and keep what they have gathered."""
    before = [(p, p.grad, p.backward, p.pass_number) for p in dict.fromkeys(parameters)]
    for parameter, *_ in before:
        parameter.backward, parameter.pass_number = None, -1
    try:
        yield
    finally:
        for parameter, grad, backward, number in before:
            parameter.grad, parameter.backward, parameter.pass_number = grad, backward, number


def _room_for_gradient(value: Any) -> Any:
    """An array that products can write a gradient into: contiguous, also where the value is not."""
    xp = kind_of(value).xp
    return xp.base.empty(tuple(value.shape), dtype=value.dtype, device=xp.device_of(value))


def _sum(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else a + b
