"""Decoding with loss, reordering, discontinuous transmission and jumps: as long as the span of RTP timestamps."""

import contextlib
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundation.libopus import packet_samples
from inference.audio.opus import SAMPLE_RATE, OpusDecoder
from inference.audio.track_audio import STALL_NS, ArrivalClock, Span, TrackAudio
from tests.inference.material import dtx_packets, opus_packets, prompt, rtp, silence

MS = 1_000_000
FRAME = SAMPLE_RATE // 50


def joined(spans: list[Span]) -> np.ndarray:
    position = spans[0].start
    for span in spans:
        assert span.start == position, "the timeline has a hole"
        position += len(span.samples)
    return np.concatenate([span.samples for span in spans])


def decode(packets: list[bytes], lost: set[int] = frozenset(), order: list[int] | None = None) -> np.ndarray:
    track = TrackAudio()
    spans: list[Span] = []
    for turn, index in enumerate(order or range(len(packets))):
        if index not in lost:
            spans += track.push(100 + index, turn * 20 * MS, rtp(100 + index, 960 * index, packets[index]))
    spans += track.drain()
    return joined(spans)


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return prompt("queue-periodic-announce").samples


def correlation(left: np.ndarray, right: np.ndarray) -> float:
    size = min(len(left), len(right))
    left, right = left[:size].astype(float), right[:size].astype(float)
    spectrum = np.fft.rfft(left) * np.conj(np.fft.rfft(right))
    return float(np.fft.irfft(spectrum).max() / (np.linalg.norm(left) * np.linalg.norm(right)))


def test_without_loss_the_sound_is_the_sound(speech: np.ndarray) -> None:
    packets = opus_packets(speech, bit_rate=64_000, application="audio")
    heard = decode(packets)
    assert len(heard) == len(packets) * FRAME
    assert correlation(heard, speech) > 0.97


@pytest.mark.parametrize("seed", range(5))
def test_ten_percent_loss_keeps_the_length_and_the_speech(speech: np.ndarray, seed: int) -> None:
    packets = opus_packets(speech, fec="1", packet_loss="10")
    chance = random.Random(seed)
    lost = {index for index in range(1, len(packets) - 1) if chance.random() < 0.1}
    assert lost
    heard = decode(packets, lost)
    assert abs(len(heard) - len(packets) * FRAME) <= FRAME
    whole = decode(packets)
    gapped = whole.copy()
    for index in lost:
        gapped[index * FRAME : (index + 1) * FRAME] = 0
    assert np.linalg.norm((heard - whole).astype(float)) < np.linalg.norm((gapped - whole).astype(float))


def test_forward_error_correction_is_used(speech: np.ndarray) -> None:
    packets = opus_packets(speech, fec="1", packet_loss="25", bit_rate=24_000)
    whole = decode(packets)
    loud = [i for i in range(5, len(packets) - 5) if np.abs(whole[i * FRAME : (i + 1) * FRAME]).mean() > 1500][::7]
    heard = decode(packets, set(loud))
    concealer = OpusDecoder()
    errors = {"recovered": 0.0, "concealed": 0.0}
    for index, packet in enumerate(packets):
        truth = whole[index * FRAME : (index + 1) * FRAME].astype(float)
        concealed = concealer.conceal(FRAME) if index in loud else concealer.decode(packet)
        if index in loud:
            errors["recovered"] += float(np.linalg.norm(heard[index * FRAME : (index + 1) * FRAME] - truth))
            errors["concealed"] += float(np.linalg.norm(concealed - truth))
    assert errors["recovered"] < 0.9 * errors["concealed"], errors


def test_late_packets_find_their_place(speech: np.ndarray) -> None:
    packets = opus_packets(speech)[:100]
    order = list(range(100))
    for index in range(10, 90, 10):
        order[index], order[index + 3] = order[index + 3], order[index]
    assert np.array_equal(decode(packets, order=order), decode(packets))


