"""`parley config`: show every setting with its value and source."""

import argparse
import asyncio
import sys

import asyncpg

from control.database import session
from control.store import live_settings
from control.store.live_settings import LiveSettingRow
from foundation.etcd import EtcdUnavailable
from foundation.hot_settings import STORED, overridden
from foundation.settings import LIVE, Settings, SettingsError, convert
from parley.part_configs import embedded_postgres

_SECONDS = 5.0


class _Stopped(Exception):
    """The database is that of `parley up`, and does not run."""


def main(settings: Settings, _: argparse.Namespace) -> int:
    """Print the settings; return the exit code."""
    try:
        settings = overridden(settings)
    except EtcdUnavailable as error:
        print(f"parley: cannot read the live settings: {error}", file=sys.stderr)
    try:
        settings = with_stored(settings, asyncio.run(_stored(settings)))
    except _Stopped:
        print("parley: what administrators set on the page is not shown: the server is not running", file=sys.stderr)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, SettingsError) as error:
        print(f"parley: cannot read what administrators set on the page: {error}", file=sys.stderr)
    rows = settings.rows()
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, value, source in rows:
        print(f"{name:<{widths[0]}}  {value:<{widths[1]}}  {source}")
    return 0


def with_stored(settings: Settings, rows: list[LiveSettingRow]) -> Settings:
    """Return the settings with those that administrators set and nothing else overrides; raises SettingsError."""
    for row in rows:
        setting = LIVE.get(row.name)
        if setting is not None and settings.source(row.name) == "default":
            by = f"{STORED} ({row.changed_by or 'a former account'}, {row.changed_at:%Y-%m-%d %H:%M} UTC)"
            settings = settings.with_value(row.name, convert(setting, row.value), by)
    return settings


async def _stored(settings: Settings) -> list[LiveSettingRow]:
    """Return what administrators set, nothing without a database yet. Raises OSError, asyncpg's errors, _Stopped."""
    if settings["database_url"] is not None:
        return await _rows(settings["database_url"])
    embedded = embedded_postgres(settings)
    if not (embedded.data / "PG_VERSION").exists():
        return []
    try:
        return await _rows(embedded.dsn)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise _Stopped from error


async def _rows(dsn: str) -> list[LiveSettingRow]:
    async with asyncio.timeout(_SECONDS), session(dsn) as connection:
        return await live_settings.rows(connection)
