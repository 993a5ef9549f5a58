"""The answer to a node that asks which of its rooms' desired states have changed."""

import time

import msgspec

from control import network_test
from control.database import Connection
from control.store import placements, rooms
from sfu.api.desired_state import DesiredChanges, DesiredPoll, KnownState
from sfu.api.placement import Placement

_ENOUGH_BYTES = 1024 * 1024
"""The length from which on an answer takes no further state; the node then asks for the rest."""


async def of_poll(connection: Connection, poll: DesiredPoll) -> DesiredChanges:
    """Return the states that a node does not know yet, without reading the documents of the others."""
    versions = await rooms.versions(connection, poll.rooms)
    placed = await placements.of_all(connection, poll.rooms)
    tests = {room: network_test.state_of(room, time.time()) for room in poll.rooms}
    changed = [state for room, state in tests.items() if state is not None and state.version > poll.rooms[room].version]
    length = 0
    for room, version in versions.items():
        placement = placed.get(room)
        if version <= poll.rooms[room].version and not _is_news(placement, poll.node, poll.rooms[room]):
            continue
        if length >= _ENOUGH_BYTES:
            return DesiredChanges(changed=changed, more=True)
        state = await rooms.state(connection, room)
        if state is not None:
            changed.append(msgspec.structs.replace(state, placement=placement))
            length += len(msgspec.json.encode(state))
    return DesiredChanges(
        changed=changed, unknown=[room for room in poll.rooms if room not in versions and tests[room] is None]
    )


def _is_news(placement: Placement | None, node: str, known: KnownState) -> bool:
    """Return True if a room was placed again since, or is no longer the node's."""
    return placement is not None and (placement.epoch > known.epoch or not placement.includes(node))
