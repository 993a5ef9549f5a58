"""Live pictures: capture times by reports within the bounds of arrivals, the speaker, and people who are not shown."""

import random
import time

import numpy as np
import pytest

from foundation.film_options import FilmOptions
from recorder.broadcast.cast import Cast
from recorder.broadcast.clock import LiveClock, Offset
from recorder.broadcast.sound import AudioTrack, Mixer
from recorder.compose.scenes import CAMERA_OFF
from sfu.api.sink_records import PacketRecord, TrackClosed, TrackMuteChanged, TrackOpened
from sfu.formats.codecs import Codec
from tests.support.encoders import encode

SECOND = 1_000_000_000
MS = 1_000_000


def ntp(ns: int) -> int:
    return ((ns // SECOND) << 32) + ((ns % SECOND) << 32) // SECOND


def captured(*, delay_ms: int, lie_ms: int = 0) -> int:
    """Return by how much a picture's capture time differs from a sound's, in ms, after ten seconds.

    Pictures take `delay_ms` longer to come; their reports claim that they were captured `lie_ms` later.
    """
    noise = random.Random(1)
    sender = Offset()
    sound, picture = LiveClock(48_000, sender), LiveClock(90_000, sender)
    start = 1_000 * SECOND
    heard = seen = 0
    for step in range(500):
        at = step * 20 * MS
        arrival = start + at + noise.randrange(0, 8 * MS)
        heard = sound.frame(at * 48_000 // SECOND, arrival + 10 * MS) - at
        seen = picture.frame(at * 90_000 // SECOND, arrival + (10 + delay_ms) * MS) - at
        if step % 100 == 50:
            stamped = 5 * SECOND + at
            sound.report(at * 48_000 // SECOND, ntp(stamped), arrival + 10 * MS)
            picture.report((at - lie_ms * MS) * 90_000 // SECOND % (1 << 32), ntp(stamped), arrival + 10 * MS)
    return (seen - heard) // MS


def test_reports_align_a_picture_that_comes_later_than_its_sound() -> None:
    assert abs(captured(delay_ms=150)) <= 5


@pytest.mark.parametrize("lie_ms", [450, 600_000, -600_000])
def test_a_report_that_contradicts_arrivals_is_not_believed(lie_ms: int) -> None:
    assert abs(captured(delay_ms=20, lie_ms=lie_ms)) <= 30


def opened(handle: int, *, muted: bool = False) -> TrackOpened:
    return TrackOpened(
        handle=handle, room="r", participant="ann", name="Ann", track="cam", source="camera", media="video",
        codec="VP8", clock_rate=90_000, ssrc=7, opened_at=0, opened_unix_ms=0, muted=muted,
    )  # fmt: skip


def packets(handle: int, first: int = 0) -> list[PacketRecord]:
    """Ten whole VP8 pictures, one each 100 ms, from the `first` of these times on."""
    found = []
    for number, (data, _) in enumerate(encode(Codec.VP8)[:10]):
        at = number + first
        header = bytes((0x80, 0xE0)) + number.to_bytes(2, "big") + (at * 9000).to_bytes(4, "big") + bytes(4)
        found.append(PacketRecord(handle, number, at * 100 * MS, header + b"\x10" + data))
    return found


def take(cast: Cast, *records: PacketRecord) -> None:
    for record in records:
        cast.take(record)


def until_shown(cast: Cast) -> bool:
    end = time.monotonic() + 20
    while cast.image("cam", 500_000) is None and time.monotonic() < end:
        time.sleep(0.01)
    return cast.image("cam", 500_000) is not None


def test_a_camera_is_shown_until_it_is_off_and_gone_with_its_consent() -> None:
    cast = Cast(0)
    cast.take(opened(1))
    assert [wanted.handle for wanted in cast.tick(2 * SECOND)] == [1]
    take(cast, *packets(1))
    assert cast.tick(4 * SECOND) == []
    assert until_shown(cast)
    (ann,) = cast.moment(500_000, "", FilmOptions()).people
    assert (ann.name, ann.track, ann.muted) == ("Ann", "cam", True)
    cast.take(TrackMuteChanged(handle=1, muted=True, at=0))
    (ann,) = cast.moment(600_000, "", FilmOptions()).people
    assert (ann.track, ann.note) == (None, CAMERA_OFF)
    cast.take(TrackClosed(handle=1, reason="consent"))
    assert cast.moment(700_000, "", FilmOptions()).people == ()


def missing(cast: Cast, last: int) -> list[int]:
    """Return the times, in steps of 100 ms up to `last`, at which the picture is old."""

    def is_fresh(us: int) -> bool:
        image = cast.image("cam", us)
        return image is not None and us - image.us < 150_000

    found = []
    for step in range(last + 1):
        end = time.monotonic() + 5
        while not is_fresh(step * 100_000) and time.monotonic() < end:
            time.sleep(0.01)
        if not is_fresh(step * 100_000):
            found.append(step)
    return found


def test_another_layer_replaces_the_present_one_without_a_gap() -> None:
    """It is opened beside it, has its first keyframe later, and the present one loses a packet in between."""
    cast = Cast(0)
    cast.take(opened(1))
    present, other = packets(1), packets(2, first=6)
    take(cast, *present[:3])
    cast.take(opened(2))
    take(cast, *present[3:6])
    take(cast, present[6], other[0], present[8], other[1], other[2])
    cast.tick(SECOND)
    cast.take(TrackClosed(handle=1, reason="replaced"))
    take(cast, *other[3:])
    assert cast.tick(2 * SECOND) == []
    assert missing(cast, 15) == []


def test_a_layer_that_comes_and_goes_beside_another_leaves_no_gap() -> None:
    cast = Cast(0)
    cast.take(opened(1))
    present, other = packets(1)[:6], packets(2, first=1)
    cast.take(present[0])
    cast.take(opened(2))
    take(cast, present[1], other[0], present[2], other[1])
    cast.take(TrackClosed(handle=2, reason="replaced"))
    take(cast, *present[3:])
    assert cast.tick(2 * SECOND) == []
    assert missing(cast, 5) == []


def test_a_repair_from_far_away_is_waited_for() -> None:
    cast = Cast(0)
    cast.take(opened(1))
    *early, lost, fourth, fifth = packets(1)[:6]
    take(cast, *early, fourth, fifth)
    cast.tick(750 * MS)
    cast.take(lost._replace(arrival=780 * MS))
    assert cast.tick(2 * SECOND) == []
    assert missing(cast, 5) == []


def test_only_tracks_that_a_view_shows_are_decoded() -> None:
    cast = Cast(0)
    cast.take(opened(1))
    cast.show((FilmOptions(layout="single", participant="bob"), FilmOptions(tracks=["screen"])))
    assert cast.tick(2 * SECOND) == []
    take(cast, *packets(1))
    assert cast.moment(500_000, "", FilmOptions(participant="bob")).people == ()
    cast.show((FilmOptions(tracks=["cam"]),))
    assert [wanted.handle for wanted in cast.tick(4 * SECOND)] == [1]
    assert cast.image("cam", 500_000) is None
    (ann,) = cast.moment(500_000, "", FilmOptions(participant="ann")).people
    assert ann.name == "Ann"


def test_two_mixes_have_the_same_sound() -> None:
    loud = AudioTrack()
    loud.frame(Codec.G711_ULAW, 1, 0, bytes([0, 0x80] * 80))
    first, second = (Mixer().mix([("ann", loud)], 0, 960).samples for _ in range(2))
    assert np.abs(first).max() > 0.1
    assert np.array_equal(first, second)
    loud.forget(960)
    assert not np.any(Mixer().mix([("ann", loud)], 0, 960).samples)


def test_the_mix_holds_each_track_where_it_belongs_and_knows_who_speaks() -> None:
    mu_law = bytes(((np.sin(np.arange(160) / 3) > 0) * 0x80).astype(np.uint8))
    tracks = [("ann", AudioTrack()), ("bob", AudioTrack())]
    for number in range(100):
        tracks[1][1].frame(Codec.G711_ULAW, 1, 4800 + number * 960, mu_law)
    mixer = Mixer()
    heard = np.concatenate([mixer.mix(tracks, start, 1600).samples for start in range(0, 80_000, 1600)], axis=1)
    first = int(np.argmax(np.abs(heard[0]) > 0.1))
    assert first == pytest.approx(4800, abs=300)
    assert mixer.speaker == "bob"
