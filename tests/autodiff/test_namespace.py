"""The namespace of tracked arrays: every name of the standard is there, with its signature and its dtypes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import array_api_strict
import numpy as np
import pytest

from nnx.autodiff import binary as two
from nnx.autodiff import elementwise as one
from nnx.autodiff import linalg, products, reductions, shapes
from nnx.autodiff.array import TrackedArray, constant, lower
from nnx.autodiff.constants import LOCALLY_CONSTANT
from nnx.autodiff.namespace import recording_namespace
from nnx.autodiff.transforms import differentiable
from nnx.backends import to_numpy
from nnx.testing.rows.tracked_functions import tracked_rows

CREATE = (
    *("arange", "asarray", "empty", "empty_like", "eye", "from_dlpack", "full", "full_like", "linspace", "meshgrid"),
    *("ones", "ones_like", "tril", "triu", "zeros", "zeros_like"),
)
ABOUT_DTYPES = ("astype", "can_cast", "finfo", "iinfo", "isdtype", "result_type", "broadcast_shapes")
NO_DERIVATIVE = (
    *("linalg.eig", "linalg.eigvals"),  # complex
    *("arange", "linspace", "from_dlpack"),  # they create arrays, from numbers
)
OF_STRICT_ALONE = ("ArrayAPIStrictFlags", "Device", "get_array_api_strict_flags", "reset_array_api_strict_flags")


def standard_functions() -> Iterator[str]:
    """Names of the standard's functions, with `linalg.` before those of the extension."""
    for space, prefix in ((array_api_strict, ""), (array_api_strict.linalg, "linalg.")):
        for name in getattr(space, "__all__", dir(space)):
            function = getattr(space, name)
            if inspect.isfunction(function) and not name.startswith(("_", "set_array", *OF_STRICT_ALONE)):
                yield prefix + name


def in_namespace(xp: Any, path: str) -> Any:
    return getattr(xp.linalg if path.startswith("linalg.") else xp, path.rpartition(".")[2])


STANDARD = sorted(set(standard_functions()))


def has_rule(path: str) -> bool:
    return path in {row.path for row in tracked_rows()} or path in {f"linalg.{name}" for name in products.RULES}


@pytest.mark.parametrize("path", STANDARD)
def test_every_function_of_the_standard_is_decided(path: str) -> None:
    """Each has a row of derivatives, or stands among the constants, or is refused by name."""
    decided = (
        has_rule(path)
        or path in LOCALLY_CONSTANT
        or path in (*CREATE, *ABOUT_DTYPES, *NO_DERIVATIVE)
        or path in ("linalg.matrix_rank", "linalg.matrix_transpose")
    )
    assert decided, f"{path}: a rule in nnx/autodiff, and an example in nnx/testing/rows/tracked_functions.py"


def test_every_rule_has_an_example() -> None:
    tables = (one.RULES, one.RULES_BEYOND, two.RULES, two.RULES_BEYOND, reductions.RULES, shapes.RULES)
    names = {name for table in (*tables, shapes.RULES_OF_SEQUENCES, products.RULES) for name in table}
    names |= {f"linalg.{name}" for table in (linalg.RULES, linalg.RULES_OF_PARTS) for name in table}
    missing = sorted(names - {row.path for row in tracked_rows()})
    assert not missing, f"nnx/testing/rows/tracked_functions.py: add examples of {', '.join(missing)}"


def test_how_many_functions_have_a_rule() -> None:
    assert len({row.path for row in tracked_rows()}) >= 110
    assert len(tracked_rows()) >= 183


@pytest.mark.parametrize("path", STANDARD)
def test_signature_is_that_of_the_library(path: str, backend: Any) -> None:
    xp = recording_namespace(backend.asarray([1.0]))
    try:
        expected = inspect.signature(in_namespace(xp.base, path))
    except (AttributeError, ValueError, TypeError):
        pytest.skip("the library's function has no signature, or is not there")
    assert inspect.signature(in_namespace(xp, path)) == expected


