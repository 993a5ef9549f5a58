"""Where nodes were reached last: what a control process can ask when etcd tells nothing of them."""

from collections.abc import Iterable

import msgspec

from control.database import Connection
from sfu.api.registration import NodeLoad, NodeRecord


async def remember(connection: Connection, records: Iterable[NodeRecord]) -> None:
    """Note that nodes live, and their addresses; not how they are."""
    for record in records:
        lasting = msgspec.structs.replace(record, boot="", draining=False, load=NodeLoad())
        await connection.execute(
            "INSERT INTO node_addresses (node, record) VALUES ($1, $2)"
            " ON CONFLICT (node) DO UPDATE SET record = excluded.record, seen_at = now()",
            record.node,
            lasting,
        )


async def remembered(connection: Connection) -> list[NodeRecord]:
    """Return the nodes that lived within the last week."""
    rows = await connection.fetch("SELECT record FROM node_addresses ORDER BY node")
    return [msgspec.convert(row["record"], NodeRecord) for row in rows]


async def forget_old(connection: Connection) -> None:
    """Forget nodes that were not seen for a week: names may be new with every roll-out."""
    await connection.execute("DELETE FROM node_addresses WHERE seen_at < now() - interval '7 days'")
