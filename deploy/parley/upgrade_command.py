"""`parley upgrade --check`: what this release would change, before it replaces the running one. It changes nothing.

Run it with the new release while the old one is running. Migrations are listed, not tried.
"""

import argparse
import asyncio
import shutil
import time

import asyncpg

from control.migrations import MigrationError, available, pending
from foundation.failures import describe
from foundation.setting_groups import REMOVED
from foundation.settings import Settings, SettingsError
from parley import part_configs
from parley.backup_archive import begun, complete
from parley.backup_places import target
from parley.doctor import Finding, check_settings
from parley.doctor_command import report
from parley.embedded_postgres import PostgresUnavailable

_BACKUP_DAYS = 1


def main(settings: Settings, chosen: argparse.Namespace) -> int:
    """Print the findings; return the exit code: 1 if one prevents the upgrade."""
    findings = [*_settings(settings), *_server(settings), *asyncio.run(_database(settings))]
    findings.append(_backup(settings, chosen.backup))
    return report(findings)


def _settings(settings: Settings) -> list[Finding]:
    changed = [f"{old} is now {new}" for old, new in settings.renamed().items()]
    changed += [f"{name} has no effect ({REMOVED[name]})" for name in settings.removed]
    found = [Finding("note", "settings", one) for one in changed]
    try:
        check_settings(settings)
    except SettingsError as error:
        return [*found, Finding("bad", "settings", str(error))]
    return [*found, Finding("ok", "settings", "all parts accept them")]


def _server(settings: Settings) -> list[Finding]:
    if settings["database_url"] is not None:
        return []
    try:
        part_configs.embedded_postgres(settings).check_version()
    except (PostgresUnavailable, OSError) as error:
        return [Finding("bad", "embedded PostgreSQL", describe(error))]
    return [Finding("ok", "embedded PostgreSQL", "the new one reads the data of the old one")]


async def _database(settings: Settings) -> list[Finding]:
    dsn = settings["database_url"] or part_configs.embedded_postgres(settings).dsn
    try:
        connection = await asyncpg.connect(dsn)
    except (OSError, asyncpg.PostgresError) as error:
        return [Finding("bad", "migrations", f"unknown, the database does not answer: {describe(error)}")]
    try:
        todo = await pending(connection, available())
        size = int(await connection.fetchval("SELECT pg_database_size(current_database())"))
    except (MigrationError, asyncpg.PostgresError) as error:
        return [Finding("bad", "migrations", describe(error))]
    finally:
        await connection.close()
    names = ", ".join(f"{one.number:04}_{one.name}" for one in todo)
    found = [Finding("note" if todo else "ok", "migrations", f"would apply {names}" if todo else "none to apply")]
    if breaking := [one.name for one in todo if one.breaks_previous]:
        found.append(
            Finding("note", "way back", f"only by a backup: {', '.join(breaking)} excludes the previous release")
        )
    if settings["database_url"] is None:
        free = shutil.disk_usage(settings["data_dir"]).free
        # A migration can write a table or an index again, while the old one is still there.
        said = f"{free / 1e9:.1f} GB free, the database has {size / 1e6:.0f} MB"
        found.append(Finding("ok" if free > 2 * size else "bad", "disk", said))
    return found


def _backup(settings: Settings, where: str | None) -> Finding:
    if where is None:
        return Finding("note", "backup", "not checked: name its place with --backup TARGET")
    try:
        names = complete(target(settings, where))
    except (OSError, SettingsError) as error:
        return Finding("bad", "backup", describe(error))
    if not names:
        return Finding("bad", "backup", f"{where} has none that is complete")
    age = time.time() - begun(names[-1])
    return Finding("ok" if age < _BACKUP_DAYS * 86400 else "bad", "backup", f"{names[-1]}, {age / 3600:.1f} hours old")