@pytest.mark.parametrize("path", [name for name in STANDARD if name in LOCALLY_CONSTANT])
def test_constant_functions_give_plain_arrays(path: str, backend: Any) -> None:
    xp = recording_namespace(backend.asarray([1.0]))
    function = in_namespace(xp, path)
    if path.startswith(("bitwise", "logical", "can_cast", "result_type", "broadcast_shapes", "imag")):
        pytest.skip("not of real floating arrays")
    two_arrays = path in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "floor_divide")
    two_arrays = two_arrays or path in ("isin", "searchsorted")
    x = backend.asarray([0.5, 1.5])
    kinds: list[Any] = []

    def call(x: Any) -> Any:
        found = function(x, x) if two_arrays else function(x)
        kinds.extend(found if isinstance(found, tuple) else (found,))
        return x

    if path in ("nonzero", "isin") and backend.name == "array-api-strict":
        pytest.skip("its shape depends on values, or it is of integers")
    differentiable(call)(x)
    assert not any(isinstance(found, TrackedArray) for found in kinds)


@pytest.mark.parametrize("name", [row.name for row in tracked_rows() if row.standard])
def test_value_is_that_of_the_library(name: str, backend: Any) -> None:
    """Bit for bit, in the same dtype and shape, whether arrays are tracked, constants or plain."""
    row = next(row for row in tracked_rows() if row.name == name)
    arrays = [backend.asarray(a) for a in row.arguments]
    xp = recording_namespace(arrays[0])
    try:
        expected = lower(row.function(xp, *arrays))
    except (ValueError, ImportError, AttributeError) as error:
        if backend.name not in ("torch", "cupy"):
            raise
        pytest.skip(f"the library does not do this with plain arrays: {error}")
    value, _ = differentiable(lambda *xs: row.function(xp, *xs))(*arrays)
    lifted = row.function(xp, *(constant(a, xp.kind) for a in arrays))
    for found in (value, lower(lifted)):
        assert found.dtype == expected.dtype
        assert tuple(found.shape) == tuple(expected.shape)
        np.testing.assert_array_equal(to_numpy(found), to_numpy(expected))


def test_operators_are_those_of_the_standard(backend: Any) -> None:
    x, y = backend.asarray([1.0, 2.0]), backend.asarray([3.0, 5.0])
    binary = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "lt", "le", "gt", "ge", "eq", "ne")

    def compare(a: Any, b: Any) -> Any:
        for name in binary:
            for form in (f"__{name}__", f"__r{name}__", f"__i{name}__"):
                if hasattr(x, form) and not (form.startswith("__r") and name in ("lt", "le", "gt", "ge", "eq", "ne")):
                    found = getattr(a + 0.0 if form.startswith("__i") else a, form)(b)
                    plain = getattr(x + 0.0, form)(y)
                    found = found.value if isinstance(found, TrackedArray) else found
                    np.testing.assert_array_equal(to_numpy(found), to_numpy(plain), err_msg=form)
        return a

    differentiable(compare)(x, y)
    for name in ("neg", "pos", "abs"):
        form = f"__{name}__"
        value, _ = differentiable(lambda a, form=form: getattr(a, form)())(x)
        np.testing.assert_array_equal(to_numpy(value), to_numpy(getattr(x, form)()))


SPECIAL = (np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -2.0, 3.0, np.pi, 1e30, -1e-30)
OF_ELEMENTS = (*one.RULES, "ceil", "floor", "round", "trunc", "sign", "isfinite", "isinf", "isnan", "signbit")
OF_PAIRS = (*two.RULES, "equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "floor_divide")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", [*OF_ELEMENTS, *OF_PAIRS])
def test_special_values_are_those_of_the_library(name: str, backend: Any) -> None:
    """Infinities, zeros of both signs and numbers that are none, also beside a number of Python."""
    x = backend.asarray(np.asarray(SPECIAL, np.float32))
    xp = recording_namespace(x)
    calls: list[Any] = [lambda f, x: f(x)]
    if name in OF_PAIRS:
        calls = [lambda f, x: f(x[:, None], x[None, :])]
        for number in SPECIAL:
            calls += [lambda f, x, number=number: f(x, number), lambda f, x, number=number: f(number, x)]
    for call in calls:
        try:
            expected = to_numpy(call(getattr(xp.base, name), x))
        except (TypeError, AttributeError, RuntimeError) as error:
            if backend.name not in ("torch", "cupy"):
                raise
            pytest.skip(f"the library does not do this with plain arrays: {error}")
        values: list[Any] = []
        differentiable(lambda x, call=call, to=values: to.append(call(getattr(xp, name), x)) or x)(x)
        found = to_numpy(lower(values[0]))
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
        if found.dtype.kind == "f":
            np.testing.assert_array_equal(np.signbit(found[found == 0.0]), np.signbit(expected[expected == 0.0]))


