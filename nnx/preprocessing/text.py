"""Words of texts by number, as Keras 2 has them; `nnx.layers.TextVectorization` does that inside a model."""

from __future__ import annotations

import collections
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from nnx.arguments import choice, is_integer

__all__ = ["Tokenizer", "hashing_trick", "one_hot", "text_to_word_sequence", "tokenizer_from_json"]

_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'


def text_to_word_sequence(input_text: str, filters: str = _FILTERS, lower: bool = True, split: str = " ") -> list[str]:
    """The words of a text.

    filters : characters that separate words too. lower : whether letters become small. split : what separates words.

    >>> text_to_word_sequence("Rock'n'roll, ok?")
    ["rock'n'roll", 'ok']
    """
    if lower:
        input_text = input_text.lower()
    separated = input_text.translate(dict.fromkeys(map(ord, filters), split))
    return [word for word in separated.split(split) if word]


def one_hot(input_text: str, n: int, filters: str = _FILTERS, lower: bool = True, split: str = " ") -> list[int]:
    """A number from 1 to n - 1 for each word of a text, by Python's hash, which differs from process to process.

    Arguments as for `hashing_trick`, which takes other hashes.

    >>> one_hot("a b a", 50)[0] == one_hot("a b a", 50)[2]
    True
    """
    return hashing_trick(input_text, n, hash, filters, lower, split)


def hashing_trick(
    text: str,
    n: int,
    hash_function: Callable[[str], int] | str | None = None,
    filters: str = _FILTERS,
    lower: bool = True,
    split: str = " ",
) -> list[int]:
    """A number from 1 to n - 1 for each word of a text, by a hash.

    hash_function : "md5", the same everywhere; a function of a word; None is Python's `hash`, which is not.
    filters, lower, split : see `text_to_word_sequence`. ValueError for an n below 2.

    >>> hashing_trick("the cat the dog", 10, "md5")
    [6, 3, 6, 6]
    """
    if not is_integer(n, least=2):
        raise ValueError(f"n must be an integer of at least 2, since 0 is no word's number, got {n!r}")
    if isinstance(hash_function, str):
        choice("hash_function", hash_function, ("md5",))
        number: Callable[[str], int] = _md5
    else:
        number = hash if hash_function is None else hash_function
    return [number(word) % (n - 1) + 1 for word in text_to_word_sequence(text, filters, lower, split)]


def _md5(word: str) -> int:
    return int(hashlib.md5(word.encode(), usedforsecurity=False).hexdigest(), 16)


