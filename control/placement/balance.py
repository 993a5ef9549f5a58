"""Balance between nodes: which room moves from a node that has been hot for a while to one that has room.

One room at a time, and then a pause in which the figures of both nodes settle. A room that has moved stays where it is
for ten minutes. Between hot and calm there is a wide gap, and a node takes a room only if it stays well below hot with
it, so that no room goes back and forth. Where all nodes are hot, or the calm ones are in another region, nothing
moves: a node sheds load on its own.
"""

from collections.abc import Iterable
from typing import NamedTuple

from control.registry.choice import distance
from sfu.api.registration import NodeRecord, RoomLoad

HOT_CPU = 0.85
HOT_LAG_MS = 50.0
CALM_CPU = 0.6
CALM_LAG_MS = 20.0
FULL_CPU = 0.75
"""The share of a core that the taking node may use in the end."""
PATIENCE_SECONDS = 10.0
PAUSE_SECONDS = 30.0
REST_SECONDS = 600.0


class Way(NamedTuple):
    """A room may go from the node `hot` to the node `calm`."""

    hot: NodeRecord
    calm: NodeRecord


class Balance:
    """Fed the living nodes about once a second; times are seconds of any clock that only grows."""

    def __init__(self) -> None:
        self._hot_since: dict[str, float] = {}
        self._calm_since: dict[str, float] = {}
        self._resting: dict[str, float] = {}
        self._pause_until = 0.0

    def look(self, nodes: Iterable[NodeRecord], now: float) -> Way | None:
        """Take the newest figures; returns which way a room should go now, if any should."""
        living = {node.node: node for node in nodes}
        self._hot_since = {name: self._hot_since.get(name, now) for name, node in living.items() if is_hot(node)}
        self._calm_since = {name: self._calm_since.get(name, now) for name, node in living.items() if is_calm(node)}
        self._resting = {room: until for room, until in self._resting.items() if until > now}
        if now < self._pause_until:
            return None
        calm = [living[name] for name, since in self._calm_since.items() if now - since >= PATIENCE_SECONDS]
        hot = [living[name] for name, since in self._hot_since.items() if now - since >= PATIENCE_SECONDS]
        for node in sorted(hot, key=lambda one: (-one.load.cpu, -one.load.lag_ms, one.node)):
            near = [one for one in calm if distance(node.region, one.region) == 0]
            if near:
                return Way(node, min(near, key=lambda one: (one.load.cpu, one.node)))
        return None

    def pick(self, way: Way, rooms: Iterable[RoomLoad], now: float) -> str | None:
        """Return the room that should go, None if none fits; looks again after a pause in any case.

        The largest that leaves the taking node cooler than the other is the best; else the smallest that it has room
        for. A node's only room stays: it would take the heat along.
        """
        self._pause_until = now + PAUSE_SECONDS
        present = [room for room in rooms if room.weight > 0]
        if len(present) < 2:
            return None
        total, hot, calm = sum(room.weight for room in present), way.hot.load.cpu, way.calm.load.cpu
        shares = {room.room: hot * room.weight / total for room in present}
        movable = [
            room.room
            for room in present
            if room.nodes == 1 and room.room not in self._resting and calm + shares[room.room] <= FULL_CPU
        ]
        if not movable:
            return None
        half = (hot - calm) / 2
        levelling = [name for name in movable if shares[name] <= half]
        best, among = (max, levelling) if levelling else (min, movable)
        found = best(among, key=shares.__getitem__)
        self._resting[found] = now + REST_SECONDS
        return found


def is_hot(node: NodeRecord) -> bool:
    """Return True if a node is short of time, or nearly."""
    return node.overloaded or node.load.cpu >= HOT_CPU or node.load.lag_ms >= HOT_LAG_MS


def is_calm(node: NodeRecord) -> bool:
    """Return True if a node takes rooms and has time for more."""
    busy = node.overloaded or node.load.cpu > CALM_CPU or node.load.lag_ms > CALM_LAG_MS
    return not (busy or node.draining)
