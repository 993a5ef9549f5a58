"""Extraction of listed data files from a package archive (zip or tar), and of nothing else.

Files are never named by the archive: a member's bytes go to a path that we choose, are limited in number, and must have
the listed hash. Links, devices and directories are refused.
"""

import hashlib
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import IO

from inference.models.catalogue import Archive, Member, Model

_BLOCK = 1 << 20
_MAX_MEMBER_BYTES = 4 << 30


class ArchiveError(ValueError):
    """The archive differs from the table."""


def sha256(path: Path) -> str:
    """Return the file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check(path: Path, archive: Archive) -> None:
    """Raise ArchiveError unless the file at `path` is the listed archive."""
    size = path.stat().st_size
    if size != archive.bytes:
        raise ArchiveError(f"{path} has {size} bytes, expected {archive.bytes}")
    found = sha256(path)
    if found != archive.sha256:
        raise ArchiveError(f"{path} has SHA-256 {found}, expected {archive.sha256}: it is not used")


def extract(path: Path, archive: Archive, directory: Path) -> None:
    """Write the archive's listed members into `directory`; raises ArchiveError if one is missing or differs."""
    for member in archive.member:
        target = directory / member.target
        try:
            with _open(path, member.path) as source:
                _copy(source, target, member)
        except (KeyError, zipfile.BadZipFile, tarfile.TarError) as error:
            raise ArchiveError(f"{member.path} cannot be read from {path}: {error}") from error


def copy_shipped(model: Model, directory: Path) -> None:
    """Write the files of a model that are part of this package into `directory`; raises ArchiveError if one differs."""
    for member in model.shipped:
        source = files("inference.models").joinpath("shipped", *member.path.split("/"))
        try:
            with source.open("rb") as content:
                _copy(content, directory / member.target, member)
        except FileNotFoundError as error:
            raise ArchiveError(f"this package lacks {member.path}") from error


@contextmanager
def _open(path: Path, name: str) -> Iterator[IO[bytes]]:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as wheel, wheel.open(name) as source:
            yield source
        return
    with tarfile.open(path) as tar:
        entry = tar.getmember(name)
        content = tar.extractfile(entry) if entry.isreg() else None
        if content is None:
            raise ArchiveError(f"{name} in {path} is not a regular file")
        with content:
            yield content


def _copy(source: IO[bytes], target: Path, member: Member) -> None:
    digest = hashlib.sha256()
    size = 0
    partial = target.with_name(target.name + ".partial")
    with partial.open("wb") as sink:
        while block := source.read(_BLOCK):
            size += len(block)
            if size > _MAX_MEMBER_BYTES:
                raise ArchiveError(f"{member.path} is too large for a model")
            digest.update(block)
            sink.write(block)
    if digest.hexdigest() != member.sha256:
        partial.unlink()
        raise ArchiveError(f"{member.path} has SHA-256 {digest.hexdigest()}, expected {member.sha256}")
    partial.replace(target)
