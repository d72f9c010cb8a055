"""Vocabularies: the tokens that a layer knows, learned from data or given, and the numbers that stand for them."""

from __future__ import annotations

import collections
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnx.arguments import choice, is_integer, non_negative_integer
from nnx.backends import Array, Placement, backend_of, to_numpy
from nnx.descriptions import require_own_files
from nnx.functional.category_encoding import encode_categories, encoded_shape
from nnx.layers.adapted_data import batches_for_adapting
from nnx.layers.layer import Layer
from nnx.registry import serialize
from nnx.shapes import Shape
from nnx.text.fingerprints import farm_fingerprint, sip_fingerprint
from nnx.text.values import as_bytes

MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")
_OLD_MODES = {"binary": "multi_hot", "tf-idf": "tf_idf"}
_NOT_GIVEN = ("vocabulary", "idf_weights", "vocabulary_size")
_MOST_COLUMNS = 1 << 24

Rows = Iterable[Sequence[Any]]
"""Documents, each a sequence of tokens."""


class IndexLookup(Layer):
    """Tokens by number, in the order: mask token, tokens that are not known, vocabulary; or the other way round.

    A subclass defines `indices`, the numbers of an input's tokens, and `documents`, the tokens of a batch of data.
    """

    takes_integers = True
    learns = False
    takes_scalars = True

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: Any = None,
        oov_token: Any = None,
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        sparse: bool = False,
        salt: Any = None,
        oov_method: str = "floormod",
        vocabulary_size: int | None = None,
        has_input_vocabulary: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        refuse_sparse_output(self.name, sparse)
        if max_tokens is not None and not is_integer(max_tokens, least=2):
            raise ValueError(f"{self.name}: max_tokens must be an integer of at least 2, got {max_tokens!r}")
        self.max_tokens: int | None = None if max_tokens is None else max_tokens.__index__()
        self.num_oov_indices = non_negative_integer(f"{self.name}: num_oov_indices", num_oov_indices)
        if output_mode != "int" and self.num_oov_indices > _MOST_COLUMNS:
            raise ValueError(
                f"{self.name}: num_oov_indices must be at most {_MOST_COLUMNS} with output_mode={output_mode!r}, which "
                f"gives each of them a column, got {num_oov_indices}"
            )
        self.mask_token, self.oov_token = mask_token, oov_token
        self.invert = bool(invert)
        self.output_mode = choice(f"{self.name}: output_mode", _OLD_MODES.get(output_mode, output_mode), MODES)
        self.pad_to_max_tokens = bool(pad_to_max_tokens)
        self.sparse = False
        self.oov_method = choice(f"{self.name}: oov_method", oov_method, ("floormod", "farmhash"))
        self.salt = read_salt(self.name, salt)
        if self.pad_to_max_tokens and max_tokens is None:
            raise ValueError(f"{self.name}: pad_to_max_tokens needs max_tokens, the width of the output")
        if self.invert and self.output_mode != "int":
            raise ValueError(f'{self.name}: invert goes with output_mode="int", got {output_mode!r}')
        if idf_weights is not None and self.output_mode != "tf_idf":
            raise ValueError(f'{self.name}: idf_weights go with output_mode="tf_idf", got {output_mode!r}')
        self._tokens: list[Any] | None = None
        self.places: dict[Any, int] = {}
        self.idf_weights: np.ndarray | None = None
        self.has_input_vocabulary = vocabulary is not None if has_input_vocabulary is None else has_input_vocabulary
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)
            if vocabulary_size not in (None, self.vocabulary_size()):
                raise ValueError(
                    f"{self.name}: vocabulary_size={vocabulary_size!r}, but the vocabulary has "
                    f"{self.vocabulary_size()} tokens, special ones included: leave it out"
                )

    # The vocabulary

    @property
    def first_unknown(self) -> int:
        """The number of the first token that stands for those that are not known."""
        return int(self.mask_token is not None and self.output_mode == "int")

    @property
    def _special_count(self) -> int:
        return self.first_unknown + self.num_oov_indices

    @property
    def _specials(self) -> list[Any]:
        return [self.mask_token] * self.first_unknown + [self.oov_token] * self.num_oov_indices

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """The tokens in the order of their numbers.

        include_special_tokens : those too that are masked or stand for what is not known; without them the first has
            not the number 0.

        >>> from nnx.layers import StringLookup
        >>> StringLookup(vocabulary=["a", "b"]).get_vocabulary()
        ['[UNK]', 'a', 'b']
        """
        return [*(self._specials if include_special_tokens else ()), *(self._tokens or ())]

    def vocabulary_size(self) -> int:
        """How many tokens there are, those included that are masked or stand for what is not known.

        >>> from nnx.layers import StringLookup
        >>> StringLookup(vocabulary=["a", "b"]).vocabulary_size()
        3
        """
        return self._special_count + len(self._tokens or ())

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Take over a vocabulary, in place of the one that is there.

        vocabulary : tokens, with or without the special ones before them; or the path of a file with one in each line.
        idf_weights : for "tf_idf" the weight of each token of the vocabulary.

        ValueError for a vocabulary that is empty, has a token twice or a special one among the others, or is larger
        than max_tokens, for weights that are missing, too many or too few, and for a path while a model is loaded,
        which might have any file read. Nothing is changed then.

        >>> from nnx.layers import StringLookup
        >>> layer = StringLookup()
        >>> layer.set_vocabulary(["a", "b"])
        >>> layer(["b"])
        array([2])
        """
        if (idf_weights is None) == (self.output_mode == "tf_idf"):
            wanted = "needs" if idf_weights is None else "takes no"
            raise ValueError(f"{self.name}: a vocabulary with output_mode={self.output_mode!r} {wanted} idf_weights")
        if isinstance(vocabulary, str | os.PathLike):
            if idf_weights is not None:
                raise ValueError(f"{self.name}: a vocabulary with idf_weights is given as a list, not as a file")
            require_own_files(vocabulary, self.name, "before it is saved, give the layer its tokens as a list")
            vocabulary = [self.entry_of(line) for line in _lines_of(self.name, vocabulary)]
        given = [self.token(token) for token in _listed(vocabulary)]
        start = self._special_count
        has_specials = len(given) >= start and given[:start] == self._specials
        tokens = given[start:] if has_specials else given
        if not tokens:
            raise ValueError(f"{self.name}: the vocabulary is empty")
        self._check(tokens)
        idf = None
        if idf_weights is not None:
            idf = to_numpy(idf_weights).astype(np.float32)
            if idf.shape != (len(given),):
                raise ValueError(f"{self.name}: expected {len(given)} idf_weights, one a token, got shape {idf.shape}")
            if not np.isfinite(idf).all():
                place = int(np.argmin(np.isfinite(idf)))
                raise ValueError(f"{self.name}: idf_weights must be finite, got {idf[place]} for {given[place]!r}")
            if not has_specials:  # nobody knows how often those are: as often as the others on average
                idf = np.concatenate([np.full(start, idf.mean(), np.float32), idf])
        self._take(tokens, idf)

    def token(self, value: Any) -> Any:
        """An entry of a vocabulary as what it is compared with."""
        raise NotImplementedError

    def entry_of(self, line: str) -> Any:
        """What a line of a file is in a vocabulary."""
        return line

    def _check(self, tokens: list[Any]) -> None:
        repeated = [token for token, count in collections.Counter(tokens).items() if count > 1]
        if repeated:
            raise ValueError(f"{self.name}: the vocabulary has tokens twice: {', '.join(map(repr, repeated[:10]))}")
        for token, counts in ((self.mask_token, True), (self.oov_token, self.invert)):
            if token is not None and counts and token in tokens:
                raise ValueError(
                    f"{self.name}: the vocabulary has {token!r}, which has a meaning of its own, at "
                    f"{tokens.index(token)}: leave it out, or begin with all of the {self._special_count} that have "
                    f"one, as get_vocabulary() does"
                )
        size = self._special_count + len(tokens)
        if self.max_tokens is not None and size > self.max_tokens:
            raise ValueError(
                f"{self.name}: the vocabulary has {size} tokens with the special ones, more than max_tokens="
                f"{self.max_tokens}"
            )

    def _take(self, tokens: list[Any], idf: np.ndarray | None) -> None:
        before = self._tokens or ()
        sized = self.output_mode != "int" and not self.pad_to_max_tokens
        if self.built and sized and len(tokens) != len(before):
            raise ValueError(
                f"{self.name}: it was built with {len(before)} tokens, on which the size of its output depends, and "
                f"cannot have {len(tokens)} now; pad_to_max_tokens=True keeps the size"
            )
        self._tokens, self.idf_weights = tokens, idf
        start = self._special_count
        self.places = {token: start + index for index, token in enumerate(tokens)}
        if self.built:
            self.place_vocabulary()

    # Learning it

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Learn the vocabulary: the most frequent tokens of data; of equally frequent ones the last in order first.

        data : an array, a list, or an iterable of batches x, (x, y) or (x, y, w), as a loader gives them. For
            "tf_idf" a row is a document; in an array of one axis each token is one, in a batch all are together.
        steps : how many batches are taken; by default all.

        What was learned before is forgotten. ValueError for data without a token, and where the vocabulary was given.

        >>> from nnx.layers import StringLookup
        >>> layer = StringLookup()
        >>> layer.adapt(["b", "a", "b"])
        >>> layer.get_vocabulary()
        ['[UNK]', 'b', 'a']
        """
        if self.has_input_vocabulary:
            raise ValueError(f"{self.name}: the vocabulary was given to the constructor, so there is nothing to adapt")
        counts: collections.Counter[Any] = collections.Counter()
        documents: collections.Counter[Any] = collections.Counter()
        number = 0
        for batch in batches_for_adapting(data, steps, f"{self.name}.adapt"):
            for tokens in self.documents(batch):
                counts.update(tokens)
                if self.output_mode == "tf_idf":
                    documents.update(set(tokens))
                    number += 1
        for special in (self.mask_token, self.oov_token):
            counts.pop(special, None)
        start = self._special_count
        room = None if self.max_tokens is None else max(self.max_tokens - start, 0)
        learned = sorted(counts, key=lambda token: (counts[token], token), reverse=True)[:room]
        if not learned:
            reason = f"max_tokens={self.max_tokens} leaves no room" if counts else "the data have no token"
            raise ValueError(f"{self.name}.adapt has nothing to learn: {reason}")
        idf = None
        if self.output_mode == "tf_idf":
            idf = np.asarray([math.log(1 + number / (1 + documents[token])) for token in learned], np.float32)
            idf = np.concatenate([np.full(start, idf.mean(), np.float32), idf])
        self._take(learned, idf)

    def documents(self, batch: Any) -> Rows:
        """The tokens of a batch of data, row by row."""
        raise NotImplementedError

    # Computing

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self.place_vocabulary()

    def move(self, placement: Placement) -> None:
        super().move(placement)
        self.place_vocabulary()

    def place_vocabulary(self) -> None:
        """Put what the layer computes with where it is."""
        self._placed_idf: Array = None
        if self.idf_weights is not None:
            weights = np.zeros(self.depth, np.float32)
            weights[: len(self.idf_weights)] = self.idf_weights
            self._placed_idf = self.placement.asarray(weights, self.made_dtype)

    @property
    def made_dtype(self) -> str:
        """The dtype of the output: int64 for numbers of tokens, else the floating one of the layer."""
        return "int64" if self.output_mode == "int" else self.dtype or self.placement.dtype

    @property
    def depth(self) -> int:
        """The width of an output that is no number of a token. ValueError while there is no vocabulary."""
        if self.pad_to_max_tokens and self.max_tokens is not None:
            return self.max_tokens
        self.require_vocabulary()
        return self.vocabulary_size()

    def require_vocabulary(self) -> None:
        """ValueError while there is no vocabulary."""
        if self._tokens is None:
            raise ValueError(f"{self.name} has no vocabulary: call adapt(data) or set_vocabulary(...) first")

    def encoded(self, indices: Array) -> Array:
        """Numbers of tokens, -1 for none, in the output mode."""
        if self.output_mode == "int":
            return indices
        mode = "count" if self.output_mode == "tf_idf" else self.output_mode
        vectors = encode_categories(indices, mode, self.depth, self.made_dtype)
        return vectors if self._placed_idf is None else vectors * self._placed_idf

    def indices(self, tokens: Sequence[Any]) -> list[int]:
        """The numbers of tokens; -1 for those that are left out. ValueError for one that has none."""
        places, masked = self.places, self.masked_index
        return [
            places[token] if token in places else masked if token == self.mask_token else self._unknown_index(token)
            for token in tokens
        ]

    def table(self) -> tuple[dict[Any, int], int | None]:
        """What `indices` does as a table, and the number of all other tokens; None where there is no such number."""
        masked = {} if self.mask_token is None else {self.mask_token: self.masked_index}
        return masked | self.places, self.first_unknown if self.num_oov_indices == 1 else None

    @property
    def masked_index(self) -> int:
        """The number of the mask token: 0, or -1, which is no number, where it is left out."""
        return 0 if self.output_mode == "int" else -1

    def _unknown_index(self, token: Any) -> int:
        """The number of a token that is not known. ValueError where there is none."""
        if not self.num_oov_indices:
            raise ValueError(
                f"{self.name}: {token!r} is not in the vocabulary; with num_oov_indices=1 such tokens have a number"
            )
        if self.num_oov_indices == 1:
            return self.first_unknown
        text = as_bytes(str(token))
        key = farm_fingerprint(text) if self.salt is None else sip_fingerprint(text, self.salt)
        return self.first_unknown + key % self.num_oov_indices

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if self.output_mode == "int":
            return input_shape
        mode = "count" if self.output_mode == "tf_idf" else self.output_mode
        return encoded_shape(input_shape, mode, self.depth)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None

    def get_config(self) -> dict[str, Any]:
        return {
            **self._config(without=_NOT_GIVEN),
            "vocabulary": None if self._tokens is None else serialize(self.get_vocabulary()),
            "idf_weights": serialize(self.idf_weights),
        }


