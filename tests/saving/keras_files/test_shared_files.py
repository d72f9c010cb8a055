"""Files that Keras 2.15 to 3.15 saved, with the numbers that Keras computed: see their README."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.testing import assert_close

pytest.importorskip("h5py", reason="h5py is not installed: pip install 'nnx-array[keras-files]'")

FOLDER = next(
    (up / "shared" / "data" / "keras_files" for up in Path(__file__).parents if (up / "shared").is_dir()), None
)
pytestmark = pytest.mark.skipif(FOLDER is None, reason="the folder shared/data/keras_files is not there")
EXPECTED: dict[str, Any] = json.loads((FOLDER / "expected.json").read_text()) if FOLDER else {}

# Files after which two more steps are not those of the Keras that wrote them, and not of Keras 3.15 either.
OTHER_STEPS = {
    "graph-2.15.0.keras": "2.15 counts the product of Nadam's decays once for each weight, and does not save it",
    "seq-3.0.5.keras": "3.0.5 computes amsgrad with another value; 3.15 is as far from it",
}
MODELS = [name for name in EXPECTED if ".weights." not in name]


def arrays(values: list[Any]) -> Any:
    found = [np.asarray(value, np.float32) for value in values]
    return found[0] if len(found) == 1 else found


def inputs_of(name: str) -> Any:
    x = arrays(EXPECTED[name]["inputs"])
    return x.astype("int32") if name.startswith("rnn") else x


def assert_predicts(model: Any, name: str, key: str = "predictions") -> None:
    found = model.predict(inputs_of(name), verbose=0)
    for y, expected in zip(found if isinstance(found, list | tuple) else [found], EXPECTED[name][key], strict=True):
        expected = np.asarray(expected, np.float32)
        assert_close(y, expected, 0.0, 2e-5 * float(np.abs(expected).max()))


@pytest.mark.parametrize("name", MODELS)
def test_models(name: str):
    model = nnx.models.load_model(FOLDER / name)
    assert_predicts(model, name)
    if EXPECTED[name]["after_two_more_steps"] and name not in OTHER_STEPS:
        for _ in range(2):
            model.train_on_batch(inputs_of(name), arrays(EXPECTED[name]["targets"]))
        assert_predicts(model, name, "after_two_more_steps")


@pytest.mark.parametrize("name", [name for name in EXPECTED if ".weights." in name])
def test_weights(name: str):
    like: dict[str, Callable[[], Any]] = {
        "conv": lambda: nnx.models.load_model(FOLDER / "conv-3.5.0.keras"),
        "rnn": lambda: nnx.models.load_model(FOLDER / "rnn-3.15.1.keras"),
    }
    model = like[name.partition("-")[0]]()
    model.set_weights([weight * 0 for weight in model.get_weights()])
    model.load_weights(FOLDER / name)
    assert_predicts(model, name)


@pytest.mark.parametrize("name", MODELS)
def test_models_are_written_and_read_again(name: str, tmp_path: Path):
    model = nnx.models.load_model(FOLDER / name)
    model.save(tmp_path / "m.keras")
    again = nnx.models.load_model(tmp_path / "m.keras")
    assert_predicts(again, name)
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    if model.optimizer is not None:
        assert again.optimizer.iterations == model.optimizer.iterations == 2
        state, expected = (m.optimizer.state_arrays(m.flat) for m in (again, model))
        for slot in expected:
            assert_close(state[slot], expected[slot], 0.0, 0.0)
    model.save(tmp_path / "other.keras")
    assert (tmp_path / "other.keras").read_bytes() == (tmp_path / "m.keras").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.keras", "other.keras"]
