"""Texts as lists of numbers of words, with a label each: what IMDB and Reuters share."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nnx.datasets._download import Source, file_of
from nnx.datasets._files import decoding
from nnx.datasets._npz import read_lists, read_npz
from nnx.datasets._split import Pair

Texts = tuple[list[np.ndarray], np.ndarray]
"""The words of each text, and the labels."""

_LONGEST_INDEX = 4 << 20  # bytes; that of IMDB has 1.6 million


def read_texts(path: Path, words: str, labels: str) -> Texts:
    """The texts and the labels in two arrays of an .npz file. ValueError, naming the file, for anything else."""
    found = read_lists(path, words)
    (unread,) = read_npz(path, [labels])
    if unread.shape != (len(found),) or unread.dtype.kind not in "iu" or not found:
        raise ValueError(
            f"{path}: expected an integer in {labels} for each list in {words}, got "
            f"{unread.dtype} {unread.shape} for {len(found)} lists"
        )
    return found, unread.read()


def shuffled(texts: Texts, random: np.random.RandomState) -> Texts:
    """Texts in the order that Keras gives them."""
    words, labels = texts
    order = random.permutation(len(words))
    return [words[position] for position in order], labels[order]


@dataclasses.dataclass(frozen=True)
class Encoding:
    """How numbers of words become those that a model is given; the arguments of `load_data` of IMDB and Reuters."""

    num_words: int | None
    skip_top: int
    maxlen: int | None
    start_char: int | None
    oov_char: int | None
    index_from: int | None

    def of(self, parts: Sequence[Texts]) -> list[Pair]:
        """The lists of numbers of some parts of a data set, and their labels."""
        begun = [self._begun(part) for part in parts]
        num_words = self.num_words or max(int(row.max(initial=0)) for words, _ in begun for row in words)
        return [(_lists([self._limited(row, num_words) for row in words]), labels) for words, labels in begun]

    def _begun(self, texts: Texts) -> Texts:
        """Texts with their starts, without those that are too long."""
        words, labels = texts
        start = np.asarray([] if self.start_char is None else [self.start_char], np.int64)
        words = [np.concatenate((start, row + (self.index_from or 0))) for row in words]
        if not self.maxlen:
            return words, labels
        kept = [position for position, row in enumerate(words) if len(row) < self.maxlen]
        if not kept:
            shortest = min(map(len, words))
            raise ValueError(
                f"maxlen={self.maxlen} keeps texts of fewer words, their start counted, and leaves none: the shortest "
                f"has {shortest}; write maxlen={shortest + 1} or more"
            )
        return [words[position] for position in kept], labels[kept]

    def _limited(self, row: np.ndarray, num_words: int) -> np.ndarray:
        common = (self.skip_top <= row) & (row < num_words)
        return row[common] if self.oov_char is None else np.where(common, row, self.oov_char)


def _lists(rows: Sequence[np.ndarray]) -> np.ndarray:
    found = np.empty(len(rows), object)
    for position, row in enumerate(rows):
        found[position] = row.tolist()
    return found


def read_word_index(source: Source, path: str | os.PathLike[str] | None) -> dict[str, int]:
    """The numbers of words in a JSON file. ValueError, naming the file, for anything else."""
    path = file_of(source, path)
    with decoding(path, "a JSON file of words and their numbers"):
        with open(path, "rb") as file:
            text = file.read(_LONGEST_INDEX + 1)
        if len(text) > _LONGEST_INDEX:
            raise ValueError(f"it is larger than {_LONGEST_INDEX >> 20} MiB")
        found = json.loads(str(text, "utf-8"))
        if not isinstance(found, dict) or not all(type(number) is int for number in found.values()):
            raise ValueError("expected words and their numbers")
        return found
