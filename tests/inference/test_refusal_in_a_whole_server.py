"""Tone, picture and words of a person who refuses consent are in no file, transcript or result of a server."""

import asyncio
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from inference.analysis.faces import FaceFinder
from inference.analysis.pictures import scaled
from parley_client import Api, Publication, Room
from sfu.api.join_token import Source
from sfu.api.signaling import Consent
from sfu.formats.codecs import Codec
from tests.inference.material import RATE, Floats, opus_packets, prompt, silence
from tests.inference.portrait import PER_SECOND, empty, fetched_faces, film, frames, portrait
from tests.support.call import become_admin
from tests.support.server import RunningServer, running_server
from tests.support.waiting import eventually

TONE_HZ = 3000
EMOTION = {"emotion": True, "acknowledged": "eu-ai-act-5-1-f/1"}
ADAS, EVES = "queue-periodic-announce", "ss-noservice"
ADAS_WORD, EVES_WORD = b"representative", b"not in service"


@pytest.fixture(scope="module")
def server(models_dir: Path) -> Iterator[RunningServer]:
    fetched_faces()
    with running_server(models_dir=str(models_dir)) as running:
        yield running


def with_tone(sound: Floats) -> Floats:
    return (sound + 0.2 * np.sin(2 * np.pi * TONE_HZ * np.arange(len(sound)) / RATE)).astype(np.float32)


async def speak(microphone: Publication, packets: list[bytes]) -> None:
    begun = time.monotonic()
    for index, packet in enumerate(packets):
        await asyncio.sleep(max(0.0, begun + index / 50 - time.monotonic()))
        microphone.send_frame(packet, index * 960)


