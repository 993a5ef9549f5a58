"""Streams of RTSP servers: units in time, and the check of addresses."""

import asyncio
import re
import struct

import pytest

from foundation.addresses import ForbiddenAddress
from foundation.media_units import Unit, UnitKind
from ingress import rtsp_source
from ingress.stream import Failed
from sfu.api.ingress import UrlOrder
from sfu.formats import rtcp

PHONE = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\na=control:one\r\n"


class Taken:
    def __init__(self) -> None:
        self.units: list[Unit] = []

    def put(self, unit: Unit) -> None:
        self.units.append(unit)


def interleaved(channel: int, data: bytes) -> bytes:
    return struct.pack("!BBH", 0x24, channel, len(data)) + data


async def camera(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the three requests, then send two packets of sound and a report, and close."""
    for body in (PHONE, "", ""):
        asked = (await reader.readuntil(b"\r\n\r\n")).decode()
        (number,) = re.findall(r"CSeq: (\d+)", asked)
        head = f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\nSession: s\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write((head + body).encode())
    for index in range(2):
        head = struct.pack("!BBHII", 0x80, 0, 65_535 + index & 0xFFFF, 2**32 - 160 + 160 * index & 0xFFFFFFFF, 9)
        writer.write(interleaved(0, head + bytes(160)))
        report = rtcp.SenderReport(9, (5 << 32) + (1 << 31), 0, 1, 160)
        writer.write(interleaved(1, rtcp.serialize((report,))))
    writer.close()


async def test_sound_comes_in_time_until_the_server_closes_the_connection() -> None:
    server = await asyncio.start_server(camera, "127.0.0.1", 0)
    url = f"rtsp://127.0.0.1:{server.sockets[0].getsockname()[1]}/phone"
    taken = Taken()
    async with server:
        async with rtsp_source.opened(UrlOrder(stream="s", url=url, private=True)) as source:
            assert source.sound == ("pcm_mulaw", 8000, 1)
            with pytest.raises(Failed, match="closed the connection"):
                await source.feed(taken)  # type: ignore[arg-type]
        with pytest.raises(ForbiddenAddress):
            async with rtsp_source.opened(UrlOrder(stream="s", url=url)):
                pass
    setup, *sounds = taken.units
    assert setup == Unit(UnitKind.AUDIO_SETUP, False, 0, b"")
    assert [(unit.us, len(unit.data)) for unit in sounds] == [(0, 160), (20_000, 160)]
