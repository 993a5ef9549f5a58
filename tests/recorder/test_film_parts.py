"""A film is made in parts: finished parts are kept, decoding starts where it must, gaps and names are recognised."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp.web
import av
import msgspec
import numpy as np
import pytest

from foundation.film_options import FilmOptions
from foundation.jobs import JobOutcome
from objects.directory import DirectoryStore
from objects.threads import Objects, threads
from recorder.compose import film, images, lettering
from recorder.compose.images import Images
from recorder.compose.scenes import CAMERA_OFF, INTERRUPTED, scenes
from recorder.composing import Composer
from recorder.config import RecorderConfig
from recorder.manifest import ManifestFile, ManifestTrack, encode_manifest
from tests.recorder.test_compose import BLUE, FPS, at, camera_file, is_near, manifest_of, pixel, sound_file, track
from tests.support.waiting import until


def numbered(path: Path, seconds: float, keyframe_every: int) -> None:
    """A grey that grows a little with each frame."""
    with av.open(path, "w", format="webm") as container:
        stream = container.add_stream("libvpx", rate=FPS)
        stream.width, stream.height = 64, 48
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.codec_context.options = {
            "deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "g": str(keyframe_every),
        }  # fmt: skip
        for index in range(round(seconds * FPS)):
            flat = np.full((72, 64), 30 + index % 200, np.uint8)
            frame = av.VideoFrame.from_ndarray(flat, "yuv420p")
            frame.pts, frame.time_base = index * 1000 // FPS, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "rec").mkdir()
    (tmp_path / "parts").mkdir()
    return tmp_path


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the beginning of each image that is decoded."""
    times: list[float] = []
    following = images._File.next

    def counted(self: images._File) -> images.Decoded | None:
        found = following(self)
        times.extend([] if found is None else [found.ms])
        return found

    monkeypatch.setattr(images._File, "next", counted)
    return times


def test_a_camera_that_is_toggled_is_decoded_once(root: Path, decoded: list[float]) -> None:
    """It has one keyframe, at its beginning; each time it is shown again, decoding continues where it stopped."""
    numbered(root / "rec" / "cam.webm", 20, keyframe_every=10_000)
    muted = [(500 + 1000 * number, 1000 + 1000 * number) for number in range(19)]
    manifest = manifest_of(20_000, track("cam", "ada", "camera", 0, 20_000, muted=muted))
    film.compose(root, manifest, root / "film.mp4", parts=root / "parts", report=lambda _: None)
    assert len(decoded) == 20 * FPS


