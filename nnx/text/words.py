"""Words of texts, as TensorFlow finds them: lower case and blanks are those of ASCII, whatever the language."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

import numpy as np

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)
_WORD = re.compile(r"[^ \t\n\v\f\r]+")  # str.split also splits at the blanks of other alphabets


def lowered(text: str) -> str:
    """A text in which A to Z are small; other letters stay what they are.

    >>> lowered("ÄB")
    'Äb'
    """
    return text.lower() if text.isascii() else text.translate(_LOWER)


def without_punctuation(text: str) -> str:
    """A text without the punctuation of ASCII.

    >>> without_punctuation("rock'n'roll, ok?")
    'rocknroll ok'
    """
    return text.translate(_WITHOUT_PUNCTUATION)


def words_of(text: str) -> list[str]:
    """What stands between blanks of ASCII.

    >>> words_of(" one  two ")
    ['one', 'two']
    """
    return _WORD.findall(text)


def with_ngrams(words: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Runs of so many words, for each width all of them, joined by blanks.

    >>> with_ngrams(["a", "b", "c"], (1, 2))
    ['a', 'b', 'c', 'a b', 'b c']
    """
    widths = widths[: len(words)] if isinstance(widths, range) else widths  # of which there may be any number
    return [" ".join(words[start : start + width]) for width in widths for start in range(len(words) - width + 1)]


def padded(rows: Sequence[Sequence[int]], length: int | None, value: int = 0) -> np.ndarray:
    """Rows of numbers as one array int64, cut and filled up at their ends; by default as long as the longest.

    >>> padded([[1, 2, 3], [4]], 2).tolist()
    [[1, 2], [4, 0]]
    """
    length = max(map(len, rows), default=0) if length is None else length
    filled = np.full((len(rows), length), value, np.int64)
    for row, numbers in zip(filled, rows, strict=True):
        kept = numbers[:length]
        row[: len(kept)] = kept
    return filled
