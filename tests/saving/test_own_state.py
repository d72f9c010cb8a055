"""What layers of one's own save beside their weights: variables in a store, and whole files."""

from __future__ import annotations

import copy
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.layers import RNN, Bidirectional, Dense, Input, Layer, TimeDistributed
from nnx.random import Generator
from nnx.testing import assert_close

X = np.float32(Generator(1).normal((8, 3)))
TABLE = np.arange(6).reshape(2, 3)


class Counting(Layer):
    """Its own weights, and what it has in attributes."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.offset = nnx.Variable(np.zeros(3, "float32"), name="offset")
        self.table, self.calls, self.flag, self.notes = np.zeros((2, 3), "int64"), 0, False, ["new"]
        self.refuses = False

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight((3,), "ones", name="scale")
        super().build(input_shape)

    def call(self, x: Any) -> Any:
        return x * self.scale + self.offset

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        store["table"], store["calls"], store["flag"] = self.table, self.calls, self.flag

    def load_own_variables(self, store: Any) -> None:
        self.calls, self.table, self.flag = int(store["calls"]), store["table"], bool(store["flag"])
        self.notes.append("read")
        for number, weight in enumerate(self.weights):
            weight.assign(store[f"{number}"])
        if self.refuses:
            raise KeyError("what is not there")


class Words(Layer):
    """A vocabulary in a file, and a layer inside."""

    def __init__(self, words: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words = words
        self.inner = Counting()

    def call(self, x: Any) -> Any:
        return self.inner(x)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}

    def save_assets(self, folder: str) -> None:
        Path(folder, "vocabulary.txt").write_text(self.words, encoding="utf-8")
        Path(folder, "more", "yet").mkdir(parents=True)
        Path(folder, "more", "yet", "bytes.bin").write_bytes(bytes(range(256)))

    def load_assets(self, folder: str) -> None:
        assert Path(folder, "more", "yet", "bytes.bin").read_bytes() == bytes(range(256))
        self.words = Path(folder, "vocabulary.txt").read_text(encoding="utf-8")


class Net(nnx.Model):
    """Layers in attributes, lists and dicts, a state and a file of the model itself."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.steps, self.title = 0, ""
        self.blocks = [Counting(), Words("in a list")]
        self.by_name = {"one": Counting(), "two": Dense(2)}

    def call(self, x: Any) -> Any:
        for block in self.blocks:
            x = block(x)
        return self.by_name["two"](self.by_name["one"](x))

    def save_own_variables(self, store: Any) -> None:
        store["steps"] = self.steps

    def load_own_variables(self, store: Any) -> None:
        self.steps = int(store["steps"])

    def save_assets(self, folder: str) -> None:
        Path(folder, "title.txt").write_text(self.title, encoding="utf-8")

    def load_assets(self, folder: str) -> None:
        self.title = Path(folder, "title.txt").read_text(encoding="utf-8")


CLASSES = {cls.__name__: cls for cls in (Counting, Words, Net)}
MODELS = ["x.keras", "x.safetensors"]
WEIGHTS = ["x.weights.h5", "x.safetensors"]


