"""Words of texts by number: what would be counted wrongly is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nnx.preprocessing.text import Tokenizer, hashing_trick


@pytest.mark.parametrize(
    ("mistake", "reason"),
    [
        (lambda: Tokenizer().fit_on_texts("one text"), "takes texts in a list"),
        (lambda: Tokenizer(num_words=4).sequences_to_matrix([[1], [-1, 1]]), r"from 0, got \[-1, 1\]"),
        (lambda: hashing_trick("a b", 1, "md5"), "n must be an integer of at least 2"),
        (lambda: hashing_trick("a b", 0, "md5"), "n must be an integer of at least 2"),
        (lambda: hashing_trick("a b", 9, "sha1"), "hash_function must be one of 'md5'"),
    ],
)
def test_mistakes(mistake: Callable[[], Any], reason: str):
    with pytest.raises(ValueError, match=reason):
        mistake()