async def show(camera: Publication, encoded: list[bytes]) -> None:
    begun = time.monotonic()
    for index, frame in enumerate(encoded):
        await asyncio.sleep(max(0.0, begun + index / PER_SECOND - time.monotonic()))
        camera.send_frame(frame, index * 90_000 // PER_SECOND, keyframe=index % PER_SECOND == 0)


def share_of_tone(path: Path) -> float:
    """The loudest second's share of energy around TONE_HZ in a file's sound; 0 without sound."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return 0.0
        parts = [part.to_ndarray()[0] for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    sound = np.concatenate([*parts, np.zeros(RATE, np.int16)]).astype(np.float64)
    shares = []
    for second in range(len(sound) // RATE):
        power = np.abs(np.fft.rfft(sound[second * RATE :][:RATE])) ** 2
        shares.append(power[TONE_HZ - 20 : TONE_HZ + 20].sum() / max(power.sum(), 1e6))
    return float(max(shares))


def faces_in(path: Path, finder: FaceFinder) -> int:
    with av.open(str(path)) as container:
        if not container.streams.video:
            return 0
        return max((len(finder.find(scaled(frame))) for frame in container.decode(video=0)), default=0)


def test_the_checks_can_fail(tmp_path: Path) -> None:
    film_of_eve = tmp_path / "eve.webm"
    film_of_eve.write_bytes(film(portrait(), 2, with_tone(prompt(EVES).samples[: 2 * RATE])))
    assert share_of_tone(film_of_eve) > 0.2
    assert faces_in(film_of_eve, FaceFinder(fetched_faces() / "blazeface.onnx")) == 1


@dataclass
class Refused:
    """A call that Ada agreed to have recorded, captioned and analysed, and Eve did not; what the server tells of it."""

    participants: dict[str, str]
    tracks: list[Any]
    captions: list[Any]
    streams: list[Any]


async def take_part(room: Room, sound: Floats, picture: np.ndarray, *, willing: bool) -> list[asyncio.Task[None]]:
    """Publish and consent, or refuse; return what sends the sound and the picture."""
    microphone, camera = await room.publish((Source.MICROPHONE, Codec.OPUS), (Source.CAMERA, Codec.VP8))
    await room.send(Consent(text="1", recording=willing, captions=willing, analysis=willing))
    encoded = frames(picture, int(len(sound) / RATE * PER_SECOND), keyframe_every=PER_SECOND)
    return [
        asyncio.create_task(speak(microphone, opus_packets(sound))), asyncio.create_task(show(camera, encoded))
    ]  # fmt: skip


async def held(api: Api, meeting: str, joined: dict[str, Any]) -> Refused:
    """Hold and record the call."""
    sounds = {name: np.concatenate((prompt(one).samples, silence(1.5))) for name, one in (("Ada", ADAS), ("Eve", EVES))}

    async def analysed() -> list[Any]:
        return list((await api.request("GET", f"/meetings/{meeting}/analysis"))["tracks"])

    async def captions() -> list[Any]:
        return list((await api.request("GET", f"/meetings/{meeting}/captions"))["captions"])

    async with (
        Room(api.signaling_url(joined["Ada"]), token=joined["Ada"].token) as ada,
        Room(api.signaling_url(joined["Eve"]), token=joined["Eve"].token) as eve,
    ):
        await api.start_recording(meeting)
        playing = await take_part(ada, sounds["Ada"], empty(), willing=True)
        playing += await take_part(eve, with_tone(sounds["Eve"]), portrait(), willing=False)
        tracks = await eventually(analysed, 120)
        await asyncio.gather(*playing)
        said = await eventually(captions, 120)
        tracks += await analysed()
        streams = (await api.request("GET", "/ai/streams"))["streams"]
        await api.stop_recording(meeting)
    return Refused({name: one.participant for name, one in joined.items()}, tracks, said, streams)


async def refused_in(server: RunningServer) -> Refused:
    """Hold the call in a server that has emotion switched on, until its recording is finished."""
    async with Api(server.url) as api:
        await become_admin(api, server.setup_token)
        await api.request("POST", "/ai/setup", EMOTION)
        meeting = await api.create_meeting("Refused")
        joined = {}
        for name in ("Ada", "Eve"):
            async with Api(server.url) as guest:
                joined[name] = await guest.join(meeting, name)

        async def offered() -> bool:
            captions = (await api.request("GET", "/ai/health"))["captions"]
            return bool(captions and (await api.request("GET", "/ai/analysis"))["emotion"])

        async def finished() -> list[Any]:
            found = await api.recordings(meeting)
            listed = found["recordings"] if isinstance(found, dict) else found
            return [one for one in listed if one["state"] in {"ready", "partial"}]

        await eventually(offered, 120)  # the models are loaded, and inference has heard of the administrator's word
        call = await held(api, meeting, joined)
        await eventually(finished, 120)
        return call


def _read(path: Path) -> bytes:
    """Return what a file holds; nothing if it is gone, as PostgreSQL replaces some of its own."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


async def test_a_refuser_is_nowhere(server: RunningServer) -> None:
    call = await refused_in(server)
    assert os.getpriority(os.PRIO_PROCESS, server.part_pid("inference")) == 10
    assert {one["participant"] for one in (*call.tracks, *call.streams)} == {call.participants["Ada"]}
    assert {one["name"] for one in call.captions} == {"Ada"}
    assert not any(one["emotion"].get("faces") for one in call.tracks if one["media"] == "video"), "Ada shows no face"

    composing = server.data / "recordings" / ".composing"
    await eventually(lambda: not any(path.is_file() for path in composing.rglob("*")), 120)
    kept = [path for path in server.data.rglob("*") if path.is_file()]
    recorded = [path for path in kept if path.suffix in {".webm", ".mkv"}]
    assert len(recorded) >= 2
    finder = FaceFinder(fetched_faces() / "blazeface.onnx")
    for path in recorded:
        assert share_of_tone(path) < 0.05, path
        assert faces_in(path, finder) == 0, path
    eves = call.participants["Eve"].encode()
    assert not [path for path in kept if "recordings" in path.parts and eves in _read(path)]
    texts = b"".join(re.sub(rb"\s+", b" ", _read(path).lower()) for path in kept if path not in recorded)
    assert ADAS_WORD in texts, "what is looked for can be found"
    assert EVES_WORD not in texts
