"""Sampling of a video stream: at most one picture per second, the newest, from keyframes, none after a loss."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.analysis.pictures import KEYFRAME_NS, MAX_WAITING, SAMPLE_NS, TrackPictures
from sfu.formats.codecs import Codec
from tests.inference.portrait import PER_SECOND, frames, packets, portrait

STEP = 1_000_000_000 // PER_SECOND
NAMES = {Codec.VP8: "VP8", Codec.VP9: "VP9", Codec.H264: "H264", Codec.AV1: "AV1"}


def play(track: TrackPictures, sent: list[list[bytes]], first: int = 0, start: int = 0) -> list[int]:
    """Send frames in their time, look after each; the times at which a picture came."""
    seen = []
    seq = 100 + sum(map(len, sent[:first]))
    for number, own in enumerate(sent[first:]):
        now = start + number * STEP
        for packet in own:
            track.push(seq, now, packet)
            seq += 1
        if (picture := track.sample(now)) is not None:
            assert picture.arrival == now
            seen.append(now)
    return seen


@pytest.mark.parametrize("codec", NAMES, ids=NAMES.values())
def test_a_picture_a_second(codec: Codec) -> None:
    sent = packets(frames(portrait(), 35, codec, keyframe_every=100), codec)
    track = TrackPictures(NAMES[codec])
    seen = play(track, sent)
    assert len(seen) in {3, 4}
    assert all(later - earlier >= SAMPLE_NS for earlier, later in itertools.pairwise(seen))
    assert track.undecodable == 0


def test_what_a_newer_keyframe_makes_needless_is_not_decoded() -> None:
    track = TrackPictures("VP8")
    sent = packets(frames(portrait(), 20, keyframe_every=10))
    seq = 100
    for packet in [packet for own in sent for packet in own]:
        track.push(seq, 0, packet)
        seq += 1
    assert track.sample(0) is not None
    assert track.skipped == 10


def test_of_large_pictures_only_keyframes_are_decoded() -> None:
    track = TrackPictures("VP8")
    sent = packets(frames(portrait(1280, 720), 30, keyframe_every=100))
    assert play(track, sent) == [0]
    assert track.skipped >= 28
    assert not track.wants_keyframe(KEYFRAME_NS - 1)
    assert track.wants_keyframe(KEYFRAME_NS)
    assert not track.wants_keyframe(2 * KEYFRAME_NS), "asked once for what came since"


def test_after_a_loss_a_keyframe_is_asked_for_and_waited_for() -> None:
    track = TrackPictures("VP8")
    sent = packets(frames(portrait(), 40, keyframe_every=30))
    play(track, sent[:10])
    track.missed(100 + sum(map(len, sent[:10])), sum(map(len, sent[10:12])))
    later = 10 * STEP + KEYFRAME_NS
    assert play(track, sent[:30], first=12, start=later) == []
    assert track.wants_keyframe(later + KEYFRAME_NS)
    assert play(track, sent, first=30, start=later + 2 * KEYFRAME_NS) != []


def test_what_nobody_samples_does_not_pile_up() -> None:
    track = TrackPictures("VP8")
    seq = 100
    for own in packets(frames(portrait(), MAX_WAITING + 30, keyframe_every=1000)):
        for packet in own:
            track.push(seq, 0, packet)
            seq += 1
    assert track.sample(0) is None
    assert track.skipped >= MAX_WAITING


def test_an_unknown_codec_is_refused() -> None:
    with pytest.raises(ValueError, match="not decoded"):
        TrackPictures("H265")


@given(st.lists(st.binary(max_size=60), max_size=30))
def test_garbage_is_a_value_error_or_nothing(data: list[bytes]) -> None:
    track = TrackPictures("VP8")
    for seq, rtp in enumerate(data):
        try:
            track.push(seq, seq * STEP, rtp)
        except ValueError:
            continue
        assert track.sample(seq * STEP) is None
