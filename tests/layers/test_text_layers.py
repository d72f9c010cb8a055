"""Layers of texts and categories: inside models, in files, and what they refuse."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.layers import (
    CategoryEncoding,
    Concatenate,
    Dense,
    Discretization,
    Embedding,
    GlobalAveragePooling1D,
    HashedCrossing,
    Hashing,
    Input,
    IntegerLookup,
    StringLookup,
    TextVectorization,
)
from nnx.registry import register_keras_serializable
from nnx.saving.files import read_file, write_file
from nnx.testing import assert_close

TEXTS = ["good fine film", "bad awful film", "good good", "awful bad bad", "fine", "bad"]
FORMS = {
    "list": TEXTS,
    "str": np.asarray(TEXTS),
    "objects": np.asarray(TEXTS, object),
    "variable width": np.asarray(TEXTS, np.dtypes.StringDType()),
    "bytes": np.asarray([text.encode() for text in TEXTS]),
}


def classifier() -> nnx.Model:
    nnx.random.set_seed(3)
    words = TextVectorization(output_sequence_length=4)
    words.adapt(TEXTS)
    x = Input(shape=(1,), dtype="string")
    y = Dense(1, "sigmoid")(GlobalAveragePooling1D()(Embedding(9, 4)(words(x))))
    model = nnx.Model(x, y)
    model.compile(nnx.optimizers.Adam(0.05), "binary_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.parametrize("form", FORMS)
def test_a_model_trains_on_texts(backend: Placement, form: str):
    model, x, y = classifier(), FORMS[form], np.asarray([1.0, 0.0, 1.0, 0.0, 1.0, 0.0], np.float32)
    history = model.fit(x, y, epochs=12, batch_size=4, verbose=0)
    assert history.history["accuracy"][-1] == 1.0
    predicted = model.predict(x, verbose=0)
    assert_close(model(x), predicted)
    loader = nnx.data.DataLoader(x, y, batch_size=3, shuffle=True, prefetch=1)
    assert model.evaluate(loader, verbose=0) == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-5)


def mixed_model() -> nnx.Model:
    nnx.random.set_seed(4)
    kind, size, number = Input((1,), dtype="string"), Input((1,)), Input((1,), dtype="int64")
    bins = Discretization(num_bins=2, output_mode="one_hot")
    bins.adapt(np.asarray([1.0, 2.0, 3.0, 4.0]))
    weighted = StringLookup(output_mode="tf_idf", num_oov_indices=2)
    weighted.adapt([["a", "b"], ["b", "c"]])
    parts = [
        weighted(kind),
        bins(size),
        IntegerLookup(vocabulary=[7, 9], output_mode="one_hot")(number),
        Hashing(3, salt=5, output_mode="one_hot")(number),
        HashedCrossing(4, "one_hot")([kind, number]),
        CategoryEncoding(10, "one_hot")(number),
    ]
    return nnx.Model([kind, size, number], Dense(1)(Concatenate()(parts)))


MIXED = [np.asarray([["a"], ["x"], ["c"]]), np.asarray([[1.0], [2.5], [9.0]]), np.asarray([[7], [8], [9]])]


def test_texts_and_numbers_go_into_one_model(backend: Placement):
    model = mixed_model()
    model.compile("sgd", "mse")
    model.fit(MIXED, np.ones((3, 1), np.float32), batch_size=2, epochs=2, verbose=0)
    with nnx.backend("numpy"):
        other = mixed_model()
        other.set_weights(model.get_weights())
    assert_close(model.predict(MIXED, verbose=0), other.predict(MIXED, verbose=0))


@pytest.mark.parametrize("name", ["model.safetensors", "model.keras"])
@pytest.mark.parametrize("make", [classifier, mixed_model])
def test_vocabularies_are_saved(make: Any, name: str, tmp_path: Path):
    model = make()
    data = np.asarray([["good film"], ["awful unknown"]]) if make is classifier else MIXED
    model.save(tmp_path / name)
    loaded = nnx.models.load_model(tmp_path / name)
    assert_close(loaded.predict(data, verbose=0), model.predict(data, verbose=0))
    lookup = next(layer for layer in loaded.layers if isinstance(layer, TextVectorization | StringLookup))
    lookup.adapt(["w1", "w2", "w3"] if make is mixed_model else TEXTS)  # it was learned, not given


@register_keras_serializable()
def shouted(texts: np.ndarray) -> np.ndarray:
    return np.strings.upper(texts)


@register_keras_serializable()
def at_commas(texts: np.ndarray) -> list[list[str]]:
    return [text.split(",") for text in texts.tolist()]


def test_functions_of_ones_own_are_saved_by_name():
    layer = TextVectorization(standardize=shouted, split=at_commas, vocabulary=["A B", "C"])
    again = TextVectorization.from_config(layer.get_config())
    assert layer.get_config()["standardize"] == "shouted"
    assert again(["a b,c,d", "c"]).tolist() == [[2, 3, 1], [3, 0, 0]]
    with pytest.raises(ValueError, match="standardize"):
        TextVectorization(standardize="unregistered")


class Reader(nnx.Model):
    """A model in ordinary array code, which finds out what it does by being tried on numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.words = TextVectorization(vocabulary=["good", "bad"])
        self.vectors, self.mean, self.last = Embedding(4, 3), GlobalAveragePooling1D(), Dense(1)

    def call(self, x: Any) -> Any:
        return self.last(self.mean(self.vectors(self.words(x))))


