"""Operations on symbols of a graph: each is named, has the right shape and values, and is saved with its constants."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import ops
from nnx.layers import Dense, Input
from nnx.structure import leaves
from nnx.testing import assert_close

sys.path.append(str(Path(__file__).parents[1] / "oracles"))
from operation_cases import ROWS, Case

X = np.sin(np.arange(24.0)).reshape(4, 6).astype("float32")


def on_symbols(case: Case) -> bool:
    """Cases whose first argument is an array with axes, which may be the batch of a graph."""
    first = case.args[0] if case.args else None
    whole = isinstance(first, np.ndarray) and first.ndim > 0 and first.size > 0
    return case.symbolic and whole and first.dtype not in (np.float16, np.float64) and case.name != "view"


@pytest.mark.parametrize("case", [case for case in ROWS if on_symbols(case)], ids=str)
def test_a_symbol_in_place_of_the_first_array(case: Case) -> None:
    """The whole array is the batch; its size is fixed, for operations that look at it."""
    function = getattr(ops, case.name)
    first, *rest = case.args
    with np.errstate(all="ignore"):
        expected = function(first, *rest, **case.options)
    symbol = Input(batch_shape=first.shape, dtype=str(first.dtype))
    made = function(symbol, *rest, **case.options)
    assert [part.shape for part in leaves(made)] == [tuple(part.shape) for part in leaves(expected)]
    with np.errstate(all="ignore"):
        found = nnx.Model(symbol, made)(nnx.asarray(first, str(first.dtype)))
    for mine, right in zip(leaves(found), leaves(expected), strict=True):
        assert_close(
            np.asarray(nnx.to_numpy(mine), "float64"), np.asarray(nnx.to_numpy(right), "float64"), rtol=1e-5, atol=1e-5
        )


def test_an_operation_is_a_layer_of_the_model(tmp_path: Any) -> None:
    x = Input((6,), name="x")
    weights = np.arange(6.0, dtype="float32")
    hidden = ops.exp(-ops.square(x - weights))
    top = ops.concatenate([hidden, ops.take(x, np.array([0, 2]), axis=-1)], axis=-1)
    model = nnx.Model(x, Dense(2)(ops.reshape(top, (-1, 8))))
    kinds = [getattr(layer, "function", type(layer).__name__) for layer in model.layers]
    assert kinds[:1] == ["InputLayer"]
    assert {"exp", "square", "subtract", "concatenate", "take", "reshape"} <= set(kinds)
    assert [layer.name for layer in model.layers if getattr(layer, "function", "") == "exp"] == ["exp"]
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert "exp (Exp)" in "\n".join(lines)
    assert [weight.path for weight in model.weights] == ["dense/kernel", "dense/bias"]  # as in Keras, no constants
    assert model.count_params() == 18
    model.compile("adam", "mse")
    model.fit(X, X[:, :2], verbose=0)
    model.save(tmp_path / "model.safetensors")
    again = nnx.models.load_model(tmp_path / "model.safetensors")
    assert (again.predict(X, verbose=0) == model.predict(X, verbose=0)).all()
    model.fit(X, X[:, :2], verbose=0)
    again.fit(X, X[:, :2], verbose=0)
    assert all((one == other).all() for one, other in zip(model.get_weights(), again.get_weights(), strict=True))
    nnx.utils.plot_model(model, tmp_path / "model.png", show_shapes=True)


def test_open_sizes_stay_open() -> None:
    x = Input((None, 3))
    assert ops.sum(x, axis=1).shape == (None, 3)
    assert ops.transpose(x, (0, 2, 1)).shape == (None, 3, None)
    assert ops.expand_dims(x, 1).shape == (None, 1, None, 3)
    assert ops.matmul(x, np.ones((3, 5), "float32")).shape == (None, None, 5)


def test_open_sizes_are_those_of_the_other_array() -> None:
    x, y = Input(batch_shape=(None, 3)), Input(batch_shape=(2, None))
    assert (x + y).shape == ops.maximum(x, y).shape == (2, 3)
    steps = Input((None, 8))
    assert ops.where(steps > 0.0, Input((10, 8)), 0.0).shape == (None, 10, 8)
    with pytest.raises(ValueError, match=r"maximum: .*\(.*3\) \(.*4\)"):
        ops.maximum(x, Input(batch_shape=(2, 4)))


def test_matrices_have_an_inverse_when_they_are_tried_out() -> None:
    x = Input((3, 3))
    assert (ops.cholesky(x).shape, ops.inv(x).shape) == ((None, 3, 3), (None, 3, 3))
    assert ops.solve(x, Input((3, 2))).shape == (None, 3, 2)


def test_dtypes_of_symbols() -> None:
    x = Input((3,))
    assert ops.argmax(x, axis=-1).dtype == "int64"
    assert (x > 0.0).dtype == "bool"
    assert ops.cast(x, "int32").dtype == "int32"
    model = nnx.Model(x, ops.one_hot(ops.argmax(x, axis=-1), 3))
    assert model.predict(np.eye(3), verbose=0).tolist() == np.eye(3).tolist()


def test_what_a_graph_cannot_keep() -> None:
    x = Input((3,))
    with pytest.raises(TypeError, match=r"ops.where of a symbolic value takes arrays, numbers and names, got object"):
        ops.where(x > 0.0, x, object())
    with pytest.raises(TypeError, match=r"the truth of .* write a layer with call"):
        ops.cond(ops.sum(x) > 0.0, lambda: x, lambda: x)
    with pytest.raises(ValueError, match=r"^matmul"):
        ops.matmul(x, np.ones((5, 2), "float32"))
