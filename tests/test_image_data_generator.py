"""Images in batches as Keras 2 had them: arrays, folders and tables as loaders that train, go on and are saved."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.preprocessing.image import ImageDataGenerator, apply_affine_transform, apply_channel_shift, save_img
from nnx.preprocessing.sequence import TimeseriesGenerator, make_sampling_table, skipgrams

IMAGES = np.random.default_rng(1).uniform(0, 255, (6, 5, 4, 3)).astype(np.float32)
LABELS = np.arange(6)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pytest.importorskip("PIL", reason="Pillow is not installed; pip install 'nnx-array[images]'")
    for number, image in enumerate(IMAGES):
        kind = tmp_path / ("cats" if number < 4 else "dogs")
        kind.mkdir(exist_ok=True)
        save_img(kind / f"{number}.png", image, scale=False)
    (tmp_path / ".checkpoints").mkdir()
    (tmp_path / "cats" / "notes.txt").write_text("none")
    return tmp_path


def test_changes_of_an_image() -> None:
    image = np.arange(12.0).reshape(3, 4, 1)
    generator = ImageDataGenerator(fill_mode="constant", cval=-1.0)
    changes: dict[str, Any] = {
        "tx": (1, [[1, 2, 3, -1], [5, 6, 7, -1], [9, 10, 11, -1]]),
        "ty": (1, [[4, 5, 6, 7], [8, 9, 10, 11], [-1] * 4]),
        "flip_horizontal": (True, image[:, ::-1, 0]),
        "flip_vertical": (True, image[::-1, :, 0]),
        "channel_shift_intensity": (3.0, np.minimum(image + 3.0, 11.0)[..., 0]),
        "theta": (180, image[::-1, ::-1, 0]),
        "zx": (2, [[-1, row + 0.5, row + 2.5, -1] for row in (0.0, 4.0, 8.0)]),  # around the middle of the row
    }
    for name, (value, expected) in changes.items():
        changed = generator.apply_transform(image, {name: value})
        np.testing.assert_allclose(changed[..., 0], expected, atol=1e-9, err_msg=name)
        first = ImageDataGenerator(fill_mode="constant", cval=-1.0, data_format="channels_first")
        np.testing.assert_array_equal(
            first.apply_transform(image.transpose(2, 0, 1), {name: value})[0], changed[..., 0]
        )
    modes = {"nearest": [3, 3, 3], "reflect": [3, 2, 1], "wrap": [1, 2, 0]}
    for mode, expected in modes.items():
        moved = apply_affine_transform(image, 0, 3, row_axis=0, col_axis=1, channel_axis=2, fill_mode=mode, order=0)
        assert moved[0, 1:, 0].tolist() == expected, mode
    assert apply_affine_transform(np.full((1, 2, 2), 3, np.uint8), tx=0.5).dtype == np.uint8
    with pytest.raises(ValueError, match=r"transform_parameters has \['angle'\]"):
        generator.apply_transform(image, {"angle": 3})


def test_random_changes_are_those_of_their_seed() -> None:
    generator = ImageDataGenerator(
        rotation_range=30,
        width_shift_range=[-2, 2],
        height_shift_range=0.5,
        shear_range=5,
        zoom_range=0.2,
        channel_shift_range=9.0,
        horizontal_flip=True,
        brightness_range=(0.5, 1.5),
    )
    drawn = generator.get_random_transform((8, 6, 3), seed=3)
    assert drawn == generator.get_random_transform((8, 6, 3), seed=3) != generator.get_random_transform((8, 6, 3))
    assert abs(drawn["tx"]) == 2.0
    assert 0.0 < abs(drawn["ty"]) < 4.0
    nnx.random.set_seed(4)
    first = generator.get_random_transform((8, 6, 3))
    nnx.random.set_seed(4)
    assert generator.get_random_transform((8, 6, 3)) == first


def test_standardised_images() -> None:
    generator = ImageDataGenerator(rescale=1 / 255, featurewise_std_normalization=True)
    with pytest.raises(ValueError, match=r"featurewise_center needs the images .* call fit\(x\) before"):
        next(generator.flow(IMAGES))
    generator.fit(IMAGES, augment=True, rounds=2, seed=1)
    x = next(generator.flow(IMAGES, batch_size=6, shuffle=False))
    assert x.dtype == np.float32
    np.testing.assert_allclose(x.mean(axis=(0, 1, 2)), 0.0, atol=1e-5)
    np.testing.assert_allclose(x.std(axis=(0, 1, 2)), 1.0, atol=1e-4)
    own = ImageDataGenerator(samplewise_std_normalization=True, preprocessing_function=lambda image: image + 1.0)
    x = next(own.flow(IMAGES))
    np.testing.assert_allclose(x.std(axis=(1, 2, 3)), 1.0, atol=1e-4)
    with pytest.warns(UserWarning, match="zca_whitening is instead of featurewise_std_normalization"):
        white = ImageDataGenerator(zca_whitening=True, featurewise_std_normalization=True)
    small = np.random.default_rng(2).normal(size=(200, 2, 2, 1))
    white.fit(small)
    pixels = white.standardize(small.copy()).reshape(200, 4)
    np.testing.assert_allclose(pixels.T @ pixels / 200, np.eye(4), atol=1e-4)


def test_flows_are_loaders_that_train_and_go_on(tmp_path: Path) -> None:
    flow = ImageDataGenerator(rescale=1 / 255, rotation_range=20).flow(IMAGES, LABELS, batch_size=4, seed=2)
    again = ImageDataGenerator(rescale=1 / 255, rotation_range=20).flow(IMAGES, LABELS, batch_size=4, seed=2)
    endless = list(itertools.islice(flow, 5))  # two passes and a half
    assert [len(y) for _, y in endless] == [4, 2, 4, 2, 4]
    for (x, y), (other, labels) in zip(endless, again.prefetch(2), strict=False):
        np.testing.assert_array_equal(x, other)
        np.testing.assert_array_equal(y, labels)
    assert sorted(np.concatenate([y for _, y in endless[:2]])) == LABELS.tolist()
    assert len(flow) == 2
    assert flow[1][0].shape == (2, 5, 4, 3)

    def trained(epochs: int, interrupted: bool = False) -> Any:
        nnx.random.set_seed(1)
        model = nnx.Sequential([nnx.Input((5, 4, 3)), nnx.layers.Flatten(), nnx.layers.Dense(1)])
        model.compile("sgd", "mse")
        data = ImageDataGenerator(rescale=1 / 255, zoom_range=0.3).flow(IMAGES, LABELS, batch_size=4, seed=2)
        keep = nnx.callbacks.BackupAndRestore(tmp_path / "kept", delete_checkpoint=False)
        model.fit(data, epochs=epochs, callbacks=[keep] if interrupted else [], verbose=0)
        assert model.predict(data, verbose=0).shape == (6, 1)
        return model.get_weights()[0]

    trained(1, interrupted=True)
    assert nnx.to_numpy(trained(3, interrupted=True)).tolist() == nnx.to_numpy(trained(3)).tolist()


def test_columns_that_go_along() -> None:
    flow = ImageDataGenerator().flow((IMAGES, [LABELS, -LABELS]), LABELS, 3, sample_weight=LABELS / 2, shuffle=False)
    (x, one, other), y, weight = next(flow)
    assert x.shape == (3, 5, 4, 3)
    assert one.tolist() == y.tolist() == [0, 1, 2] == (-other).tolist() == (2 * weight).tolist()
    split = ImageDataGenerator(validation_split=0.5)
    with pytest.raises(ValueError, match="different labels: shuffle"):
        split.flow(IMAGES, LABELS, subset="training")
    parts = [split.flow(IMAGES, LABELS, subset=s, ignore_class_split=True).n for s in ("training", "validation")]
    assert parts == [3, 3]
    for wrong, reason in (((IMAGES, LABELS[:5]), "y has 5 rows, for 6 images"), ((IMAGES[0],), "four axes")):
        with pytest.raises(ValueError, match=reason):
            ImageDataGenerator().flow(*wrong)


def test_folders(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flow = ImageDataGenerator(validation_split=0.25).flow_from_directory(
        folder, target_size=(5, 4), shuffle=False, subset="training", save_to_dir=folder / ".checkpoints"
    )
    assert capsys.readouterr().out == "Found 5 images belonging to 2 classes.\n"
    assert flow.class_indices == {"cats": 0, "dogs": 1}
    assert flow.filenames == ["cats/1.png", "cats/2.png", "cats/3.png", "dogs/4.png", "dogs/5.png"]
    assert (flow.classes.tolist(), flow.image_shape, flow.samples) == ([0, 0, 0, 1, 1], (5, 4, 3), 5)
    x, y = next(flow)
    np.testing.assert_allclose(x, np.floor(IMAGES[1:]))
    assert y.tolist() == [[1, 0]] * 3 + [[0, 1]] * 2
    assert len(list((folder / ".checkpoints").iterdir())) == 5
    generator = ImageDataGenerator()
    grey = generator.flow_from_directory(folder, (3, 3), "grayscale", class_mode="binary", classes=["dogs", "cats"])
    x, y = next(grey)
    assert (x.shape, sorted(y.tolist())) == ((6, 3, 3, 1), [0, 0, 1, 1, 1, 1])
    x, y = next(generator.flow_from_directory(folder, (3, 3), class_mode="input"))
    np.testing.assert_array_equal(x, y)
    assert next(generator.flow_from_directory(folder, (3, 3), class_mode=None)).shape == (6, 3, 3, 3)
    with pytest.raises(ValueError, match=r"has no folders birds; it has \.checkpoints, cats, dogs"):
        generator.flow_from_directory(folder, classes=["birds"])


def test_tables(folder: Path) -> None:
    table: dict[str, Any] = {
        "filename": ["cats/0.png", "cats/1.png", "cats/9.png", "dogs/4.png"],
        "class": ["cat", "cat", "cat", "dog"],
        "kinds": [["cat"], ["cat", "dog"], ["cat"], ["bird"]],
        "age": [1.0, 2.0, 3.0, 4.0],
        "size": [5, 6, 7, 8],
    }
    expected: list[tuple[dict[str, Any], Any]] = [
        ({"class_mode": "sparse"}, [0, 0, 1]),
        ({"class_mode": "binary", "classes": ["dog", "cat"]}, [1, 1, 0]),
        ({"y_col": "kinds", "classes": ["cat", "dog"]}, [[1, 0], [1, 1]]),
        ({"class_mode": "raw", "y_col": ["age", "size"]}, [[1, 5], [2, 6], [4, 8]]),
        ({"class_mode": "multi_output", "y_col": ["age", "size"]}, [[1, 2, 4], [5, 6, 8]]),
    ]
    generator = ImageDataGenerator()
    for options, targets in expected:
        with pytest.warns(UserWarning, match="1 of the file names in 'filename' are no images"):
            flow = generator.flow_from_dataframe(
                table, folder, weight_col="age", target_size=(2, 2), shuffle=False, **options
            )
        x, y, weight = next(flow)
        assert np.asarray(y).tolist() == targets, options
        assert x.shape == (len(weight), 2, 2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = {name: column[:2] for name, column in table.items()}
        assert generator.flow_from_dataframe(rows, folder, class_mode=None, target_size=(2, 2)).n == 2
        for options, error in (({"x_col": "age"}, TypeError), ({"class_mode": "sparse", "y_col": "age"}, TypeError)):
            with pytest.raises(error, match=r"must be (of texts|a column of texts)"):
                generator.flow_from_dataframe(rows, folder, **options)


def test_settings_that_are_not_known() -> None:
    for options, reason in (
        ({"fill_mode": "mirror"}, "fill_mode must be one of 'constant'"),
        ({"interpolation_order": 3}, "interpolation_order must be 0, the nearest pixel, or 1"),
        ({"zoom_range": [1, 2, 3]}, "zoom_range must be two numbers"),
        ({"validation_split": 1.5}, "validation_split must be"),
        ({"data_format": "last"}, "data_format must be one of"),
    ):
        with pytest.raises(ValueError, match=reason):
            ImageDataGenerator(**options)
    np.testing.assert_array_equal(apply_channel_shift(IMAGES[0], 0.0), IMAGES[0])


def test_windows_and_pairs() -> None:
    windows = TimeseriesGenerator(np.arange(9), np.arange(9), 4, 2, stride=2, reverse=True, batch_size=2)
    assert [(x.tolist(), y.tolist()) for x, y in windows] == [([[2, 0], [4, 2]], [4, 6]), ([[6, 4]], [8])]
    shuffled = TimeseriesGenerator(np.arange(9), np.arange(9), 4, shuffle=True, batch_size=50)
    assert set(shuffled[0][1].tolist()) == {4, 5, 6, 7, 8}
    with pytest.raises(ValueError, match="none can be a target"):
        TimeseriesGenerator(np.arange(3), np.arange(3), 3)
    couples, labels = skipgrams([1, 0, 2, 3], 9, window_size=2, negative_samples=1.0, seed=1, categorical=True)
    assert sorted(pair for pair, label in zip(couples, labels, strict=True) if label == [0, 1]) == [
        [1, 2],
        [2, 1],
        [2, 3],
        [3, 2],
    ]
    assert len(couples) == 8
    assert skipgrams([1, 2, 3], 4, sampling_table=np.zeros(4)) == ([], [])
    assert make_sampling_table(1000).max() < 0.3