def test_discontinuous_transmission_is_exact_silence(speech: np.ndarray) -> None:
    sound = np.concatenate((speech[:SAMPLE_RATE], silence(3), speech[:SAMPLE_RATE]))
    packets = dtx_packets(sound)
    announced = [index for index, packet in enumerate(packets) if len(packet) <= 2]
    assert announced, "the encoder made no DTX"
    first = announced[0]
    track, spans = TrackAudio(), []
    seq = 0
    for index, packet in enumerate(packets):
        if len(packet) <= 2 and index != first:
            continue  # not sent: a gap of timestamps without a gap of seq
        spans += track.push(seq, index * 20 * MS, rtp(seq, 960 * index, packet))
        seq += 1
    heard = joined(spans + track.drain())
    assert abs(len(heard) - len(packets) * FRAME) <= FRAME
    last = next(index for index in range(first, len(packets)) if len(packets[index]) > 2)
    assert not heard[first * FRAME : last * FRAME].any()
    assert heard[(last + 5) * FRAME :].any()


def test_a_stall_is_filled_with_silence_and_what_comes_later_still_fits() -> None:
    packets = opus_packets(prompt("pbx-invalidpark").samples)[:100]
    track = TrackAudio()
    spans: list[Span] = []
    for index in range(50):
        spans += track.push(index, index * 20 * MS, rtp(index, 960 * index, packets[index]))
    assert track.advance(50 * 20 * MS + STALL_NS // 2) == []
    spans += track.advance(3_000 * MS)
    assert sum(len(span.samples) for span in spans) == (3_000 * MS - STALL_NS) * SAMPLE_RATE // 1_000_000_000
    late = 3_100 // 20
    spans += track.push(50, 3_100 * MS, rtp(50, 960 * late, packets[50]))
    heard = joined(spans + track.drain())
    assert len(heard) == (late + 1) * FRAME


def test_a_jump_of_the_timestamps_begins_anew() -> None:
    packets = opus_packets(prompt("pbx-invalidpark").samples)[:4]
    track = TrackAudio()
    first = track.push(0, 0, rtp(0, 0, packets[0]))
    second = track.push(1, 20 * MS, rtp(1, 48_000 * 3600, packets[1]))
    assert [span.restarted for span in first + second] == [True, True]
    assert sum(len(span.samples) for span in second) == FRAME


def test_the_timestamp_wraps() -> None:
    packets = opus_packets(prompt("pbx-invalidpark").samples)[:50]
    track, spans = TrackAudio(), []
    for index, packet in enumerate(packets):
        spans += track.push(index, index * 20 * MS, rtp(index, (2**32 - 960 * 20) + 960 * index, packet))
    assert len(joined(spans + track.drain())) == 50 * FRAME


@given(st.lists(st.binary(max_size=80), max_size=30), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_any_payload_gives_sound_or_a_count(payloads: list[bytes], chance: random.Random) -> None:
    track, spans = TrackAudio(), []
    for index, payload in enumerate(payloads):
        spans += track.push(index, index * 20 * MS, rtp(index, chance.randrange(2**32), payload))
    spans += track.drain()
    assert all(span.samples.dtype == np.int16 for span in spans)


@given(st.binary(max_size=64))
def test_a_packets_length_is_known_or_refused(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert 0 < packet_samples(data, SAMPLE_RATE) <= 1920


def test_the_clock_follows_the_least_delayed_packets() -> None:
    clock, chance = ArrivalClock(), random.Random(1)
    for index in range(3000):
        clock.observe(index * FRAME, 5_000 * MS + index * 20 * MS + int(chance.expovariate(1 / 30) * MS))
    error = clock.at(3000 * FRAME) - (5_000 * MS + 3000 * 20 * MS)
    assert 0 <= error < 2 * MS


def test_the_clock_follows_drift() -> None:
    clock = ArrivalClock()
    for index in range(6000):  # 200 ppm slow: 24 ms in two minutes
        clock.observe(index * FRAME, int(index * 20 * MS * 1.0002))
    error = clock.at(6000 * FRAME) - int(6000 * 20 * MS * 1.0002)
    assert abs(error) < 6 * MS
