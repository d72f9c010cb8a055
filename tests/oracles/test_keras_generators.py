"""Images and sequences in batches, as Keras 2 had them, against the classes that Keras 3 keeps for old scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="the oracle Keras is not installed; pip install 'nnx-array[oracle]'")
pytest.importorskip("scipy", reason="SciPy is not installed, which Keras turns images with")
theirs = pytest.importorskip("keras.src.legacy.preprocessing.image", reason="this Keras has no ImageDataGenerator")
their_sequence = pytest.importorskip("keras.src.legacy.preprocessing.sequence")

import nnx.preprocessing.image as ours  # noqa: E402
from nnx.preprocessing import sequence  # noqa: E402
from nnx.random import Generator  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:Please import `affine_transform`:DeprecationWarning")

IMAGES = np.float32(Generator(1).uniform((6, 7, 7, 3), 0.0, 255.0))


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("fill_mode", ["constant", "nearest", "reflect", "wrap"])
def test_affine_transform(fill_mode: str, order: int) -> None:
    options: dict[str, Any] = {"row_axis": 0, "col_axis": 1, "channel_axis": 2, "fill_mode": fill_mode, "order": order}
    for seed, image in enumerate([*IMAGES, *np.uint8(IMAGES)]):
        theta, tx, ty, shear = Generator(seed).uniform((4,), -1.0, 1.0) * [180.0, 9.0, 20.0, 40.0]
        moves = {"theta": theta, "tx": tx, "ty": ty, "shear": shear, "zx": 0.7, "zy": 1.3}
        expected = theirs.apply_affine_transform(image, cval=5.0, **moves, **options)
        found = ours.apply_affine_transform(image, cval=5.0, **moves, **options)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


SETTINGS: list[dict[str, Any]] = [
    {"rescale": 1 / 255, "samplewise_std_normalization": True},
    {"featurewise_std_normalization": True, "preprocessing_function": lambda image: image - 1.0},
    {"zca_whitening": True, "featurewise_center": True, "zca_epsilon": 0.1},
    {"channel_shift_range": 30.0, "horizontal_flip": True, "vertical_flip": True, "rotation_range": 40},
    {"brightness_range": (0.5, 1.5), "zoom_range": 0.3, "shear_range": 20.0, "fill_mode": "reflect"},
]


@pytest.mark.filterwarnings("ignore:This ImageDataGenerator specifies")
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: next(iter(settings)))
def test_changes_and_statistics(settings: dict[str, Any]) -> None:
    """By a seed, the numbers of a change are NumPy's in both."""
    one, other = ours.ImageDataGenerator(**settings), theirs.ImageDataGenerator(**settings)
    one.fit(IMAGES)
    other.fit(IMAGES)
    for seed, image in enumerate(IMAGES):
        assert one.get_random_transform(image.shape, seed) == other.get_random_transform(image.shape, seed)
        expected = other.standardize(other.random_transform(image.copy(), seed))
        np.testing.assert_allclose(one.standardize(one.random_transform(image, seed)), expected, rtol=1e-5, atol=2e-4)


def test_folders(tmp_path: Path) -> None:
    pytest.importorskip("PIL", reason="Pillow is not installed")
    for number, image in enumerate(IMAGES):
        (tmp_path / "ab"[number % 2] / "deep").mkdir(parents=True, exist_ok=True)
        ours.save_img(tmp_path / "ab"[number % 2] / ("deep" if number > 3 else ".") / f"{number}.png", image)
    for options in ({"class_mode": "sparse"}, {"classes": ["b", "a"], "color_mode": "grayscale"}):
        for subset in ("training", "validation", None):
            given = {"target_size": (4, 5), "shuffle": False, "subset": subset, "interpolation": "bilinear", **options}
            found, expected = (
                module.ImageDataGenerator(validation_split=0.4).flow_from_directory(tmp_path, **given)
                for module in (ours, theirs)
            )
            for name in ("filenames", "class_indices", "samples", "image_shape", "num_classes"):
                assert getattr(found, name) == getattr(expected, name), name
            assert found.classes.tolist() == expected.classes.tolist()
            for mine, other in zip(next(found), next(expected), strict=True):
                assert mine.dtype == other.dtype
                np.testing.assert_allclose(mine, other, atol=1e-4)


def test_sequences() -> None:
    given: list[dict[str, Any]] = [
        {"length": 4, "sampling_rate": 2, "stride": 3, "batch_size": 2},
        {"length": 3, "start_index": 2, "end_index": 11, "reverse": True, "batch_size": 4},
    ]
    for options in given:
        data = (np.arange(30.0).reshape(15, 2), np.arange(15))
        mine = sequence.TimeseriesGenerator(*data, **options)
        other = their_sequence.TimeseriesGenerator(*data, **options)
        assert len(mine) == len(other)
        for number in range(len(mine)):
            for found, expected in zip(mine[number], other[number], strict=True):
                np.testing.assert_array_equal(found, expected)
    words = [3, 0, 1, 4, 4, 2, 7]
    assert sequence.skipgrams(words, 9, 2, 0.0, seed=3) == their_sequence.skipgrams(words, 9, 2, 0.0, seed=3)
    np.testing.assert_allclose(sequence.make_sampling_table(50), their_sequence.make_sampling_table(50), rtol=1e-12)