@pytest.fixture(params=MODELS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "x.keras":
        pytest.importorskip("h5py")
    return Path(tmp_path, request.param)


@pytest.fixture(params=WEIGHTS)
def weights_path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "x.weights.h5":
        pytest.importorskip("h5py")
    return Path(tmp_path, request.param)


def fill(layer: Any, number: float = 1.0) -> Any:
    """Give a Counting numbers that no fresh one has."""
    layer.offset.assign(np.float32([1.0, 2.0, 3.0]) * number)
    layer.scale.assign(np.float32([0.5, 0.25, 2.0]) * number)
    layer.table, layer.calls, layer.flag = TABLE + int(number), int(number), True
    return layer


def stack() -> nnx.Sequential:
    model = nnx.Sequential([Input((3,)), Counting(name="first"), Words("a b ü"), Counting(), Dense(2)])
    for number, layer in enumerate((model.layers[0], model.layers[1].inner, model.layers[2]), 1):
        fill(layer, number)
    return model


def check(layer: Any, number: float) -> None:
    np.testing.assert_array_equal(layer.table, TABLE + int(number))
    assert (layer.calls, layer.flag, layer.table.dtype) == (int(number), True, np.dtype("int64"))


def like(cls: Any, **methods: Any) -> Any:
    """A class of that name with other methods."""
    return type(cls.__name__, (cls,), methods)


def load(path: Path) -> Any:
    return nnx.models.load_model(path, custom_objects=CLASSES)


def test_a_model_is_what_it_was(backend: Any, path: Path):
    model = stack()
    model.save(path)
    loaded = load(path)
    for number, layer in enumerate((loaded.layers[0], loaded.layers[1].inner, loaded.layers[2]), 1):
        check(layer, number)
    assert loaded.layers[1].words == "a b ü"
    assert_close(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    assert path.read_bytes() == (loaded.save(path), path.read_bytes())[1]


def test_a_model_of_ones_own(path: Path):
    model = Net()
    model.build((None, 3))
    model.steps, model.title = 12, "the title"
    fill(model.by_name["one"], 5)
    model.save(path)
    loaded = load(path)
    assert (loaded.steps, loaded.title, loaded.blocks[1].words) == (12, "the title", "in a list")
    check(loaded.by_name["one"], 5)
    assert_close(loaded.predict(X, verbose=0), model.predict(X, verbose=0))


def test_weights_go_into_another_model(backend: Any, weights_path: Path):
    model, other = stack(), stack()
    fill(model.layers[0], 9)
    model.layers[1].words = "is in no file of weights"
    model.save_weights(weights_path)
    other.load_weights(weights_path)
    check(other.layers[0], 9)
    assert other.layers[1].words == "a b ü"
    assert_close(other.predict(X, verbose=0), model.predict(X, verbose=0))


def test_names_in_files(tmp_path: Path):
    h5py = pytest.importorskip("h5py")
    model = stack()
    model.save_weights(tmp_path / "x.weights.h5")
    with h5py.File(tmp_path / "x.weights.h5") as file:
        assert set(file["layers/counting/vars"]) == {"0", "1", "table", "calls", "flag"}
        assert set(file["layers/words/inner/vars"]) == {"0", "1", "table", "calls", "flag"}
    model.save(tmp_path / "x.keras")
    with zipfile.ZipFile(tmp_path / "x.keras") as archive:
        assert {name for name in archive.namelist() if name.startswith("assets/")} == {
            "assets/layers/words/vocabulary.txt",
            "assets/layers/words/more/yet/bytes.bin",
        }
    model.save(tmp_path / "x.safetensors")
    arrays, _ = nnx.saving.files.read_file(tmp_path / "x.safetensors")
    assert {"own_variables.first/0", "own_variables.words/counting/calls", "assets.words/vocabulary.txt"} <= set(arrays)
    assert not {"first/scale", "first/offset"} & set(arrays)


# What does not fit


@pytest.mark.parametrize(
    ("name", "value", "error", "words"),
    [
        ("text", "a text", TypeError, r"save_own_variables stores 'text', of str, expected numbers"),
        ("none", None, TypeError, r"stores 'none', of NoneType, expected numbers"),
        ("ragged", [[1], [1, 2]], TypeError, r"stores 'ragged', of list, expected numbers"),
        ("object", {"a": 1}, TypeError, r"stores 'object', of dict, expected numbers"),
        ("complex", 1j, TypeError, r"stores 'complex', of complex, expected numbers"),
        ("a/b", 1, ValueError, r"stores 'a/b', expected a name without '/'"),
        ("", 1, ValueError, r"stores '', expected a name"),
        (3, 1, ValueError, r"stores 3, expected a name"),
    ],
)
def test_what_cannot_be_stored(path: Path, name: Any, value: Any, error: type[Exception], words: str):
    class Wrong(Counting):
        def save_own_variables(self, store: Any) -> None:
            store[name] = value

    path.write_bytes(b"old")
    model = nnx.Sequential([Input((3,)), Wrong(name="mine")])
    with pytest.raises(error, match=rf"mine.*: save_own_variables .*|{words}") as raised:
        model.save(path)
    assert "mine" in str(raised.value)
    assert path.read_bytes() == b"old"
    with pytest.raises(error, match=words):
        model.save_weights(path.with_suffix(".weights.h5" if path.suffix == ".keras" else path.suffix))


class Plain(Dense):
    """Keras' way to store it, by methods that only call those of the base."""

    def load_own_variables(self, store: Any) -> None:
        super().load_own_variables(store)


def plain(units: int, **options: Any) -> nnx.Sequential:
    return nnx.Sequential([Input((3,)), Plain(units, name="mine", **options)], name="all")


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (lambda: plain(5), r"'0' \(kernel\) has shape \(3, 4\) in the store, expected \(3, 5\)"),
        (lambda: plain(4, use_bias=False), r"mine has 1 own weights \(kernel\), in the store are 2: 0, 1"),
        (stack, "does not fit"),
    ],
)
def test_what_does_not_fit_names_the_layer_and_the_file(weights_path: Path, other: Any, words: str):
    plain(4).save_weights(weights_path)
    model = other()
    before = model.get_weights()
    with pytest.raises(ValueError, match=words) as raised:
        model.load_weights(weights_path)
    assert weights_path.name in str(raised.value)
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_a_layer_that_fails_changes_nothing(backend: Any, weights_path: Path):
    model, other = stack(), stack()
    for number, layer in enumerate((model.layers[0], model.layers[2])):
        fill(layer, 20 + number)
    model.save_weights(weights_path)
    other.layers[2].refuses = True
    before, notes = other.get_weights(), other.layers[0].notes
    with pytest.raises(
        ValueError, match=r"load_own_variables of .*counting.* failed with KeyError: 'what is not there'"
    ):
        other.load_weights(weights_path)
    for now, then in zip(other.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    check(other.layers[0], 1)
    check(other.layers[2], 3)
    assert other.layers[0].notes is notes
    assert notes == ["new"]
    with pytest.warns(UserWarning, match="load_own_variables of"):
        other.load_weights(weights_path, skip_mismatch=True)
    check(other.layers[0], 20)
    check(other.layers[2], 3)
    np.testing.assert_array_equal(other.layers[2].scale.numpy(), before[5])


def test_a_layer_that_fails_is_named_when_a_model_is_loaded(path: Path):
    def fail(self: Any, store: Any) -> None:
        raise MemoryError("no")

    def read(self: Any, folder: str) -> None:
        Path(folder, "nothing.txt").read_text(encoding="utf-8")

    stack().save(path)
    with pytest.raises(ValueError, match=r"cannot load .*x\.\w+: .*load_own_variables of .*first"):
        nnx.models.load_model(path, custom_objects={**CLASSES, "Counting": like(Counting, load_own_variables=fail)})
    with pytest.raises(ValueError, match=r"cannot load .*load_assets of words failed with FileNotFoundError"):
        nnx.models.load_model(path, custom_objects={**CLASSES, "Words": like(Words, load_assets=read)})


def test_a_store_that_no_layer_has(weights_path: Path):
    class Bare(Layer):
        def build(self, input_shape: Any) -> None:
            self.offset, self.scale = (self.add_weight((3,), "zeros", name=name) for name in ("offset", "scale"))
            super().build(input_shape)

        def call(self, x: Any) -> Any:
            return x * self.scale + self.offset

    nnx.Sequential([Input((3,)), Counting(name="mine")]).save_weights(weights_path)
    model = nnx.Sequential([Input((3,)), like(Bare)(name="mine")])
    model.layers[0].__class__.__name__ = "Counting"
    with pytest.raises(ValueError, match=r"(mine|counting).*/calls is in the file, the model has no such"):
        model.load_weights(weights_path)
    assert not model.layers[0].scale.numpy().any()


# Old files, and weights that are in none


def test_weights_under_their_paths_are_read_into_a_class_that_stores_itself(tmp_path: Path):
    model = nnx.Sequential([Input((3,)), Dense(4, name="mine")], name="all")
    model.save_weights(tmp_path / "x.safetensors")
    other = plain(4)
    other.load_weights(tmp_path / "x.safetensors")
    np.testing.assert_array_equal(other.layers[0].kernel.numpy(), model.layers[0].kernel.numpy())


class Positions(Layer):
    """A table that its initializer makes, and that is in no file."""

    def build(self, input_shape: Any) -> None:
        self.table = self.add_weight((300, 300), nnx.initializers.Constant(0.5), name="table", trainable=False)
        super().build(input_shape)

    def call(self, x: Any) -> Any:
        return x + self.table[0, :3]

    def save_own_variables(self, store: Any) -> None: ...

    def load_own_variables(self, store: Any) -> None: ...


def test_what_is_in_no_file_is_what_it_is_at_first(path: Path):
    model = nnx.Sequential([Input((3,)), Positions()])
    model.save(path)
    assert path.stat().st_size < 20_000
    loaded = nnx.models.load_model(path, custom_objects={"Positions": Positions})
    assert_close(loaded.predict(X, verbose=0), X + 0.5)


# Where such layers are


class Cell(Layer):
    state_size = 3

    def build(self, input_shape: Any, state_shape: Any = None) -> None:
        self.kernel = self.add_weight((3, 3), name="kernel")
        self.count = 0
        super().build(input_shape)

    def call(self, inputs: Any, states: Any) -> Any:
        output = nnx.ops.tanh(inputs @ self.kernel + states[0])
        return output, [output]

    def save_own_variables(self, store: Any) -> None:
        store["kernel"], store["count"] = self.kernel, self.count

    def load_own_variables(self, store: Any) -> None:
        self.kernel.assign(store["kernel"])
        self.count = int(store["count"])


class Extra(nnx.layers.LSTM):
    """Its weights are those of a cell in Keras, so that a store has none of them."""

    extra = 0

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        assert not store
        store["extra"] = self.extra

    def load_own_variables(self, store: Any) -> None:
        self.extra = int(store["extra"])


def test_cells_and_wrappers(path: Path):
    shared, both = Counting(name="shared"), Bidirectional(RNN(Cell(), return_sequences=True), merge_mode="sum")
    x = Input((5, 3))
    y = Extra(3, return_sequences=True)(shared(both(TimeDistributed(Counting())(x))))
    model = nnx.Model(x, shared(y))
    fill(model.layers[1].layer, 4)
    fill(shared, 2)
    both.forward_layer.cell.count, both.backward_layer.cell.count = 6, 7
    model.layers[4].extra = 8
    model.save(path)
    loaded = nnx.models.load_model(path, custom_objects={**CLASSES, "Cell": Cell, "Extra": Extra})
    check(loaded.layers[1].layer, 4)
    check(loaded.layers[3], 2)
    both = loaded.layers[2]
    assert (both.forward_layer.cell.count, both.backward_layer.cell.count, loaded.layers[4].extra) == (6, 7, 8)
    x = np.float32(Generator(3).normal((2, 5, 3)))
    assert_close(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_a_layer_in_two_models(weights_path: Path):
    layer = Counting()
    one = nnx.Sequential([Input((3,)), layer])
    two = nnx.Sequential([Input((3,)), Dense(3), layer, nnx.Sequential([layer, Dense(1)])])
    fill(layer, 3)
    for model in (one, two):
        model.save_weights(weights_path)
        fill(layer, 5)
        model.load_weights(weights_path)
        check(layer, 3)


def test_copies(path: Path):
    model = stack()
    copied, clone = copy.deepcopy(model), nnx.models.clone_model(model)
    copied.save(path)
    check(load(path).layers[0], 1)
    clone.save_weights(path.with_suffix(".safetensors"))
    assert clone.layers[0].calls == 0


def test_without_compiling(path: Path):
    model = stack()
    model.compile("adam", "mse")
    model.fit(X, np.zeros((8, 2), "float32"), verbose=0)
    model.save(path)
    loaded = nnx.models.load_model(path, custom_objects=CLASSES, compile=False)
    check(loaded.layers[0], 1)
    assert loaded.optimizer is None


def test_training_goes_on_as_it_would_have(backend: Any, path: Path):
    model, y = stack(), np.zeros((8, 2), "float32")
    model.compile("adam", "mse")
    model.fit(X, y, verbose=0, shuffle=False)
    model.save(path)
    loaded = load(path)
    for one in (model, loaded):
        one.fit(X, y, epochs=2, verbose=0, shuffle=False)
    assert_close(loaded.predict(X, verbose=0), model.predict(X, verbose=0))


def test_mixed_precision(path: Path):
    with nnx.backend("numpy", dtype="float16"):
        model, y = stack(), np.zeros((8, 2), "float32")
        model.compile(nnx.optimizers.SGD(0.1), "mse")
        model.fit(X, y, verbose=0, shuffle=False)
        model.save(path)
        loaded = load(path)
    check(loaded.layers[0], 1)
    assert_close(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    loaded.fit(X, y, verbose=0, shuffle=False)


# Callbacks


class Steps(nnx.callbacks.Callback):
    """Lets a layer count the epochs; ends the training after one, where it is to be interrupted."""

    def __init__(self, last: int = 99) -> None:
        super().__init__()
        self.last = last

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.model.layers[0].calls = epoch + 1
        if epoch + 1 == self.last:
            raise KeyboardInterrupt


def test_callbacks(path: Path, tmp_path: Path):
    def train(last: int) -> Any:
        nnx.random.set_seed(3)
        model = stack()
        model.compile("adam", "mse")
        callbacks = [Steps(last), nnx.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)]
        callbacks.append(nnx.callbacks.ModelCheckpoint(path))
        model.fit(X, np.zeros((8, 2), "float32"), epochs=4, verbose=0, callbacks=callbacks)
        return model

    whole = train(99)
    check(load(path).layers[2], 3)
    assert load(path).layers[0].calls == 4
    for file in tmp_path.glob("backup/*"):
        file.unlink()
    with pytest.raises(KeyboardInterrupt):
        train(3)
    again = train(99)
    for now, then in zip(again.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(now, then)


def test_a_checkpoint_that_a_layer_does_not_take_changes_nothing(tmp_path: Path):
    def train(model: Any) -> None:
        backup = nnx.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
        model.fit(X, np.zeros((8, 2), "float32"), epochs=2, verbose=0, callbacks=[backup])

    models = [stack(), stack()]
    for model in models:
        model.compile("adam", "mse")
    train(models[0])
    models[1].layers[2].refuses = True
    before = models[1].get_weights()
    with pytest.raises(ValueError, match=r"cannot go on from .*load_own_variables of counting"):
        train(models[1])
    for now, then in zip(models[1].get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    check(models[1].layers[0], 1)
    assert models[1].layers[0].notes == ["new"]


# Files of strangers


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    pytest.importorskip("h5py")
    stack().save(tmp_path / "x.keras")
    return tmp_path / "x.keras"


def add(path: Path, name: str, content: bytes, compress: int = zipfile.ZIP_STORED, mode: int = 0o644) -> None:
    member = zipfile.ZipInfo(name)
    member.external_attr, member.compress_type = mode << 16, compress
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, content)


@pytest.mark.parametrize(
    "name", ["assets/../escaped", "assets/layers/../../escaped", "assets/{absolute}", "assets/a/../../../escaped"]
)
def test_no_file_is_written_elsewhere(archive: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    elsewhere = tmp_path / "escaped"
    add(archive, name.format(absolute=elsewhere), b"escaped")
    with pytest.raises(ValueError, match=r"cannot load .*x\.keras: its asset .* is no path inside of its folder"):
        load(archive)
    assert not list(temporary.iterdir())
    assert not elsewhere.exists()


def test_a_link_is_a_file_with_a_text(archive: Path):
    add(archive, "assets/layers/words/link", b"/etc/passwd", mode=0o120777)

    def look(self: Any, folder: str) -> None:
        link = Path(folder, "link")
        self.words = "" if link.is_symlink() else link.read_text(encoding="utf-8")

    loaded = nnx.models.load_model(archive, custom_objects={**CLASSES, "Words": like(Words, load_assets=look)})
    assert loaded.layers[1].words == "/etc/passwd"


@pytest.mark.parametrize("name", ["assets/layers", "assets/layers/words/vocabulary.txt/more", "assets/" + "a" * 5000])
def test_files_that_cannot_be(archive: Path, name: str):
    add(archive, name, b"")
    with pytest.raises(ValueError, match=r"cannot load .*x\.keras: its asset"):
        load(archive)


def test_files_that_are_too_large(archive: Path):
    add(archive, "assets/layers/words/zeros", bytes(10_000_000), zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match=r"cannot load .*assets of 10000\d{3} bytes, more than \d{7}$"):
        load(archive)


def test_a_file_twice(archive: Path):
    with pytest.warns(UserWarning, match="Duplicate"):
        add(archive, "assets/layers/words/vocabulary.txt", b"another")
    with pytest.raises(ValueError, match="a part twice"):
        load(archive)


def test_a_changed_file(archive: Path):
    content = archive.read_bytes()
    assert content.count("a b ü".encode()) == 1
    archive.write_bytes(content.replace("a b ü".encode(), "a c ü".encode()))
    with pytest.raises(ValueError, match="CRC"):
        load(archive)


def test_an_unpacked_folder(archive: Path, tmp_path: Path):
    with zipfile.ZipFile(io.BytesIO(archive.read_bytes())) as opened:
        opened.extractall(tmp_path / "folder")
    assert load(tmp_path / "folder").layers[1].words == "a b ü"


def test_a_layer_without_files_is_not_asked(path: Path):
    class Silent(Words):
        def save_assets(self, folder: str) -> None: ...

    model = nnx.Sequential([Input((3,)), Silent("kept in no file", name="words")])
    model.save(path)
    assert nnx.models.load_model(path, custom_objects={**CLASSES, "Silent": Silent}).layers[0].words == ""
