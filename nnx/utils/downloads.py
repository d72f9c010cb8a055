"""Files from elsewhere, kept in a cache: downloaded once, compared with a checksum, unpacked safely."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import stat
import tarfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from nnx.file_targets import naming

_CHUNK = 1 << 18
_HASHES = ("auto", "sha256", "md5")


def get_file(
    fname: str | os.PathLike[str] | None = None,
    origin: str | os.PathLike[str] | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: str | Sequence[str] | None = "auto",
    cache_dir: str | os.PathLike[str] | None = None,
    force_download: bool = False,
) -> str:
    """The path of a file, which is downloaded into a cache unless it is there.

    fname : its name in the cache; by default the last part of the address.
    origin : the address, http, https or file, or a path on this machine.
    file_hash : the checksum that it must have. hash_algorithm : "sha256" or "md5"; "auto" looks at its length.
        md5_hash : the same, of old scripts.
    cache_dir, cache_subdir : where it is kept: cache_dir/cache_subdir, by default $NNX_HOME or ~/.nnx, and datasets.
    extract : whether it is an archive, which is unpacked beside it; then the path is that of the folder, the name and
        "_extracted". untar : the same. archive_format : "tar", also compressed, or "zip"; "auto" takes either.
    force_download : whether it is downloaded although it is there.

    A file in the cache with another checksum is downloaded again. Nothing is kept of a download that fails. ValueError
    for a file with the wrong checksum, or an archive with a path or a link that leads out of its folder; OSError for an
    address that does not answer.
    """
    if origin is None:
        raise ValueError("get_file needs origin, the address of the file")
    address = os.fspath(origin)
    name = os.fspath(fname) if fname else os.path.basename(urllib.parse.urlsplit(address).path)
    if not name or name in (".", "..") or os.path.basename(name) != name:
        raise ValueError(
            f"fname must be the name of a file without a folder, got {name!r}; cache_dir says where it goes"
        )
    if hash_algorithm not in _HASHES:
        raise ValueError(f"hash_algorithm must be one of {', '.join(map(repr, _HASHES))}, got {hash_algorithm!r}")
    forms = (archive_format,) if isinstance(archive_format, str) else tuple(archive_format or ())
    unknown = [form for form in forms if form not in ("auto", "tar", "zip")]
    if unknown:
        raise ValueError(f'archive_format must be "auto", "tar" or "zip", or a list of these, got {unknown[0]!r}')
    folder = Path(cache_dir or os.environ.get("NNX_HOME") or Path.home() / ".nnx").expanduser() / cache_subdir
    folder.mkdir(parents=True, exist_ok=True)
    extract = extract or untar
    target = folder / (f"{name}_archive" if extract and (not fname or "." not in name) else name)
    checksum, algorithm = (md5_hash, "md5") if md5_hash and not file_hash else (file_hash, hash_algorithm)
    is_kept = target.exists() and not force_download
    if is_kept and checksum:
        is_kept = _checksum(target, checksum, algorithm) == checksum.lower()
    if not is_kept:
        _download(address, target, checksum, algorithm)
    if not extract:
        return str(target)
    unpacked = folder / (f"{name.partition('.')[0]}_extracted" if fname and "." in name else name)
    if unpacked.is_file():
        raise ValueError(f"{unpacked} is a file, and the folder for what is unpacked: give fname another name")
    if not (is_kept and unpacked.exists()):
        with naming(unpacked):
            _unpack(target, unpacked, "tar" if untar else archive_format)
    return str(unpacked)


def _checksum(path: Path, expected: str, algorithm: str) -> str:
    if algorithm == "auto":
        algorithm = "sha256" if len(expected) == 64 else "md5"
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _download(address: str, target: Path, checksum: str | None, algorithm: str) -> None:
    """Bring a file to its place, once it is whole and has the right checksum."""
    part = _beside(target)
    try:
        with _opened(address) as source, naming(target), part.open("xb") as file:
            shutil.copyfileobj(source, file, _CHUNK)
        if checksum:
            found = _checksum(part, checksum, algorithm)
            if found != checksum.lower():
                raise ValueError(f"{address} has the checksum {found}, expected {checksum}")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _beside(target: Path) -> Path:
    """A new path in the same folder; what is made there has the mode that files of this process have."""
    return target.with_name(f".part-{secrets.token_hex(8)}")


def _opened(address: str) -> IO[bytes]:
    scheme = urllib.parse.urlsplit(address).scheme
    if scheme in ("http", "https", "file"):
        try:
            response: Any = urllib.request.urlopen(address)
        except urllib.error.URLError as error:
            raise OSError(f"cannot download {address}: {error.reason}") from error
        return response  # type: ignore[no-any-return]
    if len(scheme) > 1 and not os.path.exists(address):
        raise ValueError(f"origin must begin with http, https or file, or be a path, got {address!r}")
    return open(address, "rb")


def _unpack(archive: Path, folder: Path, form: str | Sequence[str] | None) -> None:
    """Unpack an archive into a folder that is there as a whole or not at all."""
    given = (form,) if isinstance(form, str) else tuple(form or ())
    forms = ("tar", "zip") if "auto" in given else given
    part = _beside(folder)
    part.mkdir()
    try:
        if "tar" in forms and tarfile.is_tarfile(archive):
            try:
                with tarfile.open(archive) as tar:
                    for member in tar:
                        _unpack_member(tar, member, part)
            except (tarfile.TarError, KeyError) as error:  # KeyError for a link to a file that is not there
                raise ValueError(f"{archive} is damaged: {error}") from error
        elif "zip" in forms and zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                for info in packed.infolist():
                    if stat.S_ISLNK(info.external_attr >> 16):
                        raise ValueError(f"{archive} has a link, {info.filename!r}, which is not followed")
                    _inside(part, info.filename, archive)
                    packed.extract(info, part)
        else:
            raise ValueError(f"{archive} is no archive of the kind {' or '.join(forms) or None}")
        if folder.exists():
            shutil.rmtree(folder)
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _unpack_member(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Unpack a file, a folder, or a link to one inside; nothing else has a meaning in data."""
    archive = os.fsdecode(tar.name or "the archive")
    _inside(folder, member.name, archive)
    if member.issym() or member.islnk():
        start = os.path.dirname(member.name) if member.issym() else ""
        _inside(folder, os.path.join(start, member.linkname), archive)
    elif not (member.isfile() or member.isdir()):
        raise ValueError(f"{archive} has {member.name!r}, which is no file, folder or link")
    tar.extract(member, folder, filter="data")


def _inside(folder: Path, name: str, archive: Any) -> None:
    root = os.path.realpath(folder)
    path = os.path.realpath(os.path.join(root, name))
    if os.path.commonpath([root, path]) != root:
        raise ValueError(f"{archive} has {name!r}, which leads out of the folder it is unpacked to")
