"""Scripts as old tutorials write them, with nothing but the import lines changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.layers import LSTM, Activation, Dense, Dropout, Flatten, LeakyReLU
from nnx.losses import mse
from nnx.models import Sequential, load_model
from nnx.optimizers import SGD, Adam, RMSprop
from nnx.random import Generator
from nnx.utils import np_utils, to_categorical

XOR_X, XOR_Y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
X = Generator(1).normal((40, 6))
LABELS = (X[:, 0] > 0.0).astype(int) + (X[:, 1] > 0.0)


def test_xor(backend: Placement, capsys: pytest.CaptureFixture[str]):
    nnx.random.set_seed(2)
    model = Sequential()
    model.add(Dense(units=8, activation="tanh", input_dim=2))
    model.add(Dense(units=1, activation="sigmoid"))
    model.compile(loss=mse, optimizer=SGD(lr=1), metrics=["acc"])
    history = model.fit(XOR_X, XOR_Y, epochs=300, batch_size=1, verbose=False)
    assert capsys.readouterr().out == ""
    assert history.history["acc"][-1] == 1.0
    assert (model.predict(XOR_X, verbose=0)[:, 0] > 0.5).tolist() == [False, True, True, False]
    with pytest.warns(DeprecationWarning, match=r"predict_classes\(x\) is an old form; write \(predict\(x\) > 0.5\)"):
        assert model.predict_classes(XOR_X).ravel().tolist() == XOR_Y


def test_digits_as_in_the_first_tutorial(tmp_path: Any):
    images, labels = nnx.datasets.digits.load_data()[0]
    y = np_utils.to_categorical(labels, 10)
    assert (y == to_categorical(labels)).all()
    model = Sequential()
    model.add(Flatten(input_shape=images.shape[1:]))
    model.add(Dense(32))
    model.add(Activation("relu"))
    model.add(Dropout(0.2))
    model.add(Dense(10))
    model.add(Activation("softmax"))
    model.compile(loss="categorical_crossentropy", optimizer=RMSprop(lr=0.003, decay=1e-6), metrics="acc")
    x = images.astype("float32") / images.max()
    model.fit(x, y, batch_size=64, epochs=8, verbose=0, validation_split=0.1)
    score = model.evaluate(x, y, verbose=0)
    assert score[1] > 0.9
    model.save(tmp_path / "digits.safetensors")
    again = load_model(tmp_path / "digits.safetensors")
    with pytest.warns(DeprecationWarning, match=r"write predict\(x\).argmax\(axis=-1\)"):
        classes = again.predict_classes(x)
    assert (classes == model.predict(x, verbose=0).argmax(axis=-1)).all()
    with pytest.warns(DeprecationWarning, match=r"predict_proba\(x\) is an old form; write predict\(x\)"):
        assert (again.predict_proba(x) == again.predict(x, verbose=0)).all()


def test_generators_had_methods_of_their_own():
    def batches() -> Iterator[Any]:
        while True:
            for start in range(0, 40, 10):
                yield X[start : start + 10], LABELS[start : start + 10]

    model = Sequential([Dense(8, input_dim=6), LeakyReLU(alpha=0.1), Dense(3, activation="softmax")])
    model.compile(optimizer=Adam(lr=0.01), loss="sparse_categorical_crossentropy")
    with pytest.warns(DeprecationWarning, match=r"write fit\(generator"):
        history = model.fit_generator(
            batches(), steps_per_epoch=4, epochs=3, validation_data=batches(), validation_steps=2, verbose=0
        )
    assert len(history.history["val_loss"]) == 3
    with pytest.warns(DeprecationWarning, match=r"write evaluate\(generator"):
        found = model.evaluate_generator(batches(), steps=4, verbose=0)
    assert found == pytest.approx(model.evaluate(X, LABELS, verbose=0), rel=1e-5)
    with pytest.warns(DeprecationWarning, match=r"write predict\(generator"):
        assert model.predict_generator(batches(), steps=2, verbose=0).shape == (20, 3)


@pytest.mark.parametrize("verbose", [0, False, 1, True, 2, "auto"])
def test_verbose(verbose: Any, capsys: pytest.CaptureFixture[str]):
    model = Sequential([Dense(1, input_dim=6)])
    model.compile("sgd", "mse")
    model.fit(X, LABELS, epochs=2, verbose=verbose)
    printed = capsys.readouterr().out
    assert ("Epoch 1/2" in printed) == bool(verbose)
    assert ("loss: " in printed) == bool(verbose)
    model.fit(X, LABELS, verbose=verbose)
    assert "Epoch" not in capsys.readouterr().out  # only when there are several
    model.evaluate(X, LABELS, verbose=verbose)
    model.predict(X, verbose=verbose)
    assert bool(capsys.readouterr().out) == bool(verbose)


def test_the_learning_rate_under_its_old_name():
    model = Sequential([Dense(1, input_dim=6)])
    model.compile(SGD(lr=0.5), "mse")
    assert model.optimizer.lr == model.optimizer.learning_rate == 0.5
    model.optimizer.lr = 0.25
    assert model.optimizer.learning_rate == 0.25


def test_states_of_stateful_layers():
    model = Sequential([LSTM(3, stateful=True, batch_input_shape=(2, 4, 1)), Dense(1)])
    x = Generator(2).normal((2, 4, 1))
    first, second = (model.predict(x, batch_size=2, verbose=0) for _ in range(2))
    assert not np.allclose(first, second)
    with pytest.warns(DeprecationWarning, match=r"write layer.reset_states\(\)"):
        model.reset_states()
    assert np.array_equal(model.predict(x, batch_size=2, verbose=0), first)


def test_weights_travel_as_lists_of_arrays():
    model, other = (Sequential([Dense(4, input_dim=6), Dense(1)]) for _ in range(2))
    other.set_weights(model.get_weights())
    other.layers[0].set_weights([np.zeros((6, 4)), np.ones(4)])
    assert [weight.shape for weight in other.get_weights()] == [(6, 4), (4,), (4, 1), (1,)]
    assert (other.predict(X, verbose=0) == other.predict(X[::-1], verbose=0)).all()


def test_names_of_weights_and_shapes_of_inputs():
    x = nnx.Input(batch_shape=(8, 3), name="x")
    assert (x.shape, x.dtype) == ((8, 3), "float32")
    assert nnx.Input((3,), dtype="uint8").dtype == "uint8"
    hidden = Dense(2)(x)
    assert hidden.dtype == "float32"
    model = nnx.Model(x, hidden)
    model.layers[-1].trainable = False
    assert model.variables == model.weights
    assert model.trainable_variables == []
    assert model.non_trainable_variables == model.weights
    assert model.input_shape == (8, 3)
    with pytest.raises(ValueError, match="either batch_shape, or shape and batch_size"):
        nnx.Input((3,), batch_shape=(8, 3))
    assert nnx.Layer is nnx.layers.Layer
    assert nnx.Metric is nnx.metrics.Metric
    assert nnx.Loss is nnx.losses.Loss
    assert nnx.Optimizer is nnx.optimizers.Optimizer


def test_a_data_set_of_ones_own():
    class Rows(nnx.utils.PyDataset):
        def __init__(self, size: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.size, self.epochs = size, 0

        def __len__(self) -> int:
            return -(-len(X) // self.size)

        def __getitem__(self, index: int) -> Any:
            rows = slice(index * self.size, (index + 1) * self.size)
            return X[rows], LABELS[rows]

        def on_epoch_end(self) -> None:
            self.epochs += 1

    model = Sequential([Dense(3, activation="softmax", input_dim=6)])
    model.compile("sgd", "sparse_categorical_crossentropy")
    data = Rows(16, workers=2, use_multiprocessing=False, max_queue_size=4)
    assert issubclass(nnx.utils.Sequence, nnx.utils.PyDataset)
    assert data.num_batches == 3
    model.fit(data, epochs=2, verbose=0)
    assert (data.epochs, model.optimizer.iterations) == (2, 6)
    assert model.evaluate(data, verbose=0) == pytest.approx(model.evaluate(X, LABELS, verbose=0), rel=1e-5)
    with pytest.raises(NotImplementedError, match=r"PyDataset has to define __len__\(self\)"):
        len(nnx.utils.PyDataset())
    with pytest.raises(NotImplementedError, match=r"PyDataset has to define __getitem__\(self, index\)"):
        _ = nnx.utils.PyDataset()[0]


def test_metrics_of_a_loop_of_batches_and_outputs_in_logs():
    seen = []

    class Shapes(nnx.callbacks.Callback):
        def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append((list(logs), logs["outputs"].shape))

    model = Sequential([Dense(1, input_dim=6)])
    model.compile("sgd", "mse")
    model.predict(X, batch_size=32, verbose=1, callbacks=[Shapes()])
    assert seen == [(["outputs"], (32, 1)), (["outputs"], (8, 1))]
    model.train_on_batch(X, LABELS)
    model.reset_metrics()
    assert model.test_on_batch(X, LABELS) == pytest.approx(model.evaluate(X, LABELS, verbose=0))


def test_add_loss_of_what_is_no_number():
    class Penalised(nnx.Layer):
        def call(self, x: Any) -> Any:
            self.add_loss(x)
            return x

    with pytest.raises(
        TypeError, match=r"penalised: add_loss takes a number that is computed from the batch, got shape"
    ):
        Penalised()(X)


def test_arguments_of_compile_that_change_nothing():
    model = Sequential([Dense(1, input_dim=6)])
    model.compile("sgd", "mse", run_eagerly=True, steps_per_execution=4, jit_compile=False)
    model.fit(X, LABELS, verbose=0)
    assert model.optimizer.iterations == 2
