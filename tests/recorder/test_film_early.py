"""A film begins while its recording is running: the parts made by then are kept if they belong to the finished one."""

import asyncio
import dataclasses
import hashlib
import itertools
from fractions import Fraction
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest

from objects.sealed_file import PLAIN
from recorder import composing
from recorder.compose import early, early_sound, film, follow
from recorder.compose.contract import belongs_to, early_directory
from recorder.compose.early_sound import EarlySound
from recorder.compose.follow import EarlyFilm
from recorder.compose.loudness import TARGET_LUFS, Loudness
from recorder.compose.sounds import GrowingMix
from recorder.layout import MANIFEST_NAME
from recorder.manifest import Manifest, ManifestSegment, ManifestTrack, read_info
from recorder.running import Follower, Running
from sfu.api.sink_records import RecordingEnded, TrackClosed
from sfu.formats.codecs import Codec
from tests.recorder.conftest import Attached
from tests.recorder.media import SECOND, Stream, video
from tests.recorder.sink_server import begun, by_arrival
from tests.recorder.test_compose import manifest_of, track
from tests.support.waiting import eventually

OPENED_AT = 1_000 * SECOND
RATE = 48_000
SECONDS = 25
DRIFT = 60e-6
"""A sound card's: the ms of segments and finished files differ, and frames are never moved within the test."""
TONE = 330.0
PART_SECONDS = 4


