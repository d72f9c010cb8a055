"""Downloads into a cache, through pooch."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from nnx.lazy_loading import optional_import


@dataclasses.dataclass(frozen=True)
class Source:
    """Where the files of a data set come from.

    name : the folder in the cache.
    mirrors : addresses of folders that hold the same files, tried in this order.
    sha256 : the checksum of each file.
    """

    name: str
    mirrors: tuple[str, ...]
    sha256: dict[str, str]


def fetch(source: Source) -> Path:
    """The folder with the files of a data set, downloaded if the cache has not got them or has damaged ones.

    The cache is the user's, `pooch.os_cache("nnx")`: on Linux $XDG_CACHE_HOME/nnx or ~/.cache/nnx.

    Raises ImportError without pooch, OSError with the reasons when no mirror gives a file with the right checksum.
    """
    pooch = optional_import("pooch", f"downloading {source.name}")
    folder = Path(pooch.os_cache("nnx")) / source.name
    for file, checksum in source.sha256.items():
        failures = []
        for mirror in source.mirrors:
            try:
                pooch.retrieve(mirror + file, known_hash=f"sha256:{checksum}", fname=file, path=folder)
                break
            except (OSError, ValueError) as error:  # no connection, or other bytes than expected
                failures.append(f"{mirror + file}: {error}")
        else:
            raise OSError(
                f"could not download {file} of {source.name} to {folder}; get the files {', '.join(source.sha256)} in "
                f"another way and pass their folder as path. What went wrong: " + "; ".join(failures)
            )
    return folder