def test_what_lies_far_on_is_reached_from_the_keyframe_before(root: Path, decoded: list[float]) -> None:
    numbered(root / "rec" / "cam.webm", 20, keyframe_every=50)
    reader = Images(root, track("cam", "ada", "camera", 0, 20_000))
    for ms in (500, 9_500, 18_020):
        decoded.clear()
        shown = reader.at(ms)
        assert shown.image is not None and shown.image.ms <= ms < shown.image.ms + 41
        assert abs(float(shown.image.image.to_ndarray()[:48].mean()) - (30 + shown.image.ms * FPS // 1000 % 200)) < 3
        assert len(decoded) <= 53
    reader.close()
    assert reader.at(19_000).image is not None  # opened again, no earlier than it must
    assert len(decoded) <= 120


def test_a_gap_is_no_frozen_face(root: Path) -> None:
    camera_file(root / "rec" / "cam.webm", BLUE, 8, [], gap=(2, 6))
    manifest = manifest_of(8000, track("cam", "ada", "camera", 0, 8000))
    film.compose(root, manifest, root / "film.mp4", parts=root / "parts", report=lambda _: None)
    with av.open(root / "film.mp4") as container:
        pictures = [(float(i.pts * i.time_base), i.to_ndarray().reshape(-1)) for i in container.decode(video=0)]
    assert is_near(pixel(at(pictures, 1.8), 200, 100), BLUE)
    assert is_near(pixel(at(pictures, 2.2), 200, 100), BLUE)  # for a moment
    for seconds in (2.7, 4.0, 5.8):
        assert not is_near(pixel(at(pictures, seconds), 200, 100), BLUE), seconds
    assert is_near(pixel(at(pictures, 6.3), 200, 100), BLUE)


def parted(name: str, source: str, spans: list[tuple[int, int]]) -> ManifestTrack:
    """A track of several files, each of them a span."""
    one = track(name, "ada", source, 0, 1)
    files = [
        ManifestFile(
            key=f"rec/{name}.{start}", codec=one.codec, start_ms=start, duration_ms=end - start, bytes=1, sha256="",
            frames=(end - start) * 30 // 1000,
        )
        for start, end in spans
    ]  # fmt: skip
    return msgspec.structs.replace(one, files=files)


def test_a_tile_says_why_there_is_no_image() -> None:
    camera = msgspec.structs.replace(parted("cam", "camera", [(0, 3000), (9000, 12_000)]), muted=[(10_000, 11_000)])
    microphone = parted("mic", "microphone", [(0, 4000), (8000, 20_000)])
    listener = track("other", "bob", "microphone", 0, 20_000)
    found = {}
    for scene in scenes(manifest_of(20_000, camera, microphone, listener), FilmOptions()):
        for tile in scene.tiles:
            for second in range(20):
                if scene.start_ms <= second * 1000 + 500 < scene.end_ms:
                    found[tile.participant, second] = tile.track or tile.note
    ada = [found["ada", second] for second in range(20)]
    assert ada[:3] == ["cam"] * 3 and ada[3:9] == [INTERRUPTED] * 6
    assert ada[9:12] == ["cam", CAMERA_OFF, "cam"] and ada[12:] == [CAMERA_OFF] * 8
    assert {found["bob", second] for second in range(20)} == {""}


def test_a_camera_that_starts_soon_is_shown_from_the_start(root: Path) -> None:
    """Of three people with sound from the start, one has a camera within 2 s, one later, one mutes it until then."""
    camera_file(root / "rec" / "soon.webm", BLUE, 2, [])
    people = [
        *(track(f"mic-{name}", name, "microphone", 100, 6000) for name in ("ada", "bob", "cem")),
        track("soon", "ada", "camera", 1500, 2000),
        track("late", "bob", "camera", 2500, 2000),
        msgspec.structs.replace(track("open", "cem", "camera", 1000, 4000), muted=[(500, 1800)]),
    ]
    found = scenes(manifest_of(6100, *people), FilmOptions())
    shown = {tile.participant: (tile.track, tile.note) for tile in found[0].tiles}
    assert shown == {"ada": ("soon", ""), "bob": (None, CAMERA_OFF), "cem": ("open", "")}
    assert found[0].start_ms == 0
    reader = Images(root, people[3])
    first = reader.at(0).image
    assert first is not None and first.ms == 1500
    assert [reader.at(ms).image for ms in (700, 1500)] == [first, first]
    late = Images(root, track("soon", "ada", "camera", 2500, 2000))
    assert late.at(100).image is None


@pytest.mark.parametrize(
    ("hertz", "rate"), [(30, 30), (29.97, 30), (25, 25), (24, 24), (18, 20), (15, 15), (5, 15), (60, 30)]
)
def test_the_rate_is_that_of_the_fastest_source(root: Path, hertz: float, rate: int) -> None:
    """Also where it was off for half of the time: its average says nothing."""
    for name, each in (("fast", hertz), ("slow", 3.0)):
        with av.open(root / "rec" / f"{name}.webm", "w", format="webm") as container:
            stream = container.add_mux_stream("vp8", width=64, height=48)
            for index in range(100):
                packet = av.Packet(b"not looked into")
                packet.stream, packet.time_base = stream, Fraction(1, 1000)
                packet.pts = packet.dts = round(index * 1000 / each) + (20_000 if index > 40 else 0)
                container.mux_one(packet)
    tracks = [track("slow", "ada", "camera", 0, 60_000), track("fast", "bob", "camera", 0, 60_000)]
    assert film.frame_rate(root, manifest_of(60_000, *tracks)) == rate


@pytest.mark.parametrize("name", ["张伟", "張偉", "さくら", "김민수", "Łukasz Ñandú", "Ольга", "Αθηνά", "שרה", "أحمد"])
def test_letters_of_many_scripts_have_glyphs_of_our_own(name: str) -> None:
    assert lettering.printable(name) == name
    paths = {run.font.path for run in lettering._runs(name, 20)}
    assert paths <= {str(path) for path in lettering._SHIPPED}
    masks = [bytes(run.font.getmask(run.text)) for run in lettering._runs(name, 20)]
    missing = [bytes(run.font.getmask(lettering._NOWHERE * len(run.text))) for run in lettering._runs(name, 20)]
    assert masks != missing


def test_what_no_font_has_is_left_out() -> None:
    assert lettering.printable("Ada \U0010fffd\x07") == "Ada"
    assert lettering.printable("\U0010fffd") == "?"
    assert [run.text for run in lettering._runs("Ada 张伟 (host)", 20)] == ["Ada ", "张伟 ", "(host)"]


def test_a_film_that_gave_way_goes_on_behind_its_last_part(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film, "PART_SECONDS", 2)
    numbered(root / "rec" / "cam.webm", 7, keyframe_every=30)
    sound_file(root / "rec" / "mic.webm", 7, [1, 3, 5])
    manifest = manifest_of(7000, track("cam", "ada", "camera", 0, 7000), track("mic", "ada", "microphone", 0, 7000))
    out, parts, told = root / "film.mp4", root / "parts", []
    assert not film.compose(root, manifest, out, parts=parts, report=told.append, goes_on=lambda: told[-1] < 0.5)
    made = {path: path.stat().st_mtime_ns for path in parts.glob("0*.mp4")}
    assert len(made) == 2 and not out.exists()
    assert film.compose(root, manifest, out, parts=parts, report=told.append)
    assert told[-1] == 1.0 and told.count(1.0) == 1
    assert {path: path.stat().st_mtime_ns for path in made} == made
    with av.open(out) as container:
        packets = [packet for packet in container.demux() if packet.dts is not None]
        for stream in container.streams:
            times = [packet.dts for packet in packets if packet.stream is stream]
            assert all(a < b for a, b in pairwise(times))
            assert float(stream.duration * stream.time_base) == pytest.approx(7.0, abs=0.05)
    with av.open(out) as container:
        pictures = [(float(i.pts * i.time_base), i.to_ndarray()[:720].mean()) for i in container.decode(video=0)]
    assert [round(when * FPS) for when, _ in pictures] == list(range(7 * FPS))
    levels = [level for _, level in pictures]
    assert all(b >= a - 0.5 for a, b in pairwise(levels)), "frames are in order over the borders of parts"


@asynccontextmanager
async def control(told: list[JobOutcome]) -> AsyncIterator[str]:
    """Gives out one job until it has an outcome."""
    attempts = [0]

    async def claim(request: aiohttp.web.Request) -> aiohttp.web.Response:
        if told and not told[-1].released:
            return aiohttp.web.Response(status=204)
        attempts[0] += 1
        job: dict[str, Any] = {"id": "job", "kind": "compose", "subject": "rec", "attempt": attempts[0]}
        return aiohttp.web.json_response(job)

    async def outcome(request: aiohttp.web.Request) -> aiohttp.web.Response:
        told.append(msgspec.json.decode(await request.read(), type=JobOutcome))
        return aiohttp.web.json_response({"held": True})

    async def progress(request: aiohttp.web.Request) -> aiohttp.web.Response:
        return aiohttp.web.json_response({"held": True})

    app = aiohttp.web.Application()
    app.router.add_post("/internal/v1/jobs/claim", claim)
    app.router.add_post("/internal/v1/jobs/job/outcome", outcome)
    app.router.add_post("/internal/v1/jobs/job/progress", progress)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


Made = dict[Path, int]


async def test_a_recorder_that_stops_lets_go_and_the_next_one_goes_on(root: Path) -> None:
    sound_file(root / "rec" / "mic.webm", 61, [1.0])
    manifest = manifest_of(61_000, track("mic", "ada", "microphone", 0, 61_000))
    (root / "rec" / "manifest.json").write_bytes(encode_manifest(manifest))
    told: list[JobOutcome] = []

    def parts() -> Made:
        return {path: path.stat().st_mtime_ns for path in root.glob(".composing/*/rec/compose/*/0*.mp4")}

    async with control(told) as url:
        config = RecorderConfig(sink_socket=root / "s", recordings_dir=root, control_url=url, node_secret="x")
        with threads() as pool:
            local = Objects(DirectoryStore(root), root / ".spool", pool)
            working = asyncio.create_task(Composer(config, None, local).run())
            await asyncio.to_thread(until, lambda: bool(parts()), 120)
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            assert [one.released for one in told] == [True]
            made = parts()
            assert 0 < len(made) < 3, "the film is not done"
            working = asyncio.create_task(Composer(config, None, local).run())
            await asyncio.to_thread(until, lambda: parts().items() > made.items() or len(told) > 1, 120)
            await asyncio.to_thread(until, lambda: len(told) > 1, 120)
            # What is done is deleted with the film.
            await asyncio.to_thread(until, lambda: not list(root.glob(".composing/*/rec")), 60)
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
    result = told[-1].result
    assert result is not None and (root / "rec" / result["file"]).stat().st_size == result["bytes"]
