"""Assets: whole files that layers of one's own write beside their weights, by `save_assets`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nnx.names import shortened

__all__ = ["load_assets", "saved_assets"]


def saved_assets(layers: Mapping[str, Any]) -> dict[str, bytes]:
    """What is in the files that layers write, by the paths of these, such as "layers/tokens/vocabulary.txt".

    layers : by the paths of their folders, which no folder of another one may be but one inside.
    """
    writers = {path: layer for path, layer in layers.items() if hasattr(layer, "save_assets")}
    if not writers:
        return {}
    with tempfile.TemporaryDirectory(prefix="nnx-") as name:
        root = Path(name)
        for path, layer in writers.items():
            folder = _inside(root, path)
            folder.mkdir(parents=True, exist_ok=True)
            try:
                layer.save_assets(str(folder))
            except Exception as error:  # of a class of the user's
                error.add_note(f"in save_assets of {layer.name}")
                raise
        return {
            file.relative_to(root).as_posix(): file.read_bytes() for file in sorted(root.rglob("*")) if file.is_file()
        }


def load_assets(layers: Mapping[str, Any], files: Mapping[str, Callable[[], bytes]]) -> None:
    """Give layers the folders of the files that they have written; as in Keras, those without a file are not asked.

    layers : by the paths of their folders. files : what gives the content of each, by its path.

    ValueError for a path that leads out of the folder, and where a layer cannot read its files, whose name it says.
    """
    readers = {path: layer for path, layer in layers.items() if hasattr(layer, "load_assets")}
    if not readers or not files:
        return
    with tempfile.TemporaryDirectory(prefix="nnx-") as name:
        root = Path(name)
        for path, content in files.items():
            file = _inside(root, path)
            data = content()
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                with file.open("xb") as target:
                    target.write(data)
            except OSError as error:
                raise ValueError(f"its asset {shortened(path)} is no file that can be written: {error}") from error
        for path, layer in readers.items():
            folder = _inside(root, path)
            if not folder.is_dir():
                continue
            try:
                layer.load_assets(str(folder))
            except Exception as error:  # of a class of the user's, of any kind
                what = f"load_assets of {layer.name} failed with {type(error).__name__}: {error}"
                raise ValueError(what) from error


def _inside(root: Path, path: str) -> Path:
    """A path below a folder; ValueError for one that leads out of it."""
    try:
        place = (root / path).resolve()
    except (OSError, ValueError, RuntimeError):
        place = root.parent
    if not place.is_relative_to(root.resolve()):
        raise ValueError(f"its asset {shortened(path)} is no path inside of its folder")
    return place
