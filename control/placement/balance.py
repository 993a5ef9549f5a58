"""Balance between nodes: the choice of a room to move from a node that has been hot for a while to a calm one.

One room moves at a time, followed by a pause in which the load of both nodes settles. A room that has moved stays for
ten minutes. The gap between hot and calm is wide, and a node takes a room only if that leaves it well below hot, so no
room moves back and forth. If all nodes are hot, or the calm ones are in another region, nothing moves, and each node
sheds load by itself.
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
"""The fraction of a core that the receiving node may use after the move."""
PATIENCE_SECONDS = 10.0
PAUSE_SECONDS = 30.0
REST_SECONDS = 600.0


class Way(NamedTuple):
    """A room may move from the node `hot` to the node `calm`."""

    hot: NodeRecord
    calm: NodeRecord


class Balance:
    """Balancer. It takes the state of the living nodes about once a second; times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._hot_since: dict[str, float] = {}
        self._calm_since: dict[str, float] = {}
        self._resting: dict[str, float] = {}
        self._pause_until = 0.0
        self._stuck: set[str] = set()

    def look(self, nodes: Iterable[NodeRecord], now: float) -> Way | None:
        """Process the nodes' latest load; return the nodes between which a room should move now, if any."""
        living = {node.node: node for node in nodes}
        self._hot_since = {name: self._hot_since.get(name, now) for name, node in living.items() if is_hot(node)}
        self._calm_since = {name: self._calm_since.get(name, now) for name, node in living.items() if is_calm(node)}
        self._resting = {room: until for room, until in self._resting.items() if until > now}
        self._stuck &= self._hot_since.keys()
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
        """Return the room to move, or None if none fits. In either case, a pause follows.

        The best is the largest room that leaves the receiving node cooler than the other, or else the smallest that
        fits. A node's only room stays, since moving it would only move the load.
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

    def is_stuck_anew(self, way: Way) -> bool:
        """Return whether this is the first time since its node became hot that no room could be moved."""
        is_first = way.hot.node not in self._stuck
        self._stuck.add(way.hot.node)
        return is_first


def is_hot(node: NodeRecord) -> bool:
    """Return whether a node is overloaded, or nearly."""
    return node.overloaded or node.load.cpu >= HOT_CPU or node.load.lag_ms >= HOT_LAG_MS


def is_calm(node: NodeRecord) -> bool:
    """Return whether a node takes rooms and has capacity for more."""
    busy = node.overloaded or node.load.cpu > CALM_CPU or node.load.lag_ms > CALM_LAG_MS
    return not (busy or node.draining)
