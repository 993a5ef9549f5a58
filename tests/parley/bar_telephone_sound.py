"""Speech through a telephone that is not ours (baresip), in both directions, by G.711, G.722 and Opus: it is measured.

    .venv/bin/pytest -s tests/parley/bar_telephone_sound.py

Needs Debian's baresip-core and pocketsphinx-testdata. If the package pesq is there, PESQ (ITU-T P.862) is told, too.
"""

import asyncio
import contextlib
import json
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from parley.network import allocate_port
from parley_client import Api, Room
from parley_client.media import Decoder
from tests.support import spoken_notice
from tests.support.call import become_admin
from tests.support.server import running_server
from tests.support.speaking import speaking
from tests.support.waiting import eventually

SPEECH = Path("/usr/share/pocketsphinx/test/data/librivox/sense_and_sensibility_01_austen_64kb-0880.wav")
MODULES = Path("/usr/lib/baresip/modules")
WIDE, NARROW, ROOM_RATE = 16_000, 8_000, 48_000
REPEATS = 60
PROMPT_SECONDS = 15
"""More than the prompts last that greet the telephone, over the meeting's sound."""
LEAST_CORRELATION = 0.9
BAND = (300, 3400)
"""The band of telephones in Hz (ITU-T G.712), in which samples are correlated.

Below it, the high-pass filter that Opus applies to speech delays tones by up to 2 ms, which nobody hears.
"""
LEAST_PESQ = 3.2
RATES = {"PCMU": (NARROW, NARROW), "PCMA": (NARROW, NARROW), "G722": (WIDE, WIDE), "opus": (ROOM_RATE, WIDE)}
"""The sample rates of each codec: in the telephone, and for comparisons."""

pytestmark = pytest.mark.skipif(not (SPEECH.exists() and MODULES.exists()), reason="baresip or the speech is missing")


