"""Audit log: administrative actions and their actors."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from control.database import Connection
from control.store.window import Window, rows


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


async def page(connection: Connection, window: Window, chosen: Filter) -> list[AuditRow]:
    """Return a page of the chosen actions."""
    return await rows(
        connection,
        AuditRow,
        "SELECT * FROM operation_logs WHERE ($1::text IS NULL OR actor = $1)"
        " AND ($2::text IS NULL OR action = $2) AND ($3::text IS NULL OR target = $3)",
        window,
        *chosen,
    )


async def forget(connection: Connection, days: int) -> None:
    await connection.execute("DELETE FROM operation_logs WHERE at < now() - make_interval(days => $1)", days)
