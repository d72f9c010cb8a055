"""Targets of writing: files that are replaced as a whole, with respect for what is at their path.

What a user has put there decides: a link is written through; mode, access list and owner of a file go over to the one
that takes its place; what is read-only, or no file at all, is refused. Every error of the system names the path that
was given.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["flush_folder", "make_folder", "naming", "remove_leftovers", "replacing", "target_of"]

_PARTIAL = ".partial"
_CANNOT_BE_FLUSHED = (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM)  # folders of some network drives
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def target_of(path: str | os.PathLike[str]) -> Path:
    """The path at which a file is to be written: that of the file itself where there is a link to it.

    IsADirectoryError for a folder, FileNotFoundError if there is no folder for it, PermissionError for a file that is
    read-only, OSError for a pipe, a device and the like.

    >>> target_of("model.safetensors")
    PosixPath('model.safetensors')
    """
    path = Path(path)
    place = Path(os.path.realpath(path)) if path.is_symlink() else path
    try:
        mode = place.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if place.parent.is_dir():
            return place
        raise FileNotFoundError(f"cannot write {path}: there is no folder {place.parent}") from None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"cannot write {path}: it is a folder; give the name of a file in it")
    if not stat.S_ISREG(mode):
        raise OSError(f"cannot write {path}: it is {_KINDS.get(stat.S_IFMT(mode), 'no file')}; give the name of a file")
    # what nobody may write is read-only on purpose, also for an administrator, who could
    if not mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) or not os.access(place, os.W_OK):
        raise PermissionError(f"cannot write {path}: it is read-only; make it writable, or give another name")
    return place


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """A block in which errors of the system, such as that of a full disk, name this path.

    >>> with naming("log.csv"):
    ...     raise OSError(28, "No space left on device")
    Traceback (most recent call last):
        ...
    OSError: [Errno 28] No space left on device: 'log.csv'
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename == os.fspath(path):
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], previous: Path | None = None) -> Iterator[Path]:
    """A block that gives the path of a new file to write, which then takes the place of the one at `path`.

    previous : what is at `path` until now is called from now on, be it a file or a link; by default it is gone.

    Whenever the process is killed or the power fails, the old file or the new one is there, whole, under one of the two
    names: the new one is on the disk before the old one goes. After an error in the block everything is as before.
    Where a file has several names (hard links), the others keep the old content.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder, "names.txt")) as new:
    ...         _ = new.write_text("Ada")
    ...     Path(folder, "names.txt").read_text()
    'Ada'

    Errors are those of `target_of`, and OSError that names the path.
    """
    target = target_of(path)
    place = target if previous is None else Path(path)
    with naming(path):
        # in a folder of its own, where everything is removed that a killed process leaves
        folder = Path(tempfile.mkdtemp(dir=place.parent, prefix=_prefix(place), suffix=_PARTIAL))
        try:
            new = folder / place.name
            yield new
            _take_over(place, new)
            _flush(new)
            if previous is not None and os.path.lexists(place):
                os.replace(place, previous)
            os.replace(new, place)
            flush_folder(place.parent)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _prefix(path: Path) -> str:
    """What the temporary folders for a file begin with; names of files have a greatest length."""
    return f".{path.name[:50]}."


def _take_over(old: Path, new: Path) -> None:
    """Give a new file the mode, the access list and, as far as the system lets one, the owner of the old one."""
    if not old.exists():
        return
    owner, now = old.stat(), new.stat()
    if hasattr(os, "chown") and (owner.st_uid, owner.st_gid) != (now.st_uid, now.st_gid):
        try:
            os.chown(new, owner.st_uid, owner.st_gid)
        except PermissionError:  # a file of somebody else in a group that has both
            with contextlib.suppress(PermissionError):
                os.chown(new, -1, owner.st_gid)
    shutil.copystat(old, new)
    os.utime(new)


def make_folder(path: Path) -> None:
    """Make a folder, and those that it is in, so that they are still there after a power failure."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        flush_folder(path.parent)


def remove_leftovers(path: Path) -> None:
    """Remove the temporary folders that processes left that were killed while they wrote this file."""
    for leftover in path.parent.glob(f"{glob.escape(_prefix(path))}*{_PARTIAL}"):
        shutil.rmtree(leftover, ignore_errors=True)


def flush_folder(path: Path) -> None:
    """Make sure that a folder's list of files is on the disk, where the system can do that."""
    if os.name == "posix":
        try:
            _flush(path)
        except OSError as error:
            if error.errno not in _CANNOT_BE_FLUSHED:
                raise


def _flush(path: str | Path) -> None:
    """Make sure that a file, or a folder's list of files, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
