"""Texts as the numbers of their words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.arguments import choice, is_integer, non_negative_integer, positive_integer
from nnx.backends import is_array, to_numpy
from nnx.functional import Pullback
from nnx.functional.text_lookup import numbers_of_texts
from nnx.layers.index_lookup import IndexLookup, Rows
from nnx.layers.layer import registry
from nnx.registry import find_custom
from nnx.shapes import Shape
from nnx.text.values import as_texts
from nnx.text.words import lowered, padded, with_ngrams, without_punctuation, words_of

_STANDARDIZE = ("lower_and_strip_punctuation", "lower", "strip_punctuation")
_SPLIT = ("whitespace", "character")
_FIXED = ("num_oov_indices", "mask_token", "oov_token", "invert", "salt", "oov_method")  # what its base has of options


@registry.register()
class TextVectorization(IndexLookup):
    """Texts as the numbers of their words, or as one vector for all words of a text.

    max_tokens : the most words that the vocabulary has, special ones included; any number by default.
    standardize : what is done to a text first: "lower_and_strip_punctuation", "lower", "strip_punctuation", all of
        ASCII alone; None; or a function from an array of texts to one.
    split : where words end: "whitespace" of ASCII; "character", each is a word; None, a text is one word; or a function
        from an array of texts to a list of words, or a row of an array, for each.
    ngrams : runs of words count as words: of up to so many, or of the numbers in a tuple.
    output_mode : "int", the numbers of the words, 0 behind the last and 1 for unknown ones; else one vector for a text:
        "multi_hot", "count" or "tf_idf", see `StringLookup`, or "one_hot", one for each word, of zeros behind the last.
    output_sequence_length : the length of "int" outputs; by default that of the longest text in the batch.
    pad_to_max_tokens : whether vectors are max_tokens long, however many words there are.
    vocabulary, idf_weights : see `set_vocabulary`; by default `adapt` learns them.
    sparse : only False. encoding : of bytes, only "utf-8".
    ragged : rows as long as their texts, a list of arrays, for "int"; not inside a model.

    Input: texts (batch,) or (batch, 1), on the host, or a single one; output int64 (batch, length), or vectors (batch,
    tokens) in the layer's floating dtype, in the place of the layer. The values are those of TensorFlow. A function for
    standardize or split is saved by its name; `register_keras_serializable` or `custom_objects` give it back.

    >>> layer = TextVectorization(output_sequence_length=3)
    >>> layer.adapt(["the cat", "the dog!"])
    >>> layer.get_vocabulary()
    ['', '[UNK]', 'the', 'dog', 'cat']
    >>> layer(["The dog sleeps"])
    array([[2, 3, 1]])
    """

    on_host = True

    def __init__(
        self,
        max_tokens: int | None = None,
        standardize: Any = "lower_and_strip_punctuation",
        split: Any = "whitespace",
        ngrams: int | tuple[int, ...] | None = None,
        output_mode: str = "int",
        output_sequence_length: int | None = None,
        pad_to_max_tokens: bool = False,
        vocabulary: Any = None,
        idf_weights: Any = None,
        sparse: bool = False,
        ragged: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if encoding.lower().replace("_", "-") not in ("utf-8", "utf8"):
            raise ValueError(f'encoding must be "utf-8", got {encoding!r}: decode the bytes first')
        self.encoding = encoding
        super().__init__(
            max_tokens=max_tokens,
            mask_token="",
            oov_token="[UNK]",
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            output_mode=output_mode,
            pad_to_max_tokens=pad_to_max_tokens,
            sparse=sparse,
            name=name,
            **kwargs,
        )
        self.standardize = self._way("standardize", standardize, _STANDARDIZE)
        self.split = self._way("split", split, _SPLIT)
        if isinstance(ngrams, int):  # a bool is no number of words
            ngrams = positive_integer(f"{self.name}: ngrams", ngrams)
        widths = range(1, ngrams + 1) if isinstance(ngrams, int) else () if ngrams is None else ngrams
        if not isinstance(widths, range) and not (
            isinstance(widths, tuple | list) and all(is_integer(width, least=1) for width in widths)
        ):
            raise ValueError(f"{self.name}: ngrams must be a positive integer, a tuple of them or None, got {ngrams!r}")
        self.ngrams = tuple(ngrams) if isinstance(ngrams, list) else ngrams
        self._widths = widths
        self.output_sequence_length: int | None = None
        if output_sequence_length is not None:
            self.output_sequence_length = non_negative_integer(
                f"{self.name}: output_sequence_length", output_sequence_length
            )
        self.ragged = bool(ragged)
        for what, given in (("output_sequence_length", output_sequence_length is not None), ("ragged", self.ragged)):
            if given and self.output_mode != "int":
                raise ValueError(f'{self.name}: {what} goes with output_mode="int", got {output_mode!r}')

    def _way(self, what: str, value: Any, known: Sequence[str]) -> Any:
        if value is None or callable(value):
            return value
        own = find_custom(value) if isinstance(value, str) and value not in known else None
        return choice(f"{self.name}: {what}", value, known) if own is None else own

    def token(self, value: Any) -> str:
        return str(as_texts(value, f"{self.name}: vocabulary")[()])

    def adapt(  # type: ignore[override]  # Keras has an argument more here
        self, data: Any, batch_size: int | None = None, steps: int | None = None
    ) -> None:
        """Learn the vocabulary: the most frequent words of texts; of equally frequent ones the last in order first.

        data, steps : see `StringLookup.adapt`. batch_size : of an array or a list, of which `steps` batches are then
            taken; how many texts are counted at once says nothing else.

        >>> layer = TextVectorization()
        >>> layer.adapt(["a b", "b"])
        >>> layer.get_vocabulary()
        ['', '[UNK]', 'b', 'a']
        """
        if batch_size is not None:
            size = positive_integer(f"{self.name}.adapt: batch_size", batch_size)
            if not (is_array(data) or isinstance(data, list | tuple)):
                raise ValueError(f"{self.name}.adapt: batch_size goes with arrays and lists, got {type(data).__name__}")
            data = data[: None if steps is None else size * steps]
        super().adapt(data, steps)

    def documents(self, batch: Any) -> Rows:
        return self._words(as_texts(batch, f"{self.name}.adapt"))[0]

    def forward(self, x: Any, *, training: bool = False) -> tuple[Any, Pullback]:
        self.require_vocabulary()
        if self._takes_words and is_array(x):
            numbers = numbers_of_texts(x, self.indices, self.table, self.name)
            return self.encoded(self.placement.asarray(numbers, "int64")), lambda dy: None
        texts = as_texts(to_numpy(x), self.name)
        words, shape = self._words(texts)
        rows = [self.indices(row) for row in words]
        length = self.output_sequence_length
        if self.ragged and self.split is not None:
            made = [self.placement.asarray(np.asarray(row[:length], np.int64), "int64") for row in rows]
            return (made if shape else made[0]), lambda dy: None
        table = padded(rows, None if self.ragged else length, self.masked_index)[:, :length]
        sizes = (*shape, table.shape[1])
        if not texts.shape and self.split is None and length is None:
            sizes = ()  # one text, which is one word
        elif self.output_mode == "one_hot" and self.split is not None:
            sizes = (*sizes, 1)  # else a vector in the place of a text of one word would be taken for that of the text
        return self.encoded(self.placement.asarray(table.reshape(sizes), "int64")), lambda dy: None

    @property
    def _takes_words(self) -> bool:
        """Whether each text is one word, as it is."""
        changes = self.standardize, self.split, self.output_sequence_length
        return not any(one is not None for one in changes) and not self._widths and not self.ragged

    def _words(self, texts: np.ndarray) -> tuple[list[list[str]], tuple[int, ...]]:
        """The words of each text, and the shape that the texts have; without a split those of the last axis."""
        if callable(self.standardize):
            made = as_texts(self.standardize(texts.astype(str)), f"{self.name}: what standardize returned")
            if made.shape != texts.shape:
                raise ValueError(
                    f"{self.name}: standardize must return a text for each, in shape {texts.shape}, got {made.shape}"
                )
            texts = made
        if self.split is None:
            rows = texts.reshape(-1, texts.shape[-1] if texts.ndim else 1)
            found = [[self._standardized(text) for text in row] for row in rows.tolist()]
            shape = texts.shape[:-1]
        else:
            texts = texts.reshape(self._without_column(texts.shape))
            shape = texts.shape
            flat = [self._standardized(text) for text in texts.reshape(-1).tolist()]
            if callable(self.split):
                made = self.split(np.asarray(flat, dtype=str).reshape(shape))
                found = [as_texts(row, f"{self.name}: what split returned").tolist() for row in made]
            else:
                found = [words_of(text) if self.split == "whitespace" else list(text) for text in flat]
        return [with_ngrams(row, self._widths) for row in found] if self._widths else found, shape

    def _standardized(self, text: str) -> str:
        if self.standardize in ("lower", "lower_and_strip_punctuation"):
            text = lowered(text)
        if self.standardize in ("strip_punctuation", "lower_and_strip_punctuation"):
            text = without_punctuation(text)
        return text

    def _without_column(self, shape: Sequence[Any]) -> tuple[Any, ...]:
        """The shape of texts without a last axis of length 1."""
        if len(shape) > 1 and shape[-1] != 1:
            raise ValueError(
                f"{self.name}: expected texts (batch,) or (batch, 1), got shape {tuple(shape)}; split=None takes each "
                f"for one word"
            )
        return tuple(shape[:-1] if len(shape) > 1 else shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if self.ragged:
            raise ValueError(f"{self.name}: rows of different lengths, ragged=True, cannot go into another layer")
        length = self.output_sequence_length
        if self.split is not None:
            texts = self._without_column(input_shape)
            if self.output_mode == "int":
                return (*texts, length)
            return (*texts, None, self.depth) if self.output_mode == "one_hot" else (*texts, self.depth)
        if length is not None or self._widths:
            input_shape = (*input_shape[:-1], length)
        return super().compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {name: value for name, value in config.items() if name not in _FIXED}
