"""What layers of one's own save beside their weights, in files that go from Keras to nnx and back."""

from __future__ import annotations

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
    "ignore:.*looks like it has unbuilt state:UserWarning",
    "ignore:.*have not been built:UserWarning",
)

X = np.float32(Generator(1).normal((6, 3)))
TABLE = np.arange(6, dtype="int64").reshape(2, 3)


def classes_of(library: Any) -> dict[str, Any]:
    """The same classes for either library, which are registered."""

    class Counting(library.layers.Layer):  # type: ignore[misc]
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.offset = library.Variable(np.linspace(0.0, 1.0, 3), dtype="float32", name="offset")
            self.table, self.calls = np.zeros((2, 3), "int64"), 0

        def build(self, input_shape: Any) -> None:
            self.seen = self.add_weight(shape=(3,), initializer="ones", trainable=False, name="seen")
            self.scale = self.add_weight(shape=(3,), initializer="ones", name="scale")

        def call(self, x: Any) -> Any:
            return x * self.scale * self.seen + self.offset

        def compute_output_shape(self, input_shape: Any) -> Any:
            return input_shape

        def save_own_variables(self, store: Any) -> None:
            super().save_own_variables(store)
            store["table"], store["calls"], store["flag"] = self.table, self.calls, self.calls > 2

        def load_own_variables(self, store: Any) -> None:
            assert set(store.keys()) == {"0", "1", "2", "table", "calls", "flag"}
            assert "calls" in store
            for number, weight in enumerate(self.weights):
                weight.assign(store[f"{number}"])
            self.table, self.calls = np.array(store["table"]), int(store["calls"])
            assert store["flag"].dtype == bool
            assert bool(store["flag"]) == (self.calls > 2)

    class Words(library.layers.Layer):  # type: ignore[misc]
        def __init__(self, words: str = "", **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.words, self.inner = words, Counting()

        def build(self, input_shape: Any) -> None:
            self.inner.build(input_shape)

        def call(self, x: Any) -> Any:
            return self.inner(x)

        def get_config(self) -> dict[str, Any]:
            return {"name": self.name}

        def save_assets(self, folder: str) -> None:
            Path(folder, "vocabulary.txt").write_text(self.words, encoding="utf-8")
            Path(folder, "more").mkdir()
            Path(folder, "more", "bytes.bin").write_bytes(bytes(range(256)))

        def load_assets(self, folder: str) -> None:
            assert Path(folder, "more", "bytes.bin").read_bytes() == bytes(range(256))
            self.words = Path(folder, "vocabulary.txt").read_text(encoding="utf-8")

    class Net(library.Model):  # type: ignore[misc]
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.steps, self.title = 0, ""
            self.blocks = [Counting(), Words("in a list"), [Counting()]]
            self.by_name = {"one": Counting(), "two": library.layers.Dense(2)}

        def call(self, x: Any) -> Any:
            for block in (*self.blocks[:2], self.blocks[2][0], *self.by_name.values()):
                x = block(x)
            return x

        def get_config(self) -> dict[str, Any]:
            return {"name": self.name}

        def save_own_variables(self, store: Any) -> None:
            store["steps"] = self.steps

        def load_own_variables(self, store: Any) -> None:
            self.steps = int(store["steps"])

        def save_assets(self, folder: str) -> None:
            Path(folder, "title.txt").write_text(self.title, encoding="utf-8")

        def load_assets(self, folder: str) -> None:
            self.title = Path(folder, "title.txt").read_text(encoding="utf-8")

    class Cell(library.layers.Layer):  # type: ignore[misc]
        state_size = 3

        def build(self, input_shape: Any) -> None:
            self.kernel = self.add_weight(shape=(3, 3), initializer="ones", name="kernel")

        def call(self, inputs: Any, states: Any) -> Any:
            output = library.ops.tanh(library.ops.matmul(inputs, self.kernel) + states[0])
            return output, [output]

        def save_own_variables(self, store: Any) -> None:
            store["kernel"] = self.kernel

        def load_own_variables(self, store: Any) -> None:
            self.kernel.assign(store["kernel"])

    class Extra(library.layers.LSTM):  # type: ignore[misc]
        extra = 0

        def save_own_variables(self, store: Any) -> None:
            super().save_own_variables(store)
            store["extra"] = self.extra

        def load_own_variables(self, store: Any) -> None:
            self.extra = int(store["extra"])

    register = library.saving.register_keras_serializable("own_state")
    return {cls.__name__: register(cls) for cls in (Counting, Words, Net, Cell, Extra)}


def test_registered_classes_are_found(tmp_path: Path):
    for library in (keras, nnx):
        register = library.saving.register_keras_serializable("own_state")

        @register
        class Distance(library.losses.Loss):  # type: ignore[misc]
            def call(self, y_true: Any, y_pred: Any) -> Any:
                return (y_pred - y_true) ** 2

        @register
        class Slow(library.optimizers.SGD):  # type: ignore[misc]
            pass

        own = classes_of(library)
        if library is nnx:
            loss, optimizer, counting = Distance, Slow, own["Counting"]
    model = nnx.Sequential([nnx.Input((3,)), counting()])
    model.compile(optimizer(0.5), loss())
    model.fit(X, X, verbose=0)
    model.save(tmp_path / "x.keras")
    loaded = keras.models.load_model(tmp_path / "x.keras")
    assert (type(loaded.optimizer).__name__, type(loaded.loss).__name__) == ("Slow", "Distance")
    assert_close(np.asarray(loaded.predict(X, verbose=0)), model.predict(X, verbose=0))


def fill(layer: Any, number: float) -> None:
    layer.offset.assign(np.float32([1.0, 2.0, 3.0]) * number)
    layer.scale.assign(np.float32([0.5, 0.25, 2.0]) * number)
    layer.seen.assign(np.float32([1.5, 0.75, 1.0]) * number)
    layer.table, layer.calls = TABLE + int(number), int(number)


def stack(library: Any, own: dict[str, Any]) -> Any:
    model = library.Sequential(
        [library.Input((3,)), own["Counting"](), own["Words"]("a b ü"), own["Counting"](), library.layers.Dense(2)]
    )
    fill(model.layers[0], 3)
    fill(model.layers[1].inner, 0.5)
    return model


def net(library: Any, own: dict[str, Any]) -> Any:
    model = own["Net"]()
    model(X)
    fill(model.blocks[2][0], 4)
    model.steps, model.title = 12, "the title"
    return model


def recurrent(library: Any, own: dict[str, Any]) -> Any:
    layers, shared = library.layers, own["Counting"]()
    x = library.Input((1, 3))
    y = layers.TimeDistributed(own["Counting"]())(x)
    y = layers.Bidirectional(layers.RNN(own["Cell"](), return_sequences=True), merge_mode="sum")(shared(y))
    model = library.Model(x, shared(own["Extra"](3, return_sequences=True)(y)))
    fill(shared, 2)
    fill(model.layers[1].layer, 3)
    model.layers[4].extra = 8
    return model


def state(model: Any) -> list[Any]:
    """What is in no weight."""
    found: list[Any] = [getattr(model, name, None) for name in ("steps", "title")]
    open_ones = list(model.layers)
    while open_ones:
        layer = open_ones.pop(0)
        open_ones += [inner for name in ("inner", "layer") if (inner := getattr(layer, name, None)) is not None]
        names = [name for name in ("calls", "extra", "words", "table") if hasattr(layer, name)]
        found += [(name, np.asarray(getattr(layer, name)).tolist()) for name in names]
    return found


@pytest.mark.parametrize("writes", ["keras", "nnx"])
@pytest.mark.parametrize("make", [stack, net, recurrent])
def test_files_go_both_ways(make: Any, writes: str, tmp_path: Path):
    first, second = (keras, nnx) if writes == "keras" else (nnx, keras)
    x = X[:, None] if make is recurrent else X
    model, own = make(first, classes_of(first)), classes_of(second)
    wanted = np.asarray(model.predict(x, verbose=0))
    model.save(tmp_path / "x.keras")
    model.save_weights(tmp_path / "x.weights.h5")
    loaded = second.models.load_model(tmp_path / "x.keras")
    assert_close(np.asarray(loaded.predict(x, verbose=0)), wanted)
    assert state(loaded) == state(model)
    other = make(second, own)
    other.load_weights(tmp_path / "x.weights.h5")
    assert_close(np.asarray(other.predict(x, verbose=0)), wanted)
    assert state(other) == state(model)
