"""Audit log: administrative actions and their actors."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control.database import Connection


async def write(
    connection: Connection, actor: str | None, action: str, target: str | None, address: str, **detail: Any
) -> None:
    await connection.insert("operation_logs", actor=actor, action=action, target=target, address=address, detail=detail)


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
    return await connection.all(
        AuditRow,
        "SELECT * FROM operation_logs WHERE $1::bigint IS NULL OR id < $1 ORDER BY id DESC LIMIT $2",
        before,
        limit,
    )


async def forget(connection: Connection, days: int) -> None:
    await connection.execute("DELETE FROM operation_logs WHERE at < now() - make_interval(days => $1)", days)
