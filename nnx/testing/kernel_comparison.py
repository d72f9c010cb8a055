"""Comparison of a kernel with its generic twin: called with equal arguments, they have to do the same."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nnx.backends import array_namespace, to_numpy
from nnx.backends.base import Backend
from nnx.kernels import GENERIC
from nnx.testing.close import assert_close
from nnx.testing.kernel_examples import Example, Values


@contextlib.contextmanager
def without_kernels(backend: Backend) -> Iterator[None]:
    """The generic form alone, also in the functions that it calls."""
    backend = backend.plain
    kernels, backend.kernels = backend.kernels, {}
    compiled, backend.compiled_kernels = backend.compiled_kernels, {}
    try:
        yield
    finally:
        backend.kernels, backend.compiled_kernels = kernels, compiled


class Outcome:
    """Outcome of a call: what it returned, what its pullback returned, and what became of its arguments."""

    def __init__(self, function: Any, values: Values, example: Example, out: bool = False) -> None:
        self.arguments = example.make(values)
        self.before = [array.copy() for array in map(to_numpy, values.arrays)]
        with np.errstate(all="ignore"):
            result = function(*self.arguments, **example.options)
            self.in_place = result is None
            value, pullback = result if isinstance(result, tuple) else (result, None)
            # The pullback is that of the first value.
            self.value, *self.other_values = value if isinstance(value, tuple) else (value,)
            self.cotangents = self.pull(pullback, values, example, out) if pullback else {}
        self.after = [array.copy() for array in map(to_numpy, values.arrays)]

    def on_host(self) -> Outcome:
        """The same, with results on the host: for a comparison between two backends."""
        self.value, *self.other_values = map(_on_host, (self.value, *self.other_values))
        self.cotangents = {what: tuple(map(_on_host, given)) for what, given in self.cotangents.items()}
        return self

    def pull(self, pullback: Any, values: Values, example: Example, out: bool) -> dict[str, tuple[Any, ...]]:
        """The cotangents that the pullback returns for an array, and for a number where it takes one."""
        random = np.random.default_rng(1234)  # other numbers than those of the arguments
        pulled = (self.value, *self.other_values) if example.several else (self.value,)
        hosts = [values.rounded(random.normal(size=part.shape)) for part in pulled]
        arrays = tuple(values.lay_out(host) for host in hosts)
        given: dict[str, Any] = {"an array": arrays if example.several else arrays[0]}
        given |= {"a number": 0.25} if example.number else {}
        options = {"out": (None,) * example.without_cotangent + self.outputs(values)} if out else {}
        results = {what: pullback(dy, **options) for what, dy in given.items()}
        for array, host in zip(arrays, hosts, strict=True):
            assert np.array_equal(to_numpy(array), host), "the pullback modified the cotangent that it was given"
        return {what: dx if isinstance(dx, tuple) else (dx,) for what, dx in results.items()}

    def outputs(self, values: Values) -> tuple[Any, ...]:
        """Views of one flat buffer, filled with what must not stay."""
        buffer = np.full(sum(array.size for array in map(to_numpy, values.arrays)) + 1, 7.0, values.dtype)
        views, start = [], 0
        for array in map(to_numpy, values.arrays):
            views.append(
                values.backend.from_host(buffer, device=values.device)[start : start + array.size].reshape(array.shape)
            )
            start += array.size
        return tuple(views)


def _on_host(array: Any) -> Any:
    return None if array is None else to_numpy(array)


def assert_same(found: Any, expected: Any, example: Example) -> None:
    """Assert that two results are close under the tolerance of the example, of one kind; or both None."""
    if expected is None:
        assert found is None
    else:
        assert_close(found, expected, length=example.length, like=expected)


def assert_equal_outcomes(
    found: Outcome, expected: Outcome, example: Example, assert_same: Callable[..., None] = assert_same
) -> None:
    """Assert that two outcomes have the same values and cotangents, and changed the same arguments or none."""
    assert found.in_place == expected.in_place
    if found.in_place:
        for position, (mine, theirs) in enumerate(zip(found.after, expected.after, strict=True)):
            with described(f"array {position} after the call"):
                assert_same(mine, theirs, example)
        return
    for mine, theirs in list(zip(found.after, found.before, strict=True))[example.consumed :]:
        assert np.array_equal(mine, theirs, equal_nan=True), "the kernel modified an argument"
    for mine, theirs in zip((found.value, *found.other_values), (expected.value, *expected.other_values), strict=True):
        with described("the value"):
            assert_same(mine, theirs, example)
    for what, cotangents in expected.cotangents.items():
        for position, (mine, theirs) in enumerate(zip(found.cotangents[what], cotangents, strict=True)):
            with described(f"the pullback of {what}, cotangent {position}"):
                assert_same(*(where_defined(dx, expected.value) for dx in (mine, theirs)), example)


def where_defined(cotangent: Any, value: Any) -> Any:
    """Cotangents with 0 where the value is NaN: there a derivative is whatever costs nothing, NaN or 0."""
    if cotangent is None or cotangent.shape != value.shape:
        return cotangent
    xp = array_namespace(cotangent)
    return xp.where(xp.isnan(value), 0.0, cotangent)


@contextlib.contextmanager
def described(what: str) -> Iterator[None]:
    """A block whose AssertionErrors begin with what they are about."""
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{what}: {error}") from None


def compare(
    owner: Backend, name: str, example: Example, *place: Any, assert_same: Callable[..., None] = assert_same
) -> bool:
    """Compare what the kernel and the generic form do with equal arguments; `place` is what Values needs besides.

    Returns whether the kernel accepts them at all; else the generic form runs in any case.
    """
    accelerator = owner.kernels[name]
    probe = example.make(Values(owner, *place))
    if accelerator.accepts is not None and not accelerator.accepts(*probe, **example.options):
        return False
    found = Outcome(accelerator.function, Values(owner, *place), example)
    with without_kernels(owner):
        expected = Outcome(GENERIC[name], Values(owner, *place), example)
    assert_equal_outcomes(found, expected, example, assert_same)
    return True
