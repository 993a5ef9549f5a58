"""Telephones in a meeting: one calls in with the PIN, and is called; both sides are heard, and hosts are obeyed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import av
import numpy as np

from parley.network import allocate_port
from parley_client import Api, Publication, Room
from parley_client.media import AudioSender, Decoder
from tests.phone.scripted_phone import ScriptedPhone, scripted_phone
from tests.support.call import become_admin
from tests.support.server import running_server
from tests.support.waiting import eventually

SAID, HEARD = 700.0, 1100.0


async def test_a_telephone_takes_part() -> None:
    port = allocate_port()
    async with scripted_phone() as phone:
        settings = {
            "phone": "true",
            "inference": "false",
            "sip_port": str(port),
            "sip_allowed": "127.0.0.1",
            "sip_trunk": f"sip:127.0.0.1:{phone.port}",
            "phone_numbers": "+44 20 7946 0000",
            "phone_prefixes": "+44",
        }
        with running_server(**settings) as server:
            async with Api(server.url) as host:
                await become_admin(host, server.setup_token)
                meeting = await host.create_meeting("By phone", lobby=True)
                joined = await host.join(meeting, "Host")
                async with Room(host.signaling_url(joined), token=joined.token) as room:
                    (microphone,) = await room.publish(("microphone", "opus"))
                    async with _saying(microphone):
                        await _calls_in(host, meeting, room, phone, port)
                        await _is_called(host, meeting, room, phone)
            assert not [line for line in server.lines if "Traceback" in line], "\n".join(server.lines)


async def _calls_in(host: Api, meeting: str, room: Room, phone: ScriptedPhone, port: int) -> None:
    access = await host.request("GET", f"/meetings/{meeting}/phone")
    phone.call(port, "G722", "+442079460123")
    await eventually(lambda: phone.loudest() > 0, 30)  # it is asked for the PIN
    assert phone.leg is not None
    phone.leg.press(access["pin"] + "#")
    entry = await eventually(lambda: _waiting(host, meeting), 30)
    await host.request("POST", f"/meetings/{meeting}/lobby/{entry}/admit")
    await eventually(lambda: len(room.state.tracks) == 1, 30)
    (track,) = room.state.tracks.values()
    person = room.state.participants[track.participant]
    assert (person.name, person.kind) == ("+44 … 123", "phone")
    phone.tone = SAID
    assert abs(await _tone_of(room, track.track) - SAID) < 15
    await eventually(lambda: abs(phone.loudest() - HEARD) < 15, 30)
    phone.leg.press("*6")
    await eventually(lambda: room.state.tracks[track.track].muted, 30)
    phone.leg.press("*9")
    await eventually(lambda: room.state.participants[person.participant].hand, 30)
    await host.request("POST", f"/meetings/{meeting}/participants/{person.participant}/remove", {})
    await eventually(lambda: phone.ended == 0 and len(room.state.participants) == 1, 30)


async def _is_called(host: Api, meeting: str, room: Room, phone: ScriptedPhone) -> None:
    calls = f"/meetings/{meeting}/phone/calls"
    made = await host.request("POST", calls, {"number": "+44 20 7946 0999", "name": "Bob"})
    await eventually(lambda: len(room.state.tracks) == 1, 30)
    (track,) = room.state.tracks.values()
    assert room.state.participants[track.participant].name == "Bob"
    assert abs(await _tone_of(room, track.track) - SAID) < 15
    phone.hang_up()
    await eventually(lambda: len(room.state.participants) == 1, 30)

    async def reason() -> str:
        listed = (await host.request("GET", calls))["calls"]
        return str(next(one["reason"] for one in listed if one["id"] == made["id"]))

    assert await eventually(reason, 30) == "hung_up"


async def _waiting(host: Api, meeting: str) -> str:
    found = (await host.request("GET", f"/meetings/{meeting}/lobby"))["waiting"]
    return str(found[0]["id"]) if found else ""


@contextlib.asynccontextmanager
async def _saying(microphone: Publication) -> AsyncIterator[None]:
    """Send a tone."""

    async def send() -> None:
        sender, loop = AudioSender(microphone), asyncio.get_running_loop()
        due, said = loop.time(), 0
        while True:
            samples = (9000 * np.sin(2 * np.pi * HEARD * np.arange(said, said + 960) / 48_000)).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
            frame.sample_rate = 48_000
            sender.send(frame)
            due, said = due + 0.02, said + 960
            await asyncio.sleep(max(0.0, due - loop.time()))

    sending = asyncio.create_task(send())
    try:
        yield
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def _tone_of(room: Room, track: str) -> float:
    """Return the loudest frequency of half a second of a track that is not silent."""
    decoder, heard = Decoder(), [np.zeros(0, np.float32)]
    async with asyncio.timeout(30):
        with room.frames(track) as feed:
            async for encoded in feed:
                for frame in decoder.decode(encoded):
                    assert isinstance(frame, av.AudioFrame)
                    samples = frame.to_ndarray().astype(np.float32)[0]
                    heard.append(
                        samples[::2] if frame.format.is_packed and len(frame.layout.channels) == 2 else samples
                    )
                if sum(len(one) for one in heard) >= 24_000:
                    break
    samples = np.concatenate(heard)[-20_000:]
    return float(np.argmax(np.abs(np.fft.rfft(samples * np.hanning(len(samples))))) * 48_000 / len(samples))