@pytest.mark.parametrize(
    "make",
    [Reader, lambda: nnx.Sequential([TextVectorization(vocabulary=["good", "bad"], output_mode="count"), Dense(1)])],
)
def test_models_without_an_input_layer(backend: Placement, make: Any):
    model = make()
    model.compile("sgd", "mse")
    model.fit(TEXTS, np.ones(6, np.float32), verbose=0)
    assert model.predict(["good bad good", "x"], verbose=0).shape == (2, 1)
    assert_close(model(["good"]), model.predict(["good"], verbose=0))


def test_layers_are_in_the_place_of_the_backend(backend: Placement):
    for layer, x in (
        (StringLookup(vocabulary=["a"]), ["a", "b"]),
        (Hashing(3), ["a", "b"]),
        (TextVectorization(vocabulary=["a"], output_mode="multi_hot"), "a"),
        (IntegerLookup(vocabulary=[5], output_mode="count"), [[5, 5]]),
        (Discretization([1.0]), [0.5, 2.0]),
        (CategoryEncoding(3), [0, 2]),
    ):
        assert backend.holds(layer(x)), layer


def test_what_is_not_known():
    with pytest.raises(ValueError, match="'x' is not in the vocabulary"):
        StringLookup(vocabulary=["a"], num_oov_indices=0)(["a", "x"])
    with pytest.raises(ValueError, match="6 is not in the vocabulary"):
        IntegerLookup(vocabulary=[5], num_oov_indices=0)([5, 6])
    with pytest.raises(ValueError, match="no vocabulary: call adapt"):
        TextVectorization()(["a"])
    with pytest.raises(TypeError, match="expected texts, got nan at 1; missing ones"):
        StringLookup(vocabulary=["a"])(np.asarray(["a", np.nan], object))
    with pytest.raises(TypeError, match="expected texts"):
        StringLookup(vocabulary=["a"])([1, 2])


def test_a_model_without_layers_for_texts_refuses_them():
    model = nnx.Sequential([Dense(1)])
    with pytest.raises(ValueError, match="expected an array of numbers"):
        model.predict(["a", "b"], verbose=0)


def test_integers_of_a_file(tmp_path):
    (tmp_path / "numbers.txt").write_text("10\n-2\n")
    assert nnx.to_numpy(IntegerLookup(vocabulary=str(tmp_path / "numbers.txt"))([10, -2, 7])).tolist() == [1, 2, 0]
    (tmp_path / "numbers.txt").write_text("10\nten\n")
    with pytest.raises(ValueError, match="vocabulary of integers was expected, got 'ten'"):
        IntegerLookup(vocabulary=tmp_path / "numbers.txt")