@pytest.mark.parametrize("name", ["zeros", "ones", "empty", "full", "eye", "zeros_like", "ones_like", "full_like"])
def test_integers_and_bools_are_created_as_plain_arrays(name: str, backend: Any) -> None:
    """They index, and have their operators, as of the library; floating ones take tracked values."""
    x = backend.asarray([[1.0, 2.0], [3.0, 4.0]])
    xp = recording_namespace(x)
    kind = type(backend.xp.zeros((1,), device=xp.device_of(x)))

    def create(t: Any, dtype: Any) -> Any:
        first = {"full": ((2,), 1), "eye": (2,), "full_like": (t, 1)}.get(name, (t,) if name.endswith("like") else (2,))
        beside = {} if name.endswith("like") else {"device": xp.device_of(x)}
        return getattr(xp, name)(*first, dtype=dtype, **beside)

    def check(t: Any) -> Any:
        integers, bools, floats = (create(t, dtype) for dtype in (xp.int32, xp.bool, xp.float32))
        assert (type(integers), type(bools)) == (kind, kind)
        assert isinstance(floats, TrackedArray)
        assert (integers & integers).shape == (~bools).shape == floats.shape
        floats[...] = t[0, 0]
        return xp.sum(floats)

    _, pullback = differentiable(check)(x)
    count = {"full": 2, "zeros": 2, "ones": 2, "empty": 2}.get(name, 4)
    assert to_numpy(pullback(backend.asarray(1.0)))[0, 0] == count


def test_of_equal_values_the_first_has_the_cotangent(backend: Any) -> None:
    x = backend.asarray([[2.0, 0.5, 2.0], [-1.0, 0.5, 3.0]])
    xp = recording_namespace(x)
    try:
        found = [to_numpy(part) for part in xp.base.unique_inverse(x)]
    except RuntimeError as error:
        pytest.skip(f"its shape depends on values: {error}")

    def values(x: Any) -> Any:
        mine = xp.unique_inverse(x)
        np.testing.assert_array_equal(to_numpy(mine.inverse_indices), found[1])
        return mine.values

    y, pullback = differentiable(values)(x)
    np.testing.assert_array_equal(to_numpy(y), found[0])
    dx = to_numpy(pullback(backend.asarray([1.0, 2.0, 3.0, 4.0])))
    np.testing.assert_array_equal(dx, [[3.0, 2.0, 0.0], [1.0, 0.0, 4.0]])


def test_a_tracked_tolerance_decides_on_a_rank_alone(backend_float64: Any) -> None:
    x, rtol = backend_float64.asarray([[2.0, 0.0], [0.0, 1e-3]]), backend_float64.asarray(0.1)
    linalg_of = recording_namespace(x).linalg
    try:
        expected = linalg_of.pinv(x, rtol=rtol)
    except Exception as error:
        if backend_float64.name not in ("torch", "cupy"):
            raise
        pytest.skip(f"the library does not do this with plain arrays: {error}")
    for function in (lambda x, rtol: linalg_of.pinv(x, rtol=rtol), lambda _, rtol: linalg_of.pinv(x, rtol=rtol)):
        y, _ = differentiable(lambda x, rtol, f=function: 0.0 * x + f(x, rtol))(x, rtol)
        np.testing.assert_array_equal(to_numpy(y), to_numpy(expected))


def test_an_index_without_axes_picks_new_values() -> None:
    def total(x: Any) -> Any:
        y = x * 1.0
        row = y[np.asarray(1), 1:]
        row += 1.0  # of NumPy's arrays too, y keeps its values
        return y * 1.0

    y, _ = differentiable(total)(np.ones((2, 3)))
    assert y.tolist() == np.ones((2, 3)).tolist()


def test_attributes(backend: Any) -> None:
    x = backend.asarray([[1.0, 2.0, 3.0]])

    def check(t: Any) -> Any:
        assert (t.shape, t.dtype, t.ndim, t.size) == (tuple(x.shape), x.dtype, 2, 3)
        assert t.device == recording_namespace(x).device_of(x)
        assert t.to_device(t.device) is t
        assert (t.T.shape, t.mT.shape, len(t)) == ((3, 1), (3, 1), 1)
        assert set(inspect.signature(t.__dlpack__).parameters) == {"stream", "max_version", "dl_device", "copy"}
        assert t.__array_namespace__() is recording_namespace(x)
        with pytest.raises(ValueError, match="stays on its device"):
            t.to_device("somewhere else")
        return t

    differentiable(check)(x)
