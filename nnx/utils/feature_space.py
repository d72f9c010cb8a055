"""Tables of numbers and texts as vectors: what is done to each column, said once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nnx import saving
from nnx.arguments import choice, positive_integer
from nnx.backends import Array, array_namespace, asarray, is_array, to_numpy
from nnx.backends.tables import by_name
from nnx.graph.symbol import Symbol
from nnx.layers import (
    CategoryEncoding,
    Concatenate,
    Discretization,
    HashedCrossing,
    Hashing,
    Identity,
    Input,
    IntegerLookup,
    Layer,
    Normalization,
    Rescaling,
    StringLookup,
    registry,
)
from nnx.registry import Configurable
from nnx.text.values import as_texts, is_texts


class Feature(Configurable):
    """What is done to a column. Made by the class methods of `FeatureSpace`.

    dtype : of the column, such as "float32" or "string". preprocessor : the layer that reads it.
    output_mode : "float", as it is; "int", numbers of categories; "one_hot", vectors for these.
    """

    def __init__(self, dtype: str, preprocessor: Any, output_mode: str) -> None:
        self.dtype = dtype
        self.preprocessor = registry.build(preprocessor) if isinstance(preprocessor, Mapping) else preprocessor
        self.output_mode = choice("output_mode", output_mode, ("int", "one_hot", "float"))


class Cross(Configurable):
    """Columns that are taken together. Made by `FeatureSpace.cross`.

    feature_names : of the columns. crossing_dim : how many bins they share. output_mode : "one_hot" or "int".
    """

    def __init__(self, feature_names: Sequence[str], crossing_dim: int, output_mode: str = "one_hot") -> None:
        self.feature_names = tuple(feature_names)
        self.crossing_dim = positive_integer("crossing_dim", crossing_dim)
        self.output_mode = choice("output_mode", output_mode, ("int", "one_hot"))

    @property
    def name(self) -> str:
        """The names of its columns, joined by "_X_"."""
        return "_X_".join(self.feature_names)


@registry.register()
class FeatureSpace(Configurable):
    """Columns of numbers and texts as one vector, or as a dict of what each becomes.

    features : for each column what is done to it: what `FeatureSpace.float_normalized()` and its like return, or their
        names, such as "float_normalized", for what they do by default.
    output_mode : "concat", one vector with the columns in the order of their names, crosses last; or "dict".
    crosses : names of columns that are taken together, several in a tuple, or what `FeatureSpace.cross` returns.
    crossing_dim, hashing_dim, num_discretization_bins : how many bins crosses, hashes and discretised numbers have by
        default.

    preprocessors, crossers : the layers, by the names of columns and of crosses, such as "a_X_b".

    A call takes a data frame, or a dict of columns (batch,) or (batch, 1), or of single values, and returns arrays in
    the current backend. For a model, `get_inputs` and `get_encoded_features` are symbols. ValueError for a call before
    `adapt`, and for a column that is missing.

    >>> space = FeatureSpace({"size": "float", "kind": "string_categorical"})
    >>> space.adapt({"size": [1.0, 2.0], "kind": ["cat", "dog"]})
    >>> space({"size": [5.0], "kind": ["dog"]})
    array([[0., 1., 0., 5.]], dtype=float32)
    """

    def __init__(
        self,
        features: Mapping[str, Any],
        output_mode: str = "concat",
        crosses: Sequence[Any] | None = None,
        crossing_dim: int = 32,
        hashing_dim: int = 32,
        num_discretization_bins: int = 32,
        name: str | None = None,
    ) -> None:
        if not features:
            raise ValueError("FeatureSpace needs features, a dict of one column or more")
        self.crossing_dim = positive_integer("crossing_dim", crossing_dim)
        self.hashing_dim = positive_integer("hashing_dim", hashing_dim)
        self.num_discretization_bins = positive_integer("num_discretization_bins", num_discretization_bins)
        self.name = name or "feature_space"
        self.output_mode = choice("output_mode", output_mode, ("concat", "dict"))
        self.features = {column: self._feature(column, given) for column, given in features.items()}
        self.crosses = [self._cross(given) for given in crosses or ()]
        self.preprocessors = {column: feature.preprocessor for column, feature in self.features.items()}
        for cross in self.crosses:
            if cross.name in self.features:
                raise ValueError(f"crosses: {cross.name!r} is the name of a feature too")
        self.crossers = {cross.name: HashedCrossing(cross.crossing_dim) for cross in self.crosses}
        self._encoders: dict[str, Layer] = {}
        self._symbols: tuple[dict[str, Symbol], Any] | None = None
        self._is_adapted = not self._adaptable()

    def _feature(self, column: str, given: Any) -> Feature:
        if isinstance(given, Feature):
            return given
        if isinstance(given, Mapping):
            return Feature(**given.get("config", given))
        options: dict[str, dict[str, Any]] = {
            "float": {},
            "float_normalized": {},
            "float_rescaled": {},
            "float_discretized": {"num_bins": self.num_discretization_bins},
            "integer_categorical": {},
            "string_categorical": {},
            "integer_hashed": {"num_bins": self.hashing_dim},
            "string_hashed": {"num_bins": self.hashing_dim},
        }
        choice(f"the feature {column!r}", given, tuple(options))
        made: Feature = getattr(type(self), given)(**options[given])
        return made

    def _cross(self, given: Any) -> Cross:
        if isinstance(given, Mapping):
            given = Cross(**given.get("config", given))
        cross = given if isinstance(given, Cross) else Cross(given, self.crossing_dim)
        unknown = sorted(set(cross.feature_names) - set(self.features))
        if unknown:
            raise ValueError(f"crosses: there are no features {', '.join(unknown)}")
        return cross

    # What can be done to a column; name : of the layer, before "_preprocessor"

    @classmethod
    def cross(cls, feature_names: Sequence[str], crossing_dim: int, output_mode: str = "one_hot") -> Cross:
        """Columns that are taken together, in so many bins."""
        return Cross(feature_names, crossing_dim, output_mode)

    @classmethod
    def feature(cls, dtype: str, preprocessor: Any, output_mode: str) -> Feature:
        """A column that a layer of one's own reads."""
        return Feature(dtype, preprocessor, output_mode)

    @classmethod
    def float(cls, name: str | None = None) -> Feature:
        """Numbers as they are."""
        return Feature("float32", Identity(name=_layer_name(name)), "float")

    @classmethod
    def float_rescaled(cls, scale: Any = 1.0, offset: Any = 0.0, name: str | None = None) -> Feature:
        """Numbers times a scale, plus an offset."""
        return Feature("float32", Rescaling(scale, offset, name=_layer_name(name)), "float")

    @classmethod
    def float_normalized(cls, name: str | None = None) -> Feature:
        """Numbers brought to mean 0 and variance 1, of the data that are adapted to."""
        return Feature("float32", Normalization(name=_layer_name(name)), "float")

    @classmethod
    def float_discretized(
        cls, num_bins: int | None, bin_boundaries: Any = None, output_mode: str = "one_hot", name: str | None = None
    ) -> Feature:
        """Numbers in bins, whose boundaries are given or adapted to."""
        return Feature("float32", Discretization(bin_boundaries, num_bins, name=_layer_name(name)), output_mode)

    @classmethod
    def integer_categorical(
        cls,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """Integers as categories, which are adapted to."""
        return Feature("int32", IntegerLookup(max_tokens, num_oov_indices, name=_layer_name(name)), output_mode)

    @classmethod
    def string_categorical(
        cls,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """Texts as categories, which are adapted to."""
        return Feature("string", StringLookup(max_tokens, num_oov_indices, name=_layer_name(name)), output_mode)

    @classmethod
    def string_hashed(cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None) -> Feature:
        """Texts in bins, by a hash."""
        return Feature("string", Hashing(num_bins, name=_layer_name(name)), output_mode)

    @classmethod
    def integer_hashed(cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None) -> Feature:
        """Integers in bins, by a hash."""
        return Feature("int32", Hashing(num_bins, name=_layer_name(name)), output_mode)

    # Learning

    def _adaptable(self) -> list[str]:
        """The columns whose layers learn from data."""
        found = []
        for column, layer in self.preprocessors.items():
            given = getattr(layer, "has_input_vocabulary", False)
            given = given or (isinstance(layer, Normalization) and layer.mean is not None)
            given = given or (isinstance(layer, Discretization) and layer.num_bins is None)
            if hasattr(layer, "adapt") and not given:
                found.append(column)
        return found

    def adapt(self, dataset: Any) -> None:
        """Let all layers that learn do so from data.

        dataset : a dict of columns, a data frame, or what gives batches that are dicts of columns, or tuples that begin
            with one; it is gone through once for each column.
        """
        dataset = by_name(dataset)
        if not isinstance(dataset, Mapping) and (iter(dataset) is dataset or not hasattr(dataset, "__iter__")):
            raise ValueError("adapt takes a dict of columns, or a loader that gives batches again and again")
        if isinstance(dataset, Mapping):
            _require_columns(dataset, self._adaptable())
        for column in self._adaptable():
            self.preprocessors[column].adapt(_Column(dataset, column))
        self._is_adapted, self._symbols = True, None

    # Computing

    def __call__(self, data: Mapping[str, Any]) -> Any:
        """The vector, or the dict, for columns; for single values without the axis of a batch."""
        data = by_name(data)
        if not isinstance(data, Mapping):
            raise ValueError(f"a FeatureSpace is called with a dict of columns, got {type(data).__name__}")
        self._require_adapted()
        _require_columns(data, self.features)
        given = {column: self._placed(column, data[column]) for column in self.features}
        sizes = {column: value.shape[0] if value.shape else None for column, value in given.items()}
        if len(set(sizes.values())) > 1:
            listing = ", ".join(f"{column}: {'one' if size is None else size}" for column, size in sizes.items())
            raise ValueError(f"the columns must have as many values each, or one alone, got {listing}")
        alone = None in sizes.values()
        columns = {column: _as_column(value) for column, value in given.items()}
        made = self._encoded(columns)
        if not alone:
            return made
        return {name: value[0, ...] for name, value in made.items()} if isinstance(made, dict) else made[0, ...]

    def _placed(self, column: str, value: Any) -> Array:
        """A column where its layer reads it: on the host, or in the place of the backend."""
        host = value if is_array(value) else _host(value, column)
        return host if self.preprocessors[column].on_host or is_texts(host) else asarray(host)

    def _encoded(self, columns: Mapping[str, Any]) -> Any:
        """What columns become, arrays or symbols."""
        read = {column: self.preprocessors[column](columns[column]) for column in self.features}
        crossed = {
            cross.name: self.crossers[cross.name]([read[one] for one in cross.feature_names]) for cross in self.crosses
        }
        modes = {column: feature.output_mode for column, feature in self.features.items()}
        modes |= {cross.name: cross.output_mode for cross in self.crosses}
        made = {}
        for name in (*sorted(read), *sorted(crossed)):
            value = read.get(name, crossed.get(name))
            if modes[name] == "one_hot":
                if name not in self._encoders:
                    self._encoders[name] = CategoryEncoding(self._depth(name))
                value = self._encoders[name](value)
            elif self.output_mode == "concat" and modes[name] == "int":
                raise ValueError(f'{name!r} is a number of a category, output_mode="int": take output_mode="dict"')
            made[name] = value
        if self.output_mode == "dict":
            return made
        parts = list(made.values())
        if isinstance(parts[0], Symbol):
            return Concatenate()(parts) if len(parts) > 1 else parts[0]
        return array_namespace(parts[0]).concat(parts, axis=-1)

    def _depth(self, name: str) -> int:
        layer = self.crossers.get(name) or self.preprocessors[name]
        if isinstance(layer, StringLookup | IntegerLookup):
            return layer.vocabulary_size()
        if isinstance(layer, Discretization):
            return layer.num_bins or len(layer.bin_boundaries or ()) + 1
        depth = getattr(layer, "num_bins", None) or getattr(layer, "num_tokens", None)
        if depth is None:
            raise ValueError(f'nobody knows how many categories {name!r} has: take output_mode="int" for it')
        return int(depth)

    def _require_adapted(self) -> None:
        if not self._is_adapted:
            raise ValueError("call adapt(dataset) of the FeatureSpace first")

    def get_inputs(self) -> dict[str, Symbol]:
        """A symbol for each column, the inputs of a model."""
        return self._graph()[0]

    def get_encoded_features(self) -> Any:
        """What the columns of `get_inputs` become, as symbols."""
        return self._graph()[1]

    def as_model(self, is_adapted: bool = False) -> Any:
        """The model from batches of the columns, (batch, 1), to what they become.

        is_adapted : whether the layers have learned elsewhere, as those from a file have; else `adapt` has to be first.
        """
        self._is_adapted = self._is_adapted or is_adapted
        return registry.find("Functional")(*self._graph(), name=self.name)

    def save(self, filepath: str | os.PathLike[str]) -> None:
        """Write it to a file of nnx or Keras, from which `load_model` gives it back, adapted as it is.

        filepath : see `nnx.saving.save_model`.
        """
        saving.save_model(self, filepath)

    def _graph(self) -> tuple[dict[str, Symbol], Any]:
        self._require_adapted()
        if self._symbols is None:
            inputs = {
                column: Input(shape=(1,), dtype=feature.dtype, name=column) for column, feature in self.features.items()
            }
            self._symbols = inputs, self._encoded(inputs)
        return self._symbols


def _require_columns(data: Mapping[str, Any], names: Iterable[str]) -> None:
    missing = [name for name in names if name not in data]
    if missing:
        raise ValueError(f"there are no columns {', '.join(missing)} in the data; they have {', '.join(data)}")


class _Column:
    """A column of a data set, batch by batch, with an axis behind that of the batch."""

    def __init__(self, dataset: Any, name: str) -> None:
        self._dataset, self._name = dataset, name

    def __iter__(self) -> Iterator[Any]:
        for item in [self._dataset] if isinstance(self._dataset, Mapping) else self._dataset:
            batch = item if isinstance(item, Mapping) else item[0]
            _require_columns(batch, [self._name])
            yield _as_column(_host(batch[self._name], self._name))


def _layer_name(name: str | None) -> str | None:
    """The name of the layer that reads a feature, as Keras makes it."""
    return None if name is None else f"{name}_preprocessor"


def _host(value: Any, column: str) -> np.ndarray:
    return as_texts(value, f"the column {column!r}") if is_texts(value) else to_numpy(value)


def _as_column(value: Array) -> Array:
    """An array of at least two axes."""
    if len(value.shape) > 1:
        return value
    return array_namespace(value).reshape(value, (-1, 1))
