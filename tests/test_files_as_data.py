"""Data from files: folders as loaders, downloads into a cache, archives that are unpacked."""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.layers import Dense, TextVectorization
from nnx.utils import (
    get_file,
    image_dataset_from_directory,
    split_dataset,
    text_dataset_from_directory,
    timeseries_dataset_from_array,
)


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    for kind, text in (("bad", "awful"), ("good", "fine")):
        (tmp_path / kind).mkdir()
        for number in range(5):
            (tmp_path / kind / f"{number}.txt").write_text(f"{text} film {number}", encoding="utf-8")
    return tmp_path


def test_a_model_trains_on_a_folder_of_texts(reviews: Path, capsys: pytest.CaptureFixture[str]):
    options: dict[str, Any] = {"label_mode": "binary", "batch_size": 4, "validation_split": 0.2, "seed": 1}
    training, validation = text_dataset_from_directory(reviews, subset="both", **options)
    assert capsys.readouterr().out.splitlines() == [
        "Found 10 files belonging to 2 classes.",
        "Using 8 files for training.",
        "Using 2 files for validation.",
    ]
    words = TextVectorization(output_mode="multi_hot")
    words.adapt(training)
    model = nnx.Sequential([words, Dense(1, activation="sigmoid")])
    model.compile(nnx.optimizers.Adam(0.1), "binary_crossentropy", metrics=["accuracy"])
    history = model.fit(training, validation_data=validation, epochs=15, verbose=0)
    assert history.history["val_accuracy"][-1] == 1.0


def test_folders_are_loaders(reviews: Path):
    dataset = text_dataset_from_directory(reviews, batch_size=3, seed=2, verbose=False)
    first, second = ([x.tolist() for x, _ in dataset] for _ in range(2))
    assert first != second
    assert sorted(itertools.chain(*first)) == sorted(itertools.chain(*second))
    assert len(dataset) == 4
    again = text_dataset_from_directory(reviews, batch_size=3, seed=2, verbose=False)
    assert [x.tolist() for x, _ in again] == first
    mapped = nnx.data.DataLoader(dataset, batch_size=None, map=lambda x, y: (x.shape[0], y), prefetch=2)
    assert [count for count, _ in mapped] == [3, 3, 3, 1]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"labels": [0.7] * 10}, "a list of integers from 0"),
        ({"labels": np.zeros(10, int)}, "a list of integers from 0"),
        ({"labels": [3, 7] * 5, "label_mode": "binary"}, r"needs labels 0 and 1, got \[3, 7\]"),
        ({"class_names": ["good", "good"]}, "a name twice: good, good"),
        ({"format": "list"}, "format must be one of 'tf', 'grain'"),
    ],
)
def test_labels_that_would_be_others(reviews: Path, options: dict[str, Any], reason: str):
    with pytest.raises(ValueError, match=reason):
        text_dataset_from_directory(reviews, verbose=False, **options)


def test_a_text_is_not_cut_in_the_middle_of_a_letter(tmp_path: Path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "1.txt").write_text("aé", encoding="utf-8")
    (texts,) = text_dataset_from_directory(tmp_path, label_mode=None, max_length=2, verbose=False)
    assert texts.tolist() == ["a"]


def test_a_model_trains_on_windows():
    series = np.sin(np.arange(60) * 0.3).astype(np.float32)
    windows = timeseries_dataset_from_array(series[:-8], series[8:], 8, batch_size=16, shuffle=True, seed=1)
    nnx.random.set_seed(1)
    model = nnx.Sequential([Dense(1)])
    model.compile(nnx.optimizers.Adam(0.05), "mse")
    assert model.fit(windows, epochs=60, verbose=0).history["loss"][-1] < 0.01


def test_a_split_of_a_loader_gives_batches():
    loader = nnx.data.DataLoader(np.arange(10.0), np.arange(10), batch_size=4)
    left, right = split_dataset(loader, right_size=3)
    assert [y.tolist() for _, y in left] == [[0, 1, 2, 3], [4, 5, 6]]
    assert [y.tolist() for _, y in right] == [[7, 8, 9]]


def test_images_need_their_files_when_they_are_read(tmp_path: Path):
    pytest.importorskip("PIL")
    nnx.utils.save_img(tmp_path / "1.png", np.arange(12.0).reshape(2, 2, 3))
    dataset = image_dataset_from_directory(tmp_path, labels=None, image_size=2, verbose=False)
    assert next(iter(dataset)).shape == (1, 2, 2, 3)
    (tmp_path / "1.png").write_bytes(b"damaged")
    with pytest.raises(OSError, match=r"cannot identify image file .*1\.png"):
        next(iter(dataset))


