"""Models that use functions and classes of one's own are loaded with `custom_objects`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.layers import Dense
from nnx.random import Generator
from nnx.testing import assert_close

X = np.float32(Generator(1).normal((30, 4)))


def own_loss(y_true: Any, y_pred: Any) -> Any:
    error = y_pred - y_true
    return nnx.array_namespace(error).sum(error * error, axis=-1), lambda dvalues: 2.0 * error * dvalues[:, None]


def own_metric(y_true: Any, y_pred: Any) -> Any:
    return nnx.array_namespace(y_pred).max(y_pred, axis=-1)


def own_activation(x: Any) -> Any:
    return x * x, lambda dy: 2.0 * x * dy


class Doubled(nnx.regularizers.L2):
    """A regulariser of one's own."""


OWN = {"own_loss": own_loss, "own_metric": own_metric, "own_activation": own_activation, "Doubled": Doubled}


def test_custom_objects(tmp_path: Path):
    path = tmp_path / "model.safetensors"
    model = nnx.Sequential([Dense(2, own_activation, kernel_regularizer=Doubled(0.1), input_dim=4)])
    model.compile("sgd", own_loss, metrics=[own_metric])
    model.fit(X, X[:, :2], verbose=0)
    model.save(path)
    copy = nnx.models.load_model(path, custom_objects=OWN)
    assert copy.evaluate(X, X[:, :2], verbose=0) == model.evaluate(X, X[:, :2], verbose=0)
    assert type(copy.layers[0].kernel_regularizer) is Doubled
    with nnx.saving.custom_objects(OWN):
        nnx.models.load_model(path)
    for name in OWN:
        known = {key: value for key, value in OWN.items() if key != name}
        with pytest.raises(ValueError, match=rf"(?s){name}.*custom_objects"):
            nnx.models.load_model(path, custom_objects=known)
    nnx.models.load_model(path, custom_objects={key: OWN[key] for key in ("own_activation", "Doubled")}, compile=False)


@nnx.saving.register_keras_serializable(package="tests", name="Tripled")
class TripledForFiles(nnx.layers.Layer):
    def call(self, x: Any) -> Any:
        return 3.0 * x


@nnx.utils.register_keras_serializable()
def cube_for_files(x: Any) -> Any:
    return x**3, lambda dy: dy * 3.0 * x**2


def test_registered_objects_need_no_custom_objects(tmp_path: Path):
    model = nnx.Sequential([nnx.Input((2,)), TripledForFiles(), nnx.layers.Dense(2, activation=cube_for_files)])
    path = tmp_path / "model.safetensors"
    model.save(path)
    x = np.ones((3, 2), "float32")
    for again in (nnx.models.load_model(path, safe_mode=False), nnx.models.clone_model(model)):
        again.set_weights(model.get_weights())
        assert again.layers[0] is not model.layers[0]
        assert (again.predict(x, verbose=0) == model.predict(x, verbose=0)).all()


def test_models_from_json():
    model = nnx.Sequential([nnx.Input((2,)), nnx.layers.Dense(2, "relu"), nnx.layers.Dense(1)])
    again = nnx.models.model_from_json(model.to_json())
    assert [type(layer) for layer in again.layers] == [type(layer) for layer in model.layers]
    assert again.to_json() == model.to_json()
    text = nnx.Sequential([Dense(1, own_activation, kernel_regularizer=Doubled(0.1), input_dim=2)]).to_json()
    with pytest.raises(ValueError, match="unknown activation 'own_activation'"):
        nnx.models.model_from_json(text)
    with nnx.utils.custom_object_scope(OWN):
        assert nnx.models.model_from_json(text).to_json() == text
    assert nnx.models.model_from_json(text, OWN).to_json() == text


