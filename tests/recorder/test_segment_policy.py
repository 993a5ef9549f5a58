"""Cuts between segments, and requests for keyframes."""

import pytest

from recorder.segment_policy import CutTimes, Decision, SegmentPolicy
from sfu.frames.assembler import Frame

SECOND = 1_000_000_000
CUT, CONTINUE, DROP = Decision.CUT, Decision.CONTINUE, Decision.DROP


def frame(seconds, keyframe=False, size=(640, 360), timestamp=None):
    width, height = size if keyframe else (0, 0)
    at = round(seconds * 90_000) if timestamp is None else timestamp
    return Frame(at, b"", keyframe, 0, 0, round(seconds * SECOND), width, height, True)


def decisions(policy, *frames):
    return [policy.decide(f) for f in frames]


def policy(resumable=False, is_audio=False):
    return SegmentPolicy(90_000, is_audio, CutTimes(), resumable)


TABLE = {
    "begins at the first keyframe": ([(0, 0), (1, 1), (2, 0)], [DROP, CUT, CONTINUE]),
    "a natural keyframe before 10 s does not cut": ([(0, 1), (9.9, 1), (9.95, 0)], [CUT, CONTINUE, CONTINUE]),
    "a natural keyframe after 10 s cuts": ([(0, 1), (10, 0), (10.1, 1), (10.2, 0)], [CUT, CONTINUE, CUT, CONTINUE]),
    "ages count from the last cut": ([(0, 1), (10, 1), (19.9, 1), (20, 1)], [CUT, CUT, CONTINUE, CUT]),
}  # fmt: skip


@pytest.mark.parametrize(("frames", "expected"), TABLE.values(), ids=TABLE.keys())
def test_cuts(frames, expected):
    assert decisions(policy(), *(frame(at, bool(key)) for at, key in frames)) == expected


def test_a_new_size_cuts_at_once():
    assert decisions(policy(), frame(0, True), frame(1, True), frame(2, True, (320, 180))) == [CUT, CONTINUE, CUT]


def test_sound_is_cut_after_10_s_anywhere():
    assert decisions(policy(is_audio=True), *(frame(at, True) for at in (0, 5, 9.9, 10, 11))) == [
        CUT, CONTINUE, CONTINUE, CUT, CONTINUE,
    ]  # fmt: skip


@pytest.mark.parametrize("timestamp", [0, 90_000 * 60])
def test_a_timestamp_that_no_clock_would_give_cuts(timestamp):
    assert decisions(policy(), frame(1, True), frame(2), frame(3, timestamp=timestamp)) == [CUT, CONTINUE, CUT]


def test_a_minute_of_silence_is_no_jump():
    assert decisions(policy(), frame(1, True), frame(61), frame(61.1)) == [CUT, CONTINUE, CONTINUE]


def test_what_refers_to_missing_frames_is_dropped_until_a_keyframe():
    one = policy()
    assert decisions(one, frame(0, True), frame(1)) == [CUT, CONTINUE]
    one.want_keyframe()
    assert one.keyframe_due(SECOND)
    assert decisions(one, frame(2), frame(3), frame(4, True), frame(5)) == [DROP, DROP, CONTINUE, CONTINUE]


def test_a_publisher_without_keyframes_is_not_dropped_for_ever():
    one = policy()
    one.decide(frame(0, True))
    one.want_keyframe()
    assert decisions(one, frame(1), frame(10.9), frame(11), frame(11.1)) == [DROP, DROP, CONTINUE, CONTINUE]


def test_a_stream_that_is_on_disk_goes_on_without_a_keyframe():
    assert decisions(policy(resumable=True), frame(0), frame(1)) == [CUT, CONTINUE]


def test_a_keyframe_is_asked_for_until_the_first_comes():
    stream = policy()
    assert stream.keyframe_due(0)
    assert not stream.keyframe_due(SECOND)
    assert stream.keyframe_due(2 * SECOND)
    stream.decide(frame(2.5, True))
    assert not any(stream.keyframe_due(at * SECOND) for at in range(3, 32))
    assert stream.keyframe_due(33 * SECOND)


def test_a_keyframe_is_asked_for_after_a_loss():
    stream = policy()
    stream.decide(frame(0, True))
    assert not stream.keyframe_due(SECOND)
    stream.want_keyframe()
    assert stream.keyframe_due(SECOND)
    stream.decide(frame(2, True))
    assert not stream.keyframe_due(10 * SECOND)


def test_sound_needs_no_keyframe():
    stream = policy(is_audio=True)
    stream.decide(frame(0, True))
    stream.want_keyframe()
    assert not stream.keyframe_due(100 * SECOND)


def test_after_a_full_disk_the_next_frame_begins_a_segment():
    stream = policy()
    stream.decide(frame(0, True))
    stream.close()
    assert not stream.is_open
    assert stream.decide(frame(1)) is CUT