@pytest.mark.parametrize("kind", [StringLookup, TextVectorization])
def test_what_is_loaded_has_no_other_file_read(kind, tmp_path):
    secret = tmp_path / "words.txt"
    secret.write_text("secret\n")
    layer = kind(vocabulary=["a"], name="lookup")
    described = nnx.saving.serialize_keras_object(layer)
    described["config"]["vocabulary"] = str(secret)
    words = "lookup: '.*words.txt' would be read, and what is loaded may have no other file read: before it is saved"
    with pytest.raises(ValueError, match=words):
        nnx.saving.deserialize_keras_object(described)
    model = nnx.Sequential([nnx.Input((), dtype="string"), layer])
    text = json.loads(model.to_json())
    text["config"]["layers"][-1]["config"]["vocabulary"] = str(secret)
    with pytest.raises(ValueError, match=words):
        nnx.models.model_from_json(json.dumps(text))
    model.save(tmp_path / "m.safetensors")
    arrays, metadata = read_file(tmp_path / "m.safetensors")
    write_file(tmp_path / "m.safetensors", arrays, {**metadata, "model": json.dumps(text)})
    with pytest.raises(ValueError, match=rf"m\.safetensors: {words}"):
        nnx.models.load_model(tmp_path / "m.safetensors")
    assert kind.from_config(described["config"]).get_vocabulary()[-1] == "secret"  # of one's own


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: StringLookup(vocabulary=["a", "a"]), "tokens twice: 'a'"),
        (lambda: StringLookup(vocabulary=["a", ""], mask_token=""), "has '', which has a meaning of its own, at 1"),
        (lambda: StringLookup(vocabulary=["a"], output_mode="tf_idf"), "needs idf_weights"),
        (lambda: StringLookup(max_tokens=2, vocabulary=["a", "b"]), "more than max_tokens=2"),
        (lambda: StringLookup(vocabulary="nowhere.txt"), "no vocabulary file nowhere.txt"),
        (lambda: StringLookup(sparse=True), "no sparse arrays"),
        (lambda: IntegerLookup(salt=3), "farmhash"),
        (lambda: IntegerLookup(vocabulary=[-1]), "the vocabulary is empty"),
        (lambda: IntegerLookup(vocabulary=[1.5]), "vocabulary of integers was expected, got 1.5"),
        (lambda: IntegerLookup(vocabulary=["12"]), "vocabulary of integers was expected, got '12'"),
        (lambda: IntegerLookup().adapt(np.asarray([1.0, 2.5])), "fractions or NaN"),
        (lambda: IntegerLookup().adapt(np.asarray([1.0, np.nan])), "fractions or NaN"),
        (lambda: TextVectorization(ngrams=0.5), "ngrams must be"),
        (lambda: TextVectorization(ngrams=-3), "ngrams must be a positive integer"),
        (
            lambda: TextVectorization(vocabulary=["a"], standardize=lambda texts: texts[:1])(["a", "b"]),
            r"a text for each, in shape \(2,\), got \(1,\)",
        ),
        (lambda: Discretization([np.nan]), "must ascend"),
        (lambda: TextVectorization(encoding="latin-1"), "decode the bytes first"),
        (lambda: Hashing(3, dtype="float32"), "dtype"),
        (lambda: Discretization([3.0, 1.0]), "must ascend"),
        (lambda: CategoryEncoding(), "needs num_tokens"),
    ],
)
def test_what_is_refused(make: Any, reason: str):
    with pytest.raises(ValueError, match=reason):
        make()


def test_runs_of_any_number_of_words_are_as_many_as_there_are():
    layer = TextVectorization(ngrams=10**12, vocabulary=["a", "a b", "b c d"], output_mode="count")
    assert layer(["a b c d"]).tolist() == [[7, 1, 1, 1]]


def test_counts_of_samples_in_tables_are_along_the_last_axis():
    layer = StringLookup(vocabulary=["a", "b"], output_mode="count")
    assert layer(np.asarray([[["a", "b"], ["a", "a"]]])).tolist() == [[[0, 1, 1], [0, 2, 0]]]


def test_adapting_to_a_loader_takes_the_inputs():
    loader = nnx.data.DataLoader(np.asarray(TEXTS), np.zeros(6), batch_size=4)
    layer, other = TextVectorization(output_mode="tf_idf"), TextVectorization(output_mode="tf_idf")
    layer.adapt(loader)
    other.adapt(TEXTS)
    assert layer.get_config() == {**other.get_config(), "name": layer.name}
    few = TextVectorization()
    few.adapt(loader, steps=1)
    assert few.get_vocabulary(include_special_tokens=False) == ["good", "bad", "film", "awful", "fine"]


TABLE = {"kind": ["a", "b", "b", "c"], "size": [1.0, 2.0, 3.0, 6.0], "number": [7, 9, 9, 7]}


def feature_space(**options: Any) -> nnx.utils.FeatureSpace:
    features = {"kind": "string_categorical", "size": "float_normalized", "number": "integer_categorical"}
    space = nnx.utils.FeatureSpace(features, crosses=[("kind", "number")], crossing_dim=5, **options)
    space.adapt(TABLE)
    return space


def test_a_feature_space_is_a_part_of_a_model(backend: Placement):
    space = feature_space()
    model = nnx.Model(space.get_inputs(), Dense(1)(space.get_encoded_features()))
    model.compile("sgd", "mse")
    columns = {name: np.asarray(column) for name, column in TABLE.items()}
    model.fit(columns, np.ones(4, np.float32), verbose=0)
    encoded = space({name: column[0] for name, column in columns.items()})
    assert encoded.shape == (4 + 3 + 1 + 5,)
    assert_close(encoded, space(TABLE)[0, ...])


