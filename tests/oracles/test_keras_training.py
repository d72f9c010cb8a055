"""Sequential training against Keras 3 on JAX: equal weights at the start, equal curves and weights at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'nnx-array[oracle]'")

import nnx  # noqa: E402
from nnx.random import Generator  # noqa: E402
from nnx.testing import assert_close  # noqa: E402

# Keras's variables do not know NumPy 2's `copy` yet
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

ROWS = 24
X = np.float32(Generator(1).normal((ROWS, 6)))
LABELS = np.asarray((Generator(2).uniform((ROWS,)) * 3.0), dtype=np.int64)
TARGETS: dict[str, np.ndarray] = {
    "labels": LABELS,
    "column": LABELS[:, None],
    "one-hot": np.eye(3, dtype=np.float32)[LABELS],
    "coins": np.float32(LABELS > 0)[:, None],
    "coin vector": np.float32(LABELS > 0),
    "signs": np.float32(2 * (LABELS > 0) - 1)[:, None],
    "numbers": np.float32(Generator(3).normal((ROWS, 3))),
    "shares": np.float32(Generator(4).uniform((ROWS, 3), 0.1, 1.0)),
}
WEIGHTS = np.float32(Generator(5).uniform((ROWS,), 0.2, 2.0))

Layers = Callable[[Any], list[Any]]  # of a library


def hidden(library: Any, **options: Any) -> Any:
    return library.layers.Dense(5, activation="tanh", **options)


def ending(units: int, activation: str | None, **options: Any) -> Layers:
    return lambda library: [hidden(library), library.layers.Dense(units, activation=activation, **options)]


def pair(layers: Layers, shape: tuple[int, ...] = (6,)) -> tuple[Any, Any]:
    """The same model in both libraries, with nnx's initial weights, also where they start at zero."""
    nnx.random.set_seed(7)
    ours = nnx.Sequential([nnx.Input(shape), *layers(nnx)])
    theirs = keras.Sequential([keras.Input(shape), *layers(keras)])
    generator = Generator(8)
    weights = [np.float32(w + 0.05 * generator.normal(w.shape)) for w in ours.get_weights()]
    for model in (ours, theirs):
        model.set_weights(weights)
    return ours, theirs


def compare_weights(ours: Any, theirs: Any) -> None:
    for mine, expected in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert_close(mine, expected, 2e-5, 2e-5 * max(float(np.abs(expected).max()), 0.05))


def compare(
    layers: Layers,
    loss: Any = "mse",
    y: str = "numbers",
    optimizer: Callable[[Any], Any] = lambda library: library.optimizers.SGD(0.1),
    *,
    x: np.ndarray = X,
    rows: int = ROWS,
    compiling: dict[str, Any] | None = None,
    **fitting: Any,
) -> tuple[Any, Any]:
    ours, theirs = pair(layers, x.shape[1:])
    targets = TARGETS[y]
    for model, library in ((ours, nnx), (theirs, keras)):
        given = loss(library) if callable(loss) else loss
        eager = {"run_eagerly": True} if library is keras else {}  # compiling takes longer than these few steps
        model.compile(optimizer=optimizer(library), loss=given, **(compiling or {}), **eager)
    initial = [model.evaluate(x, targets, verbose=0, batch_size=8, return_dict=True) for model in (ours, theirs)]
    assert initial[0] == pytest.approx(initial[1], rel=2e-5)
    x, targets = x[:rows], targets[:rows]
    options: dict[str, Any] = {"batch_size": 8, "epochs": 3, "shuffle": False, "verbose": 0, **fitting}
    histories = [model.fit(x, targets, **options) for model in (ours, theirs)]
    assert histories[0].epoch == histories[1].epoch
    assert list(histories[0].history) == list(histories[1].history)
    for name, expected in histories[1].history.items():
        scale = max(map(abs, expected))
        assert histories[0].history[name] == pytest.approx(expected, rel=2e-5, abs=2e-5 * scale), name
    compare_weights(ours, theirs)
    assert_close(ours.predict(x, verbose=0), theirs.predict(x, verbose=0), 1e-4, 2e-5)
    return ours, theirs


ACC: dict[str, Any] = {"metrics": ["acc"]}

