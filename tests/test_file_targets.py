"""What is at the path that a file is written to decides how: modes, owners, links, what is no file, and full disks."""

from __future__ import annotations

import errno
import os
import socket
import stat
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import file_targets
from nnx.callbacks import BackupAndRestore, CSVLogger, ModelCheckpoint
from nnx.file_targets import replacing
from nnx.layers import Dense

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes, owners and links as on POSIX")


def model(units: int = 2) -> nnx.Sequential:
    made = nnx.Sequential([Dense(units, input_dim=3)])
    made.compile("sgd", "mse")
    return made


def fit(*callbacks: Any, units: int = 2) -> None:
    made = model(units)
    made.fit(np.zeros((2, 3), np.float32), np.zeros((2, units), np.float32), callbacks=callbacks, verbose=0)


def save(path: Path) -> None:
    model().save(path)


WRITERS: dict[str, Callable[[Path], None]] = {
    "save": save,
    "save_weights": lambda path: model().save_weights(path),
    "ModelCheckpoint": lambda path: fit(ModelCheckpoint(path)),
    "CSVLogger": lambda path: fit(CSVLogger(path)),
    "CSVLogger that appends": lambda path: fit(CSVLogger(path, append=True)),
    "save_img": lambda path: nnx.utils.save_img(path, np.sin(np.arange(300.0)).reshape(10, 10, 3), file_format="png"),
    "plot_model": lambda path: nnx.utils.plot_model(model(), path),
}


@pytest.fixture(params=WRITERS)
def write(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    return WRITERS[request.param]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def left(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755])
def test_the_mode_of_a_file_is_kept(write: Callable[[Path], None], path: Path, mode: int):
    write(path)
    path.chmod(mode)
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert left(path.parent) == [path.name]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only an administrator gives files away")
def test_the_owner_of_a_file_is_kept(write: Callable[[Path], None], path: Path):
    write(path)
    os.chown(path, 1234, 2345)
    path.chmod(0o660)
    write(path)
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1234, 2345, 0o660)


def test_an_owner_that_cannot_be_kept(path: Path, monkeypatch: pytest.MonkeyPatch):
    """A file of somebody else, in a group that both are in: the group is kept."""
    save(path)
    asked: list[tuple[int, int]] = []

    def chown(file: Any, owner: int, group: int) -> None:
        asked.append((owner, group))
        if owner != -1:
            raise PermissionError(errno.EPERM, "Operation not permitted")

    real = os.stat(path)
    monkeypatch.setattr(os, "chown", chown)
    monkeypatch.setattr(Path, "stat", _with_owner(path, real.st_uid + 1))
    save(path)
    assert asked == [(real.st_uid + 1, real.st_gid), (-1, real.st_gid)]


def _with_owner(path: Path, owner: int) -> Any:
    stat_of = Path.stat

    def changed(self: Path, **options: Any) -> Any:
        found = stat_of(self, **options)
        return os.stat_result((*found[:4], owner, *found[5:])) if self == path else found

    return changed


def test_attributes_of_a_file_are_kept(path: Path):
    save(path)
    try:
        os.setxattr(path, "user.note", b"mine")
    except (AttributeError, OSError):
        pytest.skip("this file system, or this system, has no extended attributes")
    save(path)
    assert os.getxattr(path, "user.note") == b"mine"


