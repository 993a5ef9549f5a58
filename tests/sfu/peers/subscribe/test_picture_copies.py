"""Copies of pictures in advance, with an engine and a link that are made up."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from sfu.engine.contract import RouteState
from sfu.peers.subscribe.picture_copies import PictureCopies
from tests.sfu.rooms.stage import MS


@dataclass
class MadeUp:
    """An engine of one route, whose newest packet is `newest` and of which `waiting` are not sent yet."""

    newest: int = 100
    waiting: int = 0
    copied: list[int] = field(default_factory=list)

    def route_state(self, _: int) -> RouteState:
        return RouteState(1, 0, 0, 0, self.newest, 0, 0, 0, self.waiting)

    def retransmit(self, _peer: int, _ssrc: int, seqs: list[int], _now: int, _interval: int) -> list[Any]:
        self.copied += seqs
        return []


def test_what_was_sent_is_copied_unless_pictures_wait() -> None:
    engine: Any = MadeUp()
    state = SimpleNamespace(loss=0.2)
    link: Any = SimpleNamespace(state=state, is_drained=True, admit_retransmissions=lambda count, *_, **__: count)
    shown: Any = SimpleNamespace(
        kind="video", stream=1, route=1, ssrc=5, still_useful=lambda seqs: seqs, packet_size=lambda: 700
    )
    copies = PictureCopies(1, engine, 0)
    steps = ((100, 0), (102, 0), (105, 2), (105, 0), (106, 0))
    for step, (newest, waiting) in enumerate(steps):
        engine.newest, engine.waiting = newest, waiting
        copies.due([shown], link, step * 20 * MS)
    assert engine.copied == [101, 102, 104, 105, 106]
    assert copies.copies == 5
