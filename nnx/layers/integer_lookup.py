"""Lookup of integers in a vocabulary."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.arguments import is_integer, is_number
from nnx.backends import Array, array_namespace, backend_of, to_numpy
from nnx.functional import Pullback
from nnx.layers.index_lookup import IndexLookup, Rows, refuse_fractions, whole_numbers
from nnx.layers.layer import registry


@registry.register()
class IntegerLookup(IndexLookup):
    """Numbers from 0 on for integers of any size, by a vocabulary that is given or that `adapt` learns; or the inverse.

    max_tokens : the most tokens that it has, special ones included; any number by default.
    num_oov_indices : how many numbers stand for integers that are not known. With none, such an integer is a ValueError
        on the host; on a device, where nobody looks, it is number -1.
    mask_token : an integer that says nothing: number 0, before all others; in other output modes it is left out.
    oov_token : what stands for unknown integers where numbers become integers.
    vocabulary, idf_weights : see `set_vocabulary`. vocabulary_dtype : only "int64".
    invert, output_mode, pad_to_max_tokens, sparse : as for `StringLookup`.
    oov_method : which of several numbers unknown integers get: "floormod", the remainder, or "farmhash", a hash of
        their decimal digits, for which the host waits for the device.
    salt : with "farmhash" the hash is SipHash under this key, one or two integers.

    Input: integers of any shape; output int64 of that shape, or vectors in the layer's floating dtype.

    >>> IntegerLookup(vocabulary=[12, 1000])([1000, 7, 12])
    array([2, 0, 1])
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: int | None = None,
        oov_token: int | None = -1,
        vocabulary: Any = None,
        vocabulary_dtype: str = "int64",
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        oov_method: str = "floormod",
        salt: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if vocabulary_dtype != "int64":
            raise ValueError(f'vocabulary_dtype must be "int64", got {vocabulary_dtype!r}')
        if salt is not None and oov_method != "farmhash":
            raise ValueError(f'salt goes with oov_method="farmhash", got {oov_method!r}')
        self.vocabulary_dtype = vocabulary_dtype
        super().__init__(
            max_tokens=max_tokens,
            num_oov_indices=num_oov_indices,
            mask_token=mask_token,
            oov_token=oov_token,
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            invert=invert,
            output_mode=output_mode,
            pad_to_max_tokens=pad_to_max_tokens,
            sparse=sparse,
            oov_method=oov_method,
            salt=salt,
            name=name,
            **kwargs,
        )

    def token(self, value: Any) -> int | None:
        if value is None:
            return None
        if not (is_integer(value) or (is_number(value) and float(value).is_integer())):
            raise ValueError(f"{self.name}: a vocabulary of integers was expected, got {value!r} in it")
        return int(value)

    def entry_of(self, line: str) -> Any:
        return int(line) if line.removeprefix("-").isdecimal() else line

    def documents(self, batch: Any) -> Rows:
        numbers = whole_numbers(to_numpy(batch), f"{self.name}.adapt")
        return numbers.reshape(-1, numbers.shape[-1] if numbers.ndim > 1 else numbers.size).tolist()

    def place_vocabulary(self) -> None:
        super().place_vocabulary()
        if not self.places:
            return
        tokens = np.asarray(list(self.places), np.int64)
        order = np.argsort(tokens)
        vocabulary = [self._unknown_token if token is None else token for token in self.get_vocabulary()]
        placed = (tokens[order], np.asarray(list(self.places.values()), np.int64)[order], vocabulary)
        self._placed = [self.placement.asarray(np.asarray(one, np.int64), "int64") for one in placed]

    @property
    def _unknown_token(self) -> int:
        return -1 if self.oov_token is None else self.oov_token

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        self.require_vocabulary()
        xp = array_namespace(x)
        whole = None
        if xp.isdtype(x.dtype, "real floating"):
            refuse_fractions(x, self.name)
            whole = x == xp.floor(x)  # what is none is not known
        x = xp.astype(x, xp.int64, copy=False)
        return (self._integers(x) if self.invert else self.encoded(self._indices(x, whole))), lambda dy: None

    def _indices(self, x: Array, whole: Array | None) -> Array:
        xp = array_namespace(x)
        tokens, numbers, _ = self._placed
        flat = xp.reshape(x, (-1,))
        place = xp.clip(xp.searchsorted(tokens, flat), max=tokens.shape[0] - 1)
        known = xp.take(tokens, place, axis=0) == flat
        known = known if whole is None else xp.logical_and(known, xp.reshape(whole, (-1,)))
        if self.num_oov_indices > 1 and self.oov_method == "floormod":
            unknown: Any = flat % self.num_oov_indices + self.first_unknown
        elif self.num_oov_indices > 1:
            hashed = np.asarray(self.indices(to_numpy(flat).tolist()), np.int64)
            unknown = backend_of(flat).put_beside(flat, hashed)
        else:
            unknown = self.first_unknown if self.num_oov_indices else -1
        found = xp.where(known, xp.take(numbers, place, axis=0), unknown)
        if self.mask_token is not None:
            found = xp.where(flat == self.mask_token, self.masked_index, found)
        if not self.num_oov_indices and backend_of(x).is_on_host(x):
            self.indices(to_numpy(flat).tolist())  # raises for one that is not known
        return xp.reshape(found, x.shape)

    def _integers(self, numbers: Array) -> Array:
        xp = array_namespace(numbers)
        vocabulary = self._placed[2]
        inside = xp.logical_and(numbers >= 0, numbers < vocabulary.shape[0])
        flat = xp.reshape(xp.where(inside, numbers, 0), (-1,))
        return xp.where(inside, xp.reshape(xp.take(vocabulary, flat, axis=0), numbers.shape), self._unknown_token)
