"""The audit log: administrative acts and who did them."""

from typing import Any

from control.database import Connection


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
