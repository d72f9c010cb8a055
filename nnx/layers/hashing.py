"""Hashes of texts and integers: a bin for each, without a vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.arguments import choice, positive_integer
from nnx.backends import Array, to_numpy
from nnx.functional import Pullback
from nnx.functional.category_encoding import MODES, encode_categories, encoded_shape
from nnx.layers.index_lookup import read_salt, refuse_sparse_output
from nnx.layers.layer import Layer, registry
from nnx.shapes import Shape, as_shapes
from nnx.text.fingerprints import farm_fingerprint, joined_fingerprint, sip_fingerprint
from nnx.text.values import as_bytes, as_texts, is_texts

_CROSS_KEY = 0xDECAFCAFFE  # TensorFlow's own, of tf.sparse.cross_hashed


@registry.register()
class Hashing(Layer):
    """The bin of each text or integer, by a hash, which needs no vocabulary.

    num_bins : how many bins there are.
    mask_value : what says nothing and gets bin 0, which nothing else has then.
    salt : the hash is SipHash under this key, one or two integers, in place of FarmHash.
    output_mode : "int"; or a vector for each, "one_hot", or for the last axis, "multi_hot" and "count".
    sparse : only False. dtype : "int64" by default, or "int32", for "int"; else a floating one.

    Input: texts or integers of any shape, on the host; floats lose their fractions. Output of that shape, or vectors,
    in the place of the layer. The values are those of TensorFlow: of an integer the hash is that of its decimal digits.

    >>> Hashing(3)(["A", "B", "C"])
    array([1, 0, 1])
    """

    on_host = True
    takes_integers = True
    takes_scalars = True
    learns = False

    def __init__(
        self,
        num_bins: int,
        mask_value: Any = None,
        salt: Any = None,
        output_mode: str = "int",
        sparse: bool = False,
        **kwargs: Any,
    ) -> None:
        kwargs["dtype"] = kwargs.get("dtype") or ("int64" if output_mode == "int" else None)
        super().__init__(**kwargs)
        refuse_sparse_output(self.name, sparse)
        self.num_bins = positive_integer(f"{self.name}: num_bins", num_bins)
        self.mask_value = mask_value
        self.salt = read_salt(self.name, salt)
        self.output_mode = choice(f"{self.name}: output_mode", output_mode, ("int", *MODES))
        self.sparse = False
        if output_mode == "int":
            choice(f"{self.name}: dtype", self.dtype, ("int32", "int64"))

    @property
    def made_dtype(self) -> str:
        """The dtype of the output."""
        return self.dtype or self.placement.dtype

    def forward(self, x: Any, *, training: bool = False) -> tuple[Array, Pullback]:
        bins = self._bins(to_numpy(x))
        placed = self.placement.asarray(bins, self.made_dtype if self.output_mode == "int" else "int64")
        if self.output_mode != "int":
            placed = encode_categories(placed, self.output_mode, self.num_bins, self.made_dtype)
        return placed, lambda dy: None

    def _bins(self, values: np.ndarray) -> np.ndarray:
        texts = is_texts(values)
        if texts:
            values = as_texts(values, self.name)
        elif values.dtype.kind not in "biuf":
            raise TypeError(f"{self.name}: expected texts or integers, got data of dtype {values.dtype}")
        elif values.dtype.kind == "f":
            values = values.astype(np.int64)
        if self.mask_value is not None and isinstance(self.mask_value, str) != texts:
            raise TypeError(
                f"{self.name}: mask_value {self.mask_value!r} cannot be one of data of dtype {values.dtype}"
            )
        masks = self.mask_value is not None and self.num_bins > 1
        bins = self.num_bins - masks
        flat = values.reshape(-1).tolist()
        of = {value: self._key(value) % bins + masks for value in set(flat)}
        if masks and self.mask_value in of:
            of[self.mask_value] = 0
        return np.asarray([of[value] for value in flat], np.int64).reshape(values.shape)

    def _key(self, value: Any) -> int:
        text = as_bytes(str(value).lower() if isinstance(value, bool) else str(value))
        return farm_fingerprint(text) if self.salt is None else sip_fingerprint(text, self.salt)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if self.output_mode == "int":
            return input_shape
        return encoded_shape(input_shape, self.output_mode, self.num_bins)


@registry.register()
class HashedCrossing(Layer):
    """The bin of several features together, by a hash: of a city and a profession, say.

    num_bins : how many bins there are.
    output_mode : "int", or "one_hot".
    sparse : only False. dtype : "int64" by default, or "int32", for "int"; else a floating one.

    Input: two or more arrays of texts or integers, all (batch,) or all (batch, 1), on the host, as a list or tuple.
    Output of that shape, or vectors, in the place of the layer. The values are those of TensorFlow.

    >>> HashedCrossing(5)((["A", "B", "A"], [101, 101, 102]))
    array([1, 4, 3])
    """

    on_host = True
    takes_integers = True
    takes_scalars = True
    learns = False

    def __init__(
        self,
        num_bins: int,
        output_mode: str = "int",
        sparse: bool = False,
        name: str | None = None,
        dtype: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, dtype=dtype or ("int64" if output_mode == "int" else None), **kwargs)
        refuse_sparse_output(self.name, sparse)
        self.num_bins = positive_integer(f"{self.name}: num_bins", num_bins)
        self.output_mode = choice(f"{self.name}: output_mode", output_mode, ("int", "one_hot"))
        self.sparse = False

    @property
    def made_dtype(self) -> str:
        """The dtype of the output."""
        return self.dtype or self.placement.dtype

    def forward(self, *features: Any, training: bool = False) -> tuple[Array, Pullback]:
        hosts = [to_numpy(feature) for feature in features]
        self._check([host.shape for host in hosts])
        keys = [self._keys(host) for host in hosts]
        bins = []
        for crossed in zip(*keys, strict=True):
            key = _CROSS_KEY
            for one in crossed:
                key = joined_fingerprint(key, one)
            bins.append(key % self.num_bins)
        made = np.asarray(bins, np.int64).reshape(hosts[0].shape)
        placed = self.placement.asarray(made, self.made_dtype if self.output_mode == "int" else "int64")
        if self.output_mode == "one_hot":
            placed = encode_categories(placed, "one_hot", self.num_bins, self.made_dtype)
        return placed, lambda dy: (None,) * len(features)

    def _check(self, shapes: Sequence[Shape]) -> None:
        if len(shapes) < 2 or any(len(shape) > 2 or shape[1:] not in ((), (1,)) for shape in shapes):
            listing = ", ".join(map(str, shapes))
            raise ValueError(
                f"{self.name}: expected two features or more, each (batch,) or (batch, 1), in a list, got {listing}"
            )
        if any(shape != shapes[0] for shape in shapes):
            raise ValueError(f"{self.name}: the features have different shapes, {', '.join(map(str, shapes))}")

    def _keys(self, feature: np.ndarray) -> list[int]:
        if is_texts(feature):
            return [farm_fingerprint(as_bytes(text)) for text in as_texts(feature, self.name).reshape(-1).tolist()]
        if feature.dtype.kind not in "iu":
            raise ValueError(f"{self.name}: a feature has to be texts or integers, got dtype {feature.dtype}")
        return feature.reshape(-1).astype(np.int64).view(np.uint64).tolist()

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shapes = as_shapes(input_shape)
        self._check(shapes)
        return shapes[0] if self.output_mode == "int" else encoded_shape(shapes[0], "one_hot", self.num_bins)
