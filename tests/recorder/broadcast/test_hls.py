"""HLS from encoded media: players read the encoded media, in parts that match the playlist."""

import io
import re
from itertools import pairwise

import av
import numpy as np
import pytest

from foundation.film_options import FilmOptions
from foundation.media_units import Unit
from recorder.broadcast.encoders import AudioEncoder, VideoEncoder
from recorder.broadcast.fragments import Fragmenter, Part, initialization
from recorder.broadcast.playlist import PART_SECONDS, PART_TARGET, Playlist
from tests.support.hls_rules import problems

RATE = 30
FIRST = 4


@pytest.fixture(scope="module")
def media() -> tuple[Unit, Unit, list[Unit]]:
    """Nine seconds of sound and pictures, from the fourth picture's time on."""
    video, sound = VideoEncoder(FilmOptions(), 2_500_000, 30), AudioEncoder(FIRST * 1600)
    units: list[Unit] = []
    picture = av.VideoFrame(1280, 720, "yuv420p")
    for index in range(FIRST, FIRST + 9 * RATE):
        for plane in picture.planes:
            np.frombuffer(memoryview(plane), np.uint8)[:] = index % 200 + 20
        units += sound.encode(np.zeros((2, 1600), np.float32))
        units += video.encode(picture, index)
    return video.setup(), sound.setup(), units


def cut(units: list[Unit]) -> list[Part]:
    fragmenter = Fragmenter(PART_SECONDS)
    return [part for unit in units if (part := fragmenter.put(unit)) is not None]


def test_players_read_every_picture_once_and_in_time(media: tuple[Unit, Unit, list[Unit]]) -> None:
    video, audio, units = media
    parts = cut(units)
    data = initialization(video.data, audio.data) + b"".join(part.data for part in parts)
    with av.open(io.BytesIO(data)) as container:
        assert (container.streams.video[0].width, container.streams.audio[0].rate) == (1280, 48_000)
        times: dict[str, list[float]] = {"video": [], "audio": []}
        for packet in container.demux():
            for frame in packet.decode():
                times[packet.stream.type].append(frame.time)
    shown = sum(part.seconds for part in parts)
    assert len(times["video"]) == round(shown * RATE)
    assert times["video"][0] == pytest.approx(FIRST / RATE, abs=0.001)
    steps = [later - earlier for earlier, later in pairwise(times["video"])]
    assert max(steps) - min(steps) < 0.001
    assert max(later - earlier for earlier, later in pairwise(times["audio"])) == pytest.approx(1024 / 48_000, abs=1e-4)
    assert abs(times["video"][-1] - times["audio"][-1]) < 0.1


def test_every_segment_begins_with_a_keyframe_and_lasts_two_seconds(media: tuple[Unit, Unit, list[Unit]]) -> None:
    parts = cut(media[2])
    assert all(part.independent == (part.number == 0) for part in parts)
    assert all(0.85 * PART_TARGET <= part.seconds <= PART_TARGET for part in parts if not part.last)
    whole = {part.segment for part in parts if part.last} - {0}
    for segment in whole:
        assert sum(part.seconds for part in parts if part.segment == segment) == pytest.approx(2, abs=0.001)
    assert len(whole) >= 3


def test_a_keyframe_that_was_left_out_is_made_up_for() -> None:
    encoder, picture = VideoEncoder(FilmOptions(), 2_500_000, RATE), av.VideoFrame(1280, 720, "yuv420p")
    shown = [10, 11, 50, 95, 96, 200, 240, 241]
    units = [unit for index in shown for unit in encoder.encode(picture, index)]
    keyframes = [10, 60, 120, 180, 240]
    assert [round(unit.us * RATE / 1e6) for unit in units] == sorted({*shown, *keyframes})
    assert [round(unit.us * RATE / 1e6) for unit in units if unit.keyframe] == keyframes
    after_a_pause = [unit for unit in encoder.encode(picture, 10_000) if unit.keyframe]
    assert 1 <= len(after_a_pause) <= 6


def test_the_playlist_names_what_is_stored_and_nothing_else(media: tuple[Unit, Unit, list[Unit]]) -> None:
    playlist, there = Playlist("ab12"), {"ab12-init.mp4"}
    for part in cut(media[2]):
        change = playlist.add(part)
        there |= {name for name, _ in change.stored}
        there -= set(change.removed)
        listed, _, hint = playlist.text().partition("#EXT-X-PRELOAD-HINT")
        named = set(re.findall(r'URI="([^"]+)"|^([\w-]+\.m4s)$', listed, re.MULTILINE))
        assert not any(name in hint for name in there)
        assert {one or other for one, other in named} <= there
    text = playlist.text()
    assert "#EXT-X-TARGETDURATION:2\n" in text
    assert "ab12-1.m4s" in text
    assert not text.endswith("#EXT-X-ENDLIST\n")
    assert playlist.end().removed == []
    assert playlist.text().endswith("#EXT-X-ENDLIST\n")


def test_the_playlist_keeps_the_rules_of_low_latency(media: tuple[Unit, Unit, list[Unit]]) -> None:
    playlist, before = Playlist("ab12"), None
    for part in cut(media[2]):
        playlist.add(part)
        if playlist.is_playable:
            text = playlist.text()
            assert problems(text, before) == []
            before = text
    playlist.end()
    assert problems(playlist.text(), before) == []
    assert before is not None
    for broken, rule in (
        (re.sub(r"#EXT-X-PRELOAD.*\n", "", before), "hint"),
        (before.replace("DURATION=0.5", "DURATION=0.7"), "the target is"),
        (before.replace("CAN-BLOCK-RELOAD=YES,", ""), "CAN-BLOCK-RELOAD"),
        (before.replace("PART-HOLD-BACK=1.7", "PART-HOLD-BACK=0.7"), "PART-HOLD-BACK"),
        (before.replace("TARGETDURATION:2", "TARGETDURATION:1"), "over the target"),
    ):
        assert any(rule in problem for problem in problems(broken)), rule


def test_old_segments_are_removed_with_their_parts() -> None:
    playlist = Playlist("x")
    removed: list[str] = []
    for segment in range(40):
        for number in range(4):
            part = Part(segment, number, b"", 0.5, number == 0, number == 3, 0)
            removed += playlist.add(part).removed
    assert "x-0.m4s" in removed
    assert "x-0-3.m4s" in removed
    assert "x-30.m4s" not in removed
    assert "x-39.m4s" in playlist.text()
    assert "x-20.m4s" not in playlist.text()
