"""The film of a recording, decoded: the people in it, their places and times, and the sync of sound and picture."""

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.film_options import FilmOptions
from recorder.compose.film import compose
from recorder.compose.layouts import Box, grid
from recorder.compose.scenes import scenes
from recorder.manifest import VERSION, Manifest, ManifestFile, ManifestTrack

FPS = 25
WIDTH, HEIGHT = 1280, 720
BLUE, RED, GREEN, WHITE = (41, 240, 110), (81, 90, 240), (145, 54, 34), (235, 128, 128)


def camera_file(
    path: Path, colour: tuple[int, int, int], seconds: float, flash_at: list[float], size=(320, 180), gap=(0, 0)
) -> None:
    """One colour, with single white frames; between the ends of `gap` (seconds) nothing is sent."""
    with av.open(path, "w", format="webm") as container:
        stream = container.add_stream("libvpx", rate=FPS)
        stream.width, stream.height = size
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.codec_context.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
        flashes = {round(at * FPS) for at in flash_at}
        for index in range(round(seconds * FPS)):
            if gap[0] <= index / FPS < gap[1]:
                continue
            planes = WHITE if index in flashes else colour
            luma = np.full((size[1], size[0]), planes[0], np.uint8)
            chroma = [np.full((size[1] // 2, size[0] // 2), value, np.uint8).reshape(-1) for value in planes[1:]]
            flat = np.concatenate([luma.reshape(-1), *chroma]).reshape(size[1] * 3 // 2, size[0])
            frame = av.VideoFrame.from_ndarray(flat, "yuv420p")
            frame.pts, frame.time_base = index * 1000 // FPS, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def sound_file(path: Path, seconds: float, beep_at: list[float]) -> None:
    with av.open(path, "w", format="webm") as container:
        stream = container.add_stream("libopus", rate=48000, layout="stereo")
        time = np.arange(round(seconds * 48000)) / 48000
        wave = sum(0.6 * np.sin(2 * np.pi * 1000 * time) * ((time >= at) & (time < at + 0.04)) for at in beep_at)
        for start in range(0, len(time), 960):
            part = np.zeros(960, np.float32)
            part[: len(time[start : start + 960])] = np.asarray(wave)[start : start + 960]
            frame = av.AudioFrame.from_ndarray(np.repeat(part, 2).reshape(1, -1), "flt", "stereo")
            frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def track(name: str, participant: str, source: str, start: int, duration: int, muted=()) -> ManifestTrack:
    media = "audio" if source == "microphone" else "video"
    codec = "opus" if media == "audio" else "vp8"
    file = ManifestFile(
        key=f"rec/{name}.webm", codec=codec, start_ms=start, duration_ms=duration, bytes=1, sha256="",
        frames=duration * FPS // 1000,
    )  # fmt: skip
    return ManifestTrack(
        track=name, participant=participant, name=participant.title(), source=source, media=media, codec=codec,
        start_ms=start, duration_ms=duration, files=[file], segments=[], muted=list(muted),
    )  # fmt: skip


def manifest_of(duration: int, *tracks: ManifestTrack) -> Manifest:
    return Manifest(
        version=VERSION, recording="rec", room="r", state="ready", started_unix_ms=0, ended_unix_ms=0,
        duration_ms=duration, bytes=1, instance="i", tracks=list(tracks),
    )  # fmt: skip


def is_near(pixel: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(pixel.astype(int) - colour).max() < 25)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[tuple[float, np.ndarray]], np.ndarray, list[float]]:
    """Ada is there for all 8 s, her camera muted for the fifth; Bob from 2 s to 6 s; a screen from 3 s to 4 s."""
    root = tmp_path_factory.mktemp("film")
    (root / "rec").mkdir()
    camera_file(root / "rec" / "acam.webm", BLUE, 8, [1.0, 2.6, 7.0])
    sound_file(root / "rec" / "amic.webm", 7.8, [0.8, 2.4, 3.5, 6.8])
    camera_file(root / "rec" / "bcam.webm", RED, 4, [])
    camera_file(root / "rec" / "screen.webm", GREEN, 1, [], size=(640, 480))
    manifest = manifest_of(
        8000,
        track("acam", "ada", "camera", 0, 8000, muted=[(4000, 5000)]),
        track("amic", "ada", "microphone", 200, 7800, muted=[(3500, 4200)]),
        track("bcam", "bob", "camera", 2000, 4000),
        track("screen", "ada", "screen", 3000, 1000),
    )
    out, told, parts = root / "film.mp4", [], root / "parts"
    parts.mkdir()
    assert compose(root, manifest, out, parts=parts, report=told.append)
    with av.open(out) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        images = [
            (float(image.pts * image.time_base), image.to_ndarray().reshape(-1)) for image in container.decode(video)
        ]
    sound = np.zeros(9 * 48000, np.float32)
    with av.open(out) as container:
        for frame in container.decode(audio=0):
            at = round(float(frame.pts * frame.time_base) * 48000)
            data = frame.to_ndarray()[0]
            sound[max(0, at) : max(0, at) + len(data)] = data[: len(data)]
    return images, sound, told


def pixel(flat: np.ndarray, x: int, y: int) -> np.ndarray:
    chroma = WIDTH * HEIGHT + (y // 2) * (WIDTH // 2) + x // 2
    return np.array([flat[y * WIDTH + x], flat[chroma], flat[chroma + WIDTH * HEIGHT // 4]])


def at(images: list[tuple[float, np.ndarray]], seconds: float) -> np.ndarray:
    return next(flat for when, flat in images if when >= seconds)


def test_everybody_is_in_their_tile_at_their_time(film) -> None:
    images, _, _ = film
    assert len(images) == 8 * FPS
    middle, left, right = (640, 360), (320, 360), (960, 360)
    for seconds in (0.3, 1.6, 6.4, 7.6):
        assert is_near(pixel(at(images, seconds), *middle), BLUE), seconds
    for seconds in (2.3, 2.9, 5.3, 5.7):
        assert is_near(pixel(at(images, seconds), *left), BLUE), seconds
        assert is_near(pixel(at(images, seconds), *right), RED), seconds
    for seconds in (3.2, 3.8):  # the screen, and both beside it
        assert is_near(pixel(at(images, seconds), 500, 360), GREEN), seconds
        assert is_near(pixel(at(images, seconds), 1176, 50), BLUE), seconds
        assert is_near(pixel(at(images, seconds), 1176, 170), RED), seconds
    for seconds in (4.2, 4.8):  # a muted camera is no frozen image
        assert not is_near(pixel(at(images, seconds), 320, 200), BLUE), seconds
        assert is_near(pixel(at(images, seconds), *right), RED), seconds


def test_flashes_and_beeps_belong_together(film) -> None:
    images, sound, _ = film
    flashes = [when for when, flat in images if is_near(pixel(flat, 320, 250), WHITE)]
    loud = np.abs(sound) > 0.1
    beeps, last = [], -48000
    for index in np.flatnonzero(loud):
        if index - last > 4800:
            beeps.append(index / 48000)
        last = index
    assert len(flashes) == len(beeps) == 3  # the one while the microphone was muted is not heard
    assert max(abs(flash - beep) for flash, beep in zip(flashes, beeps, strict=True)) <= 0.060
    assert flashes == pytest.approx([1.0, 2.6, 7.0], abs=0.041)


def test_progress_is_told(film) -> None:
    told = film[2]
    assert told == sorted(told) and told[-1] == 1.0 and len(told) > 8  # once for each second


def test_an_empty_recording_is_no_film(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="empty"):
        compose(tmp_path, manifest_of(0), tmp_path / "out.mp4", parts=tmp_path, report=lambda _: None)


@given(st.integers(0, 40))
def test_a_grid_has_no_overlaps(count: int) -> None:
    boxes = grid(count, Box(0, 0, WIDTH, HEIGHT))
    taken = np.zeros((HEIGHT, WIDTH), np.uint8)
    for box in boxes:
        assert not (box.x % 2 or box.y % 2 or box.width % 2 or box.height % 2)
        assert box.x + box.width <= WIDTH and box.y + box.height <= HEIGHT
        taken[box.y : box.y + box.height, box.x : box.x + box.width] += 1
    assert taken.max(initial=0) <= 1 and len(boxes) == count


SPANS = st.lists(st.tuples(st.integers(0, 900), st.integers(1, 300)), min_size=0, max_size=12)


@given(SPANS, SPANS)
def test_scenes_cover_the_recording_without_gaps(cameras, microphones) -> None:
    tracks = [track(f"c{i}", f"p{i % 4}", "camera", start, length) for i, (start, length) in enumerate(cameras)]
    tracks += [
        track(f"m{i}", f"p{i % 5}", "microphone", start, length, muted=[(start, start + length // 2)])
        for i, (start, length) in enumerate(microphones)
    ]
    found = scenes(manifest_of(1300, *tracks), FilmOptions())
    assert found[0].start_ms == 0 and found[-1].end_ms == 1300
    assert all(a.end_ms == b.start_ms and a.tiles != b.tiles for a, b in itertools.pairwise(found))
    for scene in found:
        people = [tile.participant for tile in scene.tiles]
        assert len(people) == len(set(people))
