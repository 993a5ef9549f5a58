"""The audio of phones: what is agreed, keys, the jitter buffer under loss and jitter, and the mix."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phone.media import description
from phone.media.audio_codecs import Samples
from phone.media.description import PhoneCodec, Stream, Unacceptable
from phone.media.keys import KeyReader, KeyWriter
from phone.media.mixer import Mixer
from phone.media.rtp_leg import RtpLeg
from phone.prompts import LANGUAGES, NAMES, Prompts
from phone.prompts.make import TEXTS

PHONE, OURS = ("192.0.2.2", 4000), ("192.0.2.1", 5000)
TYPES = {PhoneCodec.OPUS: 96, PhoneCodec.G722: 9, PhoneCodec.PCMA: 8, PhoneCodec.PCMU: 0}


def stream(codec: PhoneCodec = PhoneCodec.PCMA, events: int | None = 101) -> Stream:
    return Stream(codec, TYPES[codec], events, *PHONE)


def chirp(rate: int, seconds: float) -> Samples:
    at = np.arange(int(rate * seconds)) / rate
    samples: Samples = (9000 * np.sin(2 * np.pi * (300 * at + 200 * at * at))).astype(np.int16)
    return samples


def carried(codec: PhoneCodec, *, loss: float, jitter: float) -> tuple[float, float]:
    """Return the correlation of what was played with what was said, and its delay, after the first half."""
    dice = random.Random(1)
    phone, leg = RtpLeg(stream(codec), 0), RtpLeg(stream(codec), 0)
    said = chirp(codec.rate, 6)
    sent = []
    for number in range(len(said) // phone.frame):
        for data in phone.send(said[number * phone.frame : (number + 1) * phone.frame]):
            if dice.random() >= loss:
                sent.append((number * 0.02 + dice.random() * jitter, data))
    sent.sort()
    heard = []
    for number in range(len(said) // leg.frame + 25):
        while sent and sent[0][0] <= number * 0.02:
            at, data = sent.pop(0)
            leg.receive(data, PHONE, at)
        samples = leg.pull(number * 0.02)
        heard.append(np.zeros(leg.frame, np.int16) if samples is None else samples)
    half = len(said) // 2
    got, wanted = np.concatenate(heard)[half:].astype(float), said[half:].astype(float)
    size = 2 * len(got)
    match = np.fft.irfft(np.fft.rfft(got, size) * np.conj(np.fft.rfft(wanted, size)))[: len(got)]
    delay = int(np.argmax(match))
    count = min(len(got) - delay, len(wanted))
    likeness = float(np.corrcoef(got[delay : delay + count], wanted[:count])[0, 1])
    return likeness, delay / codec.rate


@pytest.mark.parametrize("codec", PhoneCodec)
def test_speech_arrives_as_it_was_said(codec: PhoneCodec) -> None:
    likeness, delay = carried(codec, loss=0, jitter=0.002)
    assert likeness > 0.995
    assert delay < 0.06
    likeness, delay = carried(codec, loss=0.03, jitter=0.06)
    assert likeness > 0.98
    assert delay < 0.15


def test_an_encrypted_call_is_agreed_and_carried() -> None:
    text, key = description.offer(*PHONE, 1, 1, encrypted=True)
    ours = description.take_offer(text)
    theirs = description.take_answer(description.answer(ours, *OURS, 2, 1), key)
    assert ours.codec is theirs.codec is PhoneCodec.OPUS
    assert (ours.theirs, ours.ours) == (theirs.ours, theirs.theirs) and ours.theirs != ours.ours
    leg, phone = RtpLeg(ours, 0), RtpLeg(theirs, 0)
    (data,) = phone.send(chirp(48_000, 0.02))
    leg.receive(data, PHONE, 0)
    assert leg.packets == 1
    leg.receive(data[:-1] + bytes([data[-1] ^ 1]), PHONE, 0)
    assert leg.drops["unauthentic"] == 1
    plain = description.answer(description.take_offer(description.offer(*PHONE, 1, 1, encrypted=False)[0]), *OURS, 2, 1)
    with pytest.raises(Unacceptable):
        description.take_answer(plain, key)


@pytest.mark.parametrize(
    ("line", "sends", "receives", "answer"),
    [
        ("", True, True, "sendrecv"),
        ("a=sendonly\r\n", False, True, "recvonly"),
        ("a=recvonly\r\n", True, False, "sendonly"),
        ("a=inactive\r\n", False, False, "inactive"),
    ],
)
def test_holding_reverses_the_direction(line: str, sends: bool, receives: bool, answer: str) -> None:
    text = f"v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n{line}"
    found = description.take_offer(text)
    assert (found.sends, found.receives) == (sends, receives)
    assert f"a={answer}\r\n" in description.answer(found, *OURS, 1, 1)
    if not line:
        assert not description.take_offer(text.replace("c=IN IP4 192.0.2.2", "c=IN IP4 0.0.0.0")).sends


def test_other_media_are_refused_in_place() -> None:
    head = "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n"
    video = "m=video 4002 RTP/AVP 99\r\n"
    audio = "m=audio 4000 RTP/AVP 18 13 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
    found = description.take_offer(head + video + audio)
    assert (found.codec, found.payload_type, found.events) == (PhoneCodec.PCMU, 0, 101)
    answered = description.answer(found, *OURS, 1, 1)
    assert "m=video 0 RTP/AVP 0\r\n" in answered and "m=audio 5000 RTP/AVP 0 101\r\n" in answered
    for media in (video, "m=audio 4000 RTP/AVP 18\r\n", "m=audio 0 RTP/AVP 0\r\n", "m=audio 4000 RTP/SAVP 0\r\n"):
        with pytest.raises(Unacceptable):
            description.take_offer(head + media)


@pytest.mark.parametrize(
    ("events", "agreed"), [("101 8000", (101, 8000)), ("101 8000, 102 48000", (102, 48000)), ("", (None, 8000))]
)
def test_keys_beside_opus_may_count_in_the_clock_of_telephones(events: str, agreed: tuple[int | None, int]) -> None:
    pairs = [pair.split() for pair in events.split(", ") if pair]
    maps = "".join(f"a=rtpmap:{number} telephone-event/{clock}\r\n" for number, clock in pairs)
    head = "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 96"
    numbers = "".join(f" {number}" for number, _ in pairs)
    found = description.take_offer(f"{head}{numbers}\r\na=rtpmap:96 opus/48000/2\r\n{maps}")
    assert (found.codec, found.events, found.events_clock) == (PhoneCodec.OPUS, *agreed)
    answered = description.answer(found, *OURS, 1, 1)
    assert ("telephone-event" in answered) is bool(pairs)
    assert not pairs or f"a=rtpmap:{agreed[0]} telephone-event/{agreed[1]}\r\n" in answered


@given(st.text("0123456789*#ABCD", min_size=1, max_size=12), st.sets(st.integers(0, 60), max_size=20))
def test_keys_arrive_once_though_packets_are_lost(keys: str, lost: set[int]) -> None:
    writer, reader = KeyWriter(8000), KeyReader()
    writer.press(keys)
    heard, timestamp, number, spared = "", 0, 0, dict.fromkeys(range(len(keys)), 0)
    while writer:
        for packet in writer.packets():
            event = len(heard)
            is_last_chance = spared.get(event, 0) >= 4
            if number not in lost or is_last_chance:
                heard += reader.read(packet.payload, timestamp - packet.age * 160)
            spared[event] = spared.get(event, 0) + 1
            number += 1
        timestamp += 160
    assert heard == keys or len(lost) > 4
    with pytest.raises(ValueError, match="dialled"):
        writer.press("x")


def test_a_phone_is_heard_from_one_address_and_in_its_codec_only() -> None:
    phone, leg = RtpLeg(stream(), 0), RtpLeg(stream(), 0)
    (data,) = phone.send(chirp(8000, 0.02))
    leg.receive(data, ("198.51.100.9", 7), 0)  # the phone is behind a NAT
    assert leg.destination == ("198.51.100.9", 7)
    leg.receive(data, PHONE, 0.1)
    leg.receive(b"\x80\x0d" + data[2:], ("198.51.100.9", 7), 0.1)  # comfort noise
    leg.receive(b"", ("198.51.100.9", 7), 0.1)
    leg.receive(data * 20, ("198.51.100.9", 7), 0.1)
    assert leg.drops == {"source": 1, "payload_type": 1, "malformed": 1, "oversize": 1}
    assert phone.press("1") and not RtpLeg(stream(events=None), 0).press("1")


def test_loud_voices_are_not_clipped() -> None:
    mixer, loud = Mixer(), chirp(8000, 0.02) * 3
    first = mixer.mix([loud], 160)
    assert np.array_equal(first, loud)
    for _ in range(10):
        mixed = mixer.mix([loud, loud, loud], 160)
    assert 28_000 < np.abs(mixed.astype(int)).max() <= 30_001
    assert abs(float(np.corrcoef(mixed, loud)[0, 1])) > 0.999
    for _ in range(100):
        mixer.mix([], 160)
    assert np.array_equal(mixer.mix([loud], 160), loud)


def test_every_prompt_can_be_said_in_every_language() -> None:
    assert set(TEXTS) == set(NAMES)
    for language in LANGUAGES:
        for name in NAMES:
            samples = Prompts(language, None).samples(name, 8000)
            assert 0.5 * 8000 < len(samples) < 15 * 8000
            assert np.abs(samples.astype(int)).max() > 3000