def test_a_new_file_goes_by_the_mask_of_the_process(write: Callable[[Path], None], path: Path):
    before = os.umask(0o027)
    try:
        write(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_is_written_through(write: Callable[[Path], None], tmp_path: Path):
    (tmp_path / "there").mkdir()
    real, link = tmp_path / "there" / "real", tmp_path / "link"
    link.symlink_to(real)  # which is not there yet
    for _ in range(2):
        write(link)
        assert link.is_symlink()
        assert real.stat().st_size > 0
    assert not real.is_symlink()
    assert left(tmp_path) == ["link", "there"]
    assert left(real.parent) == ["real"]


def test_links_that_lead_nowhere(write: Callable[[Path], None], tmp_path: Path):
    loop, lost = tmp_path / "loop", tmp_path / "lost"
    loop.symlink_to(loop)
    lost.symlink_to(tmp_path / "nothing" / "file")
    for link in (loop, lost):
        with pytest.raises(OSError, match=link.name):
            write(link)
        assert link.is_symlink()


def test_the_other_names_of_a_file_keep_its_content(tmp_path: Path):
    path, other = tmp_path / "file", tmp_path / "other"
    save(path)
    os.link(path, other)
    old = other.read_bytes()
    model(5).save(path)
    assert other.read_bytes() == old != path.read_bytes()


def test_what_is_read_only_is_refused(write: Callable[[Path], None], path: Path):
    write(path)
    old = path.read_bytes()
    path.chmod(0o444)
    with pytest.raises(PermissionError, match=r"cannot write .*file: it is read-only; make it writable"):
        write(path)
    assert path.read_bytes() == old
    assert left(path.parent) == [path.name]


def test_a_folder_that_may_not_be_written_to(path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*args: Any, **options: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", f"{path.parent}/.file.abc.partial")

    monkeypatch.setattr(file_targets.tempfile, "mkdtemp", refuse)
    with pytest.raises(PermissionError, match=r"Permission denied: '.*/file'$"):
        save(path)


@pytest.fixture(params=["pipe", "socket", "folder", "device"])
def no_file(request: pytest.FixtureRequest, path: Path) -> Path:
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "folder":
        path.mkdir()
    elif request.param == "device":
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))  # as /dev/null is
        except OSError:
            pytest.skip("only an administrator makes devices")
    else:
        listening = socket.socket(socket.AF_UNIX)
        here = os.getcwd()
        os.chdir(path.parent)  # the names of sockets must be short
        try:
            listening.bind(path.name)
        finally:
            os.chdir(here)
        listening.close()
    return path


def test_what_is_no_file_is_refused(write: Callable[[Path], None], no_file: Path):
    kind = stat.S_IFMT(no_file.stat().st_mode)
    with pytest.raises(OSError, match=r"cannot write .*file: it is a \w+; give the name of a file"):
        write(no_file)
    assert stat.S_IFMT(no_file.stat().st_mode) == kind
    assert left(no_file.parent) == [no_file.name]


def test_what_is_no_file_is_not_read(no_file: Path):
    for read in (nnx.models.load_model, model().load_weights):
        with pytest.raises(OSError, match=r"cannot read .*file: it is a (folder|pipe)"):
            read(no_file)


def test_no_folder_for_the_file(tmp_path: Path):
    (tmp_path / "text").write_text("")
    for path in (tmp_path / "nothing" / "file", tmp_path / "text" / "file"):
        for name in ("save", "save_weights", "CSVLogger"):
            with pytest.raises(FileNotFoundError, match=r"cannot write .*file: there is no folder"):
                WRITERS[name](path)


# Full disks

