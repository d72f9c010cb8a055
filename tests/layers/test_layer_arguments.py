"""Arguments of layers: mistakes that are explained, and what old scripts write."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.layers import (
    ELU,
    Activation,
    Dense,
    Dropout,
    Flatten,
    Input,
    InputLayer,
    Layer,
    LeakyReLU,
    PReLU,
    ReLU,
    Reshape,
    Softmax,
)
from nnx.testing import assert_close

X = np.ones((4, 3), np.float32)

MISTAKES: list[tuple[str, Callable[[], Any], type[Exception], str]] = [
    ("no units", lambda: Dense(0), ValueError, r"^dense: units must be a positive integer, got 0"),
    ("negative units", lambda: Dense(-3, name="hidden"), ValueError, r"^hidden: units must be a positive .* got -3"),
    (
        "endless iterations",
        lambda: nnx.layers.SpectralNormalization(Dense(2), power_iterations=10**12),
        ValueError,
        "power_iterations must be at most 1000, got 1000000000000",
    ),
    ("broken units", lambda: Dense(2.5), ValueError, r"units must be a positive integer, got 2.5"),
    ("units as text", lambda: Dense("3"), ValueError, r"got '3'"),
    ("units true", lambda: Dense(True), ValueError, r"got True"),
    ("shape in pieces", lambda: Input(28, 28, 1), TypeError, r"one tuple: write Input\(\(28, 28, 1\)\)"),
    ("misspelt argument", lambda: Dense(2, activaton="relu"), TypeError, r"no argument 'activaton'.*'activation'"),
    ("unknown argument", lambda: Dense(2, foo=1), TypeError, r"Dense has no argument 'foo'"),
    ("unknown activation", lambda: Dense(2, "rellu"), ValueError, r"unknown activation 'rellu': did you mean .*'relu'"),
    ("activation a number", lambda: Dense(2, 3), TypeError, r"an activation is None, a name such as 'relu'.*got 3"),
    ("activation a layer", lambda: Dense(2, Dense(3)), TypeError, r"a layer is not an activation"),
    (
        "initializer",
        lambda: Dense(2, kernel_initializer="glorot"),
        ValueError,
        r"'glorot': .*GlorotUniform",
    ),
    ("initializer a number", lambda: Dense(2, bias_initializer=3), TypeError, r"an initializer is .*got 3"),
    ("regularizer", lambda: Dense(2, kernel_regularizer="l3"), ValueError, r"unknown regularizer 'l3': .*L2"),
    ("regularizer a number", lambda: Dense(2, kernel_regularizer=0.1), TypeError, r"a regularizer is .*got 0.1"),
    ("activity", lambda: Dense(2, activity_regularizer=3), TypeError, r"a regularizer is .*got 3"),
    ("constraint", lambda: Dense(2, kernel_constraint="max"), ValueError, r"unknown constraint 'max'.*MaxNorm"),
    ("constraint a number", lambda: Dense(2, bias_constraint=3), TypeError, r"a constraint is .*got 3"),
    ("dtype", lambda: Dense(2, dtype="float31"), ValueError, r"^dense: dtype must be one of .*float32.*got 'float31'"),
    ("integer dtype", lambda: Dense(2, dtype="int32")(X), ValueError, r"dtype must be one of float16, .*got 'int32'"),
    ("name with a slash", lambda: Dense(2, name="a/b"), ValueError, r"without '/', got 'a/b'"),
    ("name a number", lambda: Dense(2, name=3), ValueError, r"must be text.*got 3"),
    ("input_dim", lambda: Dense(2, input_dim=-4), ValueError, r"input shape of Dense .*non-negative.*-4"),
    ("input_dim text", lambda: Dense(2, input_dim="a"), ValueError, r"input shape of Dense .*'a'"),
    ("input_shape", lambda: Dense(2, input_shape=(2.5,)), ValueError, r"input shape of Dense .*2.5"),
    ("scalar input", lambda: Input(batch_shape=()), ValueError, r"needs the size of the batch"),
    ("batch_input_shape", lambda: Dense(2, batch_input_shape="ab"), TypeError, r"must be a tuple of sizes.*'ab'"),
    (
        "vector",
        lambda: Dense(2)([1.0, 2.0]),
        ValueError,
        r"^dense: expected an input \(batch, ..., features\)",
    ),
    ("scalar", lambda: Dense(2)(3.0), ValueError, r"first axis is the batch, got a single number"),
    ("flat scalar", lambda: Flatten()(3.0), ValueError, r"^flatten: .*got a single number"),
    ("not numbers", lambda: Dense(2)([["a"]]), TypeError, r"expected real numbers"),
    ("complex numbers", lambda: Dense(2)([[1j]]), TypeError, r"expected real numbers, got data of dtype complex128"),
    ("nothing", lambda: Dense(2)(None), TypeError, r"expected real numbers"),
    ("count before built", lambda: Dense(2).count_params(), ValueError, r"^dense has no parameters to count before"),
    ("rate above 1", lambda: Dropout(1.5), ValueError, r"^dropout: rate must be a number from 0 to 1, got 1.5"),
    ("negative rate", lambda: Dropout(-0.1), ValueError, r"rate must be a number from 0 to 1, got -0.1"),
    ("rate text", lambda: Dropout("half"), ValueError, r"got 'half'"),
    ("rate true", lambda: Dropout(True), ValueError, r"got True"),
    ("rate nan", lambda: Dropout(float("nan")), ValueError, r"got nan"),
    ("seed", lambda: Dropout(0.5, seed=-1)(X), ValueError, r"seed must be a non-negative integer, got -1"),
    (
        "noise rank",
        lambda: Dropout(0.5, noise_shape=(1,))(X, training=True),
        ValueError,
        r"dropout: .*\(1,\).*\(4,",
    ),
    ("noise of nothing", lambda: Dropout(0.5, noise_shape=(4, 0)), ValueError, r"noise_shape of dropout.*positive"),
    ("noise size", lambda: Dropout(0.5, noise_shape=(4, 2))(X, training=True), ValueError, r"dropout: .*noise_shape"),
    (
        "relu bound",
        lambda: ReLU(max_value=-1.0),
        ValueError,
        r"^re_lu: max_value must .*not negative, got -1",
    ),
    ("relu slope", lambda: ReLU(negative_slope=-1.0), ValueError, r"^re_lu: negative_slope .*got -1"),
    ("relu threshold", lambda: ReLU(threshold="a"), ValueError, r"^re_lu: threshold .*got 'a'"),
    ("leaky slope", lambda: LeakyReLU(-0.1), ValueError, r"^leaky_re_lu: negative_slope .*got -0.1"),
    ("leaky alpha", lambda: LeakyReLU(alpha=None), ValueError, r"^leaky_re_lu: negative_slope .*got None"),
    ("elu alpha", lambda: ELU("a"), ValueError, r"^elu: alpha must be a number, got 'a'"),
    ("softmax axis", lambda: Softmax(axis=2)(X), ValueError, r"^softmax: axis .*\(4, 3\), got 2"),
    (
        "prelu axis",
        lambda: PReLU(shared_axes=[2])(X),
        ValueError,
        r"^p_re_lu: shared_axes .*1 and 1, got 2",
    ),
    ("prelu batch axis", lambda: PReLU(shared_axes=0)(X), ValueError, r"^p_re_lu: shared_axes .*got 0"),
    ("prelu sizes", lambda: nnx.Sequential([PReLU(input_shape=(None, 3))]), ValueError, r"^p_re_lu: .*must be known"),
    ("reshape twice -1", lambda: Reshape((-1, -1)), ValueError, r"^reshape: target_shape .*at most one -1"),
    ("reshape -2", lambda: Reshape((3, -2)), ValueError, r"^reshape: target_shape .*got \(3, -2\)"),
    ("reshape broken", lambda: Reshape(2.5), ValueError, r"^reshape: target_shape .*got \(2.5,\)"),
    ("reshape count", lambda: Reshape((2, 2))(X), ValueError, r"cannot reshape samples of shape \(3,\) \(3 values\)"),
    ("reshape rest", lambda: Reshape((2, -1))(X), ValueError, r"cannot reshape samples of shape \(3,\)"),
    ("input of nothing", lambda: Input(), ValueError, r"Input needs the shape of one sample, such as Input\(shape="),
    ("input negative", lambda: Input(shape=(-1,)), ValueError, r"shape of Input .*\(-1,\)"),
    ("input text", lambda: Input(shape="abc"), TypeError, r"shape of Input must be a tuple of sizes.*'abc'"),
    ("no such activation", lambda: Activation("tahn"), ValueError, r"unknown activation 'tahn'.*'tanh'"),
]


@pytest.mark.parametrize(("make", "error", "words"), [m[1:] for m in MISTAKES], ids=[m[0] for m in MISTAKES])
def test_mistakes_are_explained(make: Callable[[], Any], error: type[Exception], words: str):
    with pytest.raises(error, match=words):
        make()


def test_other_shapes_than_a_layer_was_built_for():
    layer = Dense(2, name="hidden")
    layer(X)
    with pytest.raises(ValueError, match=r"^hidden: expected an input of shape \(batch, ..., 3\), got \(4, 5\)"):
        layer(np.ones((4, 5), np.float32))
    assert layer(X).shape == (4, 2)


def test_weights_of_other_shapes_or_numbers_change_nothing():
    layer = Dense(2, name="hidden")
    layer(X)
    before = layer.get_weights()
    with pytest.raises(ValueError, match=r"hidden has 2 weights, kernel \(3, 2\), bias \(2,\); got 1"):
        layer.set_weights(before[:1])
    with pytest.raises(ValueError, match=r"weight bias of hidden has shape \(2,\), got \(3,\)"):
        layer.set_weights([np.zeros((3, 2)), np.zeros(3)])
    for old, new in zip(before, layer.get_weights(), strict=True):
        assert_close(new, old, 0.0, 0.0)


def test_inputs_of_another_place_name_both():
    with nnx.backend("array-api-strict", device="device1"):
        layer = Dense(2)
        layer(X.tolist())
        for foreign in (X, nnx.backends.base.find_backend("array-api-strict").from_host(X, device="device2")):
            with pytest.raises(ValueError, match=r"dense is on array-api-strict \(device1\).*nnx.asarray"):
                layer(foreign)


def test_lists_and_integers_become_floats_where_the_layer_is(backend: Placement):
    layer = Dense(2, kernel_initializer="ones")
    layer(backend.asarray(X))
    for x in ([[1, 2, 3]], [[True, False, True]], backend.asarray([[1, 2, 3]])):
        y = layer(x)
        assert backend.holds(y)
        assert_close(y, [[sum(nnx.to_numpy(x)[0].tolist())] * 2], like=backend.zeros((1,)))
    with nnx.backend("numpy"):  # a list goes where the layer is, whatever the context
        assert backend.holds(layer([[1, 2, 3]]))


@pytest.mark.parametrize(
    "layer",
    [
        Dropout(np.float64(0.4), seed=1),
        LeakyReLU(np.float64(0.1)),
        ReLU(np.float64(1.0), np.float64(0.1), np.float64(0.5)),
        ELU(np.float64(0.5)),
    ],
    ids=lambda layer: layer.name,
)
def test_numbers_of_numpy_do_not_widen_the_dtype(layer: Layer):
    y, pullback = (layer(X), layer.forward(X, training=True))[1]
    assert y.dtype == np.float32
    assert pullback(y).dtype == np.float32


# What old tutorials write


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Dense(units=4, activation="sigmoid", input_dim=3), (None, 3)),
        (Dense(4, input_shape=(3,)), (None, 3)),
        (Dense(4, input_shape=3), (None, 3)),
        (Dense(4, batch_input_shape=(None, 5, 3)), (None, 5, 3)),
        (Flatten(input_shape=(28, 28)), (None, 28, 28)),
        (Dropout(0.2, input_shape=[3]), (None, 3)),
        (InputLayer(input_shape=(3,)), (None, 3)),
        (InputLayer((3,)), (None, 3)),
        (InputLayer(3, batch_size=8), (8, 3)),
    ],
)
def test_forms_of_the_input_shape(layer: Layer, shape: tuple[int | None, ...]):
    assert layer.batch_input_shape == shape
    model = nnx.Sequential([layer, Flatten()])
    assert model.built
    assert model.input_shape == shape


def test_old_names_of_arguments():
    assert LeakyReLU(alpha=0.1).negative_slope == 0.1
    assert LeakyReLU().negative_slope == 0.3
    assert ELU().alpha == 1.0
    assert Reshape(6).target_shape == (6,)
    assert Activation(nnx.activations.relu)(-X).max() == 0.0


def test_names_are_made_as_in_keras():
    made = [
        layer.name for layer in (Dense(1), LeakyReLU(), ReLU(), PReLU(), ELU(), InputLayer((1,)), Activation("elu"))
    ]
    assert made == ["dense", "leaky_re_lu", "re_lu", "p_re_lu", "elu", "input_layer", "activation"]


def test_an_activation_layer_as_the_activation():
    layer = Dense(3, LeakyReLU(0.1))
    copy = Dense.from_config(json.loads(json.dumps(layer.get_config())))
    for each in (layer, copy):
        each(X)
        each.set_weights([-np.ones((3, 3)), np.zeros(3)])
        assert_close(each(X), -0.3 * np.ones((4, 3)), length=10)


class Scale(nnx.layers.Layer):
    """A layer of a user that keeps the options of its weight as nnx's own layers do."""

    def __init__(
        self, gain_initializer: Any = "ones", gain_regularizer: Any = None, gain_constraint: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.set_weight_options("gain", gain_initializer, gain_regularizer, gain_constraint)

    def build(self, input_shape: Any) -> None:
        self.gain = self.add_weight_with_options("gain", input_shape[1:], name="gain_of_features")
        self.start = self.add_weight_with_options("gain", (2,), initializer="zeros")
        super().build(input_shape)


def test_options_of_a_weight_are_kept_and_used():
    layer = Scale(nnx.initializers.Constant(2.0), "l2", "non_neg")
    assert Scale.from_config(layer.get_config()).get_config() == layer.get_config()
    layer.build((None, 3))
    assert [weight.name for weight in layer.weights] == ["gain_of_features", "gain"]
    assert nnx.to_numpy(layer.gain.value).tolist() == [2.0, 2.0, 2.0]
    assert nnx.to_numpy(layer.start.value).tolist() == [0.0, 0.0]
    for weight in layer.weights:
        assert isinstance(weight.regularizer, nnx.regularizers.L2)
        assert isinstance(weight.constraint, nnx.constraints.NonNeg)


# an argument of Keras of which nnx has one value: how to give another, and what the error says to write
REFUSED = [
    (lambda: Dense(2).build([(None, 4), (None, 2)]), "dense: a kernel of shape .* cannot be made: .*one shape"),
    (lambda: Dense(2).add_weight((2, None)), r"dense: a variable of shape \(2, None\) cannot be made"),
    (
        lambda: nnx.layers.StringLookup(num_oov_indices=10**9, output_mode="count"),
        "string_lookup: num_oov_indices must be at most 16777216",
    ),
    (lambda: Dense(2, lora_rank=4), "dense: lora_rank=4: nnx has no adapters of low rank"),
    (lambda: Dense(2, quantization_config="int8"), "nnx does not quantise"),
    (lambda: nnx.layers.Embedding(3, 2, lora_alpha=1.0), "leave it out, and train the layer itself"),
    (lambda: nnx.layers.BatchNormalization(renorm=True), "batch_normalization: renorm=True: .*GroupNormalization"),
    (lambda: Input((3,), sparse=True), "Input: sparse=True: .*give dense ones"),
    (lambda: InputLayer((3,), ragged=True), "pad_sequences"),
    (lambda: Input((3,), tensor=X), "tensor=.*takes a symbol; call the model on an array"),
    (lambda: Dense(2).add_weight((2,), aggregation="average"), "dense: aggregation .*only_first_replica"),
    (lambda: Flatten(data_format="first"), "flatten: data_format must be"),
    (lambda: nnx.layers.RNN([]), "cells must be one cell or more"),
    (lambda: nnx.layers.Attention()([X[None]] * 2, mask=[None] * 4), r"\[query_mask, value_mask\], got 4 entries"),
]


@pytest.mark.parametrize(("mistake", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_keras_has_and_nnx_has_not(mistake: Callable[[], Any], message: str):
    with pytest.raises(ValueError, match=message):
        mistake()


def test_a_number_is_no_shape():
    with pytest.raises(TypeError, match=r"dense: the shape of scale must be a tuple of sizes, got 3: \(3,\)"):
        Dense(2).add_weight(shape=3, name="scale")


def test_arguments_that_do_nothing_are_not_saved():
    for layer in (Dense(2), nnx.layers.Embedding(3, 2), nnx.layers.BatchNormalization(synchronized=True)):
        config = layer.get_config()
        assert not {"lora_rank", "renorm", "renorm_momentum", "weights", "autocast"} & set(config)
        assert type(layer).from_config(json.loads(json.dumps(config))).get_config() == config
    assert Dense(2, autocast=False).get_config()["autocast"] is False


def test_channels_first_are_flattened_as_if_last(backend: Placement):
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    layer = Flatten(data_format="channels_first")
    assert_close(layer(backend.asarray(x)), np.moveaxis(x, 1, -1).reshape(2, -1))
    y, pullback = layer.run(backend.asarray(x), training=False)
    assert_close(pullback(y), x)
    assert_close(layer(backend.asarray(x[:, :, 0, 0])), x[:, :, 0, 0])


def test_inputs_by_name_and_no_bias(backend: Placement):
    layer = Dense(2, use_bias=False, kernel_initializer="ones")
    assert layer.bias is None
    assert_close(layer(inputs=backend.asarray(X)), np.full((4, 2), 3.0, np.float32))
    assert layer.bias is None
    assert_close(nnx.Sequential([layer])(inputs=backend.asarray(X)), np.full((4, 2), 3.0, np.float32))


def test_weights_as_in_keras(backend: Placement):
    layer = Layer()
    count = layer.add_weight((2,), "zeros", "int32", False)
    assert (count.name, count.dtype, count.trainable) == ("variable", "int32", False)
    with nnx.backend(backend.name, device=backend.device, dtype="float32"):
        half = Layer(dtype="float16") if hasattr(backend.xp, "float16") else None
    if half is not None:
        assert (half.add_weight((2,)).dtype, half.add_weight((2,), autocast=False).dtype) == ("float16", "float32")


def test_autocast(backend_float64: Placement):
    x = backend_float64.asarray(X, "float64")
    for autocast, dtype in ((True, "float32"), (False, "float64")):
        layer = nnx.layers.Identity(dtype="float32", autocast=autocast)
        assert str(layer(x).dtype).endswith(dtype)


def test_mask_of_a_lambda(backend: Placement):
    def last(x, mask):
        return x[:, :, 0] > 1.0

    x = backend.asarray([[[2.0], [0.0], [3.0]]])
    for mask, kept in ((last, [True, False, True]), ([[True, True, False]], [True, True, False])):
        layer = nnx.layers.Lambda(lambda x: x * 2.0, mask=mask)
        layer(x)
        assert nnx.to_numpy(layer.compute_mask(x, None)).tolist() == [kept]
        model = nnx.Sequential([Input((3, 1)), layer, nnx.layers.SimpleRNN(1, return_sequences=True)])
        y = nnx.to_numpy(model(x))[0, :, 0]
        assert [bool(step != before) for step, before in zip(y, [0.0, *y[:-1]], strict=True)] == kept


def doubled(shape: Any) -> Any:
    return (*shape[:-1], 2 * shape[-1])


def test_a_lambda_whose_shape_is_a_function():
    layer = nnx.layers.Lambda(lambda x: nnx.ops.concatenate([x, x], axis=-1), output_shape=doubled)
    assert layer(Input((3, 4))).shape == (None, 3, 8)
    assert layer(np.ones((1, 3, 4))).shape == (1, 3, 8)
    with nnx.saving.custom_object_scope({"doubled": doubled, "abs": abs}):
        again = nnx.layers.Lambda.from_config(nnx.layers.Lambda(abs, doubled).get_config())
    assert again.output_shape is doubled


def test_what_a_layer_says_of_itself():
    layer = Dense(3, dtype="mixed_float16")
    assert (layer.compute_dtype, layer.variable_dtype, Dense(3).variable_dtype) == ("float16", "float32", "float32")
    symbol = layer.compute_output_spec(Input((4,)))
    assert (symbol.shape, symbol.dtype) == ((None, 3), "float16")
    said = {
        True: (layer, nnx.layers.LSTM(2), nnx.layers.Add(), nnx.layers.Embedding(3, 2, mask_zero=True)),
        False: (
            nnx.layers.Conv1D(2, 3),
            nnx.layers.Embedding(3, 2),
            nnx.layers.Flatten(),
            nnx.layers.EinsumDense("ab,bc->ac", 3),
        ),
    }
    for supports, layers in said.items():
        assert [one.supports_masking for one in layers] == [supports] * 4
    assert nnx.layers.InputLayer((4,), batch_size=2).batch_shape == (2, 4)
