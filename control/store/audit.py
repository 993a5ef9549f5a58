"""Audit log: administrative actions and their actors."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control.database import Connection, load


async def write(
    connection: Connection, actor: str | None, action: str, target: str | None, address: str, **detail: Any
) -> None:
    await connection.execute(
        "INSERT INTO operation_logs (actor, action, target, address, detail) VALUES ($1, $2, $3, $4, $5)",
        actor,
        action,
        target,
        address,
        detail,
    )


@dataclass(frozen=True, slots=True)
class AuditRow:
    id: int
    at: datetime
    actor: str | None
    action: str
    target: str | None
    address: str
    detail: dict[str, Any]


async def page(connection: Connection, limit: int, before: int | None) -> list[AuditRow]:
    """Return actions, newest first; `before` is the last id of the previous page."""
    rows = await connection.fetch(
        "SELECT * FROM operation_logs WHERE $1::bigint IS NULL OR id < $1 ORDER BY id DESC LIMIT $2", before, limit
    )
    return [load(AuditRow, row) for row in rows]


async def forget(connection: Connection, days: int) -> None:
    await connection.execute("DELETE FROM operation_logs WHERE at < now() - make_interval(days => $1)", days)