_ROOM = 120  # bytes


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file grows beyond a few bytes; the system stops a write in its middle, as on a full disk."""
    if resource is None:
        pytest.skip("Windows has no such limits")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_ROOM, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", ["save", "save_weights", "ModelCheckpoint", "save_img", "plot_model"])
def test_a_full_disk_is_an_error_with_the_path(name: str, path: Path, request: pytest.FixtureRequest):
    path.write_bytes(b"old")
    request.getfixturevalue("small_disk")
    with pytest.raises(OSError, match=r"'.*/file'$") as caught:
        WRITERS[name](path)
    assert caught.value.errno in (errno.EFBIG, errno.ENOSPC)
    assert path.read_bytes() == b"old"
    assert left(path.parent) == [path.name]


def test_a_full_disk_under_checkpoints(tmp_path: Path, request: pytest.FixtureRequest):
    fit(BackupAndRestore(tmp_path, delete_checkpoint=False))
    old = (tmp_path / "latest.safetensors").read_bytes()
    request.getfixturevalue("small_disk")
    made = model()
    backup = BackupAndRestore(tmp_path, delete_checkpoint=False)
    with pytest.raises(OSError, match=r"'.*/latest\.safetensors'$"):
        made.fit(np.zeros((2, 3), np.float32), np.zeros((2, 2), np.float32), epochs=3, callbacks=[backup], verbose=0)
    assert (tmp_path / "latest.safetensors").read_bytes() == old
    assert left(tmp_path) == ["latest.safetensors"]


def test_a_full_disk_under_a_log(path: Path, small_disk: None):
    logger = CSVLogger(path)
    with pytest.raises(OSError, match=r"'.*/file'$"):
        model().fit(
            np.zeros((2, 3), np.float32), np.zeros((2, 2), np.float32), epochs=99, callbacks=[logger], verbose=0
        )
    assert path.stat().st_size == _ROOM


def test_a_full_disk_under_a_download(tmp_path: Path, small_disk: None):
    for extract, name in ((False, "x"), (True, "x_archive")):
        with pytest.raises(OSError, match=rf"'.*/cache/{name}'$"):
            nnx.utils.get_file("x", __file__, extract=extract, cache_dir=tmp_path, cache_subdir="cache")
        assert left(tmp_path / "cache") == []


def test_a_full_disk_under_an_archive_that_is_unpacked(tmp_path: Path, request: pytest.FixtureRequest):
    (tmp_path / "cache").mkdir()
    with zipfile.ZipFile(tmp_path / "cache" / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("y", bytes(10 * _ROOM))
    request.getfixturevalue("small_disk")
    with pytest.raises(OSError, match=r"'.*/cache/x_extracted'$"):
        nnx.utils.get_file("x.zip", "x.zip", extract=True, cache_dir=tmp_path, cache_subdir="cache")
    assert left(tmp_path / "cache") == ["x.zip"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # tensorboardX's thread says it too
def test_a_full_disk_under_a_tensorboard(tmp_path: Path, small_disk: None):
    pytest.importorskip("tensorboardX")
    for options in ({"histogram_freq": 1}, {"update_freq": 1}):
        with pytest.raises(OSError, match=r"'.*/logs'$"):
            fit(nnx.callbacks.TensorBoard(tmp_path / "logs", **options), units=200)
    for thread in threading.enumerate():  # which may say so after the test, where that is not expected
        if type(thread).__module__.startswith("tensorboardX"):
            thread.join(timeout=10.0)


def test_errors_of_the_flush_name_the_path(path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=r"Input/output error: '.*/file'"):
        save(path)
    assert left(path.parent) == []


def test_folders_that_cannot_be_flushed(path: Path, monkeypatch: pytest.MonkeyPatch):
    """As on some network drives; a folder that can be, and fails, is an error."""
    real = os.fsync
    for number in (errno.EINVAL, errno.ENOTSUP):

        def flush(descriptor: int, number: int = number) -> None:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(number, os.strerror(number))
            real(descriptor)

        monkeypatch.setattr(os, "fsync", flush)
        save(path)
    assert nnx.models.load_model(path).built


def test_an_error_in_the_block_leaves_everything_as_it_was(path: Path):
    def interrupted() -> None:
        with replacing(path) as new:
            new.write_text("half")
            raise KeyboardInterrupt

    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert left(path.parent) == [path.name]


def test_the_longest_name_that_a_file_can_have(write: Callable[[Path], None], tmp_path: Path):
    path = tmp_path / ("n" * 255)
    write(path)
    assert left(tmp_path) == [path.name]


def test_what_was_there_gets_another_name(path: Path, tmp_path: Path):
    before = tmp_path / "before"
    for text in ("first", "second", "third"):
        with replacing(path, before) as new:
            new.write_text(text)
    assert (path.read_text(), before.read_text()) == ("third", "second")
