"""Models that use functions and classes of one's own are loaded with `custom_objects`."""

from __future__ import annotations

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
