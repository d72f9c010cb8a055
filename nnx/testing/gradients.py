"""A check of pullbacks against differences of the function's values, along random directions and in float64.

For arguments x, a direction v and a cotangent u of the value, `<pullback(u), v>` has to be the derivative of
`<u, f(x + t v)>` at t = 0. One number for a whole array makes the check cheap for arrays of any size, and a wrong
element changes it. Chainer's `gradient_check` works the same way.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from nnx.backends import Array, Placement, to_numpy
from nnx.backends.base import usable_backend
from nnx.random import Generator
from nnx.testing.close import assert_close, assert_like

_STEPS = tuple(1e-3 / 4.0**k for k in range(6))  # the smallest, 1e-6, still leaves ten digits of a difference
_DIRECTIONS = 8  # how many are tried before a point counts as a kink
_EPS = float(np.finfo(np.float64).eps)


class _KinkError(Exception):
    """The function is not smooth along this direction."""


def check_gradients(
    function: Callable[..., tuple[Any, Callable[..., Any]]],
    *arrays: Any,
    rtol: float = 1e-6,
    placement: Placement | None = None,
    not_differentiable: Collection[int] = (),
    seed: int = 0,
) -> None:
    """Assert that `y, pullback = function(*arrays)` returns the true vector-Jacobian product.

    function : deterministic; y is an array, or a tuple of arrays whose pullback takes a tuple of cotangents. The
        pullback returns one array for one argument, else a tuple.
    arrays : its arguments, converted to float64 there.
    rtol : how far the derivatives along a direction may differ, in relation to the derivative; what rounding does
        to a difference of values is allowed besides.
    placement : where to compute; by default on the host with NumPy. Its dtype does not matter.
    not_differentiable : positions of arguments for which the pullback has to return None.
    seed : of the directions and cotangents; nothing is drawn from nnx's default stream.

    Checked too: the cotangents have their argument's shape, dtype, namespace and device; the pullback is linear and
    may be called again; neither the arguments nor the cotangent are modified.

    The derivative is extrapolated from central differences at several steps (Ridders, 1982). Where these do not
    converge, or the one-sided derivatives disagree, the direction crosses a kink, and another one is tried.

    Raises AssertionError that names the argument and both derivatives, or says that there is a kink, and ValueError
    for a placement without float64.

    >>> check_gradients(lambda x: (x * x, lambda dy: 2.0 * x * dy), [1.0, 2.0])
    >>> check_gradients(lambda x: (x * x, lambda dy: x * dy), [1.0, 2.0])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    AssertionError: argument 0 (x): the pullback gives ... along a random direction, differences of values give ...
    """
    placement = dataclasses.replace(placement or Placement(usable_backend("numpy")), dtype="float64")
    probe = _Probe(function, [np.array(to_numpy(array), dtype=np.float64) for array in arrays], placement, seed)
    cotangents = probe.check_pullback(not_differentiable)
    for position, cotangent in enumerate(cotangents):
        if cotangent is not None and cotangent.size:
            _check_argument(probe, position, cotangent, rtol)


class _Probe:
    """A function at a point, with one random cotangent of its value."""

    def __init__(self, function: Callable[..., Any], point: list[np.ndarray], placement: Placement, seed: int) -> None:
        self.function, self.point, self.placement = function, point, placement
        self.names = _argument_names(function, len(point))
        self.random = Generator(seed)
        self.value = self.values_at(point)
        if not all(np.isfinite(part).all() for part in self.value):
            raise AssertionError("the function's value is not finite at these arguments")
        again = self.values_at(point)
        if not all(np.array_equal(a, b) for a, b in zip(self.value, again, strict=True)):
            raise AssertionError("the function gave two values for one argument; fix what it draws at random")
        self.cotangent = self.draw_cotangent()

    def draw_cotangent(self) -> list[np.ndarray]:
        return [self.random.normal(part.shape) for part in self.value]

    def values_at(self, point: list[np.ndarray]) -> list[np.ndarray]:
        value, _ = self.function(*(self.placement.asarray(np.array(array)) for array in point))
        return [np.array(to_numpy(part)) for part in (value if isinstance(value, tuple) else (value,))]

    def magnitude(self) -> float:
        """The size of the terms that cancel in a difference: what rounding errors are relative to."""
        return sum(float(np.sum(np.abs(u * y))) for u, y in zip(self.cotangent, self.value, strict=True))

    def product(self, parts: list[np.ndarray]) -> float:
        return sum(float(np.sum(u * part)) for u, part in zip(self.cotangent, parts, strict=True))

    def check_pullback(self, not_differentiable: Collection[int]) -> list[np.ndarray | None]:
        """The cotangents of the arguments, after every check that needs no differences."""
        arguments = [self.placement.asarray(np.array(array)) for array in self.point]
        value, pullback = self.function(*arguments)
        for part in value if isinstance(value, tuple) else (value,):
            _assert_kind("the function's value", part, arguments[0])

        def pull(parts: list[np.ndarray]) -> list[np.ndarray | None]:
            given = [self.placement.asarray(np.array(part)) for part in parts]
            results = pullback(tuple(given) if isinstance(value, tuple) else given[0])
            for array, part in zip(given, parts, strict=True):
                _assert_same(array, part, "the pullback modified the cotangent that it was given")
            return self.host_cotangents(results, arguments, not_differentiable)

        first, other = self.cotangent, self.draw_cotangent()
        cotangents, others = pull(first), pull(other)
        combined = pull([2.0 * a - 3.0 * b for a, b in zip(first, other, strict=True)])
        for position, (a, b, both) in enumerate(zip(cotangents, others, combined, strict=True)):
            if a is None or b is None or both is None:
                continue
            try:
                assert_close(both, 2.0 * a - 3.0 * b, 0.0, 1e-10 * float(np.max(np.abs(a) + np.abs(b), initial=0.0)))
            except AssertionError as error:
                raise AssertionError(f"{self.names[position]}: the pullback is not linear: {error}") from None
        for name, argument, array in zip(self.names, arguments, self.point, strict=True):
            _assert_same(argument, array, f"{name}: the function or its pullback modified the argument")
        return cotangents

    def host_cotangents(
        self, results: Any, arguments: list[Array], not_differentiable: Collection[int]
    ) -> list[np.ndarray | None]:
        results = results if isinstance(results, tuple) else (results,)
        if len(results) != len(arguments):
            raise AssertionError(f"the pullback returned {len(results)} cotangents for {len(arguments)} arguments")
        host: list[np.ndarray | None] = []
        for position, (name, result, argument) in enumerate(zip(self.names, results, arguments, strict=True)):
            if (result is None) != (position in not_differentiable):
                expected = "None, because it is not differentiable" if result is not None else "an array"
                raise AssertionError(f"{name}: expected as cotangent {expected}; got {result!r}")
            host.append(None if result is None else _host_cotangent(name, result, argument))
        return host


def _assert_same(array: Array, original: np.ndarray, message: str) -> None:
    if not np.array_equal(to_numpy(array), original):
        raise AssertionError(message)


def _assert_kind(what: str, array: Any, like: Array) -> None:
    try:
        assert_like(array, like)
    except AssertionError as error:
        raise AssertionError(f"{what} is of the wrong kind: {error}") from None


def _host_cotangent(name: str, cotangent: Any, argument: Array) -> np.ndarray:
    _assert_kind(f"{name}: the cotangent", cotangent, argument)
    if cotangent.shape != argument.shape:
        raise AssertionError(f"{name}: expected a cotangent of shape {argument.shape}, got {cotangent.shape}")
    host = np.array(to_numpy(cotangent))
    if not np.isfinite(host).all():
        raise AssertionError(f"{name}: the cotangent is not finite")
    return host


def _argument_names(function: Callable[..., Any], count: int) -> list[str]:
    try:
        names = [f" ({p.name})" for p in inspect.signature(function).parameters.values() if p.kind < p.VAR_POSITIONAL]
    except (TypeError, ValueError):  # some callables have no signature
        names = []
    names += [""] * count
    return [f"argument {position}{name}" for position, name in enumerate(names[:count])]


def _check_argument(probe: _Probe, position: int, cotangent: np.ndarray, rtol: float) -> None:
    scale = float(np.sqrt(np.mean(probe.point[position] ** 2)))
    scale = min(max(scale, 1e-2), 1e6) if scale else 1.0  # steps of the size of the argument
    for _ in range(_DIRECTIONS):
        direction = scale * probe.random.normal(cotangent.shape)
        analytic = float(np.sum(cotangent * direction))
        try:
            numeric, tolerance = _derivative(probe, position, direction, rtol)
        except _KinkError:
            continue
        if not abs(analytic - numeric) <= tolerance:
            raise AssertionError(
                f"{probe.names[position]}: the pullback gives {analytic:.10g} along a random direction, differences "
                f"of values give {numeric:.10g}; they differ by {abs(analytic - numeric):.3g}, allowed is "
                f"{tolerance:.3g}"
            )
        return
    raise AssertionError(
        f"{probe.names[position]}: each of {_DIRECTIONS} random directions crosses a kink of the function; check it at "
        "a point away from its kinks"
    )


def _derivative(probe: _Probe, position: int, direction: np.ndarray, rtol: float) -> tuple[float, float]:
    """The derivative along a direction, and the tolerance for it: the best of Ridders' extrapolations.

    Raises _KinkError where the extrapolations do not agree with each other within that tolerance, or where the
    one-sided derivatives differ by more.
    """
    magnitude = probe.magnitude()
    rows: list[list[float]] = []
    bends: list[float] = []
    for step in _STEPS:
        central, bend = _differences(probe, position, direction, step)
        row = [central]
        for power, previous in enumerate(rows[-1] if rows else (), start=1):
            row.append(row[-1] + (row[-1] - previous) / (16.0**power - 1.0))
        rows.append(row)
        bends.append(bend)
        if len(rows) == 1:
            continue
        best, error = row[0], math.inf
        for power in range(1, len(row)):
            spread = max(abs(row[power] - row[power - 1]), abs(row[power] - rows[-2][power - 1]))
            if spread < error:
                best, error = row[power], spread
        tolerance = rtol * abs(best) + 64.0 * _EPS * magnitude / step
        corner = (4.0 * bends[-1] - bends[-2]) / 3.0  # what is left of the bend when the step goes to zero
        if error <= 0.1 * tolerance and abs(corner) <= tolerance:
            return best, tolerance
    raise _KinkError


def _differences(probe: _Probe, position: int, direction: np.ndarray, step: float) -> tuple[float, float]:
    """The central difference, and the forward minus the backward difference, of <cotangent, value>."""
    sides = []
    for sign in (1.0, -1.0):
        point = list(probe.point)
        point[position] = point[position] + sign * step * direction
        with np.errstate(all="ignore"):  # a step may leave the domain; the next one is smaller
            sides.append([side - y for side, y in zip(probe.values_at(point), probe.value, strict=True)])
    ahead, behind = probe.product(sides[0]), probe.product(sides[1])
    return (ahead - behind) / (2.0 * step), (ahead + behind) / step
