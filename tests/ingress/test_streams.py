"""The streams of an ingress: places, what fails, and what is told about it."""

import asyncio
import contextlib
import dataclasses
import io
import socket
import struct
import time
from types import SimpleNamespace
from typing import Any

import av
import msgspec
import numpy as np
import pytest

from foundation import control_requests
from foundation.background import cancel_all
from foundation.media_units import Unit, UnitKind, encode, read_blocking
from ingress.config import IngressConfig
from ingress.rtmp_listener import RtmpListener
from ingress.streams import Streams, TooManyStreams
from ingress.transcode.__main__ import Transcoder
from ingress.transcode.contract import Order, State
from parley.network import allocate_port
from sfu.api.ingress import IngressOrders, IngressReport, UrlOrder
from sfu.formats.rtmp import HANDSHAKE_BYTES
from tests.support.waiting import eventually

CONFIG = IngressConfig(instance="one", control_url="http://control.test", node_secret="s", streams=1)


async def test_a_place_is_taken_from_the_first_moment_on() -> None:
    streams = Streams(CONFIG, None)

    async def connection(stream: str, entered: asyncio.Event) -> None:
        async with streams.place(stream):
            entered.set()
            await asyncio.Event().wait()

    begun, again = asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(connection("stage", begun))
    await begun.wait()
    with pytest.raises(TooManyStreams):
        await connection("other", asyncio.Event())
    second = asyncio.create_task(connection("stage", again))
    await asyncio.wait_for(again.wait(), 10)
    assert first.cancelled()
    assert streams.free == 0
    await cancel_all([second])
    assert streams.free == 1


async def test_connections_without_a_key_keep_nobody_out_and_end_with_the_listener() -> None:
    port = allocate_port()
    config = dataclasses.replace(CONFIG, rtmp_port=port)
    ready = asyncio.Event()
    listening = asyncio.create_task(RtmpListener(config, None, Streams(config, None)).run(ready))
    await asyncio.wait_for(ready.wait(), 10)
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(40)]
    try:
        reader, writer = opened[-1]
        writer.write(bytes((3,)) + bytes(HANDSHAKE_BYTES))
        assert await asyncio.wait_for(reader.readexactly(1 + 2 * HANDSHAKE_BYTES), 10)
        assert await asyncio.wait_for(opened[0][0].read(), 5) == b""
        await cancel_all([listening])
        assert await asyncio.wait_for(reader.read(), 5) == b""
    finally:
        await cancel_all([listening])
        for _, writer in opened:
            writer.close()


class Spare:
    """Processes that cannot be had, for an unforeseen reason."""

    def __init__(self) -> None:
        self.asked = 0

    def prepare(self) -> None: ...

    async def close(self) -> None: ...

    async def take(self) -> None:
        self.asked += 1
        raise RuntimeError("unforeseen")


class Control:
    """It wants one URL to be read."""

    def __init__(self) -> None:
        self.told: IngressReport | None = None

    async def report(self, report: IngressReport) -> IngressOrders:
        self.told = report
        order = UrlOrder(stream="clip", url="http://media.test/a.mp4")
        return IngressOrders(held=list(report.streams), urls=[order])


async def test_a_url_is_tried_again_whatever_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_requests, "_REPORT_SECONDS", 0.01)
    control, spare = Control(), Spare()
    streams: Any = Streams(CONFIG, control)
    streams.spare = spare

    def is_retrying() -> bool:
        state = control.told.streams.get("clip") if control.told is not None else None
        return state is not None and state.phase == "retrying"

    reports = asyncio.create_task(streams.report())
    await eventually(is_retrying, 30)
    # Reports failed, and begin again.
    await cancel_all([reports])
    before = spare.asked
    reports = asyncio.create_task(streams.report())
    await eventually(lambda: spare.asked > before, 30)
    await cancel_all([reports])


def made_by(order: Order, sent: bytes = b"", content: bytes = b"") -> list[Unit]:
    """Return what a transcoding process makes of units; its URL has some content."""
    ours, theirs = socket.socketpair()
    with contextlib.closing(ours):
        ours.sendall(sent)
        ours.shutdown(socket.SHUT_WR)
        broker: Any = SimpleNamespace(open=lambda url, flags, options: io.BytesIO(content))
        with contextlib.closing(theirs), theirs.makefile("rb", buffering=0) as unbuffered:
            Transcoder(theirs, broker, unbuffered, order).run()
        with ours.makefile("rb") as made:
            return list(iter(lambda: read_blocking(made), None))


def told_by(order: Order, sent: bytes = b"", content: bytes = b"") -> list[State]:
    units = made_by(order, sent, content)
    return [msgspec.json.decode(unit.data, type=State) for unit in units if unit.kind is UnitKind.STATE]


def test_a_failure_is_told_without_the_url() -> None:
    url = "http://ada:secret@media.test/a.mp4?token=secret"
    (state,) = told_by(Order(height=180, url=url), content=b"no film " * 1000)
    assert state.error
    assert "secret" not in state.error
    (state,) = told_by(Order(height=180), sent=struct.pack("!BBqI", UnitKind.VIDEO, 0, 0, 1 << 30))
    assert "too large" in state.error


def transport_stream() -> bytes:
    """Return a second of MPEG-TS with B-frames, a single keyframe, and two languages of sound."""
    file = io.BytesIO()
    with av.open(file, "w", format="mpegts") as out:
        video = out.add_stream("libx264", rate=30, options={"bf": "2", "b_strategy": "0", "g": "60"})
        video.width, video.height, video.pix_fmt = 64, 36, "yuv420p"
        languages = [out.add_stream("aac", rate=44_100, layout="stereo") for _ in range(2)]
        for index in range(30):
            picture = av.VideoFrame.from_ndarray(np.full((54, 64), 4 * index, np.uint8), "yuv420p")
            picture.pts = index
            out.mux(video.encode(picture))
            for one in languages if index % 3 else []:
                sound = av.AudioFrame.from_ndarray(np.zeros((2, 2205), np.float32), "fltp", "stereo")
                sound.sample_rate, sound.pts = 44_100, None
                out.mux(one.encode(sound))
        for stream in (video, *languages):
            out.mux(stream.encode(None))
    return file.getvalue()


def test_video_that_was_analysed_is_sent_too() -> None:
    content = transport_stream()
    now = time.monotonic_ns() // 1000
    arriving = [content[at : at + 1316] for at in range(0, len(content), 1316)]
    units = made_by(
        Order(height=36, form="mpegts"),
        b"".join(encode(Unit(UnitKind.CONTENT, False, now, part)) for part in arriving),
    )
    pictures = [unit for unit in units if unit.kind is UnitKind.VIDEO]
    sounds = [unit for unit in units if unit.kind is UnitKind.AUDIO]
    assert len(pictures) == 30 and pictures[0].keyframe
    assert abs(pictures[0].us - sounds[0].us) < 100_000
    assert len(sounds) >= 40


def test_content_that_waited_for_long_is_skipped_up_to_a_keyframe() -> None:
    sent = encode(Unit(UnitKind.CONTENT, False, time.monotonic_ns() // 1000 - 3_000_000, transport_stream()))
    units = made_by(Order(height=36, form="mpegts"), sent)
    assert [unit.keyframe for unit in units if unit.kind is UnitKind.VIDEO] == [True]
    states = [msgspec.json.decode(unit.data, type=State) for unit in units if unit.kind is UnitKind.STATE]
    assert states[-1].skipped == 29 and states[-1].ended
    assert len([unit for unit in units if unit.kind is UnitKind.AUDIO]) >= 40
