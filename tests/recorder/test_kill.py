"""`kill -9` of a real recorder at seeded times: it resumes, and nothing that the sfu received is lost."""

import asyncio
import random
import signal
import sys
import time

import av
import pytest

from sfu.api.sink_records import PacketRecord, RecordingEnded
from sfu.formats.codecs import Codec
from sfu.peers.sinks.replay_buffer import MAX_BYTES, ReplayBudget, ReplayBuffer
from tests.recorder.conftest import wait_for_manifest
from tests.recorder.media import SECOND, Stream, opus, read_number, video
from tests.recorder.sink_server import SinkServer, begun, by_arrival

OPENED_AT = 300 * SECOND
KILLS = 20
AWAY = 60.0  # s for which the microphone is removed
RECORDER = """
import asyncio, sys
from pathlib import Path
from recorder.config import RecorderConfig
from recorder.main import run
config = RecorderConfig(sink_socket=Path(sys.argv[1]), recordings_dir=Path(sys.argv[2]), sync_ms=50)
asyncio.run(run(config, lambda: None))
"""


class ReplayingSfu:
    """Sends streams in their own time, as fast as the recorder makes them durable, and replays after a kill."""

    def __init__(self, server: SinkServer, streams: list[Stream], budget: ReplayBudget | None = None) -> None:
        budget = budget or ReplayBudget()
        self.server = server
        self.streams = streams
        self.buffers = {stream.handle: ReplayBuffer(budget) for stream in streams}
        self.sent: dict[int, list[tuple[int, int]]] = {stream.handle: [] for stream in streams}
        self.records = by_arrival(*(stream.records() for stream in streams))
        self.position = 0
        self.is_attached = False

    async def attach(self, count: int) -> None:
        """Tell a recorder that has attached what runs, and repeat what is not durable."""
        await self.server.attached(count)
        await self.server.send(begun(opened_at=OPENED_AT))
        for stream in self.streams:
            self.take_durable(stream)
            await self.server.send(stream.opened(), *self.buffers[stream.handle].replay())
        self.is_attached = True

    async def run(self, until: int) -> None:
        """Continue up to a record; without a recorder, do not wait."""
        while self.position < until:
            record = self.records[self.position]
            self.position += 1
            self.buffers[record.handle].put(record)
            if isinstance(record, PacketRecord):
                self.sent[record.handle].append((record.arrival, record.ext_seq))
            if self.is_attached:
                await self.keep_pace(record.arrival)
                await self.server.send(record)

    async def keep_pace(self, now: int) -> None:
        """Wait for all that is older than 1.5 s to be durable, as it would be in real time."""
        for stream in self.streams:
            sent = self.sent[stream.handle]
            while sent and sent[0][0] < now - 3 * SECOND // 2:
                await self.server.until(lambda s=stream, seq=sent[0][1]: self.durable(s) >= seq)
                sent.pop(0)

    def after(self, seconds: float) -> int:
        """Return which record comes `seconds` from now."""
        until = self.records[self.position].arrival + round(seconds * SECOND)
        return next((i for i, r in enumerate(self.records) if r.arrival >= until), len(self.records) - 1)

    def durable(self, stream: Stream) -> int:
        return self.server.durable.get((stream.track, stream.ssrc), -1)

    def take_durable(self, stream: Stream) -> None:
        self.buffers[stream.handle].reached(self.durable(stream))


async def start(config) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", RECORDER, str(config.sink_socket), str(config.recordings_dir)
    )


async def kill(recorder: asyncio.subprocess.Process) -> None:
    recorder.send_signal(signal.SIGKILL)
    await recorder.wait()


def streams_of(codec: Codec) -> list[Stream]:
    """A minute and a half: the camera shows 5 pictures a second, the microphone is removed after 10 s for a minute."""
    camera = Stream(
        codec=codec, frames=video(codec, 5 * 90, fps=5, keyframe_every=60), fps=5, track="cam", handle=1, ssrc=11,
        opened_at=OPENED_AT,
    )  # fmt: skip
    microphone = Stream(
        codec=Codec.OPUS, frames=opus(50 * 30), fps=50, track="mic", handle=2, ssrc=22, opened_at=OPENED_AT,
        pauses=((500, AWAY),),
    )  # fmt: skip
    return [camera, microphone]