class Tokenizer:
    """Words of texts by number: 1 for the most frequent one, 0 for none.

    num_words : only words with smaller numbers are used; by default all.
    filters, lower, split : see `text_to_word_sequence`.
    char_level : every character is a word.
    oov_token : a word that stands for those that are not known; it has the number 1. By default they are left out.
    analyzer : a function from a text to its words, in place of all that.

    word_counts, word_docs : how often each word was there, and in how many texts. word_index, index_word : numbers of
        words, and words of numbers. index_docs : `word_docs` by number. document_count : how many texts there were.

    >>> tokenizer = Tokenizer()
    >>> tokenizer.fit_on_texts(["the cat", "the dog and the cat"])
    >>> tokenizer.texts_to_sequences(["the dog"])
    [[1, 3]]
    """

    def __init__(
        self,
        num_words: int | None = None,
        filters: str = _FILTERS,
        lower: bool = True,
        split: str = " ",
        char_level: bool = False,
        oov_token: str | None = None,
        analyzer: Callable[[str], Sequence[str]] | None = None,
        **kwargs: Any,
    ) -> None:
        self.num_words = kwargs.pop("nb_words", num_words)
        self.document_count: int = kwargs.pop("document_count", 0)
        if kwargs:
            raise TypeError(f"Tokenizer has no argument {next(iter(kwargs))!r}")
        self.filters, self.lower, self.split = filters, lower, split
        self.char_level, self.oov_token, self.analyzer = char_level, oov_token, analyzer
        self.word_counts: dict[str, int] = collections.OrderedDict()
        self.word_docs: dict[str, int] = collections.defaultdict(int)
        self.index_docs: dict[int, int] = collections.defaultdict(int)
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}

    def _words(self, text: Any) -> Sequence[str]:
        if self.char_level or isinstance(text, list):
            if not self.lower:
                return text  # type: ignore[no-any-return]
            return [word.lower() for word in text] if isinstance(text, list) else text.lower()
        if self.analyzer is not None:
            return self.analyzer(text)
        return text_to_word_sequence(text, self.filters, self.lower, self.split)

    def fit_on_texts(self, texts: Iterable[Any]) -> None:
        """Learn the words of texts, or of lists of words, beside those that are known already.

        ValueError for one text that is not in a list.

        >>> tokenizer = Tokenizer()
        >>> tokenizer.fit_on_texts(["b a b"])
        >>> tokenizer.word_index
        {'b': 1, 'a': 2}
        """
        if isinstance(texts, str | bytes):
            raise ValueError("fit_on_texts takes texts in a list, got one text: its letters would be taken for texts")
        for text in texts:
            self.document_count += 1
            words = self._words(text)
            for word in words:
                self.word_counts[word] = self.word_counts.get(word, 0) + 1
            for word in dict.fromkeys(words):
                self.word_docs[word] += 1
        ordered = sorted(self.word_counts, key=self.word_counts.__getitem__, reverse=True)
        known = [*([] if self.oov_token is None else [self.oov_token]), *ordered]
        self.word_index = {}
        for number, word in enumerate(known, start=1):
            self.word_index[word] = number
        self.index_word = {number: word for word, number in self.word_index.items()}
        for word, count in self.word_docs.items():
            self.index_docs[self.word_index[word]] = count

    def fit_on_sequences(self, sequences: Iterable[Sequence[int]]) -> None:
        """Learn from lists of numbers in how many each occurs, for "tfidf" of `sequences_to_matrix`."""
        for sequence in sequences:
            self.document_count += 1
            for number in set(sequence):
                self.index_docs[number] += 1

    def texts_to_sequences(self, texts: Iterable[Any]) -> list[list[int]]:
        """The numbers of the words of texts; words that are not known, or not used, are left out, or `oov_token`."""
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts: Iterable[Any]) -> Iterator[list[int]]:
        """`texts_to_sequences`, one after another."""
        unknown = None if self.oov_token is None else self.word_index.get(self.oov_token)
        for text in texts:
            found = (self.word_index.get(word) for word in self._words(text))
            numbers = (number if self._is_used(number) else unknown for number in found)
            yield [number for number in numbers if number is not None]

    def _is_used(self, number: int | None) -> bool:
        return number is not None and not (self.num_words and number >= self.num_words)

    def sequences_to_texts(self, sequences: Iterable[Sequence[int]]) -> list[str]:
        """The words for lists of numbers, joined by blanks."""
        return list(self.sequences_to_texts_generator(sequences))

    def sequences_to_texts_generator(self, sequences: Iterable[Sequence[int]]) -> Iterator[str]:
        """`sequences_to_texts`, one after another."""
        for sequence in sequences:
            found = (self.index_word.get(n) if self._is_used(n) else self.oov_token for n in sequence)
            words = (self.oov_token if word is None else word for word in found)
            yield " ".join(word for word in words if word is not None)

    def texts_to_matrix(self, texts: Iterable[Any], mode: str = "binary") -> np.ndarray:
        """`sequences_to_matrix` of the numbers of the words of texts."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode)

    def sequences_to_matrix(self, sequences: Sequence[Sequence[int]], mode: str = "binary") -> np.ndarray:
        """A row for each list of numbers, float64 (lists, num_words).

        mode : "binary", 1 for each number that occurs; "count", how often it does; "freq", that divided by the length;
            "tfidf", (1 + log(count)) * log(1 + documents / (1 + documents with it)).

        ValueError for another mode, for negative numbers, and where num_words or documents are not known.

        >>> Tokenizer(num_words=3).sequences_to_matrix([[1, 2, 2]], mode="count")
        array([[0., 1., 2.]])
        """
        width = self.num_words or (len(self.word_index) + 1 if self.word_index else None)
        if width is None:
            raise ValueError("give num_words, or call fit_on_texts first")
        if mode not in ("binary", "count", "freq", "tfidf"):
            raise ValueError(f"mode must be binary, count, freq or tfidf, got {mode!r}")
        if mode == "tfidf" and not self.document_count:
            raise ValueError('call fit_on_texts or fit_on_sequences before mode="tfidf"')
        matrix = np.zeros((len(sequences), width))
        for row, sequence in zip(matrix, sequences, strict=True):
            if any(number < 0 for number in sequence):
                raise ValueError(f"sequences must have numbers of words, from 0, got {list(sequence)}")
            for number, count in collections.Counter(n for n in sequence if n < width).items():
                if mode == "tfidf":
                    documents = self.index_docs.get(number, 0)
                    row[number] = (1 + math.log(count)) * math.log(1 + self.document_count / (1 + documents))
                else:
                    row[number] = {"binary": 1, "count": count, "freq": count / len(sequence)}[mode]
        return matrix

    def get_config(self) -> dict[str, Any]:
        """What it was made with and what it has learned, the latter as JSON."""
        learned = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
        return {
            **{
                name: getattr(self, name)
                for name in ("num_words", "filters", "lower", "split", "char_level", "oov_token", "document_count")
            },
            **{name: json.dumps(getattr(self, name)) for name in learned},
        }

    def to_json(self, **kwargs: Any) -> str:
        """Everything but the analyzer as JSON, from which `tokenizer_from_json` makes it again.

        kwargs : for `json.dumps`.
        """
        return json.dumps({"class_name": "Tokenizer", "config": self.get_config()}, **kwargs)


def tokenizer_from_json(json_string: str) -> Tokenizer:
    """The tokenizer that `Tokenizer.to_json` wrote, here or in Keras 2.

    >>> tokenizer = Tokenizer(num_words=9)
    >>> tokenizer.fit_on_texts(["a b"])
    >>> tokenizer_from_json(tokenizer.to_json()).word_index
    {'a': 1, 'b': 2}
    """
    try:
        config = dict(json.loads(json_string)["config"])
        learned = {
            name: json.loads(config.pop(name))
            for name in ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"expected the JSON that Tokenizer.to_json() returned, got {json_string[:80]!r}") from error
    tokenizer = Tokenizer(**config)
    tokenizer.word_counts.update(learned["word_counts"])
    tokenizer.word_docs.update(learned["word_docs"])
    tokenizer.index_docs.update({int(number): count for number, count in learned["index_docs"].items()})
    tokenizer.index_word = {int(number): word for number, word in learned["index_word"].items()}
    tokenizer.word_index = learned["word_index"]
    return tokenizer
