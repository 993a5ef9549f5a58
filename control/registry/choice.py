"""Choice of the node for a new room: near, not busy, and with the least load, as measured by the nodes."""

from collections.abc import Iterable, Mapping

from sfu.api.registration import NodeRecord

_BUSY_CPU = 0.85
_BUSY_LAG_MS = 50.0
_STEP = 0.1
_FIRST_ROOM_LOAD = 0.03
"""Assumed CPU use of a room, as a fraction of a core, on a node without other rooms."""
_ROOM_PARTICIPANTS = 4


def choose(nodes: Iterable[NodeRecord], region: str, lately: Mapping[str, int]) -> NodeRecord | None:
    """Return the best of the nodes that take new rooms, or None if none does.

    Busy nodes come last, whatever their region, and overloaded ones after them: a room on one is better than none. Then
    distance counts, then load in steps of a tenth of a core, then participants. `lately` counts the rooms recently
    placed on a node that its reported load does not include yet; each is assumed to cost as much as the node's other
    rooms on average.
    """

    def rank(node: NodeRecord) -> tuple[bool, bool, int, int, int, int, str]:
        placed = lately.get(node.node, 0)
        load = node.load.cpu + placed * room_load(node)
        return (
            node.overloaded,
            load >= _BUSY_CPU or node.load.lag_ms >= _BUSY_LAG_MS,
            distance(region, node.region),
            int(load / _STEP),
            node.load.participants + _ROOM_PARTICIPANTS * placed,
            node.load.packets,
            node.node,
        )

    return min((node for node in nodes if not node.draining), key=rank, default=None)


def room_load(node: NodeRecord) -> float:
    """Return the fraction of a core that one more room will probably use."""
    return node.load.cpu / node.load.rooms if node.load.rooms else _FIRST_ROOM_LOAD


def distance(wanted: str, found: str) -> int:
    """Return how many parts of two region names differ: eu-west-1 is nearer to eu-west-2 than to us-east-1."""
    if not wanted or wanted == found:
        return 0
    parts, others = wanted.lower().split("-"), found.lower().split("-")
    common = 0
    for part, other in zip(parts, others, strict=False):
        if part != other:
            break
        common += 1
    return len(parts) - common
