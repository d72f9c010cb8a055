"""Downloads into the cache, from a server on this machine."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import http.server
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nnx.datasets import (
    boston_housing,
    california_housing,
    cifar10,
    cifar100,
    fashion_mnist,
    imdb,
    mnist,
    reuters,
)

pooch = pytest.importorskip("pooch", reason="pooch is not installed")


class Server:
    """Serves a folder, and remembers what it was asked for."""

    def __init__(self, folder: Path) -> None:
        self.requests: list[str] = []
        server = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(self.path.lstrip("/"))
                super().do_GET()

            def log_message(self, *args: Any) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
        self.address = f"http://127.0.0.1:{self.http.server_port}/"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server(folder)
    yield server
    server.close()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    return tmp_path / "cache" / "nnx"


@pytest.fixture
def use_mirrors(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Point MNIST at mirrors with the small files."""
    checksums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}

    def use(*mirrors: str) -> None:
        monkeypatch.setattr(mnist, "SOURCE", dataclasses.replace(mnist.SOURCE, mirrors=mirrors, checksums=checksums))

    return use


def test_downloads_once(server, use_mirrors, cache, assert_samples):
    use_mirrors(server.address)
    assert_samples(mnist.load_data())
    assert sorted(path.name for path in (cache / "mnist").iterdir()) == sorted(server.requests)
    assert len(server.requests) == 4
    assert_samples(mnist.load_data())
    assert len(server.requests) == 4


def test_a_damaged_file_in_the_cache_is_downloaded_again(server, use_mirrors, cache, assert_samples):
    use_mirrors(server.address)
    mnist.load_data()
    (cache / "mnist" / "t10k-labels-idx1-ubyte.gz").write_bytes(b"damaged")
    assert_samples(mnist.load_data())
    assert server.requests[4:] == ["t10k-labels-idx1-ubyte.gz"]


def test_the_next_mirror_steps_in(server, use_mirrors, assert_samples):
    use_mirrors(server.address + "gone/", server.address)
    assert_samples(mnist.load_data())


def test_wrong_bytes_are_refused(server, use_mirrors, folder, cache):
    use_mirrors(server.address)
    name = "t10k-labels-idx1-ubyte.gz"
    (folder / name).write_bytes(b"something else")
    with pytest.raises(OSError, match=f"could not download {name} of mnist .* pass their folder as path") as error:
        mnist.load_data()
    assert "does not match the known hash" in str(error.value)
    assert not (cache / "mnist" / name).exists()


def test_no_connection_says_what_to_do(server, use_mirrors):
    use_mirrors(server.address + "gone/", server.address + "lost/")
    with pytest.raises(OSError, match=r"get the files .* in another way") as error:
        mnist.load_data()
    assert "gone/" in str(error.value)
    assert "lost/" in str(error.value)


MODULES = [boston_housing, california_housing, cifar10, cifar100, fashion_mnist, imdb, mnist, reuters]
LOADERS = [*(module.load_data for module in MODULES), imdb.get_word_index, reuters.get_word_index]


@pytest.mark.parametrize("load", LOADERS, ids=lambda load: f"{load.__module__.rpartition('.')[2]}.{load.__name__}")
def test_every_loader_asks_for_pooch_or_a_path(load, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"needs pooch.*pip install 'nnx-array\[examples\]'"):
        load()
    with pytest.raises(FileNotFoundError, match=r"there is no file or folder .*gone; leave path out to download"):
        load(path=tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match=f"the folder {tmp_path} has n"):
        load(path=tmp_path)


def test_each_data_set_has_files_and_checksums_of_its_own():
    sources = [*(module.SOURCE for module in MODULES), imdb.WORD_INDEX, reuters.WORD_INDEX]
    assert len({source.name for source in sources}) == len(MODULES)
    checksums = [checksum for source in sources for checksum in source.checksums.values()]
    assert len(set(checksums)) == 16
    lengths = {checksum: 16 if checksum.startswith("md5:") else 32 for checksum in checksums}
    assert all(len(bytes.fromhex(checksum.removeprefix("md5:"))) == size for checksum, size in lengths.items())


def test_a_word_index_is_downloaded_by_its_md5(server, cache, folder, monkeypatch):
    content = b'{"film": 1}'
    (folder / "imdb_word_index.json").write_bytes(content)
    checksums = {"imdb_word_index.json": f"md5:{hashlib.md5(content).hexdigest()}"}
    source = dataclasses.replace(imdb.WORD_INDEX, mirrors=(server.address,), checksums=checksums)
    monkeypatch.setattr(imdb, "WORD_INDEX", source)
    assert imdb.get_word_index() == {"film": 1}
    assert (cache / "imdb" / "imdb_word_index.json").read_bytes() == content
    (folder / "imdb_word_index.json").write_bytes(b'{"book": 1}')
    (cache / "imdb" / "imdb_word_index.json").unlink()
    with pytest.raises(OSError, match="does not match the known hash"):
        imdb.get_word_index()


def test_each_class_of_fashion_mnist_has_a_name():
    assert len(set(fashion_mnist.CLASS_NAMES)) == 10
    assert fashion_mnist.CLASS_NAMES[9] == "Ankle boot"
