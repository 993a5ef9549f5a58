"""Sinks: the media that recorder and inference get from a call, and the notices to participants."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sfu.api import facts, signaling, sink_records
from sfu.api.desired_state import DesiredRecording, DesiredState
from sfu.api.placement import Placement
from sfu.api.sink_records import (
    VERSION,
    AnalysisWanted,
    AnyRecord,
    CaptionRecord,
    CaptionsAvailable,
    Durable,
    KeyframeWanted,
    PacketRecord,
    RecorderState,
    RecordingEnded,
    RecordingStarted,
    SenderReportRecord,
    SinkHello,
    TrackClosed,
    TrackMuteChanged,
    TrackOpened,
)
from sfu.formats.rtp import parse_header
from sfu.peers.sinks.keeping import NO_RECORDER
from tests.sfu.server.aiortc_caller import Caller
from tests.sfu.server.harness import Client, Host, client, host
from tests.support.waiting import eventually

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


class SinkClient:
    """A sink that keeps its records."""

    def __init__(self, path: Path, kind: str) -> None:
        self.records: list[AnyRecord] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)
        self._socket.connect(str(path))
        asyncio.get_running_loop().add_reader(self._socket, self._read)
        self.send(SinkHello(sink=kind, instance=f"{kind}-1", v=VERSION))

    def _read(self) -> None:
        while True:
            try:
                data = self._socket.recv(sink_records.MAX_RECORD_BYTES)
            except BlockingIOError:
                return
            if not data:
                self.close()
                return
            self.records.append(sink_records.decode(data))

    def send(self, record: AnyRecord) -> None:
        self._socket.send(sink_records.encode(record))

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()

    def of(self, kind: type, check: Callable[[Any], bool] = lambda _: True) -> list[Any]:
        return [record for record in self.records if isinstance(record, kind) and check(record)]

    async def until(self, kind: type, check: Callable[[Any], bool] = lambda _: True, seconds: float = 30) -> Any:
        return (await eventually(lambda: self.of(kind, check), seconds))[0]


RECORDING = DesiredRecording(recording="rec-1", started_at=1, started_by="ann", consent_text="text-1")


@asynccontextmanager
async def call(tmp_path: Path) -> AsyncIterator[tuple[Host, Client, dict[str, str]]]:
    """Ann publishes, Bob has joined."""
    async with (
        host(tmp_path) as h,
        client(h, h.control.token("r", "ann")) as ann,
        client(h, h.control.token("r", "bob")) as bob,
    ):
        await bob.until(signaling.RoomInfo)
        await ann.until(signaling.RoomInfo)
        caller = Caller(ann)
        try:
            yield h, bob, await caller.publish_both()
        finally:
            await caller.close()


async def consent(h: Host, who: str, **answers: bool) -> None:
    room = h.node.rooms["r"]
    session = room.participants[who].session
    assert session is not None
    h.node.handle(session, signaling.Consent(text="text-1", **answers), h.server.driver.now())
    h.server.driver.flush()


async def test_a_recorder_gets_what_is_consented_to(tmp_path: Path) -> None:
    async with call(tmp_path) as (h, bob, tracks):
        recorder = SinkClient(h.sink_socket, "recorder")
        assert await h.put_desired(DesiredState(room="r", version=1, recording=RECORDING)) == 200
        told = await bob.until(signaling.RecordingChanged)
        assert (told.state.active, told.state.text) == (True, "text-1")
        begun = await recorder.until(RecordingStarted)
        assert (begun.recording, begun.room) == ("rec-1", "r")
        assert not recorder.of(TrackOpened)

        await consent(h, "ann", recording=True)
        assert (await bob.until(signaling.ParticipantUpdated)).participant.recorded
        audio = await recorder.until(TrackOpened, lambda r: r.track == tracks["microphone"])
        video = await recorder.until(TrackOpened, lambda r: r.track == tracks["camera"])
        assert (audio.codec, audio.clock_rate, audio.channels, audio.recording) == ("opus", 48000, 2, "rec-1")
        assert (video.codec, video.clock_rate, video.media, video.name) == ("VP8", 90000, "video", "Ann")
        packet = await recorder.until(PacketRecord, lambda r: r.handle == video.handle)
        assert parse_header(packet.rtp).ssrc == video.ssrc
        await recorder.until(PacketRecord, lambda r: r.handle == audio.handle)
        await recorder.until(SenderReportRecord, lambda r: r.handle == video.handle)

        pushed = h.node.sinks.taps[video.handle].stream.plis_sent
        recorder.send(KeyframeWanted(handle=video.handle))
        await eventually(lambda: h.node.sinks.taps[video.handle].stream.plis_sent > pushed)

        await consent(h, "ann", recording=False)
        await recorder.until(TrackClosed, lambda r: r.handle == video.handle and r.reason == "consent")
        assert not h.node.sinks.taps
        assert not bob.last(signaling.ParticipantUpdated).participant.recorded

        await consent(h, "ann", recording=True)
        await eventually(lambda: len(recorder.of(TrackOpened)) == 4)
        await h.put_desired(DesiredState(room="r", version=2))
        await recorder.until(RecordingEnded)
        assert len(recorder.of(TrackClosed, lambda r: r.reason == "stopped")) == 2
        assert isinstance(recorder.records[-1], RecordingEnded)
        assert (await bob.until(signaling.RecordingChanged, lambda m: not m.state.active)).state.recording is None
        await eventually(lambda: h.control.kinds().count("ConsentAnswered") == 3)
        recorder.close()


async def test_everyone_is_told_while_a_recording_is_not_kept(tmp_path: Path) -> None:
    """By the recorder's word, and when there is none; control hears it too."""
    async with call(tmp_path) as (h, bob, _):
        recorder = SinkClient(h.sink_socket, "recorder")
        await h.put_desired(DesiredState(room="r", version=1, recording=RECORDING))
        assert (await bob.until(signaling.RecordingChanged)).state.stalled is None

        recorder.send(RecorderState(stalled={"rec-1": "The disk is full.", "rec-2": "Not of this room."}))
        told = await bob.until(signaling.RecordingChanged, lambda m: m.state.stalled is not None)
        assert (told.state.active, told.state.stalled) == (True, "The disk is full.")
        assert (await h.metrics())["parley_sfu_recordings_stalled"] == 1
        recorder.send(RecorderState())
        await eventually(lambda: bob.last(signaling.RecordingChanged).state.stalled is None, 30)

        recorder.close()
        await bob.until(signaling.RecordingChanged, lambda m: m.state.stalled == NO_RECORDER, 30)
        again = SinkClient(h.sink_socket, "recorder")
        await eventually(lambda: bob.last(signaling.RecordingChanged).state.stalled is None, 30)
        await eventually(
            lambda: (
                [kind for kind in h.control.kinds() if kind in ("RecordingStalled", "RecordingResumed")]
                == ["RecordingStalled", "RecordingResumed"] * 2
            ),
            30,
        )
        again.close()


