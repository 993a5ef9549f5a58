"""Audit log: administrative actions and their actors."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

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


class Filter(NamedTuple):
    """A filter of audit entries by actor, action and target; None matches any."""

    actor: str | None = None
    action: str | None = None
    target: str | None = None


async def page(connection: Connection, limit: int, before: int | None, chosen: Filter) -> list[AuditRow]:
    """Return actions, newest first; `before` is the last id of the previous page."""
    return await connection.all(
        AuditRow,
        "SELECT * FROM operation_logs WHERE ($1::bigint IS NULL OR id < $1) AND ($3::text IS NULL OR actor = $3)"
        " AND ($4::text IS NULL OR action = $4) AND ($5::text IS NULL OR target = $5) ORDER BY id DESC LIMIT $2",
        before,
        limit,
        *chosen,
    )


async def forget(connection: Connection, days: int) -> None:
    await connection.execute("DELETE FROM operation_logs WHERE at < now() - make_interval(days => $1)", days)