def test_activation_functions_with_options_in_a_graph(tmp_path):
    x = nnx.Input((4,))
    y = nnx.activations.leaky_relu(x, 0.3) + nnx.activations.gelu(x, approximate=True)
    model = nnx.Model(x, nnx.activations.relu(y, max_value=0.5))
    model.save(tmp_path / "model.safetensors")
    loaded = nnx.models.load_model(tmp_path / "model.safetensors")
    expected = nnx.activations.relu(
        nnx.activations.leaky_relu(X, 0.3) + nnx.activations.gelu(X, approximate=True), max_value=0.5
    )
    for one in (model, loaded, nnx.models.clone_model(model)):
        assert_close(one.predict(X, verbose=0), expected)


class Scaled(nnx.layers.Layer):
    """A layer that no registry knows."""

    def __init__(self, units: int = 3, **options: Any) -> None:
        super().__init__(**options)
        self.units = units

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight((input_shape[-1], self.units), name="kernel")

    def call(self, x: Any) -> Any:
        return x @ self.kernel

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


class Stack(nnx.Model):
    def __init__(self, units: int = 3) -> None:
        super().__init__()
        self.units, self.inner = units, Scaled(units)

    def call(self, x: Any) -> Any:
        return self.inner(x)


def of_scaled(units: int = 5) -> nnx.Model:
    x = nnx.Input((4,))
    return nnx.Model(x, nnx.layers.Dense(2)(Scaled(units, name="scaled")(x)))


def test_clones_need_no_registry(backend):
    inner = nnx.Sequential([nnx.Input((4,)), Scaled(4), nnx.layers.Lambda(lambda x: 2.0 * x)])
    stack = Stack(5)
    stack.build((None, 4))
    penalised = nnx.layers.Dense(3, activation=lambda x: nnx.ops.tanh(x), kernel_regularizer=lambda w: nnx.ops.sum(w))
    for model in (of_scaled(), nnx.Sequential([inner, penalised, Scaled(2)]), stack):
        clone = nnx.models.clone_model(model)
        assert [layer.name for layer in clone.layers] == [layer.name for layer in model.layers]
        assert not set(clone.weights) & set(model.weights)
        clone.set_weights(model.get_weights())
        assert_close(clone.predict(X, verbose=0), model.predict(X, verbose=0))
    with pytest.raises(ValueError, match="unknown layer 'Scaled'"):
        nnx.models.model_from_json(of_scaled().to_json())


def test_a_function_clones_the_layers(tmp_path: Path):
    def wider(layer: Any) -> Any:
        return Scaled(7, name="wider") if isinstance(layer, Scaled) else type(layer).from_config(layer.get_config())

    stacked = nnx.Sequential([nnx.Input((4,)), Scaled(5), nnx.layers.Dense(2)])
    for model in (of_scaled(), stacked):
        clone = nnx.models.clone_model(model, clone_function=wider)
        assert [tuple(w.shape) for w in clone.weights] == [(4, 7), (7, 2), (2,)]
        assert clone.layers[-2].name == "wider"
        assert nnx.models.clone_model(model, clone_function=lambda layer: layer).weights == model.weights
    with pytest.raises(ValueError, match="makes its layers itself"):
        nnx.models.clone_model(Stack(), clone_function=wider)
    with pytest.raises(TypeError, match="returned NoneType for scaled, expected a layer"):
        nnx.models.clone_model(of_scaled(), clone_function=lambda layer: None)


def of_inner() -> nnx.Model:
    x = nnx.Input((4,))
    inner = nnx.Sequential([nnx.Input((3,)), nnx.layers.Dense(3, name="inside")], name="inner")
    y = inner(nnx.layers.Dense(3, "relu", name="first")(x))
    return nnx.Model(x, nnx.layers.Dense(2, name="last")(nnx.layers.add([y, y])))


