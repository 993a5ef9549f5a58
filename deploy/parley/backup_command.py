"""`parley backup`: save database, keys, recordings and files of a running server, encrypted.

The database is dumped first; then the stores have every file that it names, and files never change. Newer files are
saved too: a restore finds their recordings. Not saved: settings and the files that they name, AI results in MongoDB,
models, and recordings that a recorder has not yet uploaded to S3.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from importlib.metadata import version
from pathlib import Path

import asyncpg

from foundation.failures import describe
from foundation.settings import Settings
from objects.store import ObjectStore
from parley.backup_archive import BackupError, Index, Kind, Writer, complete, end_tidily, given_up
from parley.backup_places import key_files, own_stores, passphrase, target
from parley.database_dump import dump, migrations
from parley.part_configs import embedded_postgres, operator_keys

_PIECE = 1 << 20
_WORDS: dict[Kind, str] = {"database": "database", "key": "keys", "recordings": "of recordings", "media": "uploads"}


def main(settings: Settings, chosen: argparse.Namespace) -> int:
    """Make a backup, and delete old ones; return the exit code."""
    os.umask(0o077)
    end_tidily()
    return run(settings, chosen)


def run(settings: Settings, chosen: argparse.Namespace) -> int:
    """Do the work of `main`, in any thread."""
    try:
        store, key = target(settings, chosen.target), passphrase(settings)
        name, index = _back_up(settings, store, key)
        print(f"{name}: {summary(index)}")
        if settings["recordings_keys"]:
            names = ", ".join(operator_keys(settings).fingerprints)
            print(f"not included: recordings_keys ({names}), without which encrypted recordings are lost")
        for old in (*complete(store)[: -chosen.keep], *given_up(store, time.time())) if chosen.keep else ():
            store.remove_all(f"{old}/")
            print(f"{old}: deleted")
    except (BackupError, OSError, asyncpg.PostgresError) as error:
        print(f"parley: cannot back up: {describe(error)}", file=sys.stderr)
        return 1
    return 0


def summary(index: Index) -> str:
    """Return what a backup contains, on one line."""
    counts = Counter(item.kind for item in index.items)
    sizes: Counter[Kind] = Counter()
    for item in index.items:
        sizes[item.kind] += item.size
    parts = [
        f"{'' if kind == 'database' else f'{counts[kind]} '}{word} ({sizes[kind] / 1e6:.1f} MB)"
        for kind, word in _WORDS.items()
    ]
    return f"{', '.join(parts)}; {len(index.migrations)} migrations, parley {index.version}"


def _back_up(settings: Settings, store: ObjectStore, key: str) -> tuple[str, Index]:
    dsn = settings["database_url"] or embedded_postgres(settings).dsn
    try:
        applied = asyncio.run(migrations(dsn))
    except OSError as error:
        raise BackupError(f"the database does not answer, start the server first ({describe(error)})") from error
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=_scratch(settings, store)) as scratch:
        writer = Writer(store, key, Path(scratch))
        try:
            writer.add("database", "", dump(dsn))
            for name, path in key_files(settings):
                writer.add("key", name, [path.read_bytes()])
            for kind, own in own_stores(settings).items():
                for found in own.list():
                    _add_object(writer, kind, own, found.key, Path(scratch))
            return writer.name, writer.finish(version("parley-sfu"), applied)
        except BaseException:
            writer.abandon()
            raise


def _add_object(writer: Writer, kind: Kind, store: ObjectStore, key: str, scratch: Path) -> None:
    """Add an object, unless it was deleted since the list was made."""
    path = store.local_path(key)
    fetched = None
    try:
        if path is None:
            fetched = path = scratch / "fetched"
            store.fetch(key, path)
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        writer.add(kind, key, iter(partial(file.read, _PIECE), b""))
    if fetched is not None:
        fetched.unlink()


def _scratch(settings: Settings, store: ObjectStore) -> Path:
    """Return a directory for temporary files: the backup's own, where a rename suffices, or this server's."""
    own = store.local_path("x")
    directory: Path = settings["data_dir"] if own is None else own.parent
    directory.mkdir(parents=True, exist_ok=True)
    return directory
