"""Reference cases: what Keras on TensorFlow makes of made-up inputs, read from a file and played on nnx."""

from __future__ import annotations

import functools
import importlib
import json
import pathlib
import wave
from typing import Any

import numpy as np
import pytest

import nnx

FILE = pathlib.Path(__file__).with_name("text_and_data.json")


def cases() -> list[Any]:
    """All cases, each with its name."""
    return list(json.loads(FILE.read_text(encoding="utf-8"))["cases"])


def pixels(seed: int, size: list[int], channels: int) -> np.ndarray:
    y, x, c = np.ogrid[: size[0], : size[1], :channels]
    return (seed * 37 + y * 71 + x * 53 + c * 101 + x * y * 7) % 256


def picture(mode: str, size: list[int], seed: int) -> Any:
    from PIL import Image

    array = pixels(seed, size, len(mode)).astype(np.uint8)
    return Image.fromarray(array[..., 0] if mode == "L" else array)


def value(given: Any, folder: pathlib.Path) -> Any:
    """An argument as it is described."""
    if isinstance(given, list):
        return [value(item, folder) for item in given]
    if not isinstance(given, dict):
        return given
    read = functools.partial(value, folder=folder)
    match given:
        case {"array": items}:
            return np.asarray(items, given["dtype"])
        case {"range": count}:
            return (np.arange(count, dtype=given.get("dtype", "int64")) * given.get("times", 1)).reshape(
                given.get("shape", -1)
            )
        case {"path": path}:
            return str(folder / path)
        case {"url": path}:
            return (folder / path).as_uri()
        case {"picture": mode}:
            return pixels(given["seed"], given["size"], len(mode)).astype(np.float32)
        case {"object of pictures": mode}:
            return picture(mode, given["size"], given["seed"])
        case {"tuple": items}:
            return tuple(read(items))
        case {"columns": columns}:
            whole = {name: read(column) for name, column in columns.items()}
            rows = len(next(iter(whole.values())))
            return [
                {name: column[start : start + given["batch"]] for name, column in whole.items()}
                for start in range(0, rows, given["batch"])
            ]
        case {"feature": kind}:
            return getattr(nnx.utils.FeatureSpace, kind)(**read(given["with"]))
        case {"cross": names}:
            return nnx.utils.FeatureSpace.cross(names, **read(given["with"]))
    return {name: read(item) for name, item in given.items()}


def make_files(files: dict[str, Any], folder: pathlib.Path) -> None:
    for name, content in files.items():
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if "text" in content:
            path.write_text(content["text"], encoding="utf-8")
        elif "wav" in content:
            with wave.open(str(path), "wb") as sound:
                sound.setparams((content.get("channels", 1), 2, content.get("rate", 8000), 0, "NONE", ""))
                sound.writeframes(np.asarray(content["wav"], "<i2").tobytes())
        else:
            picture(content["mode"], content["size"], content["seed"]).save(path, content["picture"])


def play(case: dict[str, Any], folder: pathlib.Path) -> None:
    """Do what a case says, and compare what comes out; AssertionError that names the case."""
    make_files(case.get("files", {}), folder)
    place, name = case["use"].rpartition(".")[::2]
    make = getattr(importlib.import_module(f"nnx.{place}"), name)
    arguments = [value(one, folder) for one in case.get("args", ())]
    options = value(case.get("with", {}), folder)
    steps = case.get("steps", [["result"]])
    made: Any = None
    for number, expected in enumerate(case["expect"]):
        where = f"{case['name']}, step {number}"
        if isinstance(expected, dict) and "raises" in expected:
            with pytest.raises(Exception) as error:  # in plain words, whatever its class
                _step(make(*arguments, **options) if made is None else made, steps[number], folder)
            assert not isinstance(error.value, AttributeError | NotImplementedError), where
            continue
        if made is None:
            made = make(*arguments, **options)
        _compare(_step(made, steps[number], folder), expected, case, where, folder)


def _step(thing: Any, step: list[Any], folder: pathlib.Path) -> Any:
    verb, *given = step
    if verb == "result":
        return thing
    if verb == "get":
        return getattr(thing, given[0])
    if verb in ("read", "text"):
        path = folder / given[0]
        if verb == "text":
            return path.read_text(encoding="utf-8")
        from PIL import Image

        return Image.open(path)
    options: dict[str, Any] = {}
    if given and isinstance(given[-1], list) and given[-1][:1] == ["with"]:
        options = value(given.pop()[1], folder)
    arguments = [value(one, folder) for one in given]
    return thing(*arguments, **options) if verb == "call" else getattr(thing, verb)(*arguments, **options)


def _compare(found: Any, expected: Any, case: dict[str, Any], where: str, folder: pathlib.Path) -> None:
    if isinstance(expected, dict) and "batches" in expected:
        wanted = expected["batches"]
        found = list(found)
        assert len(found) == len(wanted), f"{where}: {len(found)} batches, expected {len(wanted)}"
        if case.get("view") == "sizes":
            assert [list(batch[0].shape) for batch in found] == wanted, where
            return
        if case.get("view") == "any order":
            found = sorted(found, key=lambda batch: str(_plain(batch)))
            wanted = sorted(wanted, key=lambda batch: str(_plain(batch)))
        for one, other in zip(found, wanted, strict=True):
            _compare(one, other, case, where, folder)
    elif isinstance(expected, dict) and "values" in expected:
        array = nnx.to_numpy(found)
        values = np.asarray(expected["values"])
        assert list(array.shape) == expected["shape"], f"{where}: shape {array.shape}, expected {expected['shape']}"
        if expected["dtype"] == "str":
            assert array.tolist() == values.reshape(expected["shape"]).tolist(), where
            return
        if case.get("dtype"):
            assert str(array.dtype) == expected["dtype"], f"{where}: {array.dtype}, expected {expected['dtype']}"
        scale = float(np.max(np.abs(values), initial=0.0)) if values.size else 0.0
        np.testing.assert_allclose(
            array.astype(np.float64),
            values.astype(np.float64).reshape(expected["shape"]),
            rtol=0,
            atol=case.get("tolerance", 2e-5) * scale,
            err_msg=where,
        )
    elif isinstance(expected, dict) and "rows" in expected:
        assert [nnx.to_numpy(row).tolist() for row in found] == expected["rows"], where
    elif isinstance(expected, dict) and "items" in expected:
        items = {str(key): item for key, item in found.items()}
        assert items.keys() == expected["items"].keys(), where
        for key, item in expected["items"].items():
            _compare(items[key], item, case, f"{where}, {key}", folder)
    elif isinstance(expected, dict) and "pixels" in expected:
        assert (found.mode, list(found.size)) == (expected["mode"], expected["width and height"]), where
        assert np.asarray(found).tolist() == expected["pixels"], where
    elif isinstance(expected, list):
        assert len(found) == len(expected), f"{where}: {found}, expected {expected}"
        for one, other in zip(found, expected, strict=True):
            _compare(one, other, case, where, folder)
    elif isinstance(expected, float):
        assert abs(float(found) - expected) <= case.get("tolerance", 2e-5) * max(abs(expected), 1e-30), where
    elif isinstance(expected, str) and str(found).startswith(str(folder)):
        assert pathlib.Path(found).relative_to(folder).as_posix() == expected, where
    elif expected is not None:
        assert found == expected, f"{where}: {found!r}, expected {expected!r}"


def _plain(batch: Any) -> Any:
    if isinstance(batch, dict):
        return batch["values"]
    return [_plain(part) for part in batch] if isinstance(batch, tuple | list) else nnx.to_numpy(batch).tolist()