async def test_a_recorder_that_comes_back_gets_what_is_not_durable(tmp_path: Path) -> None:
    async with call(tmp_path) as (h, _, tracks):
        await h.put_desired(DesiredState(room="r", version=1, recording=RECORDING))
        await consent(h, "ann", recording=True)
        video = tracks["camera"]

        def buffered() -> bool:
            taps = [tap for tap in h.node.sinks.taps.values() if tap.opened.track == video]
            return bool(taps) and taps[0].buffer is not None and taps[0].buffer.newest > 0

        await eventually(buffered)
        first = SinkClient(h.sink_socket, "recorder")
        opened = await first.until(TrackOpened, lambda r: r.track == video)
        packets = await eventually(
            lambda: p if len(p := first.of(PacketRecord, lambda r: r.handle == opened.handle)) > 30 else None
        )
        durable = packets[20].ext_seq
        first.send(Durable(recording="rec-1", track=video, ssrc=opened.ssrc, ext_seq=durable))
        await eventually(lambda: h.node.sinks.taps[opened.handle].buffer.durable == durable)
        first.close()
        await eventually(lambda: not h.node.sinks.attached)
        newest = h.node.sinks.taps[opened.handle].buffer.newest
        await eventually(lambda: h.node.sinks.taps[opened.handle].buffer.newest > newest + 10)

        second = SinkClient(h.sink_socket, "recorder")
        await second.until(PacketRecord, lambda r: r.handle == opened.handle and r.ext_seq > newest + 10)
        assert isinstance(second.records[0], RecordingStarted)
        seqs = sorted({r.ext_seq for r in second.of(PacketRecord, lambda r: r.handle == opened.handle)})
        assert seqs == list(range(durable + 1, seqs[-1] + 1))
        second.close()