def test_images_that_cannot_be_read_are_named(tmp_path: Path):
    image = pytest.importorskip("PIL.Image")
    dataset = image_dataset_from_directory
    nnx.utils.save_img(tmp_path / "1.png", np.arange(3000.0).reshape(20, 50, 3))
    whole = (tmp_path / "1.png").read_bytes()
    image.new("1", (20_000, 20_000)).save(tmp_path / "large.png")
    for content in (whole[: len(whole) // 2], (tmp_path / "large.png").read_bytes()):
        (tmp_path / "1.png").write_bytes(content)
        (tmp_path / "large.png").unlink(missing_ok=True)
        with pytest.raises(ValueError, match=r"1\.png is no image that can be read: "):
            next(iter(dataset(tmp_path, labels=None, image_size=2, verbose=False)))


# Downloads


def test_a_file_is_kept_and_compared(tmp_path: Path):
    source = tmp_path / "source.bin"
    source.write_bytes(b"first")
    checksum = hashlib.sha256(b"second").hexdigest()
    path = Path(get_file("x.bin", source.as_uri(), cache_dir=tmp_path))
    assert path == tmp_path / "datasets" / "x.bin"
    source.write_bytes(b"second")
    get_file("x.bin", source, cache_dir=tmp_path)
    assert path.read_bytes() == b"first"
    get_file("x.bin", source, file_hash=checksum, cache_dir=tmp_path)
    assert path.read_bytes() == b"second"
    with pytest.raises(ValueError, match=r"has the checksum .* expected 00"):
        get_file("y.bin", source, md5_hash="00", cache_dir=tmp_path)
    with pytest.raises(OSError, match="nowhere"):
        get_file("y.bin", (tmp_path / "nowhere").as_uri(), cache_dir=tmp_path)
    with pytest.raises(ValueError, match="http, https or file"):
        get_file("y.bin", "ftp://nowhere/y.bin", cache_dir=tmp_path)
    with pytest.raises(ValueError, match="without a folder"):
        get_file("../y.bin", source, cache_dir=tmp_path)
    assert [one.name for one in path.parent.iterdir()] == ["x.bin"]


def archive(path: Path, *members: tuple[str, Any]) -> Path:
    """An archive with files, and links where the content is a str."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as packed:
            for name, content in members:
                info = zipfile.ZipInfo(name)
                info.external_attr = (0o120777 if isinstance(content, str) else 0o100644) << 16
                packed.writestr(info, content)
        return path
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("ending", [".zip", ".tar.gz"])
def test_archives_are_unpacked(tmp_path: Path, ending: str):
    source = archive(tmp_path / f"a{ending}", ("a/1.txt", b"one"), ("a/b/2.txt", b"two"))
    folder = Path(get_file(f"a{ending}", source.as_uri(), extract=True, cache_dir=tmp_path))
    assert folder == tmp_path / "datasets" / "a_extracted"
    assert (folder / "a" / "b" / "2.txt").read_text() == "two"
    folder = Path(get_file(origin=source.as_uri(), extract=True, cache_dir=tmp_path / "other"))
    assert folder.name == f"a{ending}"


def test_a_link_inside_an_archive_is_kept(tmp_path: Path):
    source = archive(tmp_path / "a.tar.gz", ("a/1.txt", b"one"), ("a/2.txt", "1.txt"))
    folder = Path(get_file("a.tar.gz", source, untar=True, cache_dir=tmp_path))
    assert (folder / "a" / "2.txt").read_text() == "one"


@pytest.mark.parametrize(
    ("ending", "members"),
    [
        (".zip", [("../out.txt", b"x")]),
        (".zip", [("link", "/etc"), ("link/x", b"x")]),
        (".tar.gz", [("ok.txt", b"x"), ("../out.txt", b"x")]),
        (".tar.gz", [("/out.txt", b"x")]),
        (".tar.gz", [("link", "/etc")]),
        (".tar.gz", [("a/link", "../../out")]),
        (".tar.gz", [("link", "."), ("link/../../out", b"x")]),
    ],
)
def test_an_archive_that_leads_out_of_its_folder_is_refused(tmp_path: Path, ending: str, members: list[Any]):
    source = archive(tmp_path / f"a{ending}", *members)
    with pytest.raises(ValueError, match=r"leads out of the folder|not followed"):
        get_file(f"a{ending}", source, extract=True, cache_dir=tmp_path / "cache")
    assert [one.name for one in (tmp_path / "cache" / "datasets").iterdir()] == [f"a{ending}"]


def test_what_is_no_archive(tmp_path: Path):
    source = archive(tmp_path / "short.tar.gz", ("a.txt", b"x" * 2000))
    short = gzip.compress(gzip.decompress(source.read_bytes())[:1000])
    source.write_bytes(short)
    with pytest.raises(ValueError, match=r"short\.tar\.gz is damaged: "):
        get_file("short.tar.gz", source, extract=True, cache_dir=tmp_path / "cache")
    (tmp_path / "a.tar").write_bytes(b"no archive")
    with pytest.raises(ValueError, match="no archive of the kind tar or zip"):
        get_file("a.tar", tmp_path / "a.tar", extract=True, cache_dir=tmp_path)
