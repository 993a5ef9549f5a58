"""`parley restore`: make an installation from a backup, where there is none.

Everything is verified as it is read. If something is wrong, what was written is deleted and the database stays empty.
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import asyncpg

from control.migrations import MigrationError, available, migrate
from foundation import private_file
from foundation.failures import describe
from foundation.settings import Settings
from objects.recording_keys import DIRECTORY, wrapped_by
from objects.store import ObjectStore, read_all
from parley.backup_archive import BackupError, Index, Kind, Reader, complete, end_tidily
from parley.backup_command import summary
from parley.backup_places import key_file, key_files, own_stores, passphrase, target
from parley.database_dump import restore, running, tables
from parley.leftovers import AlreadyRunning, DataLock
from parley.part_configs import embedded_postgres, operator_keys
from parley.recording_command import rescan


def main(settings: Settings, chosen: argparse.Namespace) -> int:
    """Restore, or only verify; return the exit code."""
    os.umask(0o077)
    end_tidily()
    return run(settings, chosen)


def run(settings: Settings, chosen: argparse.Namespace) -> int:
    """Do the work of `main`, in any thread."""
    data: Path = settings["data_dir"]
    try:
        store, key = target(settings, chosen.target), passphrase(settings)
        names = complete(store)
        if not (chosen.name or names):
            raise BackupError(f"{chosen.target} has no complete backup")
        with tempfile.TemporaryDirectory(prefix="parley-restore-", dir=_scratch(data)) as scratch:
            reader = Reader(store, chosen.name or names[-1], key, Path(scratch))
            print(f"{reader.name}: {summary(reader.index)}")
            if chosen.verify:
                for item in reader.index.items:
                    for _ in reader.read(item):
                        pass
                print("everything is readable and unchanged")
                return 0
            with DataLock(data):
                _restore(settings, reader)
    except (BackupError, AlreadyRunning, MigrationError, OSError, asyncpg.PostgresError) as error:
        print(f"parley: cannot restore: {describe(error)}", file=sys.stderr)
        return 1
    print("restored; start the server, and set its settings as before")
    return 0


def _lacking(settings: Settings, store: ObjectStore, index: Index) -> set[str]:
    """Return the operator's keys that encrypted recordings need, and that are not configured."""
    keys = (item.key for item in index.items if item.kind == "recordings" and f"/{DIRECTORY}/" in item.key)
    return {wrapped_by(read_all(store, key)) for key in keys} - {*operator_keys(settings).fingerprints}


def _scratch(data: Path) -> Path:
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    return data


def _restore(settings: Settings, reader: Reader) -> None:
    known = {f"{one.number:04}_{one.name}" for one in available()}
    if later := [name for name in reader.index.migrations if name not in known]:
        raise BackupError(f"it is of a later release (parley {reader.index.version}, migration {later[0]})")
    stores = own_stores(settings)
    _refuse_what_exists(settings, stores)
    with contextlib.ExitStack() as undo:
        dumps = [reader.to_file(item) for item in reader.index.items if item.kind == "database"]
        if len(dumps) != 1:
            raise BackupError("it has no database")
        for item in reader.index.items:
            if item.kind == "key":
                undo.callback(_write_key(settings, item.key, b"".join(reader.read(item))))
            elif item.kind != "database":
                path = reader.to_file(item)
                stores[item.kind].put_file(item.key, path, sha256=item.sha256, move=True)
                undo.callback(partial(stores[item.kind].remove, item.key))
        if settings["database_url"] is None:
            undo.callback(partial(shutil.rmtree, settings["data_dir"] / "postgres", ignore_errors=True))
        with _database(settings) as dsn:
            restore(dsn, dumps[0])
            undo.pop_all()  # from here on everything is there, and the rest can be repeated
            for name in asyncio.run(migrate(dsn)):
                print(f"applied {name}")
            rescan(settings)
        if lacking := _lacking(settings, stores["recordings"], reader.index):
            print(f"encrypted recordings need keys that are not in recordings_keys: {', '.join(sorted(lacking))}")


def _refuse_what_exists(settings: Settings, stores: dict[Kind, ObjectStore]) -> None:
    if existing := next((path for _, path in key_files(settings)), None):
        raise BackupError(f"{existing} exists: restore where nothing is")
    for kind, store in stores.items():
        if found := next(iter(store.list()), None):
            raise BackupError(f"the store of {kind} has {found.key}: restore where nothing is")
    if settings["database_url"] is None:
        if (settings["data_dir"] / "postgres").exists():
            raise BackupError(f"{settings['data_dir'] / 'postgres'} exists: restore where nothing is")
    elif count := asyncio.run(tables(settings["database_url"])):
        raise BackupError(f"the database has {count} tables: restore into an empty one")


def _write_key(settings: Settings, name: str, content: bytes) -> Callable[[], None]:
    """Write a key; return what deletes it again."""
    try:
        path = key_file(settings, name)
    except ValueError as error:
        raise BackupError(str(error)) from error
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    private_file.replace(path, content)
    return partial(path.unlink, missing_ok=True)


@contextlib.contextmanager
def _database(settings: Settings) -> Iterator[str]:
    """Yield the address of the database; the embedded one runs meanwhile."""
    if settings["database_url"] is not None:
        yield settings["database_url"]
        return
    cluster = embedded_postgres(settings)
    with running(cluster):
        yield cluster.dsn
