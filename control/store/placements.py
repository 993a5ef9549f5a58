"""Placements of rooms on nodes: one row per room, claimed by one statement, with an epoch that only grows.

The row is authoritative in every deployment, even with etcd: etcd's leases determine which nodes are alive, PostgreSQL
which of them a room is on. A fact, the events of a move and the claim itself must be consistent, which only one
transaction can guarantee. A claim in a second store could be ahead or behind after a crash.

`add_secondary` extends a room that outgrows its node, under the same epoch. Nodes learn of it with the next desired
state (`NodeClient.push`), whose `placement` names all of them. A claim or move by another node empties the list (column
`spilled_to`), since the secondary nodes were linked to the previous home.
"""

from collections.abc import Collection

import asyncpg

from control.database import Connection
from sfu.api.placement import Placement

_COLUMNS = "node, epoch, spilled_to"
_OPEN = "EXISTS (SELECT FROM meeting_rooms r WHERE r.meeting_id = p.meeting_id AND r.closed_at IS NULL)"
# A claim is kept for a while before its room opens, since people are on their way to it.
_FRESH = "p.placed_at > now() - interval '2 minutes'"
_KEPT = (
    f"(p.node = excluded.node OR p.node = ANY($3::text[]) AND ({_OPEN} OR {_FRESH})"
    f" OR p.node = ANY($4::text[]) AND {_OPEN})"
)


async def of(connection: Connection, meeting: str) -> Placement | None:
    """Return the placement of a meeting, or None if it was never placed."""
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM room_placements WHERE meeting_id = $1", meeting)  # noqa: S608  constants
    return None if row is None else _load(row)


async def of_all(connection: Connection, meetings: Collection[str]) -> dict[str, Placement]:
    """Return the placements of those meetings that were ever placed."""
    rows = await connection.fetch(
        f"SELECT meeting_id, {_COLUMNS} FROM room_placements WHERE meeting_id = ANY($1::text[])",  # noqa: S608  constants
        list(meetings),
    )
    return {row["meeting_id"]: _load(row) for row in rows}


async def claim(
    connection: Connection, meeting: str, node: str, open_nodes: list[str], draining: list[str]
) -> Placement:
    """Claim `node` for a meeting and return its placement; of concurrent claims, one wins.

    A placement on one of `open_nodes` is kept while its room is live or the claim is recent; one on a `draining` node
    while its room is live. Any other is replaced, with the next epoch.
    """
    row = await connection.fetchrow(
        "INSERT INTO room_placements AS p (meeting_id, node) VALUES ($1, $2)"  # noqa: S608  constants
        " ON CONFLICT (meeting_id) DO UPDATE SET"
        f" node = CASE WHEN {_KEPT} THEN p.node ELSE excluded.node END,"
        f" epoch = CASE WHEN {_KEPT} THEN p.epoch ELSE p.epoch + 1 END,"
        f" spilled_to = CASE WHEN {_KEPT} THEN p.spilled_to ELSE '{{}}' END,"
        f" placed_at = now() RETURNING {_COLUMNS}",
        meeting,
        node,
        open_nodes,
        draining,
    )
    assert row is not None
    return _load(row)


async def move(connection: Connection, meeting: str, epoch: int, node: str) -> Placement | None:
    """Place a meeting on `node` with the next epoch; return None if `epoch` is outdated: another process was faster."""
    anew = "node = $3, epoch = epoch + 1, spilled_to = '{}', placed_at = now()"
    return await _change(connection, meeting, epoch, node, to=anew)


async def add_secondary(connection: Connection, meeting: str, epoch: int, node: str) -> Placement | None:
    """Add `node` as a secondary node of a room; return None if the room was placed again since `epoch`."""
    added = "spilled_to = array_append(array_remove(spilled_to, $3), $3)"
    return await _change(connection, meeting, epoch, node, to=added, where="AND node <> $3")


async def _change(
    connection: Connection, meeting: str, epoch: int, node: str, *, to: str, where: str = ""
) -> Placement | None:
    """Change a placement that still has this epoch and matches `where`; else return None. `$3` is the node."""
    row = await connection.fetchrow(
        f"UPDATE room_placements SET {to}"  # noqa: S608  constants
        f" WHERE meeting_id = $1 AND epoch = $2 {where} RETURNING {_COLUMNS}",
        meeting,
        epoch,
        node,
    )
    return None if row is None else _load(row)


async def live_on(connection: Connection, node: str) -> list[tuple[str, Placement]]:
    """Return the meetings whose live room is on `node`."""
    rows = await connection.fetch(
        f"SELECT meeting_id, {_COLUMNS} FROM room_placements p WHERE node = $1 AND {_OPEN} ORDER BY meeting_id",  # noqa: S608  constants
        node,
    )
    return [(row["meeting_id"], _load(row)) for row in rows]


async def live_off(connection: Connection, nodes: list[str]) -> list[tuple[str, Placement]]:
    """Return the meetings whose live room is on none of `nodes`."""
    rows = await connection.fetch(
        f"SELECT meeting_id, {_COLUMNS} FROM room_placements p"  # noqa: S608  constants
        f" WHERE NOT node = ANY($1::text[]) AND {_OPEN} ORDER BY meeting_id",
        nodes,
    )
    return [(row["meeting_id"], _load(row)) for row in rows]


def _load(row: asyncpg.Record) -> Placement:
    return Placement(node=row["node"], epoch=row["epoch"], secondaries=tuple(row["spilled_to"]))