def test_a_clone_on_other_inputs():
    model, symbol = of_inner(), nnx.layers.Dense(4)(nnx.Input((7,)))
    clone = nnx.models.clone_model(model, input_tensors=symbol)
    assert clone.input is symbol
    assert [w.shape for w in clone.weights] == [w.shape for w in model.weights]
    assert not set(clone.weights) & set(model.weights)
    stacked = nnx.Sequential([nnx.Input((4,)), nnx.layers.Dense(2)])
    assert nnx.models.clone_model(stacked, nnx.Input((4,), name="other")).inputs[0].node.layer.name == "other"
    for wrong in ([symbol, symbol], 3):
        with pytest.raises(ValueError, match=r"input_tensors must be 1 of what Input\(\) and layers return"):
            nnx.models.clone_model(model, wrong)
    with pytest.raises(ValueError, match="makes its layers itself"):
        nnx.models.clone_model(Stack(), symbol)
    a, b = nnx.Input((2,)), nnx.Input((3,))
    named = nnx.Model({"a": a, "b": b}, nnx.layers.concatenate([a, b]))
    x, y = nnx.Input((2,)), nnx.Input((3,))
    assert nnx.models.clone_model(named, {"b": y, "a": x}).input == {"a": x, "b": y}
    with pytest.raises(ValueError, match=r"input_tensors is a dict of \['a', 'c'\], expected \['a', 'b'\]"):
        nnx.models.clone_model(named, {"a": x, "c": y})


def test_a_clone_with_what_is_inside():
    seen: list[str] = []

    def noted(layer: Any) -> Any:
        seen.append(layer.name)
        return type(layer).from_config(layer.get_config())

    nnx.models.clone_model(of_inner(), clone_function=noted)
    assert seen == ["first", "inner", "add", "last"]
    seen.clear()
    clone = nnx.models.clone_model(of_inner(), clone_function=noted, recursive=True)
    assert seen == ["first", "inside", "add", "last"]
    assert clone.get_layer("inner").layers[0].name == "inside"


def test_a_function_calls_the_layers_of_a_clone():
    def dropping(layer: Any, *inputs: Any, **options: Any) -> Any:
        y = layer(*inputs, **options)
        return nnx.layers.Dropout(0.5)(y) if isinstance(layer, nnx.layers.Dense) else y

    model = of_inner()
    clone = nnx.models.clone_model(model, clone_function=lambda layer: layer, call_function=dropping)
    kinds = [type(layer).__name__ for layer in clone.layers]
    assert kinds == ["InputLayer", "Dense", "Dropout", "Sequential", "Add", "Dense", "Dropout"]
    assert clone.weights == model.weights
    stacked = nnx.Sequential([nnx.Input((4,)), nnx.layers.Dense(2)])
    with pytest.raises(ValueError, match="is a Sequential, which calls its layers itself"):
        nnx.models.clone_model(stacked, call_function=dropping)


def test_a_clone_is_compiled_as_the_model_is():
    model = of_inner()
    metric = nnx.metrics.MeanAbsoluteError(name="error")
    model.compile(
        nnx.optimizers.SGD(0.1, momentum=0.9), lambda y, p: nnx.ops.mean((y - p) ** 2, axis=-1), metrics=[metric]
    )
    assert not nnx.models.clone_model(nnx.Sequential([nnx.layers.Dense(2)])).compiled
    y = X[:, :2]
    model.fit(X, y, verbose=0)
    clone = nnx.models.clone_model(model)
    assert (clone.optimizer.iterations, clone.optimizer.momentum, clone.optimizer is model.optimizer) == (0, 0.9, False)
    assert clone.compile_arguments["metrics"][0] is not metric
    clone.set_weights(model.get_weights())
    assert clone.evaluate(X, y, verbose=0, return_dict=True) == model.evaluate(X, y, verbose=0, return_dict=True)
    assert "error" in clone.fit(X, y, verbose=0).history


