"""Folders of text files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnx.arguments import choice, non_negative_integer
from nnx.utils.folders import FORMATS, FolderOptions, datasets_of_files


def text_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    max_length: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """The texts in the .txt files of a folder, with the folders in it as classes.

    labels : "inferred", from the folders; None, there are none; or a label for each file, in the order of their paths.
    label_mode : "int", int32 numbers; "categorical", one-hot rows; "binary", float32 0 or 1 in a column, of two
        classes; None, no labels.
    class_names : which folders, in the order of their numbers; by default all, in the order of their names.
    batch_size : None gives the files one by one.
    max_length : of a text, in bytes of UTF-8; what is behind it is left out.
    shuffle, seed : a new order in each epoch, and one of the files before they are split.
    validation_split, subset : the fraction that is for validation, and which part is returned, "training",
        "validation", or "both" in a list.
    follow_links : whether links to folders are followed. format : Keras' "tf" or "grain"; the loader is the
        same. verbose : whether to print what was found.

    Batches are texts, an array of objects (batch,), or (texts, labels); files are read when their batch comes.
    ValueError for options that contradict each other, and where there are no files.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> for name in ("bad", "good"):
    ...     (Path(folder.name) / name).mkdir()
    ...     _ = (Path(folder.name) / name / "1.txt").write_text(f"a {name} one")
    >>> dataset = text_dataset_from_directory(folder.name, shuffle=False, verbose=False)
    >>> dataset.class_names, [(x.tolist(), y.tolist()) for x, y in dataset]
    (['bad', 'good'], [(['a bad one', 'a good one'], [0, 1])])
    >>> folder.cleanup()
    """
    choice("format", format, FORMATS)
    if max_length is not None:
        non_negative_integer("max_length", max_length)
    options = FolderOptions(
        *(labels, label_mode, class_names, batch_size, shuffle, seed, validation_split, subset, follow_links, verbose)
    )

    def read(path: str) -> str:
        content = Path(path).read_bytes()
        text = content[:max_length].decode("utf-8", "surrogateescape")
        # a letter that was cut in two is left out
        return text if len(content) <= len(content[:max_length]) else text.rstrip(_PIECES)

    return datasets_of_files(directory, options, (".txt",), read, _as_array)


_PIECES = "".join(map(chr, range(0xDC80, 0xDD00)))


def _as_array(texts: list[str]) -> np.ndarray:
    array = np.empty(len(texts), object)
    array[:] = texts
    return array
