"""The old names of Keras 2's backend: what tutorials write as K, with the meanings of then."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import backend as K
from nnx import keras_backend
from nnx.backends import Placement
from nnx.random import Generator
from nnx.testing import assert_close


def f(*shape: int, seed: int = 0) -> np.ndarray:
    return Generator(seed + 1).normal(shape).astype(np.float32)


X, Y, Z = f(3, 4), f(4, 5, seed=1), f(2, 3, 4)

ONES = np.ones((2, 2), np.float32)

# A call, and what NumPy has for it.
CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any], Any]] = [
    ("mean", (X,), {}, X.mean()),
    ("mean", (X,), {"axis": -1}, X.mean(axis=-1)),
    ("sum", (X,), {"axis": [0, 1]}, X.sum()),
    ("sum", (X,), {"axis": 1, "keepdims": True}, X.sum(axis=1, keepdims=True)),
    ("max", (X,), {"axis": 0}, X.max(axis=0)),
    ("min", (X,), {}, X.min()),
    ("prod", (X,), {"axis": 0}, X.prod(axis=0)),
    ("std", (X,), {}, X.std()),
    ("var", (X,), {"axis": 1}, X.var(axis=1)),
    ("square", (X,), {}, X * X),
    ("sqrt", (X * X,), {}, np.abs(X)),
    ("abs", (X,), {}, np.abs(X)),
    ("exp", (X,), {}, np.exp(X)),
    ("log", (X * X,), {}, np.log(X * X)),
    ("pow", (X, 2), {}, X**2),
    ("sign", (X,), {}, np.sign(X)),
    ("round", (X,), {}, np.round(X)),
    ("maximum", (X, 0.0), {}, np.maximum(X, 0.0)),
    ("minimum", (X, 0.0), {}, np.minimum(X, 0.0)),
    ("clip", (X, -0.5, 0.5), {}, np.clip(X, -0.5, 0.5)),
    ("clip", (X, None, 0.5), {}, np.minimum(X, 0.5)),
    ("dot", (X, Y), {}, X @ Y),
    ("dot", (Z, Y), {}, Z @ Y),
    ("batch_dot", (X, X), {}, (X * X).sum(axis=1, keepdims=True)),
    ("batch_dot", (Z, f(2, 4, 5, seed=2)), {}, Z @ f(2, 4, 5, seed=2)),
    ("batch_dot", (Z, f(2, 5, 4, seed=2)), {"axes": (2, 2)}, Z @ f(2, 5, 4, seed=2).swapaxes(1, 2)),
    ("batch_dot", (Z, f(2, 3, seed=2)), {"axes": 1}, np.einsum("bij,bi->bj", Z, f(2, 3, seed=2))),
    ("flatten", (Z,), {}, Z.reshape(-1)),
    ("batch_flatten", (Z,), {}, Z.reshape(2, 12)),
    ("reshape", (X, (4, 3)), {}, X.reshape(4, 3)),
    ("transpose", (X,), {}, X.T),
    ("permute_dimensions", (Z, (0, 2, 1)), {}, Z.transpose(0, 2, 1)),
    ("expand_dims", (X,), {}, X[..., None]),
    ("squeeze", (X[:, :1], 1), {}, X[:, 0]),
    ("concatenate", ([X, X],), {}, np.concatenate([X, X], axis=-1)),
    ("concatenate", ([X, X],), {"axis": 0}, np.concatenate([X, X])),
    ("stack", ([X, X],), {}, np.stack([X, X])),
    ("repeat", (X, 2), {}, np.stack([X, X], axis=1)),
    ("repeat_elements", (X, 2), {"axis": 1}, np.repeat(X, 2, axis=1)),
    ("tile", (X, (1, 2)), {}, np.tile(X, (1, 2))),
    ("reverse", (X, 1), {}, X[:, ::-1]),
    ("gather", (X, np.asarray([2, 0])), {}, X[[2, 0]]),
    ("argmax", (X,), {}, X.argmax(axis=-1)),
    ("argmin", (X,), {"axis": 0}, X.argmin(axis=0)),
    ("cumsum", (X,), {}, X.cumsum(axis=0)),
    ("cumprod", (X,), {"axis": 1}, X.cumprod(axis=1)),
    ("one_hot", (np.asarray([1, 0]), 3), {}, np.eye(3)[[1, 0]]),
    ("equal", (X, X), {}, np.ones((3, 4), bool)),
    ("greater", (X, 0.0), {}, X > 0),
    ("any", (X > 9.0,), {}, np.asarray(False)),
    ("cast", (X > 0, "float32"), {}, (X > 0).astype(np.float32)),
    ("l2_normalize", (X,), {"axis": 1}, X / np.linalg.norm(X, axis=1, keepdims=True)),
    ("relu", (X,), {}, np.maximum(X, 0.0)),
    ("relu", (X,), {"alpha": 0.1, "max_value": 0.5}, np.minimum(np.where(X > 0, X, 0.1 * X), 0.5)),
    ("relu", (X,), {"alpha": 0.1, "threshold": 0.3}, np.where(X >= 0.3, X, 0.1 * (X - 0.3))),
    ("hard_sigmoid", (X,), {}, np.clip(0.2 * X + 0.5, 0.0, 1.0)),
    ("sigmoid", (X,), {}, 1.0 / (1.0 + np.exp(-X))),
    ("tanh", (X,), {}, np.tanh(X)),
    ("switch", (X > 0, X, -X), {}, np.abs(X)),
    ("switch", (X[:, 0] > 0, X, -X), {}, np.where(X[:, :1] > 0, X, -X)),
    ("bias_add", (X, f(4, seed=3)), {}, X + f(4, seed=3)),
    ("bias_add", (Z, f(3, seed=3)), {"data_format": "channels_first"}, Z + f(3, seed=3)[:, None]),
    ("in_top_k", (X, np.asarray([0, 1, 2]), 4), {}, np.ones(3, bool)),
    ("zeros_like", (X,), {}, np.zeros((3, 4))),
    (
        "binary_crossentropy",
        (np.ones((2, 2), np.float32), np.full((2, 2), 0.5, np.float32)),
        {},
        np.full((2, 2), np.log(2.0)),
    ),
    ("map_fn", (lambda x: x * 2.0, X), {}, X * 2.0),
    ("ones", ((2, 3),), {}, np.ones((2, 3))),
    ("zeros", ((2, 3),), {}, np.zeros((2, 3))),
    ("eye", (3,), {}, np.eye(3)),
    ("arange", (3,), {}, np.arange(3)),
    ("constant", (2.0,), {"shape": (2,)}, np.full(2, 2.0)),
    ("logsumexp", (X,), {"axis": 1}, np.log(np.exp(X).sum(axis=1))),
]


@pytest.mark.parametrize(
    ("name", "args", "options", "expected"), CALLS, ids=[f"{c[0]}-{n}" for n, c in enumerate(CALLS)]
)
def test_means_what_it_did(
    name: str, args: tuple[Any, ...], options: dict[str, Any], expected: Any, backend: Placement
) -> None:
    def moved(value: Any) -> Any:
        if isinstance(value, list):
            return [moved(part) for part in value]
        return backend.asarray(value, value.dtype.name) if isinstance(value, np.ndarray) else value

    found = getattr(K, name)(*map(moved, args), **options)
    assert backend.holds(found)
    assert nnx.to_numpy(found).shape == np.shape(expected)
    assert_close(nnx.to_numpy(found).astype(np.float64), np.asarray(expected, np.float64), rtol=1e-5, atol=1e-5)


class TestSettings:
    def test_floatx(self) -> None:
        assert K.floatx() == "float32"
        K.set_floatx("float64")
        assert K.floatx() == nnx.get_backend().dtype == "float64"
        K.set_floatx("float32")
        with nnx.backend("numpy", dtype="float16"):
            assert K.floatx() == "float16"
            with pytest.raises(RuntimeError, match="dtype='float64' there"):
                K.set_floatx("float64")
        K.set_floatx("float32")

    def test_epsilon(self) -> None:
        assert K.epsilon() == 1e-7
        with pytest.warns(UserWarning, match="keep their 1e-7"):
            K.set_epsilon(1e-5)
        assert K.epsilon() == 1e-5
        K.set_epsilon(1e-7)

    def test_data_format(self) -> None:
        assert K.image_data_format() == "channels_last"
        K.set_image_data_format("channels_last")
        with pytest.raises(ValueError, match="data_format='channels_first' in each layer"):
            K.set_image_data_format("channels_first")

    def test_backend_and_session(self, backend: Placement) -> None:
        assert K.backend() == backend.name
        assert K.clear_session() is None
        with K.name_scope("encoder") as name:
            assert name == "encoder"


class TestValues:
    def test_a_variable_is_set_and_read(self, backend: Placement) -> None:
        weight = K.variable([1.0, 2.0])
        assert backend.holds(weight.value)
        K.set_value(weight, [3.0, 4.0])
        np.testing.assert_array_equal(K.get_value(weight), [3.0, 4.0])
        np.testing.assert_array_equal(K.eval(K.square(weight)), [9.0, 16.0])
        K.batch_set_value([(weight, [0.0, 1.0])])
        np.testing.assert_array_equal(K.batch_get_value([weight])[0], [0.0, 1.0])
        np.testing.assert_array_equal(K.get_value(K.update_add(weight, 1.0)), [1.0, 2.0])
        np.testing.assert_array_equal(K.get_value(K.update_sub(weight, 2.0)), [-1.0, 0.0])
        assert (K.int_shape(weight), K.ndim(weight), K.dtype(weight)) == ((2,), 1, "float32")

    def test_the_learning_rate_is_set_and_read(self) -> None:
        optimizer = nnx.optimizers.SGD(0.1)
        K.set_value(optimizer.learning_rate, 0.5 * K.get_value(optimizer.lr))
        assert float(K.get_value(optimizer.lr)) == 0.05

    def test_an_array_has_no_value_to_set(self) -> None:
        with pytest.raises(TypeError, match="variable makes a parameter"):
            K.set_value(np.ones(2), 0.0)

    def test_random_numbers(self, backend: Placement) -> None:
        for draw in (K.random_normal, K.random_uniform, K.truncated_normal, K.random_bernoulli, K.random_binomial):
            numbers = draw((2, 3), seed=1)
            assert backend.holds(numbers)
            assert_close(numbers, draw((2, 3), seed=1))
        assert K.random_normal_variable((2, 3), 0.0, 1.0).shape == (2, 3)
        assert K.random_uniform_variable((2, 3), 0.0, 1.0).shape == (2, 3)
        assert K.dropout(backend.asarray([1.0]), 0.0).shape == (1,)

    def test_cast_to_floatx_stays_on_the_host(self) -> None:
        assert K.cast_to_floatx([1, 2]).dtype == np.float32


class TestModels:
    def test_symbols(self) -> None:
        x = nnx.Input((3,))
        model = nnx.Model(x, K.sqrt(K.sum(K.square(x), axis=1, keepdims=True) + K.epsilon()))
        assert_close(model.predict(np.ones((2, 3)), verbose=0), np.full((2, 1), np.sqrt(3.0)), rtol=1e-6)
        assert K.is_tensor(x)
        assert K.int_shape(K.batch_dot(x, x)) == (None, 1)

    def test_a_loss_and_a_lambda_of_a_tutorial(self) -> None:
        def distance(vectors: Any) -> Any:
            a, b = vectors
            return K.sqrt(K.maximum(K.sum(K.square(a - b), axis=1, keepdims=True), K.epsilon()))

        def contrastive(y_true: Any, y_pred: Any) -> Any:
            return K.mean(y_true * K.square(y_pred) + (1 - y_true) * K.square(K.maximum(1 - y_pred, 0)))

        left, right = nnx.Input((4,)), nnx.Input((4,))
        twin = nnx.layers.Dense(2)
        model = nnx.Model([left, right], nnx.layers.Lambda(distance)([twin(left), twin(right)]))
        model.compile(nnx.optimizers.SGD(0.05), loss=contrastive)
        data, labels = [f(16, 4), f(16, 4, seed=1)], np.ones((16, 1), np.float32)
        history = model.fit(data, labels, epochs=5, verbose=0).history["loss"]
        assert history[-1] < history[0]

    def test_a_function_of_a_graph(self) -> None:
        x = nnx.Input((3,))
        hidden = nnx.layers.Dense(2, name="hidden")
        model = nnx.Sequential([x, hidden, nnx.layers.Dense(1)])
        inner = K.function([model.layers[0].input], [hidden.output])
        data = f(5, 3)
        found = inner([data])
        assert isinstance(found, list)
        assert_close(found[0], data @ hidden.kernel.numpy() + hidden.bias.numpy(), rtol=1e-5, atol=1e-6)
        with pytest.raises(ValueError, match="takes no updates"):
            K.function([x], [x], updates=[1])

    def test_losses_of_labels_in_sequence(self) -> None:
        probabilities = np.full((1, 2, 2), 0.5, np.float32)
        cost = K.ctc_batch_cost([[0]], probabilities, [[2]], [[1]])
        assert_close(cost, [[-np.log(0.75)]], rtol=1e-5)
        paths, scores = K.ctc_decode(np.asarray([[[0.9, 0.1], [0.1, 0.9]]], np.float32), [2], greedy=False)
        assert np.asarray(paths[0]).tolist() == [[0, -1]]
        assert scores.shape == (1, 1)

    def test_images(self) -> None:
        images = f(1, 4, 4, 2)
        assert K.conv2d(images, f(3, 3, 2, 5), padding="same").shape == (1, 4, 4, 5)
        assert K.conv1d(f(1, 4, 2), f(3, 2, 5)).shape == (1, 2, 5)
        assert K.pool2d(images, (2, 2), strides=(2, 2), pool_mode="avg").shape == (1, 2, 2, 2)
        assert K.resize_images(images, 2, 3).shape == (1, 8, 12, 2)


class TestNames:
    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("learning_phase", r"call\(self, x, training=None\)"),
            ("gradients", "nnx.GradientTape"),
            ("get_session", "there are no sessions"),
            ("placeholder", "nnx.Input"),
            ("einsum", "nnx.ops.einsum"),
            ("conv3d", r"nnx.ops.conv\("),
            ("binary_focal_crossentropy", r"nnx.losses.binary_focal_crossentropy\("),
            ("nonsense", "see nnx.ops"),
        ],
    )
    def test_others_say_what_to_write(self, name: str, message: str) -> None:
        with pytest.raises(AttributeError, match=message):
            getattr(K, name)
        assert not hasattr(K, name)

    def test_each_stands_in_one_list_and_is_there(self) -> None:
        files = [value for value in vars(keras_backend).values() if hasattr(value, "__all__")]
        listed = [name for file in files for name in file.__all__]
        own = {name for name, value in vars(keras_backend).items() if not inspect.ismodule(value) and name[0] != "_"}
        assert len(set(listed)) == len(listed)
        assert set(listed) == own - {"Any", "TYPE_CHECKING"}
        for file in files:
            functions = {value for value in vars(file).values() if inspect.isfunction(value)}
            made = {function.__name__ for function in functions if function.__module__ == file.__name__}
            assert made - set(file.__all__) <= {"number_of_elements"}

    def test_it_is_still_the_block(self) -> None:
        with K("numpy", dtype="float64") as placement:
            assert placement.dtype == "float64"

    def test_nothing_is_imported_before_it_is_asked_for(self) -> None:
        code = (
            "import sys, nnx\n"
            "from nnx import backend as K\n"
            "with K('numpy'): pass\n"
            "assert not hasattr(K, '__wrapped__')\n"
            "print('nnx.keras_backend' in sys.modules, float(K.mean([1.0, 3.0])), 'nnx.keras_backend' in sys.modules)\n"
        )
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert result.stdout == "False 2.0 True\n"