def test_a_feature_space_reads_a_data_frame():
    frame = pytest.importorskip("pandas").DataFrame(TABLE)
    space, expected = feature_space(), feature_space()(TABLE)
    space.adapt(frame)
    assert_close(space(frame), expected)
    model = nnx.Model(space.get_inputs(), space.get_encoded_features())
    assert_close(model.predict(frame, verbose=0), expected)
    with pytest.raises(ValueError, match=r"x is a dict of \['kind', 'size'\], expected the names"):
        model.predict(frame[["kind", "size"]], verbose=0)
    for use in (space, space.adapt):
        with pytest.raises(ValueError, match=r"there are no columns number in the data; they have kind, size"):
            use(frame[["kind", "size"]])
    with pytest.raises(TypeError, match="size: expected real numbers, got data of dtype object"):
        nnx.Model(space.get_inputs(), space.get_encoded_features()).predict({**frame, "size": frame["kind"]}, verbose=0)
    with pytest.raises(TypeError, match="the column 'kind': expected texts, got None at 1"):
        space.adapt({**TABLE, "kind": ["a", None]})


@pytest.mark.parametrize("output_mode", ["concat", "dict"])
@pytest.mark.parametrize("name", ["space.safetensors", "space.keras"])
def test_a_feature_space_is_saved(tmp_path: Path, name: str, output_mode: str):
    space = feature_space(output_mode=output_mode)
    space.save(tmp_path / name)
    loaded = nnx.models.load_model(tmp_path / name)
    assert isinstance(loaded, nnx.utils.FeatureSpace)
    assert loaded.get_config().keys() == space.get_config().keys()
    made, expected = loaded(TABLE), space(TABLE)
    if output_mode == "concat":
        assert_close(made, expected)
    else:
        assert {key: value.tolist() for key, value in made.items()} == {key: v.tolist() for key, v in expected.items()}


def test_a_feature_space_refuses():
    with pytest.raises(ValueError, match=r"call adapt\(dataset\)"):
        nnx.utils.FeatureSpace({"a": "float_normalized"})({"a": [1.0]})
    space = nnx.utils.FeatureSpace({"a": "float", "b": nnx.utils.FeatureSpace.float(name="mine")}, output_mode="dict")
    assert space.preprocessors["b"].name == "mine_preprocessor"
    with pytest.raises(ValueError, match="no columns b in the data; they have a"):
        space({"a": [1.0]})
    with pytest.raises(ValueError, match="as many values each, or one alone, got a: one, b: 2"):
        space({"a": 1.0, "b": [2.0, 3.0]})
    with pytest.raises(ValueError, match="no columns a in the data; they have b"):
        nnx.utils.FeatureSpace({"a": "float_normalized"}).adapt({"b": [1.0]})
    with pytest.raises(ValueError, match="'a_X_b' is the name of a feature too"):
        nnx.utils.FeatureSpace(dict.fromkeys(("a", "b", "a_X_b"), "string_hashed"), crosses=[("a", "b")])
    with pytest.raises(ValueError, match="crossing_dim must be a positive integer, got -3"):
        nnx.utils.FeatureSpace({"a": "float"}, crossing_dim=-3)
    with pytest.raises(ValueError, match="there are no features b"):
        nnx.utils.FeatureSpace({"a": "float"}, crosses=[("a", "b")])
    with pytest.raises(ValueError, match="the feature 'a' must be one of 'float', "):
        nnx.utils.FeatureSpace({"a": "floats"})


def test_texts_do_not_go_into_layers_of_numbers() -> None:
    words = nnx.Input((1,), dtype="string")
    with pytest.raises(TypeError, match=r"dense takes numbers, and <Symbol .*> are texts: put a layer between"):
        nnx.layers.Dense(1)(words)
    with pytest.raises(TypeError, match="dense takes numbers"):
        nnx.Sequential([words, nnx.layers.Dense(1)])
    lookup = nnx.layers.StringLookup(vocabulary=["a"])
    assert nnx.Model(words, nnx.layers.Embedding(2, 3)(lookup(words))).output_shape == (None, 1, 3)


def test_a_billion_numbers_for_unknown_tokens_take_no_memory():
    tracemalloc.start()
    layer = StringLookup(vocabulary=["a"], num_oov_indices=10**9)
    assert (layer.vocabulary_size(), layer(["a"]).tolist()) == (10**9 + 1, [10**9])
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
