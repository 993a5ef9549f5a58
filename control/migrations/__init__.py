"""Forward-only migrations: numbered SQL files, each applied once in its own transaction and checksummed.

A session advisory lock lets several control processes start at once. Statements must be expand-and-contract: the
previous release runs on the new schema.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import asyncpg

_DIRECTORY = Path(__file__).parent
_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_LOCK = 0x7061726C6579  # "parley"


class MigrationError(Exception):
    """The database does not fit the files: an applied migration was changed or is unknown here."""


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    sql: str
    checksum: str


def available(directory: Path = _DIRECTORY) -> list[Migration]:
    """Return the migrations in order; raises MigrationError when a number is missing or doubled."""
    found = []
    for path in sorted(directory.glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"{path.name} is not named NNNN_name.sql")
        sql = path.read_text(encoding="utf-8")
        found.append(Migration(int(match[1]), match[2], sql, hashlib.sha256(sql.encode()).hexdigest()))
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise MigrationError("migration numbers are not 1, 2, 3, …")
    return found


async def pending(connection: asyncpg.Connection, migrations: list[Migration]) -> list[Migration]:
    """Return what is still to be applied; raises MigrationError when the applied ones differ from the files."""
    if not await connection.fetchval("SELECT to_regclass('schema_migrations') IS NOT NULL"):
        return migrations
    rows = await connection.fetch("SELECT number, name, checksum FROM schema_migrations ORDER BY number")
    for row in rows:
        if row["number"] > len(migrations):
            raise MigrationError(f"the database has migration {row['number']}, which is newer than this release")
        known = migrations[row["number"] - 1]
        if known.checksum != row["checksum"]:
            raise MigrationError(f"migration {known.number:04}_{known.name} was changed after it was applied")
    return migrations[len(rows) :]


async def migrate(dsn: str, dry_run: bool = False) -> list[str]:
    """Apply what is pending and return its names; with `dry_run` only return them.

    Raises MigrationError when files and database disagree, and asyncpg's errors when a statement fails: migrations
    before the failed one stay applied.
    """
    migrations = available()
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        todo = await pending(connection, migrations)
        if not dry_run:
            for migration in todo:
                await _apply(connection, migration)
        return [f"{migration.number:04}_{migration.name}" for migration in todo]
    finally:
        await connection.close()


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations ("
            "number integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,"
            " applied_at timestamptz NOT NULL DEFAULT now())"
        )
        await connection.execute(migration.sql)
        await connection.execute(
            "INSERT INTO schema_migrations (number, name, checksum) VALUES ($1, $2, $3)",
            migration.number,
            migration.name,
            migration.checksum,
        )
