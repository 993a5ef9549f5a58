"""Broadcasts of rooms: a sink for one room gets the media of people who agreed, and the recorder is notified."""

import msgspec
import pytest

from sfu.api import signaling
from sfu.api.desired_state import DesiredBroadcast, DesiredState
from sfu.api.sink_records import BroadcastEnded, BroadcastStarted, PacketRecord, SinkHello, TrackOpened, decode
from sfu.peers.sinks.sinks import Sink
from sfu.peers.sinks.tap import Purpose
from tests.sfu.rooms.stage import MS, VIDEO, VIDEO_SSRC, Stage, publish, video

LIVE = DesiredBroadcast(broadcast="live-1", started_at=5)


class LiveCall:
    """Ann publishes; her room is to go out live. A recorder is attached."""

    def __init__(self, *, version: int = 3) -> None:
        self.stage = Stage()
        self._seq = self._version = 0
        self.ann = self.stage.join("ann")
        self.client = publish(self.stage, self.ann, [VIDEO + VIDEO_SSRC])
        self.recorder = self.stage.node.sinks.attach(
            SinkHello(sink="recorder", instance="one", v=version), self.stage.now
        )
        self.apply(LIVE)

    def apply(self, broadcast: DesiredBroadcast | None, *, e2ee: bool = False) -> None:
        self._version += 1
        state = DesiredState(room="r", version=self._version, broadcast=broadcast, e2ee=e2ee)
        self.stage.node.apply(state, self.stage.now)
        self.stage.deliver()

    def attach(self, room: str = "r") -> Sink:
        sink = self.stage.node.sinks.attach(SinkHello(sink="broadcast", instance="one", room=room), self.stage.now)
        self.stage.node.sink_control.sinks_changed(self.stage.now)
        return sink

    def agree(self) -> None:
        self.stage.say(self.ann, signaling.Consent(text="text-1", recording=True))
        for _ in range(10):
            self._seq += 1
            self.client.send(video(self._seq))
            self.stage.run(20 * MS)

    @property
    def tapped(self) -> set[Purpose]:
        return {tap.purpose for tap in self.stage.node.sinks.taps.values()}


def records(sink: Sink) -> list[object]:
    found = []
    while (data := sink.queue.peek()) is not None:
        found.append(decode(data))
        sink.queue.pop()
    return found


def test_only_who_agreed_goes_out_and_only_to_the_sink_of_the_room() -> None:
    call = LiveCall()
    mine, other = call.attach(), call.attach("elsewhere")
    assert call.tapped == set()
    call.agree()
    assert call.tapped == {Purpose.BROADCAST}
    (opened,) = [one for one in records(mine) if isinstance(one, TrackOpened)]
    assert (opened.participant, opened.recording) == ("ann", None)
    call.agree()
    assert any(isinstance(one, PacketRecord) for one in records(mine))
    assert records(other) == []
    call.stage.say(call.ann, signaling.Consent(text="text-1", recording=False))
    assert call.tapped == set()


def test_everyone_is_told_since_when_and_when_it_is_over() -> None:
    call = LiveCall()
    assert call.ann.of(signaling.RecordingChanged)[-1].state.broadcast_since == 5
    call.apply(None)
    assert call.ann.of(signaling.RecordingChanged)[-1].state.broadcast_since is None
    told = [
        msgspec.structs.asdict(one)
        for one in records(call.recorder)
        if isinstance(one, BroadcastStarted | BroadcastEnded)
    ]
    assert [(one["broadcast"], one.get("moved")) for one in told] == [("live-1", None), ("live-1", False)]


def test_a_recorder_that_comes_back_is_told_again_and_an_old_one_never() -> None:
    call = LiveCall()
    again = call.stage.node.sinks.attach(SinkHello(sink="recorder", instance="two", v=3), call.stage.now)
    assert any(isinstance(one, BroadcastStarted) for one in records(again))
    old = call.stage.node.sinks.attach(SinkHello(sink="recorder", instance="two", v=2), call.stage.now)
    assert not any(isinstance(one, BroadcastStarted) for one in records(old))


def test_a_sealed_room_does_not_go_out() -> None:
    call = LiveCall()
    call.attach()
    call.agree()
    call.apply(LIVE, e2ee=True)
    assert call.tapped == set()
    assert call.ann.of(signaling.RecordingChanged)[-1].state.broadcast_since is None


def test_a_sink_is_for_one_room_or_for_all() -> None:
    call = LiveCall()
    for hello in (SinkHello(sink="broadcast", instance="one"), SinkHello(sink="recorder", instance="one", room="r")):
        with pytest.raises(ValueError, match="one room"):
            call.stage.node.sinks.attach(hello, call.stage.now)
