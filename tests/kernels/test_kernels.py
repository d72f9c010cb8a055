"""Every kernel equals its generic twin, in its values and in its pullback; and the seam between the two."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import nnx
import nnx.kernels
from nnx.backends import backend_of, is_array, to_numpy
from nnx.backends.base import Backend, BackendKernel, backend_names, find_backend
from nnx.backends.compiler import compiler_problem
from nnx.backends.numpy import NumpyBackend
from nnx.backends.onednn import onednn_problem
from nnx.functional import counting, subnormals, updates  # noqa: F401, generic forms that are loaded when they are asked for
from nnx.kernels import GENERIC, accelerated, backend_kernel
from nnx.pullbacks import SKIP
from nnx.testing import assert_close
from nnx.testing.kernel_comparison import (
    Outcome,
    assert_equal_outcomes,
    assert_same,
    compare,
    described,
    without_kernels,
)
from nnx.testing.kernel_examples import LAYOUTS, Example, Values
from nnx.testing.kernel_rows import ROWS


class CompiledKernels(NumpyBackend):
    """NumPy with the kernels of an optional library alone, for arrays of any size."""

    def __init__(self, name: str, problem: Callable[[], str | None]) -> None:
        super().__init__()
        self.name, self.kernel_package, self.problem = name, f"nnx.kernels.{name}", problem  # type: ignore[method-assign]

    @property
    def plain(self) -> Backend:
        return find_backend("numpy")  # what its arrays find


COMPILED = [CompiledKernels("numba", compiler_problem), CompiledKernels("onednn", onednn_problem)]
FLOAT32_ALONE = {
    *("binary_crossentropy", "categorical_crossentropy", "softmax", "sparse_categorical_crossentropy"),
    *("gru_recurrence", "lstm_recurrence"),
}
"""Of those that numba compiles: those of exponentials and of tanh."""
OWNERS = [*map(find_backend, backend_names()), *COMPILED]
KERNELS = [(backend, name) for backend in OWNERS for name in backend.kernels]


def is_for(backend: Backend, name: str, dtype: str) -> bool:
    """Whether a kernel is one for that dtype."""
    return dtype == "float32" or (backend.name != "onednn" and (backend.name != "numba" or name not in FLOAT32_ALONE))


def takes(backend: Backend, name: str, example: Example) -> bool:
    """Whether an example is one of a backend's kernel; what a compiled one does not accept goes on to NumPy's."""
    if example.only not in (None, backend.name) and backend not in COMPILED:
        return False
    accepts = backend.kernels[name].accepts
    if backend not in COMPILED or backend.problem() is not None:
        return True
    return accepts(*example.make(Values(backend, "float32", "contiguous", 6)), **example.options)


def marks(backend: Backend) -> list[pytest.MarkDecorator]:
    problem = backend.problem() if backend in COMPILED else None
    return [] if problem is None else [pytest.mark.skip(reason=problem)]


EXAMPLES = [
    pytest.param(backend, name, example, id=f"{backend.name}-{name}-{position}", marks=marks(backend))
    for backend, name in KERNELS
    if backend.problem() is None or backend in COMPILED
    for position, example in enumerate(ROWS.get(name, ()))
    if takes(backend, name, example)
]


def same_beside_padding(found: Any, expected: Any, example: Example) -> None:
    """The same, where oneDNN leaves out products with padding, which are NaN if the other factor is not finite."""
    left_out = np.isfinite(found) & ~np.isfinite(expected)
    assert not left_out.all(), "nothing shows that a number is not finite"
    assert_same(found, np.where(left_out, found, expected), example)


TABLE = "nnx/testing/kernel_rows.py"


def what_lacks(owner: Backend, name: str) -> str | None:
    """Which file lacks which line for a kernel, None if no file does."""
    kernel = f"the kernel {name!r} of {owner.name}, {owner.kernels[name].function.__module__}"
    if name not in GENERIC:
        return f"nnx/functional/ lacks a function {name!r} marked @accelerated, the generic form of {kernel}"
    if not ROWS.get(name):
        parameters = inspect.signature(GENERIC[name]).parameters.values()
        needed = "".join(f"{parameter.name}, " for parameter in parameters if parameter.default is parameter.empty)
        return f'{TABLE} lacks, in ROWS, the line "{name}": [Example(lambda v: ({needed}))], examples for {kernel}'
    return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "example" in metafunc.fixturenames:
        metafunc.parametrize(("owner", "name", "example"), EXAMPLES)


class TestTable:
    @pytest.mark.parametrize(("owner", "name"), KERNELS, ids=[f"{b.name}-{name}" for b, name in KERNELS])
    def test_every_kernel_has_a_generic_twin_and_a_row(self, owner: Backend, name: str) -> None:
        lacking = what_lacks(owner, name)
        assert lacking is None, lacking
        assert name in GENERIC
        assert ROWS.get(name)

    def test_what_is_lacking_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        owner = Backend()
        owner.name = "mine"
        relu = find_backend("numpy").kernels["relu"]
        owner.kernels |= {"relu": relu, "reluu": relu}
        assert what_lacks(owner, "relu") is None
        assert what_lacks(owner, "reluu") == (
            "nnx/functional/ lacks a function 'reluu' marked @accelerated, the generic form of the kernel 'reluu' of "
            "mine, nnx.kernels.numpy.activations"
        )
        monkeypatch.delitem(ROWS, "relu")
        assert what_lacks(owner, "relu") == (
            'nnx/testing/kernel_rows.py lacks, in ROWS, the line "relu": [Example(lambda v: (x, ))], examples for the '
            "kernel 'relu' of mine, nnx.kernels.numpy.activations"
        )

    def test_every_row_belongs_to_a_generic_function(self) -> None:
        assert set(ROWS) <= set(GENERIC), f"{TABLE} has rows for no function: {sorted(set(ROWS) - set(GENERIC))}"

    def test_there_are_kernels(self) -> None:
        assert len(EXAMPLES) >= 15

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_the_kernel_accepts_its_row(self, owner: Backend, name: str, example: Example, dtype: str) -> None:
        accepts = owner.kernels[name].accepts
        arguments = example.make(Values(owner, dtype, "contiguous", 6))
        assert accepts is None or accepts(*arguments, **example.options) is is_for(owner, name, dtype)


class TestKernels:
    @pytest.mark.parametrize("layout", LAYOUTS)
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_equals_its_twin(self, owner: Backend, name: str, example: Example, dtype: str, layout: str) -> None:
        for n in example.sizes:
            with described(f"size {n}"):
                compare(owner, name, example, dtype, layout, n)

    def test_float16_is_computed_in_float32(self, owner: Backend, name: str, example: Example) -> None:
        accelerator = owner.kernels[name]
        half, double = ((owner, dtype, "contiguous", 6, None, True) for dtype in ("float16", "float64"))
        accepts = accelerator.accepts
        if owner.name != "cupy" or (accepts and not accepts(*example.make(Values(*half)), **example.options)):
            return  # NumPy's kernels compute in the dtype of their arguments

        def assert_near(mine: Any, theirs: Any, example: Example) -> None:
            assert (mine is None) == (theirs is None)
            if mine is not None:  # what the pullback needs of the value is stored in float16 too
                largest = float(np.max(np.abs(to_numpy(theirs)), initial=1.0))
                assert_close(mine, theirs, rtol=2.0**-8, atol=2.0**-8 * largest)

        found = Outcome(accelerator.function, Values(*half), example)
        with without_kernels(owner):
            expected = Outcome(GENERIC[name], Values(*double), example)
        assert_equal_outcomes(found, expected, example, assert_near)

    def test_with_nan_and_infinity(self, owner: Backend, name: str, example: Example) -> None:
        clean = Values(owner, "float32", "contiguous", 6)
        padded = any(getattr(argument, "padded", False) for argument in example.make(clean))
        same = same_beside_padding if owner.name == "onednn" and padded else assert_same
        for poisoned in range(len(clean.arrays)):
            with described(f"NaN and infinities in array {poisoned}"):
                compare(owner, name, example, "float32", "contiguous", 6, poisoned, assert_same=same)

    def test_the_pullback_writes_where_it_is_told(self, owner: Backend, name: str, example: Example) -> None:
        values = Values(owner, "float32", "contiguous", 6)
        result = owner.kernels[name].function(*example.make(values), **example.options)
        pullback = result[1] if isinstance(result, tuple) else None
        if pullback is None or "out" not in inspect.signature(pullback).parameters:
            return  # nothing to write to
        found = Outcome(owner.kernels[name].function, Values(owner, "float32", "contiguous", 6), example, out=True)
        with without_kernels(owner):
            expected = Outcome(GENERIC[name], Values(owner, "float32", "contiguous", 6), example)
        assert_equal_outcomes(found, expected, example)
        parts = result[0] if isinstance(result[0], tuple) else (result[0],)
        ones = tuple(values.lay_out(np.ones(part.shape, np.float32)) for part in parts)
        dy = ones if example.several else ones[0]
        first = example.without_cotangent
        for skipped in range(first, first + len(values.arrays)):
            out = tuple(SKIP if position == skipped else None for position in range(max(4, first + len(values.arrays))))
            cotangents = pullback(dy, out=out)
            absent = [i == skipped or i < first for i in range(first + len(values.arrays))]
            assert [dx is None for dx in cotangents] == absent

    def test_deterministic_kernels_are(self, owner: Backend, name: str, example: Example) -> None:
        if not owner.kernels[name].deterministic:
            return
        runs = [Outcome(owner.kernels[name].function, Values(owner, "float32", "contiguous", 6), example) for _ in "12"]
        for first, second in zip(
            *([run.value, *run.after, *run.cotangents.get("an array", ())] for run in runs), strict=True
        ):
            if first is not None:
                assert np.array_equal(to_numpy(first), to_numpy(second))


class TestSeam:
    @pytest.fixture
    def deterministic(self) -> Iterator[None]:
        nnx.set_deterministic()
        yield
        nnx.set_deterministic(False)

    @pytest.fixture
    def double(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.setattr(nnx.kernels, "GENERIC", {})

        def double(x: Any, factor: float = 2.0) -> str:
            """Docstring."""
            return f"generic {factor}"

        return accelerated(double)

    @pytest.fixture
    def numpy_backend(self, monkeypatch: pytest.MonkeyPatch) -> Backend:
        backend = find_backend("numpy")
        monkeypatch.setattr(backend, "kernels", dict(backend.kernels))
        return backend

    def test_without_a_kernel_the_generic_form_runs(self, double: Any) -> None:
        assert double(np.ones(1)) == "generic 2.0"
        assert double(np.ones(1), factor=3.0) == "generic 3.0"
        assert double.__doc__ == "Docstring."
        assert nnx.kernels.GENERIC["double"] is double.__wrapped__

    def test_a_kernel_is_used_for_arrays_of_its_backend_only(self, double: Any, numpy_backend: Backend) -> None:
        def own(x: Any, factor: float = 2.0) -> str:
            return f"kernel {factor}"

        own.__name__ = "double"
        assert backend_kernel(numpy_backend.kernels)(own) is own
        assert numpy_backend.kernels["double"] == BackendKernel(own, None, True)
        assert double(np.ones(1), 4.0) == "kernel 4.0"
        assert double(x=np.ones(1), factor=4.0) == "kernel 4.0"
        assert double(find_backend("array-api-strict").xp.ones(1), 4.0) == "generic 4.0"

    def test_what_a_kernel_does_not_accept_goes_to_the_generic_form(self, double: Any, numpy_backend: Backend) -> None:
        def own(x: Any, factor: float = 2.0) -> str:
            return "kernel"

        own.__name__ = "double"
        backend_kernel(numpy_backend.kernels, accepts=lambda x, factor=2.0: factor > 2.0, deterministic=False)(own)
        assert not numpy_backend.kernels["double"].deterministic
        assert double(np.ones(1)) == "generic 2.0"
        assert double(np.ones(1), factor=3.0) == "kernel"

    def test_who_asks_for_deterministic_results_gets_no_other_kernel(
        self, double: Any, numpy_backend: Backend, deterministic: None
    ) -> None:
        def own(x: Any, factor: float = 2.0) -> str:
            return "kernel"

        own.__name__ = "double"
        backend_kernel(numpy_backend.kernels, deterministic=False)(own)
        assert double(np.ones(1)) == "generic 2.0"
        backend_kernel(numpy_backend.kernels, deterministic=True)(own)
        assert double(np.ones(1)) == "kernel"
        nnx.set_deterministic(False)
        backend_kernel(numpy_backend.kernels, deterministic=False)(own)
        assert double(np.ones(1)) == "kernel"

    def test_whether_results_are_deterministic_is_true_or_false(self) -> None:
        with pytest.raises(TypeError, match="set_deterministic expects True or False, got 1"):
            nnx.set_deterministic(1)  # type: ignore[arg-type]
        assert not nnx.is_deterministic()

    def test_what_is_no_array_is_refused(self, double: Any) -> None:
        with pytest.raises(TypeError, match="expected an array, got list"):
            double([1.0])

    def test_two_modules_cannot_use_one_name(self, double: Any) -> None:
        def other(x: Any) -> None: ...

        other.__name__, other.__module__ = "double", "elsewhere"
        with pytest.raises(ValueError, match=r"elsewhere\.double: .*test_kernels has a function of that name already"):
            accelerated(other)

    def test_public_functions_reach_the_kernels(self, numpy_backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
        calls = []
        relu = numpy_backend.kernels["relu"]
        watched = lambda *args: calls.append("relu") or relu.function(*args)  # noqa: E731
        numpy_backend.kernels["relu"] = BackendKernel(watched, relu.accepts, True)
        y, _ = nnx.functional.relu(np.asarray([-1.0, 2.0], np.float32))
        assert calls == ["relu"]
        assert is_array(y)
        assert backend_of(y) is numpy_backend
