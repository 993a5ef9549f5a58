"""Captions through a whole server: everyone reads consenting speakers, nobody reads others, even with losses."""

import asyncio
import contextlib
import os
import random
import signal
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest

from parley_client import Api, Joined, Publication, Room
from sfu.api.join_token import Source
from sfu.api.signaling import Caption, Consent
from sfu.formats.codecs import Codec
from tests.inference.chromium_speaker import captions_of
from tests.inference.material import opus_packets, prompt, prompts, silence, word_errors, words
from tests.support.call import PASSWORD, become_admin
from tests.support.server import RunningServer, running_server
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def server(models_dir: Path) -> Iterator[RunningServer]:
    with running_server(models_dir=str(models_dir)) as running:
        yield running


@pytest.fixture(scope="module")
def signed_in() -> dict[str, bool]:
    return {}


@pytest.fixture
async def api(server: RunningServer, signed_in: dict[str, bool]) -> AsyncIterator[Api]:
    async with Api(server.url) as session:
        if signed_in:
            await session.login("admin", PASSWORD)
        else:
            await become_admin(session, server.setup_token)
            signed_in["admin"] = True
        yield session


async def join_as_guest(server: RunningServer, meeting: str, name: str) -> Joined:
    async with Api(server.url) as guest:
        return await guest.join(meeting, name)


async def speak(microphone: Publication, packets: list[bytes], lost: float = 0.0) -> list[float]:
    """Send packets in real time; a lost one is not there for a NACK either. Return when each was sent."""
    dice, begun, sent = random.Random(11), time.monotonic(), []
    for index, packet in enumerate(packets):
        await asyncio.sleep(max(0.0, begun + index / 50 - time.monotonic()))
        if dice.random() >= lost:
            sent.append(time.monotonic())
            microphone.send_frame(packet, index * 960)
    return sent


async def tapped(api: Api, microphone: Publication) -> None:
    """Wait until inference listens to a microphone."""

    async def is_tapped() -> bool:
        streams = (await api.request("GET", "/ai/streams"))["streams"]
        return any(one["track"] == microphone.track for one in streams)

    await eventually(is_tapped)


async def archived(api: Api, meeting: str) -> list[dict[str, str]]:
    """Return a meeting's captions as the archive keeps them."""
    return list((await api.request("GET", f"/meetings/{meeting}/captions"))["captions"])


def finals(room: Room, participant: str) -> list[Caption]:
    return [one for one in room.state.captions if one.final and one.participant == participant]


@pytest.mark.parametrize("loss", [0.0, 0.05], ids=["lossless", "5 % lost"])
async def test_words_reach_the_others_and_the_archive(server: RunningServer, api: Api, loss: float) -> None:
    spoken = [one for one in prompts(30) if 5 < len(one.samples) / 16_000 < 9][:4]
    sound = np.concatenate([part for one in spoken for part in (one.samples, silence(1.2))])
    packets = opus_packets(sound, fec="1", packet_loss="10")
    meeting = await api.create_meeting("Captioned")
    ada, ben = [await join_as_guest(server, meeting, name) for name in ("Ada", "Ben")]
    async with (
        Room(api.signaling_url(ada), token=ada.token) as speaker,
        Room(api.signaling_url(ben), token=ben.token) as listener,
    ):
        (microphone,) = await speaker.publish((Source.MICROPHONE, Codec.OPUS))
        await speaker.send(Consent(text="1", captions=True))
        await tapped(api, microphone)
        await speak(microphone, packets, loss)
        expected = " ".join(one.text for one in spoken)
        await eventually(
            lambda: (
                len(words(" ".join(one.text for one in finals(listener, ada.participant))))
                >= 0.9 * len(words(expected))
            ),
            60,
        )

        async def is_archived() -> bool:
            said = [one.text for one in finals(listener, ada.participant)]
            return [one["text"] for one in await archived(api, meeting)] == said

        await eventually(is_archived)
        seen = finals(listener, ada.participant)
    text = " ".join(one.text for one in seen)
    assert word_errors(expected, text) <= 0.12 * len(words(expected)), text
    assert {one.lang for one in seen} == {"en"}
    stored = await archived(api, meeting)
    assert [one["text"] for one in stored] == [one.text for one in seen]
    assert {one["name"] for one in stored} == {"Ada"}


