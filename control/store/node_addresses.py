"""Last addresses of nodes, for a control process that cannot read them from etcd."""

from collections.abc import Iterable

import msgspec

from control.database import Connection
from sfu.api.registration import NodeLoad, NodeRecord


async def remember(connection: Connection, records: Iterable[NodeRecord]) -> None:
    """Store living nodes and their addresses, without their load."""
    for record in records:
        lasting = msgspec.structs.replace(record, boot="", draining=False, overloaded=False, load=NodeLoad())
        await connection.insert(
            "node_addresses",
            then="ON CONFLICT (node) DO UPDATE SET record = excluded.record, seen_at = now()",
            node=record.node,
            record=lasting,
        )


async def remembered(connection: Connection) -> list[NodeRecord]:
    """Return the nodes that were alive within the last week."""
    rows = await connection.fetch("SELECT record FROM node_addresses ORDER BY node")
    return [msgspec.convert(row["record"], NodeRecord) for row in rows]


async def forget_old(connection: Connection) -> None:
    """Delete nodes not seen for a week, since each roll-out may bring new names."""
    await connection.execute("DELETE FROM node_addresses WHERE seen_at < now() - interval '7 days'")