async def test_a_recording_that_ends_while_the_recorder_is_away_is_told_later(tmp_path: Path) -> None:
    async with call(tmp_path) as (h, _, tracks):
        await h.put_desired(DesiredState(room="r", version=1, recording=RECORDING))
        await consent(h, "ann", recording=True)
        await eventually(
            lambda: (
                all(t.buffer is not None and t.buffer.newest > 0 for t in h.node.sinks.taps.values())
                and len(h.node.sinks.taps) == 2
            )
        )
        await h.put_desired(DesiredState(room="r", version=2))
        recorder = SinkClient(h.sink_socket, "recorder")
        await recorder.until(RecordingEnded)
        assert isinstance(recorder.records[0], RecordingStarted)
        assert {r.track for r in recorder.of(TrackOpened)} == set(tracks.values())
        assert recorder.of(PacketRecord)
        assert len(recorder.of(TrackClosed)) == 2
        recorder.close()


async def test_captions_reach_the_room_and_late_joiners(tmp_path: Path) -> None:
    async with call(tmp_path) as (h, bob, tracks):
        assert not bob.last(signaling.RoomInfo).captions.available
        assert "no inference process" in bob.last(signaling.RoomInfo).captions.reason
        inference = SinkClient(h.sink_socket, "inference")
        inference.send(CaptionsAvailable(available=True))
        await bob.until(signaling.CaptionsChanged, lambda m: m.state.available)
        await consent(h, "ann", captions=True)
        opened = await inference.until(TrackOpened)
        assert (opened.track, opened.recording) == (tracks["microphone"], None)
        await inference.until(PacketRecord, lambda r: r.handle == opened.handle)
        caption = CaptionRecord(
            room="r",
            participant="ann",
            track=opened.track,
            utterance="u1",
            rev=1,
            final=True,
            start_ms=0,
            end_ms=900,
            lang="en",
            text="hello there",
            model="m",
        )
        inference.send(caption)
        assert (await bob.until(signaling.Caption)).text == "hello there"
        async with client(h, h.control.token("r", "eve")) as eve:
            assert (await eve.until(signaling.Caption)).utterance == "u1"
        inference.close()
        await bob.until(signaling.CaptionsChanged, lambda m: not m.state.available and "no inference" in m.state.reason)


async def test_analysis_needs_consent_and_a_model_that_wants_it(tmp_path: Path) -> None:
    async with call(tmp_path) as (h, _, tracks):
        inference = SinkClient(h.sink_socket, "inference")
        inference.send(CaptionsAvailable(available=True))
        await consent(h, "ann", captions=True, analysis=True)
        microphone = await inference.until(TrackOpened)
        assert (microphone.track, microphone.uses) == (tracks["microphone"], ("captions",))
        assert len(h.node.sinks.taps) == 1

        inference.send(AnalysisWanted(video=True))
        camera = await inference.until(TrackOpened, lambda r: r.media == "video")
        assert (camera.track, camera.uses) == (tracks["camera"], ("analysis",))
        await inference.until(PacketRecord, lambda r: r.handle == camera.handle)
        assert not inference.of(TrackClosed)

        inference.send(AnalysisWanted(video=True, audio=True))
        both = await inference.until(TrackOpened, lambda r: r.uses == ("captions", "analysis"))
        await inference.until(TrackClosed, lambda r: r.handle == microphone.handle and r.reason == "replaced")

        await consent(h, "ann", analysis=False)
        await inference.until(TrackClosed, lambda r: r.handle == camera.handle and r.reason == "consent")
        await inference.until(TrackClosed, lambda r: r.handle == both.handle and r.reason == "replaced")
        assert [tap.opened.uses for tap in h.node.sinks.taps.values()] == [("captions",)]
        inference.close()
        await eventually(lambda: not h.node.sinks.analysis.video)


async def test_mute_is_told_to_the_recorder(tmp_path: Path) -> None:
    async with call(tmp_path) as (h, _, tracks):
        recorder = SinkClient(h.sink_socket, "recorder")
        await h.put_desired(DesiredState(room="r", version=1, recording=RECORDING))
        await consent(h, "ann", recording=True)
        opened = await recorder.until(TrackOpened, lambda r: r.track == tracks["microphone"])
        session = h.node.rooms["r"].participants["ann"].session
        assert session is not None
        h.node.handle(session, signaling.MediaControl(track=opened.track, muted=True), h.server.driver.now())
        h.server.driver.flush()
        assert (await recorder.until(TrackMuteChanged)).muted
        recorder.close()


