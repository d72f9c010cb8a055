"""Files of Keras against Keras 3: read with equal predictions, trained on with equal steps, and written back."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'nnx-array[oracle]'")
pytest.importorskip("h5py", reason="h5py is not installed: pip install 'nnx-array[keras-files]'")

import nnx  # noqa: E402
from nnx.random import Generator  # noqa: E402
from nnx.testing import assert_close  # noqa: E402

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning",
    "ignore:Skipping variable loading for optimizer",
    "ignore:.*does not have a `build:UserWarning",
    "ignore:.*legacy:UserWarning",
    "ignore:Layer .* looks like it has unbuilt state:UserWarning",
    "ignore:.*mask.*:UserWarning",
    "ignore:The structure of `inputs` doesn't match:UserWarning",
)

Build = Callable[[Any], Any]  # a model, of a library

ROWS = 6


def numbers(*shape: int) -> np.ndarray:
    return np.float32(Generator(1).normal((ROWS, *shape)))


def words(length: int, vocabulary: int) -> np.ndarray:
    found = np.asarray(Generator(2).integers(ROWS * length)).reshape(ROWS, length)
    return (found % (vocabulary - 1) + 1).astype("int32")


def padded(length: int, vocabulary: int) -> np.ndarray:
    x = words(length, vocabulary)
    x[:2, -2:] = 0
    return x


class Kind:
    """A kind of model: how it is made, what goes in, and how it is compiled."""

    def __init__(self, build: Build, x: Any, optimizer: Build, loss: Any, **compiling: Any) -> None:
        self.build, self.x, self.optimizer, self.loss, self.compiling = build, x, optimizer, loss, compiling


KINDS: dict[str, Kind] = {}


def sgd(library: Any) -> Any:
    return library.optimizers.SGD(0.05)


def kind(name: str, build: Build, x: Any, optimizer: Build = sgd, loss: Any = "mse", **compiling: Any) -> None:
    assert name not in KINDS
    KINDS[name] = Kind(build, x, optimizer, loss, **compiling)


def stack(*layers: Callable[[Any], Any], dtype: str | None = None) -> Build:
    """A Sequential of layers, for an input of the shape of the data."""

    def build(library: Any, shape: tuple[int, ...]) -> Any:
        return library.Sequential([library.Input(shape, dtype=dtype), *(layer(library.layers) for layer in layers)])

    return build


VECTOR, SEQUENCE, IMAGE = numbers(6), numbers(5, 4), numbers(6, 8, 4)

for name, layers in {
    "dense": [lambda lib: lib.Dense(4, "tanh", name="first"), lambda lib: lib.Dense(3)],
    "dense, regularised": [
        lambda lib: lib.Dense(4, kernel_regularizer="l2", bias_regularizer="l1"),
        lambda lib: lib.Dense(3),
    ],
    "dense, constrained": [lambda lib: lib.Dense(4, kernel_constraint="max_norm", bias_constraint="non_neg")],
    "dense, no bias": [lambda lib: lib.Dense(4, "relu", use_bias=False), lambda lib: lib.Dense(3, "sigmoid")],
    "activations": [
        lambda lib: lib.Dense(4, "gelu"),
        lambda lib: lib.Activation("elu"),
        lambda lib: lib.Dense(4, "softplus"),
        lambda lib: lib.Dense(3, "swish"),
    ],
    # one loss of a layer in each model: of several, Keras 3.15 on JAX may leave some out
    "activity": [lambda lib: lib.Dense(4, activity_regularizer="l2")],
    "activity layer": [lambda lib: lib.Dense(4), lambda lib: lib.ActivityRegularization(l2=0.01)],
    "layers as activations": [
        lambda lib: lib.Dense(4, activation=lib.LeakyReLU(0.4)),
        lambda lib: lib.Dense(4, activation=lib.ELU(0.3)),
        lambda lib: lib.Activation(lib.ReLU(max_value=0.5, negative_slope=0.1)),
        lambda lib: lib.Dense(3, activation=lib.Activation(lib.LeakyReLU(0.1))),
        lambda lib: lib.Dense(3, activation=lib.Softmax()),
    ],
    "relu": [lambda lib: lib.Dense(4), lambda lib: lib.ReLU(max_value=1.0, negative_slope=0.1, threshold=0.1)],
    "leaky relu": [lambda lib: lib.Dense(4), lambda lib: lib.LeakyReLU(0.2)],
    "elu": [lambda lib: lib.Dense(4), lambda lib: lib.ELU(0.7)],
    "prelu": [lambda lib: lib.Dense(4), lambda lib: lib.PReLU("glorot_uniform")],
    "softmax": [lambda lib: lib.Dense(4), lambda lib: lib.Softmax()],
    "batch normalisation": [
        lambda lib: lib.Dense(4),
        lambda lib: lib.BatchNormalization(momentum=0.9),
        lambda lib: lib.Dense(2),
    ],
    "batch normalisation, bare": [lambda lib: lib.BatchNormalization(scale=False), lambda lib: lib.Dense(2)],
    "layer normalisation": [lambda lib: lib.Dense(4), lambda lib: lib.LayerNormalization(), lambda lib: lib.Dense(2)],
    "group normalisation": [lambda lib: lib.GroupNormalization(3), lambda lib: lib.Dense(2)],
    "rms normalisation": [lambda lib: lib.RMSNormalization(), lambda lib: lib.Dense(2)],
    "unit normalisation": [lambda lib: lib.UnitNormalization(), lambda lib: lib.Dense(2)],
    "normalisation, given": [
        lambda lib: lib.Normalization(mean=[1.0] * 6, variance=[2.0] * 6),
        lambda lib: lib.Dense(2),
    ],
    "rescaling": [lambda lib: lib.Rescaling(0.5, 1.0), lambda lib: lib.Dense(2)],
    "shapes": [
        lambda lib: lib.Reshape((3, 2)),
        lambda lib: lib.Permute((2, 1)),
        lambda lib: lib.Flatten(),
        lambda lib: lib.Dense(2),
    ],
    "repeat": [lambda lib: lib.RepeatVector(3), lambda lib: lib.Dense(2)],
    "dropouts of nothing": [
        lambda lib: lib.Dropout(0.0),
        lambda lib: lib.GaussianDropout(0.0),
        lambda lib: lib.AlphaDropout(0.0),
        lambda lib: lib.GaussianNoise(0.0),
        lambda lib: lib.Dense(2),
    ],
    "initialisers": [
        lambda lib: lib.Dense(4, kernel_initializer="orthogonal", bias_initializer="ones"),
        lambda lib: lib.Dense(4, kernel_initializer="he_normal"),
        lambda lib: lib.Dense(4, kernel_initializer="identity", bias_initializer="random_normal"),
        lambda lib: lib.Dense(2, kernel_initializer="variance_scaling"),
    ],
    "frozen": [
        lambda lib: lib.Dense(4, trainable=False),
        lambda lib: lib.BatchNormalization(trainable=False),
        lambda lib: lib.Dense(2),
    ],
    "identity": [lambda lib: lib.Identity(), lambda lib: lib.Dense(2)],
}.items():
    kind(name, stack(*layers), VECTOR)

for name, layers in {
    "conv1d": [
        lambda lib: lib.Conv1D(3, 3, padding="causal", dilation_rate=2),
        lambda lib: lib.GlobalAveragePooling1D(),
    ],
    "conv1d, groups": [
        lambda lib: lib.Conv1D(4, 2, strides=2, groups=2),
        lambda lib: lib.Flatten(),
        lambda lib: lib.Dense(2),
    ],
    "conv1d transpose": [lambda lib: lib.Conv1DTranspose(3, 2, strides=2), lambda lib: lib.Dense(2)],
    "depthwise 1d": [lambda lib: lib.DepthwiseConv1D(2, depth_multiplier=2), lambda lib: lib.Dense(2)],
    "separable 1d": [lambda lib: lib.SeparableConv1D(3, 2), lambda lib: lib.Dense(2)],
    "pooling 1d": [
        lambda lib: lib.MaxPooling1D(2, padding="same"),
        lambda lib: lib.AveragePooling1D(2),
        lambda lib: lib.Dense(2),
    ],
    "global pooling 1d": [lambda lib: lib.GlobalMaxPooling1D(keepdims=True), lambda lib: lib.Dense(2)],
    "padding 1d": [
        lambda lib: lib.ZeroPadding1D(2),
        lambda lib: lib.Cropping1D((1, 2)),
        lambda lib: lib.UpSampling1D(2),
        lambda lib: lib.Dense(2),
    ],
    "spatial dropout 1d": [lambda lib: lib.SpatialDropout1D(0.0), lambda lib: lib.Dense(2)],
    "simple rnn": [lambda lib: lib.SimpleRNN(3, return_sequences=True), lambda lib: lib.SimpleRNN(2, "relu")],
    "lstm": [
        lambda lib: lib.LSTM(3, return_sequences=True, go_backwards=True),
        lambda lib: lib.LSTM(2, unit_forget_bias=False),
    ],
    "gru": [lambda lib: lib.GRU(3, return_sequences=True), lambda lib: lib.GRU(2, reset_after=False)],
    "bidirectional": [
        lambda lib: lib.Bidirectional(lib.LSTM(3, return_sequences=True)),
        lambda lib: lib.Bidirectional(lib.GRU(2), "sum"),
    ],
    "bidirectional of two": [
        lambda lib: lib.Bidirectional(
            lib.GRU(2, name="ahead"), backward_layer=lib.LSTM(2, go_backwards=True, name="back")
        ),
        lambda lib: lib.Dense(2),
    ],
    "time distributed": [lambda lib: lib.TimeDistributed(lib.Dense(3, "tanh")), lambda lib: lib.LSTM(2)],
    "masking": [lambda lib: lib.Masking(0.0), lambda lib: lib.GRU(3), lambda lib: lib.Dense(2)],
    "norm of sequences": [
        lambda lib: lib.BatchNormalization(),
        lambda lib: lib.LayerNormalization(axis=(1, 2)),
        lambda lib: lib.Dense(2),
    ],
}.items():
    kind(name, stack(*layers), SEQUENCE)

for name, layers in {
    "conv2d": [
        lambda lib: lib.Conv2D(3, 3, padding="same", activation="relu"),
        lambda lib: lib.GlobalAveragePooling2D(),
        lambda lib: lib.Dense(2),
    ],
    "conv2d, strides": [
        lambda lib: lib.Conv2D(3, (2, 3), strides=2),
        lambda lib: lib.Flatten(),
        lambda lib: lib.Dense(2),
    ],
    "conv2d, groups": [lambda lib: lib.Conv2D(4, 2, groups=2, dilation_rate=2), lambda lib: lib.GlobalMaxPooling2D()],
    "conv2d transpose": [lambda lib: lib.Conv2DTranspose(3, 3, strides=2, padding="same"), lambda lib: lib.Dense(2)],
    "depthwise 2d": [lambda lib: lib.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False), lambda lib: lib.Dense(2)],
    "separable 2d": [lambda lib: lib.SeparableConv2D(3, 3, depth_multiplier=2), lambda lib: lib.Dense(2)],
    "pooling 2d": [
        lambda lib: lib.MaxPooling2D((2, 3)),
        lambda lib: lib.AveragePooling2D(2, padding="same"),
        lambda lib: lib.Dense(2),
    ],
    "padding 2d": [
        lambda lib: lib.ZeroPadding2D(((1, 2), (0, 1))),
        lambda lib: lib.Cropping2D(1),
        lambda lib: lib.UpSampling2D((1, 2), interpolation="bilinear"),
        lambda lib: lib.Dense(2),
    ],
    "prelu 2d": [
        lambda lib: lib.Conv2D(3, 2),
        lambda lib: lib.PReLU(shared_axes=[1, 2]),
        lambda lib: lib.BatchNormalization(),
    ],
    "spatial dropout 2d": [lambda lib: lib.SpatialDropout2D(0.0), lambda lib: lib.Dense(2)],
    "augmentation": [
        lambda lib: lib.RandomFlip("horizontal"),
        lambda lib: lib.RandomRotation(0.1),
        lambda lib: lib.RandomZoom(0.1),
        lambda lib: lib.RandomTranslation(0.1, 0.1),
        lambda lib: lib.Flatten(),
        lambda lib: lib.Dense(2),
    ],
    "images": [
        lambda lib: lib.Resizing(5, 6),
        lambda lib: lib.RandomContrast(0.1),
        lambda lib: lib.AutoContrast((-3.0, 3.0)),
        lambda lib: lib.CenterCrop(4, 4),
        # not trained: the derivative of RandAugment of Keras is NaN
        lambda lib: lib.Pipeline([lib.Rescaling(0.5), lib.Dense(3, trainable=False), lib.RandomInvert(0.5)]),
        lambda lib: lib.RandAugment(factor=0.4),
        lambda lib: lib.Flatten(),
        lambda lib: lib.Dense(2),
    ],
}.items():
    short = name == "images"  # whose numbers are up to 255, as colours are
    kind(name, stack(*layers), IMAGE, (lambda lib: lib.optimizers.SGD(1e-6)) if short else sgd)

kind(
    "embedding",
    stack(lambda lib: lib.Embedding(9, 4), lambda lib: lib.Flatten(), lambda lib: lib.Dense(2), dtype="int32"),
    words(5, 9),
)
kind(
    "embedding, mask",
    stack(lambda lib: lib.Embedding(9, 4, mask_zero=True), lambda lib: lib.LSTM(3), lambda lib: lib.Dense(2)),
    padded(5, 9),
)


kind(
    "layers as activations, recurrent",
    stack(
        lambda lib: lib.LSTM(
            3, activation=lib.LeakyReLU(0.4), recurrent_activation=lib.ReLU(max_value=1.0), return_sequences=True
        ),
        lambda lib: lib.Bidirectional(lib.GRU(3, activation=lib.ELU(0.3), return_sequences=True)),
        lambda lib: lib.RNN(lib.SimpleRNNCell(3, activation=lib.LeakyReLU(0.4)), return_sequences=True),
        lambda lib: lib.TimeDistributed(lib.Dense(3, activation=lib.LeakyReLU(0.4))),
    ),
    SEQUENCE,
)
kind(
    "layers as activations, images",
    stack(
        lambda lib: lib.Conv2D(3, 3, activation=lib.LeakyReLU(0.4)),
        lambda lib: lib.DepthwiseConv2D(2, activation=lib.ELU(0.3)),
        lambda lib: lib.SeparableConv2D(3, 2, activation=lib.LeakyReLU(0.4)),
        lambda lib: lib.Conv2DTranspose(2, 2, activation=lib.ReLU(negative_slope=0.2)),
    ),
    IMAGE,
)


# Graphs


def two_inputs(lib: Any, *_: Any) -> Any:
    a, b = lib.Input((4,), name="a"), lib.Input((3,), name="b")
    shared = lib.layers.Dense(5, activation="tanh", name="shared")
    left, right = lib.layers.Dense(4)(b), a
    joined = lib.layers.Concatenate()([shared(left), shared(right), lib.layers.Add()([left, right])])
    return lib.Model([a, b], [lib.layers.Dense(2, name="one")(joined), lib.layers.Dense(1, name="two")(shared(right))])


def nested(lib: Any, *_: Any) -> Any:
    x = lib.Input((6,))
    inner_x = lib.Input((4,), name="inside")
    inner = lib.Model(inner_x, lib.layers.Dense(4, name="deep")(lib.layers.BatchNormalization()(inner_x)), name="inner")
    stacked = lib.Sequential([lib.Input((4,)), lib.layers.Dense(4, "relu"), lib.layers.Dense(4)])
    first = lib.layers.Dense(4)(x)
    return lib.Model(x, lib.layers.Dense(2)(lib.layers.Multiply()([inner(first), inner(stacked(first))])))


def frozen_base(lib: Any, *_: Any) -> Any:
    x = lib.Input((6,))
    base = lib.Sequential([lib.Input((6,)), lib.layers.Dense(4, "relu"), lib.layers.BatchNormalization()], name="base")
    base.trainable = False
    return lib.Model(x, lib.layers.Dense(2)(base(x, training=False)))


def merging(lib: Any, *_: Any) -> Any:
    x = lib.Input((6,))
    a, b = lib.layers.Dense(4)(x), lib.layers.Dense(4, "relu")(x)
    parts = [
        lib.layers.Subtract()([a, b]),
        lib.layers.Average()([a, b]),
        lib.layers.Maximum()([a, b]),
        lib.layers.Minimum()([a, b]),
        lib.layers.Dot(1)([a, b]),
    ]
    return lib.Model(x, lib.layers.Dense(2)(lib.layers.Concatenate()(parts)))


def operators(lib: Any, *_: Any) -> Any:
    x = lib.Input((6,))
    a = lib.layers.Dense(4, name="a")(x)
    b = lib.layers.Dense(4, name="b")(x)
    y = (a + b) * 2.0 - b / 2.0 + (1.0 - a)
    return lib.Model(x, lib.layers.Dense(2)(-(y[:, 1:] ** 2)))


def functions_with_arguments(lib: Any, *_: Any) -> Any:
    x = lib.Input((6,))
    y = lib.activations.relu(lib.layers.Dense(4)(x), negative_slope=0.3, max_value=0.5, threshold=0.1)
    y = lib.activations.leaky_relu(lib.layers.Dense(4)(y), negative_slope=0.4)
    y = lib.activations.elu(lib.layers.Dense(4)(y), alpha=0.3)
    return lib.Model(x, lib.activations.softmax(lib.layers.Dense(3)(y)))


def attention(lib: Any, *_: Any) -> Any:
    x = lib.Input((5, 4))
    y = lib.layers.MultiHeadAttention(2, 3, name="attend")(x, x)
    y = lib.layers.LayerNormalization()(lib.layers.Add()([x, y]))
    y = lib.layers.MultiHeadAttention(2, 2)(y, x, use_causal_mask=True)
    return lib.Model(x, lib.layers.Dense(2)(lib.layers.GlobalAveragePooling1D()(y)))


def masked_graph(lib: Any, *_: Any) -> Any:
    x = lib.Input((5,), dtype="int32")
    y = lib.layers.Embedding(9, 4, mask_zero=True)(x)
    y = lib.layers.Bidirectional(lib.layers.LSTM(3, return_sequences=True))(y)
    return lib.Model(x, lib.layers.Dense(2)(lib.layers.GRU(3)(y)))


def states(lib: Any, *_: Any) -> Any:
    x = lib.Input((5, 4))
    y, h, c = lib.layers.LSTM(3, return_state=True, return_sequences=True)(x)
    return lib.Model(x, lib.layers.Dense(2)(lib.layers.LSTM(3)(y, initial_state=[h, c])))


def dict_outputs(lib: Any, *_: Any) -> Any:
    x = lib.Input((6,))
    hidden = lib.layers.Dense(4, "relu")(x)
    return lib.Model(x, {"a": lib.layers.Dense(2, name="a")(hidden), "b": lib.layers.Dense(1, name="b")(hidden)})


def one_head(lib: Any, *_: Any) -> Any:
    x = lib.Input((5, 4))
    y = lib.layers.Attention(use_scale=True, score_mode="concat")([x, lib.layers.Dense(4)(x)])
    y = lib.layers.AdditiveAttention()([y, x])
    return lib.Model(x, lib.layers.EinsumDense("...x,xy->...y", 2, bias_axes="y")(y))


def cells(lib: Any, *_: Any) -> Any:
    x = lib.Input((5, 4))
    stack = lib.layers.StackedRNNCells([lib.layers.LSTMCell(3), lib.layers.GRUCell(2)])
    y, h = lib.layers.RNN(lib.layers.SimpleRNNCell(3), return_sequences=True, return_state=True)(x)
    y = lib.layers.RNN(lib.layers.GRUCell(3), return_sequences=True)(y, initial_state=[h])
    y = lib.layers.Bidirectional(lib.layers.RNN(lib.layers.LSTMCell(2), return_sequences=True))(y)
    return lib.Model(x, lib.layers.Dense(2)(lib.layers.RNN(stack)(y)))


def grouped(lib: Any, *_: Any) -> Any:
    x = lib.Input((5, 4))
    y = lib.layers.GroupQueryAttention(3, 4, 2)(x, x)
    return lib.Model(x, lib.layers.GroupQueryAttention(2, 2, 1, use_bias=False)(y, x))


def films(lib: Any, *_: Any) -> Any:
    x = lib.Input((3, 4, 5, 2))
    y = lib.layers.ConvLSTM2D(3, 2, return_sequences=True)(x)
    y = lib.layers.ConvLSTM2D(2, 2, padding="same", unit_forget_bias=False)(y)
    y = lib.layers.SpectralNormalization(lib.layers.Conv2D(2, 2))(lib.layers.AdaptiveMaxPooling2D(2)(y))
    return lib.Model(x, lib.layers.SpectralNormalization(lib.layers.Dense(2))(lib.layers.Flatten()(y)))


def volumes(lib: Any, *_: Any) -> Any:
    x = lib.Input((3, 4, 5, 2))
    y = lib.layers.Conv3D(3, 2, padding="same", activation="relu")(lib.layers.ZeroPadding3D((1, 0, 1))(x))
    y = lib.layers.MaxPooling3D((1, 2, 2))(lib.layers.Conv3DTranspose(2, 2, strides=2)(y))
    y = lib.layers.UpSampling3D((1, 2, 1))(lib.layers.Cropping3D((1, 0, 1))(lib.layers.AveragePooling3D(2)(y)))
    return lib.Model(x, lib.layers.Dense(2)(lib.layers.GlobalAveragePooling3D()(lib.layers.SpatialDropout3D(0.0)(y))))


kind("two inputs", two_inputs, [numbers(4), numbers(3)], loss=["mse", "mae"], loss_weights=[1.0, 0.5])
kind("nested", nested, VECTOR)
kind("frozen base", frozen_base, VECTOR)
kind("functions with arguments", functions_with_arguments, VECTOR)
kind("merging", merging, VECTOR)
kind("operators", operators, VECTOR, lambda lib: lib.optimizers.SGD(0.001))  # squares grow
kind("attention", attention, SEQUENCE)
kind("masked graph", masked_graph, padded(5, 9))
kind("states", states, SEQUENCE)
kind("attention of one head", one_head, SEQUENCE)
kind("cells", cells, SEQUENCE)
kind("grouped attention", grouped, SEQUENCE)
kind("films", films, numbers(3, 4, 5, 2))
kind("volumes", volumes, numbers(3, 4, 5, 2))
kind("dict of outputs", dict_outputs, VECTOR, loss={"a": "mse", "b": "mae"})

# Optimisers

SMALL = stack(
    lambda lib: lib.Dense(4, "tanh"), lambda lib: lib.BatchNormalization(), lambda lib: lib.Dense(3, "softmax")
)
for name, optimizer in {
    "sgd, nesterov": lambda lib: lib.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "rmsprop": lambda lib: lib.optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "adam": lambda lib: lib.optimizers.Adam(0.01, amsgrad=True, clipnorm=1.0),
    "adamw": lambda lib: lib.optimizers.AdamW(0.01, weight_decay=0.01),
    "adamax": lambda lib: lib.optimizers.Adamax(0.01),
    "nadam": lambda lib: lib.optimizers.Nadam(0.01),
    "adagrad": lambda lib: lib.optimizers.Adagrad(0.01),
    "adadelta": lambda lib: lib.optimizers.Adadelta(0.5),
    "adafactor": lambda lib: lib.optimizers.Adafactor(0.01),
    "ftrl": lambda lib: lib.optimizers.Ftrl(0.05),
    "lion": lambda lib: lib.optimizers.Lion(0.01),
    "lamb": lambda lib: lib.optimizers.Lamb(0.01),
    "muon": lambda lib: lib.optimizers.Muon(0.01),
    "moving average": lambda lib: lib.optimizers.Adam(0.01, use_ema=True),
    "accumulation": lambda lib: lib.optimizers.Adam(0.01, gradient_accumulation_steps=2),
    "schedule": lambda lib: lib.optimizers.Adam(lib.optimizers.schedules.ExponentialDecay(0.05, 2, 0.5)),
}.items():
    kind(name, SMALL, VECTOR, optimizer, "categorical_crossentropy", metrics=["accuracy"])

for name, loss in {
    "huber": lambda lib: lib.losses.Huber(0.5),
    "smoothed": lambda lib: lib.losses.CategoricalCrossentropy(label_smoothing=0.1),
    "kl": lambda lib: "kl_divergence",
}.items():
    kind(name, SMALL, VECTOR, sgd, loss, metrics=["mae", "mse"], weighted_metrics=["mae"])
kind(
    "logits",
    stack(lambda lib: lib.Dense(4, "tanh"), lambda lib: lib.Dense(3)),
    VECTOR,
    loss=lambda lib: lib.losses.BinaryCrossentropy(from_logits=True),
    metrics=["mae", "mse"],
    weighted_metrics=["mae"],
)


def shape_of(x: Any) -> tuple[int, ...]:
    return () if isinstance(x, list) else x.shape[1:]


def make(library: Any, one: Kind) -> Any:
    """A compiled model of a library."""
    model = one.build(library, shape_of(one.x))
    loss = one.loss(library) if callable(one.loss) else one.loss
    eager = {"run_eagerly": True} if library is keras else {}
    model.compile(one.optimizer(library), loss, **one.compiling, **eager)
    return model


def as_list(y: Any) -> list[np.ndarray]:
    found = list(y.values()) if isinstance(y, dict) else y if isinstance(y, list | tuple) else [y]
    return [np.asarray(part) for part in found]


def targets_of(model: Any, x: Any) -> Any:
    """Targets that fit the outputs: shares of classes."""
    outputs = model.predict(x, verbose=0)
    made = [np.float32(Generator(5).uniform(y.shape, 0.1, 1.0)) for y in as_list(outputs)]
    if isinstance(outputs, dict):
        return dict(zip(outputs, made, strict=True))
    return made if len(made) > 1 else made[0]


def assert_equal_predictions(ours: Any, theirs: Any, x: Any, tolerance: float = 2e-5) -> None:
    for mine, expected in zip(as_list(ours.predict(x, verbose=0)), as_list(theirs.predict(x, verbose=0)), strict=True):
        assert np.isfinite(expected).all()  # NaN would be equal to NaN
        assert_close(mine, expected, tolerance, tolerance * max(float(np.abs(expected).max()), 0.05))


def shaken(model: Any) -> None:
    """Give a model weights that are not where they begin."""
    generator = Generator(8)
    model.set_weights([_shaken(np.asarray(w), generator) for w in model.get_weights()])


def _shaken(weight: np.ndarray, generator: Generator) -> np.ndarray:
    moved = np.abs(weight) + 0.05 * generator.uniform(weight.shape) if weight.min(initial=1) >= 0.5 else weight
    return np.asarray(moved + 0.02 * generator.uniform(weight.shape), weight.dtype)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Any, Path, Any]]:
    """A model of Keras after two steps, the folder with its three files, and the targets; each made once."""
    made: dict[str, tuple[Any, Path, Any]] = {}

    def get(name: str) -> tuple[Any, Path, Any]:
        if name not in made:
            one = KINDS[name]
            keras.utils.set_random_seed(3)
            model = make(keras, one)
            shaken(model)
            y = targets_of(model, one.x)
            for _ in range(2):
                model.train_on_batch(one.x, y)
            folder = tmp_path_factory.mktemp("keras")
            model.save(folder / "m.keras")
            model.save_weights(folder / "m.weights.h5")
            if name not in NOT_IN_H5:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    model.save(folder / "m.h5")
            made[name] = model, folder, y
        return made[name]

    return get


def reloaded(path: Path) -> Any:
    """A model that Keras itself loads, which the tests may train on."""
    return keras.saving.load_model(path)


NOT_IN_H5 = (
    "adafactor",  # two of its variables have one name, which Keras itself does not write
    "functions with arguments",  # which are no layers, and .h5 does not say what they are instead
)
DRAWING = ("augmentation", "images")  # draw random numbers in training, which are not Keras'


def train_both(ours: Any, theirs: Any, one: Kind, y: Any) -> None:
    for model in (ours, theirs):
        for _ in range(2):
            model.train_on_batch(one.x, y)


@pytest.mark.parametrize("name", KINDS)
def test_a_keras_file_is_read(name: str, trained: Any):
    theirs, folder, y = trained(name)
    one = KINDS[name]
    ours = nnx.models.load_model(folder / "m.keras")
    assert_equal_predictions(ours, theirs, one.x)
    assert ours.optimizer.iterations == int(np.asarray(theirs.optimizer.iterations))
    if name not in DRAWING:
        copy = reloaded(folder / "m.keras")
        train_both(ours, copy, one, y)
        assert_equal_predictions(ours, copy, one.x)


@pytest.mark.parametrize("name", [name for name in KINDS if name not in NOT_IN_H5])
def test_a_whole_model_in_h5_is_read(name: str, trained: Any):
    theirs, folder, y = trained(name)
    one = KINDS[name]
    ours = nnx.models.load_model(folder / "m.h5")
    assert_equal_predictions(ours, theirs, one.x)
    if name not in DRAWING:
        copy = reloaded(folder / "m.keras")
        train_both(ours, copy, one, y)
        assert_equal_predictions(ours, copy, one.x)


@pytest.mark.parametrize("name", KINDS)
def test_weights_are_read(name: str, trained: Any):
    theirs, folder, y = trained(name)
    one = KINDS[name]
    for file in sorted(path.name for path in folder.iterdir()):
        ours = make(nnx, one)
        ours.load_weights(folder / file)
        assert_equal_predictions(ours, theirs, one.x)
    if name not in DRAWING:  # both begin with a new optimiser
        copy = make(keras, one)
        for model in (ours, copy):
            model.load_weights(folder / "m.weights.h5")
        train_both(ours, copy, one, y)
        assert_equal_predictions(ours, copy, one.x)


@pytest.mark.parametrize("name", KINDS)
def test_what_nnx_writes_is_read_by_keras(name: str, trained: Any, tmp_path: Path):
    _, folder, y = trained(name)
    one = KINDS[name]
    ours = nnx.models.load_model(folder / "m.keras")
    ours.save(tmp_path / "m.keras")
    ours.save_weights(tmp_path / "m.weights.h5")
    back = reloaded(tmp_path / "m.keras")
    assert_equal_predictions(ours, back, one.x)
    fresh = make(keras, one)
    fresh.load_weights(tmp_path / "m.weights.h5")
    assert_equal_predictions(ours, fresh, one.x)
    again = nnx.models.load_model(tmp_path / "m.keras")
    assert_equal_predictions(again, ours, one.x, 1e-7)
    if name not in DRAWING:
        train_both(ours, back, one, y)
        assert_equal_predictions(ours, back, one.x)


# Mixed precision


def headed(lib: Any, *_: Any) -> Any:
    x = lib.Input((6,))
    hidden = lib.layers.BatchNormalization()(lib.layers.Dense(4, "tanh")(x))
    return lib.Model(x, lib.layers.Dense(3, lib.layers.Softmax(), dtype="float32")(hidden))


def gated(lib: Any, *_: Any) -> Any:
    return lib.Sequential([lib.Input((6,)), lib.layers.Reshape((3, 2)), lib.layers.GRU(3), lib.layers.Dense(2)])


MIXED: dict[str, tuple[Build, Build]] = {
    "sgd": (headed, sgd),
    "momentum": (gated, lambda lib: lib.optimizers.SGD(0.05, momentum=0.9)),
    "adam": (gated, lambda lib: lib.optimizers.Adam(0.01, amsgrad=True)),
    "moving average": (headed, lambda lib: lib.optimizers.Adam(0.01, use_ema=True)),
    "adafactor": (headed, lambda lib: lib.optimizers.Adafactor(0.01)),
    "muon": (gated, lambda lib: lib.optimizers.Muon(0.01)),
    "scale": (headed, lambda lib: lib.optimizers.LossScaleOptimizer(lib.optimizers.Adam(0.01), 2.0**12, 3)),
    "fixed scale": (gated, lambda lib: lib.optimizers.SGD(0.05, loss_scale_factor=64.0)),
}
HALF = 2e-3  # a few units of the last place of float16


def scale_of(optimizer: Any) -> tuple[float, float]:
    """The scale of the loss, and the steps since it has changed."""
    if hasattr(optimizer, "dynamic_scale"):
        return float(np.asarray(optimizer.dynamic_scale)), float(np.asarray(optimizer.step_counter))
    value, good_steps = optimizer.state()["loss_scale"] if hasattr(optimizer, "state") else (None, None)
    return (optimizer.loss_scale_factor, 0.0) if optimizer.loss_scale_factor else (value, good_steps)


@pytest.mark.parametrize("name", MIXED)
def test_mixed_precision_goes_both_ways(name: str, tmp_path: Path):
    """Weights in float32, what an optimizer has learned, and the scale of the loss."""
    build, optimizer = MIXED[name]
    with nnx.backend("numpy", dtype="float16"):
        ours = build(nnx)
    ours.compile(optimizer(nnx), "mse")
    y = targets_of(ours, VECTOR)
    for _ in range(4):
        ours.train_on_batch(VECTOR, y)
    ours.save(tmp_path / "ours.keras")
    theirs = reloaded(tmp_path / "ours.keras")
    theirs.compile(theirs.optimizer, "mse", run_eagerly=True, auto_scale_loss=False)
    theirs.save(tmp_path / "theirs.keras")
    for back in (theirs, nnx.models.load_model(tmp_path / "theirs.keras")):
        assert_equal_predictions(ours, back, VECTOR, HALF)
        assert scale_of(back.optimizer) == scale_of(ours.optimizer)
        assert int(np.asarray(back.optimizer.iterations)) == ours.optimizer.iterations
        masters = ours.optimizer.state_arrays(ours.flat)
        trained = [masters[f"master/{weight.path}"] for weight in ours.trainable_weights]
        if back is theirs:
            found = [np.asarray(weight) for weight in theirs.trainable_weights]
        else:
            masters = back.optimizer.state_arrays(back.flat)
            found = [masters[f"master/{weight.path}"] for weight in back.trainable_weights]
        for mine, expected in zip(found, trained, strict=True):
            assert_close(mine, expected, 0.0, 0.0)
        for model in (ours, back):
            model.train_on_batch(VECTOR, y)
        assert_equal_predictions(ours, back, VECTOR, HALF)
        ours = nnx.models.load_model(tmp_path / "ours.keras")


def test_what_keras_has_not_trained_yet_is_trained_from_float32(tmp_path: Path):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        theirs = headed(keras)
        theirs.compile("adam", "mse")
        theirs.save(tmp_path / "m.keras")
    finally:
        keras.config.set_dtype_policy("float32")
    ours = nnx.models.load_model(tmp_path / "m.keras")
    masters = ours.optimizer.state_arrays(ours.flat)
    for weight, expected in zip(ours.trainable_weights, theirs.trainable_weights, strict=True):
        assert_close(masters[f"master/{weight.path}"], np.asarray(expected), 0.0, 0.0)
    ours.train_on_batch(VECTOR, targets_of(ours, VECTOR))


def test_there_are_sixty_kinds():
    assert len(KINDS) >= 60