@pytest.mark.parametrize(("codec", "kills"), [(Codec.VP8, KILLS), (Codec.H264, 6)], ids=["VP8", "H264"])
async def test_nothing_is_lost_at_twenty_instants(config, codec, kills):
    """H264's parameter sets and slices make going on amid a group of pictures another matter than VP8's."""
    dice = random.Random(20)
    streams = streams_of(codec)
    resumed: list[float] = []
    async with SinkServer(config.sink_socket) as server:
        sfu = ReplayingSfu(server, streams)
        recorder = await start(config)
        try:
            await sfu.attach(1)
            silent = [i for i, r in enumerate(sfu.records) if 20 * SECOND < r.arrival - OPENED_AT < 60 * SECOND]
            instants = sorted(dice.sample(range(20, len(sfu.records) - 100), kills - 3) + dice.sample(silent, 3))
            for number, instant in enumerate(instants):
                await sfu.run(instant)
                killed_at = time.monotonic()
                await kill(recorder)
                sfu.is_attached = False
                # Every fourth is killed again while it still reads the replay.
                again = number % 4 == 3
                await sfu.run(sfu.after(dice.random() * (1 if again else 2)))
                recorder = await start(config)
                await sfu.attach(server.attachments + 1)
                resumed.append(time.monotonic() - killed_at)
                if again:
                    await kill(recorder)
                    sfu.is_attached = False
                    await sfu.run(sfu.after(dice.random()))
                    recorder = await start(config)
                    await sfu.attach(server.attachments + 1)
                await sfu.keep_pace(sfu.records[sfu.position].arrival)
            await sfu.run(len(sfu.records))
            await server.send(RecordingEnded(recording="rec1", room="room1"))
            manifest = await wait_for_manifest(config.recordings_dir / "rec1")
        finally:
            await kill(recorder)
    print(f"{kills} kills; recording again after {max(resumed):.1f} s at most")
    assert manifest.state == "ready", manifest.problems
    tracks = {track.track: track for track in manifest.tracks}
    assert tracks["cam"].lost_packets == tracks["mic"].lost_packets == 0
    assert numbers(config.recordings_dir / tracks["cam"].files[0].key) == list(range(5 * 90))
    with av.open(config.recordings_dir / tracks["mic"].files[0].key) as container:
        packets = [(float(p.pts * p.time_base), bytes(p)) for p in container.demux(audio=0) if p.size]
    assert [data for _, data in packets] == [data for data, _ in streams[1].frames]
    assert packets[500][0] - packets[499][0] == pytest.approx(AWAY + 0.02, abs=0.005)


@pytest.mark.parametrize("room", [MAX_BYTES, 200_000], ids=["room for all", "too little room"])
async def test_a_recorder_that_is_away_for_long(config, room):
    """It misses nothing while the sfu has room for newer packets; beyond that it reports the loss."""
    streams = streams_of(Codec.VP8)
    async with SinkServer(config.sink_socket) as server:
        sfu = ReplayingSfu(server, streams, ReplayBudget(room))
        recorder = await start(config)
        try:
            await sfu.attach(1)
            await sfu.run(sfu.after(5))
            await kill(recorder)
            sfu.is_attached = False
            await sfu.run(sfu.after(75))
            recorder = await start(config)
            await sfu.attach(2)
            await sfu.run(len(sfu.records))
            await server.send(RecordingEnded(recording="rec1", room="room1"))
            manifest = await wait_for_manifest(config.recordings_dir / "rec1")
        finally:
            await kill(recorder)
    tracks = {track.track: track for track in manifest.tracks}
    seen = numbers(config.recordings_dir / tracks["cam"].files[0].key)
    if room == MAX_BYTES:
        assert manifest.state == "ready", manifest.problems
        assert seen == list(range(5 * 90))
        assert tracks["mic"].files[0].frames == 1500
    else:
        assert manifest.state == "partial"
        assert any("packets were lost because the recorder" in problem for problem in manifest.problems)
        assert len(seen) < 5 * 90
        assert seen == sorted(set(seen))  # what cannot be decoded was left out: every picture shows its own number


def numbers(path):
    with av.open(path) as container:
        return [read_number(image.to_ndarray(format="gray")) for image in container.decode(video=0)]


async def test_a_recording_that_was_being_finished_is_finished_by_the_next_start(config):
    streams = streams_of(Codec.VP8)
    async with SinkServer(config.sink_socket) as server:
        sfu = ReplayingSfu(server, streams)
        recorder = await start(config)
        await sfu.attach(1)
        await sfu.run(len(sfu.records))
        await server.send(RecordingEnded(recording="rec1", room="room1"))
        info = config.recordings_dir / "rec1" / "recording.json"
        deadline = time.monotonic() + 10
        while b"sealing" not in info.read_bytes():
            assert time.monotonic() < deadline
            await asyncio.sleep(0)
        await kill(recorder)
    recorder = await start(config)
    try:
        manifest = await wait_for_manifest(config.recordings_dir / "rec1")
    finally:
        await kill(recorder)
    assert manifest.state == "ready"
    assert [track.files[0].frames for track in manifest.tracks] == [450, 1500]
