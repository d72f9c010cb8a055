"""The same training on every backend, nothing that waits for the device, and models that move."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.layers import Dense, Dropout
from nnx.random import Generator
from nnx.testing import assert_close, no_synchronization
from nnx.testing.rows.optimizers import optimizer_cases

X = Generator(1).normal((40, 6))
LABELS = (X[:, 0] * X[:, 1] > 0.0).astype(np.int64) + (X[:, 2] > 0.5)
ONE_HOT = np.eye(3)[LABELS]


def make(optimizer: Any = "adam", seed: int = 8) -> nnx.Sequential:
    nnx.random.set_seed(seed)
    model = nnx.Sequential(
        [
            Dense(16, "relu", input_dim=6, kernel_regularizer="l2", bias_constraint="max_norm"),
            Dropout(0.3),
            Dense(8, "tanh", activity_regularizer="l2"),
            Dropout(0.2, noise_shape=(None, 1)),
            Dense(3, "softmax"),
        ]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["acc"], weighted_metrics=["ce"])
    return model


# The same curve


def record_masks(model: nnx.Sequential) -> list[np.ndarray]:
    """Which elements dropout keeps, from now on, in the order of its calls."""
    masks: list[np.ndarray] = []
    for layer in model.layers:
        if isinstance(layer, Dropout):

            def forward(x: Any, *, training: bool = False, before: Any = layer.forward) -> Any:
                if training:
                    xp = nnx.array_namespace(x)
                    masks.append(nnx.to_numpy(before(xp.ones_like(x), training=True)[0]) != 0.0)
                return before(x, training=training)

            layer.forward = forward  # type: ignore[method-assign]
    return masks


def curve() -> tuple[dict[str, list[float]], list[np.ndarray], np.ndarray]:
    model = make()
    masks = record_masks(model)
    weights = np.linspace(0.5, 1.5, 40)
    history = model.fit(
        X, LABELS, epochs=3, batch_size=7, validation_split=0.2, sample_weight=weights, class_weight={1: 2.0}, verbose=0
    )
    return history.history, masks, model.predict(X, verbose=0)


@pytest.fixture(scope="module")
def numpy_curve() -> Any:
    with nnx.backend("numpy"):
        return curve()


def check_curve(numpy_curve: Any) -> None:
    history, masks, outputs = curve()
    assert list(history) == ["acc", "ce", "loss", "val_acc", "val_ce", "val_loss"]
    for name, values in numpy_curve[0].items():
        assert_close(history[name], values, 2e-3)
    assert len(masks) == len(numpy_curve[1]) == 2 * 5 * 3
    assert any(mask.any() and not mask.all() for mask in masks)
    for mine, theirs in zip(masks, numpy_curve[1], strict=True):
        assert np.array_equal(mine, theirs)
    assert_close(outputs, numpy_curve[2], 2e-3)


def test_one_seed_one_curve(backend: Placement, numpy_curve: Any):
    check_curve(numpy_curve)


def test_one_seed_one_curve_on_the_default_device_of_array_api_strict(numpy_curve: Any):
    pytest.importorskip("array_api_strict")
    with nnx.backend("array-api-strict"):
        check_curve(numpy_curve)


def test_one_seed_one_curve_in_float64(backend_float64: Placement, numpy_curve: Any):
    check_curve(numpy_curve)


# Nothing waits


def guard_steps(model: nnx.Sequential) -> None:
    def guarded(step: Callable[..., None]) -> Callable[..., None]:
        return no_synchronization()(step)

    model.trainer.step.train = guarded(model.trainer.step.train)  # type: ignore[method-assign]
    model.trainer.step.test = guarded(model.trainer.step.test)  # type: ignore[method-assign]


@pytest.mark.parametrize(("title", "optimizer"), optimizer_cases(), ids=lambda value: str(value)[:20])
def test_no_step_waits_for_the_device(backend: Placement, title: str, optimizer: Callable[[], Any]):
    model = make(optimizer())
    guard_steps(model)
    options: dict[str, Any] = {"batch_size": 16, "verbose": 0, "sample_weight": np.ones(40), "class_weight": {0: 2.0}}
    model.fit(X, LABELS, validation_split=0.2, **options)
    model.train_on_batch(X, LABELS)


@pytest.mark.parametrize("loss", ["mse", "categorical_crossentropy", "kld", "cosine_similarity", "huber"])
def test_no_loss_waits_for_the_device(backend: Placement, loss: str):
    model = make()
    model.compile(nnx.optimizers.SGD(nnx.schedules.CosineDecay(0.1, 10), decay=0.1), loss, metrics=["acc", "mae"])
    guard_steps(model)
    model.fit(X, ONE_HOT, validation_data=(X, ONE_HOT), epochs=2, batch_size=16, verbose=0)


def test_the_guard_would_notice():
    model = make()
    guard_steps(model)
    model.layers[-1].activate = lambda z: (nnx.to_numpy(z), lambda dy: dy)
    with pytest.raises(AssertionError, match="no_synchronization"):
        model.fit(X, LABELS, verbose=0)


# Where a model is


@pytest.mark.parametrize("layers", [1, 2])
def test_a_model_stays_where_it_was_built(backend: Placement, layers: int):
    with nnx.backend(backend.name, device=backend.device):
        model = nnx.Sequential([Dense(3, "softmax", input_dim=6), Dense(3)][:layers])
    with nnx.backend("numpy"):
        assert model.placement == backend
        model.compile("adam", "mse")
        model.fit(X, ONE_HOT, validation_split=0.2, verbose=0)
        model.add(Dense(2))
        assert model.predict(X, verbose=0).shape == (40, 2)
        assert type(model.predict(X, verbose=0)) is np.ndarray
        assert all(backend.holds(parameter.value) for parameter in model.weights)
        assert backend.holds(model([[0.0] * 6]))


def others(backend: Placement) -> Iterator[Any]:
    """Arrays of every other device than this one; arrays on the host travel by themselves."""
    if nnx.available_backends()["array-api-strict"] is None and backend.name != "array-api-strict":
        yield nnx.backends.base.find_backend("array-api-strict").from_host(np.float32(X))
    if backend.name == "array-api-strict":
        yield backend.backend.from_host(np.float32(X), device="device2")


def test_arrays_of_another_device_raise_and_say_what_to_do(backend: Placement):
    model = make()
    here = backend.asarray(X)
    labels, floats = backend.asarray(LABELS), np.ones(40, np.float32)
    weights = model.get_weights()
    seen = 0
    for there in others(backend):
        seen += 1
        for use, what in [
            (lambda x=there: model.fit(x, labels, verbose=0), "x"),
            (lambda x=there: model.train_on_batch(x, labels), "x"),
            (lambda x=there: model.evaluate(x, labels, verbose=0), "x"),
            (lambda x=there: model.predict(x, verbose=0), "x"),
            (lambda x=there: model.predict_on_batch(x), "x"),
            (lambda x=there: model.fit(here, x[:, 0], verbose=0), "y"),
            (lambda x=there: model.fit(here, labels, sample_weight=x[:, 0], verbose=0), "sample_weight"),
            (lambda x=there: model.fit([(x, labels)], verbose=0), "x"),
            (lambda x=there: model.fit(here, labels, validation_data=(x, labels), verbose=0), "x"),
        ]:
            with pytest.raises(
                ValueError,
                match=rf"^(batch 1 of epoch 1: )?{what} is on .*sequential is on .*nnx.to_numpy.*sequential\.to\(",
            ):
                use()
        for call in (model, model.layers[0], model.forward):
            with pytest.raises(ValueError, match=r"is on .*nnx.asarray.*\.to\("):
                call(there)
    assert seen
    for old, new in zip(weights, model.get_weights(), strict=True):
        assert_close(new, old, 0.0, 0.0)
    model.fit(here, labels, sample_weight=floats, verbose=0)


def test_tensors_in_the_memory_of_the_host_travel_as_numpy_arrays_do(backend: Placement):
    torch = pytest.importorskip("torch")
    model, x, labels = make(), torch.tensor(np.float32(X)), torch.tensor(LABELS)
    model.fit(x, labels, sample_weight=torch.ones(40), validation_data=(x, labels), verbose=0)
    model.train_on_batch(x, labels)
    assert model.evaluate(x, labels, verbose=0) == model.evaluate(X, LABELS, verbose=0)
    assert_close(model.predict(x, verbose=0), model.predict(X, verbose=0), 0.0, 0.0)


# Moving


def places() -> list[tuple[str, str | None]]:
    usable = nnx.available_backends()
    found = [("numpy", None), ("array-api-strict", "device1"), ("torch", None), ("array-api-strict", "no_float64")]
    return [place for place in found if usable[place[0]] is None]


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: nnx.optimizers.Adam(0.01, amsgrad=True, use_ema=True),
        lambda: nnx.optimizers.SGD(0.05, momentum=0.9, gradient_accumulation_steps=4),
        lambda: nnx.optimizers.RMSprop(0.01, centered=True, momentum=0.5, weight_decay=0.01),
    ],
    ids=["Adam", "SGD", "RMSprop"],
)
def test_training_goes_on_after_a_move(optimizer: Callable[[], Any]):
    with nnx.backend("numpy"):
        moving, staying = make(optimizer()), make(optimizer())
    losses = []
    for name, device in [*places(), ("numpy", None)]:
        assert moving.to(name, device=device) is moving
        assert moving.placement.holds(moving.flat.values)
        steps = moving.optimizer.iterations
        losses.append([model.fit(X, LABELS, batch_size=9, verbose=0).history["loss"][0] for model in (moving, staying)])
        assert moving.optimizer.iterations > steps
    for mine, theirs in losses:
        assert mine == pytest.approx(theirs, rel=2e-4)
    assert_close(moving.predict(X, verbose=0), staying.predict(X, verbose=0), 2e-3)
    for name, array in staying.optimizer.state_arrays(staying.flat).items():
        assert_close(moving.optimizer.state_arrays(moving.flat)[name], array, 2e-3, 1e-5)


def test_moving_keeps_dtype_weights_and_paths():
    with nnx.backend("numpy", dtype="float64"):
        model = make()
    before = model.get_weights()
    model.to("array-api-strict", device="device1")
    assert str(model.placement) == "array-api-strict (device1)"
    assert {parameter.dtype for parameter in model.weights} == {"float64"}
    assert all(parameter.path.startswith("dense") for parameter in model.weights)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert_close(new, old, 0.0, 0.0)
    with pytest.raises(ValueError, match=r"no_float64.* has no float64"):
        model.to("array-api-strict", device="no_float64")
    with pytest.raises(ValueError, match=r"unknown backend 'cuup'.*'cupy'"):
        model.to("cuup")
    assert str(model.placement) == "array-api-strict (device1)"
    model.fit(X, LABELS, verbose=0)


def test_building_in_two_places_is_refused():
    with nnx.backend("array-api-strict", device="device1"):
        inner = nnx.Sequential([Dense(3, input_dim=6)], name="inner")
    outer = nnx.Sequential([inner, Dense(2)])
    assert str(outer.placement) == "array-api-strict (device1)"
    other = nnx.Sequential([Dense(6, input_dim=6)])
    with pytest.raises(
        ValueError, match=r"sequential is on numpy, layer 'inner' was built on array-api-strict.*\.to\("
    ):
        other.add(inner)
    other.add(inner.to("numpy"))
    assert other.predict(X, verbose=0).shape == (40, 3)
