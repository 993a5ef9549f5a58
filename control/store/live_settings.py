"""Settings that administrators change while the server runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control.database import Connection


@dataclass(frozen=True, slots=True)
class LiveSettingRow:
    name: str
    value: Any
    changed_by: str | None
    """Name of the administrator; None if the account is gone."""
    changed_at: datetime


async def rows(connection: Connection) -> list[LiveSettingRow]:
    """Return every setting that was changed."""
    return await connection.all(
        LiveSettingRow,
        "SELECT s.name, s.value, s.changed_at, u.display_name AS changed_by"
        " FROM live_settings s LEFT JOIN users u ON u.id = s.changed_by",
    )


async def values(connection: Connection) -> Mapping[str, Any]:
    """Return the values by name."""
    return {row.name: row.value for row in await rows(connection)}


async def lock(connection: Connection) -> None:
    """Wait for other changes; the lock ends with the transaction."""
    await connection.execute("LOCK TABLE live_settings IN SHARE ROW EXCLUSIVE MODE")


async def put(connection: Connection, name: str, value: Any, user: str) -> None:
    """Set a value."""
    await connection.insert(
        "live_settings",
        then="ON CONFLICT (name) DO UPDATE SET value = excluded.value, changed_by = excluded.changed_by,"
        " changed_at = now()",
        name=name,
        value=value,
        changed_by=user,
    )


async def remove(connection: Connection, name: str) -> None:
    """Restore the default."""
    await connection.execute("DELETE FROM live_settings WHERE name = $1", name)
