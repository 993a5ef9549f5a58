"""Forward-only migrations: numbered SQL files, each applied once in its own transaction and checksummed.

A session advisory lock lets several control processes start at once. Statements must be expand-and-contract: the
previous release starts and runs on the new schema, so an upgrade can be gradual and can be undone. A migration that
breaks the previous release begins with `-- breaks_previous`. Releases without that migration do not start.
"""

import hashlib
import logging
import re
from dataclasses import dataclass
from pathlib import Path

import asyncpg

_DIRECTORY = Path(__file__).parent
_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_BREAKS_PREVIOUS = "-- breaks_previous"
_LOCK = 0x7061726C6579  # "parley"
_log = logging.getLogger(__name__)


class MigrationError(Exception):
    """The database does not match the files: an applied migration was changed, or breaks this release."""


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    sql: str
    checksum: str

    @property
    def breaks_previous(self) -> bool:
        """Return whether releases without this migration cannot run on a database that has it."""
        return self.sql.startswith(_BREAKS_PREVIOUS)


def available(directory: Path = _DIRECTORY) -> list[Migration]:
    """Return the migrations in order; raises MigrationError if a number is missing or duplicate."""
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
    """Return the migrations still to apply; raises MigrationError if applied ones differ from the files."""
    if not await connection.fetchval("SELECT to_regclass('schema_migrations') IS NOT NULL"):
        return migrations
    rows = await connection.fetch("SELECT * FROM schema_migrations ORDER BY number")
    for row in rows[: len(migrations)]:
        known = migrations[row["number"] - 1]
        if known.checksum != row["checksum"]:
            raise MigrationError(f"migration {known.number:04}_{known.name} was changed after it was applied")
    _check_later(rows[len(migrations) :])
    return migrations[len(rows) :]


def _check_later(rows: list[asyncpg.Record]) -> None:
    """Accept a database that a later release has migrated, unless one of its migrations forbids it."""
    names = [f"{row['number']:04}_{row['name']}" for row in rows]
    for name, row in zip(names, rows, strict=True):
        if row["breaks_previous"]:
            raise MigrationError(f"this release cannot run on the database: it has migration {name} of a later release")
    if names:
        _log.warning(
            "a later release has migrated the database (%s); continuing, since it is compatible", ", ".join(names)
        )


async def migrate(dsn: str, dry_run: bool = False) -> list[str]:
    """Apply pending migrations and return their names; with `dry_run`, only return them.

    Raises MigrationError if files and database disagree, and asyncpg's errors if a statement fails. Migrations before
    the failed one stay applied.
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
        await connection.execute(
            "ALTER TABLE schema_migrations ADD COLUMN IF NOT EXISTS breaks_previous boolean NOT NULL DEFAULT false"
        )
        await connection.execute(migration.sql)
        await connection.execute(
            "INSERT INTO schema_migrations (number, name, checksum, breaks_previous) VALUES ($1, $2, $3, $4)",
            migration.number,
            migration.name,
            migration.checksum,
            migration.breaks_previous,
        )