LOSSES: list[tuple[str, Layers, Any, str]] = [
    ("mse", ending(3, None), "mse", "numbers"),
    ("mae", ending(3, None), "mean_absolute_error", "numbers"),
    ("huber", ending(3, None), lambda library: library.losses.Huber(0.7), "numbers"),
    ("log_cosh", ending(3, None), "log_cosh", "numbers"),
    ("cosine", ending(3, None), "cosine_similarity", "numbers"),
    ("msle", ending(3, "softplus"), "msle", "shares"),
    ("kld", ending(3, "softmax"), "kl_divergence", "shares"),
    ("poisson", ending(3, "exponential"), "poisson", "shares"),
    ("hinge", ending(1, "tanh"), "hinge", "signs"),
    ("squared hinge", ending(1, None), "squared_hinge", "signs"),
    ("binary", ending(1, "sigmoid"), "binary_crossentropy", "coins"),
    ("binary, vector", ending(1, "sigmoid"), "binary_crossentropy", "coin vector"),
    ("binary logits", ending(1, None), lambda lib: lib.losses.BinaryCrossentropy(from_logits=True), "coins"),
    ("binary smoothed", ending(1, "sigmoid"), lambda lib: lib.losses.BinaryCrossentropy(label_smoothing=0.2), "coins"),
    ("binary focal", ending(1, "sigmoid"), "binary_focal_crossentropy", "coins"),
    ("categorical", ending(3, "softmax"), "categorical_crossentropy", "one-hot"),
    ("smoothed", ending(3, "softmax"), lambda lib: lib.losses.CategoricalCrossentropy(label_smoothing=0.1), "one-hot"),
    ("focal", ending(3, "softmax"), "categorical_focal_crossentropy", "one-hot"),
    ("sparse", ending(3, "softmax"), "sparse_categorical_crossentropy", "labels"),
    ("sparse, column", ending(3, "softmax"), "sparse_categorical_crossentropy", "column"),
    ("sparse logits", ending(3, None), lambda lib: lib.losses.SparseCategoricalCrossentropy(True), "labels"),
    ("sum", ending(3, None), lambda lib: lib.losses.MeanSquaredError(reduction="sum"), "numbers"),
]


@pytest.mark.filterwarnings("ignore:metric 'acc'")  # of continuous targets, Keras says nothing
@pytest.mark.parametrize(("layers", "loss", "y"), [case[1:] for case in LOSSES], ids=[case[0] for case in LOSSES])
def test_losses(layers: Layers, loss: Any, y: str):
    rate = 0.01 if callable(loss) and "Mean" in type(loss(keras)).__name__ else 0.1
    compare(layers, loss, y, lambda library: library.optimizers.SGD(rate, momentum=0.9), compiling=ACC, epochs=2)


OPTIMIZERS: list[Callable[[Any], Any]] = [
    lambda o: o.SGD(0.1, momentum=0.9, nesterov=True, clipnorm=0.3),
    lambda o: o.RMSprop(0.01, centered=True, momentum=0.5),
    lambda o: o.Adagrad(0.1, global_clipnorm=0.5),
    lambda o: o.Adadelta(1.0),
    lambda o: o.Adam(0.01, amsgrad=True, weight_decay=0.05),
    lambda o: o.Adam(o.schedules.CosineDecay(0.1, 20, warmup_target=0.2, warmup_steps=3), clipvalue=0.05),
    lambda o: o.Adam(0.01, use_ema=True, ema_momentum=0.8),
    lambda o: o.Adam(0.01, gradient_accumulation_steps=2),
    lambda o: o.AdamW(0.01),
    lambda o: o.Adamax(0.01),
    lambda o: o.Nadam(0.01),
    lambda o: o.Lion(0.003, weight_decay=0.1),
]


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_optimizers(make: Callable[[Any], Any]):
    compare(
        ending(3, "softmax"), "categorical_crossentropy", "one-hot", lambda library: make(library.optimizers), epochs=3
    )


def _regularised(library: Any) -> list[Any]:
    return [
        hidden(library, kernel_regularizer="l2", bias_regularizer=library.regularizers.L1(0.05)),
        library.layers.Dense(
            3,
            kernel_regularizer=library.regularizers.L1L2(0.02, 0.03),
            activity_regularizer=library.regularizers.L2(0.1),
        ),
    ]


def _constrained(library: Any) -> list[Any]:
    return [
        hidden(library, kernel_constraint=library.constraints.MaxNorm(0.7), bias_constraint="non_neg"),
        library.layers.Dense(3, kernel_constraint="unit_norm"),
    ]


def _frozen(library: Any) -> list[Any]:
    first = hidden(library, kernel_regularizer="l2")
    first.trainable = False
    return [first, library.layers.Dense(3, kernel_regularizer="l2")]


