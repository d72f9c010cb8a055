"""Models and layers of one's own in files."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.layers import Dense, Input, Layer, LayerNormalization
from nnx.random import Generator
from nnx.testing import assert_close

X, Y = np.float32(Generator(1).normal((8, 3))), np.float32(Generator(2).normal((8, 2)))


class Residual(Layer):
    def __init__(self, units: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.dense, self.normalization = Dense(units, "tanh"), LayerNormalization()

    def call(self, x: Any) -> Any:
        return self.normalization(x + self.dense(x))


class Nameless(Residual):
    """Its constructor does not take the arguments of every layer."""

    def __init__(self, units: int = 4) -> None:
        super().__init__(units)


class Net(nnx.Model):
    def __init__(self, units: int = 4) -> None:
        super().__init__()
        self.units = units
        self.blocks = [Dense(units), Residual(units), Nameless(units), Nameless(units)]
        self.last = Dense(2)

    def call(self, x: Any, training: Any = None) -> Any:
        for block in self.blocks:
            x = block(x)
        return self.last(x)


class Outer(nnx.Model):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.net = Net(5)

    def call(self, x: Any) -> Any:
        return 2.0 * self.net(x)


class Graph(nnx.Model):
    """A graph that is made in the constructor."""

    def __init__(self, units: int = 4, **kwargs: Any) -> None:
        x = Input((3,))
        super().__init__(inputs=x, outputs=Dense(2)(Residual(units)(Dense(units)(x))), **kwargs)
        self.units = units


class Stack(nnx.Sequential):
    def __init__(self, units: int = 4) -> None:
        super().__init__([Input((3,)), Dense(units), Dense(2)])
        self.units = units


class Plain(nnx.Model):
    """Only methods, no constructor."""

    def twice(self, x: Any) -> Any:
        return 2.0 * self.predict(x, verbose=0)


def plain() -> Plain:
    x = Input((3,))
    return Plain(x, Dense(2)(x))


def in_a_graph() -> nnx.Model:
    x = Input((3,))
    return nnx.Model(x, Net()(x) + Dense(2)(x))


CUSTOM = {cls.__name__: cls for cls in (Residual, Nameless, Net, Outer, Graph, Stack, Plain)}


@pytest.mark.parametrize(
    "make",
    [
        Net,
        Outer,
        lambda: Outer(name="mine"),
        lambda: Graph(3),
        lambda: Stack(3),
        plain,
        in_a_graph,
        lambda: nnx.Sequential([Input((3,)), Net(), Dense(2)]),
        lambda: nnx.Sequential([Net(), Graph(2), Stack(2)][:1]),
    ],
)
def test_training_goes_on_from_a_file(make: Any, tmp_path: Any):
    model = make()
    model.compile("adam", "mse")
    model.fit(X, Y, epochs=2, verbose=0)
    model.save(tmp_path / "model.safetensors")
    loaded = nnx.models.load_model(tmp_path / "model.safetensors", custom_objects=CUSTOM)
    assert type(loaded) is type(model)
    assert loaded.name == model.name or make is Net
    assert list(loaded.named_weights()) == list(model.named_weights())
    assert_close(loaded.predict(X, verbose=0), model.predict(X, verbose=0), 0.0, 0.0)
    losses = [m.fit(X, Y, epochs=4, initial_epoch=2, verbose=0).history["loss"] for m in (model, loaded)]
    assert losses[0] == losses[1]


def test_the_class_is_asked_for(tmp_path: Any):
    model = Net()
    model.build((None, 3))
    model.save(tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match=r"(?s)unknown layer 'Net'.*custom_objects=\{'Net': Net\}"):
        nnx.models.load_model(tmp_path / "net.safetensors")


def test_an_argument_that_is_not_kept_is_named(tmp_path: Any):
    class Forgetful(nnx.Model):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.dense = Dense(width)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    model = Forgetful(2)
    model.build((None, 3))
    with pytest.raises(TypeError, match=r"Forgetful has no attribute 'width'.*self\.width = width, or"):
        model.save(tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_configuration_of_ones_own(tmp_path: Any):
    class Own(nnx.Model):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.dense = Dense(width)

        def get_config(self) -> dict[str, Any]:
            return {"width": self.dense.units}

        def call(self, x: Any) -> Any:
            return self.dense(x)

    model = Own(2)
    model.build((None, 3))
    assert json.loads(model.to_json()) == {"class_name": "Own", "config": {"width": 2}}
    model.save(tmp_path / "own.safetensors")
    loaded = nnx.models.load_model(tmp_path / "own.safetensors", custom_objects={"Own": Own})
    assert_close(loaded.predict(X, verbose=0), model.predict(X, verbose=0), 0.0, 0.0)
