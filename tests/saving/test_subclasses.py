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


class TwoLosses(nnx.Model):
    """With a compile of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Dense(2)

    def call(self, x: Any) -> Any:
        return self.inner(x)

    def compile(self, inner_optimizer: Any, loss_functions: Any) -> None:  # type: ignore[override]
        super().compile(inner_optimizer)
        self.loss_functions = loss_functions

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        with nnx.GradientTape() as tape:
            loss = sum(function(y, self(x, training=True)) for function in self.loss_functions)
        tape.backward(loss, self)
        self.optimizer.step(self)
        return {"loss": loss}


class Described(TwoLosses):
    """That says how it was compiled, as Keras' guide on saving has it."""

    def get_compile_config(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer, "functions": self.loss_functions}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        objects = nnx.saving.deserialize_keras_object(config)
        self.compile(objects["optimizer"], objects["functions"])


def trained(kind: Any) -> Any:
    model = kind()
    model.compile(nnx.optimizers.Adam(0.1), [nnx.losses.MeanSquaredError(), nnx.losses.Huber(0.5)])
    model.fit(X, Y, epochs=2, verbose=0)
    return model


@pytest.mark.parametrize("name", ["model.safetensors", "model.keras"])
def test_a_compile_of_its_own(name: str, tmp_path: Any):
    path, own = tmp_path / name, {"TwoLosses": TwoLosses, "Described": Described}
    if name.endswith(".keras"):
        pytest.importorskip("h5py", reason="files of Keras need h5py; pip install 'nnx-array[keras-files]'")
    trained(TwoLosses).save(path)
    with pytest.warns(UserWarning, match="two_losses is not compiled: TwoLosses has a compile"):
        assert not nnx.models.load_model(path, own).compiled
    model = trained(Described)
    model.save(path)
    loaded = nnx.models.load_model(path, own)
    assert [type(function).__name__ for function in loaded.loss_functions] == ["MeanSquaredError", "Huber"]
    assert loaded.loss_functions[1].delta == 0.5
    for one in (model, loaded):
        one.fit(X, Y, epochs=2, shuffle=False, verbose=0)
    for one, other in zip(loaded.get_weights(), model.get_weights(), strict=True):
        assert_close(one, other)
    clone = nnx.models.clone_model(model)
    assert (clone.optimizer.iterations, len(clone.loss_functions)) == (0, 2)


def test_how_a_model_was_compiled():
    x = Input((3,))
    model = nnx.Model(x, {"a": Dense(1)(x), "b": Dense(2)(x)})
    assert (model.get_compile_config(), model.loss) == ({}, None)
    model.compile_from_config({})
    assert not model.compiled
    loss = {"a": "mse", "b": nnx.losses.Huber(0.5)}
    model.compile(nnx.optimizers.SGD(0.1, momentum=0.5), loss, metrics={"a": ["mae"]}, auto_scale_loss=False)
    assert model.loss is loss
    config = json.loads(json.dumps(model.get_compile_config()))
    other = nnx.models.clone_model(model)
    other.compile_from_config(config)
    assert other.optimizer.get_config() == model.optimizer.get_config()
    assert (other.loss["a"], other.loss["b"].delta) == ("mse", 0.5)
    assert other.get_compile_config() == config


class OfTwo(Layer):
    def build(self, first_shape: Any, second_shape: Any) -> None:
        self.kernel = self.add_weight((first_shape[-1], second_shape[-1]))

    def call(self, first: Any, second: Any) -> Any:
        return first @ self.kernel * second


class Doubled(Layer):
    """That is built from more than its shape."""

    def get_build_config(self) -> dict[str, Any]:
        return {"size": 2 * X.shape[-1]}

    def build_from_config(self, config: Any) -> None:
        self.make(config["size"])

    def make(self, size: int) -> None:
        self.scale = self.add_weight((size,), "ones", name="scale")
        self.built = True

    def build(self, input_shape: Any) -> None:
        self.make(2 * input_shape[-1])

    def call(self, x: Any) -> Any:
        return nnx.ops.concatenate([x, x], axis=-1) * self.scale


def test_how_a_layer_was_built(tmp_path: Any):
    layer = Dense(3)
    assert layer.get_build_config() is None
    layer.build((None, 2))
    assert layer.get_build_config() == {"input_shape": (None, 2)}
    two = OfTwo()
    two(X, Y)
    config = two.get_build_config()
    assert config == {"shapes_dict": {"first_shape": (None, 3), "second_shape": (None, 2)}}
    for one, made in ((Dense(3), layer), (OfTwo(), two)):
        one.build_from_config(None)
        assert not one.built
        for _ in range(2):
            one.build_from_config(made.get_build_config())
            assert [w.shape for w in one.weights] == [w.shape for w in made.weights]
    pytest.importorskip("h5py", reason="files of Keras need h5py; pip install 'nnx-array[keras-files]'")
    model = nnx.Sequential([Input((3,)), Doubled()])
    model.save(tmp_path / "model.keras")
    assert nnx.models.load_model(tmp_path / "model.keras", {"Doubled": Doubled}).weights[0].shape == (6,)
