"""Graphs as Keras lists them: the order of layers and of weights, and the summary letter by letter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="the oracle Keras is not installed; pip install 'nnx-array[oracle]'")

import nnx  # noqa: E402
from nnx.names import kind_of  # noqa: E402
from nnx.random import Generator  # noqa: E402
from nnx.structure import leaves  # noqa: E402
from nnx.testing import assert_close  # noqa: E402


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "130")
    keras.utils.clear_session()  # its names count up for a whole process


def operators(k: Any) -> Any:
    """Every operator, a shared layer, nested models with one and with two outputs."""
    layers = k.layers
    x, y = k.Input((4,)), k.Input((4,))
    shared = layers.Dense(4, name="shared")
    a, b = shared(x), shared(y)
    z = (a + b) * 2.0
    w = z - 1.0
    u = -(3.0 / (w * w + 1.0))
    product = layers.Reshape((1, 4))(a) @ layers.Reshape((4, 1))(b)
    inner = k.Sequential([k.Input((4,)), layers.Dense(3, name="in_a_stack"), layers.Dropout(0.5)], name="inner")
    i = k.Input((4,), name="i")
    two = k.Model(i, [layers.Dense(2, name="left")(i), layers.Dense(3, name="right")(i)], name="two")
    first, second = inner(a), inner(b)
    left, right = two(z)
    joined = layers.Concatenate()(two(a))
    return k.Model([x, y], [u[:, 0:2], x[:, 0], a**2, product, first, second, left, right, joined])


def towers(k: Any) -> Any:
    """Branches of different lengths, an input that is read late, a residual connection."""
    layers = k.layers
    a, b, c = k.Input((3,), name="a"), k.Input((5,), name="b"), k.Input((2,), name="c")
    deep = layers.Dense(4, name="p")(layers.Dense(4, name="q")(layers.Dense(4, name="r")(a)))
    wide = layers.Dense(4, name="s")(b)
    merged = layers.Concatenate(name="merged")([wide, deep])
    hidden = layers.Dense(8, name="t")(merged) + merged
    late = layers.Concatenate(name="late")([c, hidden])
    return k.Model([a, b, c], [layers.Dense(1, name="out")(late), layers.Dense(2, name="aux")(wide)])


def used_twice(k: Any) -> Any:
    """A layer that is called at two depths."""
    layers = k.layers
    x = k.Input((4,))
    shared, other = layers.Dense(4, name="shared"), layers.Dense(4, name="other")
    return k.Model(x, layers.Add()([other(x), shared(shared(x))]))


def chain(k: Any) -> Any:
    """A graph that is a chain has no column of connections."""
    x = k.Input((4,))
    hidden = k.layers.Dense(3, name="first")(x)
    return k.Model(x, [hidden, k.layers.Dense(2, name="last")(k.layers.Dropout(0.1)(hidden))])


def summary(model: Any, **options: Any) -> list[str]:
    lines: list[str] = []
    model.summary(print_fn=lambda text, **_: lines.extend(text.splitlines()), **options)
    return [line.rstrip() for line in lines[1:] if line.strip()]  # without the name, which counts up in Keras


@pytest.mark.parametrize("make", [operators, towers, used_twice, chain])
def test_order_of_layers_and_weights(make: Any):
    mine, theirs = make(nnx), make(keras)
    layers = [layer for layer in mine.layers if not isinstance(layer, nnx.layers.Operation)]
    assert [kind_of(layer) for layer in layers] == [type(layer).__name__ for layer in theirs.layers]
    assert [w.shape for w in mine.get_weights()] == [tuple(w.shape) for w in theirs.weights]
    mine.set_weights([np.asarray(w.value) for w in theirs.weights])
    inputs = [Generator(i).normal((6, *shape[1:])).astype("float32") for i, shape in enumerate(mine.input_shapes)]
    expected = theirs.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
    for y, reference in zip(leaves(mine.predict(inputs, verbose=0)), leaves(expected), strict=True):
        assert_close(y, reference, rtol=1e-4)


@pytest.mark.parametrize("options", [{}, {"show_trainable": True}])
@pytest.mark.parametrize("make", [operators, towers, used_twice, chain])
def test_summary(make: Any, options: dict[str, Any]):
    mine = make(nnx)
    theirs = make(keras)
    expected, found = summary(theirs, **options), summary(mine, **options)
    if "Traina…" in expected[1]:  # Keras has no room for the word; nnx makes some
        expected, found = ([[cell.strip() for cell in line.split("│")] for line in t[3::2]] for t in (expected, found))
    assert found == expected


def test_summary_of_nested_models():
    mine, theirs = summary(operators(nnx), expand_nested=True), summary(operators(keras), expand_nested=True)
    assert len(mine) == len(theirs)
    for line, reference in zip(mine, theirs, strict=True):
        if "└" in line and "│" in line:  # Keras does not say what inner layers are connected to
            assert line.split("│")[:4] == reference.split("│")[:4]
        else:
            assert line == reference


def test_summary_before_building():
    def make(k: Any) -> Any:
        class Net(k.Model):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.first = k.layers.Dense(3)
                self.others = [k.layers.Dense(2, name="second")]

        return Net()

    assert summary(make(nnx)) == summary(make(keras))