@pytest.fixture(autouse=True)
def _a_short_film(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make parts, and begin with the sound, after seconds."""
    for module in (film, early, follow):
        monkeypatch.setattr(module, "PART_SECONDS", PART_SECONDS)
    monkeypatch.setattr(early_sound, "SETTLED_MS", 10_000)


def tone(seconds: int, frequency: float = TONE) -> tuple[tuple[bytes, bool], ...]:
    """A tone without a break, so that a seam is a click."""
    context = av.CodecContext.create("libopus", "w")
    assert isinstance(context, av.AudioCodecContext)
    context.sample_rate, context.layout, context.format, context.bit_rate = RATE, "stereo", "flt", 96_000
    packets = []
    for index in range(seconds * 50):
        time = (np.arange(960) + index * 960) / RATE
        samples = np.repeat(0.2 * np.sin(2 * np.pi * frequency * time), 2).astype(np.float32).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, "flt", "stereo")
        frame.sample_rate, frame.pts = RATE, index * 960
        packets += context.encode(frame)
    return tuple((bytes(packet), True) for packet in packets)


def camera(participant: str = "alice", handle: int = 1) -> Stream:
    frames = video(Codec.VP8, SECONDS * 30, flash_every=30, keyframe_every=90)
    return Stream(
        codec=Codec.VP8, frames=frames, fps=30, track=f"cam-{participant}", handle=handle, ssrc=10 + handle,
        opened_at=OPENED_AT, participant=participant, drift=DRIFT,
    )  # fmt: skip


def microphone(participant: str = "alice", handle: int = 2) -> Stream:
    return Stream(
        codec=Codec.OPUS, frames=tone(SECONDS), fps=50, track=f"mic-{participant}", handle=handle, ssrc=10 + handle,
        opened_at=OPENED_AT, participant=participant, drift=DRIFT,
    )  # fmt: skip


async def running(attached: Attached, *streams: Stream) -> Running:
    """Send a recording that does not end; return it as far as it is captured."""
    await attached.sfu.send(begun(opened_at=OPENED_AT), *(stream.opened() for stream in streams))
    await attached.sfu.send(*by_arrival(*(stream.records() for stream in streams)))
    root = attached.config.recordings_dir
    follower = Follower(root, "rec1")
    info = read_info(root / "rec1")
    assert info is not None

    found: list[Running] = []

    async def is_captured() -> bool:
        seen = follower.look(info.started_unix_ms + 2 * SECONDS * 1000)
        found.extend([seen] if seen is not None else [])
        return seen is not None and seen.until_ms >= 19_900

    await eventually(is_captured)
    return found[-1]


def made_early(root: Path, parts: Path, seen: Running, most: int = 100) -> EarlyFilm:
    """Make what can be made of what is captured."""
    begun_film = EarlyFilm(root, parts, PLAIN)
    for _ in itertools.takewhile(lambda _: begun_film.make(seen), range(most)):
        pass
    return begun_film


async def ended(attached: Attached) -> tuple[bytes, Manifest, Running]:
    """End the recording; return its manifest and its segments."""
    await attached.sfu.send(RecordingEnded(recording="rec1", room="room1"))
    manifest = await attached.manifest()
    found = Follower(attached.config.recordings_dir, "rec1").ended()
    assert found is not None
    return found[0], manifest, found[1]


def compose(root: Path, manifest: Manifest, parts: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[str]]:
    """Make the film; return it, and the names of what was not made before."""
    made: list[str] = []
    write, encode = film.write_part, film.encoded

    def noted(part, *rest):
        made.append(part.name)
        return write(part, *rest)

    def heard(*rest):
        made.append("sound")
        return encode(*rest)

    monkeypatch.setattr(film, "write_part", noted)
    monkeypatch.setattr(film, "encoded", heard)
    parts.mkdir(exist_ok=True)
    out = parts / "film.mp4"
    assert film.compose(root, manifest, out, parts=parts, report=lambda _: None)
    return out, made


def sound_of(path: Path) -> np.ndarray:
    with av.open(path) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


async def test_only_the_last_parts_are_made_after_the_end(attached, tmp_path, monkeypatch) -> None:
    root, parts = attached.config.recordings_dir, tmp_path / "parts"
    seen = await running(attached, camera(), microphone())
    early_film = await asyncio.to_thread(made_early, root, parts, seen)
    count = len(list(parts.glob("0*.mp4")))
    assert count >= 2
    data, manifest, whole = await ended(attached)
    await asyncio.to_thread(early_film.finish, data, whole)
    early_film.close()
    assert belongs_to(parts).read_text() == hashlib.sha256((root / "rec1" / MANIFEST_NAME).read_bytes()).hexdigest()
    out, made = await asyncio.to_thread(compose, root, manifest, parts, monkeypatch)
    assert made == [f"{number:05}.mp4" for number in range(count, -(-manifest.duration_ms // (PART_SECONDS * 1000)))]
    with av.open(out) as container:
        flashes = [float(f.pts * f.time_base) for f in container.decode(video=0) if _tile(f)[40:].mean() > 140]
        assert abs((container.duration or 0) / 1e6 - SECONDS) < 0.15
    assert sorted({round(at) for at in flashes}) == list(range(SECONDS))
    afterwards, made = await asyncio.to_thread(compose, root, manifest, tmp_path / "afterwards", monkeypatch)
    assert "sound" in made and "00000.mp4" in made
    assert frames_of(out) == frames_of(afterwards)
    sound, other = sound_of(out), sound_of(afterwards)
    assert len(sound) == len(other)
    assert abs(20 * np.log10(np.std(sound) / np.std(other))) < 1.0
    jumps = {at: round(jump(sound, at), 2) for at in np.arange(1, SECONDS - 1, 0.1)}
    seams = {round(at, 1): samples for at, samples in jumps.items() if abs(samples) > 0.25}
    assert not seams, f"the sound has seams: samples by second {seams}"


def frames_of(path: Path) -> int:
    with av.open(path) as container:
        return sum(1 for packet in container.demux(video=0) if packet.size)


def jump(sound: np.ndarray, at: float) -> float:
    """Return the samples by which the tone jumps at an instant, by its phase before and after."""
    window = RATE // 20
    middle = round(at * RATE)
    turns = np.exp(-2j * np.pi * TONE * np.arange(middle - window, middle + window) / RATE)
    mixed = sound[middle - window : middle + window] * turns
    before, after = (np.mean(half * np.hanning(window)) for half in (mixed[:window], mixed[window:]))
    return float(np.angle(after / before) / (2 * np.pi * TONE) * RATE)


def _tile(frame: av.VideoFrame) -> np.ndarray:
    """Return the middle of the picture, coarsely: brightness is enough."""
    plane = frame.planes[0]
    luma = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return luma[::4, frame.width // 3 : 2 * frame.width // 3 : 4]


async def test_a_process_that_was_killed_is_continued(attached, tmp_path) -> None:
    root, parts = attached.config.recordings_dir, tmp_path / "parts"
    seen = await running(attached, camera(), microphone())
    made_early(root, parts, seen, most=1).close()
    first = (parts / "00000.mp4").stat().st_mtime_ns
    (parts / "00001.tmp").write_bytes(b"{")  # killed while it wrote the note of the next part
    (parts / "sound.mp4").write_bytes(b"complete, but perhaps of another end")
    made_early(root, parts, seen, most=1).close()
    assert (parts / "00000.mp4").stat().st_mtime_ns == first
    assert (parts / "00001.mp4").exists() and not (parts / "sound.mp4").exists()


async def test_what_the_finished_recording_contradicts_is_not_kept(attached, tmp_path) -> None:
    root, parts = attached.config.recordings_dir, tmp_path / "parts"
    seen = await running(attached, camera(), microphone())
    early_film = await asyncio.to_thread(made_early, root, parts, seen, 2)
    data, manifest, whole = await ended(attached)
    tracks = [
        msgspec.structs.replace(one, name="Somebody else", segments=[moved(segment, 30) for segment in one.segments])
        for one in manifest.tracks
    ]
    other = msgspec.json.encode(msgspec.structs.replace(manifest, tracks=tracks))
    await asyncio.to_thread(early_film.finish, other, whole)
    early_film.close()
    assert not list(parts.glob("0*.mp4")) and not (parts / "sound.mp4").exists()
    assert belongs_to(parts).read_text() != hashlib.sha256(data).hexdigest()


def moved(segment: ManifestSegment, ms: int) -> ManifestSegment:
    assert segment.start_ms is not None
    return msgspec.structs.replace(segment, start_ms=segment.start_ms + ms)


async def test_a_layer_that_came_and_went_says_nothing_about_the_other(attached, monkeypatch) -> None:
    """The segment of the layer that goes on is still being written, so its pictures are not known yet."""
    monkeypatch.setattr("recorder.running._REST_NS", 600 * SECOND)
    steady = camera()
    brief = dataclasses.replace(steady, handle=2, ssrc=99, start=24.5, frames=steady.frames[:30])
    await attached.sfu.send(begun(opened_at=OPENED_AT), steady.opened(), *by_arrival(steady.records()))
    await attached.sfu.send(brief.opened(), *brief.records(), TrackClosed(handle=2, reason="replaced"))
    root = attached.config.recordings_dir
    follower = Follower(root, "rec1")
    seen: list[Running] = []

    async def is_written() -> bool:
        info = read_info(root / "rec1")
        looked = follower.look(info.started_unix_ms + 2 * SECONDS * 1000) if info is not None else None
        seen.extend([looked] if looked is not None else [])
        return looked is not None and any(one.start_ms >= 24_400 for one in looked.manifest.tracks[0].segments)

    await eventually(is_written)
    assert seen[-1].until_ms < 24_400


async def test_what_continues_without_a_keyframe_is_left_to_the_end(attached, tmp_path) -> None:
    root, parts = attached.config.recordings_dir, tmp_path / "parts"
    seen = await running(attached, camera(), microphone())
    made_early(root, parts, seen._replace(unsure={"video": [(3_000, 4_000)]}), most=1).close()
    made = sorted(path.name for path in parts.glob("0*.mp4"))
    assert "00000.mp4" not in made and "00001.mp4" in made


@pytest.mark.parametrize(
    ("other", "alike"), [((0, "Ada"), True), ((90, "Ada"), True), ((200, "Ada"), False), ((0, "Eva"), False)]
)
def test_small_differences_of_time_are_no_difference(other, alike) -> None:
    start, name = other
    one = early.Shown(scenes=[(0, []), (1000, [["Ada"]])])
    assert early.look_alike(one, early.Shown(scenes=[(0, []), (1000 + start, [[name]])])) is alike


@pytest.mark.parametrize(("moved", "stays"), [(0, True), (20, True), (21, False), (-40, False)])
def test_pictures_stay_where_they_are(moved: int, stays: bool) -> None:
    part = early.Shown(scenes=[], starts={"cam/1-1.webm": 8000})
    segments = [ManifestSegment(key="cam/1-1.webm", bytes=1, sha256="", start_ms=8000 + moved)]
    one = track("t", "p", "camera", 0, 9000)
    assert early.are_in_place(part, [msgspec.structs.replace(one, segments=segments)]) is stays


def sounding(root: Path, seconds: int, level: float) -> ManifestTrack:
    """Return a microphone with a tone of a level."""
    (root / "rec").mkdir(exist_ok=True)
    name = f"mic{level}"
    with av.open(root / "rec" / f"{name}.webm", "w", format="webm") as container:
        stream = container.add_stream("libopus", rate=RATE, layout="stereo")
        time = np.arange(RATE) / RATE
        samples = np.repeat(level * np.sin(2 * np.pi * 1000 * time), 2).astype(np.float32)
        for second in range(seconds):
            for start in range(0, RATE, 960):
                part = samples[2 * start : 2 * start + 1920].reshape(1, -1)
                frame = av.AudioFrame.from_ndarray(part, "flt", "stereo")
                frame.sample_rate, frame.pts, frame.time_base = RATE, second * RATE + start, Fraction(1, RATE)
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    one = track(name, "ada", "microphone", 0, seconds * 1000)
    segment = ManifestSegment(key=one.files[0].key, bytes=1, sha256="", start_ms=0)
    return msgspec.structs.replace(one, segments=[segment])


def after(one: ManifestTrack, ms: int, track_of: ManifestTrack) -> ManifestTrack:
    """Return a track whose sound continues with that of another."""
    file = msgspec.structs.replace(one.files[0], start_ms=ms)
    segment = ManifestSegment(key=file.key, bytes=1, sha256="", start_ms=ms)
    return msgspec.structs.replace(
        track_of, files=[*track_of.files, file], segments=[*track_of.segments, segment], duration_ms=2 * ms
    )


def test_the_gain_follows_what_is_heard_later(tmp_path) -> None:
    quiet, loud = sounding(tmp_path, 20, 0.02), sounding(tmp_path, 20, 0.2)
    both = after(loud, 20_000, quiet)
    sound = EarlySound(tmp_path, tmp_path, "mp4", PLAIN)
    while sound.advance([quiet], 20_000):
        pass
    first = sound._encoding
    while sound.advance([both], 39_000):
        pass
    assert first is not None and sound._encoding is not first, "nothing is encoded again: the test measures nothing"
    assert sound.finish([both], manifest_of(40_000, both))
    heard = sound_of(tmp_path / "sound.mp4")
    loudness = Loudness()
    for start in range(0, len(heard), RATE):
        loudness.add(np.repeat(heard[None, start : start + RATE], 2, axis=0))
    assert loudness.integrated() == pytest.approx(TARGET_LUFS, abs=1.0)
    assert not list(tmp_path.glob("*.tmp"))


def test_sound_with_a_gain_that_the_end_contradicts_is_given_up(tmp_path) -> None:
    quiet, loud = sounding(tmp_path, 20, 0.02), sounding(tmp_path, 20, 0.2)
    sound = EarlySound(tmp_path, tmp_path, "mp4", PLAIN)
    while sound.advance([quiet], 20_000):
        pass
    both = after(loud, 20_000, quiet)
    assert not sound.finish([both], manifest_of(40_000, both))
    sound.close()
    assert not (tmp_path / "sound.mp4").exists() and not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize(
    ("start", "muted", "whole"),
    [(9_995, [], True), (9_000, [], False), (10_000, [(5_000, 6_000)], False), (10_000, [(10_000, 11_000)], True)],
)
def test_what_becomes_known_too_late_is_noticed(tmp_path, start: int, muted, whole: bool) -> None:
    one = sounding(tmp_path, 10, 0.1)
    mix = GrowingMix(tmp_path)
    mix.follow([one])
    assert sum(window.shape[1] for window in mix.until(10_000)) == 10 * RATE
    mix.follow([msgspec.structs.replace(after(sounding(tmp_path, 10, 0.2), start, one), muted=muted)])
    assert mix.is_whole is whole


@pytest.mark.parametrize("belongs", [True, False])
def test_a_film_begins_with_early_parts_of_the_same_recording(tmp_path, belongs: bool) -> None:
    directory = early_directory(tmp_path)
    directory.mkdir()
    (directory / "00000.mp4").touch()
    belongs_to(directory).write_text("this" if belongs else "that")
    begun_in = composing._begin(tmp_path, "made-of", "this")
    assert (begun_in / "00000.mp4").exists() is belongs
    assert not directory.exists()