async def test_a_stuck_sink_delays_nobody(tmp_path: Path) -> None:
    async with call(tmp_path) as (h, bob, _):
        stuck = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        stuck.connect(str(h.sink_socket))
        stuck.send(sink_records.encode(SinkHello(sink="recorder", instance="stuck")))
        await eventually(lambda: h.node.sinks.attached)
        (sink,) = h.node.sinks.attached.values()
        sink.queue._max_bytes = 50_000
        await h.put_desired(DesiredState(room="r", version=1, recording=RECORDING))
        await consent(h, "ann", recording=True)
        for _ in range(3):
            await bob.send(signaling.Ping(id=1))
        await bob.until(signaling.Pong)

        def dropped() -> bool:
            return sink.queue.dropped > 0

        for handle in list(h.node.sinks.taps):
            for number in range(3000):
                sink.queue.put_packet(PacketRecord(handle, number, 0, bytes(1000)))
        await eventually(dropped)
        assert len(sink.queue) <= 60
        caller_packets = (await h.metrics())["parley_sfu_datagrams_in_total"]

        async def flows() -> bool:
            return (await h.metrics())["parley_sfu_datagrams_in_total"] > caller_packets + 20

        await eventually(flows)
        stuck.close()


async def test_a_room_that_moves_leaves_its_recording_to_the_next_node(tmp_path: Path) -> None:
    async with call(tmp_path) as (h, bob, _):
        recorder = SinkClient(h.sink_socket, "recorder")
        await h.put_desired(DesiredState(room="r", version=1, recording=RECORDING))
        await consent(h, "ann", recording=True)
        await eventually(lambda: len(recorder.of(TrackOpened)) == 2)
        h.node.move_away(["r"], h.server.driver.now())
        h.server.driver.flush()
        await bob.closed()
        await recorder.until(RecordingEnded)
        assert [record.moved for record in recorder.of(RecordingEnded)] == [True]
        assert len(recorder.of(RecordingStarted)) == 1
        recorder.close()


def placed(version: int, epoch: int) -> DesiredState:
    """Recorded, and held by this node."""
    placement = Placement(node="sfu-1", epoch=epoch)
    return DesiredState(room="r", version=version, recording=RECORDING, placement=placement)


async def test_a_room_that_comes_back_is_recorded_again_however_it_went(tmp_path: Path) -> None:
    """Everyone was lost here while the room was elsewhere, as when this node was cut off; then it is placed here."""
    async with host(tmp_path) as h:
        recorder = SinkClient(h.sink_socket, "recorder")
        async with client(h, h.control.token("r", "ann", epoch=1)) as ann:
            await h.put_desired(placed(1, 1))
            await recorder.until(RecordingStarted)
            await ann.send(signaling.Leave())
            ended = await recorder.until(RecordingEnded)
            assert (ended.moved, ended.placement) == (False, 1)
        h.control.desired["r"] = placed(1, 3)
        async with client(h, h.control.token("r", "ann", epoch=3)):
            await recorder.until(RecordingStarted, lambda begun: begun.placement == 3)
            assert h.node.rooms["r"].taps.recording_state().active
        recorder.close()


async def test_a_recording_that_ended_here_is_not_begun_by_who_comes_late(tmp_path: Path) -> None:
    async with host(tmp_path) as h:
        recorder = SinkClient(h.sink_socket, "recorder")
        async with client(h, h.control.token("r", "ann", epoch=1)) as ann:
            await h.put_desired(placed(1, 1))
            await recorder.until(RecordingStarted)
            await ann.send(signaling.Leave())
            await recorder.until(RecordingEnded)
        async with client(h, h.control.token("r", "bob", epoch=1)) as bob:
            await bob.until(signaling.RoomInfo)
            assert await h.put_desired(placed(2, 1)) == 200
            assert not h.node.rooms["r"].taps.recording_state().active
        assert len(recorder.of(RecordingStarted)) == 1
        recorder.close()


@pytest.mark.parametrize("drain_seconds", [0, None])
async def test_only_a_machine_that_stops_as_a_whole_ends_its_recordings(
    tmp_path: Path, drain_seconds: float | None
) -> None:
    """A node that is to drain, and finds no other, says goodbye to people who come back somewhere."""
    async with host(tmp_path, drain_seconds=drain_seconds) as h:
        recorder = SinkClient(h.sink_socket, "recorder")
        async with client(h, h.control.token("r", "ann", epoch=1)) as ann:
            await ann.until(signaling.RoomInfo)
            await h.put_desired(placed(1, 1))
            await recorder.until(RecordingStarted)
            await h.server.drain()
            await h.server.stop()
            assert (await ann.until(signaling.Error)).code == "shutdown"
        assert (await recorder.until(RecordingEnded)).moved == (drain_seconds is not None)
        [closed] = [fact for fact in h.control.facts if isinstance(fact, facts.RoomClosed)]
        assert closed.moved == (drain_seconds is not None)
        recorder.close()
