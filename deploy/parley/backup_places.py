"""Places of a backup: its target, and the parts of this installation that it includes."""

import os
from collections.abc import Iterator
from pathlib import Path

from foundation.settings import Settings, SettingsError
from objects.opening import open_store
from objects.s3_config import S3Config
from objects.store import ObjectStore
from parley.backup_archive import MIN_KEY, Kind
from parley.part_configs import authority, s3_config
from recorder import signing

_S3 = "s3:"
_KEYS = ("control", "secrets", "tls")
"""Directories of keys below `data_dir`."""
_SIGNING = f"recordings/{signing.DEFAULT_NAME}"
"""The name, in a backup, of the key that signs recordings."""


def target(settings: Settings, text: str) -> ObjectStore:
    """Return the store that TARGET names: a directory, or `s3:BUCKET[/PREFIX]`. Raises SettingsError."""
    if not text.startswith(_S3):
        return open_store(None, Path(text).absolute(), "")
    bucket, _, prefix = text.removeprefix(_S3).strip("/").partition("/")
    own = s3_config(settings)
    endpoint = settings["backup_s3_endpoint"] or settings["s3_endpoint"]
    access = settings["backup_s3_access_key"] or settings["s3_access_key"]
    secret = settings["backup_s3_secret_key"] or settings["s3_secret_key"]
    if not (endpoint and access and secret):
        raise SettingsError(
            f"{text} needs backup_s3_endpoint, backup_s3_access_key and backup_s3_secret_key, or those of s3_*"
        )
    try:
        config = S3Config(
            endpoint=endpoint,
            bucket=bucket,
            region=settings["s3_region"],
            access_key=access,
            secret_key=secret,
            ca_file=authority(settings, "s3_ca"),
        )
    except ValueError as error:
        raise SettingsError(f"{text}: {error}") from error
    if own is not None and (own.endpoint, own.bucket) == (config.endpoint, config.bucket) and not prefix:
        raise SettingsError(f"{text} is the bucket of recordings and files: choose another, or add a prefix")
    return open_store(config, Path(), f"{prefix}/" if prefix else "")


def passphrase(settings: Settings) -> str:
    """Return the key of backups. Raises SettingsError."""
    given = settings["backup_key"] or ""
    if len(given) < MIN_KEY:
        raise SettingsError(
            f"backup_key needs at least {MIN_KEY} characters: set PARLEY_BACKUP_KEY_FILE or PARLEY_BACKUP_KEY"
            " (openssl rand -base64 32), and keep it outside of this machine"
        )
    return str(given)


def own_stores(settings: Settings) -> dict[Kind, ObjectStore]:
    """Return the stores of recordings and files. Raises SettingsError."""
    s3 = s3_config(settings)
    return {
        "recordings": open_store(s3, settings["recordings_dir"], "recordings/"),
        "media": open_store(s3, media_directory(settings), "media/"),
    }


def media_directory(settings: Settings) -> Path:
    """Return the directory of uploaded files."""
    given: Path | None = settings["media_dir"]
    return given or settings["data_dir"] / "control" / "media"


def key_files(settings: Settings) -> Iterator[tuple[str, Path]]:
    """Yield each key of the installation that exists: its name in a backup, and its file."""
    media = media_directory(settings)
    for top in _KEYS:
        for directory, names, files in os.walk(settings["data_dir"] / top):
            names[:] = [name for name in names if Path(directory) / name != media]
            for path in (Path(directory) / file for file in files):
                yield path.relative_to(settings["data_dir"]).as_posix(), path
    if (path := key_file(settings, _SIGNING)).exists():
        yield _SIGNING, path


def key_file(settings: Settings, name: str) -> Path:
    """Return the file of a key by its name in a backup. Raises ValueError if no key has that name."""
    if name == _SIGNING:
        path: Path = settings["recordings_dir"] / signing.DEFAULT_NAME
        return path
    parts = Path(name).parts
    if len(parts) < 2 or parts[0] not in _KEYS or ".." in parts:
        raise ValueError(f"{name!r} is not the name of a key")
    found: Path = settings["data_dir"].joinpath(*parts)
    return found
