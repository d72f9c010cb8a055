"""What a model minimises and watches: losses, penalties, weights of samples and classes, metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.layers import Activation, Dense, Dropout, Lambda, Layer, Softmax
from nnx.random import Generator
from nnx.testing import assert_close, check_gradients

X = Generator(1).normal((12, 4))
LABELS = np.arange(12) % 3
ONE_HOT = np.eye(3)[LABELS]
COINS = (Generator(2).uniform((12, 3)) < 0.5).astype(np.float64)
WEIGHTS = Generator(3).uniform((12,), 0.2, 2.0)


def make(*layers: Layer, loss: Any = "mse", rate: float = 0.1, **options: Any) -> nnx.Sequential:
    nnx.random.set_seed(5)
    model = nnx.Sequential([nnx.Input((4,)), *layers])
    model.compile(nnx.optimizers.SGD(rate), loss, **options)
    return model


# The fused form of a loss and the last activation

FUSED: dict[str, tuple[Callable[[], list[Layer]], Any, np.ndarray]] = {
    "softmax": (lambda: [Dense(3, "softmax")], "categorical_crossentropy", ONE_HOT),
    "softmax, labels": (lambda: [Dense(3, "softmax")], "sparse_categorical_crossentropy", LABELS),
    "layer": (lambda: [Dense(3), Softmax()], "categorical_crossentropy", ONE_HOT),
    "activation layer": (lambda: [Dense(3), Activation("softmax")], "sparse_categorical_crossentropy", LABELS),
    "nested": (
        lambda: [nnx.Sequential([Dense(5, "tanh"), nnx.Sequential([Dense(3, "softmax")])])],
        "categorical_crossentropy",
        ONE_HOT,
    ),
    "sigmoid": (lambda: [Dense(3, "sigmoid")], "binary_crossentropy", COINS),
    "smoothed": (
        lambda: [Dense(3, "softmax")],
        nnx.losses.CategoricalCrossentropy(label_smoothing=0.2),
        ONE_HOT,
    ),
    "sum": (lambda: [Dense(3, "sigmoid")], nnx.losses.BinaryCrossentropy(reduction="sum"), COINS),
    "focal": (lambda: [Dense(3, "sigmoid")], nnx.losses.BinaryFocalCrossentropy(), COINS),
    "focal softmax": (lambda: [Dense(3, "softmax")], nnx.losses.CategoricalFocalCrossentropy(), ONE_HOT),
}
NOT_FUSED: dict[str, Callable[[], list[Layer]]] = {
    "another activation": lambda: [Dense(3, "softplus")],
    "a layer in between": lambda: [Dense(3, "softmax"), Dropout(0.0)],
    "a penalty on the output": lambda: [Dense(3, "softmax", activity_regularizer="l2")],
    "another axis": lambda: [Dense(3), Softmax(axis=0)],
    "a function": lambda: [Dense(3), Lambda(nnx.functional.softmax)],
}


@pytest.mark.parametrize("case", FUSED)
def test_the_fused_loss_has_the_same_value_and_its_exact_gradient(case: str):
    layers, loss, y = FUSED[case]
    with nnx.backend("numpy", dtype="float64") as placement:
        model = make(*layers(), loss=loss)
        plain = nnx.losses.get(loss) if not isinstance(loss, str) else nnx.losses.resolve(loss)
        value = model.evaluate(X, y, verbose=0)
        assert model.objective.takes_logits
        assert value == pytest.approx(float(plain(y, model.predict(X, verbose=0))), rel=1e-12)
        flat = model.flat

        def function(parameters: Any) -> Any:
            flat.values[...] = parameters
            loss_value, _, pullback_loss, _, pullback = model.trainer.step.loss(
                [X], [np.asarray(y)], [None], training=True
            )

            def pull_back(dloss: Any) -> Any:
                flat.start_pass()
                pullback(pullback_loss(float(dloss)), inputs=False)
                flat.finish_pass()
                return flat.grads.copy()

            return np.asarray(loss_value), pull_back

        check_gradients(function, flat.values.copy(), placement=placement)


@pytest.mark.parametrize("case", NOT_FUSED)
def test_what_is_not_fused(case: str):
    model = make(*NOT_FUSED[case](), loss="categorical_crossentropy")
    value = model.evaluate(X, ONE_HOT, verbose=0)
    assert not model.objective.takes_logits
    outputs = model.predict(X, verbose=0)
    penalty = 0.01 * (outputs**2).sum() / 12 if "penalty" in case else 0.0
    expected = float(nnx.losses.CategoricalCrossentropy()(ONE_HOT, outputs)) + penalty
    assert value == pytest.approx(expected, rel=1e-5)


def test_the_fused_gradient_does_not_vanish_where_probabilities_saturate():
    model = make(Dense(3, "softmax", kernel_initializer="zeros"), loss="categorical_crossentropy", rate=1.0)
    model.set_weights([np.zeros((4, 3)), np.array([60.0, 0.0, 0.0])])
    model.train_on_batch(X, np.eye(3)[[1] * 12])  # as wrong as can be
    assert_close(model.get_weights()[1], [59.0, 1.0, 0.0], 1e-5)


# Penalties


@pytest.mark.parametrize("validated", [False, True])
def test_penalties_of_weights_are_in_loss_and_val_loss(backend: Placement, validated: bool):
    model = make(Dense(3, kernel_regularizer="l2", bias_regularizer=nnx.regularizers.L1(0.1)), rate=0.0)
    model.set_weights([w + 0.5 for w in model.get_weights()])
    kernel, bias = model.get_weights()
    error = (model.predict(X, verbose=0) - ONE_HOT) ** 2
    expected = error.mean() + 0.01 * (kernel**2).sum() + 0.1 * np.abs(bias).sum()
    history = model.fit(X, ONE_HOT, validation_data=(X, ONE_HOT), batch_size=5, verbose=0).history
    assert history["val_loss" if validated else "loss"][0] == pytest.approx(expected, rel=1e-5)
    assert model.train_on_batch(X, ONE_HOT) == pytest.approx(expected, rel=1e-5)
    penalty, _ = model.regularization()
    assert_close(penalty, expected - error.mean(), 1e-5)


@pytest.mark.parametrize("scale", [None, 8.0])
def test_gradients_of_all_penalties(scale: float | None):
    """A step of gradient descent, against the difference of the loss along the step."""
    with nnx.backend("numpy", dtype="float64"):
        model = make(
            Dense(5, "tanh", kernel_regularizer="l2", activity_regularizer=nnx.regularizers.L2(0.3)),
            Dense(3, "softplus", bias_regularizer=nnx.regularizers.L1L2(0.1, 0.2), activity_regularizer="l1"),
        )
        model.compile(nnx.optimizers.SGD(1e-5, loss_scale_factor=scale), "mse")
        model.set_weights([w + 0.3 for w in model.get_weights()])
        before, start = model.test_on_batch(X, ONE_HOT), model.flat.values.copy()
        model.train_on_batch(X, ONE_HOT)
        after, moved = model.test_on_batch(X, ONE_HOT), model.flat.values - start
    gradient = moved / -1e-5
    assert after - before == pytest.approx(float(gradient @ moved), rel=1e-3)


def test_penalties_of_frozen_layers_do_not_count():
    model = make(Dense(3, kernel_regularizer="l2", trainable=False), Dense(3))
    error = (model.predict(X, verbose=0) - ONE_HOT) ** 2
    assert model.evaluate(X, ONE_HOT, verbose=0) == pytest.approx(error.mean(), rel=1e-5)


def test_penalties_on_outputs_are_divided_by_the_batch(backend: Placement):
    model = make(Dense(3, activity_regularizer=nnx.regularizers.L2(0.5)), rate=0.0)
    outputs = model.predict(X, verbose=0)
    expected = ((outputs - ONE_HOT) ** 2).mean() + 0.5 * (outputs**2).sum() / 12
    history = model.fit(X, ONE_HOT, validation_data=(X, ONE_HOT), batch_size=4, verbose=0).history
    assert history["loss"][0] == pytest.approx(expected, rel=1e-5)
    assert history["val_loss"][0] == pytest.approx(expected, rel=1e-5)


# Weights


@pytest.mark.parametrize("shape", [(12,), (12, 1)])
def test_sample_weights(backend: Placement, shape: tuple[int, ...]):
    model = make(Dense(3), metrics=["mse"], weighted_metrics=[nnx.metrics.MeanSquaredError(name="weighted")])
    values = ((model.predict(X, verbose=0) - ONE_HOT) ** 2).mean(axis=1)
    weights = WEIGHTS.reshape(shape)
    expected = [(values * WEIGHTS).mean(), values.mean(), (values * WEIGHTS).sum() / WEIGHTS.sum()]
    assert model.evaluate(X, ONE_HOT, sample_weight=weights, verbose=0) == pytest.approx(expected, rel=1e-5)
    assert model.test_on_batch(X, ONE_HOT, sample_weight=weights) == pytest.approx(expected, rel=1e-5)
    assert model.train_on_batch(X, ONE_HOT, weights) == pytest.approx(expected, rel=1e-5)


def test_sample_weights_are_shuffled_with_their_samples():
    model = make(Dense(3), rate=0.0)
    expected = model.test_on_batch(X, ONE_HOT, sample_weight=WEIGHTS)
    history = model.fit(X, ONE_HOT, sample_weight=WEIGHTS, batch_size=5, epochs=3, verbose=0).history
    assert history["loss"] == pytest.approx([expected] * 3, rel=1e-5)


CLASS_WEIGHT = {0: 1.0, 1: 5.0, 2: 0.5}


@pytest.mark.parametrize(
    ("y", "loss"),
    [
        (LABELS, "sparse_categorical_crossentropy"),
        (LABELS[:, None], "sparse_categorical_crossentropy"),
        (LABELS.tolist(), "sparse_categorical_crossentropy"),
        (ONE_HOT, "categorical_crossentropy"),
    ],
)
def test_class_weights(backend: Placement, y: Any, loss: str):
    model = make(Dense(3, "softmax"), loss=loss, rate=0.0)
    by_sample = np.asarray([CLASS_WEIGHT[label] for label in LABELS.tolist()])
    expected = model.test_on_batch(X, y, sample_weight=by_sample)
    plain = model.test_on_batch(X, y)
    assert abs(expected - plain) > 0.1
    assert model.train_on_batch(X, y, class_weight=CLASS_WEIGHT) == pytest.approx(expected, rel=1e-5)
    options: dict[str, Any] = {"class_weight": CLASS_WEIGHT, "batch_size": 5, "verbose": 0}
    history = model.fit(X, y, validation_data=(X, y), **options).history
    assert history["loss"][0] == pytest.approx(expected, rel=1e-5)
    assert history["val_loss"][0] == pytest.approx(plain, rel=1e-5)  # class weights never reach validation
    assert model.fit([(X, y)], **options).history["loss"][0] == pytest.approx(expected, rel=1e-5)
    both = model.test_on_batch(X, y, sample_weight=by_sample * WEIGHTS)
    history = model.fit(X, y, sample_weight=WEIGHTS, **options).history
    assert history["loss"][0] == pytest.approx(both, rel=1e-5)


def test_class_weights_of_two_classes():
    """Labels 0 and 1 of a sigmoid, labels -1 and 1 of a hinge; a class that is not named weighs 1."""
    for loss, labels, weights in (
        ("binary_crossentropy", LABELS % 2, {1: 4.0}),
        ("hinge", 2 * (LABELS % 2) - 1, {-1: 1.0, 1: 4.0}),
        ("hinge", (2.0 * (LABELS % 2) - 1.0)[:, None], {np.int64(1): np.float32(4.0)}),
    ):
        model = make(Dense(1, "sigmoid"), loss=loss)
        by_sample = np.where(LABELS % 2, 4.0, 1.0)
        expected = model.test_on_batch(X, labels, sample_weight=by_sample)
        assert model.train_on_batch(X, labels, class_weight=weights) == pytest.approx(expected, rel=1e-5)


def test_loss_weights():
    model = make(Dense(3), loss_weights=0.25)
    plain = make(Dense(3), rate=0.025)
    for weights in ([0.25], {"dense": 0.25}, 0.25):
        assert make(Dense(3), loss_weights=weights).test_on_batch(X, ONE_HOT) == pytest.approx(
            0.25 * plain.test_on_batch(X, ONE_HOT), rel=1e-6
        )
    for each in (model, plain):
        each.train_on_batch(X, ONE_HOT)
    assert_close(model.flat.values, plain.flat.values, 1e-5)


# Losses and metrics of one's own


def test_a_loss_and_a_metric_of_ones_own(backend: Placement):
    def double_error(y_true: Any, y_pred: Any) -> Any:
        error = y_pred - y_true
        xp = nnx.array_namespace(error)
        return 2.0 * xp.sum(error * error, axis=-1), lambda dvalues: 4.0 * error * xp.reshape(dvalues, (-1, 1))

    def largest(y_true: Any, y_pred: Any) -> Any:
        return nnx.array_namespace(y_pred).max(y_pred, axis=-1)

    model = make(Dense(3), loss=double_error, metrics=[largest, "mse"])
    other = make(Dense(3), rate=0.6)
    outputs = model.predict(X, verbose=0)
    found = model.fit(X, ONE_HOT, verbose=0).history
    assert list(found) == ["largest", "loss", "mse"]
    assert found["loss"][0] == pytest.approx(6.0 * found["mse"][0], rel=1e-5)
    assert found["largest"][0] == pytest.approx(outputs.max(axis=-1).mean(), rel=1e-5)
    other.train_on_batch(X, ONE_HOT)
    assert_close(model.flat.values, other.flat.values, length=100)


# Outputs without a loss


@pytest.mark.parametrize("own_step", [False, True])
def test_targets_of_the_outputs_with_a_loss_alone(own_step: bool):
    class Kept(nnx.Model):
        def compute_loss(self, *args: Any, **options: Any) -> Any:
            return super().compute_loss(*args, **options)

    def trained(loss: Any, y: Any, cls: Any = Kept if own_step else nnx.Model) -> Any:
        nnx.random.set_seed(1)
        x = nnx.Input((4,))
        model = cls(x, [Dense(3, name="a")(x), Dense(2, name="b")(x), Dense(1)(x)])
        model.compile("sgd", loss)
        return np.ravel(model.train_on_batch(X, y))[:1]

    both = trained(["mse", "mae", None], [ONE_HOT, COINS[:, :2], None], nnx.Model)
    assert_close(trained(["mse", "mae", None], [ONE_HOT, COINS[:, :2]]), both)
    one = trained([None, "mae", None], [None, COINS[:, :2], None], nnx.Model)
    assert_close(trained([None, "mae", None], COINS[:, :2]), one)
    with pytest.raises(ValueError, match="y must be a list"):
        trained(["mse", "mae", None], ONE_HOT)


def test_a_loss_of_ones_own_returns_one_number_without_a_reduction(backend: Placement):
    class Own(nnx.losses.Loss):
        def __init__(self, per_sample: bool) -> None:
            super().__init__(reduction=None)
            self.per_sample = per_sample

        def call(self, y_true: Any, y_pred: Any) -> Any:
            error = nnx.ops.square(y_true - y_pred)
            return nnx.ops.mean(error, axis=-1) if self.per_sample else nnx.ops.mean(error)

    expected = make(Dense(3)).fit(X, ONE_HOT, verbose=0).history["loss"]
    assert_close(make(Dense(3), loss=Own(False)).fit(X, ONE_HOT, verbose=0).history["loss"], expected, rtol=1e-6)
    with pytest.raises(ValueError, match=r"loss 'own' has reduction='none'.*trained for one number"):
        make(Dense(3), loss=Own(True)).fit(X, ONE_HOT, verbose=0)


def test_a_loss_of_ones_own_for_outputs_without_compiled_losses():
    class Apart(nnx.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = Dense(1)

        def build(self, input_shape: Any) -> None:
            self.scale = self.add_weight((), "ones", name="scale")  # which only the loss needs
            super().build(input_shape)

        def call(self, x: Any) -> Any:
            return {"a": self.dense(x["a"]), "b": self.dense(x["b"])}

        def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, **_: Any) -> Any:
            return nnx.ops.mean(y_pred["a"]) - nnx.ops.mean(y_pred["b"]) + 0.5 * self.scale**2

    model = Apart()
    model.compile(nnx.optimizers.SGD(0.5))
    history = model.fit({"a": X, "b": X[::-1]}, np.zeros(12), batch_size=12, epochs=2, verbose=0)
    assert_close(np.asarray(history.history["loss"]), [0.5, 0.125], atol=1e-6)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["loss"], ["loss_1"]),
        (["a", "a"], ["a", "a_1"]),
        (["a", "val_a"], ["a", "val_a_1"]),
        (["val_a", "a"], ["val_a", "a_1"]),
        (["val_loss"], ["val_loss_1"]),
        (["val_a", "val_val_a"], ["val_a", "val_val_a_1"]),
    ],
)
def test_no_result_takes_the_name_of_another_one(names: list[str], expected: list[str]):
    model = make(Dense(3), metrics=[nnx.metrics.MeanSquaredError(name=name) for name in names])
    history = model.fit(X, ONE_HOT, validation_data=(X, ONE_HOT), verbose=0).history
    names = ["loss", *expected]
    assert list(history) == sorted([*names, *(f"val_{name}" for name in names)])


def test_no_metric_of_an_output_takes_the_name_of_its_loss():
    x = nnx.Input((4,))
    model = nnx.Model(x, [Dense(3, name="a")(x), Dense(3, name="b")(x)])
    model.compile("sgd", "mse", metrics=[[nnx.metrics.MeanAbsoluteError(name="loss")], []])
    results = model.evaluate(X, [ONE_HOT, ONE_HOT], verbose=0, return_dict=True)
    assert model.metrics_names == ["loss", "a_loss", "b_loss", "a_loss_1"]
    assert list(results) == ["a_loss", "a_loss_1", "b_loss", "loss"]
    assert_close(results["loss"], results["a_loss"] + results["b_loss"], rtol=1e-6)


@pytest.mark.parametrize(
    ("outputs", "loss", "expected"),
    [
        ("list", "mse", "zeta alpha"),
        ("list", {"alpha": "mse", "zeta": "mse"}, "zeta alpha"),
        ("dict", "mse", "alpha zeta"),
        ("dict", ["mse", "mse"], "alpha zeta"),
        ("dict", {"zeta": "mse", "alpha": "mse"}, "zeta alpha"),
        ("dict", {"zeta": "mse"}, ""),
        ("not built", {"zeta": "mse", "alpha": "mse"}, "zeta alpha"),
    ],
)
def test_results_of_several_outputs_are_in_the_order_of_keras(outputs: str, loss: Any, expected: str):
    """The losses of the outputs, as the outputs or a dict of losses have them; then the metrics by their names."""

    class Apart(nnx.Model):
        def __init__(self) -> None:
            super().__init__()
            self.zeta, self.alpha = Dense(3, name="zeta"), Dense(3, name="alpha")

        def call(self, x: Any) -> Any:
            ends = {"zeta": self.zeta(x), "alpha": self.alpha(x)}
            return list(ends.values()) if outputs == "list" else ends

    model = Apart()
    if outputs != "not built":
        x = nnx.Input((4,))
        model = nnx.Model(x, model.call(x))
    watched = {"zeta": ["mse", "mae"], "alpha": "mae"}
    model.compile("sgd", loss, metrics=watched, weighted_metrics={"zeta": "mae"})
    y = [ONE_HOT, 1.0 - ONE_HOT] if outputs == "list" else {"alpha": 1.0 - ONE_HOT, "zeta": ONE_HOT}
    named = model.test_on_batch(X, y, return_dict=True)
    metrics = ["alpha_mae", "zeta_mae", "zeta_mse", "zeta_weighted_mae"]
    names = ["loss", *(f"{name}_loss" for name in expected.split()), *metrics]
    assert model.metrics_names == names
    assert list(named) == sorted(names)
    for found in (model.test_on_batch(X, y), model.evaluate(X, y, verbose=0)):
        assert found == pytest.approx([named[name] for name in names], rel=1e-5)
    history = model.fit(X, y, validation_data=(X, y), verbose=0).history
    assert list(history) == sorted([*names, *(f"val_{name}" for name in names)])