class Baresip:
    """A running baresip. Its microphone is a file; what it hears is in `heard`."""

    def __init__(self, home: Path, port: int) -> None:
        self.home = home
        self._port = port

    async def order(self, command: str, params: str = "") -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        text = json.dumps({"command": command, "params": params, "token": "t"}).encode()
        writer.write(str(len(text)).encode() + b":" + text + b",")
        async with asyncio.timeout(10):
            while b'"response":true' not in await reader.readuntil(b","):
                pass
        writer.close()

    def said(self) -> str:
        """Return the end of its log."""
        return (self.home / "log").read_text(errors="replace")[-2000:]

    def all_heard(self) -> int:
        """Return the bytes of all calls so far; it begins another file when a call is taken back."""
        return sum(path.stat().st_size for path in self.home.glob("dump-*-dec.wav"))

    def heard(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return all samples of the latest call, by its own rate."""
        (*_, latest) = sorted(self.home.glob("dump-*-dec.wav"))
        return samples_of(latest)


def samples_of(path: Path) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return 16-bit samples of a file, even if its header is not complete yet."""
    return np.frombuffer(path.read_bytes()[44:][: (path.stat().st_size - 44) // 2 * 2], "<i2").astype(float)


@contextlib.asynccontextmanager
async def baresip(home: Path, codec: str, sip_port: int) -> AsyncIterator[Baresip]:
    """Run it with one codec, speaking from a file and answering calls."""
    rate, _ = RATES[codec]
    with wave.open(str(home / "speech.wav"), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(_at(samples_of(SPEECH), WIDE, rate).astype("<i2").tobytes() * REPEATS)
    control = allocate_port()
    modules = ("g711", "g722", "opus", "aufile", "aubridge", "sndfile", "account", "menu", "ctrl_tcp")
    lines = [
        f"module_path {MODULES}",
        *(f"module {name}.so" for name in modules),
        f"sip_listen 127.0.0.1:{sip_port}",
        f"audio_source aufile,{home}/speech.wav",
        "audio_player aubridge,nothing",
        f"ctrl_tcp_listen 127.0.0.1:{control}",
        f"snd_path {home}",
        "rtp_ports 30000-30999",
        "opus_stereo no",
        "opus_sprop_stereo no",
        "opus_bitrate 32000",
    ]
    (home / "config").write_text("\n".join(lines) + "\n")
    (home / "accounts").write_text(
        f"<sip:+442079460999@127.0.0.1:{sip_port}>;regint=0;audio_codecs={codec}/{rate}/1;answermode=auto;dtmfmode=rtpevent\n"
    )
    log = (home / "log").open("wb")
    process = await asyncio.create_subprocess_exec("baresip", "-f", str(home), stdout=log, stderr=log, cwd=home)
    try:
        await eventually(lambda: b"ready" in (home / "log").read_bytes(), 30, (home / "log").read_text)
        yield Baresip(home, control)
    finally:
        process.terminate()
        await process.wait()
        log.close()


def _settings(port: int, trunk: int) -> dict[str, str]:
    """Return the settings of a server that takes calls at a port, and dials through a telephone at another."""
    return {
        "phone": "true",
        "inference": "false",
        "sip_port": str(port),
        "sip_allowed": "127.0.0.1",
        "sip_trunk": f"sip:127.0.0.1:{trunk}",
        "phone_numbers": "+44 20 7946 0000",
        "phone_prefixes": "+44",
    }


@pytest.mark.parametrize("codec", RATES)
async def test_speech_is_the_same_at_the_other_end(codec: str, tmp_path: Path) -> None:
    port, own = allocate_port(), allocate_port()
    with running_server(**_settings(port, own)) as server:
        async with Api(server.url) as host, baresip(tmp_path, codec, own) as phone:
            await become_admin(host, server.setup_token)
            meeting = await host.create_meeting("By phone")
            joined = await host.join(meeting, "Host")
            async with Room(host.signaling_url(joined), token=joined.token) as room:
                (microphone,) = await room.publish(("microphone", "opus"))
                async with speaking(microphone, _at(samples_of(SPEECH), WIDE, ROOM_RATE).astype(np.int16)):
                    await _dial_in(host, meeting, room, phone, port)
                    await _measure(room, phone, codec, "in")
                    await _hold(room, phone)
                    await phone.order("hangup")
                    await eventually(lambda: len(room.state.participants) == 1, 30)
                    number = {"number": "+44 20 7946 0999", "name": "Bob"}
                    await host.request("POST", f"/meetings/{meeting}/phone/calls", number)
                    await eventually(lambda: len(room.state.tracks) == 1, 30, phone.said)
                    await _measure(room, phone, codec, "out")


async def _dial_in(host: Api, meeting: str, room: Room, phone: Baresip, port: int) -> None:
    """Call, and enter the PIN as keys."""
    access = await host.request("GET", f"/meetings/{meeting}/phone")
    await phone.order("dial", f"sip:meet@127.0.0.1:{port}")
    await eventually(lambda: b"established" in (phone.home / "log").read_bytes(), 30, phone.said)
    for key in access["pin"] + "#":
        await phone.order("sndcode", key)
        await asyncio.sleep(0.3)
    await eventually(lambda: len(room.state.tracks) == 1, 30, phone.said)


async def _hold(room: Room, phone: Baresip) -> None:
    """Put the call on hold, during which the meeting is silent to it, and take it back."""
    await phone.order("hold")
    before = 0

    def has_stopped() -> bool:
        nonlocal before
        size, before = before, phone.all_heard()
        return size == before

    await eventually(has_stopped, 30)
    await phone.order("resume")
    (track,) = room.state.tracks.values()
    await _heard_in_room(room, track.track, 1.0)


async def _measure(room: Room, phone: Baresip, codec: str, direction: str) -> None:
    speech, (own_rate, rate) = samples_of(SPEECH), RATES[codec]
    (track,) = room.state.tracks.values()
    seconds = PROMPT_SECONDS + 2 * len(speech) / WIDE + 1
    start = len(phone.heard())
    spoken = await _heard_in_room(room, track.track, seconds)
    heard = phone.heard()[start:]
    for name, samples, their_rate in (("phone to room", spoken, ROOM_RATE), ("room to phone", heard, own_rate)):
        correlation, quality = compare(speech, samples, their_rate, rate)
        print(f"{codec} call {direction}, {name}: correlation {correlation:.3f}, PESQ {quality or '-'}", flush=True)
        assert correlation > LEAST_CORRELATION
        assert quality is None or quality > LEAST_PESQ


def compare(
    speech: np.ndarray[Any, Any], samples: np.ndarray[Any, Any], their_rate: int, rate: int
) -> tuple[float, float | None]:
    """Return the correlation with the best place of the speech (0 to 1), and PESQ's score if that is installed.

    Correlated is the band of telephones; PESQ judges everything.
    """
    reference, other = _at(speech, WIDE, rate), _at(samples, their_rate, rate)
    ours, theirs = _in_band(reference, rate), _in_band(other, rate)
    size = 1 << (len(theirs) + len(ours)).bit_length()
    found = np.fft.irfft(np.fft.rfft(theirs, size) * np.conj(np.fft.rfft(ours, size)), size)
    energies = np.concatenate([[0.0], np.cumsum(theirs**2)])
    energies = energies[len(ours) :] - energies[: -len(ours)]
    correlations = found[: len(energies)] / (np.linalg.norm(ours) * np.sqrt(energies) + 1e-9)
    place = int(np.argmax(correlations))
    return float(correlations[place]), _pesq(rate, reference, other[place : place + len(reference)])


def _in_band(samples: np.ndarray[Any, Any], rate: int) -> np.ndarray[Any, Any]:
    spectrum, frequencies = np.fft.rfft(samples), np.fft.rfftfreq(len(samples), 1 / rate)
    spectrum[(frequencies < BAND[0]) | (frequencies > BAND[1])] = 0
    return np.fft.irfft(spectrum, len(samples))


def _pesq(rate: int, reference: np.ndarray[Any, Any], heard: np.ndarray[Any, Any]) -> float | None:
    try:
        from pesq import pesq  # not a dependency
    except ImportError:
        return None
    return round(float(pesq(rate, reference, heard, "wb" if rate == WIDE else "nb")), 2)


def _at(samples: np.ndarray[Any, Any], rate: int, wanted: int) -> np.ndarray[Any, Any]:
    frame = av.AudioFrame.from_ndarray(samples.clip(-32768, 32767).astype(np.int16)[None], "s16", "mono")
    frame.sample_rate = rate
    resampler = av.AudioResampler(format="s16", layout="mono", rate=wanted)
    pieces = [piece.to_ndarray()[0] for piece in [*resampler.resample(frame), *resampler.resample(None)]]
    return np.concatenate(pieces).astype(float)


async def _heard_in_room(room: Room, track: str, seconds: float) -> np.ndarray[Any, Any]:
    decoder, heard = Decoder(), [np.zeros(0)]
    async with asyncio.timeout(120):
        with room.frames(track) as feed:
            async for encoded in feed:
                for frame in decoder.decode(encoded):
                    assert isinstance(frame, av.AudioFrame)
                    plain = frame.to_ndarray().astype(float)
                    if frame.format.name.startswith("flt"):
                        plain *= 32767
                    channels = len(frame.layout.channels)
                    heard.append(plain[0][::channels] if frame.format.is_packed else plain[0])
                if sum(map(len, heard)) >= seconds * ROOM_RATE:
                    break
    return np.concatenate(heard)


async def test_the_notice_of_recording_is_heard(tmp_path: Path) -> None:
    """The meeting asks nobody: the question for consent would be heard over the notice."""
    port, own = allocate_port(), allocate_port()
    with running_server(**_settings(port, own)) as server:
        async with Api(server.url) as host, baresip(tmp_path, "PCMU", own) as phone:
            await become_admin(host, server.setup_token)
            meeting = await host.create_meeting("By phone", consent="implied", recording_notice="en")
            joined = await host.join(meeting, "Host")
            async with Room(host.signaling_url(joined), token=joined.token) as room:
                await _dial_in(host, meeting, room, phone, port)
                await asyncio.sleep(PROMPT_SECONDS)
                start = len(phone.heard())
                await host.start_recording(meeting)
                await asyncio.sleep(10)
                heard = phone.heard()[start:].astype(np.float32)
    alike = spoken_notice.likeness(heard, spoken_notice.notice_of("en"))
    print(f"the notice on the telephone: {alike:.2f}", flush=True)
    assert alike > spoken_notice.HEARD
