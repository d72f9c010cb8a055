"""Downloads into a cache, through pooch."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from nnx.lazy_loading import optional_import


@dataclasses.dataclass(frozen=True)
class Source:
    """Where the files of a data set come from.

    name : the folder in the cache.
    mirrors : addresses of folders that hold the same files, tried in this order.
    checksums : of each file its SHA-256, or "md5:" and its MD5 where no other is published.
    """

    name: str
    mirrors: tuple[str, ...]
    checksums: dict[str, str]


def fetch(source: Source) -> Path:
    """The folder with the files of a data set, downloaded if the cache has not got them or has damaged ones.

    The cache is the user's, `pooch.os_cache("nnx")`: on Linux $XDG_CACHE_HOME/nnx or ~/.cache/nnx.

    Raises ImportError without pooch, OSError with the reasons when no mirror gives a file with the right checksum.
    """
    pooch = optional_import("pooch", f"downloading {source.name}")
    folder = Path(pooch.os_cache("nnx")) / source.name
    for file, checksum in source.checksums.items():
        failures = []
        for mirror in source.mirrors:
            try:
                pooch.retrieve(mirror + file, known_hash=checksum, fname=file, path=folder)
                break
            except (OSError, ValueError) as error:  # no connection, or other bytes than expected
                failures.append(f"{mirror + file}: {error}")
        else:
            raise OSError(
                f"could not download {file} of {source.name} to {folder}; get the files {', '.join(source.checksums)} "
                f"in another way and pass their folder as path. What went wrong: " + "; ".join(failures)
            )
    return folder


def place_of(source: Source, path: str | os.PathLike[str] | None) -> Path:
    """The file or folder that somebody has given, or the folder in the cache.

    Raises FileNotFoundError where nothing is, and what `fetch` raises.
    """
    if path is None:
        return fetch(source)
    place = Path(path).expanduser()
    if not place.exists():
        raise FileNotFoundError(f"there is no file or folder {place}; leave path out to download {source.name}")
    return place


def file_of(source: Source, path: str | os.PathLike[str] | None) -> Path:
    """The file of a data set that has one, which may be in the folder given."""
    place, (name,) = place_of(source, path), source.checksums
    if not place.is_dir():
        return place
    if not (place / name).is_file():
        raise FileNotFoundError(f"the folder {place} has no file {name}")
    return place / name