def test_objects_as_keras_describes_them():
    layers, saving = nnx.layers, nnx.saving
    described = saving.serialize_keras_object(Scaled(2))
    assert {"module", "class_name", "config", "registered_name"} == set(described)
    for thing in (
        layers.Dense(2, activation="relu", kernel_regularizer="l2"),
        layers.TimeDistributed(layers.Dense(2)),
        nnx.Sequential([nnx.Input((3,)), layers.Dense(2)]),
        nnx.losses.MeanSquaredError(),
        nnx.metrics.MeanSquaredError(),
        nnx.optimizers.Adam(nnx.schedules.ExponentialDecay(0.1, 10, 0.9)),
        nnx.initializers.HeNormal(),
        nnx.regularizers.L2(0.1),
        nnx.constraints.NonNeg(),
        TripledForFiles(),
    ):
        described = json.loads(json.dumps(saving.serialize_keras_object(thing)))
        again = saving.deserialize_keras_object(described)
        assert type(again) is type(thing)
        assert again.get_config() == thing.get_config()
    plain = [1, None, (2.5, "text"), {"a": [True]}]
    assert saving.deserialize_keras_object(saving.serialize_keras_object(plain)) == plain
    for function in (nnx.activations.gelu, nnx.losses.mean_squared_error, cube_for_files):
        assert saving.deserialize_keras_object(saving.serialize_keras_object(function)) is function
    array = saving.deserialize_keras_object(saving.serialize_keras_object(np.ones((2, 1), "float32")))
    assert (array.dtype, array.tolist()) == ("float32", [[1.0], [1.0]])


def test_a_layer_that_keeps_another_by_its_description():
    class Holding(nnx.layers.Layer):
        def __init__(self, inner: Any, **options: Any) -> None:
            super().__init__(**options)
            self.inner = inner

        def call(self, x: Any) -> Any:
            return self.inner(x)

        def get_config(self) -> dict[str, Any]:
            return {"name": self.name, "inner": nnx.saving.serialize_keras_object(self.inner)}

        @classmethod
        def from_config(cls, config: dict[str, Any]) -> Any:
            return cls(nnx.saving.deserialize_keras_object(config.pop("inner")), **config)

    described = nnx.utils.serialize_keras_object(Holding(Dense(3), name="holding"))
    again = nnx.utils.deserialize_keras_object(described, custom_objects={"Holding": Holding})
    assert (again.name, again.inner.units) == ("holding", 3)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"class_name": "MeanSquaredError", "config": {}}, "is a class of losses and of metrics: say which"),
        ({"class_name": "Desne", "config": {}}, "unknown class 'Desne': did you mean 'Dense'"),
        ({"class_name": "__lambda__", "config": {}}, "the code of a lambda is never run"),
        ({"class_name": "function", "config": "os.system"}, "unknown function 'os.system'; one of your own"),
        ({"class_name": "system", "module": "os", "config": {}}, "unknown class 'system'"),
    ],
)
def test_descriptions_that_nobody_knows(config: Any, message: str):
    with pytest.raises(ValueError, match=message):
        nnx.saving.deserialize_keras_object(config)


def test_names_of_registered_objects():
    saving = nnx.saving

    @saving.register_keras_serializable("mine", "other")
    class NamedForFiles(nnx.layers.Layer):
        pass

    assert saving.get_registered_name(NamedForFiles) == "mine>other"
    assert saving.get_registered_object("mine>other") is NamedForFiles
    assert saving.get_registered_name(Dense) == "Dense"
    described = saving.serialize_keras_object(NamedForFiles())
    assert (described["class_name"], described["registered_name"]) == ("NamedForFiles", "mine>other")
    with pytest.raises(TypeError, match="cannot be in a configuration: give it a name"):
        saving.serialize_keras_object(lambda x: x)
    nnx.utils.get_custom_objects().update({"tripled_for_files": lambda x: 3.0 * x})
    try:
        assert_close(Dense(1, "tripled_for_files", kernel_initializer="ones")([[2.0]]), [[6.0]])
    finally:
        del nnx.utils.get_custom_objects()["tripled_for_files"]
    with saving.CustomObjectScope({"tripled": lambda x: 3.0 * x}):
        assert_close(Dense(1, "tripled", kernel_initializer="ones")([[2.0]]), [[6.0]])
