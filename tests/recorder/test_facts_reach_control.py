"""Facts reach control at least once and in order, even over its restarts, and capture does not wait for them."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from recorder.config import RecorderConfig
from sfu.api.facts import RecordingFinished, RecordingStarted, SegmentClosed, decode_batch
from sfu.api.sink_records import RecordingEnded
from sfu.formats.codecs import Codec
from tests.recorder.conftest import running, wait_for_manifest
from tests.recorder.media import SECOND, Stream, opus
from tests.recorder.sink_server import SinkServer, begun
from tests.support.waiting import eventually

OPENED_AT = 8 * SECOND
SECRET = "node secret"


class Control:
    """Takes facts; refuses while `refusing`."""

    def __init__(self) -> None:
        self.batches = []
        self.requests = 0
        self.refusing = False
        self.port = 0

    async def take(self, request: web.Request) -> web.Response:
        self.requests += 1
        if request.headers.get("Authorization") != f"Bearer {SECRET}":
            return web.Response(status=401)
        if self.refusing:
            return web.Response(status=503)
        batch = decode_batch(await request.read())
        self.batches.append(batch)
        return web.json_response({"acknowledged": batch.n})

    @property
    def facts(self):
        return [fact for batch in self.batches for fact in batch.facts]

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_post("/internal/v1/facts", self.take)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        self.port = runner.addresses[0][1]
        try:
            yield
        finally:
            await runner.cleanup()


@pytest.fixture
def control() -> Control:
    return Control()


def told(config: RecorderConfig, control: Control) -> RecorderConfig:
    return dataclasses.replace(config, control_url=f"http://127.0.0.1:{control.port}", node_secret=SECRET)


def microphone():
    return Stream(codec=Codec.OPUS, frames=opus(600), fps=50, track="mic", handle=1, ssrc=5, opened_at=OPENED_AT)


async def record(sfu: SinkServer) -> None:
    stream = microphone()
    await sfu.attached()
    await sfu.send(begun(opened_at=OPENED_AT), stream.opened(), *stream.records())
    await sfu.send(RecordingEnded(recording="rec1", room="room1"))


async def test_a_recording_is_told_from_start_to_end(config, control):
    async with control.serving(), SinkServer(config.sink_socket) as sfu, running(told(config, control)):
        await record(sfu)
        await eventually(lambda: any(isinstance(fact, RecordingFinished) for fact in control.facts))
        started, *segments, finished = control.facts
        manifest = await wait_for_manifest(config.recordings_dir / "rec1")
    assert isinstance(started, RecordingStarted)
    assert (started.recording, started.room, started.at) == ("rec1", "room1", 1_700_000_000_000)
    assert all(isinstance(fact, SegmentClosed) for fact in segments)
    assert [fact.key for fact in segments] == ["rec1/mic/1-1.webm", "rec1/mic/1-2.webm"]
    assert [(fact.bytes, fact.sha256) for fact in segments] == [
        (segment.bytes, segment.sha256) for segment in manifest.tracks[0].segments
    ]
    assert finished.state == "ready"
    assert finished.manifest == "rec1/manifest.json"
    assert finished.bytes == manifest.bytes > 0
    assert [batch.n for batch in control.batches] == list(range(1, len(control.batches) + 1))
    assert len({(batch.node, batch.boot) for batch in control.batches}) == 1


async def test_control_may_be_away_refuse_and_come_back(config, control):
    async with control.serving():
        pass  # it has a port now, and is gone
    async with SinkServer(config.sink_socket) as sfu, running(told(config, control)):
        await record(sfu)
        await wait_for_manifest(config.recordings_dir / "rec1")  # nobody waited for control
        control.refusing = True
        async with control.serving():
            await eventually(lambda: control.requests >= 2)
            control.refusing = False
            await eventually(lambda: any(isinstance(fact, RecordingFinished) for fact in control.facts))
    assert isinstance(control.facts[0], RecordingStarted)
    assert len(control.facts) == 4


async def test_the_next_start_reports_what_control_has_not_heard(config, control):
    async with control.serving():
        pass
    async with SinkServer(config.sink_socket) as sfu, running(told(config, control)):
        await record(sfu)
        await wait_for_manifest(config.recordings_dir / "rec1")
    assert control.facts == []
    async with control.serving(), running(told(config, control)):
        await eventually(lambda: any(isinstance(fact, RecordingFinished) for fact in control.facts))
        await eventually((config.recordings_dir / "rec1" / "manifest.reported").exists)
    before = len(control.facts)
    async with control.serving(), running(told(config, control)):
        await asyncio.sleep(0)
    assert len(control.facts) == before