def read_salt(name: str, salt: Any) -> list[int] | None:
    """The key of a hash from an integer, or two; None for the hash without one."""
    if salt is None:
        return None
    numbers = [salt, salt] if is_integer(salt) else salt
    if not isinstance(numbers, list | tuple) or len(numbers) != 2 or not all(map(is_integer, numbers)):
        raise ValueError(f"{name}: salt must be an integer, or two of them, got {salt!r}")
    return list(numbers)


def refuse_sparse_output(name: str, sparse: Any) -> None:
    """ValueError for an output that is to be sparse."""
    if sparse:
        raise ValueError(f"{name}: there are no sparse arrays; leave out sparse=True")


def _listed(vocabulary: Any) -> Iterator[Any]:
    if isinstance(vocabulary, list | tuple):
        yield from vocabulary
        return
    host = to_numpy(vocabulary)
    if host.ndim != 1:
        raise ValueError(f"a vocabulary is a list of tokens, got an array of shape {host.shape}")
    yield from host.tolist()


def _lines_of(name: str, path: str | os.PathLike[str]) -> list[str]:
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{name}: there is no vocabulary file {path}")
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def refuse_fractions(x: Array, what: str) -> None:
    """Refuse numbers on the host that are not whole, as `whole_numbers` does; those of a device are not looked at."""
    if backend_of(x).is_on_host(x):
        whole_numbers(to_numpy(x), what)


def whole_numbers(numbers: np.ndarray, what: str) -> np.ndarray:
    """Numbers as int64; TypeError for what are none, ValueError for what have fractions, or are missing."""
    if numbers.dtype.kind not in "biuf":
        raise TypeError(f"{what}: expected integers, got data of dtype {numbers.dtype}")
    if numbers.dtype.kind == "f" and not (np.isfinite(numbers) & (numbers == np.trunc(numbers))).all():
        raise ValueError(f"{what}: expected integers, got numbers with fractions or NaN among them")
    return numbers.astype(np.int64)