async def test_chromium_is_understood(server: RunningServer, api: Api) -> None:
    spoken = [one for one in prompts(30) if 4 < len(one.samples) / 16_000 < 8][:5]
    text = await captions_of(server, api, spoken)
    expected = " ".join(one.text for one in spoken)
    assert word_errors(expected, text) <= 0.1 * len(words(expected)), text


async def test_a_refusers_words_are_nowhere(server: RunningServer, api: Api) -> None:
    spoken = prompts(12)[8]
    packets = opus_packets(np.concatenate((spoken.samples, silence(1.2))))
    meeting = await api.create_meeting("Refused")
    joined = {name: await join_as_guest(server, meeting, name) for name in ("Ada", "Eve")}
    async with (
        Room(api.signaling_url(joined["Ada"]), token=joined["Ada"].token) as ada,
        Room(api.signaling_url(joined["Eve"]), token=joined["Eve"].token) as eve,
    ):
        microphones = []
        for room, willing in ((ada, True), (eve, False)):
            microphones += await room.publish((Source.MICROPHONE, Codec.OPUS))
            await room.send(Consent(text="1", captions=willing))
        await tapped(api, microphones[0])
        await asyncio.gather(*(speak(microphone, packets) for microphone in microphones))
        await eventually(lambda: finals(eve, joined["Ada"].participant), 60)
        await asyncio.sleep(2)  # captions of what Eve said at the same time would have come by now
        assert [one for one in ada.state.captions if one.participant == joined["Eve"].participant] == []
    stored = await archived(api, meeting)
    assert {one["name"] for one in stored} == {"Ada"}


def processes_of(pid: int) -> list[int]:
    """A process and all that it started, the last ones first."""
    found = [pid]
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            if entry.read_text().rpartition(")")[2].split()[1] == str(pid):
                found = [*processes_of(int(entry.parent.name)), *found]
    return found


async def delays(listener: Room, microphone: Publication, packets: list[bytes]) -> list[float]:
    """Seconds from each packet's sending to its arrival at the listener; as many as arrive."""
    arrivals: list[float] = []
    receive = listener.receiver.receive_rtp

    def received(data: bytes, now: int) -> None:
        arrivals.append(now / 1e9)
        receive(data, now)

    listener.receiver.receive_rtp = received
    try:
        sent = await speak(microphone, packets)
        await eventually(lambda: len(arrivals) >= len(sent))
    finally:
        listener.receiver.receive_rtp = receive
    return [arrival - begun for begun, arrival in zip(sent, arrivals, strict=True)]


async def test_frozen_then_killed_inference_never_touches_the_call(server: RunningServer, api: Api) -> None:
    spoken = prompt("queue-periodic-announce")
    packets = opus_packets(np.concatenate((spoken.samples, silence(1.2))))
    meeting = await api.create_meeting("Undisturbed")
    ada, ben = [await join_as_guest(server, meeting, name) for name in ("Ada", "Ben")]
    async with (
        Room(api.signaling_url(ada), token=ada.token) as speaker,
        Room(api.signaling_url(ben), token=ben.token) as listener,
    ):
        (microphone,) = await speaker.publish((Source.MICROPHONE, Codec.OPUS))
        await speaker.send(Consent(text="1", captions=True))
        await tapped(api, microphone)
        streams = (await api.request("GET", "/ai/streams"))["streams"]
        assert streams[0]["uses"] == ["captions"]
        await delays(listener, microphone, packets[:50])
        calm = await delays(listener, microphone, packets[:250])
        inference = processes_of(server.part_pid("inference"))
        assert len(inference) >= 3, "the process itself, a decoder and a recogniser"
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in inference:
                os.kill(pid, number)
            hurt = await delays(listener, microphone, packets[:250])  # all 250 arrive
            assert statistics.median(hurt) < statistics.median(calm) + 0.05, (calm, hurt)
        async with asyncio.timeout(120):  # the supervisor has started another
            while not finals(listener, ada.participant):
                await speak(microphone, packets)
