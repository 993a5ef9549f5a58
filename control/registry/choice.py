"""Choice of the node for a new room: near, not busy, and spread over nodes."""

from collections.abc import Iterable, Mapping

from sfu.api.registration import NodeRecord

_BUSY = 0.85
_ROOM_WEIGHT = 4


def choose(nodes: Iterable[NodeRecord], region: str, lately: Mapping[str, int]) -> NodeRecord | None:
    """Return the best of the nodes that take new rooms, None if none does.

    Busy nodes come last whatever their region; then distance counts, then load in steps of a tenth of a core, then
    participants. `lately` counts rooms placed on a node that its own figures do not show yet; each counts as a small
    room.
    """

    def rank(node: NodeRecord) -> tuple[bool, int, int, int, str]:
        expected = node.load.participants + _ROOM_WEIGHT * lately.get(node.node, 0)
        return (node.load.cpu >= _BUSY, _distance(region, node.region), int(node.load.cpu * 10), expected, node.node)

    return min((node for node in nodes if not (node.draining or node.overloaded)), key=rank, default=None)


def _distance(wanted: str, found: str) -> int:
    """Count the parts by which two region names differ: eu-west-1 is nearer to eu-west-2 than to us-east-1."""
    if not wanted or wanted == found:
        return 0
    parts, others = wanted.lower().split("-"), found.lower().split("-")
    common = 0
    for part, other in zip(parts, others, strict=False):
        if part != other:
            break
        common += 1
    return len(parts) - common
