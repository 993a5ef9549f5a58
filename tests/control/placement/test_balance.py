"""Balance between nodes in simulated time: rooms leave hot nodes one by one and never move back and forth."""

import itertools
import random
from dataclasses import dataclass, field

from control.placement.balance import HOT_CPU, PATIENCE_SECONDS, PAUSE_SECONDS, Balance
from sfu.api.registration import NodeLoad, NodeRecord, RoomLoad


@dataclass
class World:
    """Nodes that hold rooms, each of which takes a share of a core; figures are as noisy as real ones."""

    nodes: dict[str, dict[str, float]]
    regions: dict[str, str] = field(default_factory=dict)
    moves: list[tuple[float, str, str, str]] = field(default_factory=list)
    noise: random.Random = field(default_factory=lambda: random.Random(1))
    now: float = 0.0

    def record(self, name: str) -> NodeRecord:
        wanted = sum(self.nodes[name].values()) * self.noise.uniform(0.95, 1.05)
        return NodeRecord(
            node=name,
            signaling_url="",
            http_url="",
            region=self.regions.get(name, ""),
            overloaded=wanted > 1.0,
            load=NodeLoad(cpu=min(wanted, 1.0), lag_ms=200.0 if wanted > 1.0 else 1.0, rooms=len(self.nodes[name])),
        )

    def run(self, balance: Balance, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.now += 1.0
            way = balance.look([self.record(name) for name in self.nodes], self.now)
            if way is None:
                continue
            held = self.nodes[way.hot.node]
            rooms = [RoomLoad(room=name, participants=4, weight=cost) for name, cost in held.items()]
            found = balance.pick(way, rooms, self.now)
            if found is not None:
                self.nodes[way.calm.node][found] = self.nodes[way.hot.node].pop(found)
                self.moves.append((self.now, found, way.hot.node, way.calm.node))


def rooms(prefix: str, *costs: float) -> dict[str, float]:
    return {f"{prefix}{number}": cost for number, cost in enumerate(costs)}


def test_rooms_leave_a_hot_node_one_by_one_until_both_have_time() -> None:
    world = World({"a": rooms("a", *[0.1] * 12), "b": rooms("b", 0.1)})
    world.run(Balance(), 600)
    times = [time for time, *_ in world.moves]
    assert times[0] >= PATIENCE_SECONDS
    assert all(later - earlier >= PAUSE_SECONDS for earlier, later in itertools.pairwise(times))
    assert all(sum(held.values()) < HOT_CPU for held in world.nodes.values())
    assert {(source, target) for _, _, source, target in world.moves} == {("a", "b")}
    assert len({room for _, room, *_ in world.moves}) == len(world.moves)


def test_nothing_goes_back_and_forth_while_rooms_grow_and_shrink() -> None:
    world, balance = World({name: rooms(name, *[0.06] * 10) for name in "abc"}), Balance()
    moods = random.Random(7)
    for step in range(720):  # two hours, in which others have lessons every twenty minutes
        busy = "abc"[step // 120 % 3]
        for held in world.nodes.values():
            for name in held:
                most = 0.15 if name.startswith(busy) else 0.04
                held[name] = min(most, max(0.01, held[name] * moods.uniform(0.8, 1.3)))
        world.run(balance, 10)
    seen: dict[str, float] = {}
    for time, room, *_ in world.moves:
        assert time - seen.get(room, -1e9) >= 600
        seen[room] = time
    assert world.moves and len(world.moves) <= 7200 / PAUSE_SECONDS / 4


def test_nothing_moves_where_it_would_not_help() -> None:
    everywhere = World({name: rooms(name, *[0.12] * 9) for name in "ab"})
    alone = World({"a": rooms("a", 1.3), "b": {}})
    abroad = World({"a": rooms("a", *[0.1] * 12), "b": {}}, {"a": "eu-west-1", "b": "us-east-1"})
    for world in (everywhere, alone, abroad):
        world.run(Balance(), 300)
        assert world.moves == []


def test_a_short_peak_moves_nothing_and_a_large_room_goes_where_it_fits() -> None:
    world, balance = World({"a": rooms("a", 0.5, 0.1), "b": {}}), Balance()
    for _ in range(30):
        world.nodes["a"]["peak"] = 0.5
        world.run(balance, PATIENCE_SECONDS - 1)
        del world.nodes["a"]["peak"]
        world.run(balance, 5)
    assert world.moves == []
    world = World({"a": rooms("a", 0.5, 0.5), "b": {}})
    world.run(Balance(), 60)
    assert len(world.moves) == 1
