"""Files in folders that are named by their classes."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from nnx import random as nnx_random
from nnx.arguments import is_integer, is_number
from nnx.data.dataset import Dataset
from nnx.utils.numerical import to_categorical

LABEL_MODES = ("int", "categorical", "binary", None)
FORMATS = ("tf", "grain")
"""What Keras makes of files; here the loader is the same."""


@dataclasses.dataclass(frozen=True)
class LabelledFiles:
    """Files, the label of each if there are any, and the names of the classes."""

    paths: list[str]
    labels: list[int] | None
    class_names: list[str] | None

    def part(self, subset: str, fraction: float) -> LabelledFiles:
        """The files for "training", which are the first, or those for "validation"."""
        count = int(fraction * len(self.paths))
        cut = slice(None, -count or 0) if subset == "training" else slice(len(self.paths) - count, None)
        return dataclasses.replace(
            self, paths=self.paths[cut], labels=None if self.labels is None else self.labels[cut]
        )


@dataclasses.dataclass(frozen=True)
class FolderOptions:
    """What the functions for all kinds of files are told; see `text_dataset_from_directory`."""

    labels: Any
    label_mode: str | None
    class_names: Sequence[str] | None
    batch_size: int | None
    shuffle: bool
    seed: int | None
    validation_split: float | None
    subset: str | None
    follow_links: bool
    verbose: bool

    def __post_init__(self) -> None:
        inferred = isinstance(self.labels, str) and self.labels == "inferred"
        if not inferred and self.labels is not None:
            if not isinstance(self.labels, list | tuple) or not all(is_integer(one, least=0) for one in self.labels):
                raise ValueError(f'labels must be "inferred", None or a list of integers from 0, got {self.labels!r}')
            if self.label_mode == "binary" and not set(self.labels) <= {0, 1}:
                raise ValueError(f'label_mode="binary" needs labels 0 and 1, got {sorted(set(self.labels))}')
        if self.class_names and not inferred:
            raise ValueError(f'class_names go with labels="inferred", got labels={self.labels!r}')
        if self.class_names is not None and len(set(self.class_names)) < len(self.class_names):
            raise ValueError(f"class_names has a name twice: {', '.join(self.class_names)}")
        if self.label_mode not in LABEL_MODES:
            raise ValueError(f"label_mode must be one of {', '.join(map(repr, LABEL_MODES))}, got {self.label_mode!r}")
        if self.subset not in ("training", "validation", "both", None):
            raise ValueError(f'subset must be "training", "validation" or "both", got {self.subset!r}')
        if (self.validation_split is None) != (self.subset is None):
            raise ValueError("validation_split and subset go together")
        if self.validation_split is not None and not (
            is_number(self.validation_split) and 0 < self.validation_split < 1
        ):
            raise ValueError(f"validation_split must be between 0 and 1, got {self.validation_split!r}")
        if self.subset and self.shuffle and self.seed is None:
            raise ValueError("validation_split of shuffled files needs a seed, so that the two parts do not overlap")


def datasets_of_files(
    directory: str | os.PathLike[str],
    options: FolderOptions,
    endings: tuple[str, ...],
    read: Callable[[str], Any],
    joined: Callable[[list[Any]], Any],
) -> Any:
    """The data set of the files in a folder, or the two for training and validation.

    endings : of the names of files, in small letters. read : the content of a file. joined : contents as a batch.
    """
    seed = int(nnx_random.default().integers(1)[0] % 1_000_000) if options.seed is None else options.seed
    files = _found(os.fspath(directory), options, endings, seed)
    if options.label_mode == "binary" and files.class_names is not None and len(files.class_names) != 2:
        raise ValueError(f'label_mode="binary" needs two classes, got {files.class_names}')
    if options.subset is None:
        return _dataset(files, options, options.shuffle, seed, read, joined, directory, endings)
    fraction = options.validation_split or 0.0
    parts = ("training", "validation") if options.subset == "both" else (options.subset,)
    made = []
    for part in parts:
        own = files.part(part, fraction)
        if options.verbose:
            print(f"Using {len(own.paths)} files for {part}.")
        shuffle = options.shuffle and not (options.subset == "both" and part == "validation")
        made.append(_dataset(own, options, shuffle, seed, read, joined, directory, endings))
    return made if options.subset == "both" else made[0]


def _dataset(
    files: LabelledFiles,
    options: FolderOptions,
    shuffle: bool,
    seed: int,
    read: Callable[[str], Any],
    joined: Callable[[list[Any]], Any],
    directory: Any,
    endings: tuple[str, ...],
) -> Dataset:
    if not files.paths:
        raise ValueError(f"{directory} has no files {', '.join(endings)}")
    labels = None
    if files.labels is not None:
        labels = _encoded(np.asarray(files.labels, np.int32), options.label_mode, len(files.class_names or ()))

    def contents(index: Any) -> tuple[Any, ...]:
        if np.ndim(index):
            x = joined([read(files.paths[place]) for place in index.tolist()])
        else:
            x = read(files.paths[index])
        return (x,) if labels is None else (x, labels[index])

    count = len(files.paths)
    source: Any = range(count) if options.batch_size is None else np.arange(count)
    dataset = Dataset(source, batch_size=options.batch_size, shuffle=shuffle, map=contents, seed=seed)
    dataset.class_names, dataset.file_paths = files.class_names, files.paths
    return dataset


def _encoded(labels: np.ndarray, mode: str | None, classes: int) -> np.ndarray:
    if mode == "categorical":
        return np.asarray(to_categorical(labels, classes))
    return labels[:, None].astype(np.float32) if mode == "binary" else labels


def _found(directory: str, options: FolderOptions, endings: tuple[str, ...], seed: int) -> LabelledFiles:
    if not os.path.isdir(directory):
        raise NotADirectoryError(f"there is no folder {directory}")
    labelled = options.labels is not None and options.label_mode is not None
    class_names = [""]
    if options.labels == "inferred":
        folders = sorted(
            name for name in os.listdir(directory) if os.path.isdir(os.path.join(directory, name)) and name[0] != "."
        )
        class_names = list(options.class_names) if options.class_names is not None else folders
        unknown = sorted(set(class_names) - set(folders))
        if unknown:
            raise ValueError(f"{directory} has no folders {', '.join(unknown)}; it has {', '.join(folders)}")
        if not labelled:
            class_names = [""]
    paths: list[str] = []
    labels: list[int] = []
    for number, name in enumerate(class_names):
        for path in _files_in(os.path.join(directory, name) if name else directory, options.follow_links, endings):
            paths.append(path)
            labels.append(number)
    if labelled and options.labels != "inferred":
        if len(options.labels) != len(paths):
            raise ValueError(f"labels has {len(options.labels)} entries, for {len(paths)} files in {directory}")
        labels = list(options.labels)
        class_names = [str(label) for label in sorted(set(labels))]
    if options.verbose:
        print(f"Found {len(paths)} files{f' belonging to {len(class_names)} classes' if labelled else ''}.")
    if options.shuffle:
        for one in (paths, labels):
            np.random.RandomState(seed).shuffle(one)
    return LabelledFiles(paths, labels if labelled else None, class_names if labelled else None)


def _files_in(folder: str, follow_links: bool, endings: tuple[str, ...]) -> Iterator[str]:
    for root, _, names in sorted(os.walk(folder, followlinks=follow_links)):
        for name in sorted(names):
            if name.lower().endswith(endings):
                yield os.path.join(root, name)