def _activation_layers(library: Any) -> list[Any]:
    layers = library.layers
    return [
        layers.Flatten(),
        layers.Dense(5),
        layers.LeakyReLU(),
        layers.Dense(4),
        layers.PReLU(),
        layers.Dense(4),
        layers.ELU(0.5),
        layers.Reshape((2, 2)),
        layers.Dense(3, activation="gelu"),
        layers.Flatten(),
        layers.ReLU(max_value=1.0, negative_slope=0.1),
        layers.Activation("silu"),
        layers.Dense(3),
        layers.Softmax(),
    ]


def _nested(library: Any) -> list[Any]:
    inner = library.Sequential([library.Input((5,)), library.layers.Dense(4, activation="relu")])
    last = library.Sequential([library.Input((4,)), library.layers.Dense(3, activation="softmax")])
    return [hidden(library), inner, last]


ARCHITECTURES: dict[str, tuple[Layers, dict[str, Any]]] = {
    "penalties": (_regularised, {"validation_data": (X, TARGETS["numbers"])}),
    "constraints": (_constrained, {}),
    "frozen": (_frozen, {"validation_split": 0.3}),
    "activation layers": (
        _activation_layers,
        {"loss": "sparse_categorical_crossentropy", "y": "labels", "x": X.reshape(ROWS, 2, 3), "compiling": ACC},
    ),
    "nested": (_nested, {"loss": "categorical_crossentropy", "y": "one-hot", "compiling": ACC}),
    "no bias": (lambda lib: [hidden(lib, use_bias=False), lib.layers.Dense(3, use_bias=False)], {}),
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architectures(name: str):
    layers, options = ARCHITECTURES[name]
    ours, theirs = compare(layers, optimizer=lambda library: library.optimizers.SGD(0.05, momentum=0.9), **options)
    assert ours.count_params() == theirs.count_params()
    for ours_now, theirs_now in [(ours.trainable_weights, theirs.trainable_weights)]:
        assert [tuple(w.shape) for w in ours_now] == [tuple(w.shape) for w in theirs_now]


FITTING: dict[str, dict[str, Any]] = {
    "validation_split": {"validation_split": 0.25},
    "validation_split, odd": {"validation_split": 0.37, "sample_weight": WEIGHTS[:22]},
    "validation_data": {"validation_data": (X[:9], TARGETS["one-hot"][:9], WEIGHTS[:9])},
    "validation_freq": {"validation_data": (X, TARGETS["one-hot"]), "validation_freq": 2, "epochs": 4},
    "validation_steps": {"validation_data": (X, TARGETS["one-hot"]), "validation_steps": 2},
    "validation_batch_size": {"validation_data": (X, TARGETS["one-hot"]), "validation_batch_size": 5},
    "class_weight": {"class_weight": {0: 1.0, 1: 3.0}, "validation_split": 0.2},
    "sample_weight": {"sample_weight": WEIGHTS[:22]},
    "batches of 1": {"batch_size": 1, "epochs": 2},
    "one batch": {"batch_size": 100},
    "initial_epoch": {"initial_epoch": 2, "epochs": 4},
}
COMPILING: dict[str, Any] = {
    "metrics": ["acc", "mse", "categorical_crossentropy"],
    "weighted_metrics": ["accuracy"],
}


@pytest.mark.parametrize("name", FITTING)
def test_options_of_fit(name: str):
    compare(ending(3, "softmax"), "categorical_crossentropy", "one-hot", compiling=COMPILING, rows=22, **FITTING[name])


def test_evaluation_with_sample_weights():
    ours, theirs = compare(ending(3, "softmax"), "categorical_crossentropy", "one-hot", compiling=COMPILING, rows=22)
    options: dict[str, Any] = {"verbose": 0, "batch_size": 7, "sample_weight": WEIGHTS, "return_dict": True}
    found, expected = (model.evaluate(X, TARGETS["one-hot"], **options) for model in (ours, theirs))
    assert found == pytest.approx(expected, rel=2e-5)
    assert ours.metrics_names[0] == theirs.metrics_names[0] == "loss"


def test_loss_weights():
    compare(ending(3, None), compiling={"loss_weights": 0.3}, epochs=2)


@pytest.mark.parametrize(
    ("layers", "y", "loss"),
    [
        (ending(1, "sigmoid"), "coins", "mse"),
        (ending(1, "sigmoid"), "coin vector", "binary_crossentropy"),
        (ending(3, "softmax"), "one-hot", "mse"),
        (ending(3, "softmax"), "labels", "sparse_categorical_crossentropy"),
        (ending(3, "softmax"), "column", "sparse_categorical_crossentropy"),
    ],
)
@pytest.mark.parametrize("metric", ["acc", "accuracy"])
def test_what_acc_means(layers: Layers, y: str, loss: str, metric: str):
    ours, theirs = pair(layers)
    for model in (ours, theirs):
        model.compile("sgd", loss, metrics=[metric])
    found, expected = (model.evaluate(X, TARGETS[y], verbose=0, return_dict=True) for model in (ours, theirs))
    assert found == pytest.approx(expected, rel=2e-5)


def test_single_batches():
    ours, theirs = pair(ending(3, "softmax"))
    for model in (ours, theirs):
        model.compile("rmsprop", "categorical_crossentropy", metrics=["acc"])
    y = TARGETS["one-hot"]
    for model_method in ("train_on_batch", "test_on_batch"):
        for options in ({}, {"sample_weight": WEIGHTS}, {"class_weight": {1: 3.0}}):
            if model_method == "test_on_batch" and "class_weight" in options:
                continue
            found, expected = (getattr(model, model_method)(X, y, **options) for model in (ours, theirs))
            theirs.reset_metrics()  # Keras goes on accumulating over single batches, nnx gives those of the batch
            assert found == pytest.approx([float(value) for value in expected], rel=2e-5)
    compare_weights(ours, theirs)
    assert_close(ours.predict_on_batch(X), theirs.predict_on_batch(X), 2e-5, 2e-5)


def test_summaries():
    for name, (layers, options) in ARCHITECTURES.items():
        ours, theirs = pair(layers, options.get("x", X).shape[1:])
        totals = []
        for model in (ours, theirs):
            lines: list[str] = []
            model.summary(print_fn=lambda text, lines=lines, **_: lines.extend(text.splitlines()))
            totals.append([line.strip() for line in lines if "params:" in line])
        assert totals[0] == totals[1], name
        assert ours.output_shape == theirs.output_shape


def test_defaults_of_compile_and_layers():
    """`compile()` without arguments, and a Dense layer's configuration, are those of Keras."""
    ours, theirs = (library.Sequential([library.layers.Dense(2)]) for library in (nnx, keras))
    for model in (ours, theirs):
        model.compile()
    assert type(ours.optimizer).__name__ == type(theirs.optimizer).__name__ == "RMSprop"
    mine, expected = ours.layers[0].get_config(), theirs.layers[0].get_config()
    for key in ("units", "use_bias", "trainable", "bias_constraint", "kernel_regularizer"):
        assert mine[key] == expected[key]
    for key in ("kernel_initializer", "bias_initializer"):
        assert mine[key]["class_name"] == expected[key]["class_name"]


@pytest.mark.parametrize("head", ["Dense", "Activation"])
def test_a_float32_head_in_mixed_precision(head: str, tmp_path: Any) -> None:
    """Outputs and weights after two steps, and once more after a file of Keras has brought them here."""

    def layers(library: Any) -> list[Any]:
        lib = library.layers
        if head == "Dense":
            return [hidden(library), lib.Dense(3, activation="softmax", dtype="float32")]
        return [hidden(library), lib.Dense(3), lib.Activation("softmax", dtype="float32")]

    keras.config.set_dtype_policy("mixed_float16")
    try:
        with nnx.backend("numpy", dtype="float16"):
            ours, theirs = pair(layers)
        theirs.set_weights(ours.get_weights())  # float16 has not all numbers
        for model in (ours, theirs):
            model.compile("adam", "sparse_categorical_crossentropy")
            for _ in range(2):
                model.train_on_batch(X, LABELS)
        theirs.save(tmp_path / "theirs.keras")
    finally:
        keras.config.set_dtype_policy("float32")
    loaded = nnx.models.load_model(tmp_path / "theirs.keras")
    assert loaded.optimizer.iterations == 2
    for model in (ours, loaded):
        assert [one.dtype for one in model.weights] == 2 * ["float16"] + 2 * [
            "float32" if head == "Dense" else "float16"
        ]
        predicted = model.predict(X, verbose=0)
        assert predicted.dtype == np.float32
        assert_close(predicted, theirs.predict(X, verbose=0), 0.0, 2e-3)  # two units of the last place of float16
        for mine, expected in zip(model.get_weights(), theirs.get_weights(), strict=True):
            assert_close(mine, expected, 0.0, 1e-3)
    loaded.train_on_batch(X, LABELS)
